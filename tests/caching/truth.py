"""Comparison of caching figures with the truth of the sample, and log rows to make figures of."""

from __future__ import annotations

import pandas as pd
import pytest

KEY = ["db", "schema", "nodefullpath", "tagname"]
PIXEL = ("CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib")
PIXEL_TAG = "PixCalib-RUN2-DATA-UPD4-12"
RUN = 313929 << 32


def by_key(frame: pd.DataFrame) -> dict[tuple[str, ...], dict[str, object]]:
    return {tuple(row[name] for name in KEY): row for row in frame.to_dict("records")}


def assert_is_true(row: dict[str, object], expected: dict[str, object], names: list[str]) -> None:
    for name in names:
        if pd.isna(expected[name]):
            assert pd.isna(row[name]), name
        else:
            assert row[name] == pytest.approx(expected[name], rel=1e-9, abs=0), name


def assert_is_the_truth(frame: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Every folder and tag is there; its figures are true, or those of payloads are null and the row says why."""
    found, expected = by_key(frame), by_key(truth)
    assert found.keys() == expected.keys()
    plain = ["queries", "different_queries", "cached", "uncached", "failed", "half_given", "backwards"]
    plain += ["bytes_served", "dbtime", "repeated_queries", "repeated_bytes", "repeated_dbtime", "off_grid_queries"]
    for key, row in found.items():
        assert_is_true(row, expected[key], plain)
        rest = [name for name in truth.columns if name not in (*KEY, *plain)]
        if row["problem"]:
            assert all(pd.isna(row[name]) for name in rest)
        else:
            assert_is_true(row, expected[key], rest)


def asked(since: int | None, until: int | None = None, **fields: object) -> dict[str, object]:
    """Return a log row: a query of `PIXEL` and `PIXEL_TAG` for an IOV."""
    row = {"schema": PIXEL[1], "nodefullpath": PIXEL[2], "tagname": PIXEL_TAG, "nodetime": "run-lumi", "sqlhash": 1}
    return {**row, "since": since, "until": since if until is None else until, "cached": False, **fields}
