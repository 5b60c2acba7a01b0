import inspect
import tempfile
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from frontierlab import filters, spark
from frontierlab.errors import InvalidRequestError
from tests.logs import START, make_dataset, table

COUNTS = ["cached", "not_cached", "unknown"]
NASTY = ["it's", 'a"b', "a;b -- c", "{logs}", ":db", "%_", "\\", "\\'", "", " ", "NULL", "日本 Åß", "a\nb\r\tc", "😀"]


@pytest.fixture(scope="module")
def logs(running: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    rows = [
        {"time": START, "cached": True, "schema": "A", "taskid": 1, "nodefullpath": "/a"},
        {"time": START + 299_999, "cached": False, "schema": "B", "taskid": 2, "nodefullpath": "/b"},
        {"time": START + 300_000, "cached": None, "schema": "B", "taskid": 2, "nodefullpath": "/b"},
        {"time": START + 900_001, "cached": False, "schema": None, "taskid": 3},
        {"time": START + 900_002, "db": "OFLP200", "cached": False, "schema": "B", "taskid": 2},
    ]
    return spark.open_logs(make_dataset(tmp_path_factory.mktemp("logs") / "known", rows), session=running)


def records(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(None if value is pd.NA else value for value in row) for row in frame.itertuples(index=False)]


@pytest.mark.spark
def test_queries_per_db(logs: DataFrame) -> None:
    frame = filters.queries_per_db(logs)
    assert frame.columns.tolist() == ["db", *COUNTS]
    assert [str(dtype) for dtype in frame.dtypes] == ["string", "Int64", "Int64", "Int64"]
    assert records(frame) == [("CONDBR2", 1, 2, 1), ("OFLP200", 0, 1, 0)]
    assert frame.attrs["selection"] == ""


@pytest.mark.spark
def test_cached_per_schema_keeps_queries_without_a_schema(logs: DataFrame) -> None:
    frame = filters.cached_per_schema(logs, db="CONDBR2")
    assert records(frame) == [
        ("CONDBR2", "B", 0, 1, 1),
        ("CONDBR2", None, 0, 1, 0),
        ("CONDBR2", "A", 1, 0, 0),
    ]
    both = filters.cached_per_schema(logs, db=["CONDBR2", "OFLP200"], schema="B")
    assert records(both) == [("CONDBR2", "B", 0, 1, 1), ("OFLP200", "B", 0, 1, 0)]
    assert both.attrs["selection"] == "db CONDBR2, OFLP200, schema B"


@pytest.mark.spark
def test_every_time_bin_is_there(logs: DataFrame) -> None:
    frame = filters.queries_over_time(logs)
    assert [str(dtype) for dtype in frame.dtypes] == ["datetime64[ms, UTC]", "Int64", "Int64", "Int64"]
    assert frame["time"].iloc[0].isoformat() == "2026-10-01T00:00:00+00:00"
    assert [row[1:] for row in records(frame)] == [(1, 1, 0), (0, 0, 1), (0, 0, 0), (0, 2, 0)]
    wide = filters.queries_over_time(logs, since="2026-09-30T23:57", until="2026-10-01T00:20:00.001")
    assert [row[1:] for row in records(wide)] == [(0, 0, 0), (1, 1, 0), (0, 0, 1), (0, 0, 0), (0, 2, 0), (0, 0, 0)]
    assert wide["time"].iloc[0].isoformat() == "2026-09-30T23:55:00+00:00"


@pytest.mark.spark
def test_what_nothing_matches_is_an_empty_frame_with_its_types(logs: DataFrame) -> None:
    frames = [
        filters.queries_per_db(logs, db="nix"),
        filters.cached_per_schema(logs, db="'; DROP TABLE logs"),
        filters.queries_over_time(logs, taskid=99, since="2026-10-01", until="2026-10-02"),
    ]
    for frame in frames:
        assert len(frame) == 0
        assert [str(frame[name].dtype) for name in COUNTS] == ["Int64"] * 3
    assert str(frames[2]["time"].dtype) == "datetime64[ms, UTC]"


@pytest.mark.spark
def test_the_period_is_half_open_and_utc(logs: DataFrame) -> None:
    def total(**where: Any) -> int:
        return int(filters.queries_per_db(logs, **where)[COUNTS].to_numpy().sum())

    assert total(since="2026-10-01T00:05", until="2026-10-01T00:15:00.002") == 2
    assert total(until=datetime(2026, 10, 1, 0, 5)) == 2
    assert total(until=datetime(2026, 10, 1, 2, 5, tzinfo=timezone(timedelta(hours=2)))) == 2
    assert total(since="2026-10-01T02:05+02:00") == 3
    assert total(since=date(2026, 10, 1), until=date(2026, 10, 2)) == 5


@pytest.mark.spark
def test_filters_change_neither_the_logs_nor_each_other(logs: DataFrame) -> None:
    before = logs.schema
    first = filters.queries_per_db(logs)
    filters.queries_over_time(logs, db="CONDBR2")
    assert logs.schema == before
    pd.testing.assert_frame_equal(first, filters.queries_per_db(logs))
    assert logs.sparkSession.catalog.listTables() == []


@pytest.mark.spark
def test_too_many_bins_of_the_data_are_an_error(running: SparkSession, tmp_path: Path) -> None:
    rows = [{"time": 0}, {"time": START}]
    far = spark.open_logs(make_dataset(tmp_path / "far", rows), session=running)
    with pytest.raises(InvalidRequestError, match=r"From 1970-01-01 00:00 UTC .* more than 100,000: choose a larger"):
        filters.queries_over_time(far)
    assert len(filters.queries_over_time(far, bin_seconds=86_400)) == START // 86_400_000 + 1


@pytest.mark.spark
def test_a_statement_runs_by_hand(logs: DataFrame) -> None:
    statement = filters.cached_per_schema.sql(db="CONDBR2", taskid=[1, 2], since="2026-10-01")
    answer = logs.sparkSession.sql(statement.text, args=dict(statement.args), logs=logs).collect()
    assert [tuple(row) for row in answer] == [("CONDBR2", "B", 0, 1, 1), ("CONDBR2", "A", 1, 0, 0)]


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
GROUP BY db
ORDER BY count(*) DESC, db
-- :db = "it's; --"
-- :taskid_0 = 1
-- :taskid_1 = 2
-- :since = '2026-10-01T00:00:00.500+00:00'
-- :until = '2026-10-02T00:00:00.000+00:00'"""
    )
    assert statement.selection == (
        "db it's; --, taskid 1, 2, from 2026-10-01 00:00:00.500 UTC, to 2026-10-02 00:00 UTC"
    )
    assert statement.args["since"] == datetime(2026, 10, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert filters.queries_per_db.sql(taskid=range(5)).selection == "taskid 0, 1, 2 and 2 more"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"since": "2026-10-02", "until": "2026-10-01"}, r"until \(2026-10-01 00:00 UTC\) must be later than since"),
        ({"since": "2026-10-02", "until": "2026-10-02"}, "must be later"),
        ({"since": "yesterday"}, "'yesterday' is not a time"),
        ({"until": 7}, "7 is not a time"),
        ({"bin_seconds": 0}, "bin_seconds=0: give a number of seconds"),
        ({"bin_seconds": -300}, "bin_seconds=-300"),
        ({"bin_seconds": 0.0005}, r"bin_seconds=0\.0005"),
        ({"bin_seconds": float("nan")}, "bin_seconds=nan"),
        ({"bin_seconds": float("inf")}, "bin_seconds=inf"),
        ({"bin_seconds": "300"}, "bin_seconds='300'"),
        ({"bin_seconds": 0.001, "since": "2026-10-01", "until": "2026-10-02"}, r"86,400,000 bins of 0\.001 s"),
        ({"db": 5}, "db=5: give text"),
        ({"db": []}, "db is an empty list"),
        ({"schema": ["A", None]}, "schema=None: give text"),
        ({"nodefullpath": b"/a"}, "nodefullpath=b'/a': give text"),
        ({"taskid": "12"}, "taskid='12': give a whole number"),
        ({"taskid": 1.0}, r"taskid=1\.0: give a whole number"),
        ({"taskid": True}, "taskid=True: give a whole number"),
        ({"taskid": 2**63}, "taskid=9223372036854775808: give a whole number of 64 bits"),
    ],
)
def test_what_makes_no_sense_is_refused_before_spark_is_asked(where: dict[str, Any], message: str) -> None:
    not_logs: Any = None
    with pytest.raises(InvalidRequestError, match=message):
        filters.queries_over_time(not_logs, **where)


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="task"):
        filters.queries_per_db.sql(task=1)  # type: ignore[call-arg]


def test_a_filter_shows_all_its_keywords() -> None:
    common = ["since", "until", "db", "schema", "nodefullpath", "taskid"]
    assert list(inspect.signature(filters.queries_per_db).parameters) == ["logs", *common]
    assert list(inspect.signature(filters.queries_over_time).parameters) == ["logs", "bin_seconds", *common]
    assert list(inspect.signature(filters.cached_per_schema).parameters)[:2] == ["logs", "db"]
    for name in ("queries_per_db", "cached_per_schema", "queries_over_time"):
        assert getattr(filters, name).__name__ == name
        assert "Returns" in getattr(filters, name).__doc__


# ---- the same answers as DuckDB, on the same file --------------------------------------------------

names = st.sampled_from(["CONDBR2", "OFLP200", *NASTY]) | st.text(max_size=4)
tasks = st.sampled_from([0, 1, 2, 2**31, 2**53 + 1, 2**63 - 1, -1])
times = st.integers(START, START + 7_200_000) | st.sampled_from(
    [START + 300_000 * k + d for k in (1, 2) for d in (-1, 0)]
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "time": times,
            "db": names,
            "schema": st.none() | names,
            "nodefullpath": st.none() | names,
            "taskid": st.none() | tasks,
            "cached": st.none() | st.booleans(),
        }
    ),
    max_size=40,
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows, and a selection whose values are for the most part in them."""
    data = draw(rows)
    where: dict[str, Any] = {}
    for column, others in (("db", names), ("schema", names), ("nodefullpath", names), ("taskid", tasks)):
        seen = sorted({row[column] for row in data if row[column] is not None})
        value = st.sampled_from(seen) if seen else others
        if draw(st.integers(0, 3)) == 0:
            where[column] = draw(value | others | st.lists(value | others, min_size=1, max_size=12))
    since, until = draw(st.none() | times), draw(st.none() | times)
    if since is not None:
        where["since"] = since
    if until is not None and (since is None or since < until):
        where["until"] = until
    return data, where


def duck(path: Path, where: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return time, db, schema and cached of the queries that match, as DuckDB finds them."""
    conditions, values = ["true"], []
    for name, value in where.items():
        if name in ("since", "until"):
            conditions.append(f"epoch_ms(time) {'>=' if name == 'since' else '<'} ?")
            values.append(value)
        else:
            several = value if isinstance(value, list) else [value]
            conditions.append(f"({' OR '.join(f'{name} = ?' for _ in several)})")
            values += several
    sql = f'SELECT epoch_ms(time), db, "schema", cached FROM read_parquet(?) WHERE {" AND ".join(conditions)}'
    with duckdb.connect() as connection:
        return connection.execute(sql, [str(path), *values]).fetchall()


def expected(matches: list[tuple[Any, ...]], key: Any) -> dict[Any, tuple[int, int, int]]:
    counted: dict[Any, Counter[Any]] = defaultdict(Counter)
    for match in matches:
        counted[key(match)][match[3]] += 1
    return {name: (c[True], c[False], c[None]) for name, c in counted.items()}


@pytest.mark.spark
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(questions(), st.sampled_from([300, 1, 0.25, 86_400]))
@example(
    (
        [
            {"time": START, "db": name, "schema": name, "nodefullpath": None, "taskid": 1, "cached": None}
            for name in NASTY
        ],
        {"db": NASTY},
    ),
    300,
)
def test_filters_agree_with_duckdb(
    running: SparkSession, question: tuple[list[dict[str, Any]], dict[str, Any]], bin_seconds: float
) -> None:
    data, where = question
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logs.parquet"
        pq.write_table(table(data), path)
        matches = duck(path, where)
        logs = running.read.schema(spark.spark_schema(table([]).schema)).parquet(str(path))
        asked = where | {
            name: datetime.fromtimestamp(where[name] // 1000, UTC).replace(microsecond=where[name] % 1000 * 1000)
            for name in ("since", "until")
            if name in where
        }
        per_db = filters.queries_per_db(logs, **asked)
        per_schema = filters.cached_per_schema(logs, **{"db": None, **asked})
        over_time = filters.queries_over_time(logs, bin_seconds=bin_seconds, **asked)
    assert {row[0]: row[1:] for row in records(per_db)} == expected(matches, lambda match: match[1])
    assert {row[:2]: row[2:] for row in records(per_schema)} == expected(matches, lambda match: match[1:3])
    totals = [sum(row[1:]) for row in records(per_db)]
    assert totals == sorted(totals, reverse=True)
    width = round(bin_seconds * 1000)
    bins = expected(matches, lambda match: match[0] // width * width)
    if matches:
        first = where.get("since", min(bins)) // width * width
        last = (where["until"] - 1) // width * width if "until" in where else max(bins)
        bins = {start: bins.get(start, (0, 0, 0)) for start in range(first, last + 1, width)}
    got = {int(row[0].timestamp() * 1000): row[1:] for row in records(over_time)}
    assert list(got.items()) == sorted(bins.items())
