"""From a document to a typed row: the fast reader, the lenient reader, completion."""

__all__: list[str] = []
