"""The scores of a diagnosis: which rows are true, which incidents count."""

import pandas as pd
import pytest

from benchmarks.diagnosis import REPORT, seeds
from benchmarks.incident_scores import SCOPE, Scores

FOLDER = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_SCT", "nodefullpath": "/SCT/Sensors"}


def at(hour):
    return pd.Timestamp("2026-10-01", tz="UTC") + pd.Timedelta(hours=hour)


def incident(kind="iov_flood", scope=FOLDER, since=9.0, until=12.0, also=(), **figures):
    row = {"since": at(since), "until": at(until), "kind": kind, **dict.fromkeys(SCOPE), **scope}
    return row | {"cost": 0.1, "queries": 500, "strength": 50.0, "accepted": [dict(scope), *also]} | figures


def scored(told, truth):
    scores = Scores()
    columns = ["since", "until", "kind", *SCOPE, "confidence"]
    scores.add(pd.DataFrame(told, columns=columns), pd.DataFrame(truth, columns=[*incident()]), 1.0)
    return scores


def test_the_truth_itself_is_all_found_and_all_true():
    truth = [incident(), incident("slow_server", {"frontierserver": "frontier1.cern.example"})]
    scores = scored([row | {"confidence": 0.95} for row in truth], truth)
    table = scores.table().set_index("kind")
    assert table.loc["all", ["incidents", "found", "told", "true"]].tolist() == [2, 2, 2, 2]
    assert scores.edges == [0, 0, 0, 0]
    assert "Confidence 0.95 to 1.0 (on average 95%): 100% of 2 rows are true." in scores.sentences()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"kind": "cache_bypass"}, "another kind"),
        ({"nodefullpath": "/SCT/Derived"}, "another scope"),
        ({"computingsite": "CERN"}, "another scope"),
        ({"since": at(7), "until": at(10)}, "another time"),
        ({"since": at(13), "until": at(14)}, "not told"),
    ],
)
def test_a_row_that_differs_is_false_and_says_why(told, why):
    scores = scored([incident() | told], [incident()])
    table = scores.table().set_index("kind")
    assert table.loc["all", ["found", "true"]].tolist() == [0, 0]
    assert table.loc["iov_flood", "missed because"] == f"{why} 1"


def test_an_accepted_scope_and_half_of_the_time_are_enough():
    told = incident(scope=FOLDER | {"tagname": "one"}, since=10.5, until=12)
    scores = scored([told], [incident(also=[FOLDER | {"tagname": "one"}])])
    assert scores.table().set_index("kind").loc["all", "found"] == 1
    assert scores.edges == [18, 0]


def test_a_second_row_for_an_incident_is_false():
    table = scored([incident(), incident(since=9.5)], [incident()]).table().set_index("kind")
    assert table.loc["all", ["told", "true"]].tolist() == [2, 1]


def test_a_row_after_the_first_ten_is_true_but_does_not_find():
    others = [incident("load", {}, since=hour, until=hour + 1) for hour in range(10)]
    table = scored([*others, incident()], [incident()]).table().set_index("kind")
    assert table.loc["iov_flood", ["found", "true"]].tolist() == [0, 1]


@pytest.mark.parametrize("faint", [{"cost": 0.019}, {"queries": 49}, {"strength": 9.9}])
def test_a_faint_incident_does_not_count_but_a_row_for_it_is_true(faint):
    table = scored([incident()], [incident(**faint)]).table().set_index("kind")
    assert table.loc["all", ["incidents", "faint", "faint found", "told", "true"]].tolist() == [0, 1, 1, 1, 1]


def test_rows_on_quiet_days_are_counted():
    scores = scored([incident()], [])
    assert scores.quiet == [1]
    assert scores.table().set_index("kind").loc["all", "share true"] == 0


def test_seeds_of_reports_are_never_tuned_with():
    assert not {*seeds(999, report=False)} & {*seeds(10_000, report=True)}
    assert seeds(40, report=True)[0] == REPORT
    assert seeds(3, report=True, first=REPORT + 7) == range(REPORT + 7, REPORT + 10)
    with pytest.raises(ValueError, match="--first 9999 is no such seed"):
        seeds(3, report=True, first=9_999)
    with pytest.raises(ValueError, match="999 days to tune with"):
        seeds(1_000, report=False)
