"""Lines of access logs: what each format says, and that the fast reader says what the slow one says."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.rawlogs.squid import fast_lines
from frontierlab.rawlogs.squid.fields import FIELDS
from frontierlab.rawlogs.squid.odd_lines import LONGEST, read_odd_lines, wall_ms

URL = "http://f.example.org:8000/atlr/Frontier/type=frontier_request:1:DEFAULT&encoding=BLOBzip5&p1=eNo_"
ID = "[41000000_6700000001] 2.10.2 4711 atlprd(1234) /DC=ch/CN=Ada Example"
NOON = 1_790_856_000_000  # 2026-10-01T12:00 UTC

TWO = (
    f'10.0.0.1 - - [01/Oct/2026:12:00:00 +0000] "GET {URL} HTTP/1.0" 200 2048 TCP_MEM_HIT:HIER_NONE 3 "{ID}" '
    '"Thu, 01 Oct 2026 00:00:00 GMT"'
)
THREE = (
    f'10.0.0.1 kid2 - [01/Oct/2026:12:00:00 +0000] "GET {URL} HTTP/1.0" 200 2048 TCP_MISS:HIER_DIRECT 30 "{ID}" "-" "-"'
)
CVMFS = (
    f'10.0.0.1 - - [01/Oct/2026:12:00:00.250 +0000] "GET {URL} HTTP/1.0" 200 2048 TCP_HIT:HIER_NONE 3 "{ID} -" "-" "-"'
)
NATIVE = f"1790856000.250     30 10.0.0.1 TCP_MISS/200 2048 GET {URL} - HIER_DIRECT/10.9.8.7 text/xml"


def read_lines(lines: pa.Array) -> tuple[pa.Table, list[tuple[int, str]]]:
    """The lines that were read in their order, and those that were not."""
    tables, refused = fast_lines.read_lines(lines)
    for table in tables:
        numbers = table["number"].to_pylist()
        assert numbers == sorted(numbers)
    return pa.concat_tables([FIELDS.empty_table(), *tables]).sort_by("number"), refused


def one(line: str) -> dict[str, object]:
    """The fields of a line that both readers can read, in which they agree."""
    fast, refused = read_lines(pa.array([line + "\n"]))
    slow, _ = read_odd_lines([(0, line)])
    assert refused == []
    assert fast.to_pylist() == slow.to_pylist()
    return fast.to_pylist()[0]


def test_two_quoted_fields_are_the_id_and_the_date() -> None:
    line = one(TWO)
    assert (line["format"], line["identity"]) == ("two", ID)
    assert line["modified_since"] == "Thu, 01 Oct 2026 00:00:00 GMT"
    assert (line["local_ms"], line["zone"]) == (NOON, "+0000")


def test_three_quoted_fields_have_no_date() -> None:
    line = one(THREE)
    assert (line["format"], line["identity"], line["modified_since"]) == ("three", ID, "-")
    assert (line["ident"], line["tag"], line["duration_ms"]) == ("kid2", "TCP_MISS:HIER_DIRECT", 30)
    assert (line["status"], line["wire_bytes"], line["url"], line["method"]) == (200, 2048, URL, "GET")


@pytest.mark.parametrize(("field", "identity"), [(f"{ID} -", ID), ("- X-CVMFS2 2.11", "-"), ("- -", "-")])
def test_milliseconds_tell_the_format_that_names_cvmfs_too(field: str, identity: str) -> None:
    line = one(CVMFS.replace(f"{ID} -", field))
    assert (line["format"], line["identity"], line["local_ms"]) == ("three with cvmfs", identity, NOON + 250)


def test_the_native_format_has_no_quoted_field() -> None:
    line = one(NATIVE)
    assert (line["format"], line["local_ms"], line["zone"]) == ("native", NOON + 250, "epoch")
    assert (line["tag"], line["status"], line["identity"]) == ("TCP_MISS:HIER_DIRECT/10.9.8.7", 200, "-")


def test_a_quote_within_a_field_is_escaped() -> None:
    line = one(THREE.replace("Ada Example", 'Ada \\"the first\\" Example'))
    assert line["identity"] == ID.replace("Ada Example", 'Ada "the first" Example')


def test_a_url_can_hold_a_blank() -> None:
    assert one(THREE.replace(URL, "http://f/a b"))["url"] == "http://f/a b"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "an empty line"),
        ("squid: running out of memory", "no line of a known format"),
        (THREE[:150], "no line of a known format"),
        (THREE.replace("01/Oct", "31/Feb"), "a time that does not exist"),
        (THREE.replace("01/Oct", "01/Foo"), "a time that does not exist"),
        (THREE.replace(" 2048 ", " - "), "no line of a known format"),
        (THREE.replace(URL, "x" * (LONGEST + 1)), "a line that is too long"),
        (THREE.replace("DIRECT 30 ", "DIRECT 99999999999 "), "no line of a known format"),
        (NATIVE.replace("  30 ", "  99999999999 "), "no line of a known format"),
        (THREE.replace(" 2048 ", " 99999999999999 "), "no line of a known format"),
    ],
)
def test_other_lines_are_refused_with_the_reason(line: str, why: str) -> None:
    fields, refused = read_lines(pa.array([THREE, line, TWO]))
    assert fields["number"].to_pylist() == [0, 2]
    assert refused == [(1, why)]


def test_lines_of_all_formats_keep_their_order() -> None:
    lines = [NATIVE, "x", TWO, CVMFS, THREE.replace("Ada", 'A\\"a'), THREE, ""]
    fields, refused = read_lines(pa.array(lines))
    assert fields["number"].to_pylist() == [0, 2, 3, 4, 5]
    assert [number for number, _ in refused] == [1, 6]


CHARACTERS = '09aZ /:."\\[]+-=_\t\x0b\x1cé'
CHANGES = st.lists(
    st.tuples(st.integers(0, 250), st.sampled_from(["drop", "put", "double"]), st.sampled_from(CHARACTERS)), max_size=3
)


@given(st.lists(st.tuples(st.sampled_from([TWO, THREE, CVMFS, NATIVE]), CHANGES), max_size=8))
def test_the_fast_reader_says_what_the_slow_one_says(drawn: list[tuple[str, list[tuple[int, str, str]]]]) -> None:
    lines = []
    for line, changes in drawn:
        for place, change, character in changes:
            place %= len(line)
            middle = {"drop": "", "put": character, "double": 2 * line[place]}[change]
            line = line[:place] + middle + line[place + 1 :]
        lines.append(line)
    fields, refused = read_lines(pa.array(lines, pa.string()))
    slow, slowly_refused = read_odd_lines(list(enumerate(lines)))
    assert fields.to_pylist() == slow.to_pylist()
    assert refused == slowly_refused


@given(st.datetimes())
def test_times_on_the_wall_are_those_of_the_calendar(moment: object) -> None:
    from datetime import UTC, datetime

    assert isinstance(moment, datetime)
    text = f"{moment:%d/%b/}{moment.year:04d}{moment:%H:%M:%S}"[:11] + f":{moment:%H:%M:%S}"
    expected = (
        round(moment.replace(microsecond=0, tzinfo=UTC).timestamp()) * 1000 if 1970 <= moment.year < 9999 else None
    )
    assert wall_ms(text) == expected
