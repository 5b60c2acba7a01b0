"""Days with incidents: their rows, and what the truth says of them."""

import pandas as pd
import pytest

from frontierlab.sample.world.incidents import Incident, make_day
from frontierlab.sample.world.incidents.incident import INCIDENT_KINDS
from frontierlab.schema import arrow_schema

SEED, QUERIES = 11, 12_000
FOLDER = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_PIXEL", "nodefullpath": "/PIXEL/PixCalib"}
FROM, TO = "2026-10-01T09:10:00", "2026-10-01T14:30:00"
AMOUNTS = ("queries", "dbtime_ms", "overhead_ms", "bytes", "failures")


def one_of(kind, **more):
    scopes = {
        "iov_flood": FOLDER,
        "cache_bypass": FOLDER | {"computingsite": "CERN"},
        "slow_database": {"db": "CONDBR2"},
        "payload_growth": FOLDER,
        "wrong_iov": FOLDER,
        "load": {},
    }
    queries = 900 if kind in ("iov_flood", "cache_bypass", "wrong_iov", "load") else 0
    scope = scopes.get(kind, {"frontierserver": "frontier1.cern.example"})
    given = {"scope": scope, "queries": queries, "factor": 0.3 if kind in ("failures", "rejections") else 4.0}
    return Incident(kind, FROM, TO, **given | more)


def amounts(dataset):
    rows = dataset.to_arrow().to_pandas()
    dbtime = rows["dbtime"].fillna(0)
    failed = rows[["disconn", "procerror", "rejected"]].astype("boolean").fillna(False).any(axis=1)
    values = (len(rows), dbtime.sum(), (rows["querytime"] - dbtime).sum(), rows["fsize"].sum(), failed.sum())
    return dict(zip(AMOUNTS, map(int, values), strict=True))


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """The same day without incidents."""
    return amounts(make_day(tmp_path_factory.mktemp("twin") / "twin", SEED, QUERIES, incidents=0)[0])


@pytest.mark.parametrize("kind", INCIDENT_KINDS)
def test_the_excess_is_the_difference_from_the_day_without_the_incident(kind, twin, tmp_path):
    dataset, truth = make_day(tmp_path / "day", SEED, QUERIES, incidents=[one_of(kind)])
    row = truth.iloc[0]
    with_it = amounts(dataset)
    excess = {"failures": row["failures"], **{name: row[f"excess_{name}"] for name in AMOUNTS if name != "failures"}}
    assert excess == {name: with_it[name] - twin[name] for name in AMOUNTS}
    assert any(excess.values())


def test_all_excess_adds_up_where_incidents_overlap(twin, tmp_path):
    every = [one_of(kind) for kind in INCIDENT_KINDS]
    dataset, truth = make_day(tmp_path / "day", SEED, QUERIES, incidents=every)
    assert sorted(truth["kind"]) == sorted(INCIDENT_KINDS)
    with_them = amounts(dataset)
    for name in AMOUNTS:
        column = name if name == "failures" else f"excess_{name}"
        assert truth[column].sum() == with_them[name] - twin[name], name


def test_rows_are_valid_as_those_of_an_extraction(tmp_path):
    dataset, _ = make_day(tmp_path / "day", SEED, QUERIES)
    assert dataset.state == "complete"
    table = dataset.to_arrow()
    assert table.schema.equals(arrow_schema())
    table.validate(full=True)
    rows = table.to_pandas()
    failed = rows[["disconn", "procerror", "rejected"]].astype("boolean").fillna(False)
    cached = rows["cached"].astype(bool)
    assert not (cached & failed.any(axis=1)).any()
    assert (rows.loc[cached | failed["rejected"], "dbtime"].fillna(0) == 0).all()
    assert (rows.loc[~cached & ~failed["rejected"], "dbtime"] >= 1).all()
    assert (rows.loc[cached | failed["rejected"] | failed["procerror"], "fsize"].fillna(0) == 0).all()
    assert (rows["querytime"] >= rows["dbtime"].fillna(0)).all()
    assert ((rows["since"] == -1) == (rows["until"] == -1)).all()
    assert (rows["nodefullpath"].isna() <= rows["tagname"].isna()).all()
    assert rows["taskid"].isna().mean() < 0.3


def test_a_seed_always_makes_the_same_day(tmp_path):
    (one, truth), (again, same), (other, _) = (
        make_day(tmp_path / name, seed, 4_000) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert one.to_arrow().equals(again.to_arrow())
    pd.testing.assert_frame_equal(truth, same)
    assert not one.to_arrow().equals(other.to_arrow())
