"""An independent implementation of all filters and of what_changed: plain Python over rows, one row at a time."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from frontierlab.schema import COLUMNS
from frontierlab.selection import Selection
from tests.support.logs import START
from tests.support.reference_repeats import asks_for_an_iov, known_tag, repeats

Row = Mapping[str, Any]
Rows = list[dict[str, Any]]
Measure = Callable[[Sequence[Row]], Any]
Key = tuple[Any, ...]

FLAGS = ("disconn", "rejected", "procerror")
LISTED = (
    *("db", "schema", "nodefullpath", "tagname"),
    *("taskid", "frontierserver", "computingsite", "squid"),
)
SCHEMA, NODE, TAG = ("db", "schema"), ("db", "schema", "nodefullpath"), ("db", "schema", "nodefullpath", "tagname")
PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}


def complete(rows: Iterable[Row]) -> Rows:
    """Return rows with all columns, as `tests.support.logs.table` completes them."""
    return [{column.name: None for column in COLUMNS} | {"time": START, "db": "CONDBR2", **row} for row in rows]


def milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC) + timedelta(milliseconds=ms % 1000)


# ---- which queries are counted, and what is counted ---------------------------------------------------


def always(_: Row) -> bool:
    return True


def uncached(row: Row) -> bool:
    return row["cached"] is False


def failed(row: Row) -> bool:
    return any(row[flag] for flag in FLAGS)


def asks_for_payload(row: Row) -> bool:
    return row["since"] not in (None, -1)


def kind(row: Row) -> str:
    return next((flag for flag in FLAGS if row[flag]), "first query")


def selects(selection: Selection) -> Callable[[Row], bool]:
    """Return a function that tells whether a query is selected."""
    listed = [(name, getattr(selection, name)) for name in LISTED if getattr(selection, name) is not None]
    since = -math.inf if selection.since is None else milliseconds(selection.since)
    until = math.inf if selection.until is None else milliseconds(selection.until)
    cached, kinds, shortest = selection.cached, selection.kind, selection.min_querytime

    def test(row: Row) -> bool:
        return (
            all(row[name] in values for name, values in listed)
            and since <= row["time"] < until
            and (cached is None or row["cached"] is cached)
            and (not kinds or (uncached(row) and kind(row) in kinds))
            and (shortest is None or (row["querytime"] is not None and row["querytime"] >= shortest))
        )

    return test


def count(test: Callable[[Row], bool] = always) -> Measure:
    return lambda rows: sum(1 for row in rows if test(row))


def total(column: str, test: Callable[[Row], bool] = always) -> Measure:
    return lambda rows: sum(row[column] or 0 for row in rows if test(row))


def largest(column: str) -> Measure:
    return lambda rows: max((row[column] for row in rows if row[column] is not None), default=None)


def given(column: str) -> Callable[[Row], bool]:
    return lambda row: row[column] is not None


def answered(row: Row) -> bool:
    """Whether a query got an answer with a body: it has an IOV, was served and not cached, and has a size."""
    since, until = (-1 if row[limit] is None else row[limit] for limit in ("since", "until"))
    return 0 <= since <= until and uncached(row) and not failed(row) and (row["fsize"] or 0) > 0


FAILURES = {flag: count(lambda row, flag=flag: kind(row) == flag) for flag in ("rejected", "disconn", "procerror")}
THREADS = {
    "queries": count(),
    "with_initthreads": count(given("initthreads")),
    "largest": largest("initthreads"),
    "sum": total("initthreads"),
}
ANSWERS = {"queries": count(), "answers": count(answered), "bytes": total("fsize", answered)}
CACHED = {
    "cached": count(lambda row: row["cached"] is True),
    "not_cached": count(uncached),
    "unknown": count(lambda row: row["cached"] is None),
}
QUERIES = {"queries": count()}
PAYLOAD = {"payload": count(asks_for_payload), "non_payload": count(lambda row: not asks_for_payload(row))}
BYTES = {"bytes": total("fsize")}
COSTS = {
    "queries": count(),
    "bytes": total("fsize", uncached),
    "dbtime_ms": total("dbtime", uncached),
    "querytime_ms": total("querytime"),
    "failures": count(failed),
}


def percentiles(column: str) -> Callable[[Sequence[Row]], list[float] | None]:
    def found(rows: Sequence[Row]) -> list[float] | None:
        values = [float(row[column]) for row in rows if row[column] is not None]
        return np.percentile(values, [*PERCENTILES.values()]).tolist() if values else None

    return found


def last_name(rows: Sequence[Row]) -> str | None:
    return max((row["taskname"] for row in rows if row["taskname"] is not None), default=None)


# ---- what each filter asks ---------------------------------------------------------------------------


@dataclass(frozen=True)
class TimeBin:
    """The start of a time bin; `width` is in milliseconds."""

    width: int

    def of(self, row: Row) -> datetime:
        return moment(row["time"] // self.width * self.width)

    def all(self, rows: Sequence[Row], selection: Selection) -> dict[Any, dict[str, Any]]:
        """Return the columns that describe each bin of the answer, by bin."""
        times = [row["time"] for row in rows]
        first = min(times) if selection.since is None else milliseconds(selection.since)
        last = max(times) if selection.until is None else milliseconds(selection.until) - 1
        starts = range(first // self.width * self.width, last // self.width * self.width + 1, self.width)
        return {moment(start): {"time": start} for start in starts}


@dataclass(frozen=True)
class DurationBin:
    """The start of a bin of durations: -1 for negative durations, `overflow` for the longest."""

    column: str
    width: int
    overflow: int = 10_000

    def of(self, row: Row) -> int | None:
        spent = row[self.column]
        if spent is None:
            return None
        return (
            -1
            if spent < 0
            else self.overflow
            if spent >= self.overflow
            else math.floor(spent / self.width) * self.width
        )

    def all(self, rows: Sequence[Row], selection: Selection) -> dict[Any, dict[str, Any]]:
        seen = {self.of(row) for row in rows}
        bins: list[int | None] = [*([-1] if -1 in seen else []), *range(0, self.overflow + 1, self.width)]
        return {start: self._limits(start) for start in [*bins, *([None] if None in seen else [])]}

    def _limits(self, start: int | None) -> dict[str, Any]:
        if start is None:
            return {"from_ms": None, "to_ms": None}
        if start < 0:
            return {"from_ms": None, "to_ms": 0}
        return {"from_ms": start, "to_ms": None if start == self.overflow else start + self.width}


@dataclass(frozen=True)
class EachValue:
    """Each value of a column, which a statement counts so that the frame can have percentiles."""

    column: str

    def of(self, row: Row) -> int | None:
        return row[self.column]


@dataclass(frozen=True)
class Asked:
    """What a filter asks: which queries it takes, how it groups them, and what it counts."""

    measures: Mapping[str, Measure]
    keys: tuple[str, ...] = ()
    of: Callable[[Row], bool] = always
    bins: TimeBin | DurationBin | EachValue | None = None
    labels: Mapping[str, Measure] = field(default_factory=dict)
    values: Mapping[str, Measure] = field(default_factory=dict)
    top: int | None = None
    rank: tuple[str, ...] = ()
    computed: Mapping[str, Callable[[Row], Any]] = field(default_factory=lambda: {"kind": kind})

    def chosen(self, rows: Sequence[Row], selection: Selection) -> list[Row]:
        selected = selects(selection)
        return [row for row in rows if selected(row) and self.of(row)]

    def key(self, row: Row) -> Key:
        return tuple(self.computed[name](row) if name in self.computed else row[name] for name in self.keys)

    def statement(self, rows: Sequence[Row], selection: Selection) -> dict[Key, Key]:
        """Return the result of the filter's SQL: by the values of the grouping columns, those of the others."""
        groups: dict[Key, list[Row]] = defaultdict(list)
        for row in self.chosen(rows, selection):
            groups[(*(() if self.bins is None else (self.bins.of(row),)), *self.key(row))].append(row)
        columns = [*self.labels.values(), *self.measures.values(), *self.values.values()]
        return {key: tuple(column(group) for column in columns) for key, group in groups.items()}

    def counts(self, rows: Sequence[Row]) -> dict[str, Any]:
        return {name: measure(rows) for name, measure in self.measures.items()}


def _long(keys: tuple[str, ...]) -> Callable[..., Asked]:
    def ask(threshold_ms: int = 1000, bin_seconds: float = 300, top: int | None = 10) -> Asked:
        bins = TimeBin(round(1000 * bin_seconds))

        def is_long(row: Row) -> bool:
            return row["querytime"] is not None and row["querytime"] >= threshold_ms

        return Asked(QUERIES, keys, is_long, bins, top=top)

    return ask


def _over_time(measures: Mapping[str, Measure], **more: Any) -> Callable[..., Asked]:
    return lambda bin_seconds=300: Asked(measures, bins=TimeBin(round(1000 * bin_seconds)), **more)


def _duration(column: str) -> Callable[..., Asked]:
    return lambda bin_ms=100, overflow_ms=10_000: Asked(CACHED, bins=DurationBin(column, bin_ms, overflow_ms))


def _groups(measures: Mapping[str, Measure], keys: tuple[str, ...], **more: Any) -> Callable[..., Asked]:
    return lambda top=None: Asked(measures, keys, top=top, **more)


def _percentiles(column: str, of: Callable[[Row], bool] = always) -> Callable[..., Asked]:
    def ask(by: str = "time", bin_seconds: float = 300, top: int | None = 20) -> Asked:
        measures = {"queries": count(lambda row: row[column] is not None)}
        if by == "time":
            return _over_time(measures, of=of, values={"percentiles": percentiles(column)})(bin_seconds)
        keys = {"server": ("frontierserver",), "schema": SCHEMA, "site": ("computingsite",)}[by]
        return Asked(measures, keys, of, EachValue(column), top=top)

    return ask


def _costs(*keys: str, **more: Any) -> Callable[..., Asked]:
    return lambda top=20, rank_by="queries": Asked(COSTS, keys, top=top, rank=(rank_by,), **more)


GROUP: dict[str, tuple[str, ...]] = {
    "kind": (),
    "server": ("frontierserver",),
    "task": ("taskid",),
    "site": ("computingsite",),
    "squid": ("squid",),
    "folder": NODE,
    "tag": TAG,
}


def _groups_over_time(measures: Mapping[str, Measure], rank: Sequence[str], by: str) -> Callable[..., Asked]:
    def ask(by: str = by, bin_seconds: float = 300, top: int | None = 10) -> Asked:
        labels = {"taskname": last_name} if by == "task" else {}
        bins = TimeBin(round(1000 * bin_seconds))
        return Asked(measures, GROUP[by], bins=bins, labels=labels, top=top, rank=(*rank,))

    return ask


def _repeated(by: str = "squid", rank_by: str = "dbtime_ms", top: int | None = 20) -> Asked:
    (asker,) = GROUP[by]
    keys = (*TAG, "payload", asker)
    computed = {"tagname": known_tag, "payload": asks_for_an_iov}
    return Asked(repeats(asker), keys, top=top, rank=(rank_by,), computed=computed)


ASKED: dict[str, Callable[..., Asked]] = {
    "queries_per_db": _groups(CACHED, ("db",)),
    "uncached_by_kind": lambda: Asked(QUERIES, ("kind",), uncached),
    "queries_per_schema": _groups(QUERIES, SCHEMA),
    "cached_per_schema": _groups(CACHED, SCHEMA),
    "payload_per_schema": _groups(PAYLOAD, SCHEMA),
    "payload_per_node": _groups(PAYLOAD, NODE),
    "queries_over_time": _over_time(CACHED),
    "queries_by_querytime": _duration("querytime"),
    "queries_by_dbtime": _duration("dbtime"),
    "bytes_over_time": _over_time(BYTES, of=uncached),
    "cached_share_per_schema": _groups(CACHED, SCHEMA),
    "cached_share_per_node": _groups(CACHED, NODE),
    "bytes_share_per_schema": _groups(BYTES, SCHEMA, of=uncached),
    "bytes_share_per_node": _groups(BYTES, NODE, of=uncached),
    "long_queries_per_schema": _long(SCHEMA),
    "long_queries_per_node": _long(NODE),
    "querytime_percentiles": _percentiles("querytime"),
    "dbtime_percentiles": _percentiles("dbtime", uncached),
    "failures_over_time": _groups_over_time({"queries": count(), **FAILURES}, [*FAILURES], "kind"),
    "threads_over_time": _groups_over_time(THREADS, ["largest"], "server"),
    "bytes_per_answer_over_time": _groups_over_time(ANSWERS, ["bytes"], "tag"),
    "cached_share_over_time": _groups_over_time(
        {"queries": count(), "cached": CACHED["cached"], "unknown": CACHED["unknown"]}, ["queries"], "site"
    ),
    "cost_per_task": _costs("taskid", labels={"taskname": last_name}),
    "cost_per_server": _costs("frontierserver"),
    "cost_per_site": _costs("computingsite"),
    "cost_per_squid": _costs("squid"),
    "cost_per_schema": _costs(*SCHEMA),
    "cost_per_node": _costs(*NODE),
    "cost_per_tag": _costs(*TAG),
    "repeated_queries": _repeated,
}
"""What each filter asks, by its name; called with the filter's own keywords."""


# ---- what changed ------------------------------------------------------------------------------------


def changed(rows: Sequence[Row], before: Selection, now: Selection, keys: tuple[str, ...]) -> dict[Key, Key]:
    """Return all costs now, then before, by these keys."""
    asked = Asked(COSTS, keys)
    sides = [asked.statement(rows, side) for side in (now, before)]
    nothing = (0,) * len(COSTS)
    return {key: sides[0].get(key, nothing) + sides[1].get(key, nothing) for key in {**sides[0], **sides[1]}}


def in_bins(
    rows: Sequence[Row], asked: Selection, keys: tuple[str, ...], window: tuple[int, int], bins: int
) -> dict[Key, list[list[int]]]:
    """Return costs and numbers of queries that were not cached, by these keys: a list for each of equal bins."""
    inside = Asked(COSTS | {"not_cached": lambda chosen: sum(map(uncached, chosen))}, keys)
    start, stop = window
    width = stop - start
    bounds = [start, *(start + width * part // bins for part in range(1, bins)), stop]
    found: dict[Key, list[list[int]]] = {}
    for place in range(bins):
        part = [row for row in rows if bounds[place] <= row["time"] < bounds[place + 1]]
        for key, values in inside.statement(part, asked).items():
            found.setdefault(key, [[0] * len(values) for _ in range(bins)])[place] = list(values)
    return found
