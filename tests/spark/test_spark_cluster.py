"""The same filters on a real cluster and on this machine give the same frames."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import filters
from frontierlab.engines import Logs
from tests.services.spark_cluster import SparkCluster

QUESTION = "SELECT schema, count(*) AS queries FROM logs WHERE db = :db GROUP BY schema ORDER BY schema"
NAMES = ("queries_over_time", "cost_per_task", "querytime_percentiles")
"""Filters that sum, rank and join, and compute what cannot be added up."""


def answers(logs: Logs) -> dict[str, pd.DataFrame]:
    """Run a few filters and a statement."""
    frames = {name: getattr(filters, name)(logs, db="CONDBR2") for name in NAMES}
    return {**frames, "sql": fl.sql(logs, QUESTION, db="CONDBR2")}


def answer(target: Path) -> None:
    """Write the answers, with the settings of the environment; this runs in its own process."""
    logs = fl.open_logs("sample")  # a master that is not local means Spark
    spark = logs.to_spark().sparkSession
    for name, frame in answers(logs).items():
        frame.to_pickle(target / f"{name}.pickle")
    executors = spark.sparkContext._jsc.sc().statusStore().executorList(True)
    tasks = {executors.apply(i).id(): executors.apply(i).totalTasks() for i in range(executors.size())}
    (target / "where.json").write_text(json.dumps({"master": spark.conf.get("spark.master"), "tasks": tasks}))


def ask(data: Path, target: Path, master: str, options: dict[str, str]) -> dict[str, Any]:
    """Get the answers from another process, because a process has one session at most."""
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
    """Return whether a process is running; a zombie has ended."""
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
    assert sum(count for name, count in where["tasks"].items() if name != "driver") > len(NAMES)
    assert where["tasks"].get("driver", 0) == 0
    assert {path.stem for path in tmp_path.glob("*.pickle")} == expected.keys() == {*NAMES, "sql"}
    for name, here in sorted(expected.items()):
        there = pd.read_pickle(tmp_path / f"{name}.pickle")
        assert not here.empty, name
        pd.testing.assert_frame_equal(there, here, check_exact=True, obj=name)
        assert there.attrs.keys() == here.attrs.keys()
