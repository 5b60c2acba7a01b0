"""Following access logs of Squids that are being written."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import frontierlab as fl
from frontierlab.errors import Cancelled, DatasetError
from frontierlab.rawlogs import squid
from frontierlab.rawlogs.squid import SquidLogs, open_squid_logs, read_squid_logs
from frontierlab.settings import Settings
from frontierlab.util.progress import Progress
from tests.rawlogs.squid.conftest import ZONE, Written
from tests.rawlogs.squid.test_lines import THREE

KEY = "a key of the tests of following"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fl.sample.settings(data_dir=tmp_path / "data", personal_data_key=KEY)


@pytest.fixture
def whole(squids: Written, settings: Settings) -> tuple[list[bytes], SquidLogs]:
    """The lines of one Squid's log, and what is read of it in one go."""
    log = max(squids.truth.paths.values(), key=lambda path: path.stat().st_size)
    logs = read_squid_logs(log, settings, name="whole", timezone=ZONE)
    assert logs.manifest.lines["set_aside"]
    return log.read_bytes().splitlines(keepends=True), logs


Step = tuple[int, Callable[[], object]]
"""A number of lines, and what is done once when so many were read."""


def follow(path: Path, settings: Settings, steps: list[Step], **more: Any) -> SquidLogs:
    """Follow a log, and do each step in its turn; a step that returns False is done again."""
    left = [*steps]

    def step(progress: Progress) -> None:
        if left and progress.done >= left[0][0] and left[0][1]() is not False:
            left.pop(0)

    more = {"timezone": ZONE, "squids": "followed", "seconds": 60, **more}
    return read_squid_logs(path, settings, name="followed", follow=True, progress=step, **more)


def stop() -> None:
    raise KeyboardInterrupt


def die() -> None:
    raise SystemExit  # like a process that is killed: nothing of the open part is stored


def assert_same(found: SquidLogs, expected: SquidLogs) -> None:
    names = [name for name in expected.schema.names if name not in ("squid", "file", "line")]
    frames = [one.to_pandas(names).astype("string").sort_values(names) for one in (found, expected)]
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in frames))
    for name in ("lines", "others", "rows", "results", "without_task", "since", "until"):
        assert getattr(found.manifest, name) == getattr(expected.manifest, name), name
    texts = [sorted(one.malformed()["text"]) for one in (found, expected)]
    assert texts[0] == texts[1]


def append(path: Path, lines: list[bytes]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(lines))


def test_a_log_is_followed_through_rotation_and_truncation(tmp_path: Path, settings: Settings, whole: Any) -> None:
    lines, expected = whole
    log, third = tmp_path / "live/access.log", len(lines) // 3
    append(log.with_name("access.log.1"), lines[:50])  # from before it is followed
    append(log, lines[50:100])
    append(log, [lines[100][:40]])  # a line that is not whole yet
    seen: list[int] = []

    def rotate() -> None:
        append(log, [lines[100][40:], *lines[101:third]])
        log.with_name("access.log.1").rename(log.with_name("access.log.2"))
        log.rename(log.with_name("access.log.1"))
        append(log, lines[third : third + 30])

    def truncate() -> None:
        log.write_bytes(b"")
        append(log, lines[third + 30 : third + 50])

    def look() -> object:
        logs = open_squid_logs("followed", settings)
        if logs.manifest.lines["lines"] < third + 50:  # the part is not stored yet
            return False
        seen.append(int(squid.hit_ratio_per_squid(logs)["requests"].sum()))
        assert logs.notes[0].startswith("These logs are being followed: what is stored are the requests up to ")
        return append(log, lines[third + 50 :])

    running = fl.cancellable()
    steps: list[Step] = [(100, rotate), (third + 30, truncate), (third + 50, look), (len(lines), running.cancel)]
    with running, pytest.raises(Cancelled):
        follow(log.parent, settings, steps, part_seconds=0.0)
    stopped = open_squid_logs("followed", settings)
    assert len(stopped.manifest.parts or []) > 3
    assert 0 < seen[0] < expected.manifest.rows
    assert stopped.manifest.rows == expected.manifest.rows
    finished = follow(log.parent, settings, [], seconds=0)
    assert_same(finished, expected)
    assert finished.manifest.following is None
    with pytest.raises(DatasetError, match="exist already"):
        follow(log, settings, [], seconds=0)


def test_following_goes_on_after_a_stop_and_after_a_kill(tmp_path: Path, settings: Settings, whole: Any) -> None:
    lines, expected = whole
    log = tmp_path / "live/access.log"
    append(log, lines[:100])

    with pytest.raises(KeyboardInterrupt):
        follow(log, settings, [(100, stop)])
    stopped = open_squid_logs("followed", settings)
    assert stopped.manifest.lines["lines"] == 100
    append(log, lines[100:150])
    log.rename(log.with_name("access.log.1"))  # while nobody follows
    append(log, lines[150:200])
    with pytest.raises(SystemExit):
        follow(log, settings, [(100, die)])
    assert open_squid_logs("followed", settings).manifest == stopped.manifest
    left = settings.data_dir / "squid_logs/followed/parts/00001.parquet"
    left.write_bytes(b"PAR1 what a killed process left")
    append(log, lines[200:])
    assert_same(follow(log, settings, [], seconds=0), expected)


def test_the_last_line_needs_no_line_feed(tmp_path: Path, settings: Settings) -> None:
    log = tmp_path / "live/access.log"
    append(log, [THREE.encode() + b"\n", THREE.encode()])
    rows = follow(log, settings, [], seconds=0, complete=False).to_pandas()
    assert rows["line"].tolist() == [1, 2]
    assert rows["file"].tolist() == 2 * [str(log)]


def test_what_is_missing_of_a_log_is_said(tmp_path: Path, settings: Settings, whole: Any) -> None:
    lines = [line for line in whole[0] if line.endswith(b'"\n')]
    log = tmp_path / "live/access.log"
    append(log, lines[:1])

    with pytest.raises(KeyboardInterrupt):
        follow(log, settings, [(1, stop)], complete=False)
    log.rename(tmp_path / "away.log")  # so that the new file has another number
    append(log, lines[1:3])
    logs = follow(log, settings, [], seconds=0, complete=False)
    assert logs.manifest.lines["lines"] == 3
    assert any("is missing: that file is gone" in note for note in logs.notes)


def test_other_paths_and_settings_are_refused(tmp_path: Path, settings: Settings) -> None:
    log = tmp_path / "live/access.log"
    append(log, [THREE.encode() + b"\n"])
    running = fl.cancellable()
    with running, pytest.raises(Cancelled):
        follow(log, settings, [(1, running.cancel)], complete=False)
    with pytest.raises(DatasetError, match="with other settings"):
        follow(log, settings, [], seconds=0, complete=False, timezone="UTC")
    assert follow(log, settings, [], seconds=0, complete=False).manifest.rows == 1


def test_a_full_disk_keeps_the_stored_parts(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "live/access.log"
    append(log, [THREE.encode() + b"\n"])

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill() -> object:
        if not open_squid_logs("followed", settings).manifest.rows:
            return False
        monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
        return append(log, [THREE.encode() + b"\n"])

    with pytest.raises(DatasetError, match=r"is full.*The stored parts are kept; the same call goes on"):
        follow(log, settings, [(1, fill)], part_seconds=0.0, complete=False)
    monkeypatch.undo()
    assert open_squid_logs("followed", settings).to_arrow().num_rows == 1
    assert follow(log, settings, [], seconds=0, complete=False).manifest.rows == 2


def test_two_cannot_follow_into_one_name(tmp_path: Path, settings: Settings) -> None:
    log = tmp_path / "live/access.log"
    append(log, [THREE.encode() + b"\n"])
    failed: list[str] = []

    def again() -> None:
        try:
            follow(log, settings, [], seconds=0, complete=False)
        except DatasetError as error:
            failed.append(str(error))

    def second() -> None:
        thread = threading.Thread(target=again)
        thread.start()
        thread.join(60)

    follow(log, settings, [(0, second)], seconds=0, complete=False)
    assert "in use" in failed[0]
