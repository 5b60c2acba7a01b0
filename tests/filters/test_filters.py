"""What each filter answers on a few known queries, its statement, and the errors for invalid parameters."""

import inspect
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from frontierlab import Selection, filters, open_logs
from frontierlab.engines import Logs
from frontierlab.errors import InvalidRequestError, StatementError
from frontierlab.filters.expressions import add_percent_of_all
from tests.support.logs import START, make_dataset

COUNTS = ["cached", "not_cached", "unknown"]
NAMES = list(filters.__all__)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Logs:
    rows = [
        {"time": START, "cached": True, "schema": "A", "taskid": 1, "nodefullpath": "/a"},
        {"time": START + 299_999, "cached": False, "schema": "B", "taskid": 2, "nodefullpath": "/b", "fsize": 1500},
        {"time": START + 300_000, "cached": None, "schema": "B", "taskid": 2, "nodefullpath": "/b", "querytime": 999},
        {"time": START + 900_001, "cached": False, "schema": None, "taskid": 3, "rejected": True, "querytime": 1000},
        {"time": START + 900_002, "db": "OFLP200", "cached": False, "schema": "B", "taskid": 2, "fsize": 500},
    ]
    return open_logs(make_dataset(tmp_path_factory.mktemp("logs") / "known", rows))


def records(frame: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    shown = frame[list(columns)] if columns else frame
    return [tuple(None if pd.isna(value) else value for value in row) for row in shown.itertuples(index=False)]


# ---- what each answers ------------------------------------------------------------------------------


def test_queries_per_db(logs: Logs) -> None:
    frame = filters.queries_per_db(logs)
    assert frame.columns.tolist() == ["db", "part", "groups", *COUNTS]
    assert [str(dtype) for dtype in frame.dtypes] == ["string", "string", "Int64", "Int64", "Int64", "Int64"]
    assert records(frame, "db", *COUNTS) == [("CONDBR2", 1, 2, 1), ("OFLP200", 0, 1, 0)]
    answered = frame.attrs.pop("answered")
    assert frame.attrs == {"filter": "queries_per_db", "selection": ""}
    assert answered["seconds"] > 0
    assert (answered["engine"], answered["from"]) == ("duckdb", "summary")


def test_queries_without_a_schema_come_last_and_keep_their_database(logs: Logs) -> None:
    frame = filters.cached_per_schema(logs, db="CONDBR2")
    assert records(frame, "db", "schema", "part", *COUNTS) == [
        ("CONDBR2", "B", "named", 0, 1, 1),
        ("CONDBR2", "A", "named", 1, 0, 0),
        ("CONDBR2", None, "missing", 0, 1, 0),
    ]
    both = filters.cached_per_schema(logs, db=["CONDBR2", "OFLP200"], schema="B")
    assert records(both, "db", "schema", *COUNTS) == [("CONDBR2", "B", 0, 1, 1), ("OFLP200", "B", 0, 1, 0)]
    assert both.attrs["selection"] == "database CONDBR2, OFLP200, schema B"


def test_named_other_and_missing_rows_add_up_to_all_queries(logs: Logs) -> None:
    frame = filters.queries_per_schema(logs, top=1)
    assert records(frame) == [
        ("CONDBR2", "B", "named", 1, 2),
        (None, None, "other", 2, 2),
        ("CONDBR2", None, "missing", 1, 1),
    ]


def test_every_kind_has_a_row_if_any_query_matches(logs: Logs) -> None:
    assert records(filters.uncached_by_kind(logs), "kind", "queries") == [
        ("first query", 2),
        ("rejected", 1),
        ("disconn", 0),
        ("procerror", 0),
    ]
    assert filters.uncached_by_kind(logs, taskid=1).empty


def test_every_time_bin_has_a_row(logs: Logs) -> None:
    frame = filters.queries_over_time(logs)
    assert [str(dtype) for dtype in frame.dtypes] == ["datetime64[ms, UTC]", "Int64", "Int64", "Int64"]
    assert frame["time"].iloc[0].isoformat() == "2026-10-01T00:00:00+00:00"
    assert records(frame, *COUNTS) == [(1, 1, 0), (0, 0, 1), (0, 0, 0), (0, 2, 0)]
    wide = filters.queries_over_time(logs, since="2026-09-30T23:57", until="2026-10-01T00:20:00.001")
    assert records(wide, *COUNTS) == [(0, 0, 0), (1, 1, 0), (0, 0, 1), (0, 0, 0), (0, 2, 0), (0, 0, 0)]
    assert wide["time"].iloc[0].isoformat() == "2026-09-30T23:55:00+00:00"


def test_bytes_count_uncached_queries_and_a_kilobyte_is_1000_bytes(logs: Logs) -> None:
    assert records(filters.bytes_over_time(logs), "bytes", "kB") == [(1500, 1.5), (0, 0), (0, 0), (500, 0.5)]
    assert records(filters.bytes_share_per_schema(logs), "db", "schema", "bytes_percent") == [
        ("CONDBR2", "B", 75),
        ("OFLP200", "B", 25),
        ("CONDBR2", None, 0),
    ]


def test_a_query_of_the_threshold_is_long(logs: Logs) -> None:
    assert records(filters.long_queries_per_schema(logs), "part", "queries") == [("missing", 1)]
    frame = filters.long_queries_per_schema(logs, threshold_ms=999)
    assert records(frame, "schema", "queries") == [
        ("B", 1), (None, 0), ("B", 0), (None, 0), ("B", 0), (None, 1),
    ]  # fmt: skip
    assert frame.attrs["threshold_ms"] == 999


@pytest.mark.slow
def test_no_match_gives_an_empty_frame_with_the_same_types(logs: Logs) -> None:
    for name in NAMES:
        asked = getattr(filters, name)
        frame, whole = asked(logs, db="'; DROP TABLE logs"), asked(logs)
        assert len(frame) == 0
        assert frame.columns.tolist() == whole.columns.tolist()
        assert [str(dtype) for dtype in frame.dtypes] == [str(dtype) for dtype in whole.dtypes], name


def test_the_period_is_half_open_and_utc(logs: Logs) -> None:
    def total(**where: Any) -> int:
        return int(filters.queries_per_db(logs, **where)[COUNTS].to_numpy().sum())

    assert total(since="2026-10-01T00:05", until="2026-10-01T00:15:00.002") == 2
    assert total(until=datetime(2026, 10, 1, 0, 5)) == 2
    assert total(until=datetime(2026, 10, 1, 2, 5, tzinfo=timezone(timedelta(hours=2)))) == 2
    assert total(since="2026-10-01T02:05+02:00") == 3
    assert total(since=date(2026, 10, 1), until=date(2026, 10, 2)) == 5


def test_a_keyword_overrides_the_selection(logs: Logs) -> None:
    selection = Selection(db="CONDBR2", schema="B")
    assert records(filters.queries_per_db(logs, selection), "db", *COUNTS) == [("CONDBR2", 0, 1, 1)]
    assert records(filters.queries_per_db(logs, selection, schema=None), *COUNTS) == [(1, 2, 1)]
    assert selection == Selection(db="CONDBR2", schema="B")


def test_filters_change_neither_the_logs_nor_each_other(logs: Logs) -> None:
    before = logs.columns
    first = filters.queries_per_db(logs)
    filters.queries_over_time(logs, db="CONDBR2")
    assert logs.columns == before
    pd.testing.assert_frame_equal(first, filters.queries_per_db(logs))


def test_too_many_bins_of_the_data_are_an_error(tmp_path: Path) -> None:
    rows = [{"time": 0}, {"time": START}]
    far = open_logs(make_dataset(tmp_path / "far", rows))
    with pytest.raises(InvalidRequestError, match=r"From 1970-01-01 00:00 UTC .* more than 100,000: choose a larger"):
        filters.queries_over_time(far)
    assert len(filters.queries_over_time(far, bin_seconds=86_400)) == START // 86_400_000 + 1


def test_too_many_rows_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"time": START + 7 * n, "schema": str(n // 4), "querytime": 2000} for n in range(80)]
    monkeypatch.setattr("frontierlab.filters.bins.MAX_ROWS", 70)
    monkeypatch.setattr("frontierlab.filters.question.MAX_ROWS", 70)
    logs = open_logs(make_dataset(tmp_path / "many", rows))
    tiny = filters.queries_over_time.sql(bin_seconds=0.001)
    assert tiny.text.endswith("\nLIMIT 71")
    assert "LIMIT" not in filters.queries_over_time.sql(bin_seconds=60).text
    assert "LIMIT" not in filters.queries_over_time.sql(bin_seconds=1, since="2026-10-01", until="2026-10-02").text
    with pytest.raises(InvalidRequestError, match=r"more than 70 rows, and 70 are allowed: choose a larger bin_sec"):
        filters.queries_over_time(logs, bin_seconds=0.001)
    with pytest.raises(InvalidRequestError, match=r"has 120 \(6 bins of 20 groups\) rows.*fewer groups with top"):
        filters.long_queries_per_schema(logs, bin_seconds=0.1, since="2026-10-01", top=None)
    assert len(filters.long_queries_per_schema(logs, bin_seconds=0.1, since="2026-10-01", top=2)) == 18


# ---- the statements ---------------------------------------------------------------------------------


@pytest.mark.spark
def test_a_statement_runs_by_hand_in_spark(running: SparkSession, logs: Logs) -> None:
    statement = filters.cached_per_schema.sql(db="CONDBR2", taskid=[1, 2], since="2026-10-01")
    answer = running.sql(statement.text, args=dict(statement.args), logs=logs.to_spark(running)).collect()
    assert sorted(tuple(row) for row in answer) == [("CONDBR2", "A", 1, 0, 0), ("CONDBR2", "B", 0, 1, 1)]


def test_a_statement_shows_its_parameters_and_never_holds_values() -> None:
    statement = filters.queries_per_db.sql(
        db="it's; --", taskid=[1, np.int64(2), 1], since="2026-10-01T00:00:00.5", until="2026-10-02"
    )
    assert (
        str(statement)
        == """\
SELECT db,
       count_if(cached) AS cached,
       count_if(NOT cached) AS not_cached,
       count_if(cached IS NULL) AS unknown
FROM {logs}
WHERE db = :db
  AND taskid IN (:taskid_0, :taskid_1)
  AND time >= :since
  AND time < :until
GROUP BY 1
-- :db = "it's; --"
-- :taskid_0 = 1
-- :taskid_1 = 2
-- :since = '2026-10-01T00:00:00.500+00:00'
-- :until = '2026-10-02T00:00:00.000+00:00'"""
    )
    assert statement.args["since"] == datetime(2026, 10, 1, 0, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"since": "2026-10-02", "until": "2026-10-01"}, r"until \(2026-10-01 00:00 UTC\) must be later than since"),
        ({"since": "yesterday"}, "'yesterday' is not a time"),
        ({"bin_seconds": 0}, "bin_seconds=0: give a number of seconds"),
        ({"bin_seconds": -300}, "bin_seconds=-300"),
        ({"bin_seconds": 0.0005}, r"bin_seconds=0\.0005"),
        ({"bin_seconds": float("nan")}, "bin_seconds=nan"),
        ({"bin_seconds": float("inf")}, "bin_seconds=inf"),
        ({"bin_seconds": "300"}, "bin_seconds='300'"),
        ({"bin_seconds": 0.001, "since": "2026-10-01", "until": "2026-10-02"}, r"86,400,000 bins of 0\.001 s"),
        ({"selection": "CONDBR2"}, "selection='CONDBR2': give a frontierlab.Selection"),
        ({"compare": "previous"}, "needs a window to compare: give since=… and until=…"),
        ({"compare": "half-1"}, r"compare='half-1': give \"previous\", .* a dataset, give what frontierlab.open_logs"),
    ],
)
def test_invalid_parameters_are_refused(logs: Logs, where: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        filters.queries_over_time(logs, **where)


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("queries_per_schema", {"top": 0}, "top=0: give a whole number of groups"),
        ("queries_per_schema", {"top": 2.5}, r"top=2\.5"),
        ("queries_per_schema", {"top": True}, "top=True"),
        ("long_queries_per_node", {"threshold_ms": -1}, "threshold_ms=-1: give a whole number of milliseconds"),
        ("long_queries_per_schema", {"threshold_ms": "1 s"}, "threshold_ms='1 s'"),
        ("queries_by_dbtime", {"bin_ms": 0}, "bin_ms=0: give a whole number of milliseconds"),
        ("queries_by_dbtime", {"bin_ms": 300}, "overflow_ms=10000 is no multiple of bin_ms=300"),
        ("queries_by_querytime", {"bin_ms": 1, "overflow_ms": 200_000}, r"200,000 bins of 1 ms, more than 100,000"),
        (
            "cost_per_task",
            {"rank_by": "money"},
            "rank_by='money': give one of queries, bytes, dbtime_ms, querytime_ms, failures",
        ),
        ("cost_per_squid", {"by": "money"}, "rank_by='money'"),
        ("repeated_queries", {"by": "task"}, "by='task': give one of squid, site"),
        ("repeated_queries", {"rank_by": "failures"}, "rank_by='failures': give one of dbtime_ms, bytes, repeats, qu"),
        ("dbtime_percentiles", {"by": "task"}, "by='task': give one of time, server, schema, site"),
    ],
)
def test_invalid_own_parameters_of_a_filter_are_refused(name: str, keywords: Any, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        getattr(filters, name).sql(**keywords)


def test_an_unknown_keyword_is_refused_and_valid_ones_are_listed() -> None:
    with pytest.raises(TypeError, match=r"queries_per_db\(\) has no keyword task\. It has: logs, .*taskid"):
        filters.queries_per_db.sql(task=1)


def test_a_cost_takes_the_earlier_name_of_what_ranks_it(logs: Logs) -> None:
    earlier, now = filters.cost_per_task(logs, by="bytes", top=1), filters.cost_per_task(logs, rank_by="bytes", top=1)
    pd.testing.assert_frame_equal(earlier, now)
    assert earlier.attrs["rank_by"] == "bytes"
    with pytest.raises(TypeError, match=r"got rank_by and by, its earlier name: give rank_by alone"):
        filters.cost_per_task.sql(by="bytes", rank_by="bytes")
    with pytest.raises(TypeError, match=r"cost_per_node\(\) has no keyword by"):
        filters.cost_per_node.sql(by="bytes")


@pytest.mark.slow
def test_every_cost_ranks_and_shares_of_nothing_are_null(logs: Logs) -> None:
    none = filters.cost_per_schema(logs, cached=True)
    assert records(none, "queries", "queries_percent", "bytes", "bytes_percent") == [(1, 100, 0, None)]
    for cost in ("queries", "bytes", "dbtime_ms", "querytime_ms", "failures"):
        sizes = filters.cost_per_node(logs, rank_by=cost)[cost].tolist()[:-1]  # without a folder comes last
        assert sizes == sorted(sizes, reverse=True)
    assert records(filters.cost_per_node(logs, rank_by="querytime_ms", top=1), "nodefullpath", "part") == [
        ("/b", "named"), (None, "other"), (None, "missing"),
    ]  # fmt: skip


def test_tags_of_the_same_name_in_two_folders_are_two(tmp_path: Path) -> None:
    names = [("/a", "T"), ("/b", "T"), ("/a", None), ("/b", "none"), ("/b", "T")]
    rows = [{"nodefullpath": folder, "tagname": tag, "cached": False, "dbtime": 5} for folder, tag in names]
    frame = filters.cost_per_tag(open_logs(make_dataset(tmp_path / "tags", rows)), rank_by="dbtime_ms")
    assert records(frame, "nodefullpath", "tagname", "part", "dbtime_ms", "dbtime_ms_percent") == [
        ("/b", "T", "named", 10, 40), ("/a", "T", "named", 5, 20), ("/b", "none", "named", 5, 20),
        ("/a", None, "missing", 5, 20),
    ]  # fmt: skip


def test_a_sum_of_more_than_64_bits_is_an_error_in_words(tmp_path: Path) -> None:
    rows = [{"nodefullpath": "/a", "querytime": 2**62} for _ in range(2)]
    with pytest.raises(StatementError, match="cost_per_node"):
        filters.cost_per_node(open_logs(make_dataset(tmp_path / "long", rows)))


def test_percentiles_of_others_are_those_of_all_their_queries(tmp_path: Path) -> None:
    spent = {"a": [10, 10, 10], "b": [1, 3], "c": [7], "d": [None], None: [5]}
    rows = [{"computingsite": site, "cached": False, "dbtime": ms} for site, each in spent.items() for ms in each]
    rows.append({"computingsite": "a", "cached": True, "dbtime": 0})
    logs = open_logs(make_dataset(tmp_path / "sites", rows))
    frame = filters.dbtime_percentiles(logs, by="site", top=1)
    assert records(frame, "computingsite", "part", "groups", "queries", "p50", "p95") == [
        ("a", "named", 1, 3, 10, 10), (None, "other", 3, 3, 3, 6.6), (None, "missing", 1, 1, 5, 5),
    ]  # fmt: skip
    each = filters.dbtime_percentiles(logs, by="site", top=None)
    assert records(each, "computingsite", "queries", "p50") == [
        ("a", 3, 10), ("b", 2, 2), ("c", 1, 7), ("d", 0, None), (None, 1, 5),
    ]  # fmt: skip


def test_too_many_values_for_percentiles_are_an_error(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontierlab.filters.percentiles.MAX_VALUES", 1)
    with pytest.raises(InvalidRequestError, match="more than 1 different values together: choose since"):
        filters.querytime_percentiles(logs, by="schema")


def test_a_filter_shows_all_its_keywords() -> None:
    common = ["since", "until", "db", "schema", "nodefullpath", "tagname", "taskid", "frontierserver"]
    common += ["computingsite", "squid", "cached", "kind", "min_querytime"]
    shown = list(inspect.signature(filters.queries_over_time).parameters)
    assert shown == ["logs", "selection", "compare", "bin_seconds", *common]
    for name in NAMES:
        assert getattr(filters, name).__name__ == name
        assert "Returns" in getattr(filters, name).__doc__


# ---- comparing ---------------------------------------------------------------------------------------


def test_other_logs_are_compared_with_or_without_a_time_shift(logs: Logs, tmp_path: Path) -> None:
    day = 86_400_000
    dataset = make_dataset(
        tmp_path / "other", [{"time": START - day, "cached": True}, {"time": START + 1, "cached": False}]
    )
    window = {"since": "2026-10-01", "until": "2026-10-01T00:05"}
    frame = filters.queries_over_time(logs, **window, compare=dataset)
    assert records(frame, *COUNTS, "cached_before", "not_cached_before") == [(1, 1, 0, 0, 1)]
    assert frame.attrs["before"] == "the other logs"
    frame = filters.queries_over_time(logs, **window, compare=(dataset, "-1d"))
    assert records(frame, *COUNTS, "cached_before", "cached_change") == [(1, 1, 0, 1, 0)]
    assert frame.attrs["before"] == "2026-09-30 00:00 to 2026-09-30 00:05 UTC"
    whole = filters.queries_per_db(logs, compare=open_logs(dataset))
    assert records(whole, "db", "not_cached", "not_cached_before") == [("CONDBR2", 2, 1), ("OFLP200", 1, 0)]


def test_shares_of_fractions_are_those_of_their_sum() -> None:
    frame = pd.DataFrame({"bytes": pd.array([0.5, 1.5, None], "Float64")})
    found = add_percent_of_all(frame, ["bytes"])["bytes_percent"]
    assert found.tolist() == [25.0, 75.0, pd.NA]
    assert add_percent_of_all(frame.assign(bytes=frame["bytes"] * 0), ["bytes"])["bytes_percent"].isna().all()
