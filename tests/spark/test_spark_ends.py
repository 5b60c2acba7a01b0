"""Sessions of Spark begin and end; if one does not start, is stopped or is killed, whoever waits gets an error."""

import atexit
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest

from frontierlab import spark
from frontierlab.errors import Cancelled, SparkError
from frontierlab.spark import sessions
from frontierlab.spark import socket as spark_socket
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


@pytest.mark.spark
def test_sessions_of_a_program_start_in_the_background_end_and_start_anew(tmp_path: Path) -> None:
    """After a failed start, and after Java is stopped or killed: one program, since each Java costs much to start."""
    (tmp_path / "script.py").write_text(
        textwrap.dedent(
            """
            import os, signal, sys, threading, time
            from concurrent.futures import ThreadPoolExecutor
            import frontierlab as fl
            from frontierlab.spark import calls as spark_calls, sessions
            from tests.spark.test_spark_statements import ENDLESS, active_jobs
            from tests.support.waiting import wait_for

            begun = fl.spark.start(**{"spark.master": "local[x]"})
            for ask in (fl.spark.session, begun.result):
                try:
                    ask()
                except fl.errors.SparkError as error:
                    print("said:", error)
            begun = [fl.spark.start(), fl.spark.start()]
            print("at once:", not begun[0].done())
            with ThreadPoolExecutor(3) as pool:
                found = list(pool.map(lambda _: fl.spark.session(), range(3)))
            found += [one.result() for one in begun] + [fl.spark.start().result()]
            print("sessions:", len(set(map(id, found))), found[0].conf.get("spark.master"))
            session = found[0]
            print("Python workers:", session.sparkContext.pythonExec == sys.executable)
            jobs = session.sparkContext._jsc.sc().statusStore().jobsList(None)
            print("warmed by:", {str(jobs.apply(i).description()) for i in range(jobs.size())})

            sessions.warm_up = lambda session: None  # the next session answers little
            spark_calls.SILENT_SECONDS = spark_calls._PULSE = spark_calls.ENDING_SECONDS = 1
            java, frame = session.sparkContext._gateway.proc.pid, session.range(1)

            def met(signal_):
                def act():
                    wait_for(lambda: active_jobs(session))
                    os.kill(java, signal_)
                threading.Thread(target=act).start()
                try:
                    fl.spark.run(frame, ENDLESS)
                except fl.errors.SparkError as error:
                    print("said:", error)

            met(signal.SIGSTOP)
            spark_calls._PULSE = 300  # as a process that was stopped just after an answer
            spark_calls._HEARD[session.sparkContext] = time.monotonic()
            for ask in (lambda: fl.spark.to_pandas(frame), fl.spark.session):
                try:
                    ask()
                except fl.errors.SparkError as error:
                    print("said:", error)
            os.kill(java, signal.SIGCONT)
            wait_for(lambda: not active_jobs(session))
            met(signal.SIGKILL)
            spark_calls.SILENT_SECONDS = spark_calls._PULSE = 300
            try:
                fl.spark.to_pandas(frame)
            except fl.errors.SparkError as error:
                print("said:", error)
            new = fl.spark.session()
            print("new:", new is not session, fl.spark.to_pandas(new.range(1))["id"].tolist())
            print(new.conf.get("spark.python.unix.domain.socket.dir"), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},  # the script imports from tests
        stdout=subprocess.PIPE,
        text=True,
        timeout=500,
    )
    assert done.returncode == -signal.SIGKILL
    first, second, *rest = done.stdout.splitlines()
    assert first == second
    assert "said: Spark did not start with master local[x]" in first
    assert "Could not parse Master URL" in first
    assert rest[:3] == ["at once: True", "sessions: 1 local[2]", "Python workers: True"]
    assert rest[3] == "warmed by: {'Some(frontierlab: warming up)'}"
    *stopped, killed, gone, new, folder = rest[4:]
    assert len(stopped) == 3
    assert all("Spark does not answer: its Java process has been silent for 1 s" in said for said in stopped)
    for said in (killed, gone):
        assert "Spark is gone: its Java process has ended" in said
        assert "frontierlab.spark.session() starts a new one" in said
    assert new == "new: True [0]"
    assert Path(folder).name.startswith("frontierlab-")
    wait_for(lambda: not Path(folder).exists())  # Java removes it: the killed Python cannot
