"""Programs that tests start, and that end with the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a program, and kill it at the end: `subprocess.Popen` would wait for one that hangs."""
    with subprocess.Popen(command, **options) as program:
        try:
            yield program
        finally:
            program.kill()  # nothing happens if it has ended


@contextmanager
def forked(work: Callable[[], object], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a function as `started` starts a program: in a fork, which has imported all that this process has.

    It suits tests of what a program does with its streams and with signals. How Python itself begins and ends, only a
    program of its own shows.
    """
    with started(["in a fork"], preexec_fn=partial(_be_a_program, work), **options) as program:
        yield program


def _be_a_program(work: Callable[[], object]) -> None:
    """Run a function in the fork in which `subprocess.Popen` would begin another program, and end the fork."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # files of the tests, and the pipe on which Popen waits for the program
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as Python does
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115  # not those of pytest
    status: Any = 1
    try:
        work()
        sys.stdout.flush()
        status = 0
    except SystemExit as end:
        sys.stdout.flush()
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
