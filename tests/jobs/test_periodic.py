"""Which jobs are submitted every night."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import JobError
from frontierlab.jobs import periodic
from frontierlab.jobs.periodic import submit_periodic
from frontierlab.jobs.records import JobStore
from frontierlab.util.times import parse_time, to_milliseconds
from tests.support.jobs import written
from tests.support.logs import make_dataset


@pytest.fixture
def submitted(monkeypatch):
    """Chains that `submit_periodic` submits; their jobs stay queued."""
    chains = []

    def submit(chain, settings):
        chains.append([(kind, given.get("name") or given.get("dataset")) for kind, given in chain])
        (kind, given), *rest = chain
        record = JobStore(settings).create(kind=kind, arguments=given, backend="thread", then=rest)
        return jobs.open_job(record.id, settings)

    monkeypatch.setattr("frontierlab.jobs.periodic.submit_chain", submit)
    return chains


NIGHT = datetime(2026, 10, 8, 2, tzinfo=UTC)


def test_a_catalogue_refreshed_by_hand_does_not_drop_the_night(data_dir, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="catalogue extraction report")
    written(settings, state="running", heartbeat=datetime.now(UTC))
    assert len(submit_periodic(settings, NIGHT)) == 1
    assert submitted == [[("extraction", "nightly-2026-10-07"), ("report", "nightly-2026-10-07")]]
    assert submit_periodic(settings, NIGHT) == []  # what is on its way is not submitted again


def test_the_first_night_extracts_one_day(data_dir, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="catalogue extraction")
    submit_periodic(settings, NIGHT)
    assert submitted == [[("catalogue", None), ("extraction", "nightly-2026-10-07")]]


def test_missing_days_are_submitted_too(data_dir, export, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="catalogue extraction report")
    fl.extract(settings, name="nightly-2026-10-03", source=export, progress=False)

    def extraction(day, **fields):
        written(settings, kind="extraction", arguments={"name": f"nightly-2026-10-0{day}"}, **fields)

    extraction(4, state="failed")
    written(settings, heartbeat=datetime.now(UTC), then=[("extraction", {"name": "nightly-2026-10-05"})])
    extraction(6, state="succeeded")  # and its dataset was deleted since
    submit_periodic(settings, NIGHT)
    assert submitted == [
        [("report", "nightly-2026-10-03")],
        [("extraction", "nightly-2026-10-04"), ("report", "nightly-2026-10-04")],
        [("extraction", "nightly-2026-10-07"), ("report", "nightly-2026-10-07")],
    ]


def test_a_night_that_cannot_be_submitted_does_not_drop_the_others(data_dir, submitted, monkeypatch):
    settings = fl.sample.settings(data_dir=data_dir, periodic="extraction")
    written(settings, kind="extraction", arguments={"name": "nightly-2026-10-06"}, state="failed")
    submit = periodic.submit_chain

    def refuse(chain, settings):
        if chain[0][1]["name"] == "nightly-2026-10-06":
            raise JobError("not this one")
        return submit(chain, settings)

    monkeypatch.setattr("frontierlab.jobs.periodic.submit_chain", refuse)
    with pytest.raises(JobError, match="not this one"):
        submit_periodic(settings, NIGHT)
    assert submitted == [[("extraction", "nightly-2026-10-07")]]


def worker(settings, fails=()):
    """Do the queued jobs as a worker does: an extraction makes the dataset, unless its day is one of `fails`."""
    for job in reversed(jobs.jobs(settings)):
        while job is not None and job.state == "queued":
            record, given = job.record(), job.record().arguments
            failed = given.get("name", "") in fails
            if record.kind == "extraction" and not failed:
                days = {name: given[name] for name in ("since", "until")}
                queries = [{"time": to_milliseconds(parse_time(days["since"])) + 3_600_000 * n} for n in range(24)]
                make_dataset(settings.data_dir / "datasets" / given["name"], queries, request=days)
            with JobStore(settings).changing(job.id) as mine:
                mine.state = "failed" if failed else "succeeded"
            job = (
                None
                if failed or not record.then
                else written(settings, kind=record.then[0][0], arguments=record.then[0][1], then=record.then[1:])
            )


def test_every_night_makes_a_day_of_a_period(data_dir, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="extraction caching report")
    for night in range(15):
        if night not in (3, 4, 9):  # the machine that submits is away
            submit_periodic(settings, NIGHT + timedelta(days=night, minutes=17))
        if night != 6:  # no worker runs
            worker(settings, fails=["nightly-2026-10-12"] if night in (5, 7) else [])
    period = fl.datasets.period("nightly-*", settings=settings)
    assert [one.name for one in period.datasets] == [f"nightly-2026-10-{day:02}" for day in range(7, 22)]
    assert (period.notes, period.is_whole, period.counts.kept) == ([], True, 15 * 24)
    steps = [step for chain in submitted for step in chain]
    again = [step for step in steps if step[1] == "nightly-2026-10-12"]
    assert [kind for kind, _ in again].count("extraction") == 3  # two of them failed
    assert len(steps) == 15 * 3 + 2 * 3
    assert submit_periodic(settings, NIGHT + timedelta(days=14, hours=3)) == []


def test_days_older_than_a_week_are_left_out(data_dir, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="extraction")
    submit_periodic(settings, NIGHT)
    worker(settings)
    submit_periodic(settings, NIGHT + timedelta(days=30))
    days = [name for chain in submitted[1:] for _, name in chain]
    assert days == [f"nightly-2026-{day}" for day in ("10-31", *(f"11-0{n}" for n in range(1, 7)))]  # oldest first


def test_two_beats_at_once_submit_a_day_once(data_dir, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="extraction report")
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(lambda _: submit_periodic(settings, NIGHT), range(8))]
    assert sorted(map(len, found)) == [0] * 7 + [1]
    assert len(submitted) == 1


def test_days_of_the_former_version_are_not_extracted_again(data_dir, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="extraction report")
    make_dataset(data_dir / "datasets" / "day-2026-10-04", [{}])
    make_dataset(data_dir / "datasets" / "day-2026-10-05", [{}], missing=1)
    written(settings, kind="extraction", arguments={"name": "day-2026-10-06"}, state="succeeded")  # deleted since
    submit_periodic(settings, NIGHT)
    assert submitted == [
        [("report", "day-2026-10-04")],
        [("extraction", "day-2026-10-05"), ("report", "day-2026-10-05")],
        [("extraction", "nightly-2026-10-07"), ("report", "nightly-2026-10-07")],
    ]
