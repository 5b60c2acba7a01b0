"""Open the source of a request: an Elasticsearch index or an export file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from frontierlab.extraction.elastic_source import ElasticSource
from frontierlab.extraction.file_source import FileSource
from frontierlab.extraction.options import ExtractionOptions
from frontierlab.extraction.request import Request
from frontierlab.extraction.sources import DocumentSource

__all__ = ["open_source"]


def open_source(
    request: Request,
    options: ExtractionOptions,
    cancelled: threading.Event,
    search: Mapping[str, Any] | None = None,
    waiting: Callable[[], object] | None = None,
) -> DocumentSource:
    """Open the source of a request; the caller closes it.

    Parameters
    ----------
    request, options
        The request, and the options for it.
    cancelled
        Set it to end waiting and reading.
    search
        The ``search`` of an earlier source of the same extraction; see `ElasticSource`.
    waiting
        Called a few times a second while this thread waits for a server; ends the wait by raising.

    Raises
    ------
    ElasticsearchError
        The index cannot be reached, cannot be filtered as requested, or lacks values that a row needs.
    InvalidRequestError
        The file cannot be read.
    """
    if options.elastic is None:
        return FileSource(request, options.slices, drop_duplicates=options.drop_duplicates)
    from frontierlab.elastic.client import Index  # with its client, which a file does not need

    index = Index(options.elastic, cancelled, waiting)
    try:
        return ElasticSource(request, index, options.elastic.page, options.elastic.slices, search)
    except BaseException:
        index.close()
        raise
