"""What is said of an incident: what it cost, and whom to tell."""

import pandas as pd
import pytest

from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.words import cost_in_words, tell

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
