"""Sessions of Spark begin and end; if one does not start, is stopped or is killed, whoever waits gets an error.

One of them works on a real cluster, and gives the same frames as the session of this process.
"""

import atexit
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import spark
from frontierlab.errors import Cancelled, SparkError
from frontierlab.spark import sessions
from frontierlab.spark import socket as spark_socket
from frontierlab.spark.warmup import warm_up
from tests.services.spark_cluster import SparkCluster
from tests.spark.sessions_program import NAMES, answers
from tests.support.logs import make_dataset
from tests.support.random_logs import world
from tests.support.waiting import wait_for


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A start of Spark that takes until this event."""
    end = threading.Event()

    def started(*_: object) -> None:
        end.wait(300)

    monkeypatch.setattr(sessions, "_running", lambda: None)
    monkeypatch.setattr(sessions, "_session", started)
    return end


def test_a_start_that_does_not_end_is_an_error(endless: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "START_SECONDS", 0.2)
    begun = spark.start()
    with pytest.raises(SparkError, match=r"not started within 0\.2 s.*restart the notebook's kernel"):
        spark.session()
    assert not begun.done()
    endless.set()
    begun.result(60)


def test_the_wait_for_a_start_is_cancelled(endless: threading.Event) -> None:
    work = spark.cancellable()
    timer = threading.Timer(0.2, work.cancel)
    timer.start()
    with pytest.raises(Cancelled, match="was cancelled"), work:
        spark.session()
    endless.set()
    timer.join()


def test_sockets_are_in_a_short_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    at_exit = []
    monkeypatch.setattr(atexit, "register", lambda *call: at_exit.append(call))
    folder = spark_socket._folder.__wrapped__()
    assert folder is not None
    assert folder.parent == Path("/tmp")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(long.iterdir()) == []
    spark_socket._remove(folder, 0)  # by a fork
    assert folder.exists()
    (folder / ".left.sock").touch()
    ((remove, *given),) = at_exit
    remove(*given)
    assert not folder.exists()


def test_only_local_sessions_use_a_unix_socket_unless_options_say_otherwise(tmp_path: Path) -> None:
    enabled, place = "spark.python.unix.domain.socket.enabled", "spark.python.unix.domain.socket.dir"
    assert spark_socket.socket_options({"spark.master": "spark://host:7077"}) == {}
    assert spark_socket.socket_options({"spark.master": "local[2]", enabled: "false"}) == {}
    assert spark_socket.socket_options({"spark.master": "local[2]", place: "/mine"}) == {}
    options = spark_socket.socket_options({"spark.master": "local[2]"})
    assert options[enabled] == "true"
    Path(options[place]).rename(tmp_path / "gone")  # as an earlier Java process leaves it
    assert Path(spark_socket.socket_options({"spark.master": "local[2]"})[place]).is_dir()
    (tmp_path / "gone").rename(options[place])


# ---- a program, and a cluster -----------------------------------------------------------------------


@dataclass
class Ran:
    """What the program has said by name, its folder, and the cluster that it used."""

    said: dict[str, Any]
    status: int
    folder: Path
    cluster: SparkCluster


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, running: SparkSession) -> Ran:
    """Run the program of all sessions once, beside a cluster with a master and a worker."""
    folder = tmp_path_factory.mktemp("program")
    rows = world(24).rows
    make_dataset(folder / "datasets" / "logs", rows[::2], rows[1::2])
    with SparkCluster(running) as cluster:
        (folder / "cluster.json").write_text(json.dumps({"url": cluster.url, "options": cluster.options}))
        done = subprocess.run(
            [sys.executable, "-m", "tests.spark.sessions_program", folder],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
            timeout=500,
        )
    said = dict(json.loads(line) for line in done.stdout.splitlines())
    return Ran(said, done.returncode, folder, cluster)


@pytest.mark.spark
def test_a_session_starts_in_the_background_even_after_a_failed_start(ran: Ran) -> None:
    first, second = ran.said["failed starts"]
    assert first == second
    assert "Spark did not start with master local[x]" in first
    assert "Could not parse Master URL" in first
    assert ran.said["at once"]
    assert ran.said["sessions"] == [1, "local[2]"]
    assert ran.said["its own Python for workers"]


@pytest.mark.spark
def test_each_session_on_this_machine_is_warmed_up_once(ran: Ran, running: SparkSession) -> None:
    assert ran.said["warmed"] == ["local[2]", "local[2]"]  # before and after that of the cluster
    before = jobs(running)
    warm_up(running)
    store = running.sparkContext._jsc.sc().statusStore()
    assert [store.job(job).description().get() for job in jobs(running) - before] == ["frontierlab: warming up"]


def jobs(session: SparkSession) -> set[int]:
    """Return the numbers of the jobs without a group that a session still knows."""
    return set(session.sparkContext.statusTracker().getJobIdsForGroup())


@pytest.mark.spark
def test_java_that_is_stopped_or_killed_is_an_error_and_a_new_session_starts(ran: Ran) -> None:
    stopped, killed = ran.said["stopped"], ran.said["killed"]
    assert (len(stopped), len(killed)) == (3, 2)
    assert all("Spark does not answer: its Java process has been silent for 1 s" in said for said in stopped)
    for said in killed:
        assert "Spark is gone: its Java process has ended" in said
        assert "frontierlab.spark.session() starts a new one" in said
    assert ran.said["new"] == [True, ran.cluster.url]
    assert ran.said["local again"] == ["local[2]", [0]]


@pytest.mark.spark
def test_java_removes_the_folder_of_the_socket_if_python_is_killed(ran: Ran) -> None:
    assert ran.status == -signal.SIGKILL
    assert Path(ran.said["folder"]).name.startswith("frontierlab-")
    wait_for(lambda: not Path(ran.said["folder"]).exists())  # Java removes it: the killed Python cannot


@pytest.mark.spark
def test_filters_give_the_same_on_a_cluster_and_on_this_machine(running: SparkSession, ran: Ran) -> None:
    assert running.conf.get("spark.master") == "local[2]"
    expected = answers(fl.open_logs("logs", session=running, settings=fl.Settings(data_dir=ran.folder)))
    assert ran.said["tasks"].get("driver", 0) == 0
    assert sum(count for name, count in ran.said["tasks"].items() if name != "driver") > len(NAMES)
    assert {path.stem for path in ran.folder.glob("*.pickle")} == expected.keys() == {*NAMES, "sql"}
    for name, here in sorted(expected.items()):
        there = pd.read_pickle(ran.folder / f"{name}.pickle")
        assert len(here) > 1, name
        pd.testing.assert_frame_equal(there, here, check_exact=True, obj=name)
        assert there.attrs.keys() == here.attrs.keys()


@pytest.mark.spark
def test_nothing_is_left_of_a_cluster(ran: Ran) -> None:
    assert ran.said["executors"]
    wait_for(lambda: not any(map(psutil.pid_exists, ran.said["executors"])))
    assert not ran.cluster.folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ran.cluster.port))
