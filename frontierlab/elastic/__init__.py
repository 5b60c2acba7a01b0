"""The Elasticsearch client: paged, sliced reading of an index."""

__all__: list[str] = []
