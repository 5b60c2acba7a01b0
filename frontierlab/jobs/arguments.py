"""Arguments of a job: values that JSON can hold and that the job's function takes."""

from __future__ import annotations

import inspect
import math
import numbers
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.periods import Period
from frontierlab.util.times import format_time, parse_time

__all__ = ["OURS", "as_json", "checked_names", "takes"]

OURS = ("settings", "session", "coolr", "progress", "cancelled", "context", "dry_run", "share", "take_over")
"""Parameters that the job itself provides; the user does not give them."""


def takes(function: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that a job of this function takes."""
    return [name for name in inspect.signature(function).parameters if name not in OURS]


def checked_names(kind: str, function: Callable[..., Any], given: Mapping[str, Any], more: Sequence[str] = ()) -> None:
    """Check the names of the arguments: none is unknown, and no required one is missing.

    The names in `more` are valid too.

    Raises
    ------
    InvalidRequestError
        The message lists the valid names.
    """
    valid = [*takes(function), *more]
    for name in given:
        if name not in valid:
            raise InvalidRequestError(f"A job of kind {kind} has no argument {name!r}. Valid: {', '.join(valid)}.")
    parameters = inspect.signature(function).parameters
    for name in takes(function):
        if parameters[name].default is inspect.Parameter.empty and name not in given:
            raise InvalidRequestError(f"A job of kind {kind} needs the argument {name}. Valid: {', '.join(valid)}.")


def as_json(name: str, value: Any) -> Any:
    """Return an argument as JSON: times as ISO 8601 in UTC, datasets as names, periods and selections as objects.

    Raises
    ------
    InvalidRequestError
        JSON cannot hold the value.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, date):
        return format_time(parse_time(value))
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, os.PathLike):
        return str(Path(value).expanduser().absolute())
    if isinstance(value, Dataset):
        return value.name
    if isinstance(value, Period):
        names = [one.name for one in value.datasets]
        chosen = dict(zip(("since", "until"), map(partial(as_json, name), value.window), strict=True))
        return {"names": names, **chosen, "overlaps": value.overlaps}
    if isinstance(value, pd.DataFrame):
        return [as_json(name, row) for row in value.itertuples(index=False, name=None)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: as_json(name, item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(name, item) for item in value]
    raise InvalidRequestError(
        f"{name}={value!r} is not valid: arguments of a job are texts, numbers, True, False, None, times, paths, "
        "datasets of the data folder, periods of them, and lists and dicts of these."
    )
