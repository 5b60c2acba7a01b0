"""A day with an incident of every kind: each is told, with its names, times and costs."""

import json
import math

import pandas as pd
import pytest

import frontierlab as fl
from benchmarks.incident_scores import is_true
from frontierlab.diagnosis.clearing import cleared
from frontierlab.diagnosis.evidence import CUBES, Evidence
from frontierlab.diagnosis.finding import KINDS, Finding
from frontierlab.diagnosis.pricing import Price, totals
from frontierlab.diagnosis.result import COLUMNS
from frontierlab.errors import Cancelled, InvalidRequestError
from frontierlab.sample.world.incidents import Incident, make_day

SEED, QUERIES = 11, 40_000
PIXEL = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "nodefullpath": "/PIXEL/PixCalib"}
MDT = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_MDT", "nodefullpath": "/MDT/T0BLOB"}
SCT = {"db": "CONDBR2", "schema": "ATLAS_COOLONL_SCT", "nodefullpath": "/SCT/DAQ/Config/Chip"}
DAY = "2026-10-01T"


def incident(kind, since, until, scope, **more):
    return Incident(kind, DAY + since, DAY + until, scope=scope, **more)


PLANTED = (
    incident("iov_flood", "01:00", "03:00", PIXEL, queries=2_500),
    incident("cache_bypass", "04:00", "06:00", MDT | {"computingsite": "CERN"}, queries=2_500),
    incident("slow_database", "07:00", "09:00", {"db": "OFLP200"}, factor=6),
    incident("slow_server", "10:00", "12:30", {"frontierserver": "frontier1.cern.example"}, factor=6),
    incident("rejections", "13:00", "14:00", {"frontierserver": "frontier1.lyon.example"}, factor=0.4),
    incident("failures", "14:30", "16:30", {"frontierserver": "frontier2.cern.example"}, factor=0.4),
    incident("payload_growth", "17:00", "19:00", SCT, factor=8),
    incident("load", "19:30", "20:30", {}, queries=5_000, factor=3, askers=300),
    incident("wrong_iov", "21:00", "22:00", PIXEL, queries=2_000),
    incident("silence", "22:30", "23:30", {}),
)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    return make_day(tmp_path_factory.mktemp("days") / "planted", SEED, QUERIES, incidents=PLANTED)


@pytest.fixture(scope="module")
def diagnosis(day):
    return fl.diagnose(day[0], progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_incident_of_each_kind_is_told(kind, day, diagnosis):
    truth = next(row for row in day[1].to_dict("records") if row["kind"] == kind)
    assert any(is_true(row, truth) for row in diagnosis.incidents.to_dict("records")), str(diagnosis)


@pytest.mark.slow
def test_nothing_else_is_told_and_the_most_costly_is_first(day, diagnosis):
    assert len(diagnosis) == len(PLANTED), str(diagnosis)
    costs = [one.cost for one in diagnosis]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.slow
def test_excess_is_near_the_truth(day, diagnosis):
    truth = day[1].set_index("kind")
    told = diagnosis.incidents.drop_duplicates("kind").set_index("kind")
    for kind, column in (
        ("iov_flood", "excess_queries"),
        ("cache_bypass", "excess_queries"),
        ("wrong_iov", "excess_queries"),
        ("silence", "excess_queries"),
        ("slow_database", "excess_dbtime_ms"),
        ("slow_server", "excess_overhead_ms"),
        ("rejections", "failures"),
        ("failures", "failures"),
        ("payload_growth", "excess_bytes"),
    ):
        near = 0.4 if kind == "silence" else 0.3  # what nobody asked can only be guessed from the hours around
        assert told.loc[kind, column] == pytest.approx(truth.loc[kind, column], rel=near), (kind, column)


@pytest.mark.slow
def test_the_frame_has_the_columns_that_it_promises(diagnosis):
    frame = diagnosis.incidents
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == COLUMNS
    assert frame[["since", "until", "ongoing", "kind", "unit", "share", "confidence", "sentence"]].notna().all().all()
    assert frame["share"].between(0, 1).all()
    assert frame["confidence"].between(0, 1).all()
    assert not frame["ongoing"].any()
    assert (frame["since"] == frame["since"].dt.floor("min")).all()


@pytest.mark.slow
def test_the_selection_of_an_incident_counts_its_queries(day, diagnosis):
    logs = fl.open_logs(day[0])
    for one in diagnosis:
        assert one.selection.of(logs).count() == one.row["queries"], one
        assert one.history["queries"].sum() == one.selection.but(since=None, until=None).of(logs).count()


@pytest.mark.slow
def test_evidence_adds_up_and_everything_can_be_shown(diagnosis, tmp_path):
    one = diagnosis[0]
    evidence = one.evidence()
    parts = [evidence[name] for name in ("before", "during", "after")]
    assert pd.concat(parts)["queries"].sum() == one.history["queries"].sum()
    assert all("fl.filters." in frame.attrs["call"] for frame in evidence.values())
    page = diagnosis.to_html(tmp_path / "page.html")
    assert diagnosis[0].sentence.split(" UTC")[0] in page.read_text()
    one.to_html(tmp_path / "one.html")
    assert json.loads(one.to_json())["kind"] == one.kind
    written = json.loads(diagnosis.to_json(tmp_path / "all.json"))
    assert written == json.loads((tmp_path / "all.json").read_text())
    assert [row["kind"] for row in written["incidents"]] == [*diagnosis.incidents["kind"]]
    assert "incidents" in str(diagnosis)
    assert diagnosis._repr_html_().count("<li>") >= len(diagnosis)
    for written in (diagnosis, one):
        with pytest.raises(InvalidRequestError, match=r"page.pdf cannot be written: .* ends in \.html, such as"):
            written.to_html(tmp_path / "page.pdf")


@pytest.mark.slow
def test_a_selection_is_diagnosed_alone(day):
    chosen = fl.Selection(schema="ATLAS_COOLONL_SCT")
    found = fl.diagnose(day[0], selection=chosen, progress=False)
    assert found.queries == chosen.of(fl.open_logs(day[0])).count()
    assert "payload_growth" in [*found.incidents["kind"]]
    assert all(one.selection.schema == ("ATLAS_COOLONL_SCT",) for one in found)


@pytest.mark.slow
def test_progress_is_told_and_can_stop_it(day):
    words = []
    stages = []

    def note(record):
        words.append(record.message)
        stages.append((record.done, record.total))
        if record.message == "silence":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fl.diagnose(day[0], progress=note)
    assert set(CUBES) <= {*words}
    assert stages == sorted(stages)
    with fl.cancellable() as running:
        running.cancel()
        with pytest.raises(Cancelled):
            fl.diagnose(day[0], progress=False)


@pytest.mark.spark
def test_both_engines_read_the_same(tmp_path, running):
    dataset, _ = make_day(tmp_path / "day", SEED, 3_000, incidents=PLANTED[:2])
    with_duckdb = Evidence(fl.open_logs(dataset), fl.Selection(db="CONDBR2"))
    with_spark = Evidence(fl.open_logs(dataset, session=running), fl.Selection(db="CONDBR2"))
    assert with_spark.answered["engine"] == "spark"
    assert with_spark.clock == with_duckdb.clock
    for name in CUBES:
        ours, theirs = with_duckdb.cubes[name], with_spark.cubes[name]
        order = [column for column in ours if column == "bin" or str(ours[column].dtype) == "string"]
        order += [column for column in ("taskid", "queries") if column in ours]
        ours, theirs = (frame.sort_values(order, ignore_index=True) for frame in (ours, theirs))
        # hundredths of logarithms are rounded down: a logarithm at the limit can differ in its last bit
        pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=0, atol=5)
        whole = [column for column in ours if not column.startswith("log_")]
        pd.testing.assert_frame_equal(ours[whole], theirs[whole])


@pytest.mark.slow
def test_without_queries_there_is_no_diagnosis(tmp_path):
    dataset, _ = make_day(tmp_path / "day", SEED, 500, quiet=True)
    with pytest.raises(InvalidRequestError, match="no queries of the selection"):
        fl.diagnose(dataset, selection=fl.Selection(db="NOWHERE"), progress=False)
    with pytest.raises(InvalidRequestError, match="Selection"):
        fl.diagnose(dataset, selection="all", progress=False)
    assert len(fl.diagnose(dataset, progress=False)) == 0  # too little to tell anything of


@pytest.mark.slow
def test_neighbours_are_tested_and_evenness_is_told(day, diagnosis):
    def texts(kind, frame=None):
        place = next(n for n, one in enumerate(diagnosis) if one.kind == kind)
        rows = diagnosis.cleared if frame is None else frame
        return [*rows["text"][rows["incident"] == place]]

    assert any("The 10 other servers were as usual" in text for text in texts("slow_server")), texts("slow_server")
    assert any("other sites" in text for text in texts("cache_bypass"))
    assert any("even over the 11 servers" in text for text in texts("slow_database"))
    assert any("of the schema" in text for text in diagnosis.cleared["text"])
    totals = diagnosis.explained[diagnosis.explained["kind"] == "total"]
    assert any(text.startswith("Queries of all together") for text in texts("load", totals))
    assert any(text.startswith("Database time of all together") for text in texts("slow_database", totals))


@pytest.mark.slow
def test_a_neighbour_that_is_not_as_usual_is_named(day):
    """A server that is slow beside another one: the scope of the first clears nobody blindly."""
    evidence = Evidence(fl.open_logs(day[0]), fl.Selection())
    frame, bins = evidence.cubes["servers"], evidence.clock.places(evidence.cubes["servers"])
    other = "frontier2.lyon.example"
    odd = (frame["frontierserver"] == other) & (bins >= 120) & (bins < 150)
    frame.loc[odd, "log_overhead"] += 100 * frame.loc[odd, "timed"]  # by e
    scope = {"frontierserver": "frontier1.cern.example"}
    slow = Finding("slow_server", scope, 120, 150, 20.0, 120.0, "ms outside of the database a query", 500.0)
    per_day = totals(evidence.cubes["folders"], evidence.clock)
    told = cleared(slow, [slow], Price.of(slow, evidence, per_day), evidence)
    own, inside = frame["frontierserver"] == other, (bins >= 120) & (bins < 150)
    sums = [frame.loc[own & part, ["log_overhead", "timed"]].sum() for part in (inside, (bins < 119) | (bins >= 151))]
    during, outside = (float(one["log_overhead"] / one["timed"] / 100) for one in sums)
    expected = f"{math.exp(during - outside):.2g}"
    assert any(f"1 was not as usual in that time: {other} ({expected} times)" in text for text in told), told


@pytest.mark.slow
def test_of_a_site_that_floods_no_silence_is_told(tmp_path):
    """Its other queries seem to stop where more is explained than it sent, but a site that asks is not silent."""
    bypass = incident("cache_bypass", "15:15", "16:55", {"computingsite": "OXFORD"}, queries=3_000)
    dataset, _ = make_day(tmp_path / "day", 3, 20_000, incidents=[bypass])
    told = fl.diagnose(dataset, selection=fl.Selection(computingsite="OXFORD"), progress=False).incidents["kind"]
    assert told[0] == "cache_bypass"
    assert "silence" not in set(told)
