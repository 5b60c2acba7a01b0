"""COOLR decides whether a flood of different IOVs asked for few payloads, and says which grid would help."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

import frontierlab as fl
from frontierlab.coolr.calls import Unavailable
from frontierlab.coolr.responses import PAYLOADS
from frontierlab.diagnosis import Diagnosis

PIXEL = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "nodefullpath": "/PIXEL/PixCalib"}
TAG = "PixCalib-RUN2-DATA-UPD4-12"
HOUR = {"since": "2026-10-01T09:55", "until": "2026-10-01T10:55"}


class Coolr:
    """A COOLR of one folder that has these rows, or does not answer; it notes what it was asked for."""

    def __init__(self, rows: pa.Table | None = None) -> None:
        self.rows = rows
        self.asked: list[Any] = []

    def payloads(self, *names: Any) -> pa.Table:
        self.asked.append(names)
        if self.rows is None:
            raise Unavailable("COOLR sleeps.")
        return self.rows


@pytest.fixture
def settings(sample_settings: fl.Settings) -> fl.Settings:
    return sample_settings


@pytest.mark.slow
def test_a_flood_is_told_with_its_payloads_and_the_grid_that_helps(
    sample_dataset: fl.Dataset, settings: fl.Settings, sample_diagnosis: Diagnosis
) -> None:
    (flood,) = (one for one in sample_diagnosis if one.kind == "iov_flood")
    names = {name: flood.row[name] for name in (*PIXEL, "tagname")}
    assert names == {**PIXEL, "tagname": TAG}
    figures = (
        fl.caching.efficiency(sample_dataset, settings, [(*PIXEL.values(),)], selection=flood.selection, progress=False)
        .set_index("tagname")
        .loc[TAG]
    )
    assert flood.row["payloads"] == figures["different_payloads_iov"] > 0
    asked = figures["different_queries"] - figures["different_empty_queries"]
    assert f"Its {asked:,} different queries with an answer had {flood.row['payloads']:,} different" in flood.sentence
    helps = fl.caching.what_if(sample_dataset, settings, selection=flood.selection, **names)
    assert flood.advice.endswith(helps.attrs["advice"])


@pytest.mark.slow
def test_a_silent_coolr_costs_the_diagnosis_nothing_else(sample_dataset: fl.Dataset, settings: fl.Settings) -> None:
    silent = Coolr()
    found = fl.diagnose(sample_dataset, settings=settings, coolr=silent, progress=False)
    alone = fl.diagnose(sample_dataset, progress=False)  # these settings name no COOLR
    pd.testing.assert_frame_equal(found.incidents, alone.incidents)
    assert "iov_flood" in set(found.incidents["kind"])
    assert found.incidents["payloads"].isna().all()
    (note,) = {*found.notes} - {*alone.notes}
    assert note.startswith(f"COOLR does not say how many payloads {' '.join([*PIXEL.values(), TAG])} has: ")
    assert note.endswith("COOLR sleeps.")
    assert {names[:4] for names in silent.asked} == {(*PIXEL.values(), TAG)}  # the folder of the incident alone


@pytest.mark.slow
def test_as_many_payloads_as_queries_are_no_flood(sample_dataset: fl.Dataset, settings: fl.Settings) -> None:
    part = fl.Selection(**PIXEL, tagname=TAG, **HOUR).of(fl.open_logs(sample_dataset))
    asked = fl.sql(part, "SELECT DISTINCT iov_since FROM logs WHERE iov_since >= 0 ORDER BY iov_since")
    begins = asked["iov_since"].tolist()
    columns = [[0] * len(begins), begins, [*begins[1:], 2**63 - 1], [str(since) for since in begins]]
    each = Coolr(pa.table(dict(zip(PAYLOADS.names, columns, strict=True)), schema=PAYLOADS))
    found = fl.diagnose(sample_dataset, settings=settings, coolr=each, progress=False)
    assert "iov_flood" not in set(found.incidents["kind"])
    assert any(f"different queries of {TAG} had" in note and "no flood" in note for note in found.notes)
