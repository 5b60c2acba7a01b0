"""Standalone HTML pages: where they may be written, and their templates."""

__all__: list[str] = []
