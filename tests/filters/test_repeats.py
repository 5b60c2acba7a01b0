"""Repeated queries: which are the same, which count, and what the repeats cost."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from frontierlab import Selection, filters, open_logs
from frontierlab.errors import StatementError
from tests.support.logs import START, make_dataset

QUERY = {"schema": "A", "nodefullpath": "/a", "tagname": "T", "sqlhash": 7, "since": 5, "until": 9}
NUMBERS = ["queries", "different_queries", "cached", "repeats", "most_repeated", "dbtime_ms", "bytes", "left_out"]


def of(folder: Path, *rows: dict[str, Any], **keywords: Any) -> list[dict[str, Any]]:
    logs = open_logs(make_dataset(folder / "logs", [{"time": START + n, **row} for n, row in enumerate(rows)]))
    frame = filters.repeated_queries(logs, **keywords)
    return [{k: None if pd.isna(v) else v for k, v in row.items()} for row in frame.to_dict("records")]


def numbers(row: dict[str, Any]) -> list[int]:
    return [row[name] for name in NUMBERS]


@pytest.mark.slow
def test_a_squid_that_keeps_nothing_is_first_with_what_its_repeats_cost(tmp_path: Path) -> None:
    broken = {**QUERY, "squid": "broken", "computingsite": "CERN", "cached": False, "dbtime": 10, "fsize": 100}
    good = [{**broken, "squid": "good", "since": n, "dbtime": 900} for n in range(5)]
    rows = [broken | {"dbtime": 10 + n % 2} for n in range(7_741)]
    first, second = of(tmp_path, *good, *rows)
    assert (first["squid"], first["nodefullpath"], first["tagname"], first["payload"]) == ("broken", "/a", "T", True)
    assert numbers(first) == [7_741, 1, 0, 7_740, 7_741, 7_741 * 10 + 3_870 - 11, 774_000, 0]
    assert first["repeats_percent"] == pytest.approx(100 * 7_740 / 7_741)
    assert (second["squid"], *numbers(second)) == ("good", 5, 5, 0, 0, 1, 0, 0, 0)


def test_a_query_that_two_squids_of_a_site_ask_is_repeated_by_the_site_alone(tmp_path: Path) -> None:
    rows = [{**QUERY, "squid": squid, "computingsite": "CERN", "cached": False, "dbtime": 4} for squid in ("s1", "s2")]
    logs = open_logs(make_dataset(tmp_path / "logs", rows))
    assert filters.repeated_queries(logs)["repeats"].tolist() == [0, 0]
    frame = filters.repeated_queries(logs, by="site")
    assert frame[["computingsite", "repeats", "dbtime_ms"]].to_numpy().tolist() == [["CERN", 1, 4]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [{"sqlhash": 8}, {"sqlhash": None}, {"since": 4}, {"until": 10}, {"tagname": "U"}, {"tagname": None}, {"db": "X"},
     {"nodefullpath": "/b"}, {"nodefullpath": None}, {"schema": "B"}, {"schema": None}, {"squid": None}],
)  # fmt: skip
def test_queries_that_differ_in_anything_are_no_repeats(tmp_path: Path, other: dict[str, Any]) -> None:
    rows = [{**QUERY, "squid": "s", "cached": False, "dbtime": 4}, {**QUERY, "squid": "s", "cached": False} | other]
    assert [row["repeats"] for row in of(tmp_path, *rows)] in ([0], [0, 0])


def test_cached_failed_and_unknown_queries_are_told_apart(tmp_path: Path) -> None:
    query = {**QUERY, "squid": "s", "dbtime": 3, "fsize": 2}
    (row,) = of(
        tmp_path,
        query | {"cached": True},
        query | {"cached": True},
        query | {"cached": False},
        query | {"cached": None},
        *(query | {"cached": False, flag: True} for flag in ("disconn", "rejected", "procerror")),
        query | {"cached": False, "until": None},
        query | {"cached": False, "since": -1},
        query | {"cached": False, "until": 4},
    )[:1]
    assert numbers(row) == [4, 1, 2, 1, 2, 3, 2, 5]


@pytest.mark.slow
def test_queries_that_ask_for_no_payload_have_rows_of_their_own(tmp_path: Path) -> None:
    query = {**QUERY, "squid": "s", "cached": False, "dbtime": 5}
    none = query | {"since": -1, "until": None}
    rows = of(tmp_path, query, query, *[none] * 3, none | {"sqlhash": None}, none | {"sqlhash": None})
    assert [row["payload"] for row in rows] == [False, True]
    assert [numbers(row) for row in rows] == [[3, 1, 0, 2, 3, 10, 0, 2], [2, 1, 0, 1, 2, 5, 0, 0]]
    unnamed = query | {"nodefullpath": None, "sqlhash": None}
    (row,) = of(tmp_path / "unnamed", unnamed, unnamed)
    assert numbers(row) == [0, 0, 0, 0, 0, 0, 0, 2]
    assert row["repeats_percent"] is None


def test_others_and_those_without_a_squid_add_up(tmp_path: Path) -> None:
    rows = [{**QUERY, "squid": squid, "cached": False, "dbtime": 2} for squid in ("a", "b", "c", None) for _ in "123"]
    rows += [{**QUERY, "squid": "a", "since": None, "until": None, "cached": False} for _ in "12"]
    found = of(tmp_path, *rows, top=1, rank_by="repeats")
    assert [(row["squid"], row["part"], row["groups"], row["payload"], row["repeats"]) for row in found] == [
        ("a", "named", 1, True, 2), (None, "other", 3, None, 5), (None, "missing", 1, True, 2),
    ]  # fmt: skip
    assert [row["most_repeated"] for row in found] == [3, 3, 3]
    assert sum(row["queries"] for row in found) == len(rows)


@pytest.mark.slow
def test_a_selection_and_a_comparison_hold_within_each_query(tmp_path: Path) -> None:
    query = {**QUERY, "squid": "s", "cached": False, "dbtime": 5}
    times = [START, START + 1_000, START + 60_000, START + 61_000, START + 62_000]
    logs = open_logs(make_dataset(tmp_path / "logs", [{**query, "time": time} for time in times]))
    window = Selection(since="2026-10-01T00:01", until="2026-10-01T00:02")
    frame = filters.repeated_queries(logs, window, compare="previous")
    assert frame[["repeats", "repeats_before", "repeats_change"]].to_numpy().tolist() == [[2, 1, 1]]
    assert filters.repeated_queries(logs, window, squid="t").empty


def test_a_sum_of_more_than_64_bits_is_an_error(tmp_path: Path) -> None:
    rows = [{**QUERY, "squid": "s", "cached": False, "fsize": 2**62} for _ in range(3)]
    with pytest.raises(StatementError, match="repeated_queries"):
        of(tmp_path, *rows)
