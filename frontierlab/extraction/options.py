"""What an extraction takes from the settings, beside its request."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from frontierlab.catalogue import Catalogue
from frontierlab.coolr import refresh as catalogues
from frontierlab.elastic.connection import ElasticOptions
from frontierlab.extraction.request import Request
from frontierlab.settings import Settings
from frontierlab.util.progress import ProgressCallback

__all__ = ["CatalogueOptions", "ExtractionOptions"]


@dataclass(frozen=True)
class CatalogueOptions:
    """The catalogue that completes the rows.

    Parameters
    ----------
    path
        Its file, which may be missing.
    needs_refresh
        Whether it is missing, old or partial.
    current
        Refreshes it from COOLR if needed; returns it, and sentences about its problems.
    """

    path: Path
    needs_refresh: Callable[[], bool]
    current: Callable[[bool | ProgressCallback], tuple[Catalogue, list[str]]]


@dataclass(frozen=True)
class ExtractionOptions:
    """How an extraction is done, on this machine.

    Parameters
    ----------
    part_documents
        Number of documents in a part.
    slices
        Number of threads that read a part.
    drop_duplicates
        Whether documents of a file that repeat an earlier one are left out.
    elastic
        The Elasticsearch; None for an export file.
    catalogue
        The catalogue; None if ids and names are left as they were logged.
    """

    part_documents: int
    slices: int
    drop_duplicates: bool
    elastic: ElasticOptions | None
    catalogue: CatalogueOptions | None

    @classmethod
    def of(cls, settings: Settings, request: Request) -> ExtractionOptions:
        """Take from settings what a request needs.

        Raises
        ------
        ConfigurationError
            The request is for an index, and ``es_address`` or ``es_index`` is not set.
        """
        catalogue = CatalogueOptions(
            settings.catalogue_path,
            functools.partial(catalogues.needs_refresh, settings),
            functools.partial(catalogues.current, settings),
        )
        return cls(
            part_documents=settings.part_documents,
            slices=settings.es_slices,
            drop_duplicates=settings.drop_duplicates,
            elastic=ElasticOptions.of(settings) if request.index else None,
            catalogue=catalogue if request.complete else None,
        )
