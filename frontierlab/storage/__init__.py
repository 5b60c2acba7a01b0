"""Datasets on the disk: parts, manifest, summaries, and what a dataset lacks."""

__all__: list[str] = []
