"""A synthetic Frontier: documents, catalogue and payloads, with the truth known beside them.

A `World` stands in for the real thing in tests, demonstrations and a first try: it makes the documents of an
Elasticsearch index (or of an export file), the catalogue and the payloads that COOLR would give, and knows
which log rows and which caching figures must come of them. A small one is part of the package:
``path()`` is its export file and `settings` points at its catalogue.
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
    """Return where a file of the shipped sample lies.

    Parameters
    ----------
    name
        ``documents.ndjson.zst`` (the documents of ``World()``, one a line), ``catalogue.parquet`` or
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
    """Return settings that use the shipped catalogue; the rest is the default, or what ``changes`` says.

    Parameters
    ----------
    changes
        Settings by name, as for `frontierlab.Settings`.
    """
    from frontierlab.settings import Settings

    return Settings(**_ours() | changes)


def with_sample(settings: Settings) -> Settings:
    """Return settings that use the shipped catalogue and payloads, and are otherwise as they were."""
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
    """Create an index and put the documents of a world into it; see `frontierlab.sample.world.loading.load`."""
    from frontierlab.sample.world import loading

    return loading.load(client, world, index, mapping=mapping, progress=progress)
