"""Documents in, rows out: the fast way and the value-by-value way agree, and nothing is lost."""

import json
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from unittest import mock

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontierlab.documents.fast import DocumentReader
from frontierlab.documents.lenient import convert
from frontierlab.schema import COLUMNS, DOCUMENT_FIELDS, MISSING_IOV, OPEN_IOV, Column
from tests.services.processes import in_fork
from tests.support.documents import DAY, EXTRA, READER, document, only, plain, written
from tests.support.examples import examples


def meaning(page):
    """Return what a page says, whatever the order."""
    rows = Counter(
        tuple(repr(json.loads(value)) if value and name == "a_json" else value for name, value in row.items())
        for row in page.rows.to_pylist()
    )
    return rows, Counter(page.malformed), +page.converted, +page.unfit


def one_by_one(documents):
    """Return what documents say that are all read value by value, as if the fast way refused them."""
    with mock.patch("frontierlab.documents.fast._sound", lambda documents, others: others.extend(documents) or []):
        return meaning(READER.read(documents))


@pytest.fixture
def fast_way_alone(monkeypatch):
    """Let a document that is read value by value fail the test."""

    def refuse(raw, converters):
        raise AssertionError(f"read value by value: {raw!r}")

    monkeypatch.setattr("frontierlab.documents.fast.convert", refuse)


# ---- the two ways agree

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**66), 2**66),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 1_790_812_800_000]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-(2**64), 2**64).map(round).map(float),
    st.text(),
    st.integers(-(2**66), 2**66).map(str),
    st.datetimes().map(datetime.isoformat),
    st.datetimes().map(lambda t: t.isoformat(timespec="milliseconds") + "Z"),
    st.datetimes(timezones=st.just(UTC)).map(str),
    st.dates().map(str),
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=2), max_leaves=3
)
TEXTS = st.one_of(
    VALUES.map(json.dumps),
    VALUES.map(lambda value: json.dumps(value, ensure_ascii=False)),
    st.sampled_from(
        ['"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', "12.0", "-0", "1e3", "1e400", "1e-400", "NaN", "007"]
    ),
    st.sampled_from(
        [
            "12.5",
            "0.49",
            '"2.5"',
            "1790812800123456789.5",
            '"True"',
            '"FALSE"',
            '"1"',
            "1.0",
            "0.0",
            '""',
            '"None"',
            '"-"',
        ]
    ),
    st.sampled_from(
        ["1e1000000", "1e9999999999999999999", '"1e9999999999999999999"', '"nan"', '"1_0"', '" 12 "', "1 2"]
    ),
)
FIELDS = st.sampled_from([*DOCUMENT_FIELDS, *(column.name for column in EXTRA), "another"])
USUAL = st.fixed_dictionaries({"@timestamp": st.just(json.dumps(DAY)), "taskid": st.integers(0, 9).map(str)})
DOCUMENTS = st.builds(
    lambda usual, unusual, end: written(usual | unusual) + end,
    USUAL,
    st.dictionaries(FIELDS, TEXTS, max_size=3),
    st.sampled_from([b""] * 9 + [b" ", b"\r", b",", b"{}", b"}", b"\0", b"x"]),
)
KINDS = st.lists(st.one_of(DOCUMENTS, DOCUMENTS, USUAL.map(written), st.binary(max_size=9)), min_size=1, max_size=8)
ORDERS = st.lists(st.integers(0, 7), min_size=17, max_size=40)


@pytest.mark.slow
@given(KINDS, ORDERS)
@settings(max_examples=examples(100))
def test_fast_and_lenient_reader_agree(kinds, order):
    documents = [kinds[number % len(kinds)] for number in order]
    page = READER.read(documents)
    assert page.rows.num_rows + len(page.malformed) == len(documents)
    assert meaning(page) == one_by_one(documents)


TIMED = b'{"@timestamp":"2026-10-01T00:00:00.000Z",'
MALFORMED = [
    *(b"null", b"[]", b"5", b"", b"{", b"\xff", b"{}"),
    TIMED + b'"sqlowner":"\xff"}',
    TIMED + b'"another":"\xff"}',
    b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    document(sqlsin="n/a"),
    document(sqlsin=[1, 2]),
]


@pytest.mark.parametrize("place", [0, 1, 19, 20])
def test_malformed_document_does_not_change_the_other_rows(place):
    usual = READER.read(plain())
    for malformed in MALFORMED:
        documents = plain()
        documents.insert(place, malformed)
        page = READER.read(documents)
        assert meaning(page)[0] == meaning(usual)[0]
        assert [raw for _, raw in page.malformed] == [malformed]


def test_a_closed_reader_reads_again():
    reader = DocumentReader(EXTRA)
    first = meaning(reader.read(plain()))
    reader.close()
    assert meaning(reader.read(plain())) == first


def test_long_page_with_some_malformed_documents():
    documents = plain(3_000)
    for number in range(0, 3_000, 250):
        documents[number - 1] = document(sqlsin=[number, 0])
    page = READER.read(documents)
    assert len(page.malformed) == 12
    assert sorted(page.rows["taskid"].to_pylist()) == [i for i in range(3_000) if (i + 1) % 250]


@pytest.mark.parametrize("unusual", [{"dbtime": 10.0}, {"sqlsin": 2**63}, {"fsize": "ten"}, {"cached": "true"}])
@pytest.mark.parametrize("place", [0, 700, 1_999])
def test_one_unusual_document_leaves_the_others_to_the_fast_reader(monkeypatch, unusual, place):
    documents = [msgspec.Raw(raw) for raw in plain(2_000)]
    documents[place] = msgspec.Raw(document(**unusual))
    alone = []
    monkeypatch.setattr("frontierlab.documents.fast.convert", lambda raw, how: alone.append(raw) or convert(raw, how))
    page = READER.read(documents)
    assert page.rows.num_rows + len(page.malformed) == 2_000
    assert len(alone) <= (1 if place else 17)  # the first of a page is also what the shape is guessed from


@pytest.mark.slow
def test_page_of_malformed_documents_only():
    page = READER.read(MALFORMED * 4)
    assert page.rows.num_rows == 0
    assert len(page.malformed) == 4 * len(MALFORMED)
    assert page.rows.column_names == [column.name for column in (*COLUMNS, *EXTRA) if column.field]


@pytest.mark.parametrize("text", [b"null", b"[]", b"1", b'"a"', b"{}"])
def test_page_without_documents(text):
    page = READER.read([msgspec.Raw(text)] * 20)
    assert page.rows.num_rows == 0
    assert [raw for _, raw in page.malformed] == [text] * 20


def test_two_documents_on_one_line_are_malformed():
    halves = [TIMED, b'"pandaid":1}']
    page = READER.read([*plain(), document(taskid=90) + document(taskid=91), *halves])
    assert page.rows.num_rows == 20
    assert [reason for reason, _ in page.malformed] == ["the line: not JSON"] * 3


# ---- what the fast way reads


@pytest.mark.usefixtures("fast_way_alone")
def test_usual_documents_need_no_lenient_reader():
    page = READER.read(plain(sqlsin=12, cached=True, sqlowner="é"))
    assert page.rows["taskid"].to_pylist() == list(range(20))
    assert {*page.rows["db"].to_pylist()} == {"CONDBR2_RO"}
    assert not page.converted


@pytest.mark.usefixtures("fast_way_alone")
def test_numbers_as_text_need_no_lenient_reader():
    page = READER.read([document(sqlsin=str(OPEN_IOV), sqlunt=None, sqlowner=7) for _ in range(20)])
    assert page.rows["since"].to_pylist() == [OPEN_IOV] * 20
    assert page.rows["schema"].to_pylist() == ["7"] * 20
    assert page.converted == {"sqlsin": 20, "sqlowner": 20}


@pytest.mark.usefixtures("fast_way_alone")
def test_an_extra_field_never_costs_a_row():
    fits = {"an_integer": 1, "a_number": 1.5, "a_flag": True, "a_name": "x", "a_time": DAY, "a_json": [1, "é"]}
    unfit = {"an_integer": "12", "a_number": "n/a", "a_flag": {}, "a_name": ["x", "y"], "a_time": "2026-10-01"}
    documents = [document(taskid=n, **(fits if n % 2 else {**unfit, "a_json": {"b": [2**70]}})) for n in range(40)]
    page = READER.read(documents)
    rows = page.rows.select(list(fits)).to_pylist()
    midnight = datetime(2026, 10, 1, tzinfo=UTC)
    assert rows[1] == {**fits, "a_time": midnight, "a_json": '[1,"é"]'}
    kept = {"an_integer": 12, "a_time": midnight, "a_json": f'{{"b":[{2**70}]}}'}
    assert rows[0] == dict.fromkeys(fits) | kept
    assert (rows[::2], rows[1::2]) == ([rows[0]] * 20, [rows[1]] * 20)
    assert +page.converted == {"an_integer": 20, "a_time": 20}
    assert +page.unfit == {"a_number": 20, "a_flag": 20, "a_name": 20}


@pytest.mark.usefixtures("fast_way_alone")
def test_pretty_printed_documents_need_no_lenient_reader():
    nested = {"@timestamp": DAY, "sqlsin": 1, "more": {"a": [{}, {"b": "\n}\n{"}]}}
    page = READER.read([json.dumps(nested, indent=2).replace("\n", "\r\n").encode() + b"\r"] * 20)
    assert page.rows["since"].to_pylist() == [1] * 20


def test_text_for_numbers_in_some_documents():
    page = READER.read([document(sqlsin=str(i) if i % 3 else i) for i in range(60)])
    assert sorted(page.rows["since"].to_pylist()) == list(range(60))
    assert page.converted == {"sqlsin": 40}


@pytest.mark.parametrize("value", [1_790_812_800_123_456_789, 2**63 - 1, -(2**63), 2**53 + 1])
def test_integers_of_nineteen_digits_keep_every_digit(value):
    assert only(document(sqlsin=value))["since"] == value
    assert only(document(sqlsin=str(value)))["since"] == value
    assert READER.read([document(sqlsin=str(value))] * 20).rows["since"].to_pylist() == [value] * 20


def test_missing_iov_is_minus_one_and_other_missing_values_are_null():
    row = only(document())
    assert (row["since"], row["until"], row["taskid"], row["cached"]) == (MISSING_IOV, MISSING_IOV, None, None)


def test_extra_fields_whose_names_differ_only_in_case():
    extra = [Column(name, name, pa.int64(), "extra") for name in ("Size", "size", "TASKID", "it's")]
    page = DocumentReader(extra).read([document(Size=1, size=2, TASKID=3, taskid=4, **{"it's": 5})] * 20)
    found = page.rows.select(["Size", "size", "TASKID", "it's", "taskid"]).to_pylist()
    assert found == [{"Size": 1, "size": 2, "TASKID": 3, "it's": 5, "taskid": 4}] * 20


def test_lines_of_elasticdump():
    lines = [b'{"_index":"a","_id":"1","_source":%s}' % document(taskid=i) for i in range(20)]
    assert meaning(READER.read(lines)) == meaning(READER.read(plain()))
    assert only(b'{"_source":null}') == "@timestamp: missing"


def test_first_of_two_equal_keys_counts():
    assert only(b'{"@timestamp":"%s","taskid":1,"taskid":2}' % DAY.encode())["taskid"] == 1


@pytest.mark.slow
def test_text_that_is_not_a_json_document_is_malformed():
    for raw in (
        b"",
        b"{",
        b"{}x",
        b'{"a":1}{"a":2}',
        b'{"another":"\xff"}',
        b'{"a":' * 9_000,
        b"\xff\xfe{}",
        b"1" * 9_000,
    ):
        assert only(raw) == "the line: not JSON"
    for raw in (b"null", b"[]", b"1", b'"a"', b"true", b"[{}]"):
        assert only(raw) == "the line: not a document"


def test_a_child_process_that_another_thread_starts_does_not_crash():
    """As Spark's Java does: a child clears the variables of the other threads, and with them a DuckDB of theirs."""
    READER.read(plain())
    with ThreadPoolExecutor(1) as pool:
        child = pool.submit(subprocess.run, ["true"], preexec_fn=lambda: None, check=False)
        assert child.result(60).returncode == 0


@pytest.mark.slow
def test_a_forked_process_reads_with_a_duckdb_of_its_own():
    def tasks():
        return DocumentReader().read([document(taskid=7)]).rows["taskid"].to_pylist()

    assert tasks() == [7]
    assert in_fork(lambda: tasks() == [7])
    assert tasks() == [7]
