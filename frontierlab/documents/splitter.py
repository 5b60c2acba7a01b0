"""This process's DuckDB that takes documents apart: one database in memory, and a connection for each thread."""

from __future__ import annotations

import atexit
import ctypes
import os
import threading

import duckdb

__all__ = ["connection"]

_lock = threading.Lock()  # held while the database is opened
_root: duckdb.DuckDBPyConnection | None = None


def connection() -> duckdb.DuckDBPyConnection:
    """Return a new connection, which the caller closes. To open a database takes a thousand times longer.

    It uses one thread, that of its caller: slices are read in parallel already.
    """
    global _root
    with _lock:
        if _root is None:
            _root = duckdb.connect(config={"threads": 1})
        return _root.cursor()


def _close_at_exit() -> None:
    if _root is not None:
        _root.close()


def _leave_to_parent() -> None:
    """Forget the database in a forked process; to close it there can crash."""
    global _root, _lock
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_root))  # never ended here
    _root, _lock = None, threading.Lock()


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
