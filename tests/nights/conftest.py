"""Days of documents in export files, and the night of a date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import frontierlab as fl
from frontierlab.nights import Night
from frontierlab.nights.steps import STEPS, Outcome, Step, Work
from frontierlab.sample import World
from tests.services.coolr import CoolrServer

DAYS = 8
QUERIES = 300


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The pattern of export files of the days 2026-10-01 to -08, of `QUERIES` documents each."""
    return write_exports(tmp_path_factory.mktemp("exports"), QUERIES)


def write_exports(folder: Path, queries: int) -> str:
    """Write an export file for each day, and return their pattern."""
    for number in range(1, DAYS + 1):
        world(number, queries).write(folder / f"dump-2026-10-{number:02}.ndjson")
    return str(folder / "dump-%Y-%m-%d.ndjson")


def world(day: int, queries: int) -> World:
    """Return the world of a day of October 2026."""
    since = datetime(2026, 10, day, tzinfo=UTC)
    return World(queries, seed=day, since=since.isoformat(), until=(since + timedelta(days=1)).isoformat(), malformed=0)


@pytest.fixture
def night(exports: str) -> Callable[..., Night]:
    """Do the night at 2 o'clock of a day of October 2026."""

    def run(day: int, settings: fl.Settings, **more: Any) -> Night:
        when = datetime(2026, 10, day, 2, tzinfo=UTC)
        return fl.nights.run(settings, now=when, **{"source": exports, "progress": False, **more})

    return run


@pytest.fixture
def coolr() -> Iterator[CoolrServer]:
    """A COOLR with the catalogue of all worlds."""
    with CoolrServer(World()) as server:
        yield server


class Steps:
    """Steps that only note their calls with the day; those in `errors`, by name or as ``name day``, raise that."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.errors: dict[str, BaseException] = {}

    def step(self, name: str, *, of: Any = "dataset") -> Step:
        def work(work: Work) -> Outcome:
            self.calls.append((name, work.record.day.day))
            for key in (name, f"{name} {work.record.day.day}"):
                if key in self.errors:
                    raise self.errors[key]
            if name == "report":
                path = work.dataset().path / "report.html"
                path.write_text(name)
                return Outcome({"file": str(path.relative_to(work.settings.data_dir))})
            return Outcome({"of": name})

        return Step(work, of)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Cheap steps in the place of all but the extraction."""
    cheap = Steps()
    for name, step in STEPS.items():
        if name != "extraction":
            monkeypatch.setitem(STEPS, name, cheap.step(name, of=step.of))
    return cheap


@pytest.fixture
def folder(data_dir: Path) -> Path:
    """The folder of the nights."""
    return data_dir / "nights"
