"""A synthetic Frontier: documents, catalogue and payloads, with their truth.

A `World` replaces the real services in tests, demonstrations and first trials. It generates the documents of an
Elasticsearch index or an export file, and the catalogue and payloads of COOLR. It also knows the log rows and caching
figures that must result. The package contains a small world: ``path()`` is its export file, and `settings` points to
its catalogue.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from frontierlab.errors import InvalidRequestError
from frontierlab.sample.world.world import Chunk, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from elasticsearch import Elasticsearch

    from frontierlab.settings import Settings

__all__ = ["Chunk", "World", "load", "path", "settings", "with_sample"]

SHIPPED = ("catalogue.parquet", "documents.ndjson.zst", "payloads.parquet")


def path(name: str = "documents.ndjson.zst") -> Path:
    """Return the path of a file of the embedded sample.

    Parameters
    ----------
    name
        ``documents.ndjson.zst`` (the documents of ``World()``, one per line), ``catalogue.parquet`` or
        ``payloads.parquet``.

    Raises
    ------
    frontierlab.errors.InvalidRequestError
        For another name.
    """
    if name not in SHIPPED:
        raise InvalidRequestError(f"the sample has no file {name!r}: choose one of {', '.join(SHIPPED)}")
    return Path(__file__).parent / "data" / name


def settings(**changes: Any) -> Settings:
    """Return settings with the catalogue of the sample; the others are defaults, or taken from ``changes``.

    Parameters
    ----------
    changes
        Settings by name, as for `frontierlab.Settings`.
    """
    from frontierlab.settings import Settings

    return Settings(**_ours() | changes)


def with_sample(settings: Settings) -> Settings:
    """Return a copy of the settings with the catalogue and payloads of the sample."""
    return settings.model_copy(update=_ours())


def _ours() -> dict[str, Any]:
    return {"coolr_file": path("catalogue.parquet"), "coolr_archive": path("payloads.parquet").parent}


def load(
    client: Elasticsearch,
    world: World,
    index: str = "frontier_sql",
    *,
    mapping: Literal["standard", "text", "strings"] = "standard",
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Create an index and load the documents of a world; see `frontierlab.sample.world.loading.load`."""
    from frontierlab.sample.world import loading

    return loading.load(client, world, index, mapping=mapping, progress=progress)
