"""Incidents that are likely consequences of one another are one event; what only happens at the same time is not."""

import pandas as pd
import pytest

from frontierlab.diagnosis.events import causes_of, consequences, events_of
from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.pricing import CURRENCIES, Price

WHOLE = pd.DataFrame(dict.fromkeys(CURRENCIES, [100.0] * 288))
PIXEL = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "nodefullpath": "/PIXEL/PixCalib"}
CERN, LYON = ({"frontierserver": f"frontier1.{place}.example"} for place in ("cern", "lyon"))


def told(kind, scope, start=120, stop=132, share=0.5):
    """Return an incident that costs this share of everything in its time."""
    excess = dict.fromkeys(CURRENCIES, share * 100.0 * (stop - start))
    currency = {"rejections": "failures", "failures": "failures", "slow_server": "overhead"}.get(kind, "queries")
    price = Price(WHOLE, 1_000.0, excess, dict.fromkeys(CURRENCIES, 0.1), currency)
    return Finding(kind, scope, start, stop, 10.0, 100.0, "queries", 100.0), price


def events(*incidents):
    return events_of(causes_of(incidents, WHOLE))


LOAD, BUSY = told("load", {"taskid": 7}), told("rejections", {})


def test_a_load_its_slow_servers_and_rejections_are_one_event_and_the_cause_is_the_first_in_the_chain():
    day = [BUSY, told("slow_server", {}), told("slow_database", {}), LOAD, told("failures", {"taskid": 9})]
    causes = causes_of(day, WHOLE)
    assert causes == [3, 3, 3, None, 2]  # the load is another task's: its queries are not those that failed
    assert events_of(causes) == [1, 1, 1, 1, 1]
    rows = consequences([finding for finding, _ in day], causes)
    assert [row["incident"] for row in rows] == [3, 3, 3, 2]
    assert rows[0]["text"] == "Incident 1, rejections (all servers): likely a consequence of the load"


@pytest.mark.parametrize(
    "other",
    [
        told("rejections", {}, 140, 150),  # later
        told("rejections", {}, 114, 128),  # it begins first
        told("rejections", {}, 120, 150),  # it lasts much longer
        told("silence", CERN),  # no consequence of a load
        told("wrong_iov", PIXEL | {"taskid": 8}),  # of another task
        told("iov_flood", PIXEL, 120, 140),  # perhaps of another task: the times differ
        told("failures", {"taskid": 8}),
    ],
)
def test_what_does_not_fit_is_another_event(other):
    assert events(LOAD, other) == [1, 2]


def test_a_flood_of_no_task_that_begins_and_ends_with_a_load_is_part_of_it():
    assert events(LOAD, told("iov_flood", PIXEL)) == [1, 1]


def test_a_small_incident_explains_no_busy_servers():
    assert events(told("load", {"taskid": 7}, share=0.05), BUSY) == [1, 2]


def test_a_slow_server_explains_only_its_own_rejections():
    assert events(told("slow_server", CERN), told("rejections", CERN)) == [1, 1]
    assert events(told("slow_server", CERN), told("rejections", LYON)) == [1, 2]
    assert events(told("slow_server", CERN), BUSY) == [1, 2]


def test_queries_for_a_folder_slow_down_its_own_database_alone():
    flood = told("iov_flood", PIXEL | {"taskid": 7})
    assert events(flood, told("slow_database", {"schema": "ATLAS_COOLOFL_PIXEL"})) == [1, 1]
    assert events(flood, told("slow_database", {"schema": "ATLAS_COOLOFL_MDT"})) == [1, 2]
    assert events(LOAD, flood, told("slow_database", {"schema": "ATLAS_COOLOFL_PIXEL"})) == [1, 1, 1]


@pytest.mark.slow
def test_the_sample_tells_its_overload_as_one_event(sample_diagnosis, tmp_path):
    diagnosis = sample_diagnosis
    frame = diagnosis.incidents
    event = frame.loc[frame["kind"] == "rejections", "event"].iloc[0]
    assert {"load", "slow_server", "rejections"} <= set(frame.loc[frame["event"] == event, "kind"])
    assert frame["event"].nunique() < len(frame)
    consequence = next(one for one in diagnosis if one.cause is not None)
    assert f"Likely a consequence of incident {consequence.cause + 1}." in str(diagnosis)
    page = diagnosis.to_html(tmp_path / "page.html").read_text("utf-8")
    assert f'<a href="#incident-{consequence.cause + 1}">{consequence.belongs_to}</a>' in page
    assert "consequence" not in consequence.to_html(tmp_path / "one.html").read_text("utf-8")
