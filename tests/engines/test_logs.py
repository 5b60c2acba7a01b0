"""Logs: what they are opened from, which engine answers, selections of them, and the same answers from both engines."""

import subprocess
import sys
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import Dataset, Selection, Settings, filters
from frontierlab.engines import Logs, as_logs, ask, engine_choice
from frontierlab.engines.engine_choice import engine_of
from frontierlab.errors import Cancelled, DatasetError, InvalidRequestError, SparkError, StatementError
from frontierlab.filters.extracted import NotExtracted
from frontierlab.sample import World
from frontierlab.schema import COLUMNS, IOV_COLUMNS
from tests.spark.test_spark_statements import ENDLESS, active_jobs
from tests.support.examples import examples
from tests.support.logs import START, make_dataset
from tests.support.random_logs import NASTY, WORLDS, selections, world
from tests.support.reference_filters import selects
from tests.support.spark_options import for_once, interpreted
from tests.support.waiting import until_duckdb_runs, wait_for

MINUTE = 60_000
NAMES = [IOV_COLUMNS.get(column.name, column.name) for column in COLUMNS]
SHARED = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@pytest.fixture
def data(tmp_path: Path) -> Settings:
    """Settings of a data folder with the datasets one, two and part, which is incomplete."""
    folder = tmp_path / "datasets"
    for name, count in (("one", 1), ("two", 2)):
        day = START + count * 86_400_000
        make_dataset(folder / name, [{"time": day + n, "fsize": 10 * count} for n in range(count)])
    make_dataset(folder / "part", [{}], missing=1)
    return Settings(data_dir=tmp_path)


# ---- what can be opened -----------------------------------------------------------------------------


def test_a_name_a_dataset_several_and_a_period_can_be_opened(data: Settings) -> None:
    one = fl.datasets.open_dataset("one", data)
    period = fl.datasets.period(["one", "two"], settings=data)
    for what, names in (("one", ["one"]), (one, ["one"]), ([one, "two"], ["one", "two"]), (period, ["one", "two"])):
        logs = fl.open_logs(what, settings=data)
        assert [dataset.name for dataset in logs.datasets] == names
        assert (logs.engine, logs.columns) == ("duckdb", NAMES)
        assert logs.count() == sum({"one": 1, "two": 2}[name] for name in names)
    assert repr(fl.open_logs(period, settings=data)) == "<Logs of one, two, with duckdb: 26 columns>"
    part = Selection(db="CONDBR2").of(fl.open_logs("one", settings=data))
    assert repr(part) == "<Logs of a part of one, with duckdb: 26 columns>"


@pytest.mark.slow
def test_each_question_takes_what_can_be_opened(data: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTIERLAB_DATA_DIR", str(data.data_dir))
    one = fl.datasets.open_dataset("one")
    for what in ("one", one, [one], fl.open_logs(one), fl.datasets.period("one")):
        assert filters.queries_per_db(what)["unknown"].tolist() == [1]
        assert fl.contents.folders(what)["queries"].tolist() == [1]
        assert fl.contents.tasks(what).empty
        assert fl.sql(what, "SELECT count(*) AS n FROM logs")["n"].tolist() == [1]
        assert fl.what_changed(what, "two")["queries_change"].tolist() == [1] * 7
        assert Selection(db="CONDBR2").of(what).count() == 1


def test_what_cannot_be_opened_is_refused(data: Settings) -> None:
    with pytest.raises(DatasetError, match="There is no dataset 'three'"):
        fl.open_logs("three", settings=data)
    with pytest.raises(
        DatasetError, match=r"The dataset part is incomplete: figures .* goes on .*allow_incomplete=True\) opens"
    ):
        fl.open_logs(["one", "part"], settings=data)
    assert fl.open_logs("part", settings=data, allow_incomplete=True).count() == 1
    with pytest.raises(InvalidRequestError, match="A period needs at least one dataset"):
        fl.open_logs([], settings=data)
    for strange in (7, None, [7], pd.DataFrame({"one": [1]})):
        with pytest.raises(InvalidRequestError, match="has no logs: give a dataset, the name of one, a list of these"):
            as_logs(strange)  # type: ignore[arg-type]


def test_methods_of_a_data_frame_are_explained(data: Settings) -> None:
    logs = fl.open_logs("one", settings=data)
    with pytest.raises(AttributeError, match=r"Logs have no filter\. .*frontierlab\.sql; logs\.to_spark\(\) gives a"):
        logs.filter("db = 'CONDBR2'")
    assert not hasattr(logs, "sparkSession")


@pytest.mark.parametrize("of", [fl.caching.efficiency, fl.report])
def test_figures_of_whole_datasets_refuse_a_selection_of_logs(data: Settings, of: Any) -> None:
    part = Selection(db="CONDBR2").of(fl.open_logs("one", settings=data))
    settings = fl.sample.settings(data_dir=data.data_dir)
    with pytest.raises(InvalidRequestError, match=r"Logs of a part of one.* is not a whole dataset: .* as selection=…"):
        of(part, settings=settings)


# ---- which engine answers ---------------------------------------------------------------------------


def test_auto_is_duckdb_on_this_machine_and_spark_on_a_cluster_or_for_many_queries(
    data: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = fl.datasets.open_dataset("two", data)
    cluster = data.model_copy(update={"spark_master": "spark://host:7077"})
    assert engine_of(two, data) == engine_of(two, data, "auto") == "duckdb"
    assert engine_of(two, cluster) == engine_of(two, data, "spark") == "spark"
    assert engine_of(two, cluster, "duckdb") == "duckdb"
    monkeypatch.setattr(engine_choice, "MOST_QUERIES", 2)
    assert engine_of(two, data) == "duckdb"
    assert engine_of(fl.datasets.period(["one", "two"], settings=data), data) == "spark"
    monkeypatch.setattr(engine_choice, "MOST_QUERIES", 1)
    assert engine_of(two, data) == "spark"
    assert engine_of(two, data.model_copy(update={"engine": "duckdb"})) == "duckdb"
    assert engine_of(two, data.model_copy(update={"engine": "spark"})) == "spark"


def test_an_engine_that_does_not_exist_or_contradicts_the_session_is_refused(data: Settings) -> None:
    session: Any = object()
    with pytest.raises(InvalidRequestError, match="engine='polars': give one of auto, duckdb, spark"):
        fl.open_logs("one", engine="polars", settings=data)
    with pytest.raises(InvalidRequestError, match='engine="duckdb" uses no Spark session'):
        fl.open_logs("one", engine="duckdb", session=session, settings=data)


def test_the_settings_limit_duckdb(data: Settings, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    logs = fl.open_logs("one", settings=data.model_copy(update={"spill_dir": gone, "duckdb_memory_mb": 99}))
    with pytest.raises(StatementError, match=r"DuckDB does not start with Limits\(memory_mb=99, .*gone"):
        logs.count()
    gone.mkdir()
    assert logs.count() == 1


def test_spark_is_not_tried_in_place_of_duckdb(data: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontierlab.spark.sessions.session", lambda *_: pytest.fail("Spark was started"))
    dataset = fl.datasets.open_dataset("one", data)
    logs = fl.open_logs(dataset, settings=data)
    (file,) = dataset.files()
    file.unlink()
    with pytest.raises(StatementError, match=r"DuckDB failed at querytime_percentiles: No files found"):
        filters.querytime_percentiles(logs)


# ---- a selection of logs ----------------------------------------------------------------------------


@pytest.mark.slow
@settings(SHARED, max_examples=examples(50))
@given(data=st.data(), seed=st.integers(0, WORLDS - 1))
def test_a_selection_has_the_selected_queries(data: st.DataObject, seed: int) -> None:
    logs, first, second = world(seed), data.draw(selections(seed)), data.draw(selections(seed))
    part = second.of(first.of(logs.logs))
    wanted = [row for row in logs.rows if selects(first)(row) and selects(second)(row)]
    assert part.count() == len(wanted)
    assert part.columns == logs.logs.columns
    assert part.summary("periods") is None or first == second == Selection()
    if data.draw(st.integers(0, 9)) == 0:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotExtracted)  # the selections can have no time in common
            frames = filters.cost_per_task(part), filters.cost_per_task(first.of(logs.logs), second)
        pd.testing.assert_frame_equal(*frames)


@pytest.mark.slow
def test_values_of_a_selection_never_become_sql(tmp_path: Path) -> None:
    names = [*NASTY, "getvariable('x')", "$schema", "'); DROP VIEW logs; --", "a\x01b"]
    logs = fl.open_logs(make_dataset(tmp_path / "names", [{"schema": name} for name in names]))
    for name in names:
        part = Selection(schema=name).of(logs)
        assert fl.sql(part, "SELECT schema FROM logs")["schema"].tolist() == [name]
    both = fl.what_changed(Selection(schema=names[0]).of(logs), Selection(schema=names[1:3]).of(logs))
    assert both.loc[both["what"] == "folder", ["queries_before", "queries"]].sum().tolist() == [1, 2]


# ---- both engines -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> fl.datasets.Period:
    """Two datasets with different columns; of the first, only some minutes count."""
    folder = tmp_path_factory.mktemp("days")
    source = {"source": "logs.ndjson"}
    rows = [
        {"time": START + n * MINUTE, "schema": "AB"[n % 2], "cached": n % 3 == 0, "fsize": n, "querytime": 40 * n}
        for n in range(90)
    ]
    until = {"since": "2026-10-01T00:00:00.000Z", "until": "2026-10-01T01:00:00.000Z"}
    first = make_dataset(folder / "a", rows[:60], extra={"who": "name"}, request=source | until)
    until = {"since": "2026-10-01T00:37:00.000Z", "until": "2026-10-01T01:30:00.000Z"}
    second = make_dataset(folder / "b", rows[37:], extra={"size": "number"}, request=source | until)
    return fl.datasets.Period([first, second], since="2026-10-01T00:07")


@pytest.mark.spark
def test_a_period_has_the_same_frames_with_both_engines(days: fl.datasets.Period, running: SparkSession) -> None:
    ours, theirs = fl.open_logs(days, engine="duckdb"), fl.open_logs(days, session=running)
    assert ours.columns == theirs.columns == [*NAMES, "who", "size"]
    assert ours.count() == theirs.count() == 83
    for name in ("queries_per_schema", "queries_over_time", "long_queries_per_schema"):
        with interpreted(running) if name != "queries_over_time" else nullcontext():
            frames = [getattr(filters, name)(logs, cached=False) for logs in (ours, theirs)]
        assert [one.attrs["answered"]["from"] for one in frames] == ["summary", "summary"], name
        pd.testing.assert_frame_equal(*frames)
    rows = "SELECT who, size, fsize FROM logs ORDER BY time"
    pd.testing.assert_frame_equal(fl.sql(ours, rows), fl.sql(theirs, rows))


@pytest.mark.spark
def test_logs_of_duckdb_become_a_spark_data_frame(
    days: fl.datasets.Period, running: SparkSession, uncompiled: None
) -> None:
    logs = fl.open_logs(days, engine="duckdb")
    frame = logs.to_spark(running)
    assert (frame.columns, frame.count()) == (logs.columns, 83)
    part = Selection(schema="B", since="2026-10-01T00:30").of(Selection(cached=False).of(logs))
    assert part.to_spark(running).count() == part.count() > 0
    summary = logs.summary("periods")
    assert summary is not None
    assert summary.to_spark(running).groupBy().sum("times").collect()[0][0] == 83
    assert Selection(schema="B").of(frame).filter("fsize > 50").count() == 20
    frames = [filters.queries_over_time(one) for one in (logs, frame)]
    assert [one.attrs["answered"]["engine"] for one in frames] == ["duckdb", "spark"]
    pd.testing.assert_frame_equal(*frames)


@pytest.mark.spark
def test_if_one_of_two_logs_is_sparks_spark_answers(days: fl.datasets.Period, running: SparkSession) -> None:
    here, there = fl.open_logs(days, engine="duckdb"), fl.open_logs(days, session=running)
    alone = fl.what_changed((here, Selection(cached=False)), (here, Selection(cached=True)), what=["schema"])
    assert len(alone) == 2
    assert alone.attrs["answered"]["engine"] == "duckdb"
    for before, now in ((here, there), (there, here)):
        with for_once(running):  # this statement is compiled in test_changes.py
            frame = fl.what_changed((before, Selection(cached=False)), (now, Selection(cached=True)), what=["schema"])
        pd.testing.assert_frame_equal(frame, alone)
        assert frame.attrs["answered"]["engine"] == "spark"
    window = {"since": "2026-10-01T00:30", "until": "2026-10-01T01:00"}
    both = filters.queries_per_schema(here, **window, compare=there.to_spark())
    assert both.attrs["answered"]["engine"] == "duckdb and spark"
    assert both["queries_change"].tolist() == [0, 0]


@pytest.fixture(params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def logs(request: pytest.FixtureRequest, data: Settings) -> Logs:
    session = request.getfixturevalue("running") if request.param == "spark" else None
    return fl.open_logs("two", session=session, settings=data)


def test_a_failing_statement_is_the_same_error(logs: Logs) -> None:
    with pytest.raises(StatementError, match=r"(DuckDB|Spark) failed at dividing: (Division|Remainder) by zero\."):
        ask({"logs": logs}, "SELECT pmod(fsize, 0) AS x FROM {logs}", description="dividing")
    assert issubclass(StatementError, SparkError)


@pytest.mark.slow
def test_a_statement_is_cancelled_at_once(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    many = ", ".join(f"{{logs}} AS l{n}" for n in range(40))  # of two rows each
    product = f"SELECT count(*) AS n FROM {many} WHERE l1.fsize = l2.dbtime OR l3.fsize = l4.fsize"
    endless = product if logs.engine == "duckdb" else ENDLESS  # Spark would plan the product for a second
    running = fl.cancellable()

    def cancel() -> None:
        if logs.engine == "duckdb":
            until_duckdb_runs()
        else:
            wait_for(lambda: active_jobs(logs.to_spark().sparkSession), "a job of Spark")
        running.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with running, pytest.raises(Cancelled) as caught:
        ask({"logs": logs}, endless, description="endless")
    thread.join()
    assert not hasattr(caught.value, "__notes__")  # they would say that the engine goes on
    with running, pytest.raises(Cancelled):
        logs.count()
    assert logs.count() == 2


# ---- what is imported -------------------------------------------------------------------------------

QUESTIONS = """
import sys
import frontierlab as fl
from frontierlab import filters

settings = fl.sample.settings(data_dir=sys.argv[1])
logs = fl.open_logs("sample", settings=settings)
for name in filters.__all__:
    assert len(getattr(filters, name)(logs, db="CONDBR2"))
print([name for name in ("pyspark", "py4j", "sqlglot", "bokeh") if name in sys.modules])
assert len(filters.cost_per_task(logs, db="CONDBR2", compare=logs))
half = fl.Selection(until="2026-10-01T12:00").of(logs)
assert len(fl.what_changed(half, logs))
assert len(fl.contents.folders(logs)) and len(fl.contents.tasks(logs))
figures = fl.caching.efficiency("sample", settings, progress=False)
worst = {name: figures[name][0] for name in ("db", "schema", "nodefullpath", "tagname")}
assert fl.caching.explain("sample", settings, **worst).summary
assert len(fl.caching.what_if(logs, settings, **worst))
from frontierlab.reports import report
report.CHAPTERS = {"Databases": ("queries_per_db",)}  # the others ask what is asked here
assert fl.report("sample", settings=settings).exists()
print([name for name in ("pyspark", "py4j", "sqlglot") if name in sys.modules])
assert len(fl.sql(logs, "SELECT db, count(*) AS n FROM logs WHERE fsize > :least GROUP BY db", least=1))
print([name for name in ("pyspark", "py4j") if name in sys.modules])
"""


@pytest.mark.slow
def test_no_question_to_duckdb_loads_spark_and_only_own_sql_loads_sqlglot(tmp_path: Path) -> None:
    settings = fl.sample.settings(data_dir=tmp_path)
    World(1_500).write(tmp_path / "dump.ndjson")
    dataset: Dataset = fl.extract(settings, source=tmp_path / "dump.ndjson", name="sample", progress=False)
    assert dataset.state == "complete"
    answer = subprocess.run(
        [sys.executable, "-c", QUESTIONS, tmp_path], capture_output=True, text=True, timeout=240, check=False
    )
    assert (answer.stdout.split("\n"), answer.stderr) == (["[]", "[]", "[]", ""], "")
