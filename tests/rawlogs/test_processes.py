"""Processes that share work: their answers, and their ends."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from frontierlab.errors import DatasetError
from frontierlab.rawlogs.processes import Processes
from tests.support.programs import started

KEY = "a key that nobody may see"


def test_jobs_are_answered_and_errors_come_back() -> None:
    with Processes(2, partial, math.sqrt) as processes:
        answers = [processes.submit(number) for number in (4, -1, 9)]
        assert [answers[0].result(60), answers[2].result(60)] == [2, 3]
        with pytest.raises(ValueError, match="math domain"):
            answers[1].result(60)
    assert {child.poll() for child in processes.children} == {0}


def test_jobs_that_wait_are_answered_here_too() -> None:
    processes: Processes[float, float] = Processes(1, partial, math.sqrt)  # that is not started
    answers = [processes.submit(number) for number in (4, -1)]
    assert [processes.help() for _ in range(3)] == [True, True, False]
    assert answers[0].result(0) == 2
    with pytest.raises(ValueError, match="math domain"):
        answers[1].result(0)


def test_processes_do_without_pandas() -> None:
    with Processes(1, partial, eval) as processes:
        loaded = "(__import__('pyarrow').array(['a'])[0].as_py(), 'pandas' in __import__('sys').modules)"
        assert processes.submit(loaded).result(60) == ("a", False)


def test_large_arrays_come_through_as_they_are() -> None:
    array = np.arange(2_000_000)
    with Processes(1, partial, np.negative) as processes:
        assert (processes.submit(array).result(60) == -array).all()


def test_what_a_process_is_given_is_not_in_its_arguments_or_environment() -> None:
    with Processes(1, partial, str, KEY) as processes:
        child = processes.children[0]
        told = str(child.args)
        if (place := Path(f"/proc/{child.pid}")).exists():
            told += (place / "cmdline").read_text() + (place / "environ").read_text()
    assert KEY not in told


def test_a_process_that_is_killed_is_an_error_and_no_hang() -> None:
    with Processes(1, partial, time.sleep) as processes:
        processes.submit(0).result(60)
        running, waiting = processes.submit(600), processes.submit(600)
        os.kill(processes.children[0].pid, signal.SIGKILL)
        for future in (running, waiting):
            with pytest.raises(DatasetError, match="SIGKILL"):
                future.result(60)
        with pytest.raises(DatasetError, match="start it again"):
            processes.submit(0)


def test_a_process_that_is_stopped_is_an_error_and_no_hang() -> None:
    with Processes(1, partial, bytes.upper) as processes:
        processes.submit(b"a").result(60)
        processes.patience = 0.05  # for what it is given from now on
        os.kill(processes.children[0].pid, signal.SIGSTOP)
        small, large = processes.submit(b"a"), processes.submit(bytes(2**23))
        for future in (small, large):
            with pytest.raises(DatasetError, match=r"it is stopped \(SIGSTOP\).*start the reading again"):
                future.result(60)
    assert processes.children[0].returncode == -signal.SIGKILL


def test_an_error_ends_processes_at_once() -> None:
    began = time.monotonic()
    running = []
    with suppress(KeyboardInterrupt), Processes(2, partial, time.sleep) as processes:
        running += [processes.submit(600), processes.submit(600), processes.submit(600)]
        raise KeyboardInterrupt
    assert time.monotonic() - began < 60
    assert all(child.poll() is not None for child in processes.children)
    assert all(isinstance(future.exception(60), DatasetError) for future in running)


def test_processes_end_when_the_one_that_started_them_is_killed() -> None:
    script = (
        "import os, time\nfrom functools import partial\nfrom frontierlab.rawlogs.processes import Processes\n"
        "with Processes(1, partial, time.sleep) as processes:\n    processes.submit(0).result(60)\n"
        "    print(processes.children[0].pid, flush=True)\n    time.sleep(600)\n"
    )
    with started([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 60
    while _is_there(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _is_there(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
