"""COOL SQL: the real queries, their variations, and text of any kind."""

from __future__ import annotations

import itertools
import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontierlab.rawlogs import CoolReader, read_cool_sql, sql_hash
from frontierlab.rawlogs.cool_structure import read_structure
from frontierlab.rawlogs.cool_values import LAST_CHANNEL
from frontierlab.rawlogs.cool_writing import channels_sql, payload_sql, tags_sql
from frontierlab.rawlogs.sql_text import canonical, parsable, split, without_binds
from tests.support.examples import examples

BEAMSPOT, TRIGGER, SCT, LAR, TRT = json.loads((Path(__file__).parent / "cool_queries.json").read_text())
REAL = {"beam spot": BEAMSPOT, "trigger": TRIGGER, "SCT": SCT, "LAr": LAR, "TRT": TRT}
COOL = [BEAMSPOT, SCT, LAR, TRT]
SINCE, UNTIL = 1348314788265984, 1348314788265994
NUMBERS = st.integers(0, 2**63 - 1)
VALUE = re.compile(r"(?<==|>)\d+\b|(?<=,)\d{16}")
TOKEN = re.compile(r"""/\*.*?\*/|'(?:[^']|'')*'|"[^"]*"|[\w$#]+|\s+|.""", re.DOTALL)


def asked(sql: str) -> dict[str, object]:
    """Return what a query asks for, without its fingerprint."""
    found = read_cool_sql(sql)._asdict()
    del found["fingerprint"]
    return found


def fingerprint(sql: str) -> str:
    return read_cool_sql(sql).fingerprint


@pytest.mark.parametrize(
    ("sql", "instance", "schema", "kind", "folder", "tag", "iov", "channel", "payload"),
    [
        (BEAMSPOT, "CONDBR2", "ATLAS_COOLOFL_INDET", "IOVS", 3, 20, (SINCE, UNTIL), 0, True),
        (SCT, "CONDBR2", "ATLAS_COOLONL_SCT", "CHANNELS", 26, None, (None, None), None, False),
        (LAR, "CONDBR2", "ATLAS_COOLONL_LAR", "IOVS", 75, None, (SINCE, UNTIL), None, True),
        (TRT, "CONDBR2", "ATLAS_COOLOFL_TRT", "IOVS", 16, 1, (SINCE, UNTIL), None, True),
    ],
    ids=["beam spot", "SCT", "LAr", "TRT"],
)
def test_real_queries(sql, instance, schema, kind, folder, tag, iov, channel, payload):
    found = read_cool_sql(sql)
    assert found.is_cool
    assert (found.instance, found.schema, found.table_kind, found.folder) == (instance, schema, kind, folder)
    assert (found.tag_id, (found.since, found.until), found.channel) == (tag, iov, channel)
    assert found.asks_payload is payload
    assert found.unclear == ()


def test_the_trigger_query_is_no_cool_query():
    found = read_cool_sql(TRIGGER)
    assert found.not_cool == "it reads no table of COOL"
    assert asked(TRIGGER) == {**asked("SELECT 1"), "not_cool": found.not_cool}
    assert (found.instance, found.schema, found.folder, found.asks_payload) == (None, None, None, None)


def test_real_queries_have_different_fingerprints():
    assert len({fingerprint(sql) for sql in REAL.values()}) == len(REAL)


def test_a_fingerprint_is_the_same_in_every_process():
    assert fingerprint(SCT) == "a98401b685004085"
    assert sql_hash(SCT) == sql_hash(SCT) != sql_hash(SCT + " ")
    assert -(2**63) <= sql_hash(SCT) < 2**63


def respelled(sql: str, random: random.Random) -> str:
    """Return a query with other white space, line breaks and case outside of quotes."""
    words = [word for word in TOKEN.findall(sql) if not word.isspace()]
    spelled = [
        word if word[0] in "\"'" else random.choice([word.upper(), word.lower(), word.title()]) for word in words
    ]
    blank = [" ", "\n", "\t", "  ", "\r\n  "]
    text = spelled[0]
    for before, word in itertools.pairwise(spelled):
        touching = before[-1].isalnum() and word[0].isalnum()
        operator = (before + word) in ("<=", ">=", "<>", "!=", "||")
        text += ("" if operator or (not touching and random.random() < 0.5) else random.choice(blank)) + word
    return text + random.choice(["", ";", "\n", " ; "])


@settings(max_examples=examples(40))
@given(st.sampled_from([*REAL.values()]), st.integers(0, 2**32).map(random.Random))
def test_white_space_and_case_change_nothing(sql, random):
    other = respelled(sql, random)
    assert asked(other) == asked(sql)
    assert fingerprint(other) == fingerprint(sql)


@given(st.sampled_from([*REAL.values()]))
def test_quotes_around_plain_names_change_nothing(sql):
    bare = re.sub(r'"([A-Z][A-Z0-9_]*)"', r"\1", sql)
    assert bare != sql
    assert asked(bare) == asked(sql)
    assert fingerprint(bare) == fingerprint(sql)


@given(NUMBERS, NUMBERS, st.integers(0, 10**6), st.integers(0, LAST_CHANNEL))
def test_values_change_what_is_asked_and_not_the_fingerprint(since, until, tag, channel):
    sql = BEAMSPOT.replace(f"<={UNTIL}", f"<={until}").replace(str(SINCE), str(since))
    sql = sql.replace("USER_TAG_ID=20", f"USER_TAG_ID={tag}").replace("CHANNEL_ID=0", f"CHANNEL_ID={channel}")
    expected = {"since": since, "until": until, "tag_ids": (tag,), "channels": ((channel, channel),)}
    assert asked(sql) == {**asked(BEAMSPOT), **expected}
    assert fingerprint(sql) == fingerprint(BEAMSPOT)


@pytest.mark.parametrize("sql", COOL)
def test_generated_names_do_not_change_the_fingerprint(sql):
    names = {"MAIN": "SEL$F5BB74E1", "MAX1": "Q_77", "COOL_I3": "COOL_I41", "COOL_C2": "X7", "COOL_P5": "COOL_P1"}
    other = re.sub("|".join(names), lambda found: names[found[0]], sql.replace('CONDBR2_F0026_CHANNELS"  ', ""))
    assert asked(other) == asked(sql)
    assert fingerprint(other) == fingerprint(sql)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("NO_BIND_AWARE", "OPT_PARAM('OPTIMIZER_ADAPTIVE_FEATURES','FALSE')"),
        ("F0003_", "F0004_"),
        ("ATLAS_COOLOFL_INDET", "ATLAS_COOLOFL_TRT"),
        ('COOL_P5."status" AS "status", ', ""),
        ("COOL_I3.IOV_UNTIL>", "COOL_I3.IOV_UNTIL>="),
        (" AND COOL_I3.USER_TAG_ID=20", ""),
        ("USE_NL(@MAIN COOL_I3@MAIN)", "USE_HASH(@MAIN COOL_I3@MAIN)"),
    ],
)
def test_what_is_no_value_changes_the_fingerprint(old, new):
    assert old in BEAMSPOT
    assert fingerprint(BEAMSPOT.replace(old, new)) != fingerprint(BEAMSPOT)


def test_comments_do_not_count():
    other = BEAMSPOT.replace(" FROM ", " /* a job's 'own' \"remark */ FROM -- and 1 more\n ", 1)
    assert (asked(other), fingerprint(other)) == (asked(BEAMSPOT), fingerprint(BEAMSPOT))


@given(st.lists(st.integers(0, 999), min_size=1, max_size=30))
def test_several_tags(tags):
    listed = BEAMSPOT.replace("COOL_I3.USER_TAG_ID=20", f"COOL_I3.USER_TAG_ID IN ({', '.join(map(str, tags))})")
    either = " OR ".join(f"COOL_I3.USER_TAG_ID={tag}" for tag in tags)
    for sql in (listed, BEAMSPOT.replace("COOL_I3.USER_TAG_ID=20", f"({either})")):
        assert asked(sql) == {**asked(BEAMSPOT), "tag_ids": tuple(sorted({*tags}))}
    assert fingerprint(listed) == fingerprint(BEAMSPOT.replace("COOL_I3.USER_TAG_ID=20", "COOL_I3.USER_TAG_ID IN (7)"))


def test_the_tag_of_several_is_not_one():
    several = read_cool_sql(TRT.replace("COOL_I3.USER_TAG_ID=1", "COOL_I3.USER_TAG_ID IN (1,2)"))
    assert (several.tag_id, several.tag_ids) == (None, (1, 2))


def test_is_null_asks_for_no_tag():
    assert read_cool_sql(TRT.replace("COOL_I3.USER_TAG_ID=1", "COOL_I3.USER_TAG_ID IS NULL")).tag_id == 0
    other = read_cool_sql(TRT.replace("COOL_I3.USER_TAG_ID=1", "COOL_I3.USER_TAG_ID IS NOT NULL"))
    assert (other.tag_id, other.unclear) == (None, ("tag",))


def test_a_head_tag_is_that_of_iov2tag():
    sql = TRT.replace(
        "COOL_I3.USER_TAG_ID=1 AND", "COOL_I2.TAG_ID=5 AND COOL_I2.OBJECT_ID=COOL_I3.OBJECT_ID AND"
    ).replace(' "COOL_I3",', ' "COOL_I3", ATLAS_COOLOFL_TRT.CONDBR2_F0016_IOV2TAG COOL_I2,')
    assert read_cool_sql(sql).tag_ids == (5,)


@pytest.mark.parametrize("sql", [BEAMSPOT, LAR, TRT])
def test_counts_ask_for_no_payload(sql):
    counted = re.sub(r"\*/ COOL_I3\.OBJECT_ID.*? FROM ", "*/ COUNT(*) FROM ", sql, count=1)
    around = f"SELECT COUNT(*) AS N FROM ( {sql} ) X"
    for other in (counted, around):
        assert asked(other) == {**asked(sql), "asks_payload": False}


@pytest.mark.parametrize("sql", [BEAMSPOT, LAR, TRT])
def test_order_changes_only_the_fingerprint(sql):
    for order in ("ASC", "DESC"):
        other = f"{sql} ORDER BY COOL_I3.CHANNEL_ID {order}, COOL_I3.IOV_SINCE {order}"
        assert asked(other) == asked(sql)
        assert fingerprint(other) != fingerprint(sql)


def test_a_query_within_a_query_is_read():
    rows = f"SELECT * FROM ({TRT} ORDER BY COOL_I3.IOV_SINCE DESC) WHERE ROWNUM < 2"
    assert asked(rows) == asked(TRT)


@pytest.mark.parametrize(
    ("condition", "channels"),
    [
        ("COOL_C2.CHANNEL_ID=7", ((7, 7),)),
        ("7=COOL_C2.CHANNEL_ID", ((7, 7),)),
        ("COOL_C2.CHANNEL_ID='7'", ((7, 7),)),
        ("COOL_I3.CHANNEL_ID IN (3,1,2,1)", ((1, 1), (2, 2), (3, 3))),
        ("COOL_C2.CHANNEL_ID>=3 AND COOL_C2.CHANNEL_ID<=9", ((3, 9),)),
        ("( COOL_C2.CHANNEL_ID>3 AND COOL_C2.CHANNEL_ID<9 )", ((4, 8),)),
        ("COOL_C2.CHANNEL_ID BETWEEN 3 AND 9", ((3, 9),)),
        ("((COOL_C2.CHANNEL_ID>=3 AND COOL_C2.CHANNEL_ID<=9) OR COOL_C2.CHANNEL_ID=12)", ((3, 9), (12, 12))),
        ("COOL_C2.CHANNEL_ID>=3", ((3, LAST_CHANNEL),)),
        ("COOL_C2.CHANNEL_ID<=3", ((0, 3),)),
        ("COOL_C2.CHANNEL_ID>=0 AND COOL_I3.CHANNEL_ID=5", ((5, 5),)),
    ],
)
def test_channels(condition, channels):
    found = read_cool_sql(BEAMSPOT.replace("COOL_C2.CHANNEL_ID=0", condition))
    assert (found.channels, found.unclear) == (channels, ())


@pytest.mark.parametrize(
    ("condition", "unclear"),
    [
        ("COOL_C2.CHANNEL_NAME='barrel'", ("channel",)),
        ("COOL_C2.CHANNEL_ID<>7", ("channel",)),
        ("NOT COOL_C2.CHANNEL_ID=7", ("channel",)),
        ("COOL_C2.CHANNEL_ID=7+1", ("channel",)),
        ("COOL_C2.CHANNEL_ID IN (SELECT 1 FROM DUAL)", ("channel",)),
        ("(COOL_C2.CHANNEL_ID=7 OR COOL_I3.USER_TAG_ID=1)", ("channel", "tag")),
        ("COOL_C2.CHANNEL_ID=:channel", ("channel",)),
        ('COOL_C2.CHANNEL_ID=:"channel"', ("channel",)),
        ("COOL_C2.CHANNEL_ID=1.5", ("channel",)),
        ("OTHER.CHANNEL_ID=1", ("channel",)),
    ],
)
def test_what_is_not_read_is_named(condition, unclear):
    found = read_cool_sql(LAR.replace("WHERE ", f"WHERE {condition} AND ", 1))
    assert (found.channels, found.tag_ids, found.unclear) == (None, (), unclear)
    assert (found.since, found.until) == (SINCE, UNTIL)


@pytest.mark.parametrize(
    "sql",
    [
        f"WITH X AS ({TRT}) SELECT * FROM X WHERE CHANNEL_ID=5",
        f"SELECT (SELECT COUNT(*) FROM ({TRT})) FROM DUAL",
        f"SELECT * FROM DUAL WHERE 1 IN ({TRT})",
    ],
)
def test_tables_within_other_parts_are_not_taken_for_those_of_the_answer(sql):
    found = read_cool_sql(sql)
    assert (found.instance, found.folder, found.table_kind, found.asks_payload) == ("CONDBR2", 16, None, None)
    assert (found.channels, found.since, found.tag_ids) == (None, None, ())
    assert "tables" in found.unclear


def test_conditions_around_a_query_count_too():
    assert read_cool_sql(f"SELECT * FROM ({TRT}) WHERE CHANNEL_ID=5").channel == 5
    around = read_cool_sql(f"SELECT * FROM ({TRT}) X WHERE X.CHANNEL_ID=5")
    assert (around.channels, around.unclear, around.tag_id) == (None, ("channel",), 1)


def test_sides_of_a_condition_can_be_exchanged():
    turned = BEAMSPOT.replace("COOL_I3.IOV_UNTIL>1348314788265984", "1348314788265984<COOL_I3.IOV_UNTIL")
    turned = turned.replace("COOL_I3.IOV_SINCE<=1348314788265994", "1348314788265994>=COOL_I3.IOV_SINCE")
    first, lower, rest = re.split(r"(COOL_I3\.IOV_SINCE>=COALESCE\(.*,1348314788265984\))", turned)
    turned = f"{first}{lower.removeprefix('COOL_I3.IOV_SINCE>=')}<=COOL_I3.IOV_SINCE{rest}"
    assert asked(turned) == asked(BEAMSPOT)


def test_binds_of_other_clients():
    named = VALUE.sub(":value", BEAMSPOT)
    found = read_cool_sql(named)
    assert (found.instance, found.folder, found.asks_payload) == ("CONDBR2", 3, True)
    assert (found.since, found.until, found.tag_ids, found.channels) == (None, None, (), None)
    assert {*found.unclear} == {"since", "until", "tag", "channel"}


def test_binds_behind_the_statement_are_its_values():
    values = VALUE.findall(BEAMSPOT)
    marked = VALUE.sub("?", BEAMSPOT)
    assert len(values) == 9
    assert asked(f"{marked}:{':'.join(values)}") == asked(BEAMSPOT)
    assert fingerprint(f"{marked}:{':'.join(values)}") == fingerprint(marked) == fingerprint(BEAMSPOT)


def test_names_of_nodes_and_tags():
    assert read_cool_sql(tags_sql("OFLP200", "ATLAS_COOLOFL_DCS", 14)).folder == 14
    named = read_cool_sql("SELECT * FROM ATLAS_COOLOFL_DCS.OFLP200_NODES WHERE NODE_FULLPATH='/EXT/DCS''s'")
    assert (named.node, named.folder, named.table_kind, named.asks_payload) == ("/EXT/DCS's", None, "NODES", False)
    tagged = read_cool_sql(
        "SELECT T.TAG_ID FROM ATLAS_COOLOFL_DCS.OFLP200_TAGS T WHERE T.TAG_NAME = 'A-1' AND NODE_ID=3"
    )
    assert (tagged.tag_name, tagged.folder) == ("A-1", 3)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("", "it reads no table of COOL"),
        ("SELECT 1 FROM DUAL", "it reads no table of COOL"),
        ("SELECT 'CONDBR2_F0003_IOVS' FROM DUAL", "it reads no table of COOL"),
        ('SELECT * FROM "ATLAS_CONF"."TRIGGER_TAGS"', "it reads no table of COOL"),
        ("DELETE FROM A.CONDBR2_F0003_IOVS", "it is no plain SELECT statement"),
        (
            "SELECT A FROM X.CONDBR2_F0003_IOVS UNION SELECT A FROM X.CONDBR2_F0004_IOVS",
            "it is no plain SELECT statement",
        ),
        ("SELECT * FROM CONDBR2_F0003_IOVS WHERE (", "it cannot be parsed as SQL"),
        ("SELECT 1 FROM A.CONDBR2_F0003_IOVS; SELECT 2 FROM A.CONDBR2_F0003_IOVS", "it is not one statement"),
        ("SELECT " + "(" * 60 + "1" + ")" * 60 + " FROM A.CONDBR2_F0003_IOVS", "too long or too deep"),
        ("SELECT " + "A," * 20_000 + "B FROM A.CONDBR2_F0003_IOVS", "too long or too deep"),
    ],
)
def test_what_is_no_cool_query_is_said_so(sql, reason):
    found = read_cool_sql(sql)
    assert not found.is_cool
    assert reason in found.not_cool
    assert found[2:] == read_cool_sql("SELECT 1 FROM DUAL")[2:]


def test_several_folders_are_not_guessed():
    found = read_cool_sql(
        "SELECT A.X FROM S.CONDBR2_F0003_IOVS A, S.CONDBR2_F0004_IOVS B WHERE A.OBJECT_ID=B.OBJECT_ID"
    )
    assert (found.instance, found.schema, found.folder, found.unclear) == ("CONDBR2", "S", None, ("several folders",))


@settings(max_examples=examples(40))
@given(
    st.sampled_from(["CONDBR2", "OFLP200", "A1", "COOLTEST"]),
    st.sampled_from(["ATLAS_COOLOFL_PIXEL", "COOL"]),
    st.integers(1, 99_999),
    NUMBERS,
    NUMBERS,
    st.none() | st.integers(0, 500),
    st.none() | st.integers(0, LAST_CHANNEL),
    st.booleans(),
)
def test_written_queries_are_read_back(instance, schema, folder, since, until, tag, channel, payload_table):
    sql = payload_sql(instance, schema, folder, since, until, tag_id=tag, channel=channel, payload_table=payload_table)
    found = read_cool_sql(sql)
    assert (found.instance, found.schema, found.folder, found.tag_id) == (instance, schema, folder, tag)
    assert (found.since, found.until, found.channel, found.asks_payload) == (since, until, channel, True)


def test_written_queries_are_the_real_ones():
    assert payload_sql("CONDBR2", "ATLAS_COOLOFL_TRT", 16, SINCE, UNTIL, tag_id=1) == TRT
    columns = ["DAC2uA", "version"]
    assert payload_sql("CONDBR2", "ATLAS_COOLONL_LAR", 75, SINCE, UNTIL, columns=columns) == LAR
    assert channels_sql("CONDBR2", "ATLAS_COOLONL_SCT", 26) == SCT


def test_a_shape_is_parsed_once():
    reader = CoolReader()
    for number in range(50):
        reader.read(payload_sql("CONDBR2", "ATLAS_COOLOFL_TRT", 16, number, number + 10, tag_id=number))
        reader.read(payload_sql("CONDBR2", "ATLAS_COOLOFL_TRT", 16, number, number + 10, tag_id=number).lower())
        reader.read(TRIGGER)
    assert reader.parsed == 1


ORDERS = "SELECT * FROM A.CONDBR2_F0003_IOVS X, A.CONDBR2_F0004_IOVS Y WHERE X.CHANNEL_ID=1 AND Y.USER_TAG_ID=2"
WITH_NODES = (
    'SELECT * FROM "S_COOL".CONDBR2_F0003_IOVS A, "S_COOL".CONDBR2_NODES B WHERE B.NODE_ID=3 AND A.USER_TAG_ID=1'
)
ALIASED = "SELECT CONDBR2.CHANNEL_ID, S.PEDESTAL FROM S.CONDBR2_F0003_IOVS CONDBR2 WHERE CONDBR2.USER_TAG_ID=1"
BARE = "SELECT CONDBR2_F0003_IOVS.PEDESTAL FROM CONDBR2_F0003_IOVS WHERE CONDBR2_F0003_IOVS.IOV_UNTIL>5"


@pytest.mark.parametrize(
    "sql", [*COOL, ORDERS, WITH_NODES, ALIASED, BARE, ORDERS.replace("A.CONDBR2_F0004", "B.OFLP200_F0003")]
)
def test_queries_of_other_folders_are_read_as_if_each_were_parsed(sql):
    reader, others = CoolReader(), [re.sub("F00", "F12", sql), sql.replace("CONDBR2", "OFLP200"), sql]
    for other in others:
        shape = canonical(without_binds(other)[0])
        values = split(other)[1]
        found = reader.read(other)
        plain = read_structure(" ".join(parsable(shape, values)))
        assert found.is_cool
        for name in ("instance", "schema", "table_kind", "tables", "folder", "asks_payload"):
            if name != "folder" or plain.folder is not None:
                assert getattr(found, name) == getattr(plain, name), name
        assert found.unclear[: len(plain.unclear)] == plain.unclear


def test_queries_that_differ_in_their_folder_are_parsed_once():
    reader = CoolReader()
    folders = [("CONDBR2", "ATLAS_COOLOFL_DCS", 14), ("OFLP200", "ATLAS_COOLOFL_MDT", 1412)]
    found = [reader.read(payload_sql(*folder, 1, 2, tag_id=3, channel=4)) for folder in folders]
    assert [(one.instance, one.schema, one.folder) for one in found] == folders
    assert len({one.fingerprint for one in found}) == 2
    assert reader.parsed == 1


def test_remembered_shapes_are_bounded():
    reader = CoolReader(megabytes=0.05)
    for folder in range(60):
        reader.read(channels_sql("CONDBR2", "ATLAS_COOLONL_SCT", folder))
    assert len(reader._shapes._entries) < 20
    assert reader._shapes._used <= 50_000
    assert reader.read(channels_sql("CONDBR2", "ATLAS_COOLONL_SCT", 0)).folder == 0


WORDS = (
    *"()'\",;:?.*+-/=<>@ \n\0é",
    *("--", "/*", "*/", "/*+", "''", ":b", "'x'", '"q"', "1", "2.5e3", "A", "S.CONDBR2_F0003_IOVS"),
    *[
        "SELECT",
        "FROM",
        "WHERE",
        "AND",
        "OR",
        "NOT",
        "IN",
        "IS",
        "NULL",
        "AS",
        "JOIN",
        "ON",
        "UNION",
        "BETWEEN",
        "CASE",
        "WHEN",
        "END",
        "CHANNEL_ID",
        "IOV_SINCE",
    ],
    *("COUNT(*)", "ORDER BY"),
)
PIECES = st.lists(st.sampled_from(WORDS), max_size=40)


@given(PIECES.map(" ".join) | PIECES.map("".join) | st.text(max_size=200), st.booleans())
def test_any_text_is_read_or_said_to_be_no_cool_query(text, cool):
    text = f"SELECT * FROM S.CONDBR2_F0003_IOVS A WHERE {text}" if cool else text
    found = CoolReader().read(text)
    assert found.is_cool or found.asks_payload is None
    stretches, values = split(text)
    assert "".join(part for pair in zip(stretches, values, strict=True) for part in pair) == text
    numbers = [number for slot in canonical(text).slots for number in slot.values]
    assert numbers == [*range(len([value for value in values if value]))]


@pytest.mark.parametrize(
    "text",
    [
        *("A.CHANNEL_ID IN (" + "1," * 60_000 + "2)", "/*+ " + "@A(" * 60_000, "(" * 60_000, "'" * 60_000),
        *(':"' * 60_000, "NOT " * 6_000 + "1=1", "A.CHANNEL_ID=1 OR " * 4_000 + "1=1"),
        "(SELECT 1 FROM " * 30 + ")" * 30,
    ],
    ids=lambda text: text[:9],
)
def test_long_and_deep_text_takes_time_that_grows_with_it(text):
    # a reader whose time grew with the square would be ended by the limit for a test
    found = CoolReader().read(f"SELECT * FROM S.CONDBR2_F0003_IOVS A WHERE {text}")
    assert found.is_cool or found.asks_payload is None


@given(st.sampled_from(COOL), st.integers(0, 3_000), st.integers(1, 400))
def test_cut_queries_are_read_or_said_to_be_no_cool_query(sql, start, length):
    found = CoolReader().read(sql[: start % len(sql)] + sql[start % len(sql) + length :])
    assert found.is_cool or found.asks_payload is None


def test_queries_that_differ_in_their_iov_alone_have_the_same_shape() -> None:
    query = read_cool_sql(BEAMSPOT)
    assert None not in (query.shape, query.since, query.until)
    later = BEAMSPOT.replace(str(query.since), "1234567").replace(str(query.until), "2345678")
    assert (read_cool_sql(later).since, read_cool_sql(later).until) == (1234567, 2345678)
    assert read_cool_sql(later).shape == query.shape
    assert read_cool_sql(BEAMSPOT.replace("USER_TAG_ID=20", "USER_TAG_ID=77")).shape != query.shape
    assert read_cool_sql(BEAMSPOT.replace("CHANNEL_ID=0", "CHANNEL_ID=1")).shape != query.shape
    assert read_cool_sql("SELECT 1 FROM DUAL").shape is None
