"""Executes one notebook, in a process of its own: ``python -m frontierlab.jobs.execute``.

The first line of the standard input says what to do, as JSON: the arguments of ``papermill.execute_notebook``. When the
input ends, the process ends too, and its kernel with it: in whatever way who started it has ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

__all__ = ["main"]

_PATIENCE = 10  # seconds for papermill to end its kernel


def main() -> None:
    """Execute it."""
    # processes of a Celery pool ignore it, and what they start inherits that: neither papermill nor kernel would end
    signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = json.loads(sys.stdin.readline())
    threading.Thread(target=_follow, daemon=True).start()
    from papermill import execute_notebook

    execute_notebook(**arguments, progress_bar=False)


def _follow() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C, on which papermill ends its kernel
    time.sleep(_PATIENCE)
    os._exit(1)


if __name__ == "__main__":
    main()
