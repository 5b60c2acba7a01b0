"""Files as other programs write them: each is read right, or refused by what it is, and then nothing is made."""

import bz2
import codecs
import gzip
import io
import itertools
import json
import lzma
import os
import random
import sqlite3
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
import zlib
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.orc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab import Dataset, Settings, extract
from frontierlab.errors import DatasetError, InterruptedExtraction, InvalidRequestError
from frontierlab.exports.repeats import Repeats
from frontierlab.exports.rounded import RoundedNumbers
from frontierlab.extraction.options import ExtractionOptions
from frontierlab.extraction.request import make_request
from frontierlab.extraction.run import extract_request
from frontierlab.storage.losses import PartialSource

SINCE, UNTIL, OPEN = 1_790_812_800_123_456_789, 1_790_812_800_123_456_792, 2**63 - 1


def document(number: int = 0, **fields: object) -> dict[str, object]:
    usual = {"@timestamp": "2026-10-01T00:00:00.000Z", "taskid": number, "sqldb": "CONDBR2_RO"}
    return usual | {"sqlsin": 1348314788265984, "sqlunt": 1348314788265985, "querytime": 12, "cached": False} | fields


def hit(number: int, **fields: object) -> dict[str, object]:
    return {"_index": "frontier_sql", "_id": f"id{number}", "_score": 1, "_source": document(number, **fields)}


def answer(hits: list[dict[str, object]], total: int | None = None, **more: object) -> dict[str, object]:
    found = {"value": len(hits) if total is None else total, "relation": "eq"}
    return {"took": 3, "timed_out": False, "hits": {"total": found, "hits": hits}} | more


def lines(documents: list[dict[str, object]]) -> bytes:
    return "".join(json.dumps(one) + "\n" for one in documents).encode()


TWENTY = lines([document(number) for number in range(20)])


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir)


@pytest.fixture
def read(settings: Settings, tmp_path: Path):
    """Extract from a file of that content."""

    def read(content: bytes, **options: object) -> Dataset:
        (tmp_path / "file").write_bytes(content)
        return extract(settings, source=tmp_path / "file", name="d", complete=False, progress=False, **options)

    return read


@pytest.fixture
def refused(read, settings: Settings):
    """See that a file of that content is refused, and that nothing is made."""

    def refused(content: bytes, match: str) -> None:
        with pytest.raises(InvalidRequestError, match=match):
            read(content)
        assert [*settings.data_dir.rglob("*/d")] == []

    return refused


def tasks(dataset: Dataset) -> list[int]:
    return sorted(dataset.to_arrow()["taskid"].to_pylist())


# ---- forms


def test_an_array_is_read_with_every_digit(read):
    documents = [document(0, sqlsin=SINCE, sqlunt=OPEN), document(1, sqlsin=SINCE + 2, sqlunt=UNTIL)]
    rows = read(json.dumps(documents, indent=1).encode()).to_arrow()
    assert rows["since"].to_pylist() == [SINCE, SINCE + 2]
    assert rows["until"].to_pylist() == [OPEN, UNTIL]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(answer([hit(number) for number in range(6)])),
        json.dumps(answer([hit(number) for number in range(6)]), indent=2),
        "\n".join(json.dumps(answer([hit(number)], 6) | {"_scroll_id": "x"}) for number in range(6)),
        json.dumps({"took": 1, "responses": [answer([hit(number)], status=200) for number in range(6)]}),
        "".join(json.dumps(document(number)) for number in range(6)),
        "\n".join(json.dumps(document(number), indent=2) for number in range(6)),
        json.dumps([hit(number) for number in range(6)]),
        lines([hit(number) for number in range(6)]).decode(),
        "\n".join([json.dumps([document(0)]), json.dumps(hit(1)), json.dumps(answer([hit(2), hit(3)]))])
        + json.dumps(document(4), indent=1)
        + json.dumps(document(5)),
    ],
    ids=["answer", "indented", "pages", "searches", "concatenated", "pretty", "hits", "elasticdump", "mixture"],
)
def test_each_form_of_documents_is_read(read, text):
    dataset = read(text.encode())
    assert tasks(dataset) == [0, 1, 2, 3, 4, 5]
    assert dataset.manifest.partial == []


def test_partial_answer_gives_a_warning(read):
    shards = {"total": 5, "successful": 4, "failed": 1}
    with pytest.warns(PartialSource) as warned:
        dataset = read(json.dumps(answer([hit(0)], 14_000_000, _shards=shards)).encode())
    assert [str(one.message) for one in warned] == dataset.manifest.partial
    assert "1 of 5 shards failed" in dataset.manifest.partial[0]
    assert "the search found 14,000,000" in dataset.manifest.partial[1]


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"_clusters": {"total": 2, "successful": 1, "skipped": 1}}, "of 2 clusters 1 skipped"),
        ({"_clusters": {"total": 3, "successful": 1, "partial": 1, "failed": 1}}, "of 3 clusters 1 partial, 1 failed"),
        ({"terminated_early": True}, "ended early"),
        ({"timed_out": True}, "timed out"),
    ],
)
def test_each_cause_of_a_partial_answer_gives_a_warning(read, said, match):
    with pytest.warns(PartialSource, match=f"^Answers in the file are partial: {match}"):
        assert read(json.dumps(answer([hit(0)]) | said).encode()).counts.kept == 1


def test_truncated_array_gives_a_warning(read):
    with pytest.warns(PartialSource, match="ends within an array"):
        assert read(json.dumps([document(number) for number in range(3)])[:-1].encode()).counts.kept == 3


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b'{"error": {"type": "security_exception"}, "status": 401}', "error message of a server.*security_exception"),
        (TWENTY + b'{"error": {"type": "circuit_breaking_exception"}, "status": 429}\n', "circuit_breaking"),
        (lines([{"_id": "1", "fields": {"@timestamp": ["2026-10-01T00:00:00.000Z"]}}]), "`fields` and without `_sourc"),
        (json.dumps(answer([{"_id": "1", "fields": {"taskid": [1]}}])).encode(), "`fields` and without `_source`"),
        (b'{"frontier_sql":{"mappings":{"properties":{"@timestamp":{"type":"date"}}}}}\n', "mapping or the settings"),
        (b'{"index":{"settings":{"index":{"analysis":{}}}}}\n', "mapping or the settings"),
        (b'{"a":1}\n{"a":2}\n', r"no document with @timestamp among the first 2\. It begins with '\{\"a\":1\}"),
        (json.dumps(answer([])).encode(), "holds no documents: it is empty, or an answer without hits"),
        (b"[]", "holds no documents"),
        (b"time,taskid,db\n2026-10-01,1,CONDBR2\n", "no JSON documents. It begins with 'time,taskid"),
        (b"\n<!DOCTYPE html><html>502 Bad Gateway</html>", "HTML or XML.*DOCTYPE"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>', "HTML or XML"),
    ],
)
def test_file_without_documents_is_refused_and_described(refused, content, match):
    refused(content, match)


# ---- encodings


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("marked", [True, False])
def test_each_encoding_is_read_with_a_byte_order_mark_or_without(read, encoding, marked):
    text = ("\ufeff" if marked else "") + TWENTY.decode().replace("CONDBR2_RO", "CONDBR2_é😀")
    dataset = read(text.encode(encoding))
    assert tasks(dataset) == [*range(20)]
    assert dataset.counts.malformed == 0


def test_utf16_that_ends_within_a_character_is_refused(refused):
    refused(codecs.BOM_UTF16_LE + TWENTY.decode().encode("utf-16-le")[:-1], "ends within a character")


def test_latin1_is_malformed_by_line(read):
    other = lines([document(20)]).replace(b"CONDBR2", b"CONDBR2\xe9")
    with pytest.warns(UserWarning, match="not JSON 1"):
        assert tasks(read(TWENTY + other)) == [*range(20)]


def test_byte_order_marks_of_concatenated_files_are_skipped(read):
    assert tasks(read(codecs.BOM_UTF8 + TWENTY + codecs.BOM_UTF8 + lines([document(20)]))) == [*range(21)]


@pytest.mark.parametrize("place", [0, len(TWENTY) // 2, len(TWENTY)])
def test_zero_bytes_give_a_warning(read, place):
    place = TWENTY.rfind(b"\n", 0, place) + 1
    with pytest.warns(PartialSource, match="has 4,096 zero bytes"):
        dataset = read(TWENTY[:place] + b"\0" * 4_096 + TWENTY[place:])
    assert tasks(dataset) == [*range(20)]


# ---- compressions and containers


def lz4(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def zstd(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


def zipped(*contents: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("folder")
        for number, content in enumerate(contents):
            archive.writestr(f"folder/{number}.ndjson", content)
    return file.getvalue()


SKIPPED = struct.pack("<II", 0x184D2A53, 3) + b"abc"
COMPRESSED = {
    "gzip": gzip.compress(TWENTY),
    "gzip of two members": gzip.compress(TWENTY[:999]) + gzip.compress(TWENTY[999:]),
    "gzip, padded with zeros": gzip.compress(TWENTY) + bytes(512),
    "zstd": zstd(TWENTY),
    "zstd of two frames": zstd(TWENTY[:999]) + zstd(TWENTY[999:]),
    "zstd with frames to skip": SKIPPED + SKIPPED + zstd(TWENTY[:999]) + SKIPPED + zstd(TWENTY[999:]),
    "xz": lzma.compress(TWENTY),
    "xz of two streams": lzma.compress(TWENTY[:999]) + bytes(4) + lzma.compress(TWENTY[999:]),
    "bzip2": bz2.compress(TWENTY[:999]) + bz2.compress(TWENTY[999:]),
    "lz4": lz4(TWENTY[:999]) + lz4(TWENTY[999:]),
    "lz4 with a frame to skip": SKIPPED + lz4(TWENTY),
    "zlib": zlib.compress(TWENTY),
    "zip": zipped(TWENTY),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPRESSED)
def test_each_compression_is_read_by_its_content(read, name):
    assert tasks(read(COMPRESSED[name])) == [*range(20)]


@pytest.mark.parametrize("name", COMPRESSED)
def test_truncated_or_damaged_compressed_data_is_refused(refused, name):
    whole = COMPRESSED[name].rstrip(b"\0")
    begin = 20 if name == "gzip" else len(whole) // 2
    refused(
        whole[: len(whole) * 3 // 4], r"cannot be read to its end: its \w+ data .* near byte [\d,]+ of|is a file of zip"
    )
    if not name.startswith("zstd"):  # whose frames of the tests have no checksum
        refused(whole[:begin] + b"damaged" + whole[begin + 7 :], r"cannot be read to its end.* near byte")


def test_a_damaged_second_member_is_an_error(refused):
    for compress in (gzip.compress, bz2.compress, lzma.compress, zstd):
        refused(compress(TWENTY) + b"rest", "cannot be read to its end")


@pytest.mark.parametrize("inner", ["gzip", "zstd", "xz"])
def test_file_compressed_twice_is_refused(refused, inner):
    refused(zstd(COMPRESSED[inner]), r"compressed by Zstandard, a file of \w+: it is compressed twice")


def test_other_kinds_of_files_are_refused_and_named(refused, tmp_path):
    refused(zipped(TWENTY, TWENTY), r"zip archive of 2 files \(folder/0.ndjson, folder/1.ndjson\): unpack it first")
    with closing(sqlite3.connect(tmp_path / "s")) as database:
        database.execute("create table a (b)")
    refused((tmp_path / "s").read_bytes(), "is a file of SQLite")
    pyarrow.orc.write_table(pa.table({"a": [1]}), tmp_path / "o")
    refused((tmp_path / "o").read_bytes(), "is a file of ORC")
    (tmp_path / "lines").write_bytes(TWENTY)
    with tarfile.open(tmp_path / "t", "w") as archive:
        archive.add(tmp_path / "lines", "lines")
    refused((tmp_path / "t").read_bytes(), "is a file of tar: unpack it first")
    refused(gzip.compress((tmp_path / "t").read_bytes()), "compressed by gzip, a file of tar")
    for start, name in ((b"Obj\x01", "Avro"), (b"ARROW1", "Arrow"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"%PDF-1", "PDF")):
        refused(start + bytes(40), f"is a file of {name}: ")


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "link to a pipe"])
def test_pipe_or_device_is_refused_without_waiting(settings, tmp_path, kind):
    path = tmp_path / "it"
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        os.mkfifo(tmp_path / "pipe")
        path = tmp_path / "pipe"
        if kind == "link to a pipe":
            path = tmp_path / "link"
            path.symlink_to(tmp_path / "pipe")
    with pytest.raises(InvalidRequestError, match=r"is a folder|is a pipe or a device"):
        extract(settings, source=path, name="d", complete=False, progress=False)


# ---- documents that are there twice


def test_repeated_ids_are_left_out_and_counted(read):
    dataset = read(lines([hit(number) for number in (0, 1, 2, 0, 3, 1, 4, 5, 0)]))
    assert tasks(dataset) == [0, 1, 2, 3, 4, 5]
    assert (dataset.counts.read, dataset.counts.left_out) == (9, 3)
    assert dataset.manifest.left_out == {"repeated document": 3}
    assert "3 documents of the file have the _index and _id of an earlier one; they are left out." in (
        dataset.manifest.notes
    )


def test_same_id_in_another_index_is_another_document(read):
    assert read(lines([hit(0), hit(0) | {"_index": "frontier_other"}])).counts.kept == 2


@pytest.mark.parametrize("none", [None, ""])
@pytest.mark.parametrize("separators", [None, (",", ":")])
def test_documents_with_empty_ids_are_not_repeats(read, none, separators):
    hits = [hit(number) | {"_id": none} for number in range(3)]
    text = "\n".join(json.dumps(one, separators=separators) for one in hits)
    assert read(text.encode()).counts.kept == 3


def test_action_lines_of_a_bulk_file_are_left_out_and_counted(read):
    actions = [{"index": {"_index": "logs", "_id": "1"}}, {"create": {}}, {"index": {"_index": "logs"}}]
    pairs = [one for number, action in enumerate(actions) for one in (action, document(number))]
    dataset = read(lines([*pairs, {"delete": {"_id": "1"}}]))
    assert tasks(dataset) == [0, 1, 2]
    assert dataset.manifest.left_out == {"action line of a bulk file": 4}
    assert (dataset.counts.read, dataset.counts.malformed) == (7, 0)


def test_documents_with_a_field_named_as_an_action_are_read(read):
    dataset = read(lines([{"index": {"x": 1}} | document(0), {"index": {}, "create": {}} | document(1), document(2)]))
    assert (tasks(dataset), dataset.manifest.left_out) == ([0, 1, 2], {})


def test_repeated_ids_are_kept_without_drop_duplicates(data_dir, tmp_path):
    (tmp_path / "file").write_bytes(lines([hit(0), hit(1), hit(0)]))
    settings = Settings(data_dir=data_dir, drop_duplicates=False)
    dataset = extract(settings, source=tmp_path / "file", name="d", complete=False, progress=False)
    assert dataset.counts.kept == 3
    assert any("1 documents of the file have the _index and _id" in note for note in dataset.manifest.notes)


@pytest.mark.slow
def test_repeated_documents_over_many_parts_and_a_limit(data_dir, tmp_path):
    numbers = random.Random(1).choices(range(4_000), k=9_000)
    documents = [hit(n) | {"_source": document(n, **{"@timestamp": 1_790_812_800_000 + n})} for n in numbers]
    (tmp_path / "file").write_bytes(lines(documents))
    settings = Settings(data_dir=data_dir, part_documents=1_000, limit_queries=1_500)
    with pytest.warns(UserWarning, match="limit_queries"):
        dataset = extract(settings, source=tmp_path / "file", name="d", complete=False, progress=False)
    assert tasks(dataset) == sorted(set(numbers))[:1_500]
    assert dataset.manifest.left_out["repeated document"] == 9_000 - len(set(numbers))


@given(
    numbers=st.lists(st.integers(0, 30), max_size=120),
    cuts=st.lists(st.integers(0, 120), max_size=4),
    held=st.integers(1, 50),
)
def test_repeats_are_found_in_memory_and_on_disk(numbers, cuts, held):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("frontierlab.exports.repeats._IN_MEMORY", held)
        repeats, bounds = Repeats(), [0, *sorted(min(cut, len(numbers)) for cut in cuts), len(numbers)]
        for begin, end in itertools.pairwise(bounds):
            if end > begin:
                repeats.add([*range(begin, end)], [b"%d" % number for number in numbers[begin:end]])
        repeats.close()
    again = [number in numbers[:place] for place, number in enumerate(numbers)]
    assert repeats.number == sum(again)
    for first, count in ((0, len(numbers)), (3, 20), (17, 5), (200, 3)):
        among = repeats.among(first, count)
        expected = [*again[first : first + count], *[False] * count][:count]
        assert (among.tolist() if among is not None else [False] * count) == expected


# ---- numbers that were rounded elsewhere


def as_javascript(value: int) -> int:
    """Return what a program prints that reads numbers as float64."""
    digits, _, exponent = repr(float(value)).partition("e+")
    whole, _, fraction = digits.partition(".")
    return int((whole + fraction).ljust(int(exponent) + len(whole), "0")) if exponent else int(float(value))


def test_rounded_open_ends_are_refused(refused):
    rounded = [hit(0, sqlsin=1790812800123456800, sqlunt=9223372036854776000)]
    refused(lines(rounded), r"were rounded.*1 open ends.*elasticdump: with --support-big-int")
    refused(lines([one["_source"] for one in rounded]), "were rounded by the program that wrote it")
    refused(json.dumps([document(0, sqlunt=9.223372036854775807e18)]).encode(), "were rounded")


def test_rounded_times_and_hashes_are_refused(refused):
    assert as_javascript(SINCE) == 1790812800123456800
    for start, step in ((SINCE, 1_234_567), (8612205006919924097, 7_777_777), (-8612205006919924097, 7_777_777)):
        values = [as_javascript(start + step * number) for number in range(4)]
        refused(lines([document(0, sqlhash=value) for value in values]), "beyond 2.53 .* were rounded")


def test_rounded_numbers_in_arrays_and_as_floats_are_refused(refused):
    values = [as_javascript(SINCE + 1_234_567 * number) for number in range(4)]
    refused(lines([document(0, sqlsin=[value]) for value in values]), "were rounded")
    floats = [f"{int(float(value))}.0" for value in values]
    text = lines([document(0, sqlsin=number) for number in range(4)]).decode()
    for number, written in enumerate(floats):
        text = text.replace(f'"sqlsin": {number},', f'"sqlsin": {written},')
    refused(text.encode(), "were rounded")


def test_exact_numbers_in_quoted_text_do_not_hide_rounded_ones(refused):
    original = json.dumps({"sqlsin": SINCE})
    refused(lines([document(0, message=original, sqlsin=as_javascript(SINCE), sqlunt=as_javascript(OPEN))]), "rounded")


def test_possibly_rounded_number_gives_a_warning(read):
    with pytest.warns(PartialSource, match=r"may have been rounded.*\(8612205006919924736\)"):
        assert read(lines([document(0, sqlhash=8612205006919924736)])).counts.kept == 1


def test_dump_with_exact_numbers_is_read(read):
    rows = read(lines([hit(0, sqlsin=SINCE, sqlunt=OPEN), hit(1, sqlsin=SINCE + 2)])).to_arrow()
    assert rows["since"].to_pylist() == [SINCE, SINCE + 2]


EXACT = st.one_of(
    st.integers(0, 2**53),  # runs and lumiblocks
    st.integers(1_200_000_000, 1_900_000_000).map(lambda seconds: seconds * 10**9),
    st.integers(1_200_000_000_000_000, 1_900_000_000_000_000).map(lambda microseconds: microseconds * 1_000),
    st.just(OPEN),
)


@given(st.lists(EXACT, min_size=1, max_size=30))
def test_exact_numbers_are_not_reported_as_rounded(values):
    numbers = RoundedNumbers()
    numbers.look(lines([document(0, sqlsin=value) for value in values]))
    assert not numbers.is_sure
    assert not numbers.examples


@given(st.lists(st.integers(2**62, 2**63 - 2_000), min_size=10, max_size=30, unique_by=lambda value: value >> 12))
def test_rounded_hashes_are_told_from_exact_ones(values):
    exact, rounded = RoundedNumbers(), RoundedNumbers()
    exact.look(lines([document(0, sqlhash=value | 1) for value in values]))
    rounded.look(lines([document(0, sqlhash=as_javascript(value)) for value in values]))
    assert exact.exact
    assert not exact.is_sure
    assert not rounded.exact
    assert rounded.is_sure or sum(as_javascript(value) % 10**9 != 0 for value in values) < 3


# ---- values


def test_values_of_another_type_with_a_clear_meaning_are_converted(read):
    dataset = read(
        lines(
            [
                *(document(number, querytime=12.5) for number in range(19)),
                document(19, cached="True", dbtime="NaN", sqlunt=None),
            ]
        )
    )
    assert tasks(dataset) == [*range(20)]
    assert sorted(dataset.to_arrow()["querytime"].to_pylist()) == [12, *[13] * 19]
    assert dataset.manifest.converted == {"querytime": 19, "cached": 1, "dbtime": 1}


def test_nan_is_a_missing_value(read):
    content = lines([document(0), document(1, taskid=float("nan")), document(2), document(3, taskid=float("nan"))])
    assert b'"taskid": NaN' in content
    assert sorted(read(content).to_arrow()["taskid"].to_pylist(), key=str) == [0, 2, None, None]


# ---- memory


MEMORY = """
import re, sys
from pathlib import Path
from frontierlab import (Settings, extract)
dataset = extract(Settings(data_dir=sys.argv[1], loss_warning_share=1), source=sys.argv[2], name="d", complete=False,
                  progress=False)
# not getrusage: a child inherits the peak of the process that started it
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(dataset.counts.kept, dataset.counts.malformed, int(peak) // 1_000)
"""


@pytest.mark.slow
def test_one_line_of_300_megabytes_takes_little_memory(tmp_path):
    """Half of the line is documents of an array, the other half is one document: too long to be read."""
    one, half = json.dumps(document(0, more="x" * 30_000)).encode(), 50
    pieces = [b"[" + one, (b"," + one) * 100, b',{"@timestamp":"', b"x" * 3_000_000, b'"},' + one + b"]"]
    begin, many, between, long, end = (gzip.compress(piece, 1) for piece in pieces)
    (tmp_path / "large.gz").write_bytes(begin + many * half + between + long * half + end)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path, tmp_path / "large.gz"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    kept, malformed, megabytes = map(int, done.stdout.split())
    assert (kept, malformed) == (2 + 100 * half, 1)
    assert megabytes < 600  # 430 to 490; over 700 if the documents are kept


# ---- two writers


@pytest.mark.parametrize("how", ["appended", "replaced", "removed"])
def test_a_file_that_changes_while_it_is_read_is_an_error(data_dir, tmp_path, how):
    path = tmp_path / "file"
    path.write_bytes(lines([document(number) for number in range(3_000)]))
    settings = Settings(data_dir=data_dir, part_documents=1_000)

    def change(progress: object) -> None:
        if how == "appended":
            with path.open("ab") as file:
                file.write(TWENTY)
        elif how == "replaced":
            (tmp_path / "new").write_bytes(path.read_bytes())
            (tmp_path / "new").rename(path)
        else:
            path.unlink(missing_ok=True)

    with pytest.raises(InterruptedExtraction, match=r"changed while it was read\. Extract from a file"):
        extract(settings, source=path, name="d", complete=False, progress=change)
    assert Dataset(settings.data_dir / "datasets" / "d").state == "incomplete"
    if how == "appended":
        with pytest.raises(DatasetError, match="has changed since the extraction began"):
            extract(settings, source=path, name="d", complete=False, progress=False)


def test_parts_of_a_file_are_not_shared_with_helpers(data_dir, tmp_path):
    (tmp_path / "file").write_bytes(lines([document(number) for number in range(3_000)]))
    settings, offered = Settings(data_dir=data_dir, part_documents=1_000), []
    request = make_request(settings, source=tmp_path / "file", complete=False)
    options = ExtractionOptions.of(settings, request)
    extract_request(data_dir / "datasets" / "d", request, options, False, lambda name, parts: offered.append(parts))
    assert offered == []


def test_two_threads_extract_from_one_file(settings, tmp_path):
    (tmp_path / "file").write_bytes(TWENTY)
    found = []

    def work(name: str) -> None:
        found.append(extract(settings, source=tmp_path / "file", name=name, complete=False, progress=False))

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [tasks(dataset) for dataset in found] == [[*range(20)]] * 2
