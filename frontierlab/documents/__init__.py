"""Turn documents into typed rows: the fast reader, the lenient reader, completion."""

__all__: list[str] = []
