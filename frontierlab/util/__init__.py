"""What every room uses and what knows nothing of queries: times, files, progress."""

__all__: list[str] = []
