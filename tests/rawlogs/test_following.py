"""Following servlet logs that are being written."""

from __future__ import annotations

import gzip
import signal
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import frontierlab as fl
from frontierlab.errors import Cancelled, DatasetError, InvalidRequestError
from frontierlab.rawlogs import read_servlet_logs, write_servlet_logs
from frontierlab.rawlogs.lines import Block
from frontierlab.rawlogs.servlet.log_reader import LogReader
from frontierlab.sample import World
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.losses import PartialSource

WORLD = World(200, seed=5, malformed=0, faithful=True)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fl.sample.settings(data_dir=tmp_path / "data", loss_warning_share=0.001)


@pytest.fixture
def form() -> str:
    return "printed"


every_form = pytest.mark.parametrize("form", ["printed", "json", "logback"])


@pytest.fixture
def whole(tmp_path: Path, settings: Settings, form: str) -> tuple[list[bytes], pd.DataFrame]:
    """The lines of one machine's log, and its rows as they are read in one go."""
    write_servlet_logs(WORLD, tmp_path / "source", **({"reloads": 1} if form == "printed" else {"form": form}))
    log = tmp_path / "source/cern.example/catalina.out"
    dataset = read_servlet_logs(log, settings, name="whole", progress=False, keep_personal_data=True)
    return log.read_bytes().splitlines(keepends=True), dataset.to_pandas()


def parts(lines: list[bytes], *shares: float) -> list[list[bytes]]:
    """Cut lines at shares of their number."""
    ends = [0, *(int(share * len(lines)) for share in shares), len(lines)]
    return [lines[begin:end] for begin, end in pairwise(ends)]


def follow(path: Path, settings: Settings, steps: list[Callable[[], object]], **more: object) -> Dataset:
    """Follow a log, and do a step each time that all of it was read."""
    left = iter(steps)

    def step(progress: object) -> None:
        next(left, lambda: None)()

    return read_servlet_logs(
        path, settings, name="followed", follow=True, keep_personal_data=True, progress=step, **more
    )


def same(dataset: Dataset, frame: pd.DataFrame) -> None:
    names = [name for name in frame if name not in ("log", "line", "generation")]
    rows = [
        sorted(one[names].astype("string").fillna("null").itertuples(index=False, name=None))
        for one in (dataset.to_pandas(), frame)
    ]
    assert rows[0] == rows[1]


def append(path: Path, lines: list[bytes]) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


def stop() -> None:
    raise KeyboardInterrupt


@every_form
@pytest.mark.slow
def test_a_log_is_followed_through_rotation_and_truncation(tmp_path: Path, settings: Settings, whole) -> None:
    lines, frame = whole
    first, second, third, fourth, fifth = parts(lines, 0.2, 0.5, 0.6, 0.65)
    log = tmp_path / "live/catalina.out"
    log.parent.mkdir()
    append(log, first)
    append(log, [second[0][:40]])  # a line that is not whole yet

    def rotate() -> None:
        append(log, [second[0][40:], *second[1:]])
        log.rename(log.with_name("catalina.out.1"))
        append(log, third)

    def truncate() -> None:
        log.write_bytes(b"")
        append(log, fourth)

    running = fl.cancellable()
    steps = [lambda: None, rotate, lambda: None, truncate, lambda: append(log, fifth)]
    steps += [lambda: None, running.cancel]
    with running, pytest.raises(Cancelled):
        follow(log, settings, steps, part_seconds=0.0)
    stopped = Dataset(settings.data_dir / "datasets/followed")
    assert stopped.state == "incomplete"
    assert len(stopped.manifest.plan) > 2
    assert 0 < stopped.to_arrow(allow_incomplete=True).num_rows <= len(frame)
    with pytest.warns(PartialSource, match="was truncated after byte"):
        same(follow(log, settings, [], seconds=0), frame)


@every_form
def test_following_goes_on_after_a_stop_and_after_a_kill(tmp_path: Path, settings: Settings, whole) -> None:
    lines, frame = whole
    first, second, third, fourth = parts(lines, 0.3, 0.4, 0.5)
    log = tmp_path / "live/catalina.out"
    log.parent.mkdir()
    append(log, first)

    def die() -> None:
        raise SystemExit  # like a process that is killed: nothing of the open part is stored

    with pytest.raises(KeyboardInterrupt):
        follow(log, settings, [stop])
    append(log, second)
    log.rename(log.with_name("catalina.out.1"))  # while nobody follows
    append(log, third)
    with pytest.raises(SystemExit):
        follow(log, settings, [die])
    append(log, fourth)
    dataset = follow(log, settings, [], seconds=0)
    same(dataset, frame)
    assert dataset.state == "complete"
    told = dataset.manifest.source["lines"]
    assert told["lines"] == len(lines) == told["used"] + told["continuations"]
    with pytest.raises(DatasetError, match="exists already"):
        follow(log, settings, [], seconds=0)


def test_files_are_recognised_when_they_were_rotated_and_compressed_meanwhile(
    tmp_path: Path, settings: Settings, whole
) -> None:
    """The log is empty when it is first followed, absent when that is stopped, and rotated three times before the rest.

    Each byte is read once: of the file that was followed, which is compressed now, only what came later.
    """
    lines, frame = whole
    first, second, third, fourth, fifth = parts(lines, 0.3, 0.4, 0.5, 0.8)
    log = tmp_path / "live/catalina.out"
    log.parent.mkdir()
    append(log, [])
    append(log.with_name("catalina.out.7"), lines[:50])  # is not followed, and must not be read

    def take_away() -> None:
        log.rename(log.with_name("catalina.out.1"))

    with pytest.raises(KeyboardInterrupt):
        follow(log, settings, [lambda: append(log, first), take_away, lambda: None, stop])
    old = log.with_name("catalina.out.1")
    append(old, second)
    log.with_name("catalina.out.4.gz").write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()
    append(log.with_name("catalina.out.3"), third)
    append(log.with_name("catalina.out.2.zst"), [])
    log.with_name("catalina.out.2.zst").write_bytes(pa.compress(b"".join(fourth), "zstd", asbytes=True))
    append(log, fifth)
    dataset = follow(log, settings, [], seconds=0)
    same(dataset, frame)
    assert dataset.manifest.partial == []
    assert dataset.manifest.source["lines"]["lines"] == len(lines)


def test_nothing_is_lost_when_a_log_is_copied_and_truncated(tmp_path: Path, settings: Settings, whole) -> None:
    """What was written between the last look and the copying is in the copy, also in one that was compressed."""
    lines, frame = whole
    first, second, third, fourth, fifth = parts(lines, 0.3, 0.4, 0.5, 0.6)
    log = tmp_path / "live/catalina.out"
    log.parent.mkdir()
    append(log, first)

    def copy_and_truncate(more: list[bytes], then: list[bytes], name: str) -> None:
        append(log, more)
        log.with_name(name).write_bytes(gzip.compress(log.read_bytes()) if name.endswith(".gz") else log.read_bytes())
        log.write_bytes(b"")
        append(log, then)

    steps = [lambda: copy_and_truncate(second, third, "catalina.out.2.gz"), lambda: None, stop]
    with pytest.raises(KeyboardInterrupt):
        follow(log, settings, steps)
    copy_and_truncate(fourth, fifth, "catalina.out.1")  # while nobody follows
    dataset = follow(log, settings, [], seconds=0)
    same(dataset, frame)
    assert dataset.manifest.partial == []


def test_a_log_of_something_else_is_not_followed(tmp_path: Path, settings: Settings) -> None:
    log = tmp_path / "catalina.out"
    append(log, [b"INFO: Server startup in 5 ms\n"])
    with pytest.raises(InvalidRequestError, match="No servlet log was found"):
        follow(log, settings, [], seconds=0)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_ctrl_c_in_the_midst_of_a_block_loses_and_doubles_nothing(
    tmp_path: Path, settings: Settings, whole, monkeypatch, blocks: int
) -> None:
    """Two files are older than the one that is followed, and each is one block."""
    lines, frame = whole
    log = tmp_path / "live/catalina.out"
    log.parent.mkdir()
    for name, some in (("catalina.out.2", lines[:200]), ("catalina.out.1", lines[200:400]), (log.name, lines[400:])):
        append(log.with_name(name), some)
    taken = 0

    def add(self: LogReader, block: Block, *, last: bool, before=LogReader.add) -> None:
        nonlocal taken
        taken += 1
        if taken == blocks:
            signal.raise_signal(signal.SIGINT)
        before(self, block, last=last)

    monkeypatch.setattr(LogReader, "add", add)
    with pytest.raises(KeyboardInterrupt):
        follow(log.parent, settings, [])
    same(follow(log.parent, settings, [], seconds=0), frame)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_cannot_follow_into_one_dataset(tmp_path: Path, settings: Settings, whole) -> None:
    lines, _ = whole
    log = tmp_path / "catalina.out"
    append(log, lines)
    failed: list[BaseException] = []

    def second() -> None:
        def again() -> None:
            try:
                follow(log, settings, [], seconds=0)
            except DatasetError as error:
                failed.append(error)

        thread = threading.Thread(target=again)
        thread.start()
        thread.join(60)

    follow(log, settings, [second], seconds=0)
    assert "in use" in str(failed[0])
