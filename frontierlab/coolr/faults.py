"""What failed HTTP calls mean: whether a retry can help, when, and the cause in a few words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests
import urllib3

__all__ = ["cause_of", "is_final", "is_late", "is_unknown_host", "retry_after"]

_TEMPORARY = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
_CONNECTION = re.compile(r"^HTTPS?Connection(Pool)?\(.*?\): ")  # the begin of urllib3's messages


def retry_after(value: str) -> float:
    """Return the seconds of a Retry-After header, given as a number or a date; 0 if it is neither."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def is_late(error: requests.RequestException) -> bool:
    """Return whether the server was silent for longer than the timeout, before or within its response."""
    # a timeout within the body is a ConnectionError around urllib3's ReadTimeoutError
    return isinstance(error, requests.ReadTimeout) or isinstance(_inner(error), urllib3.exceptions.ReadTimeoutError)


def is_unknown_host(error: requests.RequestException) -> bool:
    """Return whether the name of the host could not be resolved."""
    return isinstance(getattr(_inner(error), "reason", None), urllib3.exceptions.NameResolutionError)


def is_final(error: requests.RequestException) -> bool:
    """Return whether a retry cannot help."""
    return isinstance(error, requests.exceptions.SSLError) or not isinstance(error, _TEMPORARY)


def cause_of(error: requests.RequestException) -> str:
    """Return the innermost message of an error, without addresses of Python objects."""
    inner = _inner(error) or error
    return _CONNECTION.sub("", str(getattr(inner, "reason", None) or inner))


def _inner(error: requests.RequestException) -> object:
    return error.args[0] if error.args else None
