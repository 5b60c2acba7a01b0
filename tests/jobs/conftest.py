"""Fixtures of the tests of jobs without services."""

from __future__ import annotations

import pytest

from frontierlab.jobs import kinds
from frontierlab.sample import World
from tests.support.jobs import Waiting, until_idle


@pytest.fixture
def export(tmp_path):
    """An export file of 3,000 documents."""
    path = tmp_path / "dump.ndjson"
    World(3_000, seed=3).write(path)
    return path


@pytest.fixture
def waiting(monkeypatch):
    """The kind of the catalogue's jobs, which wait in this test until they are let go."""
    kind = Waiting()
    monkeypatch.setitem(kinds.KINDS, "catalogue", kind)
    yield kind
    kind.go.set()
    until_idle()
