"""Failures, threads, sizes of answers and cached shares over time, on a few known queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from frontierlab import filters, open_logs
from frontierlab.engines import Logs
from frontierlab.errors import InvalidRequestError, StatementError
from tests.support.logs import START, make_dataset

LATER = START + 600_000


def logs_of(folder: Path, *rows: dict[str, Any]) -> Logs:
    return open_logs(make_dataset(folder / "logs", rows))


def records(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return [
        tuple(None if pd.isna(value) else value for value in row)
        for row in frame[[*columns]].itertuples(index=False, name=None)
    ]


@pytest.fixture
def failing(tmp_path: Path) -> Logs:
    """Three servers over three bins; the second bin has no query."""
    one, two, three = ({"frontierserver": name} for name in ("one", "two", "three"))
    return logs_of(
        tmp_path,
        {**one, "rejected": True, "disconn": True, "cached": False, "taskid": 1, "taskname": "b"},
        {**one, "rejected": True, "cached": None, "taskid": 1, "taskname": "c"},
        {**one, "cached": True, "taskid": 2},
        {**two, "time": LATER, "procerror": True, "cached": True, "taskid": 1, "taskname": "a"},
        {**three, "time": LATER, "rejected": None, "cached": False},
    )


# ---- failures ---------------------------------------------------------------------------------------


def test_each_failure_counts_once_and_beside_all_queries(failing: Logs) -> None:
    frame = filters.failures_over_time(failing)
    columns = ["queries", "rejected", "disconn", "procerror", "failures", "failures_percent"]
    assert frame.columns.tolist() == ["time", *columns]
    assert records(frame, *columns) == [
        (3, 1, 1, 0, 2, pytest.approx(200 / 3)),
        (0, 0, 0, 0, 0, None),
        (2, 0, 0, 1, 1, 50),
    ]


def test_failures_of_servers_are_one_call_for_all_kinds(failing: Logs) -> None:
    frame = filters.failures_over_time(failing, by="server", top=1)
    assert records(frame, "frontierserver", "part", "queries", "rejected", "disconn", "procerror") == [
        ("one", "named", 3, 1, 1, 0), (None, "other", 0, 0, 0, 0),
        ("one", "named", 0, 0, 0, 0), (None, "other", 0, 0, 0, 0),
        ("one", "named", 0, 0, 0, 0), (None, "other", 2, 0, 0, 1),
    ]  # fmt: skip
    assert frame["failures_percent"].isna().tolist() == [False, True, True, True, True, False]


def test_a_task_has_the_last_of_its_names_in_all_bins(failing: Logs) -> None:
    frame = filters.failures_over_time(failing, by="task")
    assert set(records(frame, "taskid", "taskname", "part")) == {
        (1, "c", "named"),
        (2, None, "named"),
        (None, None, "missing"),
    }


@pytest.mark.parametrize("name", ["failures_over_time", "cached_share_over_time", "bytes_per_answer_over_time"])
def test_an_unknown_group_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"by='servers': give one of (kind, server|site, squid|tag, folder)"):
        getattr(filters, name).sql(by="servers")


# ---- threads ----------------------------------------------------------------------------------------


def test_other_servers_have_the_largest_and_the_mean_over_their_queries(tmp_path: Path) -> None:
    logs = logs_of(
        tmp_path,
        {"frontierserver": "busy", "initthreads": 400},
        {"frontierserver": "busy", "initthreads": None},
        *({"frontierserver": "calm", "initthreads": n} for n in (10, 10, 10, 50)),
        {"frontierserver": "quiet", "initthreads": 0},
        {"frontierserver": "silent", "time": LATER},
    )
    frame = filters.threads_over_time(logs, top=1)
    assert frame.columns.tolist()[-4:] == ["queries", "with_initthreads", "largest", "mean"]
    assert records(frame, "frontierserver", "queries", "with_initthreads", "largest", "mean") == [
        ("busy", 2, 1, 400, 400), (None, 5, 5, 50, 16),
        ("busy", 0, 0, None, None), (None, 0, 0, None, None),
        ("busy", 0, 0, None, None), (None, 1, 0, None, None),
    ]  # fmt: skip
    assert [str(dtype) for dtype in frame.dtypes[-2:]] == ["Int64", "Float64"]
    assert "notes" not in frame.attrs


@pytest.mark.slow
def test_logs_without_threads_or_sites_say_so(tmp_path: Path) -> None:
    logs = logs_of(tmp_path, {"frontierserver": "one"}, {"frontierserver": "one", "time": LATER, "squid": "s"})
    frame = filters.threads_over_time(logs)
    assert frame["largest"].isna().all()
    assert frame.attrs["notes"] == ["The log gives no initthreads for any of the queries: the index may lack it."]
    note = "The log gives no site for any of the queries: the index may lack it."
    assert filters.cached_share_over_time(logs).attrs["notes"] == [note]
    assert filters.cost_per_site(logs).attrs["notes"] == [note]
    assert "notes" not in filters.cached_share_over_time(logs, by="squid").attrs
    assert "notes" not in filters.cached_share_over_time(logs, computingsite=[None]).attrs
    assert "notes" not in filters.cached_share_over_time(logs, db="none").attrs
    window = {"since": "2026-10-01T00:10", "until": "2026-10-01T00:20", "compare": "previous"}
    then = "The log gives no Squid for any of the queries before: the index may lack it."
    assert then in filters.cost_per_squid(logs, **window).attrs["notes"]


# ---- answers ----------------------------------------------------------------------------------------


def test_an_answer_is_served_not_cached_and_not_empty(tmp_path: Path) -> None:
    good = {"nodefullpath": "/a", "tagname": "t", "since": 0, "until": 0, "cached": False, "fsize": 10}
    others: list[dict[str, Any]] = [
        {"since": -1}, {"until": -1}, {"since": 5}, {"since": None}, {"cached": True}, {"cached": None},
        {"fsize": 0}, {"fsize": None}, {"fsize": -7}, {"rejected": True}, {"disconn": True}, {"procerror": True},
    ]  # fmt: skip
    rows = [{**good, **other} for other in others]
    logs = logs_of(tmp_path, good, {**good, "fsize": 40, "rejected": False}, *rows, {**rows[0], "time": LATER})
    frame = filters.bytes_per_answer_over_time(logs)
    assert records(frame, "tagname", "queries", "answers", "bytes", "bytes_per_answer") == [
        ("t", 14, 2, 50, 25),
        ("t", 0, 0, 0, None),
        ("t", 1, 0, 0, None),
    ]
    whole = filters.bytes_per_answer_over_time(logs, by="folder", bin_seconds=3600)
    assert records(whole, "nodefullpath", "bytes_per_answer") == [("/a", 25)]
    assert "tagname" not in whole


# ---- shares -----------------------------------------------------------------------------------------


def test_a_share_is_of_all_queries_and_null_without_any(tmp_path: Path) -> None:
    row = {"computingsite": "CERN", "squid": "s1"}
    rows = [{**row, "cached": cached} for cached in (True, False, None, None)]
    logs = logs_of(tmp_path, *rows, {**row, "computingsite": "BNL", "cached": True, "time": LATER})
    columns = ("queries", "cached", "unknown", "cached_percent")
    frame = filters.cached_share_over_time(logs, bin_seconds=600)
    assert records(frame, "computingsite", *columns) == [
        ("CERN", 4, 1, 2, 25), ("BNL", 0, 0, 0, None),
        ("CERN", 0, 0, 0, None), ("BNL", 1, 1, 0, 100),
    ]  # fmt: skip
    frame = filters.cached_share_over_time(logs, by="squid", bin_seconds=3600)
    assert records(frame, "squid", *columns) == [("s1", 5, 2, 2, 40)]


# ---- impossible values ------------------------------------------------------------------------------


def test_sums_of_over_64_bits_are_an_error_and_not_another_number(tmp_path: Path) -> None:
    rows = [{"schema": name, "cached": False, "fsize": 2**62} for name in ("A", "B", "C")]
    logs = logs_of(tmp_path, *rows, {"frontierserver": "s", "initthreads": 2**62})
    with pytest.raises(StatementError, match=r"sum of bytes has more than 64 bits.*leave these queries out"):
        filters.bytes_share_per_schema(logs)
    with pytest.raises(StatementError, match="sum of bytes has more than 64 bits"):
        filters.cost_per_schema(logs, top=1)
    assert filters.bytes_share_per_schema(logs, schema="A")["bytes"].tolist() == [2**62]
    frame = filters.threads_over_time(logs)
    assert records(frame, "frontierserver", "largest", "mean") == [("s", 2**62, 2.0**62), (None, None, None)]
