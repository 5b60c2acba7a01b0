"""The selection of queries: one immutable value that every filter, plot and panel shares."""

from __future__ import annotations

import dataclasses
import json
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, TypeAlias, TypedDict, cast, overload

from frontierlab.errors import InvalidRequestError
from frontierlab.util.literals import literal
from frontierlab.util.times import format_time, in_words, parse_time

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from frontierlab.engines.logs import Logs
    from frontierlab.storage.store import Datasets

__all__ = ["KIND_SQL", "LISTED", "QUERY_KINDS", "Selection", "WORDS", "Where", "as_selection"]

Time: TypeAlias = str | date | datetime | None
Names: TypeAlias = str | Iterable[str | None] | None
Numbers: TypeAlias = int | Iterable[int | None] | None

QUERY_KINDS = ("disconn", "rejected", "procerror", "first query")
"""The kinds of queries that were not cached: the first flag that is true, otherwise a plain miss."""

KIND_SQL = "CASE {} ELSE 'first query' END".format(" ".join(f"WHEN {flag} THEN '{flag}'" for flag in QUERY_KINDS[:-1]))
"""The kind of a query that was not cached, in SQL."""

LISTED = ("db", "schema", "nodefullpath", "tagname", "taskid", "frontierserver", "computingsite", "squid")
"""The columns of which a selection lists values."""

WORDS = {
    "db": "database",
    "schema": "schema",
    "nodefullpath": "folder",
    "tagname": "tag",
    "taskid": "task",
    "frontierserver": "server",
    "computingsite": "site",
    "squid": "Squid",
}
"""What these columns are called in titles, messages and panels: one word each."""

_NAMES = tuple(column for column in LISTED if column != "taskid")


class Where(TypedDict, total=False):
    """The fields of a `Selection` as keywords; every filter takes them."""

    since: Time
    until: Time
    db: Names
    schema: Names
    nodefullpath: Names
    tagname: Names
    taskid: Numbers
    frontierserver: Names
    computingsite: Names
    squid: Names
    cached: bool | None
    kind: str | Iterable[str] | None
    min_querytime: int | None


@dataclass(frozen=True, repr=False)
class Selection:
    """A selection of queries: those that meet every given condition.

    A selection is immutable; `but` makes a changed copy. Its ``repr`` is the code that makes it. A list
    matches any of its values. None in a list matches queries whose value is missing in the log.

    Here ``since`` and ``until`` limit the time of the query, the column ``time`` of opened logs. The IOV that a query
    asks for is something else: the columns ``iov_since`` and ``iov_until`` (in stored rows ``since`` and ``until``).

    Parameters
    ----------
    since, until
        The time of the query is in ``[since, until)``: ISO 8601 text, a date or a datetime; UTC
        if it has no zone. Stored as datetimes in UTC.
    db, schema, nodefullpath, tagname, frontierserver, computingsite, squid
        Names of database instances, schemas, folders (full path), tags, servers, sites, Squids.
        Stored as tuples.
    taskid
        Numbers of PanDA tasks. Stored as a tuple.
    cached
        True selects cached queries, False those not cached, None all (also if the log does not say).
    kind
        Kinds of queries that were not cached (`QUERY_KINDS`); this excludes cached queries.
    min_querytime
        The shortest query time in milliseconds.

    Raises
    ------
    InvalidRequestError
        A value is invalid, or two values contradict each other.

    Examples
    --------
    >>> Selection(db="CONDBR2", since="2026-10-01", taskid=[1, 2])
    Selection(since="2026-10-01", db="CONDBR2", taskid=[1, 2])
    >>> Selection(db="CONDBR2").but(db=None, cached=False)
    Selection(cached=False)
    """

    since: Any = None
    until: Any = None
    db: Any = None
    schema: Any = None
    nodefullpath: Any = None
    tagname: Any = None
    taskid: Any = None
    frontierserver: Any = None
    computingsite: Any = None
    squid: Any = None
    cached: Any = None
    kind: Any = None
    min_querytime: Any = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            if getattr(self, name) is not None:
                self._keep(name, parse_time(getattr(self, name)))
        for name in _NAMES:
            self._keep(name, _values(name, getattr(self, name), _text))
        self._keep("taskid", _values("taskid", self.taskid, _integer))
        self._keep("kind", _values("kind", self.kind, _kind))
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise InvalidRequestError(
                f"until ({in_words(self.until)}) must be later than since ({in_words(self.since)})."
            )
        if self.cached is not None and not isinstance(self.cached, bool):
            raise InvalidRequestError(f"cached={self.cached!r}: give True, False, or None for both.")
        if self.cached and self.kind:
            raise InvalidRequestError("kind is that of queries that were not cached: leave cached out, or give False.")
        if self.min_querytime is not None:
            milliseconds = _integer("min_querytime", self.min_querytime)
            if milliseconds < 0:
                raise InvalidRequestError(f"min_querytime={milliseconds}: give milliseconds, 0 or more.")
            self._keep("min_querytime", milliseconds)

    def _keep(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return f"Selection({', '.join(f'{name}={_code(value)}' for name, value in given if value is not None)})"

    def but(self, **changes: Any) -> Self:
        """Return a copy with other values in some fields; None removes a condition."""
        unknown = sorted(changes.keys() - {field.name for field in fields(self)})
        if unknown:
            raise InvalidRequestError(
                f"A selection has no {', '.join(unknown)}. It has: {', '.join(field.name for field in fields(self))}."
            )
        return dataclasses.replace(self, **changes)

    def shifted(self, by: timedelta) -> Self:
        """Return a copy whose time window is moved by `by`; negative is earlier."""
        moved = {name: getattr(self, name) + by for name in ("since", "until") if getattr(self, name) is not None}
        return self.but(**moved)

    @overload
    def of(self, logs: Logs | Datasets) -> Logs: ...

    @overload
    def of(self, logs: DataFrame) -> DataFrame: ...

    def of(self, logs: Any) -> Any:
        """Return the logs of the selected queries, without reading them yet.

        Parameters
        ----------
        logs
            Logs from `frontierlab.open_logs`, or a dataset, the name of one, or a list of these. For a Spark DataFrame
            the result is a Spark DataFrame too.
        """
        from frontierlab.engines.engine_choice import as_logs  # imports DuckDB

        found = as_logs(logs).where(*self.where())
        return found.to_spark() if hasattr(logs, "sparkSession") else found

    def where(self, *conditions: str) -> tuple[str, dict[str, Any]]:
        """Return the WHERE clause for the selection and more conditions, and the values of its parameters."""
        found: list[str] = []
        args: dict[str, Any] = {}
        for column in LISTED:
            found += _any_of(column, column, getattr(self, column), args)
        if self.cached is not None:
            found.append("cached" if self.cached else "NOT cached")
        if self.kind:
            found += ["NOT cached", *_any_of("kind", KIND_SQL, self.kind, args)]
        for name, test in (("since", "time >="), ("until", "time <"), ("min_querytime", "querytime >=")):
            if getattr(self, name) is not None:
                found.append(f"{test} :{name}")
                args[name] = getattr(self, name)
        found = list(dict.fromkeys(found))
        found += [f"({one})" for one in dict.fromkeys(conditions) if one not in found]  # it may hold an OR
        return "\nWHERE " + "\n  AND ".join(found) if found else "", args

    def in_words(self) -> str:
        """Describe the selection for a title; empty text if it selects all queries."""
        words = []
        for column in (*LISTED, "kind"):
            values = getattr(self, column) or ()
            if values:
                shown = ["(none named)" if value is None else str(value) for value in values[:3]]
                more = f" and {len(values) - 3} more" * (len(values) > 3)
                words.append(f"{WORDS.get(column, column)} {', '.join(shown)}{more}")
        if self.cached is not None:
            words.append("cached" if self.cached else "not cached")
        if self.min_querytime is not None:
            words.append(f"query time from {self.min_querytime:,} ms")
        if self.since is not None:
            words.append(f"from {in_words(self.since)}")
        if self.until is not None:
            words.append(f"to {in_words(self.until)}")
        return ", ".join(words)

    def to_json(self) -> str:
        """Write the selection as a JSON object of the given fields; times as ISO 8601 in UTC."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(
            {name: _plain(value) for name, value in given.items() if value is not None}, ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str | bytes | Mapping[str, Any]) -> Self:
        """Read the JSON that `to_json` wrote, as text or as a mapping.

        Raises
        ------
        InvalidRequestError
            The JSON is not a selection, a field is unknown, or a value is invalid.
        """
        try:
            given = text if isinstance(text, Mapping) else json.loads(text)
        except (ValueError, TypeError) as error:
            raise InvalidRequestError(f"This is no selection in JSON: {error}.") from error
        if not isinstance(given, Mapping):
            raise InvalidRequestError(f"A selection in JSON is an object such as {{}}, not {given!r}.")
        return cls().but(**given)

    @classmethod
    def of_request(cls, request: Mapping[str, Any]) -> Self:
        """Return the conditions, other than the period, of the request in a dataset's manifest.

        Parameters
        ----------
        request
            ``dataset.manifest.request``, also of earlier versions.
        """
        alone = {name: request.get(name) for name in ("cached", "taskid") if request.get(name) is not None}
        return cls.from_json(request.get("selection") or {}).but(**alone)


def as_selection(given: object) -> Selection:
    """Return what an argument ``selection`` selects: all queries if it is None.

    Raises
    ------
    InvalidRequestError
        It is not a `Selection`.
    """
    if given is None:
        return Selection()
    if not isinstance(given, Selection):
        raise InvalidRequestError(f"selection={given!r} is not valid: give a frontierlab.Selection.")
    return given


def _any_of(name: str, expression: str, values: tuple[Any, ...] | None, args: dict[str, Any]) -> list[str]:
    """Return a list with the condition that the expression is one of the values; empty without values.

    Each value is one parameter, because Spark's Parquet reader can filter by single values but not by an array.
    """
    if values is None:
        return []
    named = [value for value in values if value is not None]
    marks = [name] if len(named) == 1 else [f"{name}_{i}" for i in range(len(named))]
    args |= zip(marks, named, strict=True)
    tests = []
    if named:
        listed = ", ".join(f":{mark}" for mark in marks)
        tests.append(f"{expression} = {listed}" if len(named) == 1 else f"{expression} IN ({listed})")
    if len(named) < len(values):
        tests.append(f"{expression} IS NULL")
    return [tests[0] if len(tests) == 1 else f"({' OR '.join(tests)})"]


def _values(name: str, values: object, read: Callable[[str, object], Any]) -> tuple[Any, ...] | None:
    if values is None:
        return None
    several = isinstance(values, Iterable) and not isinstance(values, str | bytes)
    given = list(cast("Iterable[object]", values)) if several else [values]
    if not given:
        raise InvalidRequestError(f"{name} is an empty list, which nothing could match; leave {name} out to take all.")
    return tuple(dict.fromkeys(None if value is None else read(name, value) for value in given))


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name}={value!r}: give text, or a list of texts.")
    return str(value)


def _kind(name: str, value: object) -> str:
    if value not in QUERY_KINDS:
        raise InvalidRequestError(f"{name}={value!r}: the kinds are {', '.join(QUERY_KINDS)}.")
    return str(value)


def _integer(name: str, value: object) -> int:
    try:
        number = operator.index(cast("SupportsIndex", value))
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or not -(2**63) <= number < 2**63:
        raise InvalidRequestError(f"{name}={value!r}: give a whole number of 64 bits, or a list of them.")
    return number


def _plain(value: Any) -> Any:
    return format_time(value) if isinstance(value, datetime) else list(value) if isinstance(value, tuple) else value


def _code(value: Any) -> str:
    if isinstance(value, datetime):
        text = format_time(value).removesuffix("Z").removesuffix(".000").removesuffix(":00")
        return _code(text.removesuffix("T00:00"))
    if isinstance(value, tuple):
        return _code(value[0]) if len(value) == 1 and value[0] is not None else f"[{', '.join(map(_code, value))}]"
    return literal(value)
