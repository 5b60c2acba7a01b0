"""Datasets on the disk: parts, manifest, summaries, locks and losses."""

__all__: list[str] = []
