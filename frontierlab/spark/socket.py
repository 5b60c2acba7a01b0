"""The Unix socket through which Spark's answers come to Python: no other program can connect to it by chance.

Spark's other way is a new TCP port for each answer, where it serves whichever program of this machine connects first.
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
    """Return the options of Spark that let its answers come through a Unix socket; none where that cannot be.

    Parameters
    ----------
    options
        The other options of the session. In a cluster, executors would read these as well, and find neither this
        machine's folder nor one that is as private: there Spark keeps to ports.
    """
    if not options["spark.master"].startswith("local") or options.get(_ENABLED) == "false" or _FOLDER in options:
        return {}
    folder = _folder()
    if folder is not None and not folder.is_dir():  # removed with an earlier Java process
        _folder.cache_clear()
        folder = _folder()
    return {} if folder is None else {_ENABLED: "true", _FOLDER: str(folder)}


def remove_with_java(session: SparkSession) -> None:
    """Let Java remove the folder when it ends: Python that is terminated or killed does not, and Java ends after it."""
    folder = session.conf.get(_FOLDER, None)
    if folder is not None and folder == str(_folder()):
        hooks, file = (getattr(session._jvm, name) for name in (_HOOKS, "java.io.File"))
        hooks.registerShutdownDeleteDir(file(folder))


@functools.cache
def _folder() -> Path | None:
    """Make a folder for this process's sockets, which have no secret: nobody else can enter it. It goes at the end."""
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
    if os.getpid() == owner:  # not at the end of a fork
        shutil.rmtree(folder, ignore_errors=True)
