"""A synthetic Frontier: documents, catalogue and payloads, with their truth.

The embedded sample is a small world in files: ``path()`` is its export file, and ``settings()`` names its catalogue
and its payloads. Importing this package does not import the generator. The generator is `World`: it replaces the real
services in tests, demonstrations and first trials. It generates the documents of an Elasticsearch index or of an export
file, and the catalogue and payloads of COOLR. It also knows the log rows and caching figures that must result.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = sorted(__all__)
