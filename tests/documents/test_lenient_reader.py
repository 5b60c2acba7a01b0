"""The lenient reader: a value is converted if its meaning is clear; otherwise the document is malformed."""

import json
from datetime import UTC, datetime

import pytest

from frontierlab.sample.world.oddities import ODDITIES
from frontierlab.schema import DOCUMENT_FIELDS, FLAG, INTEGER, MISSING_IOV, TIME
from tests.support.documents import DAY, READER, document, only, plain, written

MIDNIGHT = datetime(2026, 10, 1, tzinfo=UTC)


def oddity_in_document(number, oddity):
    """Return a document with an oddity, and what the reader must make of it: a column and its value, or a reason."""
    column = DOCUMENT_FIELDS[oddity.field]
    value = {TIME: 1_790_812_800_000, INTEGER: 12, FLAG: 1}.get(column.type, "a")
    text = oddity.text(value)
    fields = {"@timestamp": json.dumps(DAY)} | ({oddity.field: text} if text else {})
    if not text and oddity.field == "@timestamp":
        fields = {}
    raw = written(fields | {"an_integer": str(number)})
    if oddity.outcome == "kept":
        meant = {TIME: MIDNIGHT, FLAG: True}.get(column.type, value) if oddity.meant is None else oddity.meant
        return raw, (column.name, meant)
    if oddity.outcome == "null":
        return raw, (column.name, MISSING_IOV if column.name in ("since", "until") else None)
    return raw, f"{oddity.field}: {oddity.outcome}"


@pytest.mark.parametrize("neighbours", [0, 500], ids=["oddities only", "among plain documents"])
def test_each_oddity_of_the_sample_is_read_as_the_sample_says(neighbours):
    documents, expected = zip(*map(oddity_in_document, range(len(ODDITIES)), ODDITIES), strict=True)
    page = READER.read([*plain(neighbours), *documents])
    rows = {row["an_integer"]: row for row in page.rows.to_pylist()}
    reasons = {raw: reason for reason, raw in page.malformed}
    for number, (raw, meant) in enumerate(zip(documents, expected, strict=True)):
        if isinstance(meant, str):
            assert (reasons[raw], number in rows) == (meant, False), raw
        else:
            assert (rows[number][meant[0]], raw in reasons) == (meant[1], False), raw


UNFIT = "unfit"


@pytest.mark.parametrize(
    ("field", "text", "outcome"),
    [
        ("fsize", '"1_000"', "not an integer"),
        ("fsize", "1e1000000", "beyond int64"),
        ("an_integer", "1e1000000", UNFIT),
        ("an_integer", '"n/a"', UNFIT),
        ("an_integer", "[1,2]", UNFIT),
        ("an_integer", '{"a":1}', UNFIT),
        ("an_integer", '"-1e3"', -1000),
        ("sqlsin", "1.7908128001234568e18", "an integer without its last digits"),
        ("sqlsin", '"1.7908128001234568e+18"', "an integer without its last digits"),
        ("sqlhash", "1.790812800123456789e18", 1_790_812_800_123_456_789),
        ("fsize", "1e9999999999999999999", "not an integer"),
        ("an_integer", "1e9999999999999999999", UNFIT),
        ("an_integer", "[[12]]", 12),
        ("a_number", "12", 12.0),
        ("a_number", '"1.5"', 1.5),
        ("a_number", '"n/a"', UNFIT),
        ("a_number", "NaN", None),
        ("a_number", "1e400", UNFIT),
        ("a_flag", '"false"', False),
        ("cached", "1.0", True),
        ("a_flag", "1.0", True),
        ("cached", '"True"', True),
        ("cached", '" FALSE "', False),
        ("cached", '"0"', False),
        ("cached", '"yes"', "not a flag"),
        ("cached", "0.5", "not a flag"),
        ("taskid", "NaN", None),
        ("taskid", '"NaN"', None),
        ("taskid", '""', None),
        ("taskid", "[NaN]", None),
        ("taskid", "Infinity", "not an integer"),
        ("a_number", '"None"', None),
        ("cached", '"-"', None),
        ("a_time", '"null"', None),
        ("a_name", '"None"', "None"),
        ("a_name", "NaN", None),
        ("a_json", "1790812800123456789.25", "1790812800123456789.25"),
        ("an_integer", "1790812800123456789.0", 1790812800123456789),
        ("querytime", "12.5", 13),
        ("querytime", '"12.49"', 12),
        ("dbtime", "12.4999999999999999999", 12),
        ("dbtime", "1e400", "beyond int64"),
        ("fsize", "12.5", "not an integer"),
        ("a_name", "12345678901234567890123", "12345678901234567890123"),
        ("sqlowner", '"\\ud800"', "not a name"),
        ("a_name", '"\\ud800"', UNFIT),
        ("a_name", '"\\ud83d\\ude00\\u0000"', "\U0001f600\0"),
        ("a_time", json.dumps(DAY), MIDNIGHT),
        ("a_time", '"2026-10-01T02:00+02:00"', MIDNIGHT),
        ("a_time", '"2026-10-01 00:00"', MIDNIGHT),
        ("a_time", '"2026-10-01T00:00:00.000999999Z"', MIDNIGHT),
        ("a_time", '"1790812800000"', MIDNIGHT),
        ("@timestamp", '"1969-12-31T23:59:59.999Z"', "not a time"),
        ("@timestamp", '"2262-01-01T00:00:00.000Z"', "not a time"),
        ("@timestamp", '"2026-02-30T00:00:00.000Z"', "not a time"),
        ("@timestamp", "-1", "not a time"),
        ("@timestamp", '"20261001"', "a date without a time of day"),
        ("@timestamp", '"2026-W40-4"', "a date without a time of day"),
        ("a_time", '"2026-10-01"', MIDNIGHT),
        ("a_time", '"2026-02-30"', UNFIT),
        ("a_time", "-1", UNFIT),
        ("a_json", '{"a":[1790812800123456789,NaN]}', '{"a":[1790812800123456789,null]}'),
        ("a_json", "[]", "[]"),
        ("a_json", '"\\ud800"', '"\\ud800"'),
    ],
)
def test_value_is_converted_or_refused(field, text, outcome):
    raw = written({"@timestamp": json.dumps(DAY)} | {field: text})
    found = only(raw)
    assert +READER.read([raw]).unfit == ({field: 1} if outcome == UNFIT else {})
    if isinstance(found, str):
        assert found.removeprefix(f"{field}: ") == outcome
    elif outcome == UNFIT:
        assert found[field] is None
    else:
        assert found[field] == outcome
        assert type(found[field]) is type(outcome)


def test_reason_is_that_of_the_first_malformed_column():
    assert only(document(fsize="x", taskid="x", cached="x")) == "taskid: not an integer"


def test_values_that_were_converted_are_counted():
    page = READER.read([document(sqlsin="1", fsize=12.0, cached="true", sqlowner="a"), document(taskid=[])])
    assert page.converted == {"sqlsin": 1, "fsize": 1, "cached": 1, "taskid": 1}
    assert not READER.read([document(taskid=1.5, an_integer=1)]).converted.keys()
