"""Processes with the same tests share them: each takes the next file that none of them has taken.

A plugin of pytest, which `scripts/run_tests.py` gives to such processes with a folder for notes of what is taken.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = "TEST_SHARING"
"""Variable with the folder of the notes."""


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
