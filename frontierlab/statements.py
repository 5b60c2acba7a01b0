"""What filters are made of: a parametrised statement, the conditions on the queries, the call.

Values never enter the text of a statement: they are named parameters, a list one parameter a value.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, SupportsIndex, TypedDict, cast

import pandas as pd

from frontierlab import spark
from frontierlab.errors import InvalidRequestError
from frontierlab.times import from_milliseconds, parse_time

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Filter", "Statement", "Where", "Within", "as_filter", "in_words", "where_clause"]

P = ParamSpec("P")


class Within(TypedDict, total=False):
    """The keywords that every filter takes, but for the database; see `frontierlab.filters`."""

    since: str | date | datetime | None
    until: str | date | datetime | None
    schema: str | Iterable[str] | None
    nodefullpath: str | Iterable[str] | None
    taskid: int | Iterable[int] | None


class Where(Within, total=False):
    """The keywords that every filter takes; see `frontierlab.filters`."""

    db: str | Iterable[str] | None


@dataclass(frozen=True)
class Statement:
    """A filter's Spark SQL statement.

    ``print`` shows the SQL with its parameters; ``spark.sql(statement.text, args=statement.args,
    logs=logs)`` runs it by hand.

    Parameters
    ----------
    name
        The filter's name.
    text
        The SQL; ``{logs}`` stands for the logs.
    args
        The values of the named parameters.
    selection
        Which queries it counts, in words; empty where it counts all.
    bin_seconds
        Width of a time bin, where the answer has time bins.
    finish
        What is done to Spark's answer afterwards.
    """

    name: str
    text: str
    args: Mapping[str, Any]
    selection: str = ""
    bin_seconds: float | None = None
    finish: Callable[[pd.DataFrame], pd.DataFrame] = field(default=lambda frame: frame, repr=False, compare=False)

    def __str__(self) -> str:
        values = (v.isoformat(timespec="milliseconds") if isinstance(v, datetime) else v for v in self.args.values())
        return "\n".join([self.text, *(f"-- :{n} = {v!r}" for n, v in zip(self.args, values, strict=True))])


class Filter(Protocol[P]):
    """A question: called with logs it answers, with ``sql`` it shows its statement."""

    __name__: str

    def __call__(self, logs: DataFrame, *args: P.args, **kwargs: P.kwargs) -> pd.DataFrame:
        """Ask the logs."""
        ...

    def sql(self, *args: P.args, **kwargs: P.kwargs) -> Statement:
        """Return the statement that the call would run, after the same checks."""
        ...


def as_filter(build: Callable[P, Statement]) -> Filter[P]:
    """Make a filter of the function that builds its statement."""

    @wraps(build)
    def ask(logs: DataFrame, *args: P.args, **kwargs: P.kwargs) -> pd.DataFrame:
        statement = build(*args, **kwargs)
        description = " ".join(filter(None, (statement.name, statement.selection)))
        frame = statement.finish(spark.run(logs, statement.text, statement.args, description=description))
        frame.attrs |= {"selection": statement.selection, "bin_seconds": statement.bin_seconds}
        return frame

    logs = inspect.Parameter("logs", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="DataFrame")
    own = [p for p in inspect.signature(build).parameters.values() if p.kind is not p.VAR_KEYWORD]
    common = inspect.signature(where_clause).parameters.values()
    rest = [p for p in common if p.name not in {mine.name for mine in own}]
    shown = inspect.Signature([logs, *own, *rest], return_annotation="pd.DataFrame")
    ask.__signature__ = shown  # type: ignore[attr-defined]
    ask.sql = build  # type: ignore[attr-defined]
    return cast("Filter[P]", ask)


def where_clause(
    *,
    since: str | date | datetime | None = None,
    until: str | date | datetime | None = None,
    db: str | Iterable[str] | None = None,
    schema: str | Iterable[str] | None = None,
    nodefullpath: str | Iterable[str] | None = None,
    taskid: int | Iterable[int] | None = None,
) -> tuple[str, dict[str, Any], str]:
    """Return the WHERE clause, the values of its parameters, and what it selects in words."""
    args: dict[str, Any] = {}
    conditions, words = [], []
    for column, values in (
        ("db", _values("db", db, _name)),
        ("schema", _values("schema", schema, _name)),
        ("nodefullpath", _values("nodefullpath", nodefullpath, _name)),
        ("taskid", _values("taskid", taskid, _number)),
    ):
        names = [column] if len(values) == 1 else [f"{column}_{i}" for i in range(len(values))]
        if values:
            marks = ", ".join(f":{name}" for name in names)
            conditions.append(f"{column} = {marks}" if len(values) == 1 else f"{column} IN ({marks})")
            args |= zip(names, values, strict=True)
            words.append(
                f"{column} {', '.join(map(str, values[:3]))}{f' and {len(values) - 3} more' * (len(values) > 3)}"
            )
    first = None if since is None else parse_time(since)
    last = None if until is None else parse_time(until)
    if first is not None and last is not None and last <= first:
        raise InvalidRequestError(f"until ({in_words(last)}) must be later than since ({in_words(first)}).")
    for name, sign, moment in (("since", ">=", first), ("until", "<", last)):
        if moment is not None:
            conditions.append(f"time {sign} :{name}")
            args[name] = moment
            words.append(f"{'from' if name == 'since' else 'to'} {in_words(moment)}")
    return "\nWHERE " + "\n  AND ".join(conditions) if conditions else "", args, ", ".join(words)


def _values(name: str, values: object, read: Callable[[str, object], Any]) -> list[Any]:
    if values is None:
        return []
    several = isinstance(values, Iterable) and not isinstance(values, str | bytes)
    found = list(
        dict.fromkeys(read(name, value) for value in (cast("Iterable[object]", values) if several else (values,)))
    )
    if not found:
        raise InvalidRequestError(f"{name} is an empty list, which nothing could match; leave {name} out to take all.")
    return found


def _name(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name}={value!r}: give text, or a list of texts.")
    return str(value)


def _number(name: str, value: object) -> int:
    try:
        number = operator.index(cast("SupportsIndex", value))
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not -(2**63) <= number < 2**63:
        raise InvalidRequestError(f"{name}={value!r}: give a whole number of 64 bits, or a list of them.")
    return number


def in_words(moment: datetime | int) -> str:
    """Write a time as people read it; UTC."""
    if isinstance(moment, int):
        moment = from_milliseconds(moment)
    digits = "milliseconds" if moment.microsecond else "seconds" if moment.second else "minutes"
    return f"{moment.replace(tzinfo=None).isoformat(' ', digits)} UTC"
