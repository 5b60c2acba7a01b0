"""A week of nights, with a clock that is turned: two missed days, a failing COOLR, a full disk."""

from __future__ import annotations

import errno
import os
import re

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab.errors import Thinned
from frontierlab.storage.parts import SliceWriter
from tests.nights.conftest import world, write_exports
from tests.services.coolr import Trouble

KEYS = ["db", "schema", "nodefullpath", "tagname"]
STEPS = ("catalogue", "extraction", "caching")
QUERIES = 60  # a night counts each folder by itself, so fewer queries, which have fewer folders, cost less


def states(done):
    """Return the states of the steps of each day that a night looked at."""
    return {record.day.day: {name: record.step(name).state for name in record.wanted} for record in done.records}


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """The pattern of export files of the same days, of fewer documents."""
    return write_exports(tmp_path_factory.mktemp("week"), QUERIES)


@pytest.fixture
def night(night):
    """Do a night, before which the catalogue becomes a day older."""

    def run(day, settings, **more):
        if (path := settings.catalogue_path).exists():
            earlier = path.stat().st_mtime - 86_400
            os.utime(path, (earlier, earlier))
        return night(day, settings, **more)

    return run


@pytest.mark.slow
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_week_ends_as_it_should(data_dir, night, coolr, monkeypatch):
    settings = fl.Settings(
        data_dir=data_dir,
        coolr_host=coolr.host,
        coolr_refresh_hours=12,
        coolr_answer_seconds=2,
        coolr_timeout=5,
        periodic=" ".join(STEPS),
        periodic_keep_days=5,
    )
    all_done = dict.fromkeys(STEPS, "done")
    days_done = dict.fromkeys(STEPS[1:], "done")

    assert states(night(2, settings)) == {1: all_done}  # the first night

    # the machine is off on the 3rd and the 4th
    back = night(5, settings)
    assert [record.day.day for record in back.records] == [4, 1, 2, 3]  # yesterday first
    assert states(back) == {4: all_done, 1: all_done, 2: days_done, 3: days_done}
    assert back.missing() == []

    coolr.troubles.append(Trouble(hang_up=True))
    without = night(6, settings)
    assert states(without)[5] == {"catalogue": "failed", "extraction": "done", "caching": "partial"}
    told = "\n".join(without.missing())
    assert re.search(r"2026-10-05, catalogue: COOLR gave nothing", told)
    assert re.search(r"2026-10-05, caching: .* folders and tags have no payload figures, the first: COOLR", told)
    coolr.troubles.clear()

    with monkeypatch.context() as patch:

        def full(self, rows):
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(SliceWriter, "write", full)
        stopped = night(7, settings)
    assert states(stopped)[6] == {"catalogue": "done", "extraction": "failed", "caching": "waiting"}
    assert states(stopped)[5] == all_done  # made up for
    told = "\n".join(stopped.missing())
    assert re.search(r"2026-10-06, extraction: .*the disk of .* is full .*make room there", told)
    assert "2026-10-06, caching: there is no complete dataset nightly-2026-10-06, see extraction." in told

    last = night(8, settings)
    assert states(last)[7] == states(last)[6] == all_done
    again = night(8, settings, source="nowhere")
    assert last.missing() == again.missing() == []  # nothing is done again
    # days are kept as of the last one with queries, which the 5th was when the last night began
    thinned = ["nightly-2026-10-01"], [], ["nightly-2026-10-02"]
    assert (stopped.thinned, last.thinned, again.thinned) == thinned

    week = fl.datasets.period("nightly-*", settings=settings)
    assert (week.notes, len(week.datasets)) == ([], 7)
    kept = [world(day, QUERIES).counts["kept"] for day in range(1, 8)]
    assert fl.filters.queries_per_db(week)[["cached", "not_cached", "unknown"]].to_numpy().sum() == sum(kept)
    with pytest.raises(Thinned, match="nightly-2026-10-01 has no rows any more"):
        fl.filters.cost_per_task(week)

    history = fl.caching.history.read(settings)
    assert history["dataset"].unique().tolist() == [f"nightly-2026-10-0{day}" for day in range(1, 8)]
    assert not history["problem"].str.contains("no whole answer|not called").any()  # what COOLR did not answer
    fifth = history[history["dataset"] == "nightly-2026-10-05"].set_index(KEYS).sort_index()
    now = fl.caching.efficiency("nightly-2026-10-05", settings, progress=False).set_index(KEYS).sort_index()
    assert fifth["different_payloads_iov"].equals(now["different_payloads_iov"])
    assert now["different_payloads_iov"].notna().sum() > 20

    nights = fl.nights.list_nights(settings)
    assert nights["day"].tolist() == [*pd.date_range("2026-10-07", periods=7, freq="-1D", tz="UTC")]
    assert nights["state"].tolist() == ["complete"] * 5 + ["thinned"] * 2
    assert "catalogue: Done by a later night, because COOLR gave nothing" in nights["remarks"][2]
    assert "extraction: The catalogue is of " in nights["remarks"][2]
    assert nights["queries"].tolist() == kept[::-1]
    assert max(kept) <= QUERIES
    page = (data_dir / "nights/index.html").read_text()
    assert "7 days, 2026-10-01 to 2026-10-07: nothing is missing. Findings and incidents: 0." in page
    assert page.count("COOLR gave nothing") == 2
    assert "<script" not in page
