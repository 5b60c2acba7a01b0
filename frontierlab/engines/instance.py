"""This process's DuckDB: one database in memory with limits, and a connection for each statement."""

from __future__ import annotations

import atexit
import ctypes
import os
import secrets
import shutil
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from frontierlab.engines.functions import macros
from frontierlab.util.files import scratch_path

__all__ = ["Limits", "connection", "spill_space"]

_RESERVE = 1 << 30  # bytes of a disk that stay free
_lock = threading.Lock()  # held while a database is opened or its limits change
_current: _Database | None = None
_scratch = ExitStack()  # the folders for intermediate results of this process, removed when it ends


@dataclass(frozen=True)
class Limits:
    """What DuckDB can use. The limits are of all statements of the process together; the latest ones apply.

    Less memory applies when the statements that use more have ended.

    Parameters
    ----------
    memory_mb
        Memory for statements, in megabytes. Intermediate results that need more go to `spill_dir`.
    threads
        The number of threads; None is one for each processor.
    spill_dir
        An existing folder for intermediate results; None is the system's folder for temporary files. DuckDB leaves
        1 GiB of its disk free.
    """

    memory_mb: int = 512
    threads: int | None = None
    spill_dir: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder for intermediate results."""
        return self.spill_dir or Path(tempfile.gettempdir())


def spill_space(limits: Limits) -> int:
    """Return how many bytes of intermediate results can go to the disk: what is free, less 1 GiB."""
    return max(shutil.disk_usage(limits.folder).free - _RESERVE, 0)


def connection(limits: Limits) -> duckdb.DuckDBPyConnection:
    """Return a new connection for one statement, which the caller closes.

    It has the functions of `frontierlab.engines.functions`, the time zone UTC, and Spark's order of nulls.

    Raises
    ------
    OSError
        The folder for intermediate results does not exist.
    duckdb.Error
        DuckDB does not accept the limits.
    """
    global _current
    space = spill_space(limits)
    with _lock:
        if _current is None or _current.folder != limits.folder:  # a database cannot change its folder
            _current = _Database(limits)  # statements that still run keep the one before until they end
        return _current.connection(limits, space)


class _Database:
    def __init__(self, limits: Limits) -> None:
        self.folder = limits.folder
        spilled = _scratch_of(limits.folder)
        self._limits = limits
        config: dict[str, Any] = {
            "autoinstall_known_extensions": "false",  # nothing is loaded from the network
            "autoload_known_extensions": "false",
            "memory_limit": f"{limits.memory_mb}MB",
            "temp_directory": str(spilled),
        }
        self.root = duckdb.connect(config=config | ({"threads": str(limits.threads)} if limits.threads else {}))
        self.root.execute(
            "SET GLOBAL TimeZone = 'UTC'; SET GLOBAL default_null_order = 'nulls_first_on_asc_last_on_desc'; "
            "SET GLOBAL python_enable_replacements = false; "  # a Python variable is not a table
            f"BEGIN; {macros()} COMMIT"
        )

    def connection(self, limits: Limits, space: int) -> duckdb.DuckDBPyConnection:
        if limits != self._limits:
            with suppress(duckdb.OutOfMemoryException):  # statements that still run have more; the next one tries again
                self.root.execute(f"SET GLOBAL memory_limit = '{limits.memory_mb}MB'")
                threads = f"SET GLOBAL threads = {limits.threads}" if limits.threads else "RESET GLOBAL threads"
                self.root.execute(threads)
                self._limits = limits
        self.root.execute(f"SET GLOBAL max_temp_directory_size = '{space}B'")
        return self.root.cursor()


def _scratch_of(folder: Path) -> Path:
    """Return the path of a folder that DuckDB makes when it needs one; remove what killed processes have left there."""
    try:
        return _scratch.enter_context(scratch_path(folder, "frontierlab-duckdb-"))
    except (OSError, NotImplementedError):  # a full disk, or one without locks; most statements need no disk
        return folder / f"frontierlab-duckdb-{secrets.token_hex(6)}"


def _close_at_exit() -> None:
    if _current is not None:
        with suppress(duckdb.Error):  # a statement still runs, in a thread that ends with the process
            _current.root.close()
    _scratch.close()


def _leave_to_parent() -> None:
    """Forget the database in a forked process, which has none of its threads and would wait for them to end it."""
    global _current, _lock, _scratch
    for parents in (_current, _scratch):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(parents))  # never ended here
    _current, _lock, _scratch = None, threading.Lock(), ExitStack()


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
