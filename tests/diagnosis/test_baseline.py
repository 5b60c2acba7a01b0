"""What is normal can be taken from other datasets, or from an earlier time."""

from datetime import UTC, datetime, timedelta

import pytest

import frontierlab as fl
from benchmarks.incident_scores import is_true
from frontierlab.diagnosis.evidence import Evidence
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.sample.world.incidents import Incident, make_day
from tests.support.logs import make_dataset

QUERIES, WORLD = 12_000, 11
SERVER = "frontier1.cern.example"
SLOW = Incident("slow_server", "2026-10-02T00:00", "2026-10-03T00:00", scope={"frontierserver": SERVER}, factor=6)
SILENT = Incident("silence", "2026-10-02T00:00", "2026-10-03T00:00", scope={"frontierserver": "frontier2.cern.example"})


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A data folder with a calm day, and a day on which two servers are in trouble from its start to its end."""
    settings = fl.Settings(data_dir=tmp_path_factory.mktemp("baseline"))
    make_day(settings, 12, QUERIES, quiet=True, world=WORLD, since="2026-10-01", name="calm")
    make_day(settings, 13, QUERIES, incidents=[SLOW, SILENT], world=WORLD, since="2026-10-02", name="bad")
    return settings


@pytest.fixture(scope="module")
def alone(settings):
    """The diagnosis of the bad day without a baseline."""
    return fl.diagnose("bad", settings=settings, progress=False)


def ms(time):
    return int(time.timestamp() * 1000)


def kinds(diagnosis):
    return {(row["kind"], row["frontierserver"]) for row in diagnosis.incidents.to_dict("records")}


@pytest.mark.slow
@pytest.mark.parametrize("baseline", ["calm", "previous"])
def test_what_lasts_all_day_is_told_against_a_baseline_alone(settings, alone, baseline):
    troubled = {("slow_server", SERVER), ("silence", "frontier2.cern.example")}
    assert not kinds(alone) & troubled
    compared = fl.diagnose("bad", baseline=baseline, settings=settings, progress=False)
    assert kinds(compared) == troubled, str(compared)
    assert "from 2026-10-01 00:00 to 2026-10-02 00:00 UTC of the dataset calm" in compared.notes[0]
    slow = compared.incidents.set_index("kind").loc["slow_server"]
    assert slow["factor"] == pytest.approx(6, rel=0.25)
    assert compared.incidents["queries"].max() <= compared.queries


@pytest.mark.slow
def test_the_normal_of_a_baseline_is_what_its_queries_are(settings):
    """The level of a server's queries is the median of the baseline's hours, as plain pandas counts them."""
    logs, calm = fl.open_logs("bad", settings=settings), fl.datasets.open_dataset("calm", settings).to_pandas()
    evidence = Evidence(logs, fl.Selection(), baseline="calm")
    clock = evidence.clock
    assert (len(clock.before), clock.bins) == (288, 288)
    now, usual = clock.sums(evidence.history({"frontierserver": SERVER}), "queries")
    ours = calm[calm["frontierserver"] == SERVER]
    assert usual.sum() == len(ours)
    by_bin = ours.groupby(ours["time"].dt.floor("5min")).size()
    times = [datetime.fromtimestamp(start / 1000, UTC) for start in clock.before]
    assert usual.tolist() == by_bin.reindex(times, fill_value=0).tolist()
    assert now.sum() == fl.Selection(frontierserver=SERVER).of(logs).count()


def test_a_baseline_that_is_missing_or_cannot_be_one_is_an_error(settings):
    def diagnose(baseline, dataset="bad", **more):
        return fl.diagnose(dataset, baseline=baseline, settings=settings, progress=False, **more)

    with pytest.raises(DatasetError, match=r"No dataset covers the time from 2026-09-25 .* queries: calm"):
        diagnose("weekdays")
    with pytest.raises(DatasetError, match="2026-09-30 00:00 to 2026-10-01"):
        diagnose("previous", "calm")
    with pytest.raises(DatasetError, match="nowhere"):
        diagnose("nowhere")
    with pytest.raises(InvalidRequestError, match="no other time than the one that is diagnosed"):
        diagnose("bad")
    with pytest.raises(InvalidRequestError, match=r'baseline=3: give "previous", "weekdays"'):
        diagnose(3)


@pytest.mark.slow
def test_a_baseline_without_the_selected_queries_is_an_error(tmp_path):
    settings = fl.Settings(data_dir=tmp_path)
    for name, day, schema in (("before", 1, "ATLAS_COOLOFL_SCT"), ("now", 2, "ATLAS_COOLOFL_PIXEL")):
        rows = [{"schema": schema, "time": ms(datetime(2026, 10, day, hour, tzinfo=UTC))} for hour in range(24)]
        make_dataset(tmp_path / "datasets" / name, rows)
    chosen = fl.Selection(schema="ATLAS_COOLOFL_PIXEL")
    with pytest.raises(InvalidRequestError, match=r"no queries of the selection .*says nothing of what is normal"):
        fl.diagnose("now", baseline="before", selection=chosen, settings=settings, progress=False)


@pytest.mark.slow
def test_gaps_of_a_baseline_are_told_and_its_whole_bins_count_alone(tmp_path):
    settings, start = fl.Settings(data_dir=tmp_path), datetime(2026, 10, 1, 0, 2, tzinfo=UTC)
    for name, first, hours in (("before", start, 12), ("now", start + timedelta(days=1, minutes=-2), 24)):
        rows = [{"time": ms(first + timedelta(minutes=minute))} for minute in range(60 * hours)]
        limits = {"since": first.isoformat(), "until": (first + timedelta(hours=hours)).isoformat()}
        make_dataset(tmp_path / "datasets" / name, rows, request=limits)
    found = fl.diagnose("now", baseline="previous", settings=settings, progress=False)
    assert any("cover" in note and "Not covered" in note for note in found.notes), found.notes
    evidence = Evidence(fl.open_logs("now", settings=settings), fl.Selection(), baseline="before")
    assert len(evidence.clock.before) == 12 * 12 - 1  # 00:02 to 12:02 has 143 whole bins
    folders = evidence.cubes["folders"]
    assert folders["queries"][folders["bin"] < evidence.clock.start].sum() == 143 * 5


@pytest.mark.slow
def test_an_incident_of_some_hours_is_true_against_a_baseline_too(settings, tmp_path):
    flood = Incident(
        "iov_flood",
        "2026-10-02T03:00",
        "2026-10-02T05:00",
        scope={"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "nodefullpath": "/PIXEL/PixCalib"},
        queries=1_500,
    )
    day, truth = make_day(tmp_path / "flood", 14, QUERIES, incidents=[flood], world=WORLD, since="2026-10-02")
    found = fl.diagnose(day, baseline="calm", settings=settings, progress=False)
    assert [is_true(row, truth.iloc[0]) for row in found.incidents.to_dict("records")] == [True], str(found)
