"""The same filters on a real cluster and on this machine give the same frames."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from pyspark.sql import DataFrame, SparkSession

import frontierlab as fl
from frontierlab import filters
from tests.services.spark_cluster import SparkCluster

REQUIRED = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL"}
QUESTION = "SELECT schema, count(*) AS queries FROM logs WHERE db = :db GROUP BY schema ORDER BY schema"


def questions() -> dict[str, Callable[..., pd.DataFrame]]:
    return {name: getattr(filters, name) for name in filters.__all__ if hasattr(getattr(filters, name), "sql")}


def arguments(question: Callable[..., Any]) -> dict[str, str]:
    """What a question cannot be asked without, and a database and a schema where they are required."""
    wanted = [p for p in inspect.signature(question).parameters.values() if p.default is p.empty]
    return {p.name: REQUIRED[p.name] for p in wanted if p.name != "logs" and p.kind is not p.VAR_KEYWORD}


def answers(logs: DataFrame) -> dict[str, pd.DataFrame]:
    """Ask everything."""
    frames = {name: question(logs, **arguments(question)) for name, question in questions().items()}
    return {**frames, "sql": fl.sql(logs, QUESTION, db="CONDBR2")}


def answer(target: Path) -> None:
    """Ask everything, with the settings of the environment, and write what comes; run in a process of its own."""
    logs = fl.open_logs("sample")
    spark = logs.sparkSession
    for name, frame in answers(logs).items():
        frame.to_pickle(target / f"{name}.pickle")
    executors = spark.sparkContext._jsc.sc().statusStore().executorList(True)
    tasks = {executors.apply(i).id(): executors.apply(i).totalTasks() for i in range(executors.size())}
    (target / "where.json").write_text(json.dumps({"master": spark.conf.get("spark.master"), "tasks": tasks}))


def ask(data: Path, target: Path, master: str, options: dict[str, str]) -> dict[str, Any]:
    """Ask everything in a session of a process of its own, for there is one at most in each."""
    settings = {
        "DATA_DIR": str(data),
        "SPARK_MASTER": master,
        "SPARK_OPTIONS": " ".join(map("=".join, options.items())),
    }
    environment = {f"FRONTIERLAB_{key}": value for key, value in settings.items()}
    code = "import sys, pathlib, tests.spark.test_spark_cluster as t; t.answer(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, target], env=os.environ | environment, check=True, timeout=900)
    where: dict[str, Any] = json.loads((target / "where.json").read_text())
    assert where["master"] == master
    return where


def lives(process: psutil.Process) -> bool:
    """Whether it runs still; one that has ended can wait for whoever started it to take notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster")
    settings = fl.sample.settings(data_dir=folder)
    fl.extract(settings, source=fl.sample.path(), name="sample", progress=False)
    return folder


@pytest.mark.spark
def test_filters_give_the_same_on_a_cluster_and_on_this_machine(
    running: SparkSession, data: Path, tmp_path: Path
) -> None:
    assert running.conf.get("spark.master") == "local[2]"
    expected = answers(fl.open_logs("sample", session=running, settings=fl.Settings(data_dir=data)))
    with SparkCluster() as cluster:
        where = ask(data, tmp_path, cluster.url, cluster.options)
        folder, processes = cluster.folder, cluster.processes()
    assert len(processes) >= 2
    assert not folder.exists()
    assert [process for process in processes if lives(process)] == []
    assert sum(count for name, count in where["tasks"].items() if name != "driver") > len(questions())
    assert where["tasks"].get("driver", 0) == 0
    assert {path.stem for path in tmp_path.glob("*.pickle")} == expected.keys() == {*questions(), "sql"}
    assert len(expected) > 16
    for name, here in sorted(expected.items()):
        there = pd.read_pickle(tmp_path / f"{name}.pickle")
        assert not here.empty, name
        pd.testing.assert_frame_equal(there, here, check_exact=True, obj=name)
        assert there.attrs.keys() == here.attrs.keys()
