"""The frames of an overview by plain Python over the rows that an extraction would give."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from frontierlab import Selection
from frontierlab.overviews.result import Overview
from tests.support import reference_filters as reference
from tests.support.reference_answers import answer
from tests.support.reference_filters import Rows

TABLES = {
    "databases": ("queries_per_db", ("db",)),
    "schemas": ("cached_per_schema", ("db", "schema")),
    "folders": ("cached_share_per_node", ("db", "schema", "nodefullpath")),
    "tasks": ("cost_per_task", ("taskid",)),
    "servers": ("cost_per_server", ("frontierserver",)),
    "sites": ("cost_per_site", ("computingsite",)),
    "squids": ("cost_per_squid", ("squid",)),
}
"""The table of an overview → the filter that gives the same groups, and their keys."""


def rows_of(logs: pa.Table) -> Rows:
    """Return log rows as dicts, with times in milliseconds."""
    place = logs.schema.get_field_index("time")
    return logs.set_column(place, "time", logs["time"].cast(pa.int64())).to_pylist()


def numbers(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count queries, one row at a time."""
    uncached = [row for row in rows if row["cached"] is False]
    return {
        "queries": len(rows),
        "cached": sum(row["cached"] is True for row in rows),
        "not_cached": len(uncached),
        "unknown": sum(row["cached"] is None for row in rows),
        "bytes": sum(row["fsize"] or 0 for row in uncached),
        "dbtime_ms": sum(row["dbtime"] or 0 for row in uncached),
        "failures": sum(bool(row["disconn"] or row["rejected"] or row["procerror"]) for row in rows),
    }


def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as dicts, with None for missing values and times in milliseconds."""
    return [{key: _plain(value) for key, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return value.value // 1_000_000
    return None if pd.isna(value) else value


def assert_true(found: Overview, rows: Rows, selection: Selection, *, bin_seconds: float) -> None:
    """Check all frames of an overview against the rows of the same window, `selection` with its times."""
    chosen = [*filter(reference.selects(selection), rows)]
    assert found.queries == len(chosen)
    for name, (filter_name, keys) in TABLES.items():
        assert_table(getattr(found, name), filter_name, keys, chosen, selection, found.top)
    kinds = answer("uncached_by_kind", rows, selection)
    assert plain(found.kinds) == (kinds if chosen else []), selection
    over_time = plain(found.over_time)
    expected = answer("queries_over_time", rows, selection, bin_seconds=bin_seconds)
    assert [{key: row[key] for key in ("time", "cached", "not_cached", "unknown")} for row in over_time] == expected
    inside = in_bins(chosen, [row["time"] for row in over_time], 1000 * bin_seconds)
    for row in over_time:
        uncached = [r for r in inside[row["time"]] if r["cached"] is False]
        assert row["bytes"] == sum(r["fsize"] or 0 for r in uncached)
        assert row["kB"] == row["bytes"] / 1000
        for kind in ("disconn", "rejected", "procerror", "first query"):
            assert row[kind.replace(" ", "_")] == sum(reference.kind(r) == kind for r in uncached)


def in_bins(rows: Rows, begins: Sequence[int], width: float) -> dict[int, Rows]:
    """Divide rows between bins, which are in order of time; a row before or after all bins, or in a gap, is in none."""
    found: dict[int, Rows] = {begin: [] for begin in begins}
    for row in rows:
        place = bisect.bisect_right(begins, row["time"]) - 1
        if place >= 0 and row["time"] - begins[place] < width:
            found[begins[place]].append(row)
    return found


def assert_table(
    frame: pd.DataFrame, filter_name: str, keys: Sequence[str], chosen: Rows, selection: Selection, top: int
) -> None:
    """Check a table of the chosen rows: groups, order and parts of the filter, and all numbers of each of its rows."""
    groups: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for one in chosen:
        groups[tuple(one[name] for name in keys)].append(one)
    expected = answer(filter_name, chosen, selection, top=top)
    labels = [*keys, *(["taskname"] if "taskid" in keys else []), "part", "groups"]
    found = plain(frame)
    assert [{name: row[name] for name in labels} for row in found] == [
        {name: row[name] for name in labels} for row in expected
    ], filter_name
    named = [tuple(row[key] for key in keys) for row in found if row["part"] == "named"]
    for row in found:
        members = [one for key in filter(_in_part(row, named, keys), groups) for one in groups[key]]
        assert {name: row[name] for name in numbers([])} == numbers(members), (filter_name, row)


def _in_part(
    row: Mapping[str, Any], named: Sequence[tuple[Any, ...]], keys: Sequence[str]
) -> Callable[[tuple[Any, ...]], bool]:
    """Return a function that tells whether the queries of a key are in a row of a table."""

    def test(key: tuple[Any, ...]) -> bool:
        if row["part"] == "named":
            return key == tuple(row[name] for name in keys)
        return key[-1] is None if row["part"] == "missing" else key[-1] is not None and key not in named

    return test
