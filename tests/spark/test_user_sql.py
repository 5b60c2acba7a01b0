import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

import frontierlab as fl
from frontierlab import Dataset, spark
from frontierlab.engines import Logs
from frontierlab.errors import Cancelled, DatasetError, InvalidRequestError, StatementError
from frontierlab.spark.parameters import as_parameters, names_in
from tests.support.logs import START, make_dataset
from tests.support.spark_options import for_once

HOUR = 3_600_000
NASTY = ["it's; DROP TABLE logs --", 'a "quote" and a \\', "`ü` {logs} :db", "%s\n\t'' \\'"]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """Four queries, and two with an IOV."""
    folder = tmp_path_factory.mktemp("sql")
    four = [
        {"time": START + i * HOUR, "taskid": i, "db": "CONDBR2" if i % 2 else "OFLP200", "schema": name, "fsize": 2**62}
        for i, name in enumerate(NASTY)
    ]
    two = [{"time": START, "since": 5, "until": 2**62}, {"time": START + HOUR, "since": -1, "until": -1}]
    return {"four": make_dataset(folder / "four", four), "iov": make_dataset(folder / "iov", two)}


@pytest.fixture(scope="module")
def in_spark(running: SparkSession, datasets: dict[str, Dataset]) -> DataFrame:
    return fl.open_logs(datasets["four"], session=running).to_spark()


@pytest.fixture(scope="module", params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def opened(request: pytest.FixtureRequest, datasets: dict[str, Dataset]) -> Iterator[dict[str, Logs]]:
    """The logs of the datasets, for each engine; statements of tests with Spark's data frames are compiled."""
    session = request.getfixturevalue("running") if request.param == "spark" else None
    with for_once(session) if session else nullcontext():
        yield {name: fl.open_logs(dataset, session=session) for name, dataset in datasets.items()}


@pytest.fixture(scope="module")
def logs(opened: dict[str, Logs]) -> Logs:
    return opened["four"]


@pytest.fixture(scope="module")
def with_iov(opened: dict[str, Logs]) -> Logs:
    return opened["iov"]


@pytest.fixture
def ours(running: SparkSession) -> Iterator[None]:
    """A user's own view called logs."""
    running.range(7).createOrReplaceTempView("logs")
    yield
    running.catalog.dropTempView("logs")


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set the time zone of this machine to New York."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


# ---- the statement


def test_a_users_own_statement(logs: Logs) -> None:
    frame = fl.sql(
        logs,
        """
        WITH mine AS (SELECT *, hour(time) AS hour FROM logs WHERE db = :db), again AS (SELECT hour FROM mine)
        SELECT hour, count(*) AS queries FROM again GROUP BY hour ORDER BY hour -- not a :parameter
        """,
        db="CONDBR2",
    )
    assert frame.to_dict("list") == {"hour": [1, 3], "queries": [1, 1]}
    assert str(frame["queries"].dtype) == "Int64"


def test_a_dataset_or_its_name_can_replace_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTIERLAB_DATA_DIR", str(tmp_path))
    dataset = make_dataset(tmp_path / "datasets" / "mine", [{}, {}])
    for there in (dataset, "mine", [dataset]):
        assert fl.sql(there, "SELECT count(*) AS n FROM logs")["n"].tolist() == [2]
    with pytest.raises(DatasetError, match="There is no dataset 'nix'"):
        fl.sql("nix", "SELECT 1 FROM logs")


@pytest.mark.spark
def test_the_users_own_view_is_restored(
    running: SparkSession, in_spark: DataFrame, uncompiled: None, ours: None
) -> None:
    assert fl.sql(in_spark, "SELECT count(*) AS n FROM logs")["n"].tolist() == [4]
    assert running.table("logs").count() == 7
    with pytest.raises(InvalidRequestError, match="nix"):
        fl.sql(in_spark, "SELECT nix FROM logs")
    assert running.table("logs").count() == 7


@pytest.mark.spark
def test_no_view_is_left_behind_and_other_views_can_be_used(
    running: SparkSession, in_spark: DataFrame, uncompiled: None
) -> None:
    running.range(3).createOrReplaceTempView("mine")
    try:
        frame = fl.sql(in_spark, "SELECT count(*) AS n FROM logs JOIN mine ON taskid = id")
    finally:
        running.catalog.dropTempView("mine")
    assert frame["n"].tolist() == [3]
    assert not running.catalog.tableExists("logs")


@pytest.mark.spark
def test_a_table_called_logs_is_only_hidden(
    running: SparkSession, in_spark: DataFrame, uncompiled: None, tmp_path: Path
) -> None:
    (tmp_path / "table").mkdir()
    pq.write_table(pa.table({"id": range(5)}), tmp_path / "table" / "five.parquet")
    running.sql(f"CREATE TABLE logs USING parquet LOCATION '{tmp_path}/table'")
    try:
        assert fl.sql(in_spark, "SELECT count(*) AS n FROM logs")["n"].tolist() == [4]
        assert running.table("logs").count() == 5
    finally:
        running.sql("DROP TABLE logs")


@pytest.mark.spark
def test_threads_do_not_see_each_others_logs(in_spark: DataFrame, uncompiled: None) -> None:
    answers: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        mine = in_spark.limit(number)
        answers[number] = [fl.sql(mine, "SELECT count(*) AS n FROM logs")["n"].iloc[0] for _ in range(2)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: [number] * 2 for number in (1, 2, 3)}


# ---- the time of a query, and its IOV


def test_the_iov_columns_have_names_that_are_not_those_of_a_selection(with_iov: Logs) -> None:
    frame = fl.sql(
        with_iov,
        "SELECT iov_since, iov_until FROM logs WHERE time >= :since AND time < :until",
        since=datetime(2026, 10, 1),
        until=datetime(2026, 10, 1, 1),
    )
    assert frame.to_dict("list") == {"iov_since": [5], "iov_until": [2**62]}
    later = fl.Selection(since="2026-10-01T01:00").of(with_iov)
    assert fl.sql(later, "SELECT iov_since FROM logs")["iov_since"].tolist() == [-1]


@pytest.mark.spark
def test_the_iov_columns_of_a_users_own_frame_have_the_same_names(
    running: SparkSession, datasets: dict[str, Dataset]
) -> None:
    frame = fl.open_logs(datasets["iov"], session=running).to_spark()
    own = frame.withColumnsRenamed({"iov_since": "since", "iov_until": "until"})
    assert fl.sql(own, "SELECT max(iov_until) AS last FROM logs")["last"].tolist() == [2**62]
    assert fl.filters.payload_per_schema(own)["payload"].tolist() == [1]
    assert spark.run(own, "SELECT max(iov_since) AS last FROM {logs}")["last"].tolist() == [5]
    assert "since" in own.columns


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT count(*) FROM logs WHERE since >= 0", "since"),
        ("SELECT max(l.Until) FROM logs AS l", "until"),
        ("SELECT db FROM logs ORDER BY `since`", "since"),
    ],
)
def test_since_and_until_as_columns_are_refused_with_their_names(with_iov: Logs, statement: str, name: str) -> None:
    message = rf"The column iov_{name} has the IOV; the time of a query is in the column time\. .*olumns of logs: time,"
    with pytest.raises(InvalidRequestError, match=message):
        fl.sql(with_iov, statement)


# ---- its parameters


def test_values_never_become_sql(logs: Logs) -> None:
    names = {f"name_{n}": name for n, name in enumerate(NASTY)}
    said = ", ".join(f":{one} AS {one}, schema = :{one} AS is_{one}" for one in names)
    frame = fl.sql(logs, f"SELECT schema, {said} FROM logs", **names)
    for one, name in names.items():
        assert frame[one].tolist() == [name] * len(NASTY)
        assert frame.loc[frame[f"is_{one}"], "schema"].tolist() == [name]
    for name in (NASTY[:1], NASTY[1:]):  # and in a list
        frame = fl.sql(logs, "SELECT schema FROM logs WHERE array_contains(:names, schema)", names=[*name, "x"])
        assert sorted(frame["schema"]) == sorted(name)


ONE = datetime(2026, 10, 1, 1)
TIMES: list[Any] = [
    ONE,
    ONE.replace(tzinfo=UTC),
    datetime(2026, 10, 1, 3, tzinfo=timezone(timedelta(hours=2))),
    pd.Timestamp(ONE),
    pd.Timestamp("2026-10-01 03:00", tz="Europe/Zurich"),
    np.datetime64(ONE),
    pd.Series([pd.Timestamp(ONE)]).iloc[0],
]


def test_times_are_utc(logs: Logs, new_york: None) -> None:
    assert time.localtime(0).tm_hour == 19
    since = {f"since_{n}": value for n, value in enumerate(TIMES)}
    reached = ", ".join(f"time >= :{name} AS {name}, time = :{name} AS at_{name}" for name in since)
    frame = fl.sql(logs, f"SELECT {reached} FROM logs ORDER BY taskid", **since)
    for name in since:
        assert frame[name].tolist() == [False, True, True, True], name
        assert frame[f"at_{name}"].tolist() == [False, True, False, False], name


@pytest.mark.spark
def test_values_of_all_types_are_returned_unchanged(in_spark: DataFrame) -> None:
    largest = 2**63 - 1
    values = {
        "whole": largest,
        "least": np.int64(-largest),
        "part": np.float64(0.1),
        "exact": Decimal("1.50"),
        "yes": np.bool_(True),
        "text": np.str_("t"),
        "raw": b"\x00'",
        "day": date(2026, 10, 1),
        "moment": pd.Timestamp("2026-10-01T00:00:00.001Z"),
        "long": timedelta(seconds=1),
        "none": pd.NaT,
    }
    frame = fl.sql(in_spark, f"SELECT {', '.join(f':{name} AS {name}' for name in values)} FROM logs LIMIT 1", **values)
    row = frame.iloc[0]
    assert [row["whole"], row["least"], row["part"], row["exact"]] == [largest, -largest, 0.1, Decimal("1.50")]
    assert [row["yes"], row["text"], row["raw"], row["day"]] == [True, "t", b"\x00'", date(2026, 10, 1)]
    assert [row["moment"], row["long"]] == [values["moment"], timedelta(seconds=1)]
    assert row["none"] is None or pd.isna(row["none"])


def test_a_list_is_an_array(logs: Logs) -> None:
    kinds = [[1, 2], (1, 2), {1, 2}, np.array([1, 2], np.int32), pd.Series([1, 2], dtype="Int64"), range(1, 3)]
    lists = {f"tasks_{n}": tasks for n, tasks in enumerate(kinds)}
    found = ", ".join(f"array_contains(:{name}, taskid) AS {name}" for name in lists)
    frame = fl.sql(logs, f"SELECT {found} FROM logs ORDER BY taskid", **lists)
    for name in lists:
        assert frame[name].tolist() == [False, True, True, False], name


def test_a_list_can_be_empty_or_long(logs: Logs) -> None:
    question = "SELECT count(*) AS n FROM logs WHERE array_contains(:tasks, taskid)"
    assert fl.sql(logs, question, tasks=[])["n"].tolist() == [0]
    assert fl.sql(logs, question, tasks=[2**63 - 1, -(2**63), *range(2, 1000)])["n"].tolist() == [2]
    assert fl.sql(logs, "SELECT :tasks AS t", tasks=[2**63 - 1, -(2**63)])["t"].iloc[0].tolist() == [
        2**63 - 1,
        -(2**63),
    ]


def test_strings_and_comments_hold_no_parameters() -> None:
    text = """SELECT ':a', "x:b \\" :c", `:d`, '\\':e', x::int, :yes -- :f
    /* :g
    :h */ WHERE y=:yes2"""
    assert names_in(text) == {"yes", "yes2"}


@pytest.mark.parametrize("word", ["EXPLAIN", "SHOW", "EXECUTE IMMEDIATE", "WITH a AS (SELECT 1)"])
def test_statements_that_begin_with_any_word_have_parameters(word: str) -> None:
    assert names_in(f"{word} SELECT * FROM logs WHERE db = :db") == {"db"}


# ---- what is wrong is said before the statement runs


@pytest.mark.spark
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT nix FROM logs", r"name `nix` cannot be resolved.*line 1 pos 7.*columns of logs: time, .*fsize"),
        ("SELEC 1", r"does not understand the statement: Syntax error at or near 'SELEC' \(line 1, pos 0\)\. The"),
        ("SELECT 1 FROM logz", r"table or view `logz` cannot be found"),
        ("SELECT nix(1) FROM logs", r"routine `nix`"),
        ("SELECT 1; SELECT 2", r"extra input 'SELECT'"),
        ("", "unexpected empty statement"),
        ("SELECT count(*), db FROM logs", "GROUP BY"),
    ],
)
def test_an_invalid_statement_is_refused(
    in_spark: DataFrame, statement: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidRequestError, match=message) as caught:
        fl.sql(in_spark, statement)
    assert "SQLSTATE" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_parameter_without_a_value_is_refused(logs: Logs) -> None:
    with pytest.raises(InvalidRequestError, match=r"has :db, for which no value is given; give db=…\. Given: a\."):
        fl.sql(logs, "SELECT :a AS a FROM logs WHERE db = :db", a=1)


def test_a_value_without_a_parameter_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match=r"no :dbs, for which a value is given\. Its parameters: :db\."):
        fl.sql("unopened", "SELECT ':dbs' FROM logs WHERE db = :db", db="CONDBR2", dbs="x")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**63, "a is 9223372036854775808 of more than 64 bits.*Give a text"),
        (object(), "a is of type <class 'object'>"),
        ({"x": 1}, "a is of type <class 'dict'>"),
        ([1, "x"], "a is a list of different kinds"),
        ([1, None], "a has an empty value in its list"),
        ([[1]], "a is of type <class 'list'>"),
        (np.eye(2), "a is an array of 2 dimensions"),
        (pd.Timestamp("2026-10-01T00:00:00.000000001"), "finer than a microsecond"),
    ],
)
def test_a_value_without_a_spark_type_is_refused(value: object, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        as_parameters({"a": value})


def test_a_statement_that_is_not_text_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="give a text in Spark SQL"):
        fl.sql("unopened", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT 1 / (taskid - taskid) AS x FROM logs", r"failed at sql: SELECT .*: Division by zero\."),
        (
            "SELECT CAST(schema AS int) AS x FROM logs",
            r"failed at sql: SELECT .*: (The value .* cannot be cast|A text)",
        ),
        ("SELECT sum(fsize) FROM logs", "overflow|64 bits"),
    ],
)
def test_a_failing_statement_is_an_error(
    logs: Logs, statement: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StatementError, match=message):
        fl.sql(logs, statement)
    assert "SQLQueryContextLogger" not in capfd.readouterr().err


@pytest.mark.spark
def test_an_error_that_a_statement_raises_is_said(in_spark: DataFrame) -> None:
    with pytest.raises(StatementError, match=r"failed at (the statement|sql: SELECT .*): too bad"):
        fl.sql(in_spark, "SELECT raise_error('too bad')")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT nix FROM logs", r"does not understand the statement: .*nix.* Columns of logs: time, .*fsize"),
        ("SELECT nix, count(*) FROM logs GROUP BY nix", r"There is no column nix\. Columns of logs: time, .*fsize"),
        ("SELECT since, count(*) FROM logs GROUP BY since", r"no column since\. The column iov_since has the IOV"),
        ("SELECT round(taskid, 1) FROM logs", r"no function round "),
        ("SELECT round(taskid, 1) AS x FROM logs", r"no function round .* engine=\"spark\""),
        (
            "SELECT left(taskid, 1) AS x FROM logs",
            r"No function matches .* If it is valid in Spark SQL, open the logs with engine=\"spark\"\. Columns of",
        ),
        ("SELECT 1 AS x FROM mine", r"no table mine; .*Spark session need .*engine=\"spark\""),
        ("SELEC 1", r"cannot be read as Spark SQL: .*engine=\"spark\""),
        ("SELECT 1 AS x; SELECT 2 AS x", "Give one SELECT statement"),
    ],
)
def test_what_duckdb_does_not_have_is_named(datasets: dict[str, Dataset], statement: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message) as caught:
        fl.sql(datasets["four"], statement)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("length(time)", "A text of a time"),
        ("CAST(time AS BIGINT)", "A time as a number; unix_seconds gives it"),
        ("date_trunc('fortnight', time)", "date_trunc to another unit"),
        ("floor(schema)", "floor of something else than a number"),
        ("CAST(taskid AS INT) >> 32", "A shift by less than 0 bits or by all"),
    ],
)
def test_a_value_that_duckdb_does_not_answer_as_spark_is_named(
    datasets: dict[str, Dataset], expression: str, message: str
) -> None:
    with pytest.raises(StatementError, match=f'{message}.* does not answer this as Spark does.*engine="spark"'):
        fl.sql(datasets["four"], f"SELECT {expression} AS x FROM logs")


def test_what_answered_is_in_the_frame(logs: Logs) -> None:
    answered = fl.sql(logs, "SELECT count(*) AS n FROM logs").attrs["answered"]
    assert (answered["engine"], answered["from"]) == (logs.engine, "queries")
    assert answered["seconds"] > 0


def test_it_can_be_cancelled(logs: Logs) -> None:
    with fl.cancellable() as work:
        work.cancel()
        with pytest.raises(Cancelled, match="was cancelled"):
            fl.sql(logs, "SELECT 1 FROM logs")
