"""Where a page may be written."""

from __future__ import annotations

import os
from pathlib import Path

from frontierlab.errors import InvalidRequestError

__all__ = ["target_of"]


def target_of(path: str | os.PathLike[str], example: str) -> Path:
    """Return the absolute path of the page to write.

    Raises
    ------
    InvalidRequestError
        `path` is a folder, or does not end in ``.html``; the message suggests the file name `example`.
    """
    target = Path(path).expanduser().absolute()
    if target.is_dir():
        raise InvalidRequestError(f"{target} is a folder: give the path of a file in it, such as {example}.")
    if target.suffix.lower() != ".html":
        raise InvalidRequestError(
            f"{target.name} cannot be written: a page is HTML, so give a path that ends in .html, such as {example}."
        )
    return target
