"""Incidents of up to 15 hours are told with their change points, and that it is not known which side is usual."""

import pandas as pd
import pytest

import frontierlab as fl
from benchmarks.incident_scores import is_true
from frontierlab.diagnosis.confidence import UNKNOWN_DIRECTION
from frontierlab.sample.world.incidents import Incident, make_day

DAY = "2026-10-01T"
PIXEL = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "nodefullpath": "/PIXEL/PixCalib"}
MDT = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_MDT", "nodefullpath": "/MDT/T0BLOB"}
SCT = {"db": "CONDBR2", "schema": "ATLAS_COOLONL_SCT", "nodefullpath": "/SCT/DAQ/Config/Chip"}
OFFSET = {"db": "COMP200", "schema": "ATLAS_COOLONL_SCT", "nodefullpath": "/SCT/TimeOffset2"}


def lasting(kind, since, scope, **more):
    """Return an incident of 15 hours."""
    until = f"{since + 15:02}:00" if since < 9 else "23:59"
    return Incident(kind, f"{DAY}{since:02}:00", DAY + until, scope=scope, **more)


PLANTED = (
    lasting("iov_flood", 3, PIXEL, queries=2_500),
    lasting("cache_bypass", 4, MDT | {"computingsite": "CERN"}, queries=2_500),
    lasting("slow_database", 1, {"db": "OFLP200"}, factor=4),
    lasting("slow_server", 9, {"frontierserver": "frontier1.cern.example"}, factor=4),
    lasting("rejections", 2, {"frontierserver": "frontier1.lyon.example"}, factor=0.3),
    lasting("failures", 6, {"frontierserver": "frontier2.cern.example"}, factor=0.3),
    lasting("payload_growth", 5, SCT, factor=5),
    lasting("silence", 8, {"frontierserver": "frontier1.ral.example"}),
    lasting("wrong_iov", 7, OFFSET, queries=2_500),
)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    return make_day(tmp_path_factory.mktemp("long") / "day", 22, 25_000, incidents=PLANTED)


@pytest.fixture(scope="module")
def diagnosis(day):
    return fl.diagnose(day[0], progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [one.kind for one in PLANTED])
def test_an_incident_of_15_hours_is_told_with_its_change_points(kind, day, diagnosis):
    truth = next(row for row in day[1].to_dict("records") if row["kind"] == kind)
    row = next((one for one in diagnosis.incidents.to_dict("records") if is_true(one, truth)), None)
    assert row is not None, str(diagnosis)
    assert row["confidence"] <= UNKNOWN_DIRECTION
    assert "which side is usual is not known" in row["sentence"]
    assert f"it changed at {row['since']:%Y-%m-%d %H:%M}" in row["sentence"]
    for edge in ("since", "until"):
        assert abs(row[edge] - truth[edge]) <= pd.Timedelta(minutes=30)


@pytest.mark.slow
def test_nothing_else_is_told_of_a_day_with_long_incidents(day, diagnosis):
    truths = day[1].to_dict("records")
    others = [row for row in diagnosis.incidents.to_dict("records") if not any(is_true(row, one) for one in truths)]
    assert len(others) <= 1, str(diagnosis)


@pytest.mark.slow
def test_with_a_baseline_the_direction_is_known(day, tmp_path):
    calm, _ = make_day(tmp_path / "calm", 31, 25_000, quiet=True, world=22, since="2026-09-30")
    found = fl.diagnose(day[0], baseline=calm, progress=False).incidents
    slow = found[found["kind"] == "slow_server"]
    assert len(slow) == 1
    assert not slow["sentence"].str.contains("not known").any()
    assert (slow["confidence"] > UNKNOWN_DIRECTION).all()
