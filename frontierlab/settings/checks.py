"""Checks of paths, addresses and names in the settings; no message shows text that can be a password."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

__all__ = [
    "LONGEST_SOCKET",
    "SOCKET_SCHEME",
    "expanded",
    "require_http",
    "require_index",
    "require_instance",
    "require_redis",
    "require_unquoted",
]

SOCKET_SCHEME = "redis+socket"
"""Scheme of the URL of a Redis that listens on a Unix socket, as Celery writes it."""

LONGEST_SOCKET = 103
"""Length of a socket's path that every system takes."""

_SOCKET = re.compile(r"redis\+socket://(/[\w./%~-]+)(\?virtual_host=\d+)?")
_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:.]+(%[\w.]+)?")
_QUOTES = tuple("\"'`\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb")  # including typographic quotes
_DATABASE = re.compile(r"/?\d*/?")
_OPTIONS = re.compile(r"(\w+=[\w./%-]+&?)*")
_PASSWORD = "in a password # / @ % ? are written %23 %2F %40 %25 %3F, which may be the cause"


def expanded(path: Path) -> Path:
    """Return the absolute path, with ``~`` replaced by the home folder."""
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("there is no home folder of that user") from None


def require_unquoted(text: str) -> None:
    """Raise ValueError if a text begins or ends with a quote of any kind."""
    if text.startswith(_QUOTES) or text.endswith(_QUOTES):
        raise ValueError("it begins or ends with a quote: write it without quotes")


def require_index(name: str) -> str:
    """Return the name or pattern of one index; raise ValueError if it cannot be one."""
    if re.search(r"[#\s,]", name) or {*name} & {*_QUOTES}:
        raise ValueError(f"{name} is not the name of an index: that has no quote, no #, no comma and no space")
    return name


def require_instance(name: str) -> str:
    """Return the name of a database instance; raise ValueError if it cannot be one."""
    if not re.fullmatch(r"[A-Za-z0-9]+", name):
        raise ValueError(
            f"{name} is not the name of an instance: letters and digits, such as CONDBR2; what follows an underscore "
            "in the logs, as in CONDBR2_RO, is not part of the name"
        )
    return name


def require_http(address: str) -> None:
    """Raise ValueError unless `address` is a host or an http(s) URL."""
    url = _split(address if "://" in address else f"https://{address}")
    plain = address.split() == [address] and not url.query and not url.fragment
    if url.scheme not in ("http", "https") or not plain or not _HOST.fullmatch(url.hostname or ""):
        raise ValueError("not a host and not an http(s) URL")


def require_redis(address: str) -> None:
    """Raise ValueError if a Redis URL has invalid parts."""
    if address.startswith(SOCKET_SCHEME):
        found = _SOCKET.fullmatch(address)
        if found is None:
            raise ValueError("a Redis on a socket is written redis+socket:///path/of/the/socket?virtual_host=0")
        if len(found[1]) > LONGEST_SOCKET:
            raise ValueError(f"the path of a socket has at most {LONGEST_SOCKET} characters")
        return
    try:
        url = _split(address)
    except ValueError as error:
        raise ValueError(f"{error}; {_PASSWORD}") from None
    if not _HOST.fullmatch(url.hostname or ""):
        raise ValueError(f"not a redis:// or rediss:// URL with a host; {_PASSWORD}")
    plain = not url.fragment and _DATABASE.fullmatch(url.path) and _OPTIONS.fullmatch(url.query)
    if not plain or re.search(r"%(?![0-9A-Fa-f]{2})", address):
        raise ValueError(f"it has more than a user, a password, a host, a port and a number; {_PASSWORD}")


def _split(address: str) -> SplitResult:
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError:  # its message quotes parts of the address
        raise ValueError("not a URL: its host or its port cannot be read") from None
    return url
