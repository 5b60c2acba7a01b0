"""Export files: read the text of documents from a file of any supported compression, encoding and form."""

__all__: list[str] = []
