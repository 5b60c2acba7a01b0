"""COOLR: the folders and tags of the conditions database and their payloads, from a server or an archive.

`connect` returns the server or archive that the settings name; both have the same methods.
`frontierlab.catalogues` builds the catalogue from either.
"""

from __future__ import annotations

import threading
from datetime import datetime

from frontierlab.coolr.archive import Archive, Recorded
from frontierlab.coolr.cache import AnswersNotKept
from frontierlab.coolr.calls import Cancelled
from frontierlab.coolr.client import Coolr
from frontierlab.coolr.protocol import Failure, Source
from frontierlab.coolr.responses import Node, Tag
from frontierlab.settings import Settings

__all__ = ["AnswersNotKept", "Archive", "Cancelled", "Coolr", "Failure", "Node", "Recorded", "Source", "Tag", "connect"]


def connect(
    settings: Settings | None = None,
    *,
    cancelled: threading.Event | None = None,
    newer_than: datetime | None = None,
) -> Coolr | Archive:
    """Return the archive ``coolr_archive`` if it is set, or else the server ``coolr_host``.

    Parameters
    ----------
    settings
        By default ``Settings()``.
    cancelled, newer_than
        See `Coolr`; an archive uses neither.

    Raises
    ------
    ConfigurationError
        Neither is set.
    CoolrError
        The folder is not an archive.

    Examples
    --------
    >>> import frontierlab as fl
    >>> archive = fl.coolr.Archive(fl.sample.path("payloads.parquet").parent)
    >>> archive.tags("CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib")[0]
    Tag(tagname='PixCalib-RUN2-DATA-UPD4-12', tag_id=1)
    """
    settings = settings or Settings()
    if settings.coolr_archive is not None:
        return Archive(settings.coolr_archive)
    return Coolr(settings, cancelled=cancelled, newer_than=newer_than)
