"""Progress of work: one record, and a bar that shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Progress", "ProgressCallback", "ProgressMeter", "reporting"]


@dataclass(frozen=True)
class Progress:
    """How far some work is.

    Parameters
    ----------
    stage
        What is being done, in a word.
    done, total
        In the unit of the work, such as documents; `total` is None where it is not known.
    rate
        Units a second, since this run began.
    remaining
        Seconds until the end at that rate; None where it is not known.
    message
        A sentence, or empty.
    """

    stage: str
    done: int
    total: int | None
    rate: float
    remaining: float | None
    message: str = ""

    def as_record(self) -> dict[str, Any]:
        """Return it as a plain dict that JSON takes."""
        return asdict(self)


ProgressCallback = Callable[[Progress], object]
"""What is called with each record; it stops the work by raising."""


class ProgressMeter:
    """Counts what several threads have done, and makes the record of it.

    Parameters
    ----------
    stage
        What is being done.
    total
        Units in all.
    done
        Units that an earlier run did.
    """

    def __init__(self, stage: str, total: int | None, done: int = 0) -> None:
        self._stage = stage
        self._total = total
        self._before = done
        self._now = 0
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count further units; from any thread."""
        with self._lock:
            self._now += count

    def progress(self, message: str = "") -> Progress:
        """Return the record as of now."""
        with self._lock:
            now = self._now
        rate = now / max(time.monotonic() - self._began, 1e-3)
        done = self._before + now
        remaining = None if self._total is None or not rate else max(0, self._total - done) / rate
        return Progress(self._stage, done, self._total, rate, remaining, message)


@contextmanager
def reporting(progress: bool | ProgressCallback, unit: str) -> Iterator[ProgressCallback]:
    """Give the callback to report to: the caller's own, a bar, or none."""
    if callable(progress):
        yield progress
        return
    from tqdm.auto import tqdm

    # in a script a bar is shown on a terminal alone
    with tqdm(unit=f" {unit}", unit_scale=True, disable=None if progress else True) as bar:

        def show(record: Progress) -> None:
            bar.set_description(record.stage, refresh=False)
            bar.total = record.total
            bar.update(record.done - bar.n)

        yield show
