"""The embedded sample: a small world whose documents, catalogue and payloads are files of the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from frontierlab.errors import InvalidRequestError

if TYPE_CHECKING:
    from frontierlab.settings import Settings

__all__ = ["FILES", "path", "settings", "with_sample"]

FILES = ("catalogue.parquet", "documents.ndjson.zst", "payloads.parquet")
"""The names of the files of the sample."""


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
        The sample has no file with that name.
    """
    if name not in FILES:
        raise InvalidRequestError(f"The sample has no file {name!r}: choose one of {', '.join(FILES)}.")
    return Path(__file__).parent / "data" / name


def settings(**changes: Any) -> Settings:
    """Return settings with the catalogue and the payloads of the sample.

    Parameters
    ----------
    changes
        Other settings by name, as for `frontierlab.Settings`.
    """
    from frontierlab.settings import Settings

    return Settings(**_of_sample() | changes)


def with_sample(settings: Settings | None) -> Settings:
    """Return a copy of the settings with the catalogue and the payloads of the sample.

    Parameters
    ----------
    settings
        None for the defaults: then neither the configuration file nor the environment is read.
    """
    from frontierlab.settings import Settings as AllSettings

    return (AllSettings.model_construct() if settings is None else settings).model_copy(update=_of_sample())


def _of_sample() -> dict[str, Any]:
    return {"coolr_file": path("catalogue.parquet"), "coolr_archive": path("payloads.parquet").parent}
