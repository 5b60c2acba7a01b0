"""Upload files from the user's machine, and download files to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets

from frontierlab.errors import InvalidRequestError
from frontierlab_widgets.drawn_by_page import DrawnByPage
from frontierlab_widgets.formatting import megabytes

__all__ = ["Download", "MOST_DOWN", "MOST_UP", "Upload"]

_STATIC = Path(__file__).parent / "static"

MOST_UP = 5_000_000
"""Largest upload in bytes; the websocket of the notebook fails at about 10 MB."""

MOST_DOWN = 200_000_000
"""Largest download in bytes; the browser holds the file in memory."""


UPLOAD_SECONDS = 60.0
"""Seconds that an upload may take from the browser to the kernel."""


class Upload(DrawnByPage):
    """Uploads a file from the user's machine.

    The page announces a file before it sends it: a file that is too large is not sent, and a lost one is noticed.
    (`ipywidgets.FileUpload` sends at once; what the websocket does not carry, such as 15 MB, is lost without an error.)

    Parameters
    ----------
    take
        Called with the name and the content of the file.
    refuse
        Called with the error if the file is too large, cannot be read, or does not arrive.
    accept
        Accepted suffixes, separated by commas.
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
        self._coming: threading.Timer | None = None
        self.on_msg(self._received)

    def _received(self, _: Any, content: dict[str, Any], buffers: list[Any]) -> None:
        if self._coming is not None:
            self._coming.cancel()
            self._coming = None
        name, size = Path(content["name"]).name, content["size"]
        if content.get("unreadable"):
            self._refuse(InvalidRequestError(f"The browser cannot read {name}: {content['unreadable']}"))
        elif size > self.most or (buffers and len(buffers[0]) > self.most):
            self._refuse(
                InvalidRequestError(
                    f"{name} has {megabytes(size)}, and a transfer through the browser has {self.most / 1e6:g} MB "
                    "at most. Copy it to the server, and give its path there."
                )
            )
        elif buffers:
            self._take(name, bytes(buffers[0]))
        else:
            self._coming = threading.Timer(UPLOAD_SECONDS, self._refuse, [_lost(name, size)])
            self._coming.daemon = True
            self._coming.start()


def _lost(name: str, size: int) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name} ({megabytes(size)}) did not arrive within {UPLOAD_SECONDS:g} s: the connection lost it. Upload "
        "it again, or copy it to the server, and give its path there."
    )


class Download(DrawnByPage):
    """Downloads a file to the user's machine."""

    _esm = _STATIC / "download.js"

    def give(self, path: Path, name: str) -> None:
        """Send a file to the browser.

        Raises
        ------
        InvalidRequestError
            The file is too large.
        """
        size = path.stat().st_size
        if size > MOST_DOWN:
            raise InvalidRequestError(
                f"{name} has {megabytes(size)}, and a transfer through the browser has {megabytes(MOST_DOWN)} at most. "
                "Write it to a path on the server instead."
            )
        self.send({"name": name}, [path.read_bytes()])
