import contextvars
import errno
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from frontierlab import cancellable
from frontierlab.engines import Limits, Table, duck
from frontierlab.engines.instance import connection
from frontierlab.engines.translate import translate
from frontierlab.errors import Cancelled, DatasetError, InvalidRequestError, StatementError
from frontierlab.util.files import scratch_path
from tests.services.processes import in_fork
from tests.support.logs import START, make_dataset
from tests.support.waiting import until_duckdb_runs, wait_for

LONG = "SELECT count(*) AS n FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"
LARGE = "SELECT range AS n, hash(range) AS h FROM range(6000000) ORDER BY h DESC"


def ask(statement: str, table: Table | None = None, limits: Limits | None = None, **args: Any) -> pd.DataFrame:
    return duck.run({} if table is None else {"logs": table}, statement, args, limits=limits)


# ---- frames -----------------------------------------------------------------------------------------


def test_frames_have_the_types_of_spark() -> None:
    frame = ask(
        "SELECT 1 AS int, 2::BIGINT AS bigint, 3::HUGEINT AS hugeint, 0.5e0 AS double, true AS flag, 'a' AS text, "
        "TIMESTAMPTZ '2026-10-01 00:00:00.001+02:00' AS time, DATE '2026-10-01' AS day, [1.5e0] AS list"
    )
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
        **dict.fromkeys(("int", "bigint", "hugeint"), "Int64"),
        "double": "Float64",
        "flag": "boolean",
        "text": "string",
        "time": "datetime64[ms, UTC]",
        "day": "object",
        "list": "object",
    }
    (row,) = frame.itertuples(index=False)
    assert row.time == datetime(2026, 9, 30, 22, 0, 0, 1000, UTC)
    assert row.day == date(2026, 10, 1)


@pytest.mark.parametrize("sql", ["1.5", "INTERVAL 1 HOUR", "TIMESTAMP '2026-10-01'", "{'a': 1}", "1::UBIGINT"])
def test_a_type_that_spark_would_return_otherwise_is_refused(sql: str) -> None:
    with pytest.raises(
        InvalidRequestError, match=r'The column x would be [A-Z]+.*, or open the logs with engine="spark"'
    ):
        ask(f"SELECT {sql} AS x")


@pytest.mark.parametrize("rows", ["n = 1", "n = 2", "true", "false"])
def test_frames_of_own_statements_are_those_of_users(rows: str) -> None:
    columns = {
        "whole": "9223372036854775807",
        "small": "-7::INTEGER",
        "fraction": "'NaN'::DOUBLE",
        "flag": "true",
        "text": "'it''s Åß'",
        "time": "TIMESTAMPTZ '1960-10-01 00:00:00.001+02:00'",
        "list": "[1.5e0, NULL]",
    }
    both = ", ".join(f"CASE WHEN n = 1 THEN {value} END AS {name}" for name, value in columns.items())
    statement = f"SELECT {both} FROM (VALUES (1), (2)) t(n) WHERE {rows} ORDER BY n"
    pd.testing.assert_frame_equal(duck.run_own({}, statement), duck.run({}, statement), check_exact=True)


def test_a_type_that_no_own_statement_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"A column of an own statement cannot be read: x of \{'x': 'HUGEINT'\}"):
        duck.run_own({}, "SELECT 1::HUGEINT AS x")


def test_a_sum_of_more_than_64_bits_fails() -> None:
    with pytest.raises(StatementError, match=r"DuckDB failed at SELECT .*: a whole number of the result has over 64"):
        ask("SELECT sum(x) AS n FROM (VALUES (9223372036854775807), (1)) t(x)")


# ---- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT nothing FROM logs", r"There is no column nothing\. Columns of logs: time, taskid, "),
        ("SELECT db FROM elsewhere", r"There is no table elsewhere; DuckDB has logs\..*engine=\"spark\""),
        ("SELECT db frm logs x", r"The statement cannot be read as Spark SQL: .* Line 1, Col: \d+\."),
        ("SELECT sum(db) AS n FROM logs", r"No function matches the given name and argument types 'sum\(VARCHAR\)'"),
    ],
)
def test_a_statement_that_makes_no_sense_is_refused(tmp_path: Path, statement: str, message: str) -> None:
    table = Table.of(make_dataset(tmp_path / "logs", [{}]))
    with pytest.raises(InvalidRequestError, match=message):
        ask(translate(statement), table)


def test_a_python_variable_is_not_a_table() -> None:
    frame = pd.DataFrame({"n": [1]})
    with pytest.raises(InvalidRequestError, match="Table with name frame does not exist"):
        ask("SELECT n FROM frame")
    assert len(frame) == 1


def test_a_missing_file_fails_with_its_name(tmp_path: Path) -> None:
    table = Table.of(make_dataset(tmp_path / "logs", [{}]))
    shutil.rmtree(tmp_path / "logs" / "parts")
    with pytest.raises(StatementError, match=r"DuckDB failed at counting: No files found .*0\.parquet"):
        duck.run({"logs": table}, "SELECT count(*) AS n FROM logs", description="counting")


def test_limits_that_are_not_possible_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(StatementError, match=r"DuckDB does not start with Limits.*No such file"):
        ask("SELECT 1 AS n", limits=Limits(spill_dir=tmp_path / "nowhere"))
    with pytest.raises(StatementError, match="DuckDB does not start with Limits"):
        ask("SELECT 1 AS n", limits=Limits(threads=-1))
    assert ask("SELECT 1 AS n")["n"].tolist() == [1]


# ---- the end of a statement -------------------------------------------------------------------------


def test_a_cancelled_statement_ends_at_once() -> None:
    running = cancellable()

    def cancel() -> None:
        until_duckdb_runs()
        running.cancel()

    threading.Thread(target=cancel).start()
    with running, pytest.raises(Cancelled) as caught:
        ask(LONG)
    assert not hasattr(caught.value, "__notes__")  # they would say that DuckDB goes on
    with running, pytest.raises(Cancelled):
        ask("SELECT 1 AS n")
    assert ask("SELECT 1 AS n")["n"].tolist() == [1]


def test_an_interrupted_statement_ends_at_once() -> None:
    def press() -> None:
        until_duckdb_runs()
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt) as caught:
        ask(LONG)
    assert not hasattr(caught.value, "__notes__")  # they would say that DuckDB goes on
    wait_for(lambda: not any(one.name.startswith("frontierlab-duckdb") for one in threading.enumerate()))


# ---- memory and disk --------------------------------------------------------------------------------


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """Yield the names of files that were in a folder at some time."""
    seen: list[str] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            seen.extend(file.name for file in folder.rglob("*") if file.is_file())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_what_memory_cannot_hold_goes_to_the_disk_and_is_removed(tmp_path: Path) -> None:
    limits = Limits(memory_mb=100, threads=2, spill_dir=tmp_path)
    with watched(tmp_path) as seen:
        duck.write(
            {}, LARGE.replace("hash(range)", "(hash(range) >> 1)::BIGINT"), tmp_path / "out.parquet", limits=limits
        )
    assert any(name.startswith("duckdb_temp") for name in seen if not name.endswith("_owner")), set(seen)
    kept = ("_owner", ".lock")  # while this process runs
    left = [file.name for file in tmp_path.rglob("*") if file.is_file() and not file.name.endswith(kept)]
    assert left == ["out.parquet"]
    assert pq.read_schema(tmp_path / "out.parquet").types == [pa.int64(), pa.int64()]


@pytest.mark.slow
def test_without_space_on_the_disk_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil._ntuple_diskusage(10**12, 10**12 - 2**30, 2**30)  # type: ignore[attr-defined]
    monkeypatch.setattr("frontierlab.engines.instance.shutil.disk_usage", lambda _: full)
    limits = Limits(memory_mb=100, threads=2, spill_dir=tmp_path)
    with pytest.raises(
        StatementError, match=r"needs more memory and disk .* 100 MB of memory, and 0\.0 GB in .*larger"
    ):
        duck.write(
            {}, LARGE.replace("hash(range)", "(hash(range) >> 1)::BIGINT"), tmp_path / "o.parquet", limits=limits
        )
    assert ask("SELECT 1 AS n", limits=limits)["n"].tolist() == [1]


def test_what_a_killed_process_left_on_the_disk_is_removed(tmp_path: Path) -> None:
    left = tmp_path / "frontierlab-duckdb-0123456789ab"
    left.mkdir()
    (left / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"x")
    with scratch_path(tmp_path, "frontierlab-duckdb-") as in_use:
        in_use.mkdir()
        left.mkdir()
        assert ask("SELECT 1 AS n", limits=Limits(spill_dir=tmp_path))["n"].tolist() == [1]
        assert in_use.exists()
        assert not left.exists()


def test_a_full_disk_does_not_matter_to_what_fits_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("frontierlab.util.files.filelock.FileLock.acquire", fail)
    assert ask("SELECT 1 AS n", limits=Limits(spill_dir=tmp_path))["n"].tolist() == [1]


@pytest.mark.slow
def test_less_memory_waits_for_a_statement_that_has_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = shutil._ntuple_diskusage(10**12, 10**12, 0)  # type: ignore[attr-defined]
    monkeypatch.setattr("frontierlab.engines.instance.shutil.disk_usage", lambda _: full)
    limit = "SELECT current_setting('memory_limit') AS it"
    with connection(Limits(400, spill_dir=tmp_path)) as large:
        large.execute("CREATE TEMP TABLE held AS SELECT hash(range) AS h FROM range(12000000)")
        assert ask(limit, limits=Limits(64, spill_dir=tmp_path))["it"].tolist() == ["381.4 MiB"]
    assert ask(limit, limits=Limits(64, spill_dir=tmp_path))["it"].tolist() == ["61.0 MiB"]


# ---- threads and processes --------------------------------------------------------------------------


@pytest.mark.slow
def test_threads_ask_at_once_each_its_own_tables(tmp_path: Path) -> None:
    tables = [Table.of(make_dataset(tmp_path / f"logs{n}", [{"fsize": n}] * (n + 1))) for n in range(8)]

    def total(number: int) -> int:
        return int(ask("SELECT sum(fsize) AS n FROM logs", tables[number % 8])["n"][0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(total, range(64))) == [n % 8 * (n % 8 + 1) for n in range(64)]


@pytest.mark.slow
def test_a_statement_goes_on_while_others_have_another_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, cancellable() as work:
        running = pool.submit(contextvars.copy_context().run, ask, LONG, limits=Limits(spill_dir=tmp_path))
        until_duckdb_runs()
        for folder in (None, tmp_path, None):
            assert ask("SELECT 1 AS n", limits=Limits(spill_dir=folder))["n"].tolist() == [1]
        assert not running.done()
        work.cancel()
        with pytest.raises(Cancelled):
            running.result(timeout=10)
    assert ask("SELECT 1 AS n", limits=Limits(spill_dir=tmp_path))["n"].tolist() == [1]


@pytest.mark.slow
def test_a_forked_process_has_its_own_duckdb() -> None:
    assert ask("SELECT 1 AS n")["n"].tolist() == [1]
    assert in_fork(lambda: ask("SELECT 7 AS n")["n"].tolist() == [7])
    assert ask("SELECT 8 AS n")["n"].tolist() == [8]


# ---- tables -----------------------------------------------------------------------------------------


def test_a_table_of_several_datasets_has_the_columns_of_each(tmp_path: Path) -> None:
    first = make_dataset(tmp_path / "we[i]rd* it's?" / "a", [{"fsize": 1, "size": 0.5}], extra={"size": "number"})
    second = make_dataset(tmp_path / "b", [{"fsize": 2}], [], [{"fsize": 3, "who": "x"}], extra={"who": "name"})
    nothing = make_dataset(tmp_path / "c", [])
    table = Table.of(first, second, nothing)
    frame = ask("SELECT fsize, size, who, time FROM logs ORDER BY fsize", table)
    assert frame["fsize"].tolist() == [1, 2, 3]
    assert frame["size"].isna().tolist() == [False, True, True]
    assert frame["who"].isna().tolist() == [True, True, False]
    assert list(table.columns)[-2:] == ["size", "who"]
    assert ask("SELECT * FROM logs", Table.of(nothing)).dtypes.equals(
        ask("SELECT * FROM logs", Table.of(make_dataset(tmp_path / "d", [{}]))).dtypes
    )


def test_the_summary_of_several_datasets_counts_all_of_them(tmp_path: Path) -> None:
    first, second = (make_dataset(tmp_path / name, [{}] * 2, [{}]) for name in "ab")
    nothing = make_dataset(tmp_path / "c", [])
    summary = Table.of(first, second, nothing).summary("periods")
    assert summary is not None
    assert ask("SELECT sum(times) AS n FROM logs", summary)["n"].tolist() == [6]
    (second.path / "parts" / "00001" / "0.summary").unlink()
    assert Table.of(first, second).summary("periods") is None
    assert Table.of(nothing).summary("periods") is None


def test_what_cannot_be_one_table_is_refused(tmp_path: Path) -> None:
    part = make_dataset(tmp_path / "part", [{}], missing=1)
    with pytest.raises(DatasetError, match="The dataset part is incomplete"):
        Table.of(part)
    assert ask("SELECT count(*) AS n FROM logs", Table.of(part, allow_incomplete=True))["n"].tolist() == [1]
    number, text = (make_dataset(tmp_path / kind, [{}], extra={"size": kind}) for kind in ("number", "name"))
    with pytest.raises(DatasetError, match="The column size is double in number and string in name"):
        Table.of(number, text)
    upper = make_dataset(tmp_path / "upper", [{}], extra={"Size": "number"})
    with pytest.raises(DatasetError, match=r"columns size \(of number\) and Size \(of upper\) differ in case alone"):
        Table.of(number, upper)


def test_times_of_the_process_do_not_change_times(tmp_path: Path) -> None:
    table = Table.of(make_dataset(tmp_path / "logs", [{"time": START}]))
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    try:
        frame = ask(
            translate("SELECT time, hour(time) AS h, time >= :at AS later FROM logs WHERE time >= '2026-10-01'"),
            table,
            at=datetime(2026, 10, 1, tzinfo=UTC),
        )
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()
    assert [str(value) for value in frame.iloc[0]] == ["2026-10-01 00:00:00+00:00", "0", "True"]
