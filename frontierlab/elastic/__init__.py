"""The Elasticsearch client: reads an index in pages and slices."""

__all__: list[str] = []
