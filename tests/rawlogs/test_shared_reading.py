"""Large servlet logs, whose pieces processes scan."""

from __future__ import annotations

import gzip
import os
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab.errors import Cancelled, DatasetError
from frontierlab.rawlogs import processes, read_servlet_logs, write_servlet_logs
from frontierlab.rawlogs.servlet import read_logs, sharing
from frontierlab.sample import World
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.losses import PartialSource

WORLD = World(300, seed=3, malformed=0, faithful=True)


class Watched(processes.Processes):
    """Processes that a test looks at."""

    started: list[Watched]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.started.append(self)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fl.sample.settings(data_dir=tmp_path / "data", loss_warning_share=0.5)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_logs, "_SHARED", 0)
    monkeypatch.setattr(read_logs, "processors", lambda: 2)
    monkeypatch.setattr(sharing, "_SIZE", 20_000)
    monkeypatch.setattr(Watched, "started", [], raising=False)
    monkeypatch.setattr(read_logs, "Processes", Watched)


def ask(folder: Path, settings: Settings, name: str) -> Dataset:
    return read_servlet_logs(folder, settings, name=name, progress=False, keep_personal_data=True)


@pytest.mark.slow
def test_logs_that_processes_scan_give_the_same_rows(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_servlet_logs(WORLD, tmp_path / "logs", reloads=2, noise=0.05, kills=1, lost=0.01)
    log = next((tmp_path / "logs").rglob("catalina.out"))
    lines = log.read_bytes().splitlines(keepends=True)
    answer = next(k for k, line in enumerate(lines) if b" rows=" in line)
    head = lines[answer].partition(b"rows=")[0]
    trace = [head + b"Error while processing payload 0:\n", b"java.lang.Exception: ORA-01555\n", b"\tat a.b\n", b"\n"]
    lines[answer + 1 : answer + 1] = trace
    cut = answer + 3  # a file ends within the stack trace
    log.with_name("catalina.out.1.gz").write_bytes(gzip.compress(b"".join(lines[:cut])))
    # a line that is too long, line ends of Windows, zeros of a truncation, no last line feed
    lines[cut + 900 : cut + 900] = [head + b"y" * 4_500_000 + b"\n", b"z" * 30_000 + b"\n"]
    rest = b"".join(lines[cut:])
    half = rest.index(b"\n", len(rest) // 2) + 1
    log.write_bytes(rest[:half] + b"\0" * 5_000 + rest[half:].replace(b"\n", b"\r\n").removesuffix(b"\r\n"))
    together = ask(tmp_path / "logs", settings, "together")
    assert [child.poll() for child in Watched.started[0].children] == [0]
    monkeypatch.setattr(read_logs, "processors", lambda: 1)
    monkeypatch.setattr(sharing, "_SIZE", 7_000)
    alone = ask(tmp_path / "logs", settings, "alone")
    assert len(Watched.started) == 1
    assert "ORA-01555" in set(alone.to_pandas()["error"])
    assert alone.manifest.source["lines"]["continuations"] >= 3
    rows = [one.to_pandas().sort_values(["log", "line", "payload"], ignore_index=True) for one in (together, alone)]
    pd.testing.assert_frame_equal(rows[0], rows[1], check_categorical=False)
    assert together.manifest.source["lines"] == alone.manifest.source["lines"]
    assert together.counts == alone.counts
    assert together.malformed().equals(alone.malformed())


@pytest.mark.slow
def test_a_log_that_is_rotated_or_truncated_while_it_is_read(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_servlet_logs(WORLD, tmp_path / "logs")
    log = next((tmp_path / "logs").rglob("catalina.out"))
    with monkeypatch.context() as patch:
        patch.setattr(read_logs, "processors", lambda: 1)
        whole = ask(tmp_path / "logs", settings, "whole").to_pandas().sort_values(["log", "line"], ignore_index=True)
    assert Watched.started == []

    class Rotated(Watched):
        def submit(self, job: Any) -> Future[Any]:
            if job.data.path == str(log) and not job.data.offset:
                log.rename(log.with_name("moved"))
                log.write_bytes(b"another file\n")
            return super().submit(job)

    monkeypatch.setattr(read_logs, "Processes", Rotated)
    rotated = ask(tmp_path / "logs", settings, "rotated").to_pandas().sort_values(["log", "line"], ignore_index=True)
    pd.testing.assert_frame_equal(rotated, whole, check_categorical=False)
    log.with_name("moved").rename(log)

    class Truncated(Watched):
        def submit(self, job: Any) -> Future[Any]:
            if job.data.path == str(log) and not job.data.offset:
                os.truncate(log, 30_000)
            return super().submit(job)

    monkeypatch.setattr(read_logs, "Processes", Truncated)
    with pytest.warns(PartialSource, match="became shorter while it was read"):
        cut = ask(tmp_path / "logs", settings, "cut")
    assert 0 < cut.counts.kept < len(whole)
    assert len(cut.manifest.partial) == 1


def test_when_a_process_is_killed_an_error_says_so_and_nothing_is_left(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_servlet_logs(WORLD, tmp_path / "logs")

    class Killed(Watched):
        def submit(self, job: Any) -> Future[Any]:
            self.children[0].kill()
            return super().submit(job)

    monkeypatch.setattr(read_logs, "Processes", Killed)
    with pytest.raises(DatasetError, match="SIGKILL"):
        ask(tmp_path / "logs", settings, "killed")
    assert not (settings.data_dir / "datasets/killed").exists()
    assert all(child.poll() is not None for child in Watched.started[0].children)


def test_a_cancelled_reading_ends_its_processes(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_servlet_logs(WORLD, tmp_path / "logs")
    running = fl.cancellable()

    class Silent(Watched):
        def submit(self, job: Any) -> Future[Any]:
            running.cancel()
            return Future()  # that nobody answers

    monkeypatch.setattr(read_logs, "Processes", Silent)
    with running, pytest.raises(Cancelled):
        ask(tmp_path / "logs", settings, "cancelled")
    assert not (settings.data_dir / "datasets/cancelled").exists()
    assert all(child.poll() is not None for child in Watched.started[0].children)
