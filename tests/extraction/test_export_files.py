"""Export files: every document once, whatever the form, the compression, the line ends and the size of a block."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.errors import InvalidRequestError
from frontierlab.exports import export_file as exports
from frontierlab.exports.document_stream import DocumentStream, unwrapped
from frontierlab.exports.export_file import ExportFile


def zstd(text: bytes) -> bytes:
    return pa.compress(text, "zstd", asbytes=True)


LINES = [b'{"@timestamp":1,"number":%d,"more":"%s"}' % (i, b"x" * (i % 7)) for i in range(200)]
TEXT = b"".join(line + b"\n" for line in LINES)


@pytest.fixture
def small_blocks(monkeypatch):
    """Read 64 bytes at a time, so that lines lie across blocks."""
    monkeypatch.setattr(exports, "_BLOCK", 64)


def lines_of(path, content):
    path.write_bytes(content)
    file = ExportFile(path)
    lines = [bytes(line) for block in file.blocks() for line in block]
    assert all(file.blocks())
    assert file.survey().number == len(lines)
    return lines


# ---- lines


def test_lines_of_a_plain_file(tmp_path):
    assert lines_of(tmp_path / "a.ndjson", TEXT) == LINES
    assert lines_of(tmp_path / "a.ndjson", TEXT.removesuffix(b"\n")) == LINES
    assert lines_of(tmp_path / "a.ndjson", TEXT + b" \r") == LINES


@pytest.mark.usefixtures("small_blocks")
def test_lines_of_compressed_files(tmp_path):
    halves = TEXT[:1_000], TEXT[1_000:]
    assert lines_of(tmp_path / "a.gz", gzip.compress(TEXT)) == LINES
    assert lines_of(tmp_path / "b.gz", b"".join(map(gzip.compress, halves))) == LINES
    assert lines_of(tmp_path / "a.zst", zstd(TEXT)) == LINES
    assert lines_of(tmp_path / "b.zst", b"".join(map(zstd, halves))) == LINES


@pytest.mark.parametrize("size", [1, 2, 3, 7, 30, 64, len(TEXT) - 1, len(TEXT), 10**6])
def test_lines_across_blocks(tmp_path, monkeypatch, size):
    monkeypatch.setattr(exports, "_BLOCK", size)
    assert lines_of(tmp_path / "a.ndjson", TEXT) == LINES


def test_windows_line_ends_blank_lines_and_a_byte_order_mark(tmp_path):
    windows = b"\xef\xbb\xbf" + b"".join(line + b"\r\n \r\n\r\n\t\n" for line in LINES)
    assert lines_of(tmp_path / "a.ndjson", windows) == LINES


@pytest.mark.usefixtures("small_blocks")
def test_a_line_longer_than_many_blocks(tmp_path):
    long = b'{"a":"' + b"x" * 10_000 + b'"}'
    assert lines_of(tmp_path / "a.ndjson", b"\n".join([LINES[0], long, LINES[1]])) == [LINES[0], long, LINES[1]]


def test_the_digest_is_of_the_documents(tmp_path):
    def digest(name, content):
        (tmp_path / name).write_bytes(content)
        return ExportFile(tmp_path / name).survey().digest

    same = digest("a.ndjson", TEXT)
    assert digest("a.gz", gzip.compress(TEXT)) == same
    assert digest("b.ndjson", b"\n" + TEXT.removesuffix(b"\n")) == same
    assert digest("c.ndjson", TEXT.replace(b'"number":7,', b'"number":8,')) != same
    assert digest("d.json", TEXT.replace(b"\n", b"", 1)) == same
    assert digest("e.json", b"[" + b",".join(LINES) + b"]") == same
    assert digest("f.ndjson", TEXT.replace(b"\n{", b"\n{ ", 1)) != same


# ---- what is refused


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstd)])
def test_truncated_or_damaged_compressed_file(tmp_path, monkeypatch, suffix, compress):
    monkeypatch.setattr(exports, "_BLOCK", 64)
    path = tmp_path / f"a{suffix}"
    whole = compress(TEXT)
    for content in (whole[:-1], whole[: len(whole) // 2], whole[:5], whole[:200] + b"damage" + whole[206:]):
        path.write_bytes(content)
        with pytest.raises(InvalidRequestError, match=rf"a\{suffix} cannot be read to its end"):
            ExportFile(path).survey()


def test_compression_is_recognised_by_content_not_by_name(tmp_path):
    assert lines_of(tmp_path / "a.GZ", gzip.compress(TEXT)) == LINES
    assert lines_of(tmp_path / "dump", zstd(TEXT)) == LINES
    assert lines_of(tmp_path / "plain.gz", TEXT) == LINES


def test_empty_file_is_refused(tmp_path):
    for name, content in (("a.ndjson", b""), ("b.ndjson", b"\n \r\n\n"), ("c.ndjson", b"\xef\xbb\xbf"), ("a.gz", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InvalidRequestError, match="holds no documents"):
            ExportFile(tmp_path / name)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(InvalidRequestError, match=r"There is no file .*none"):
        ExportFile(tmp_path / "none.ndjson")
    with pytest.raises(InvalidRequestError, match="is a folder"):
        ExportFile(tmp_path)


# ---- handing out lines


@pytest.fixture
def stream(tmp_path, small_blocks):
    path = tmp_path / "a.ndjson"
    path.write_bytes(TEXT)
    stream = DocumentStream(ExportFile(path))
    yield stream
    stream.close()


def taken(stream, start, stop):
    found = []
    while taken := stream.take(start, stop):
        found += map(bytes, taken.documents)
    return found


def test_stream_ends_after_its_range(stream):
    assert taken(stream, 0, 10) == LINES[:10]
    assert stream.take(0, 10) is None
    assert taken(stream, 10, 200) == LINES[10:]
    assert stream.take(200, 300) is None


@given(bounds=st.lists(st.integers(0, 220), min_size=2, max_size=12, unique=True).map(sorted))
def test_a_stream_skips_ranges(tmp_path_factory, bounds):
    path = tmp_path_factory.getbasetemp() / "skips.ndjson"
    path.write_bytes(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exports, "_BLOCK", 64)
        stream = DocumentStream(ExportFile(path))
        for start, stop in zip(bounds[::2], bounds[1::2], strict=False):
            assert taken(stream, start, stop) == LINES[start:stop]
        stream.close()


def test_threads_get_every_line_once(stream):
    ranges = [(0, 60), (60, 61), (90, 150), (150, 200)]
    together = threading.Barrier(4)

    def work(_):
        together.wait()
        return [taken(stream, *bounds) for bounds in ranges]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    for number, (start, stop) in enumerate(ranges):
        lines = [line for each in found for line in each[number]]
        assert sorted(lines) == sorted(LINES[start:stop])


# ---- elasticdump


def test_lines_of_elasticdump_are_unwrapped():
    lines = [b'{"_index":"a","_source":%s,"_id":"1"}' % line for line in LINES]
    assert [bytes(document) for document in unwrapped(lines)] == LINES


def test_other_lines_are_unchanged():
    wrapped = b'{"_source":{"a":1}}'
    deep = b'{"_source":' * 9_000
    for line in (b'{"a":1}', b"{", b"\xff", b"[]", b"[" * 9_000, deep, wrapped + b"," + wrapped, wrapped + wrapped):
        for lines in ([line], [wrapped, line], [line, wrapped]):
            assert unwrapped(lines) is lines
