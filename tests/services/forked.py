"""Start Python programs quickly: as forks of a process that has imported what they need."""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services.processes import OwnedProcess, ServiceError

PRELOADED = (
    "celery.app.amqp",
    "celery.app.control",
    "celery.apps.worker",
    "celery.backends.base",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.events.state",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "frontierlab.caching.efficiencies",
    "frontierlab.celery_tasks",
    "frontierlab.elastic.client",
    "frontierlab.extraction",
    "frontierlab.nights.steps",
    "frontierlab.reports.report",
    "kombu.pidbox",
    "kombu.transport.redis",
    "pyarrow.parquet",
    "tests.services.forked",
)
"""The modules that workers import. None of them reads the environment when it is imported."""

START_SECONDS = 60


class ForkedProcess(OwnedProcess):
    """A Python program that starts in a fork, in its own process group, and ends with this process.

    Parameters
    ----------
    code
        The program, as after ``python -c``.
    arguments
        Its arguments.
    folder, log, env, cwd
        As for `OwnedProcess`.
    """

    def __init__(
        self, code: str, arguments: Sequence[str], *, folder: Path, log: Path, env: Mapping[str, str], cwd: Path
    ):
        log.touch()
        self._own(_Fork(code, [*arguments], log, dict(env), cwd), folder)

    def wait(self) -> int:
        """Wait for its end, and return its exit status."""
        return self._program.wait(START_SECONDS)


def run_forked(code: str, *arguments: str, cwd: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Run a program in a fork to its end, and return its exit status and its output."""
    log = cwd / f"forked-{uuid.uuid4().hex}.log"
    program = ForkedProcess(code, arguments, folder=cwd / "forked", log=log, env=env, cwd=cwd)
    try:
        status = program.wait()
    finally:
        program.kill()
    return status, log.read_text()


class _Fork:
    """A child of Python's fork server, with the methods of `subprocess.Popen`."""

    def __init__(self, *program: object) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([*PRELOADED])
        # a daemon, so that this process does not wait for it at its own end
        self._process = context.Process(target=_run, args=program, daemon=True)
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid
        deadline = time.monotonic() + START_SECONDS
        while self.poll() is None and os.getpgid(self.pid) != self.pid:
            if time.monotonic() > deadline:
                raise ServiceError(f"process {self.pid} did not become the leader of its group")
            time.sleep(0.01)

    def poll(self) -> int | None:
        """Return its exit status; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit status."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return self._process.exitcode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()


def _run(code: str, arguments: list[str], log: Path, env: dict[str, str], cwd: Path) -> None:
    """Be the program, in the fork."""
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    gc.freeze()  # Celery collects garbage before each fork of its own: not among all modules
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
