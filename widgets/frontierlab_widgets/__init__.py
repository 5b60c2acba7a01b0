"""Panels over frontierlab for notebooks; none yet."""

__all__: list[str] = []
