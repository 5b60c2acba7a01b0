"""Standalone HTML pages of a dataset."""

__all__: list[str] = []
