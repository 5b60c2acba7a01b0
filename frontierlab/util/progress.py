"""Progress of work: a record, a meter that makes it, and a bar that shows it."""

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
    """The progress of some work.

    Parameters
    ----------
    stage
        The current step, in one word.
    done, total
        Numbers of units, such as documents; `total` is None if unknown.
    rate
        Units per second since this run began.
    remaining
        Seconds until the end at that rate; None if unknown.
    message
        A sentence, or empty.
    unit
        What the numbers count, in the plural, such as lines; empty if the stage says it.
    """

    stage: str
    done: int
    total: int | None
    rate: float
    remaining: float | None
    message: str = ""
    unit: str = ""

    def as_record(self) -> dict[str, Any]:
        """Return the progress as a plain dict for JSON."""
        return asdict(self)


ProgressCallback = Callable[[Progress], object]
"""A function that is called with each record; it stops the work by raising an error."""


class ProgressMeter:
    """Counts the units that several threads have done, and makes progress records.

    Parameters
    ----------
    stage
        The current step, in one word.
    total
        Total number of units; None if unknown.
    done
        Number of units done by earlier runs.
    unit
        What is counted, in the plural.
    """

    def __init__(self, stage: str, total: int | None, done: int = 0, *, unit: str = "") -> None:
        self._stage, self._unit = stage, unit
        self._total = total
        self._before = done
        self._now = 0
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """Count further units; any thread may call this."""
        with self._lock:
            self._now += count

    def progress(self, message: str = "") -> Progress:
        """Return the current record."""
        with self._lock:
            now = self._now
        rate = now / max(time.monotonic() - self._began, 1e-3)
        done = self._before + now
        remaining = None if self._total is None or not rate else max(0, self._total - done) / rate
        return Progress(self._stage, done, self._total, rate, remaining, message, self._unit)


@contextmanager
def reporting(progress: bool | ProgressCallback, unit: str) -> Iterator[ProgressCallback]:
    """Yield the callback to report to: the caller's own, or one that shows a bar (hidden if `progress` is False)."""
    if callable(progress):
        yield progress
        return
    from tqdm.auto import tqdm

    # in a script the bar is shown only on a terminal
    with tqdm(unit=f" {unit}", unit_scale=True, disable=None if progress else True) as bar:

        def show(record: Progress) -> None:
            bar.set_description(record.stage, refresh=False)
            bar.total = record.total
            bar.update(record.done - bar.n)

        yield show
