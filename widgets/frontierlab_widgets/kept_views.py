"""Views of dashboards as small files in the data folder: those that users keep by name, and the last ones."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from frontierlab import Settings
from frontierlab.errors import FrontierlabError, InvalidRequestError
from frontierlab.util.files import reason, replacing

__all__ = ["LAST", "ViewKeeper", "forget_old_views", "keep_view", "kept_views", "last_view", "new_key", "read_view"]

LAST = "last"
"""The name of the view that a dashboard kept by itself most recently, of all dashboards of the data folder."""

_MOST = 20  # views that dashboards keep by themselves; the oldest ones are removed
_NAME = re.compile(r"[\w-][\w .-]{0,99}")
_PAUSE = 0.5  # seconds after a change until the view is written, so that several changes are one file


def new_key() -> str:
    """Return the name under which a new dashboard keeps its view by itself."""
    return f"{LAST}-{secrets.token_hex(4)}"


def keep_view(name: str, state: Mapping[str, Any], settings: Settings) -> Path:
    """Write a view. An earlier one of the name is replaced in one step, and stays if this fails.

    Raises
    ------
    InvalidRequestError
        The name is not valid, or the file cannot be written.
    """
    path = _path(name, settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, 0o600) as temporary:
            temporary.write_text(json.dumps(state, indent=1), encoding="utf-8")
    except OSError as error:
        raise InvalidRequestError(f"The view is not kept, because {reason(error, path)}.") from error
    return path


def read_view(name: str, settings: Settings) -> dict[str, Any]:
    """Return a view that was kept; ``last`` is the last one that a dashboard kept by itself.

    Raises
    ------
    InvalidRequestError
        There is none of this name, or its file is damaged.
    """
    path = last_view(settings) if name == LAST else _path(name, settings)
    try:
        text = "" if path is None else path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{path} cannot be read: {error}.") from error
    if not text:
        known = ", ".join(kept_views(settings)) or "none yet"
        raise InvalidRequestError(f"There is no view {name!r} in {settings.data_dir / 'views'}. There are: {known}.")
    try:
        state: dict[str, Any] = dict(json.loads(text))
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"{path} is not a view: {error}.") from error
    return state


def kept_views(settings: Settings) -> list[str]:
    """Return the names of the views that users kept, in order."""
    found = (settings.data_dir / "views").glob("[!.]*.json")
    return sorted(path.stem for path in found if not _is_automatic(path))


def last_view(settings: Settings) -> Path | None:
    """Return the file of the view that a dashboard kept by itself most recently."""
    return next(iter(_automatic(settings)), None)


class ViewKeeper:
    """Writes the view of a dashboard shortly after each change, in a thread.

    Parameters
    ----------
    write
        Writes the view; its errors are told once, until it succeeds again.
    fail
        Called with the error.
    """

    def __init__(self, write: Callable[[], object], fail: Callable[[BaseException], object]) -> None:
        self._write, self._fail = write, fail
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._failed = False
        self._ended = False

    def changed(self, _: object = None) -> None:
        """Write the view soon."""
        with self._lock:
            if self._timer is None and not self._ended:
                self._timer = threading.Timer(_PAUSE, self.now)
                self._timer.daemon = True
                self._timer.start()

    def now(self) -> None:
        """Write the view."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        try:
            self._write()
        except FrontierlabError as error:
            if not self._failed:
                self._fail(error)
            self._failed = True
        else:
            self._failed = False

    def end(self) -> None:
        """Write a change that is still to be written, and no further one."""
        with self._lock:
            due, self._ended = self._timer is not None, True
        if due:
            self.now()


def forget_old_views(settings: Settings) -> None:
    """Remove the oldest views that dashboards kept by themselves."""
    for path in _automatic(settings)[_MOST:]:
        path.unlink(missing_ok=True)


def _automatic(settings: Settings) -> list[Path]:
    """Return the files of views that dashboards kept by themselves, the newest first."""
    found = []
    for path in (settings.data_dir / "views").glob(f"{LAST}-*.json"):
        try:
            found.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:  # another dashboard has removed it
            continue
    return [path for _, path in sorted(found, reverse=True) if _is_automatic(path)]


def _is_automatic(path: Path) -> bool:
    return re.fullmatch(rf"{LAST}-[0-9a-f]{{8}}", path.stem) is not None


def _path(name: str, settings: Settings) -> Path:
    if not _NAME.fullmatch(name) or name == LAST:
        raise InvalidRequestError(
            f"{name!r} is not a name of a view. Valid: up to 100 letters, digits, spaces, dots, dashes and underscores "
            f"that do not begin with a dot, and not {LAST!r}."
        )
    return settings.data_dir / "views" / f"{name}.json"
