"""Export files: from bytes to the text of documents, whatever compression, encoding and form."""

__all__: list[str] = []
