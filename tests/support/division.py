"""Which process of a run ran which test: each test must run in exactly one.

`scripts/run_tests.py` names a folder, in which each process of pytest notes what it has collected and what it has run.
The processes together collect every test, since one of them leaves out no file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

FOLDER = "TEST_DIVISION"
"""Variable with the folder of the notes; without it nothing is noted."""

COLLECTED, RAN = ".collected", ".ran"
SHOWN = 20  # tests in a message


def note(suffix: str, tests: Iterable[str]) -> None:
    """Note tests that this process has collected or run."""
    if folder := os.environ.get(FOLDER):
        with (Path(folder) / f"{os.getpid()}{suffix}").open("a") as lines:
            lines.writelines(f"{test}\n" for test in tests)


def problems(folder: Path) -> list[str]:
    """Return what is wrong with the division of the tests: those that ran in no process, or more than once."""
    ran = Counter(_noted(folder, RAN))
    collected = {*_noted(folder, COLLECTED)}
    never, twice = sorted(collected - {*ran}), sorted(test for test, times in ran.items() if times > 1)
    found = [] if collected else ["no test was collected"]
    for tests, fault in ((never, "in no process"), (twice, "more than once")):
        if tests:
            left = [f"and {len(tests) - SHOWN} more"] if len(tests) > SHOWN else []
            found.append("\n  ".join([f"{len(tests)} tests ran {fault}:", *tests[:SHOWN], *left]))
    return found


def number(folder: Path) -> int:
    """Return how many tests were collected."""
    return len({*_noted(folder, COLLECTED)})


def _noted(folder: Path, suffix: str) -> list[str]:
    return [line for file in folder.glob(f"*{suffix}") for line in file.read_text().splitlines()]
