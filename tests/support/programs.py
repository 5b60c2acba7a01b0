"""Programs that tests start, and that end with the test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def started(command: list[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a program, and kill it at the end: `subprocess.Popen` would wait for one that hangs."""
    with subprocess.Popen(command, **options) as program:
        try:
            yield program
        finally:
            program.kill()  # nothing happens if it has ended
