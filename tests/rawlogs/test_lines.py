import gzip
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs import lines
from frontierlab.rawlogs.lines import LineCounts, SetAside, blocks, first_lines
from frontierlab.rawlogs.log_files import find_logs


def joined(file: Path, size: int = 100) -> bytes:
    return b"".join(block.data for block in blocks(file, size))


@pytest.mark.parametrize("suffix", [".out", ".gz", ".zst", ".xz"])
def test_lines_are_read_whatever_the_compression(tmp_path: Path, suffix: str) -> None:
    text = b"".join(b"line %d\n" % k for k in range(1_000))
    file = tmp_path / f"log{suffix}"
    packed = {
        ".out": lambda: text,
        ".gz": lambda: gzip.compress(text),
        ".zst": lambda: pa.compress(text, "zstd", asbytes=True),
        ".xz": lambda: lzma.compress(text),
    }
    file.write_bytes(packed[suffix]())
    assert joined(file) == text


@given(st.lists(st.binary(max_size=30).map(lambda line: line.translate(None, b"\0\r\n"))), st.integers(1, 64))
def test_blocks_hold_whole_lines_with_their_numbers(tmp_path_factory: pytest.TempPathFactory, rows, size) -> None:
    file = tmp_path_factory.mktemp("lines") / "log"
    file.write_bytes(b"# log\n" * 2 + b"\n".join(rows))  # the file begins as text, and may lack the last line feed
    given_lines = file.read_bytes().split(b"\n")
    if not given_lines[-1]:
        given_lines.pop()
    read = []
    for block in blocks(file, size):
        assert block.data.endswith(b"\n")
        assert block.first == len(read) + 1
        read += block.data.split(b"\n")[:-1]
    assert read == given_lines


def test_a_line_that_is_too_long_is_cut_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST", 5_000)
    file = tmp_path / "log"
    file.write_bytes(b"first\n" + b"x" * 100_000 + b"\nthird\n" + b"y" * 50_000)
    found = list(blocks(file, 1_000))
    assert max(len(block.data) for block in found) < 10_000
    assert [number for block in found for number in block.cut] == [2, 4]
    kept = b"".join(block.data for block in found).split(b"\n")[:-1]
    assert [line[:5] for line in kept] == [b"first", b"xxxxx", b"third", b"yyyyy"]


def test_zeros_and_carriage_returns_are_removed(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"one\r\n" + b"\0" * 10_000 + b"two\r\n")
    assert joined(file) == b"one\ntwo\n"


@pytest.mark.slow
def test_a_log_that_is_cut_short_gives_its_lines_and_says_so(tmp_path: Path) -> None:
    text = b"".join(b"line %d %d\n" % (k, k * k) for k in range(200_000))
    file = tmp_path / "log.gz"
    file.write_bytes(gzip.compress(text)[:-100_000])
    problems: list[str] = []
    read = b"".join(block.data for block in blocks(file, 10_000, problems))
    assert text.startswith(read[:-20])
    assert len(problems) == 1
    assert "damaged or cut short" in problems[0]
    with pytest.raises(InvalidRequestError, match="damaged or cut short"):
        list(blocks(file, 10_000))


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["a.out", "a.out.1", "a.out.2.gz", "a.out.10"], ["a.out.10", "a.out.2.gz", "a.out.1", "a.out"]),
        (
            ["a.out", "a.out-20261002", "a.out-20261001.gz"],
            ["a.out-20261001.gz", "a.out-20261002", "a.out"],
        ),
        (["a.2026-10-02.log", "a.2026-10-01.log"], ["a.2026-10-01.log", "a.2026-10-02.log"]),
        (["a.log", "a.log.0", "a.log.1"], ["a.log.1", "a.log.0", "a.log"]),
    ],
)
def test_rotated_files_are_one_log_in_order(tmp_path: Path, names: list[str], ordered: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x\n")
    (log,) = find_logs(tmp_path)
    assert [file.name for file in log.files] == ordered


def test_the_times_in_files_decide_their_order(tmp_path: Path) -> None:
    for name, time in (("a.out.1", b"10\n"), ("a.out.2", b"20\n"), ("a.out", b"30\n")):
        (tmp_path / name).write_bytes(time)
    (log,) = find_logs(tmp_path, lambda file: int(first_lines(file)[0]))
    assert [file.name for file in log.files] == ["a.out.1", "a.out.2", "a.out"]


def test_logs_of_several_hosts_are_apart_and_copies_are_left_out(tmp_path: Path) -> None:
    for name in ("one/a.out", "one/a.out.1", "one/a.out.1.gz", "two/a.out", "two/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x\n")
    (tmp_path / "link.out").symlink_to(tmp_path / "one/a.out")
    one, two = find_logs([tmp_path / "one", str(tmp_path / "t*"), tmp_path / "two", tmp_path / "link.out"])
    assert [file.name for file in one.files] == ["a.out.1", "a.out"]
    assert [file.name for file in one.repeated] == ["a.out.1.gz"]
    assert two.files == (tmp_path / "two/a.out",)


def test_a_missing_path_or_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="There is no file"):
        find_logs(tmp_path / "none.out")
    with pytest.raises(InvalidRequestError, match="No log file"):
        find_logs(tmp_path)


def test_lines_set_aside_are_counted_and_the_first_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "OF_A_REASON", 2)
    aside = SetAside()
    for number in range(1, 6):
        aside.add("not a line", Path("a.out"), number, b"\xff bad")
    kept, more = aside.take()
    assert [json.loads(document) for _, document in kept] == [
        {"file": "a.out", "line": number, "text": "\\xff bad"} for number in (1, 2)
    ]
    assert more == {"not a line": 3}
    aside.add("not a line", Path("a.out"), 6, b"x")
    assert aside.take() == ([], {"not a line": 1})


def test_counts_of_lines_say_when_much_is_set_aside() -> None:
    counts = LineCounts(100, 90, 5) + LineCounts(10, 5, 0)
    counts.set_aside["odd"] += 10
    assert counts.add_up
    assert counts.warning(0.5) == ""
    assert counts.warning(0.01).startswith("10 of 110 lines (9.09%) could not be read")
