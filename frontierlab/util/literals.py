"""Write values as Python code, for a repr and for code that users copy."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

__all__ = ["literal"]


def literal(value: Any) -> str:
    """Write a value as the Python code that makes it, with double quotes.

    Parameters
    ----------
    value
        Text, a number, a flag, None, a path (written as text), or a list, tuple (written as a list) or dict of these.
    """
    if isinstance(value, PurePath):
        return literal(str(value))
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(key)}: {literal(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, str) and value.isprintable():
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
