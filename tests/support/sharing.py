"""Processes with the same tests share them: each takes the next file that none of them has taken.

A plugin of pytest, which `scripts/run_tests.py` gives to such processes with a folder for notes of what is taken.
As a program, it waits until a file is taken.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = "TEST_SHARING"
"""Variable with the folder of the notes."""

COLLECTING = 60  # seconds after which nothing waits for the first file


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests of the files that this process takes, as pytest runs all that it has collected."""
    if session.testsfailed:
        return None  # a file could not be collected: pytest says so, and runs nothing
    for item, following in itertools.pairwise(itertools.chain(_taken(session.items), [None])):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
    return True


def _taken(items: list[pytest.Item]) -> Iterator[pytest.Item]:
    for file, tests in itertools.groupby(items, key=lambda item: item.path):
        note = Path(os.environ[FOLDER]) / "-".join(file.parts[1:])
        try:
            note.touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from tests


def wait_for_the_first() -> None:
    """Wait until a process has taken a file, but no longer than it may take to collect."""
    deadline = time.monotonic() + COLLECTING
    while not any(Path(os.environ[FOLDER]).iterdir()) and time.monotonic() < deadline:
        time.sleep(0.1)


if __name__ == "__main__":
    wait_for_the_first()
