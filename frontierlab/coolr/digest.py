"""Digests of payloads: two payloads have equal values if and only if their digests are equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

__all__ = ["digest"]

_quoted = json.JSONEncoder(ensure_ascii=False).encode
"""Writes a text as JSON; `json.dumps` would make an encoder for each."""


def digest(values: Sequence[Any]) -> str:
    """Return a digest of a payload's values: 32 hexadecimal digits.

    Parameters
    ----------
    values
        Parsed JSON, with Decimal for every fraction, so that nothing is rounded. Numbers are compared
        by value (1, 1.0 and 1e0 are equal), and objects regardless of key order. A number and its
        text are different.
    """
    text = _canonical(list(values))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _canonical(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return _number("-" if value < 0 else "", str(abs(value)), 0)
    if isinstance(value, Decimal):
        sign, digits, exponent = value.as_tuple()
        if not isinstance(exponent, int):
            return str(value)  # NaN and infinities, which some servers send
        return _number("-" if sign else "", "".join(map(str, digits)), exponent)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_canonical(key)}:{_canonical(value[key])}" for key in sorted(value)) + "}"
    return "[" + ",".join(map(_canonical, value)) + "]"


def _number(sign: str, digits: str, exponent: int) -> str:
    digits = digits.lstrip("0")
    plain = digits.rstrip("0")
    return f"{sign}{plain}e{exponent + len(digits) - len(plain)}" if plain else "0"
