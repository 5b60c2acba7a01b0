"""A look at what an index holds, by aggregations in Elasticsearch: `overview` and its result."""

__all__: list[str] = []
