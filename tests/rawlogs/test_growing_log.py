"""Logs that are rotated just when their files are looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from frontierlab.rawlogs import growing_log
from frontierlab.rawlogs.growing_log import GrowingLog
from frontierlab.rawlogs.lines import Block
from frontierlab.rawlogs.log_files import LogSet, find_logs

A, B, C = (f"{letter * 40}\n" for letter in "ABC")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def found(paths: Path | str) -> LogSet:
    (log,) = find_logs(paths, follow=True)
    return log


def following(log: LogSet, began: Callable[[Path], int | None] = lambda file: None) -> tuple[GrowingLog, list[str]]:
    """Return a log that is followed, and where its lines come."""
    lines: list[str] = []

    def add(block: Block, last: bool) -> None:
        lines.extend(block.data.decode().splitlines(keepends=True))

    return GrowingLog(log, add, lines.append, began), lines


def rotate(path: Path, text: str) -> None:
    one, two = (path.with_name(f"{path.name}.{number}") for number in (1, 2))
    if one.exists():
        one.rename(two)
    path.rename(one)
    path.write_text(text)


def test_a_rotation_between_listing_and_opening_skips_no_file(path: Path) -> None:
    path.with_name("access.log.1").write_text(A)
    path.write_text(B)
    listed: list[Path] = []

    def began(file: Path) -> None:
        listed.append(file)
        if len(listed) == 2:
            rotate(path, C)

    log, lines = following(found(f"{path}*"), began)
    log.read()
    log.end()
    assert lines == [A, B, C]


def test_a_rotation_before_the_opening_goes_on_in_no_other_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.with_name("access.log.1").write_text(A)
    path.write_text(B)
    first, lines = following(found(f"{path}*"))
    first.read()
    state = first.state()
    first.close()
    rotations = iter([True])

    class Late(growing_log.OpenFile):
        def __init__(self, *where: Any) -> None:
            if next(rotations, False):
                path.write_text(B + B.lower())
                rotate(path, C + C.lower())
            super().__init__(*where)

    monkeypatch.setattr(growing_log, "OpenFile", Late)
    log, more = following(found(f"{path}*"))
    log.resume(state)
    log.read()
    log.end()
    assert (lines, more) == ([A, B], [B.lower(), C, C.lower()])


@pytest.mark.parametrize("pattern", ["access.log", "access.log*"])
def test_a_rotation_before_the_first_look_skips_no_file(path: Path, pattern: str) -> None:
    path.write_text(A)
    given = found(str(path.with_name(pattern)))
    rotate(path, B)
    log, lines = following(given)
    log.read()
    log.end()
    assert lines == [A, B]


def test_files_beside_the_given_one_are_not_read_after_a_rotation(path: Path) -> None:
    path.with_name("access.log.1").write_text(A)
    path.write_text(B)
    given = found(path)
    rotate(path, C)
    log, lines = following(given)
    log.read()
    log.end()
    assert lines == [B, C]


def test_the_number_of_an_empty_file_can_be_used_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing_log, "_LIST", 0.0)
    path.touch()
    log, lines = following(found(path))
    rotate(path, B)
    log.read()
    # systems give the number of a file that was removed to the next one that is made
    path.replace(path.with_name("access.log.2"))
    path.with_name("access.log.1").replace(path)
    path.write_text(C)
    log.read()
    log.end()
    assert lines == [B, C]
