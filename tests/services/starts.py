"""Which services were started in a run of the tests: each only once, except by tests of a start or an end.

`scripts/run_tests.py` names a file for that, and checks it at the end. Services whose start is the subject of a test
start while that test is called; those of fixtures start while a test is set up. Tests of a start or an end of Spark use
programs of their own, so Spark starts once in the processes of the tests, whoever asks first.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

FILE = "TEST_SERVICE_STARTS"
"""Variable with the file to which each start adds a line."""

SPARK = "Spark"
"""The service that tests share even if one of them starts it while it is called."""


def note_start(service: str) -> None:
    """Add a line for a start of a service, with the test in which it happens."""
    if file := os.environ.get(FILE):
        test = os.environ.get("PYTEST_CURRENT_TEST", "")
        with Path(file).open("a") as lines:
            lines.write(f"{service}\t{test}\n")


def noted(service: str, start: Callable[P, T]) -> Callable[P, T]:
    """Return the function `start`, which then notes a start of the service at each call."""

    @functools.wraps(start)
    def note_and_start(*given: P.args, **options: P.kwargs) -> T:
        note_start(service)
        return start(*given, **options)

    return note_and_start


def summary(file: Path) -> tuple[str, bool]:
    """Return which services were started, as text, and whether each was started once for the run."""
    for_run: Counter[str] = Counter()
    by_tests: Counter[str] = Counter()
    for line in file.read_text().splitlines():
        service, test = line.split("\t")
        if not test or test.endswith("(setup)") or service == SPARK:
            for_run[service] += 1
        else:
            by_tests[f"{service} by {test.split('::')[-1].split(' ')[0]}"] += 1
    lines = ["services started for the run:", *_lines(for_run)]
    if by_tests:
        lines += ["services started by tests of a start or an end:", *_lines(by_tests)]
    return "\n".join(lines), all(number == 1 for number in for_run.values())


def _lines(counted: Counter[str]) -> list[str]:
    return [f"  {number} {what}" for what, number in sorted(counted.items())]
