"""What is said of an incident: what it cost, and whom to tell."""

import pandas as pd
import pytest

from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.words import always, cost_in_words, sentence, separate, tell

SHARES = {"queries": 0.09, "dbtime": 0.2, "overhead": 0.1, "bytes": 0.05, "failures": 0.31}


def finding(kind: str, **scope: object) -> Finding:
    return Finding(kind, scope, 0, 12, 10, 100, "queries", 50)


@pytest.mark.parametrize(
    ("kind", "currency", "hours", "said"),
    [
        ("load", "failures", 24, "It cost 9.0% of the day's queries, and 31.0% of its failed queries."),
        ("iov_flood", "dbtime", 24, "It cost 20.0% of the day's database time."),
        ("failures", "failures", 3, "It cost 31.0% of all failed queries in these data."),
        ("load", "failures", 3, "It cost 9.0% of all queries, and 31.0% of all failed queries in these data."),
        ("wrong_iov", "bytes", 168, "It cost 20.0% of an average day's database time, and 5.0% of its bytes."),
    ],
)
def test_the_cost_is_told_in_the_currency_of_the_kind_too(kind: str, currency: str, hours: int, said: str) -> None:
    assert cost_in_words(kind, SHARES, currency, pd.Timedelta(hours=hours)) == said


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (24, "It cost 9.0% of the selection's queries, and 31.0% of its failed queries."),
        (3, "It cost 9.0% of the selection's queries, and 31.0% of its failed queries in these data."),
        (168, "It cost 9.0% of the selection's queries, and 31.0% of its failed queries on an average day."),
    ],
)
def test_the_cost_within_a_selection_is_a_share_of_the_selection(hours: int, said: str) -> None:
    assert cost_in_words("load", SHARES, "failures", pd.Timedelta(hours=hours), selected=True) == said


@pytest.mark.parametrize("kind", ["slow_database", "slow_server", "payload_growth"])
def test_a_factor_and_a_cost_say_what_each_is_of(kind: str) -> None:
    own = {"slow_database": "dbtime", "slow_server": "overhead", "payload_growth": "bytes"}[kind]
    unit = "bytes an answer" if own == "bytes" else "ms a query"
    one = Finding(kind, {"schema": "A"}, 0, 12, 4.0, 24.0, unit, 50)
    time = pd.Timestamp("2026-10-01", tz="UTC")
    sums = {own: (7_600_000.0, 1_000_000.0)}
    cost = cost_in_words(kind, SHARES, own, pd.Timedelta(hours=24), sums)
    said = sentence(one, time, time + pd.Timedelta(hours=1), None, cost, 100)
    assert f"6.0 times {'as large as' if own == 'bytes' else 'the'} usual" in said
    assert f"(geometric means: 24.00 {unit.split()[0]}, normal 4.00)" in said
    amounts = "7.6 MB, expected 1.0 MB" if own == "bytes" else "7,600 s, expected 1,000 s"
    assert said.endswith(f" (in all {amounts}).")


@pytest.mark.parametrize(
    ("causes", "said"),
    [
        ([], "0 incidents"),
        ([None], "1 incident"),
        ([None, None], "2 incidents, all separate events,"),
        ([None, 0, None, 0], "4 incidents of 2 separate events (2 and 4 likely follow from 1)"),
        ([None, 2, None, 0], "4 incidents of 2 separate events (4 likely follows from 1; 2 likely follows from 3)"),
        ([3, 3, 3, None], "4 incidents of one event (1, 2 and 3 likely follow from 4)"),
    ],
)
def test_it_is_said_which_incidents_are_separate_events(causes: list[int | None], said: str) -> None:
    assert separate(causes) == said


def test_what_is_bad_all_the_time_is_told_in_the_text_but_not_all_of_it() -> None:
    assert always([]) == ()
    assert always(["A."]) == ("Bad all the time, and so no incident of this time: A.",)
    assert always(["A.", "B.", "C.", "D.", "E."])[0].endswith(" A. B. C. And 2 more.")


@pytest.mark.parametrize(
    ("what", "who"),
    [
        (finding("rejections"), "the administrators of the servers"),
        (finding("slow_server", frontierserver="atlasfrontier3"), "the administrators of the server atlasfrontier3"),
        (finding("cache_bypass", squid="squid1"), "the administrators of the Squid squid1"),
        (finding("failures", computingsite="CERN", taskid=7), "the owners of the task 7"),
        (finding("failures", computingsite="CERN"), "the administrators of the site CERN"),
        (finding("load"), "the owners of the tasks, and those who run Frontier"),
    ],
)
def test_who_is_told_is_named(what: Finding, who: str) -> None:
    assert tell(what, {}) == who
