"""Tables and JSON: exact integers, times in UTC, widths, and characters that a terminal would obey."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from frontierlab.cli.output import Output, note, plain, rows_of_frame
from frontierlab.cli.tables import table


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**63 - 1, 2**63 - 1),
        (np.int64(2**63 - 1), 2**63 - 1),
        (np.bool_(True), True),
        (float("nan"), None),
        (float("inf"), None),
        (0.1, 0.1),
        (datetime(2026, 10, 1, 12, tzinfo=UTC), "2026-10-01T12:00:00.000Z"),
        (pd.Timestamp("2026-10-01T14:00:00.5+02:00"), "2026-10-01T12:00:00.500Z"),
        (datetime(2026, 10, 1, 12), "2026-10-01T12:00:00.000"),
        (date(2026, 10, 1), "2026-10-01"),
        (Decimal("12345678901234567890.5"), "12345678901234567890.5"),
        (Path("/a/b"), "/a/b"),
        (b"\x00\xff", "00ff"),
        (np.array([1, 2]), [1, 2]),
        ({"a": (None, np.int64(3))}, {"a": [None, 3]}),
    ],
)
def test_plain_values(value: object, expected: object) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
    assert json.loads(json.dumps(found)) == expected


def test_what_json_cannot_hold_is_an_error() -> None:
    with pytest.raises(TypeError, match="object, which JSON cannot hold"):
        plain(object())


def test_rows_of_a_frame_keep_integers_with_missing_values_exact() -> None:
    frame = pd.DataFrame(
        {
            "iov": pd.array([2**63 - 1, None], dtype="Int64"),
            "flag": pd.array([True, None], dtype="boolean"),
            "name": pd.Categorical(["a", None]),
            "time": pd.to_datetime(["2026-10-01", None], utc=True),
            "share": pd.array([0.25, None], dtype="Float64"),
        }
    )
    first, second = [{name: plain(value) for name, value in row.items()} for row in rows_of_frame(frame)]
    assert first == {"iov": 2**63 - 1, "flag": True, "name": "a", "time": "2026-10-01T00:00:00.000Z", "share": 0.25}
    assert set(second.values()) == {None}


def test_a_table_aligns_and_shows_all_digits() -> None:
    text, dropped = table([["a", 2**62, 1 / 3, None], ["bcd", 7, 2.0, True]], ["name", "n", "share", "flag"])
    assert text.splitlines() == [
        "name                    n     share  flag",
        "a     4611686018427387904  0.333333  -",
        "bcd                     7         2  yes",
    ]
    assert dropped == []


def test_a_table_fits_the_width_and_names_what_is_left_out() -> None:
    rows = [["x" * 60, "y" * 30, 123456789012, "z" * 30]]
    for width in range(20, 140):
        text, dropped = table(rows, ["first", "second", "number", "last"], width)
        assert max(map(len, text.splitlines())) <= width
        assert dropped == ["first", "second", "number", "last"][4 - len(dropped) :]
    assert table(rows, ["first", "second", "number", "last"], 90)[0].splitlines()[1].count("…") == 3
    assert "123456789012" in table(rows, ["first", "second", "number", "last"], 90)[0]


def test_a_number_is_never_cut() -> None:
    text, dropped = table([[10**17, 10**17]], ["a", "b"], 20)
    assert text.split() == ["a", str(10**17)]
    assert dropped == ["b"]


def test_a_name_cannot_command_the_terminal() -> None:
    text, _ = table([["a\x1b[2Jb\nc\u202e"]], ["name"])
    assert text.splitlines() == ["name", r"a\x1b[2Jb\nc\u202e"]


def test_a_name_in_a_sentence_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).text("one: a\x1b[2J\ntwo: b\u202e")
    Output(as_json=False).record({"name": "c\x07"}, "three: c\x07")
    note("four: d\x9b2J", "Warning: ")
    Output(as_json=True).record({"name": "\x1b"}, "")
    out, err = capsys.readouterr()
    assert out.splitlines() == [r"one: a\x1b[2J", r"two: b\u202e", r"three: c\x07", r'{"name": "\u001b"}']
    assert err == "Warning: four: d\\x9b2J\n"


def test_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).rows([{"a": 1, "b": "é"}, {"a": None, "b": "x\ny"}], ["a", "b"])
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"a": 1, "b": "é"}, {"a": None, "b": "x\ny"}]


def test_no_row_is_said_beside_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).rows([], ["a"], "Nothing here.")
    assert capsys.readouterr() == ("", "Nothing here.\n")
