"""What an error message of a servlet says failed."""

from __future__ import annotations

import re

__all__ = ["error_of", "is_abort"]

_ORACLE = re.compile(rb"\bORA-\d{5}\b")
_CLASS = re.compile(rb"(?:^|[\s:])(?:[a-z_]\w*\.)*([A-Z]\w*(?:Exception|Error|Throwable))\b")
_ABORTED = b"ClientAbortException"


def is_abort(text: bytes) -> bool:
    """Whether the trace of an error begins with the exception of a client that went away (before 3.30)."""
    _, _, trace = text.partition(b"\n")
    return _ABORTED in (trace.partition(b"\n")[0] or text)


def error_of(text: bytes) -> str | None:
    """Return Oracle's number of an error, or the class of the exception; nothing that could be personal."""
    head = text[:4_000]
    found = _ORACLE.search(head)
    if found is not None:
        return found[0].decode()
    named = _CLASS.search(head.partition(b":")[2])
    return None if named is None else named[1].decode("ascii", "backslashreplace")[:100]
