"""The frames of filters by an independent implementation: plain Python over rows, one row at a time."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from frontierlab.selection import Selection
from tests.support.reference_filters import (
    ASKED,
    BYTES,
    CACHED,
    COSTS,
    FAILURES,
    FLAGS,
    PERCENTILES,
    Asked,
    DurationBin,
    EachValue,
    Key,
    Row,
    Rows,
    TimeBin,
    percentiles,
)

__all__ = ["answer"]


def answer(name: str, rows: Sequence[Row], selection: Selection, **keywords: Any) -> Rows:
    """Return the rows of a filter's frame, in order."""
    asked = ASKED[name](**keywords)
    chosen = asked.chosen(rows, selection)
    if not chosen:
        return []
    groups = _placed(asked, chosen) if asked.keys else [({}, chosen)]
    if name == "uncached_by_kind":
        there = {head["kind"] for head, _ in groups}
        lacking = sorted({*FLAGS, "first query"} - there)
        groups += [({"kind": one, "part": "named", "groups": 1}, []) for one in lacking]
    if asked.bins is None:
        return _derived(name, [head | asked.counts(members) for head, members in groups])
    if isinstance(asked.bins, EachValue):
        found = percentiles(asked.bins.column)
        rows = [head | asked.counts(members) | {"percentiles": found(members)} for head, members in groups]
        return _derived(name, rows)
    return _derived(name, _binned(asked, chosen, groups, selection))


def _placed(asked: Asked, rows: Sequence[Row]) -> list[tuple[dict[str, Any], list[Row]]]:
    """Return the largest groups, then the others together and those without a name, each with its rows."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[asked.key(row)].append(row)

    def order(key: Key) -> tuple[Any, ...]:
        counts = asked.counts(groups[key])
        size = sum(counts[name] or 0 for name in asked.rank or counts)
        return key[-1] is None, -size, *((part is None, "" if part is None else part) for part in key)

    ordered = sorted(groups, key=order)
    named = [key for key in ordered if key[-1] is not None]
    missing = [key for key in ordered if key[-1] is None]
    if asked.top is None:
        rows_of = {"named": [[key] for key in named], "other": [], "missing": [[key] for key in missing]}
    else:
        rows_of = {"named": [[key] for key in named[: asked.top]]}
        rows_of |= {"other": [named[asked.top :]], "missing": [missing]}
    found = []
    for part, places in rows_of.items():
        for keys in filter(None, places):
            members = [row for key in keys for row in groups[key]]
            same = [
                values[0] if len({*values}) == 1 and part != "other" else None for values in zip(*keys, strict=True)
            ]
            labels = {name: label(members) if part == "named" else None for name, label in asked.labels.items()}
            head = dict(zip(asked.keys, same, strict=True)) | labels | {"part": part, "groups": len(keys)}
            found.append((head, members))
    return found


def _binned(
    asked: Asked, rows: Sequence[Row], groups: list[tuple[dict[str, Any], list[Row]]], selection: Selection
) -> Rows:
    assert isinstance(asked.bins, TimeBin | DurationBin)
    members: dict[tuple[Any, int], list[Row]] = defaultdict(list)
    for place, (_, of_group) in enumerate(groups):
        for row in of_group:
            members[asked.bins.of(row), place].append(row)
    found = []
    for start, limits in asked.bins.all(rows, selection).items():
        for place, (head, _) in enumerate(groups):
            inside = members[start, place]
            values = {name: value(inside) for name, value in asked.values.items()}
            found.append(limits | head | asked.counts(inside) | values)
    return found


def _derived(name: str, rows: Rows) -> Rows:
    """Add the columns that a filter derives from its counts."""
    if name == "bytes_over_time":
        return [row | {"kB": row["bytes"] / 1000} for row in rows]
    if name.endswith("_percentiles"):
        return [
            {column: value for column, value in row.items() if column != "percentiles"}
            | dict(zip(PERCENTILES, row["percentiles"] or [None] * 3, strict=True))
            for row in rows
        ]
    if name == "failures_over_time":
        for row in rows:
            row["failures"] = sum(row[flag] for flag in FAILURES)
            _add_percent(row, ["failures"], row["queries"])
    elif name == "threads_over_time":
        for row in rows:
            row["mean"] = _quotient(row.pop("sum"), row["with_initthreads"])
    elif name == "bytes_per_answer_over_time":
        for row in rows:
            row["bytes_per_answer"] = _quotient(row["bytes"], row["answers"])
    elif name == "cached_share_over_time":
        for row in rows:
            _add_percent(row, ["cached"], row["queries"])
    elif name.startswith("cached_share"):
        for row in rows:
            _add_percent(row, [*CACHED], sum(row[column] for column in CACHED))
    if name == "repeated_queries":
        return [_of_repeats(row) for row in rows]
    for column in COSTS if name.startswith("cost_") else BYTES if name.startswith("bytes_share") else ():
        whole = sum(row[column] for row in rows)
        for row in rows:
            _add_percent(row, [column], whole)
    return rows


def _of_repeats(row: dict[str, Any]) -> dict[str, Any]:
    asker = next(name for name in ("squid", "computingsite") if name in row)
    row = {asker: row.pop(asker)} | row
    row["left_out"] = row.pop("asked") - row["queries"]
    _add_percent(row, ["repeats"], row["queries"])
    return row


def _add_percent(row: dict[str, Any], columns: Sequence[str], whole: int) -> None:
    row |= {f"{column}_percent": 100 * row[column] / whole if whole else None for column in columns}


def _quotient(part: int, whole: int) -> float | None:
    return part / whole if whole else None
