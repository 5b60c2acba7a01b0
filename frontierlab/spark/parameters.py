"""A user's values as parameters of a Spark SQL statement: times are UTC, and values never enter the SQL text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError

__all__ = ["as_parameters", "check_names", "check_values", "names_in", "no_value"]

_KINDS = "a text, a number, a truth value, a date or time, a timedelta, bytes, None, or a list of one kind of them"


def names_in(statement: str) -> set[str]:
    """Return the names of a statement's parameters; strings, quoted names and comments have none.

    Raises
    ------
    sqlglot.errors.TokenError
        A string or quoted name does not end.
    """
    import sqlglot

    tokens = sqlglot.tokenize(f"({statement}", read="spark")  # it would not look into a text that begins with EXPLAIN
    return {name.text for mark, name in pairwise(tokens) if mark.text == ":" and name.start == mark.end + 1}


def check_names(statement: str, parameters: Mapping[str, object]) -> None:
    """Raise unless a statement uses each given parameter.

    Spark itself refuses a statement that has a parameter without a value.

    Raises
    ------
    InvalidRequestError
        A parameter is not in the statement.
    """
    if not parameters:
        return
    from sqlglot.errors import TokenError

    try:
        there = names_in(statement)
    except TokenError:  # Spark says better what is wrong
        return
    unused = sorted(parameters.keys() - there)
    if unused:
        known = ", ".join(f":{name}" for name in sorted(there)) or "none"
        raise InvalidRequestError(
            f"The statement has no :{unused[0]}, for which a value is given. Its parameters: {known}."
        )


def check_values(statement: str, values: Mapping[str, object]) -> None:
    """Raise unless each parameter of a valid statement has a value.

    Raises
    ------
    InvalidRequestError
        A parameter has none.
    """
    missing = sorted(names_in(statement) - values.keys())
    if missing:
        raise no_value(missing[0], values)


def no_value(name: str, values: Mapping[str, object]) -> InvalidRequestError:
    """Return the error of a parameter without a value; `values` are those of the other parameters."""
    given = ", ".join(sorted(values)) or "none"
    return InvalidRequestError(
        f"The statement has :{name}, for which no value is given; give {name}=…. Given: {given}."
    )


def as_parameters(values: Mapping[str, object]) -> dict[str, Any]:
    """Convert values to types that Spark accepts as parameters.

    A time without a zone is UTC (Spark would use the time zone of this machine). A list, tuple, set,
    array or data frame column becomes a SQL array.

    Raises
    ------
    InvalidRequestError
        Spark has no type for a value, or the value would lose digits.
    """
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: object) -> Any:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray | Mapping | np.generic):
        return _list(name, value)
    return _single(name, value)


def _list(name: str, values: Iterable[object]) -> list[Any] | np.ndarray[Any, Any]:
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise _refused(name, f"an array of {values.ndim} dimensions")
    items = [_single(name, value) for value in values]
    if any(item is None for item in items):
        raise InvalidRequestError(f"{name} has an empty value in its list, which nothing would equal: leave it out.")
    if len({type(item) for item in items}) > 1 and not all(type(item) in (int, float) for item in items):
        raise _refused(name, "a list of different kinds")
    # an array goes to Spark in one call, a list item by item
    return np.array(items, dtype=np.int64) if items and all(type(item) is int for item in items) else items


def _single(name: str, value: object) -> Any:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.datetime64 | np.timedelta64):
        if np.isnat(value):
            return None
        value = pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        if value.nanosecond if isinstance(value, pd.Timestamp) else value.nanoseconds:
            raise _refused(name, f"{value}, finer than a microsecond")
        value = value.to_pydatetime() if isinstance(value, pd.Timestamp) else value.to_pytimedelta()
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, bool | float | date | timedelta | Decimal):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return bytearray(value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return int(value)
    raise _refused(name, f"{value} of more than 64 bits" if isinstance(value, int) else f"of type {type(value)}")


def _refused(name: str, what: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name} is {what}, which cannot be a parameter of a Spark SQL statement. Give {_KINDS}."
    )
