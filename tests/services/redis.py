"""A real Redis server and real Celery workers, for tests and benchmarks."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil
import redis

from frontierlab.jobs.programs import redis_server
from tests.services.processes import OwnedProcess, ServiceError

START_SECONDS = 60


class RedisServer:
    """A Redis of our own on 127.0.0.1, with a password; it keeps its data over `stop`, `kill` and `start`.

    Attributes
    ----------
    port : int
        Its port, the same all its life.
    url : str
        With the password.
    folder : Path
        Its data.
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
        """A client of it."""
        return redis.Redis.from_url(self.url, decode_responses=True)

    def start(self) -> Self:
        """Start it and wait until it answers."""
        argv = [redis_server(), "--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", self.password]
        argv += ["--dir", str(self.folder), "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        log = self.folder / "redis.log"
        environment = {"PATH": os.environ["PATH"]}
        self._process = OwnedProcess(argv, folder=self.folder, log=log, env=environment, cwd=self.folder)
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
        """Stop it; its data stays."""
        if self._process:
            self._process.stop()

    def lose(self) -> None:
        """Kill it and remove its data."""
        if self._process:
            self._process.kill()
        for file in self.folder.glob("*.aof"):
            file.unlink()

    def close(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


class Worker:
    """A Celery worker of our own, as people start it, but for its look at other workers.

    Parameters
    ----------
    config
        The file that ``CONFIG_FILE`` names.
    name
        Of the worker.
    options
        Further ones of the command.
    before
        Shell code that runs before the command.
    program
        What takes the place of ``python -m celery``.
    command
        ``worker`` or ``beat``.
    ready
        What it writes when it is ready.
    """

    def __init__(
        self,
        config: Path,
        name: str = "w",
        *options: str,
        before: str = "",
        program: Sequence[str] = ("-m", "celery"),
        command: str = "worker",
        ready: str = "",
    ) -> None:
        self.log = config.parent / f"{name}.log"
        argv = [sys.executable, *program, "-A", "frontierlab.celery_tasks", command, "--loglevel=info"]
        if command == "worker":
            # it would look a second for others, for what only Celery's own cancellations need
            argv += ["--concurrency=1", "-n", f"{name}@test", "--without-mingle"]
        kept = ("PATH", "PYTHONPATH", "HOME", "LANG", "JAVA_HOME", "SPARK_SUBMIT_OPTS")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        self._process = OwnedProcess(
            ["/bin/sh", "-c", f'{before}\nexec "$@"', "sh", *argv, *options],
            folder=config.parent / f"{name}-home",
            log=self.log,
            env=environment | {"CONFIG_FILE": str(config)},
            cwd=config.parent,
        )
        deadline = time.monotonic() + START_SECONDS
        while (ready or f"{name}@test ready") not in self.text:
            if self._process.status is not None or time.monotonic() > deadline:
                self.kill()
                raise ServiceError(f"The worker does not start: {self.text[-2_000:]}")
            time.sleep(0.05)

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The number of its main process."""
        return self._process.pid

    def children(self) -> list[psutil.Process]:
        """Its pool's processes."""
        return psutil.Process(self.pid).children()

    def stop(self) -> None:
        """Ask it to end, as an operator does, and wait."""
        self._process.stop()

    def kill(self) -> None:
        """End all its processes at once."""
        self._process.kill()
