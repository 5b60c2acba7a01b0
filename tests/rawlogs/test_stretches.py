"""Stretches of plain files, which processes read by themselves."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.rawlogs import lines
from frontierlab.rawlogs.lines import are_plain, blocks, plain_lines
from frontierlab.rawlogs.stretches import Moved, Stretch, Stretches, read_here, read_stretch


def last_line(tail: bytes) -> int:
    """Leave the last line that begins with a # to the next stretch."""
    begin = tail.rfind(b"\n#") + 1
    return len(tail) - begin if begin else 0


@given(st.lists(st.sampled_from([b"# begins", b"goes on", b"", b"#"]), min_size=1), st.integers(1, 40))
def test_stretches_follow_one_another_and_end_between_messages(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes], size: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join(rows) + b"\n")
    with path.open("rb") as file:
        stretches = Stretches(path, file, size, last_line)
        found = list(stretches)
        data = [bytes(read_stretch(stretch, 0)) for stretch, _ in found]
        rest = b"".join(stretches.rest())
        assert b"".join([*data, rest]) == path.read_bytes()[3:]
        assert all(text.startswith(b"#") for text in [*data, rest][1:] if text)
        assert all(len(text) <= size for text in data)
        assert [last for _, last in found] == [False] * (len(found) - 1) + [not rest] * bool(found)


def test_compressed_files_and_other_encodings_have_no_stretches(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for data in (gzip.compress(b"# a\n"), "# a\n".encode("utf-16")):
        path.write_bytes(data)
        with path.open("rb") as file:
            stretches = Stretches(path, file, 100, last_line)
            assert stretches.offset is None
            assert not list(stretches)


def test_a_stretch_is_read_only_from_its_own_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\nsecond\n")
    with path.open("rb") as file:
        [(stretch, _)] = Stretches(path, file, 100, last_line)
        assert read_stretch(stretch, 2) == b"first\nsecond\n\0\0"
        path.rename(tmp_path / "log.1")
        with pytest.raises(Moved):
            read_stretch(stretch, 0)
        os.mkfifo(path)  # nobody writes into it: opening it must not wait
        with pytest.raises(Moved):
            read_stretch(stretch, 0)
        assert read_here(stretch, file) == b"first\nsecond\n"
        os.truncate(tmp_path / "log.1", 8)
        assert read_here(stretch, file) == b"first\nse"
        with pytest.raises(Moved):
            read_stretch(stretch._replace(path=str(tmp_path / "log.1")), 0)
    assert isinstance(stretch, Stretch)


@given(st.lists(st.sampled_from([b"text", b"\r", b"\r\n", b"\n", b"\0", b"x" * 90]), max_size=12))
def test_lines_of_a_stretch_are_those_of_blocks(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LONGEST", 64)
        patch.setattr(lines, "_PIECE", 16)
        patch.setattr(lines, "_HEAD", 8)
        data = b"# log\n" + b"".join(parts)
        path = tmp_path_factory.mktemp("log") / "log"
        path.write_bytes(data)
        found = list(blocks(path, 1_000))
        text, cut = b"".join(block.data for block in found), [number - 1 for block in found for number in block.cut]
        assert plain_lines(data) == (text, tuple(cut))
        if are_plain(data, len(data)) and data.endswith(b"\n"):
            assert text == data
