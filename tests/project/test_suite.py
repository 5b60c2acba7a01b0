"""The test run itself: its processes, its services, and tests that hang."""

from __future__ import annotations

import ast
import functools
import itertools
import math
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from pyspark.core import context

from scripts import run_tests
from scripts.run_tests import PROCESSES, SHARED
from tests.conftest import SERVICES
from tests.services import starts
from tests.support import division, sharing
from tests.support.programs import started as program

PROJECT = Path(__file__).parents[2]
SERVERS = {"ChromiumServer", "ElasticsearchServer", "JupyterServer", "RedisServer"}
# Besides the fixtures in conftest.py: tests of an Elasticsearch that does not start or is not known.
OWN_SERVERS = {("project/test_services.py", "ElasticsearchServer")}
# Hypothesis, Playwright and others take a third of the time of a run of few tests.
FEW_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p pytest_timeout"}
HANGS = """
import threading

def waits_in_a_thread():
    threading.Event().wait(60)

def test_hangs():
    threading.Thread(target=waits_in_a_thread, daemon=True).start()
    threading.Event().wait()

def test_comes_after():
    pass
"""
SHARES = """
from pathlib import Path
from time import sleep

def test_first():
    while len([*Path({folder!r}).iterdir()]) < 2:  # until the other process has a file too
        sleep(0.01)

def test_last():
    pass
"""


def test_each_test_has_a_time_limit(pytestconfig: pytest.Config) -> None:
    assert 0 < float(pytestconfig.getini("timeout")) < float(pytestconfig.getini("faulthandler_timeout"))


@pytest.mark.slow
def test_a_test_that_hangs_fails_with_the_stacks_of_all_threads(tmp_path: Path) -> None:
    file = tmp_path / "test_hangs.py"
    file.write_text(HANGS)
    command = [sys.executable, "-m", "pytest", "-c", str(PROJECT / "pyproject.toml"), "--timeout=1", str(file)]
    run = subprocess.run(
        [*command, f"--rootdir={tmp_path}", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | FEW_PLUGINS,
    )
    said = run.stdout + run.stderr
    assert "1 failed, 1 passed" in said
    assert "in waits_in_a_thread" in said
    assert "in test_hangs" in said or "test_hangs()" in said


def started(folder: Path, **scripts: str) -> dict[str, subprocess.Popen[bytes]]:
    """Start scripts whose output goes to files, as `scripts.run_tests.start` does with tests."""
    processes = {}
    for name, script in scripts.items():
        with (folder / name).open("wb") as output:
            processes[name] = subprocess.Popen([sys.executable, "-u", "-c", script], stdout=output)
    return processes


@pytest.mark.slow
def test_the_output_of_a_process_that_does_not_end_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_tests, "LONGEST", 3)
    endless = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit("summary"))
print("begun")
try:
    time.sleep(100)
finally:
    print("told")
"""
    assert run_tests.finish(started(tmp_path, ends="print('ended')", endless=endless), tmp_path) == 1
    shown = capsys.readouterr().out
    assert "have not ended in 3 s" in shown
    assert shown.index("ended") < shown.index("begun") < shown.index("told")


def test_files_are_in_memory_where_there_is_enough_and_programs_may_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, flags, memory = 4096, 0, run_tests.MEMORY
    monkeypatch.setattr(run_tests, "IN_MEMORY", tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=memory))
    monkeypatch.setattr(
        os, "statvfs", lambda path: SimpleNamespace(f_bavail=run_tests.ROOM // 4096, f_frsize=block, f_flag=flags)
    )
    assert run_tests.place() == tmp_path
    flags = os.ST_NOEXEC
    assert run_tests.place() is None
    flags, block = 0, 4095  # as in a container, whose folder in memory has 64 MB
    assert run_tests.place() is None
    block, memory = 4096, run_tests.MEMORY - 1
    assert run_tests.place() is None
    memory = run_tests.MEMORY
    monkeypatch.setattr(run_tests, "IN_MEMORY", tmp_path / "missing")
    assert run_tests.place() is None


def test_a_killed_process_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed = "import os, signal; print('begun'); os.kill(os.getpid(), signal.SIGKILL)"
    assert run_tests.finish(started(tmp_path, killed=killed, ends="print('ended')"), tmp_path) != 0
    assert capsys.readouterr().out.split() == ["begun", "ended"]


def test_a_command_beside_the_tests_is_shown_and_can_fail_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", "import sys; print('checked', file=sys.stderr); sys.exit(3)"]
    beside = run_tests.launch(run_tests.BESIDE, command, tmp_path, dict(os.environ))
    tests = started(tmp_path, tests="print('tested')")
    assert run_tests.finish({**tests, run_tests.BESIDE: beside}, tmp_path) == 3
    assert capsys.readouterr().out.split() == ["tested", "checked"]


def test_each_test_runs_in_one_process() -> None:
    for given in itertools.product([False, True], repeat=len(SERVICES)):
        marks = dict(zip(SERVICES, given, strict=True))
        chosen = [name for name, markers in PROCESSES.items() if eval(markers, {}, marks)]
        assert len(chosen) == 1 or {*chosen} == SHARED, marks


def test_a_test_that_no_process_ran_or_two_ran_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(division.FOLDER, str(tmp_path))
    assert division.problems(tmp_path) == ["no test was collected"]
    for tests in (["a", "b", "c"], ["a", "b"]):  # two processes, of which one collects all
        division.note(division.COLLECTED, tests)
    division.note(division.RAN, ["a", "b", "c"])
    assert (division.number(tmp_path), division.problems(tmp_path)) == (3, [])
    division.note(division.COLLECTED, ["lost"])
    division.note(division.RAN, ["b"])
    assert division.problems(tmp_path) == [
        "1 tests ran in no process:\n  lost",
        "1 tests ran more than once:\n  b",
    ]


@pytest.mark.slow
def test_processes_with_the_same_tests_share_them(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    for number in range(4):
        (tmp_path / f"test_{number}.py").write_text(SHARES.format(folder=str(taken)))
    command = [sys.executable, "-m", "pytest", "-v", "-p", "tests.support.sharing", "-p", "no:cacheprovider"]
    command += ["--timeout=30", "-c", str(PROJECT / "pyproject.toml"), f"--rootdir={tmp_path}", str(tmp_path)]
    environment = os.environ | FEW_PLUGINS | {"PYTHONPATH": str(PROJECT), sharing.FOLDER: str(taken)}
    with ExitStack() as stack:
        run = functools.partial(program, command, env=environment, stdout=subprocess.PIPE, text=True)
        both = [stack.enter_context(run()) for _ in range(2)]
        passed = [re.findall(r"test_(\d)\.py::test_(\w+) PASSED", one.communicate(timeout=60)[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sorted(passed[0] + passed[1]) == [(str(n), name) for n in range(4) for name in ("first", "last")]
    files = [[number for number, _ in tests] for tests in passed]
    assert all(files)
    assert not {*files[0]} & {*files[1]}
    assert files == [sorted(numbers) for numbers in files]


def test_a_process_waits_until_the_first_file_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sharing.FOLDER, str(tmp_path))
    monkeypatch.setattr(sharing, "COLLECTING", 0.3)
    begun = time.monotonic()
    sharing.wait_for_the_first()  # nothing is taken, and the wait has an end
    assert time.monotonic() >= begun + 0.3
    monkeypatch.setattr(sharing, "COLLECTING", math.inf)
    threading.Timer(0.3, (tmp_path / "taken").touch).start()
    sharing.wait_for_the_first()


def test_a_file_that_cannot_be_collected_fails_each_of_them() -> None:
    session = SimpleNamespace(testsfailed=1)
    assert sharing.pytest_runtestloop(session) is None  # type: ignore[arg-type]


def test_all_files_are_collected_by_whoever_runs_the_rest() -> None:
    assert [name for name in PROCESSES if run_tests.files(name) == []] == ["rest", "rest, too"]


def test_no_service_is_used_in_two_processes() -> None:
    for service in ("elasticsearch", "redis"):
        for given in itertools.product([False, True], repeat=len(SERVICES)):
            marks = {**dict(zip(SERVICES, given, strict=True)), service: True}
            assert eval(PROCESSES["servers"], {}, marks)


def test_only_fixtures_start_servers() -> None:
    tests = PROJECT / "tests"
    texts = ((file, file.read_text()) for file in tests.rglob("test_*.py"))
    started = {
        (file.relative_to(tests).as_posix(), node.func.id)
        for file, text in texts
        if any(server in text for server in SERVERS)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SERVERS
    }
    assert started == OWN_SERVERS


def test_a_service_that_starts_twice_for_the_run_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "starts"
    monkeypatch.setenv(starts.FILE, str(file))
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/test_a.py::test_a (setup)")
    starts.note_start("Redis")
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/test_a.py::test_of_an_end (call)")
    starts.note_start("Redis")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    starts.note_start("Chromium")
    text, once = starts.summary(file)
    assert once
    assert text.splitlines() == [
        "services started for the run:",
        "  1 Chromium",
        "  1 Redis",
        "services started by tests of a start or an end:",
        "  1 Redis by test_of_an_end",
    ]
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/test_b.py::test_b (setup)")
    starts.note_start("Redis")
    assert not starts.summary(file)[1]


def test_a_second_spark_is_noticed_even_if_a_test_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "starts"
    monkeypatch.setenv(starts.FILE, str(file))
    monkeypatch.setattr(context.SparkContext, "_gateway", None)
    monkeypatch.setattr(context.SparkContext, "_jvm", None)

    def launch(conf: object) -> None:
        raise ZeroDivisionError  # no Java is started

    monkeypatch.setattr(context, "launch_gateway", starts.noted(starts.SPARK, launch))
    for once in (True, False):
        with pytest.raises(ZeroDivisionError):
            context.SparkContext._ensure_initialized()
        assert starts.summary(file)[1] is once
    assert starts.summary(file)[0].splitlines() == ["services started for the run:", "  2 Spark"]


def test_starts_are_not_noted_in_other_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(starts.FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    starts.note_start("Redis")
    assert [*tmp_path.iterdir()] == []
