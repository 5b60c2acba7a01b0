"""Make a completed dataset from an index, an export file or Parquet files."""

__all__: list[str] = []
