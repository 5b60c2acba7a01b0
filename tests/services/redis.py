"""A real Redis server and real Celery workers, for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psutil
import redis

from frontierlab.jobs.local_services import redis_server
from tests.services.forked import ForkedProcess
from tests.services.processes import OwnedProcess, ServiceError
from tests.services.starts import note_start

START_SECONDS = 60


class RedisServer:
    """A Redis on 127.0.0.1, with a password; its data survives `stop`, `kill` and `start`.

    Attributes
    ----------
    port : int
        Its port, which never changes.
    url : str
        Its URL with the password.
    folder : Path
        Folder of its data.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="frontierlab-redis-"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.password = "sesame-of-tests"
        self.url = f"redis://:{self.password}@127.0.0.1:{self.port}/0"
        self._process: OwnedProcess | None = None

    @property
    def client(self) -> redis.Redis:
        """Return a client of the server."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self) -> Self:
        """Start the server unless it runs, and wait until it answers."""
        if self._process and self._process.status is None:
            return self
        argv = [redis_server(), "--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", self.password]
        argv += ["--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        log = self.folder / "redis.log"
        environment = {"PATH": os.environ["PATH"]}
        self._process = OwnedProcess(argv, folder=self.folder, log=log, env=environment, cwd=self.folder)
        note_start("Redis")
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client.ping()
                return self
            except redis.ConnectionError:
                if self._process.status is not None or time.monotonic() > deadline:
                    raise ServiceError(f"Redis does not start: {log.read_text(errors='replace')[-2_000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server; its data is kept."""
        if self._process:
            self._process.stop()

    def lose(self) -> None:
        """Kill the server and remove its data."""
        if self._process:
            self._process.kill()
        for file in self._data():
            file.unlink()

    def stored(self) -> str:
        """Return all that clients have written since it last lost its data, as Redis stores it."""
        return "".join(file.read_text(errors="replace") for file in self._data())

    def _data(self) -> list[Path]:
        # Redis 6 has one file, Redis 7 a folder of several
        return [file for file in self.folder.rglob("appendonly*") if file.is_file()]

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


CELERY = """
import sys
from celery.__main__ import main
sys.exit(main())
"""


class Worker:
    """A Celery worker with the options that users give it, except that it does not look for other workers.

    Parameters
    ----------
    config
        The file that ``CONFIG_FILE`` names.
    name
        Name of the worker.
    options
        Further options of the command.
    program
        Python code that replaces ``python -m celery``.
    command
        ``worker`` or ``beat``.
    ready
        Text in its output that means that it is ready.
    forked
        Start it in a fork of a process that has imported its modules, which saves two seconds; if False, in a new
        Python, as users do.
    """

    def __init__(
        self,
        config: Path,
        name: str = "w",
        *options: str,
        program: str = "",
        command: str = "worker",
        ready: str = "",
        forked: bool = False,
    ) -> None:
        self.log = config.parent / f"{name}.log"
        arguments = ["-A", "frontierlab.celery_tasks", command, "--loglevel=info"]
        if command == "worker":
            # skips a second of looking for other workers, which only Celery's own cancellation needs
            arguments += ["--concurrency=1", "-n", f"{name}@test", "--without-mingle"]
        arguments += options
        kept = ("PATH", "PYTHONPATH", "HOME", "LANG", "JAVA_HOME", "SPARK_SUBMIT_OPTS", "SSL_CERT_FILE")
        places: dict[str, Any] = {
            "folder": config.parent / f"{name}-home",
            "log": self.log,
            "env": {name: os.environ[name] for name in kept if name in os.environ} | {"CONFIG_FILE": str(config)},
            "cwd": config.parent,
        }
        if forked:
            self._process: OwnedProcess = ForkedProcess(program or CELERY, arguments, **places)
        else:
            python = ["-c", program] if program else ["-m", "celery"]
            self._process = OwnedProcess([sys.executable, *python, *arguments], **places)
        deadline = time.monotonic() + START_SECONDS
        while (ready or f"{name}@test ready") not in self.text:
            if self._process.status is not None or time.monotonic() > deadline:
                self.kill()
                raise ServiceError(f"The worker does not start: {self.text[-2_000:]}")
            time.sleep(0.05)

    @property
    def text(self) -> str:
        """Its output so far."""
        return self.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The id of its main process."""
        return self._process.pid

    def children(self) -> list[psutil.Process]:
        """The processes of its pool."""
        return psutil.Process(self.pid).children()

    def stop(self) -> None:
        """Ask it to end, as an operator does, and wait."""
        self._process.stop()

    def kill(self) -> None:
        """Kill all its processes at once."""
        self._process.kill()
