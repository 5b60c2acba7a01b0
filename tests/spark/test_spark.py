import stat
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import spark
from frontierlab.errors import DatasetError, SparkError
from frontierlab.schema import COLUMNS, IOV_COLUMNS
from frontierlab.settings import Settings
from frontierlab.spark import sessions
from tests.support.logs import START, make_dataset

NAMES = [IOV_COLUMNS.get(column.name, column.name) for column in COLUMNS]


def fake_java(folder: Path, says: str) -> Path:
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21" 2023-09-19', 21),
    ],
)
def test_the_version_of_java_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, version: int) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", says)))
    assert spark.java_version() == version


def test_a_wrong_java_home_is_named_in_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    with pytest.raises(SparkError, match=r"JAVA_HOME is .*gone, where there is no bin/java.*openjdk-17-jre-headless"):
        spark.java_version()


def test_without_java_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SparkError, match=r"there is no java program here.*conda install openjdk"):
        spark.java_version()


def test_a_java_without_a_version_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", "no runtime present")))
    with pytest.raises(SparkError, match=r"names no version.*no runtime present"):
        spark.java_version()


def test_an_old_java_is_refused_before_spark_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_running", lambda: None)
    monkeypatch.setenv("JAVA_HOME", str(fake_java(tmp_path / "jdk", 'java version "11.0.2"')))
    with pytest.raises(SparkError, match=r"Java 11 \(.*jdk/bin/java\) is too old for Spark.*17 or newer"):
        spark.session(Settings())


def test_without_pyspark_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(SparkError, match=r'pip install "frontierlab\[spark\]"'):
        spark.session(Settings())


def test_an_option_without_spark_in_its_name_is_refused() -> None:
    with pytest.raises(SparkError, match=r"'master' is no Spark option.*spark\.master"):
        spark.session(master="local[1]")


@pytest.mark.spark
def test_the_session_is_shared_small_and_local(running: SparkSession) -> None:
    assert spark.session() is running
    conf = running.conf
    assert conf.get("spark.master") == "local[2]"
    assert conf.get("spark.sql.session.timeZone") == "UTC"
    assert conf.get("spark.sql.shuffle.partitions") == "2"
    assert conf.get("spark.driver.host") == "127.0.0.1"
    assert running.sparkContext.uiWebUrl is None
    assert not Path("spark-warehouse").exists()


@pytest.mark.spark
def test_options_of_a_running_session_are_set_or_refused(running: SparkSession) -> None:
    spark.session(**{"spark.sql.caseSensitive": True})
    assert running.conf.get("spark.sql.caseSensitive") == "true"
    with pytest.raises(SparkError, match=r"spark\.driver\.memory cannot change in it"):
        spark.session(**{"spark.driver.memory": "9g", "spark.sql.caseSensitive": False})
    assert running.conf.get("spark.sql.caseSensitive") == "true"
    running.conf.unset("spark.sql.caseSensitive")
    assert spark.session(**{"spark.master": "local[2]"}) is running


@pytest.mark.spark
def test_logs_have_the_schema_and_every_value(running: SparkSession, tmp_path: Path) -> None:
    largest = 2**63 - 1
    rows = [
        {
            "time": START + 1,
            "until": largest,
            "sqlhash": -largest,
            "cached": True,
            "taskname": "a'; ü 日本",
            "note": "n",
            "score": 0.5,
        },
        {"time": START, "db": "OFLP200"},
    ]
    dataset = make_dataset(tmp_path / "two", rows[:1], [], rows[1:], extra={"note": "name", "score": "number"})
    logs = fl.open_logs(dataset, session=running).to_spark()
    assert logs.columns == [*NAMES, "note", "score"]
    frame = spark.run(logs, "SELECT * FROM {logs} ORDER BY time")
    assert {str(frame[name].dtype) for name in ("taskid", "iov_since", "iov_until", "sqlhash")} == {"Int64"}
    assert str(frame["time"].dtype) == "datetime64[ms, UTC]"
    assert str(frame["cached"].dtype) == "boolean"
    assert str(frame["db"].dtype) == "string"
    assert str(frame["score"].dtype) == "Float64"
    assert frame.loc[1, ["iov_until", "sqlhash", "taskname", "note", "score"]].tolist() == [
        largest,
        -largest,
        "a'; ü 日本",
        "n",
        0.5,
    ]
    assert frame.loc[0, ["iov_until", "cached", "note"]].isna().all()
    assert frame["time"].astype("int64").tolist() == [START, START + 1]


@pytest.mark.spark
def test_paths_that_look_like_patterns_are_read(running: SparkSession, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / ".a [b] {c,d}*?#%20 é" / "_e", [{}], [{}])
    assert fl.open_logs(dataset, session=running).to_spark().count() == 2


@pytest.mark.spark
def test_a_dataset_without_rows_is_an_empty_frame_with_the_schema(running: SparkSession, tmp_path: Path) -> None:
    logs = fl.open_logs(make_dataset(tmp_path / "empty", []), session=running).to_spark()
    assert logs.columns == NAMES
    assert logs.count() == 0


@pytest.mark.spark
def test_a_dataset_is_opened_by_its_name(running: SparkSession, tmp_path: Path) -> None:
    make_dataset(tmp_path / "datasets" / "mine", [{}])
    assert fl.open_logs("mine", session=running, settings=Settings(data_dir=tmp_path)).count() == 1


def test_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There is no dataset 'nix'"):
        fl.open_logs("nix", settings=Settings(data_dir=tmp_path))


@pytest.mark.spark
def test_an_incomplete_dataset_is_opened_only_when_allowed(running: SparkSession, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "half", [{}, {}], missing=1)
    with pytest.raises(DatasetError, match=r"half is incomplete.*extract\(\) goes on.*allow_incomplete=True"):
        fl.open_logs(dataset, session=running).to_spark()
    assert fl.open_logs(dataset, session=running, allow_incomplete=True).count() == 2


@pytest.mark.spark
@pytest.mark.parametrize("extra", [{"Schema": "name"}, {"dn": "name", "DN": "name"}])
def test_columns_that_differ_in_case_only_are_refused(running: SparkSession, tmp_path: Path, extra) -> None:
    dataset = make_dataset(tmp_path / "twice", [{}], extra=extra)
    with pytest.raises(
        DatasetError, match=r"The columns \w+ \(of twice\) and (Schema|DN) \(of twice\) differ in case alone"
    ):
        fl.open_logs(dataset, session=running).to_spark()
    assert len(dataset.to_pandas()) == 1  # as the message says


def test_an_unsupported_column_type_is_named() -> None:
    with pytest.raises(DatasetError, match=r"type uint8 cannot be read.*int64"):
        spark.spark_schema(pa.schema([("a", pa.uint8())]))


@pytest.mark.spark
def test_times_are_utc_whatever_the_zone_of_the_session(running: SparkSession, tmp_path: Path) -> None:
    logs = fl.open_logs(make_dataset(tmp_path / "zone", [{"time": START + 7}]), session=running).to_spark()
    running.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        frame = spark.run(logs, "SELECT time FROM {logs}")
    finally:
        running.conf.set("spark.sql.session.timeZone", "UTC")
    assert frame["time"].iloc[0].isoformat() == "2026-10-01T00:00:00.007000+00:00"


@pytest.mark.spark
def test_start_returns_the_running_session(running: SparkSession) -> None:
    assert spark.start().result(60) is running
    with pytest.raises(SparkError, match=r"spark\.driver\.memory cannot change in it"):
        spark.start(**{"spark.driver.memory": "9g"}).result(60)
    with pytest.raises(SparkError, match="'master' is no Spark option"):
        spark.start(master="local[1]")
