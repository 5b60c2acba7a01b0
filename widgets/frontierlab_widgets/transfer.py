"""Files from the reader's machine, and to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from frontierlab.errors import InvalidRequestError
from frontierlab_widgets.words import megabytes

__all__ = ["Download", "MOST_DOWN", "MOST_UP", "Upload"]

_STATIC = Path(__file__).parent / "static"

MOST_UP = 5_000_000
"""Bytes of a file that comes through the browser; the notebook's socket gives up at about 10 MB."""

MOST_DOWN = 200_000_000
"""Bytes of a file that goes through the browser, which holds it in memory."""


class Upload(anywidget.AnyWidget):
    """Takes a file from the reader's machine.

    Parameters
    ----------
    take
        Called with its name and its content.
    refuse
        Called with the error where it is too large.
    accept
        Suffixes, with commas between them.
    """

    _esm = _STATIC / "upload.js"

    accept = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode("Upload a file").tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    most = traitlets.Int(MOST_UP).tag(sync=True)

    def __init__(
        self, take: Callable[[str, bytes], object], refuse: Callable[[InvalidRequestError], object], accept: str
    ) -> None:
        super().__init__(accept=accept)
        self._take = take
        self._refuse = refuse
        self.on_msg(self._received)

    def _received(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        if not buffers or len(buffers[0]) > self.most:
            self._refuse(
                InvalidRequestError(
                    f"{content['name']} has {megabytes(content['size'])}, and through the browser go "
                    f"{self.most / 1e6:g} MB at most. Copy it to the server, and give its path there."
                )
            )
        else:
            self._take(Path(content["name"]).name, bytes(buffers[0]))


class Download(anywidget.AnyWidget):
    """Gives a file to the reader's machine."""

    _esm = _STATIC / "download.js"

    def give(self, path: Path, name: str) -> None:
        """Hand a file to the browser.

        Raises
        ------
        InvalidRequestError
            It is too large for that.
        """
        size = path.stat().st_size
        if size > MOST_DOWN:
            raise InvalidRequestError(
                f"{name} has {megabytes(size)}, and through the browser go {megabytes(MOST_DOWN)} at most. Write it to "
                "a path on the server instead."
            )
        self.send({"name": name}, [path.read_bytes()])
