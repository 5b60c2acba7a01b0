"""Start a worker and a Redis on this machine, for users who have none; both end with the process that started them.

``python -m frontierlab.jobs`` runs them until Ctrl-C. `start_worker` runs the same command as a child process. The
child ends when its standard input closes, which happens whenever the calling process ends.
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

_START = 120  # seconds for the start
_END = 30  # seconds for the child to end, before each stronger signal


class LocalWorker:
    """A worker on this machine, with a Redis if one is needed; made by `start_worker`.

    Ends with `stop`, with the ``with`` block, or with this process.
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
        """Whether the worker runs."""
        return self._child.poll() is None

    def stop(self) -> None:
        """End the worker. Its running job continues when a worker is present again."""
        atexit.unregister(self.stop)
        _close(self._child)


def start_worker(settings: Settings | None = None) -> LocalWorker:
    """Start a worker on this machine, and a Redis if the settings name no broker; return when the worker takes jobs.

    The Redis listens on a Unix socket alone, which no other user can open. It keeps its data in the data folder, so
    queued jobs survive a restart. The worker's log is in the folder ``jobs`` of the data folder.

    Parameters
    ----------
    settings
        By default ``Settings()``. The worker gets the same settings, with secrets, through its environment.

    Raises
    ------
    JobError
        The worker did not start; the message says why.
    """
    settings = settings or Settings()
    others = {name: value for name, value in os.environ.items() if not name.startswith(("CONFIG_FILE", "FRONTIERLAB_"))}
    child = subprocess.Popen(
        [sys.executable, "-m", "frontierlab.jobs", "--follow-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=others | as_variables(settings),
        start_new_session=True,  # Ctrl-C in a notebook or a terminal must not reach the child
    )
    worker = LocalWorker(child)
    assert child.stdout is not None
    try:
        answer = child.stdout.readline().strip() if select.select([child.stdout], [], [], _START)[0] else "no answer"
    except BaseException:  # including Ctrl-C
        worker.stop()
        raise
    if answer != "ready":
        worker.stop()
        raise JobError(f"The worker did not start: {answer or 'its process ended without a message'}")
    return worker


def _close(child: subprocess.Popen[str]) -> None:
    """End a child of `start_worker` and all processes that it started."""
    import psutil  # comes with the same extra as Celery

    if child.stdin is not None:
        child.stdin.close()
    if not _ends(child):
        child.terminate()
    if not _ends(child):
        family = psutil.Process(child.pid).children(recursive=True)  # they have sessions of their own
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
