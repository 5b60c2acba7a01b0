"""Which jobs are submitted every night."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import JobError
from frontierlab.jobs import periodic
from frontierlab.jobs.periodic import submit_periodic
from frontierlab.jobs.records import JobStore
from tests.support.jobs import written


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
    assert submitted == [[("extraction", "day-2026-10-07"), ("report", "day-2026-10-07")]]
    assert submit_periodic(settings, NIGHT) == []  # what is on its way is not submitted again


def test_the_first_night_extracts_one_day(data_dir, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="catalogue extraction")
    submit_periodic(settings, NIGHT)
    assert submitted == [[("catalogue", None), ("extraction", "day-2026-10-07")]]


def test_missing_days_are_submitted_too(data_dir, export, submitted):
    settings = fl.sample.settings(data_dir=data_dir, periodic="catalogue extraction report")
    fl.extract(settings, name="day-2026-10-03", source=export, progress=False)

    def extraction(day, **fields):
        written(settings, kind="extraction", arguments={"name": f"day-2026-10-0{day}"}, **fields)

    extraction(4, state="failed")
    written(settings, heartbeat=datetime.now(UTC), then=[("extraction", {"name": "day-2026-10-05"})])
    extraction(6, state="succeeded")  # and its dataset was deleted since
    submit_periodic(settings, NIGHT)
    assert submitted == [
        [("report", "day-2026-10-03")],
        [("extraction", "day-2026-10-04"), ("report", "day-2026-10-04")],
        [("extraction", "day-2026-10-07"), ("report", "day-2026-10-07")],
    ]


def test_a_night_that_cannot_be_submitted_does_not_drop_the_others(data_dir, submitted, monkeypatch):
    settings = fl.sample.settings(data_dir=data_dir, periodic="extraction")
    written(settings, kind="extraction", arguments={"name": "day-2026-10-06"}, state="failed")
    submit = periodic.submit_chain

    def refuse(chain, settings):
        if chain[0][1]["name"] == "day-2026-10-06":
            raise JobError("not this one")
        return submit(chain, settings)

    monkeypatch.setattr("frontierlab.jobs.periodic.submit_chain", refuse)
    with pytest.raises(JobError, match="not this one"):
        submit_periodic(settings, NIGHT)
    assert submitted == [[("extraction", "day-2026-10-07")]]
