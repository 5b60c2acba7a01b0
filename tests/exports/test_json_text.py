"""Text in, documents out: every document once, whatever the form, and wherever a block ends."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frontierlab.exports import json_text
from frontierlab.exports.json_text import DocumentSplitter, MalformedText
from frontierlab.exports.search_answers import ErrorAnswer
from tests.support.examples import examples

DAY = "2026-10-01T00:00:00.000Z"
TEXTS = st.one_of(st.text(), st.sampled_from(["}{", "},{", "\n{", '"', "\\", '\\"', "]}", "[{", "\\\\", "hits"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.lists(
    st.dictionaries(st.sampled_from(["a", "status", "hits", "error", "b"]) | TEXTS, VALUES, max_size=4).map(
        lambda fields: {"@timestamp": DAY} | fields
    ),
    min_size=1,
    max_size=12,
)


def split(text: bytes, size: int = 10**9) -> tuple[list[bytes], DocumentSplitter]:
    splitter, found = DocumentSplitter(), []
    for at in range(0, len(text), size):
        found += splitter.feed(text[at : at + size])
    return found + splitter.feed(b"", last=True), splitter


def hit(document: dict) -> dict:
    return {"_index": "a", "_id": "1", "_source": document}


def answer(documents: Iterable[dict], **more: object) -> dict:
    hits = {"total": {"value": 3, "relation": "eq"}, "max_score": None, "hits": [hit(one) for one in documents]}
    return {"took": 3, "timed_out": False, "_shards": {"total": 1, "failed": 0}, "hits": hits} | more


def texts(documents: list[dict], form: str, indent: int | None) -> tuple[str, list[dict]]:
    """Return a text of that form, and the documents that are to be found in it."""

    def dump(value: object) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=False)

    if form == "array":
        return dump(documents), documents
    if form == "array, a document a line":
        return "[\n" + ",\n".join(map(dump, documents)) + "\n]\n", documents
    if form == "arrays":
        return "".join(dump([one]) + "\r\n" for one in documents) + "[]", documents
    if form == "answer":
        return dump(answer(documents, aggregations={"hits": {"hits": [{"a": "]}"}]}})), [hit(one) for one in documents]
    if form == "pages":
        pages = [dump({"_scroll_id": "x}{"} | answer([one])) for one in documents] + [dump(answer([]))]
        return "\n".join(pages), [hit(one) for one in documents]
    if form == "several searches":
        return dump({"took": 1, "responses": [answer([one], status=200) for one in documents]}), [
            hit(one) for one in documents
        ]
    if form == "hits alone":
        return dump(answer(documents)["hits"]), [hit(one) for one in documents]
    if form == "elasticdump":
        return "\n".join(dump(hit(one)) for one in documents), [hit(one) for one in documents]
    return {"lines": "\n", "one after another": "", "blank between": " \n\t", "records": "\n\x1e", "commas": ",\n"}[
        form
    ].join(map(dump, documents)), documents


FORMS = [
    *("lines", "one after another", "blank between", "records", "commas", "array", "array, a document a line"),
    *("arrays", "answer", "pages", "several searches", "hits alone", "elasticdump"),
]


@pytest.mark.slow
@settings(max_examples=examples(50))
@given(documents=DOCUMENTS, indent=st.none() | st.integers(0, 2), size=st.integers(1, 300))
@example(documents=[{"@timestamp": DAY, "a": [{"@timestamp": DAY}, {"b": 1}]}] * 3, indent=None, size=7)
def test_each_document_is_found_once_in_each_form(documents, indent, size):
    for form in FORMS:  # to draw the documents takes longer than to split them
        text, expected = texts(documents, form, indent)
        found, splitter = split(text.encode("utf-8", "surrogatepass"), size)
        assert [json.loads(bytes(one).decode("utf-8", "surrogatepass")) for one in found] == expected, form
        assert not splitter.facts.cut_short, form


GOOD = [b'{"@timestamp":"%s","n":%d}' % (DAY.encode(), number) for number in range(6)]
DAMAGED = [
    b'{"@timestamp":"2026',
    b'{"@timestamp":"2026-10-01T00:00:00.000Z","n":',
    b'{"@timestamp":"2026-10-01T00:00:00.000Z","n":{"a":[1',
    b'"n":5}',
    b"n,5",
    b'{"@timestamp":bare,"n":"}',
    b'{"n":}',
    b"\xff\xfe",
    b'{"a":' * 2_000,
]


@pytest.mark.parametrize("size", [1, 5, 64, 10**6])
@pytest.mark.parametrize("damaged", DAMAGED)
def test_damaged_line_does_not_affect_other_lines(damaged, size):
    for place in (0, 3, 6):
        lines = [*GOOD[:place], damaged, *GOOD[place:]]
        found, _ = split(b"\n".join(lines), size)
        assert [bytes(one) for one in found] == lines


@pytest.mark.parametrize("size", [64, 10**6])
def test_each_of_several_damaged_lines_is_counted(size):
    lines = [DAMAGED[0], DAMAGED[1], GOOD[0], DAMAGED[2], DAMAGED[1], GOOD[1], DAMAGED[4], DAMAGED[1]]
    assert [bytes(one) for one in split(b"\n".join(lines), size)[0]] == lines


@pytest.mark.parametrize("damaged", [b'{"@timestamp":"2026-10-01,"n":1}', b'{"n":}', b'{"n":{"a":[1}', b"5"])
def test_damaged_document_in_an_array_does_not_affect_others(damaged):
    for separator in (b",", b",\n", b"\n,\n"):
        found, _ = split(b"[" + separator.join([*GOOD[:3], damaged, *GOOD[3:]]) + b"]")
        assert [one for one in map(bytes, found) if one in GOOD] == GOOD
        assert len(found) == 7


def test_truncated_text_is_noted():
    text = b"[" + b",".join(GOOD) + b"]"
    for cut in (text[:-1], text[:-5], json.dumps(answer([{"@timestamp": DAY}])).encode()[:-2]):
        assert split(cut)[1].facts.cut_short
    assert not split(text)[1].facts.cut_short


@pytest.mark.parametrize(
    "text",
    [
        b'{"error": {"type": "security_exception"}, "status": 401}',
        b'{"status":503,"error":"busy"}',
        GOOD[0] + b'\n{"error":{"root_cause":[{"type":"x"}]},"status":400}\n',
        b'{"took":1,"responses":[{"error":{"type":"no"},"status":404}]}',
        json.dumps(answer([], error={"type": "late"})).encode(),
    ],
)
def test_body_of_an_error_raises(text):
    with pytest.raises(ErrorAnswer, match=r"security_exception|busy|root_cause|no|late"):
        split(text)


def test_documents_with_fields_that_answers_have():
    lines = [b'{"status":200,"error":null,"@timestamp":"%s"}' % DAY.encode(), b'{"hits":3,"took":2,"@timestamp":1}']
    assert [bytes(one) for one in split(b"\n".join(lines))[0]] == lines


def test_facts_of_answers():
    shards = {"total": 5, "failed": 2}
    pages = [answer([{"a": 1}, {"a": 2}], _shards=shards, timed_out=True), answer([{"a": 3}])]
    facts = split("\n".join(map(json.dumps, pages)).encode())[1].facts
    assert (facts.answers, facts.hits, facts.total, facts.at_least) == (2, 3, 3, False)
    assert facts.problems == ["timed out", "2 of 5 shards failed"]


@pytest.mark.parametrize(
    "long",
    [
        [b'{"a":"', b"x" * 900_000, b'"}'],
        [b'{"a":"', b"\\" * 899_999, b'x"}'],
        [b'{"a":[1', b',{"b":1}' * 110_000, b"]}"],
        [b'{"a":"', b"x" * 900_000],
        [b"x" * 900_000],
    ],
)
def test_too_long_document_is_malformed_and_not_kept_in_memory(monkeypatch, long):
    monkeypatch.setattr(json_text, "_LONGEST", 300_000)
    splitter, found, held = DocumentSplitter(), [], 0
    text = GOOD[0] + b"\n" + b"".join(long) + b"\n" + GOOD[1] + b"\n" + GOOD[2]
    for at in range(0, len(text), 50_000):
        found += splitter.feed(text[at : at + 50_000])
        held = max(held, len(splitter._rest))
    found += splitter.feed(b"", last=True)
    assert [bytes(one) for one in found] == [GOOD[0], b"".join(long)[:1_000], GOOD[1], GOOD[2]]
    assert isinstance(found[1], MalformedText)
    assert "longer than" in found[1].reason
    assert held <= 350_000


def test_too_long_document_at_the_end(monkeypatch):
    monkeypatch.setattr(json_text, "_LONGEST", 100)
    found, _ = split(GOOD[0] + b'\n{"a":"' + b"x" * 900, 50)
    assert [len(one) for one in map(bytes, found)] == [len(GOOD[0]), len(found[1])]
    assert isinstance(found[1], MalformedText)
