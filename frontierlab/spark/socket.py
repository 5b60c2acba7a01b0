"""The Unix socket that brings Spark's results to Python. No other program can connect to it by chance.

By default, Spark opens a new TCP port for each result and serves the first program that connects.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import socket
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["remove_with_java", "socket_options"]

_ENABLED = "spark.python.unix.domain.socket.enabled"
_FOLDER = "spark.python.unix.domain.socket.dir"
_LONGEST = 103  # characters of a socket's path: 103 on a Mac, 107 on Linux
_HOOKS = "org.apache.spark.util.ShutdownHookManager"
_NAME = len("/.01234567-89ab-cdef-0123-456789abcdef.sock")


def socket_options(options: Mapping[str, str]) -> dict[str, str]:
    """Return the Spark options for results through a Unix socket; an empty dict if that is not possible.

    Parameters
    ----------
    options
        The other options of the session. Executors of a cluster read these options too, but do not have this
        machine's private folder. So a session on a cluster keeps using ports.
    """
    if not options["spark.master"].startswith("local") or options.get(_ENABLED) == "false" or _FOLDER in options:
        return {}
    folder = _folder()
    if folder is not None and not folder.is_dir():  # an earlier Java process removed it
        _folder.cache_clear()
        folder = _folder()
    return {} if folder is None else {_ENABLED: "true", _FOLDER: str(folder)}


def remove_with_java(session: SparkSession) -> None:
    """Make Java remove the socket folder when Java ends: a killed Python process cannot, and Java ends after it."""
    folder = session.conf.get(_FOLDER, None)
    if folder is not None and folder == str(_folder()):
        hooks, file = (getattr(session._jvm, name) for name in (_HOOKS, "java.io.File"))
        hooks.registerShutdownDeleteDir(file(folder))


@functools.cache
def _folder() -> Path | None:
    """Make a private folder for this process's sockets, which have no password; it is removed when Python ends."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    for parent in (tempfile.gettempdir(), "/tmp"):
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix="frontierlab-", dir=parent))  # of mode 0700
            if len(str(folder)) + _NAME <= _LONGEST:
                atexit.register(_remove, folder, os.getpid())
                return folder
            folder.rmdir()
    return None


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # not when a forked child ends
        shutil.rmtree(folder, ignore_errors=True)
