"""A Redis and a worker on this machine, for who has none: started on request, and ended with whoever started them.

``python -m frontierlab.jobs`` runs them until Ctrl-C; `start_worker` has the same command run as a child, which ends
when its standard input does, and that ends when the process of the caller ends, in whatever way.
"""

from __future__ import annotations

import atexit
import os
import select
import subprocess
import sys
from contextlib import suppress
from typing import Self

from frontierlab.errors import JobError
from frontierlab.settings import Settings, as_variables

__all__ = ["LocalWorker", "start_worker"]

_START = 120  # seconds to start in
_END = 30  # seconds to end in, before being told again, and then ended


class LocalWorker:
    """A worker of this machine, with a Redis if that is needed; `start_worker` makes it.

    It ends with `stop`, with the ``with`` block, or with this process.
    """

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        atexit.register(self.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<LocalWorker: {'running' if self.running else 'ended'}>"

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._child.poll() is None

    def stop(self) -> None:
        """End it. A job that it runs goes on where it stopped when a worker is there again."""
        atexit.unregister(self.stop)
        _close(self._child)


def start_worker(settings: Settings | None = None) -> LocalWorker:
    """Start a worker on this machine, and a Redis where the settings name none; return when it takes jobs.

    The Redis listens on this machine only, wants a password, and keeps its data in the data folder: jobs that are
    queued survive it. What the worker writes is in ``jobs`` in the data folder.

    Parameters
    ----------
    settings
        By default ``Settings()``. The worker has the same, secrets included, in its environment.

    Raises
    ------
    JobError
        It did not start; the message says why.
    """
    settings = settings or Settings()
    others = {name: value for name, value in os.environ.items() if not name.startswith(("CONFIG_FILE", "FRONTIERLAB_"))}
    child = subprocess.Popen(
        [sys.executable, "-m", "frontierlab.jobs", "--follow-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=others | as_variables(settings),
        start_new_session=True,  # Ctrl-C in a notebook or a terminal is not meant for it
    )
    worker = LocalWorker(child)
    assert child.stdout is not None
    try:
        answer = child.stdout.readline().strip() if select.select([child.stdout], [], [], _START)[0] else "no answer"
    except BaseException:  # Ctrl-C
        worker.stop()
        raise
    if answer != "ready":
        worker.stop()
        raise JobError(f"The worker did not start: {answer or 'it ended without a word'}")
    return worker


def _close(child: subprocess.Popen[str]) -> None:
    """End a child of `start_worker`, and everything that it started."""
    import psutil  # of the same extra as Celery

    if child.stdin is not None:
        child.stdin.close()
    if not _ends(child):
        child.terminate()
    if not _ends(child):
        family = psutil.Process(child.pid).children(recursive=True)  # in sessions of their own
        child.kill()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _ends(child: subprocess.Popen[str]) -> bool:
    with suppress(subprocess.TimeoutExpired):
        child.wait(_END)
    return child.poll() is not None
