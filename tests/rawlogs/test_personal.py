"""Personal data: what is replaced, what stays, and that no text of a person is left."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab import Settings
from frontierlab.errors import ConfigurationError, InvalidRequestError
from frontierlab.rawlogs import FrontierId, Pseudonyms, parse_frontier_id
from frontierlab.settings.redaction import secrets_of

KEY = "a key of the user's own"
SUBJECT = "/DC=ch/DC=cern/OU=Users/CN=jdoe/CN=123456/CN=Jane Doe"
PILOT = f"[31415926_5012345678] 2.9.1 4711 atlprd12(40012) {SUBJECT}"
HASH = re.compile(r"[0-9a-f]{20}")


def test_a_frontier_id_of_a_panda_job():
    assert parse_frontier_id(PILOT) == FrontierId(
        "[31415926_5012345678]", 31415926, 5012345678, "2.9.1", 4711, "atlprd12", "40012", SUBJECT
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("varnish", FrontierId("varnish")),
        ("client 2.8.20 12 joe(500) Joe Doe", FrontierId("client", None, None, "2.8.20", 12, "joe", "500", "Joe Doe")),
        ("SLS_probe 1.0 1 a(1)", FrontierId("SLS_probe", None, None, "1.0", 1, "a", "1", None)),
        ("opportunistic probe 2.8 7 b(2) B", FrontierId("opportunistic probe", None, None, "2.8", 7, "b", "2", "B")),
        ("[1_2]", FrontierId("[1_2]", 1, 2)),
        ("[1_2] cut off", FrontierId("[1_2]", 1, 2, rest="cut off")),
        ("[_] 2.9 1 a(1) b", FrontierId("[_]", None, None, "2.9", 1, "a", "1", "b")),
        ("", FrontierId("")),
        (PILOT[:40], FrontierId("[31415926_5012345678]", 31415926, 5012345678, rest="2.9.1 4711 atlprd1")),
    ],
)
def test_other_frontier_ids(text, expected):
    assert parse_frontier_id(text) == expected


def test_what_is_personal_is_replaced_and_the_job_stays():
    replaced = Pseudonyms(KEY).frontier_id(PILOT)
    assert replaced[:5] == parse_frontier_id(PILOT)[:5]
    assert all(HASH.fullmatch(part) for part in (replaced.account, replaced.uid, replaced.who))
    assert len({replaced.account, replaced.uid, replaced.who}) == 3


def test_hashes_follow_the_key():
    first, again, other = Pseudonyms(KEY), Pseudonyms(KEY.encode()), Pseudonyms("another key")
    assert first.hashed("joe", "account") == again.hashed("joe", "account")
    assert first.hashed("joe", "account") != other.hashed("joe", "account")
    assert first.hashed("joe", "account") != first.hashed("joe", "who")
    assert first.hashed("joe", "account") != first.hashed("joan", "account")
    assert (first.hashed(None, "account"), first.hashed("", "account")) == (None, "")


def test_random_keys_differ_and_travel_to_other_processes():
    first, second = Pseudonyms(), Pseudonyms()
    assert first.hashed("joe", "account") != second.hashed("joe", "account")
    assert pickle.loads(pickle.dumps(first)).hashed("joe", "account") == first.hashed("joe", "account")


def test_hosts_are_equal_wherever_they_stand():
    ours = Pseudonyms(KEY)
    assert (
        ours.forwarded_for("10.1.2.3, 127.0.0.1, 10.1.2.4")
        == f"{ours.host('10.1.2.3')}, 127.0.0.1, {ours.host('10.1.2.4')}"
    )
    assert ours.via("1.1 Squid.site.org:3128 (squid/5.9), 1.0 10.1.2.3") == (
        f"1.1 {ours.host('squid.SITE.org')}:3128, 1.0 {ours.host('10.1.2.3')}"
    )
    assert ours.host("[2001:db8::1]") == ours.host("2001:DB8::1")
    assert [ours.host(own) for own in ("127.0.0.1", "::1", "-", None)] == ["127.0.0.1", "::1", "-", None]
    assert HASH.fullmatch(ours.via("squid.site.org"))


@pytest.mark.parametrize(
    "line",
    [
        f"FrontierProd 11/26/26 12:00:00.123 CET +0100 id=1 raddr 10.1.2.3 frontier-id: {PILOT} via: 1.0 wn.site.org",
        f'10.1.2.3 - - [26/Nov/2026:12:00:00 +0000] "GET /a HTTP/1.0" 200 12 TCP_HIT:HIER_NONE 1 "{PILOT} -" "-"',
        "broken jdoe(40012) Jane Doe",
        "from 2001:db8:0:1::17 and fe80::1:2 to 10.1.2.3",
        f'subject "{SUBJECT}" of jane.doe@cern.ch',
        "CN=Jane Doe, OU=Users, DC=cern",
        "x-forwarded-for: 10.1.2.3, wn12.site.org",
        "Via: 1.0 wn12.site.org:3128",
        '{"message": "start", "X-Forwarded-For":"wn12.site.org", "thread": "7"}',
    ],
)
def test_lines_that_cannot_be_parsed_hold_nothing_personal(line):
    scrubbed = Pseudonyms(KEY).scrubbed(line)
    assert not re.search(r"jdoe|Jane|Doe|40012|10\.1\.2\.3|2001:db8|fe80|site\.org|cern\.ch|CN=", scrubbed)
    assert len(re.findall(HASH, scrubbed)) >= 1


def test_times_and_messages_of_a_line_stay():
    line = "FrontierProd 11/26/26 12:34:56.789 CET +0100 id=12 DB query finished msecs=17 (a) f(x) 3.42 x::y"
    assert Pseudonyms(KEY).scrubbed(line) == line


def test_personal_data_are_kept_only_if_asked_for():
    kept = Pseudonyms(KEY, keep_personal_data=True)
    assert kept.frontier_id(PILOT) == parse_frontier_id(PILOT)
    assert (kept.host("10.1.2.3"), kept.via("1.0 a (b)"), kept.scrubbed(PILOT)) == ("10.1.2.3", "1.0 a (b)", PILOT)
    assert "as they were logged" in kept.remark


def test_the_key_is_a_secret_setting():
    settings = Settings(personal_data_key=KEY)
    ours = Pseudonyms.of(settings)
    assert ours.hashed("joe", "account") == Pseudonyms(KEY).hashed("joe", "account")
    assert "personal_data_key" in ours.remark
    assert KEY in secrets_of(settings)
    for shown in (repr(settings), repr(ours), ours.remark, str(vars(ours))):
        assert KEY not in shown
    assert "kept nowhere" in Pseudonyms.of(Settings()).remark
    with pytest.raises(ConfigurationError, match="at least 16 characters") as error:
        Settings(personal_data_key="short secret")
    assert "short secret" not in str(error.value)
    with pytest.raises(InvalidRequestError, match="key of personal data is empty"):
        Pseudonyms("")


@given(st.text(max_size=300))
def test_any_text_is_replaced(text):
    ours = Pseudonyms(KEY)
    for done in (ours.scrubbed(text), ours.via(text), ours.forwarded_for(text), ours.frontier_id(text).agent):
        assert isinstance(done, str)


@pytest.mark.slow
def test_long_text_is_scrubbed_in_time_that_grows_with_it():
    for text in ("a" * 200_000, "1:" * 100_000, "a.a@" * 50_000, "/C=a" * 50_000, "1.1 " * 50_000, "a(1) " * 10):
        Pseudonyms(KEY).scrubbed(text)
        Pseudonyms(KEY).frontier_id(text)
