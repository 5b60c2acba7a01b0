"""The steps of a night: each alone, made up for, of one process at a time, and thinned when they are old."""

from __future__ import annotations

import errno
import json
import time
from datetime import UTC, date, datetime

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab.errors import InvalidRequestError, NightError
from frontierlab.nights.records import NightRecord, NightStore, StepRecord
from frontierlab.nights.steps import STEPS
from frontierlab.util.files import write_text
from tests.support.logs import make_dataset

ALL = "catalogue extraction checks report caching"


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"periodic": (*ALL.split(),)})


def test_the_page_says_which_incidents_came_again(settings, folder):
    store = NightStore(settings.data_dir)
    scope = {"kind": "iov_flood", "severity": "incident", "nodefullpath": "/PIXEL/PixCalib"}
    with store.running():
        for day, tasks in enumerate(([1], [2, 3], []), 1):
            found = [{**scope, "taskid": task, "what": f"A flood of {task}."} for task in tasks]
            found.append({"kind": "load", "severity": "incident", "taskid": day, "what": f"Load {day}."})
            step = StepRecord(state="done", findings=found, facts={"found": len(found)})
            store.write(
                NightRecord(day=date(2026, 10, day), dataset="d", wanted=["diagnosis"], steps={"diagnosis": step})
            )
    page = fl.nights.write_nights_page(settings).read_text()
    for task in (1, 2, 3):
        assert f"A flood of {task}. The same came on 2 of these days." in page
    assert page.count("The same came on") == 3


@pytest.mark.slow
@pytest.mark.usefixtures("few_chapters", "no_beginning")
def test_one_night_makes_all_that_the_setting_names(settings, night, folder):
    more = {"check_failed_per_server": 1, "periodic": (*settings.periodic, "diagnosis")}
    settings = settings.model_copy(update=more)
    done = night(2, settings)
    [record] = done.records
    assert {name: step.state for name, step in record.steps.items()} == dict.fromkeys(settings.periodic, "done")
    assert (record.dataset, done.missing()) == ("nightly-2026-10-01", [])
    dataset = fl.datasets.open_dataset("nightly-2026-10-01", settings)
    queries = dataset.to_pandas()
    failed = queries[queries[["disconn", "rejected", "procerror"]].fillna(False).any(axis=1)]
    hours = failed.groupby([failed["time"].dt.floor("h"), failed["frontierserver"].astype(str)]).size()
    found = [one for one in record.findings if one.get("check") == "failed_per_server"]
    assert {(pd.Timestamp(one["since"]), one["frontierserver"]): one["value"] for one in found} == hours.to_dict()
    assert done.findings == len(record.findings) >= len(found) > 0
    sentences = fl.diagnose(dataset, settings=settings, progress=False).incidents["sentence"].tolist()
    assert [one["what"] for one in record.findings if one["severity"] == "incident"] == sentences
    kept = fl.diagnosis.history.read(settings)
    assert kept["sentence"].tolist() == sorted(sentences)
    assert [one[0] for one in kept.attrs["diagnosed"]] == [record.dataset]
    assert any(text.startswith("hit_ratio could not look: ") for text in record.step("checks").remarks)
    asked = dataset.manifest.request
    assert (asked["since"], asked["until"]) == ("2026-10-01T00:00:00.000Z", "2026-10-02T00:00:00.000Z")
    assert record.step("extraction").facts["queries"] == dataset.counts.kept > 200
    [row] = fl.nights.list_nights(settings).to_dict("records")
    assert (row["state"], row["report"]) == ("complete", "datasets/nightly-2026-10-01/report.html")
    page = (folder / "index.html").read_text()
    assert 'href="../datasets/nightly-2026-10-01/report.html"' in page
    assert f"1 day, 2026-10-01 to 2026-10-01: nothing is missing. Findings and incidents: {done.findings}." in page
    hour = pd.Timestamp(found[0]["since"])
    assert f"{hour:%Y-%m-%d %H:%M} to {hour + pd.Timedelta('1h'):%H:%M} UTC: {found[0]['what']}" in page
    short = settings.model_copy(update={"periodic": ("extraction",), "periodic_keep_days": 1})
    assert night(3, short).thinned == ["nightly-2026-10-01"]
    assert (dataset.path / "report.html").exists()
    assert fl.nights.list_nights(settings)["state"].tolist() == ["complete", "thinned"]
    assert 'href="../datasets/nightly-2026-10-01/report.html"' in (folder / "index.html").read_text()


@pytest.mark.slow
def test_each_step_fails_alone_and_the_next_night_repeats_it(settings, night, steps):
    steps.errors = {"report": RuntimeError("a bug"), "catalogue": OSError(errno.EACCES, "Permission denied")}
    first = night(2, settings)
    assert first.missing() == [
        "2026-10-01, catalogue: Permission denied",
        "2026-10-01, report: RuntimeError: a bug",
    ]
    assert first.records[0].step("caching").state == "done"
    steps.errors.clear()
    steps.calls.clear()
    assert night(3, settings).missing() == []
    assert steps.calls == [("catalogue", 2), ("checks", 2), ("report", 2), ("caching", 2), ("report", 1)]


@pytest.mark.slow
def test_without_a_source_the_night_says_so_and_is_made_up_for(settings, night, steps, tmp_path):
    silent = settings.model_copy(update={"es_address": "127.0.0.1:9", "es_index": ("a",), "es_retry_seconds": 0.0})
    first = night(2, silent, source=tmp_path / "none-%Y-%m-%d.ndjson")
    assert [text.partition(":")[0] for text in first.missing()] == [
        "2026-10-01, extraction",
        "2026-10-01, checks",
        "2026-10-01, report",
        "2026-10-01, caching",
    ]
    assert "none-2026-10-01.ndjson" in first.missing()[0]
    assert steps.calls == [("catalogue", 1)]
    [row] = fl.nights.list_nights(settings).to_dict("records")
    assert (row["state"], row["missing"].count("\n")) == ("incomplete", 3)
    assert night(3, settings).missing() == []


@pytest.mark.slow
def test_a_day_without_queries_is_extracted_again(settings, night, steps, tmp_path, exports):
    export = tmp_path / "dump-2026-10-01.ndjson"
    export.write_text('{"@timestamp": "2026-11-01T00:00:00Z"}\n')
    [missing] = night(2, settings, source=export).missing()
    assert missing.startswith("2026-10-01, extraction: None of 1 documents became a row of nightly-2026-10-01")
    empty = fl.datasets.open_dataset("nightly-2026-10-01", settings)
    assert night(2, settings, source=export).records[0].step("extraction").dataset.split()[0] == empty.manifest.id
    assert night(3, settings).missing() == []
    assert fl.datasets.open_dataset("nightly-2026-10-01", settings).counts.kept > 200
    assert steps.calls[-3:] == [("checks", 1), ("report", 1), ("caching", 1)]


@pytest.mark.slow
def test_only_the_last_days_are_made_up_for(settings, night, steps):
    few = settings.model_copy(update={"periodic_catch_up_days": 3})
    night(2, few)
    assert [record.day.day for record in night(8, few).records] == [7, 5, 6]
    rows = fl.nights.list_nights(few)
    assert rows["state"].tolist() == ["complete"] * 3 + ["absent"] * 3 + ["complete"]
    assert rows["missing"].tolist()[3] == "No night worked on this day."


@pytest.mark.slow
def test_a_step_at_which_its_process_ends_costs_the_other_steps_nothing(settings, night, steps):
    class Killed(BaseException):
        pass

    night(2, settings)
    steps.calls.clear()
    steps.errors = {"report 3": Killed()}
    with pytest.raises(Killed):
        night(4, settings)  # of day 3; day 2 is missing too
    assert steps.calls == [("catalogue", 3), ("checks", 3), ("report", 3)]
    [told] = fl.nights.list_nights(settings)["missing"].head(1)
    assert "report: it began at " in told
    with pytest.raises(Killed):
        night(4, settings)  # as a worker does that takes the job over: what did not fail comes first
    assert steps.calls[3:] == [("checks", 2), ("report", 2), ("caching", 2), ("caching", 3), ("report", 3)]
    assert night(4, settings).missing() == [
        "2026-10-03, report: its process ended 2 times while it was at this step. The log of the worker may say why."
    ]
    assert len(steps.calls) == 8
    steps.errors.clear()
    assert night(5, settings).missing() == []


def test_two_nights_at_once_are_one(settings, night, folder):
    with (
        NightStore(settings.data_dir).running(),
        pytest.raises(NightError, match=r"Another night is at work in .*: process \d+ on .*Wait until it ends"),
    ):
        night(2, settings)
    assert not (settings.data_dir / "datasets").exists()
    assert fl.nights.list_nights(settings).empty


def test_a_night_that_comes_late_changes_nothing(settings, night, steps):
    def late(work):
        """Be stopped for long: another worker takes the job over, and ends the night."""
        original, STEPS["report"] = STEPS["report"], usual
        second.append(night(2, settings, take_over=True))
        STEPS["report"] = original
        return usual.run(work)

    usual, second = STEPS["report"], []
    STEPS["report"] = type(usual)(late, usual.of)  # the fixture brings the old one back
    with pytest.raises(NightError, match="Another process has taken over the nights"):
        night(2, settings)
    assert second[0].missing() == []
    record = NightStore(settings.data_dir).read(date(2026, 10, 1))
    assert {step.state for step in record.steps.values()} == {"done"}
    assert record == second[0].records[0]


def test_a_full_disk_for_the_records_costs_no_step_and_is_told(settings, night, steps, monkeypatch):
    def full(path, text):
        if path.name.startswith("20"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write_text(path, text)

    with monkeypatch.context() as patch:
        patch.setattr("frontierlab.nights.records.write_text", full)
        done = night(2, settings)
    assert {step.state for step in done.records[0].steps.values()} == {"done"}
    [problem] = done.missing()
    assert problem.startswith("2026-10-01: its record ")
    assert fl.nights.list_nights(settings).empty
    steps.calls.clear()
    assert night(2, settings).missing() == []
    assert steps.calls == [("catalogue", 1), ("checks", 1), ("report", 1), ("caching", 1)]
    assert fl.nights.list_nights(settings)["state"].tolist() == ["complete"]


def test_a_page_that_cannot_be_written_is_told(settings, night, steps, folder):
    (folder / "index.html").mkdir(parents=True)
    [problem] = night(2, settings).missing()
    assert problem.startswith("the page of the nights cannot be written: ")


def test_a_damaged_record_is_told_and_made_anew(settings, night, steps, folder):
    night(2, settings)
    (folder / "2026-10-01.json").write_text("{")
    assert fl.nights.list_nights(settings)["state"].tolist() == ["damaged"]
    [problem] = night(2, settings).missing()
    assert "2026-10-01.json of a night is damaged" in problem
    assert night(2, settings).missing() == []


@pytest.mark.slow
def test_a_dataset_that_was_deleted_is_not_extracted_again(settings, night, steps):
    night(2, settings)
    fl.datasets.delete_dataset("nightly-2026-10-01", settings)
    steps.calls.clear()
    assert night(3, settings).missing() == []
    assert {day for _, day in steps.calls} == {2}


@pytest.mark.slow
def test_figures_of_a_replaced_dataset_are_made_again(settings, night, steps, exports):
    night(2, settings)
    fl.datasets.delete_dataset("nightly-2026-10-01", settings)
    steps.calls.clear()
    fl.extract(settings, name="nightly-2026-10-01", source=exports.replace("%Y-%m-%d", "2026-10-01"), progress=False)
    night(2, settings)
    assert steps.calls == [("checks", 1), ("report", 1), ("caching", 1)]


@pytest.mark.slow
def test_days_of_the_former_version_keep_their_name(settings, night, steps):
    make_dataset(settings.data_dir / "datasets" / "day-2026-10-04", [{}])
    assert night(6, settings).records[1].dataset == "day-2026-10-04"
    assert ("report", 4) in steps.calls
    assert not (settings.data_dir / "datasets" / "nightly-2026-10-04").exists()


@pytest.mark.slow
def test_only_complete_nights_of_datasets_that_nights_made_are_thinned(settings, night, steps, exports):
    keep = settings.model_copy(update={"periodic_keep_days": 2})

    def by_a_user(day):
        source = exports.replace("%Y-%m-%d", f"2026-10-0{day}")
        fl.extract(settings, name=f"nightly-2026-10-0{day}", source=source, progress=False)

    by_a_user(1)
    night(2, keep)
    night(3, keep)  # made by the night, and renamed by a user to keep it
    fl.datasets.rename_dataset("nightly-2026-10-02", "kept", settings)
    steps.errors = {"caching": RuntimeError("a bug")}
    night(4, keep)  # not complete
    steps.errors.clear()
    few = keep.model_copy(update={"periodic_catch_up_days": 1})
    night(5, few)
    night(7, few)
    assert night(8, few).thinned == ["nightly-2026-10-04"]
    kept = fl.nights.list_nights(settings).set_index("dataset")["kept"]
    assert kept["nightly-2026-10-01"] == "its dataset was not made by a night"
    assert kept["nightly-2026-10-03"] == "not done: caching"
    states = fl.datasets.list_datasets(settings).set_index("name")["state"]
    assert states[states == "thinned"].index.tolist() == ["nightly-2026-10-04"]
    assert len(states) == 6


@pytest.mark.slow
def test_a_night_of_a_wrong_date_removes_no_rows(settings, night, steps):
    settings = settings.model_copy(update={"periodic_keep_days": 3})
    for day in (2, 3):
        night(day, settings)
    ahead = fl.nights.run(settings, now=datetime(2036, 10, 3, tzinfo=UTC), source="none-%Y.ndjson", progress=False)
    assert (ahead.thinned, night(4, settings).thinned) == ([], [])
    assert set(fl.datasets.list_datasets(settings)["state"]) == {"complete"}


def test_a_night_without_steps_names_the_valid_ones(data_dir):
    with pytest.raises(InvalidRequestError, match=r"The setting periodic names no step of the night. Valid: catalogue"):
        fl.nights.run(fl.sample.settings(data_dir=data_dir), now=datetime(2026, 10, 2, tzinfo=UTC))


def test_a_record_keeps_no_more_than_json(settings, night, steps, folder):
    night(2, settings)
    text = json.loads((folder / "2026-10-01.json").read_text())
    assert text["steps"]["extraction"]["facts"]["read"] == 300
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "2026-10-01.json",
        "index.html",
    ]


@pytest.mark.slow
def test_an_earlier_dataset_that_is_no_night_s_costs_the_checks_nothing(settings, night, exports):
    settings = settings.model_copy(update={"periodic": ("extraction", "checks")})
    for name, file, more in (("01", "01", {"cached": False}), ("02", "03", {}), ("03", "03", {})):
        source = exports.replace("%Y-%m-%d", f"2026-10-{file}")
        fl.extract(settings, name=f"nightly-2026-10-{name}", source=source, progress=False, **more)
    next((settings.data_dir / "datasets" / "nightly-2026-10-03").glob("parts/*/*.parquet")).unlink()
    few = settings.model_copy(update={"periodic_catch_up_days": 1})
    step = night(5, few).records[0].step("checks")
    assert step.state == "done"
    assert not any(text.startswith(("threads could", "long_queries could")) for text in step.remarks)
    told = [text for text in step.remarks if text.startswith("Not compared with")]
    assert told[0].startswith(
        "Not compared with nightly-2026-10-03: Files of the dataset nightly-2026-10-03 are missing"
    )
    assert told[1].startswith("Not compared with nightly-2026-10-02: it has another time, from 2026-10-03 00:1")
    assert told[2:] == ["Not compared with nightly-2026-10-01: it has only queries with not cached."]


def test_no_secret_is_in_what_a_night_tells(settings, night, steps, folder):
    settings = fl.Settings(**{**settings.model_dump(), "es_user": "me", "es_pswd": "hidden-word"})
    steps.errors = {"report": RuntimeError("GET https://me:hidden-word@es:9200 failed")}
    assert night(2, settings).missing() == ["2026-10-01, report: RuntimeError: GET https://me:…@es:9200 failed"]
    for name in ("2026-10-01.json", "index.html"):
        text = (folder / name).read_text()
        assert "@es:9200 failed" in text
        assert "hidden-word" not in text


def test_the_time_of_a_night_without_a_zone_is_utc(settings, steps, exports, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        done = fl.nights.run(settings, now=datetime(2026, 10, 2, 2), source=exports, progress=False)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (done.date, done.records[0].day) == (date(2026, 10, 2), date(2026, 10, 1))
