"""Documents in, a completed dataset out: from an index, an export file or a Parquet file."""

__all__: list[str] = []
