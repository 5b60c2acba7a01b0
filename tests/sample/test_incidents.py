"""Days with incidents: their rows, and what the truth says of them."""

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab import sample
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.sample.world.incidents import Incident, make_day
from frontierlab.sample.world.incidents.incident import INCIDENT_KINDS
from frontierlab.sample.world.incidents.places import all_folders
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


@pytest.mark.slow
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


def test_a_quiet_day_is_busy_and_has_no_truth(tmp_path):
    dataset, truth = make_day(tmp_path / "day", SEED, QUERIES, quiet=True)
    assert len(truth) == 0
    assert {"since", "kind", "squid", "accepted", "cost"} <= {*truth.columns}
    assert len(truth.attrs["harmless"]) == 4
    assert dataset.counts.kept > 0.8 * QUERIES


def test_filters_count_the_same_over_days_as_the_rows(tmp_path):
    settings = sample.settings(data_dir=tmp_path)
    dataset, _ = make_day(settings, SEED, 3_000, days=2, incidents=2, name="two")
    assert fl.datasets.open_dataset("two", settings).counts == dataset.counts
    rows = dataset.to_arrow().to_pandas()
    assert rows["time"].min() >= pd.Timestamp("2026-10-01", tz="UTC")
    assert rows["time"].max() >= pd.Timestamp("2026-10-02T20:00", tz="UTC")
    over_time = fl.filters.queries_over_time(dataset)  # from the summaries
    assert over_time[["cached", "not_cached"]].sum().tolist() == [rows["cached"].sum(), (~rows["cached"]).sum()]
    asked = fl.filters.queries_per_schema(dataset, db="CONDBR2")
    mine = rows[rows["db"] == "CONDBR2"]["schema"].value_counts()
    assert dict(zip(asked["schema"], asked["queries"], strict=True)) == mine[mine > 0].to_dict()


def test_a_server_that_is_silent_sends_nothing(tmp_path):
    dataset, truth = make_day(tmp_path / "day", SEED, QUERIES, incidents=[one_of("silence")])
    rows = dataset.to_arrow(["time", "frontierserver"]).to_pandas()
    of_server = rows["time"][rows["frontierserver"] == "frontier1.cern.example"]
    assert not of_server.between(pd.Timestamp(FROM, tz="UTC"), pd.Timestamp(TO, tz="UTC"), inclusive="left").any()
    assert len(of_server)
    assert truth["excess_queries"][0] == -truth["queries"][0]
    assert truth["currency"][0] == "queries"


def test_scopes_that_name_the_same_incident_are_accepted(tmp_path):
    one_tag = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_SCT", "nodefullpath": "/SCT/Sensors"}
    several = FOLDER | {"tagname": "PixCalib-RUN2-DATA-UPD4-12"}
    squid = {"squid": "squid1.cern.example:3128", **several}
    _, truth = make_day(
        tmp_path / "day",
        SEED,
        QUERIES,
        incidents=[one_of("iov_flood", scope=scope) for scope in (one_tag, several)]
        + [one_of("cache_bypass", scope=squid), one_of("slow_database", scope={"db": "CONDBR2"})],
    )
    accepted = {
        tuple(sorted(row["accepted"][0].items())): [{*scope} for scope in row["accepted"]]
        for _, row in truth.iterrows()
    }
    of = {
        name: accepted[tuple(sorted(scope.items()))]
        for name, scope in {"one": one_tag, "several": several, "squid": squid, "db": {"db": "CONDBR2"}}.items()
    }
    assert {"db", "schema", "nodefullpath", "tagname"} in of["one"]  # its only tag may be named
    assert {"db", "nodefullpath"} in of["one"]
    assert all("tagname" in scope for scope in of["several"])
    assert all("nodefullpath" in scope for scope in of["several"])
    assert any({"computingsite", "squid"} <= scope for scope in of["squid"])
    assert all({"computingsite", "squid"} & scope for scope in of["squid"])
    assert of["db"] == [{"db"}]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"kind": "storm"}, "no incident 'storm': choose one of iov_flood"),
        ({"scope": {"pandaid": 5}}, "no scope pandaid: choose of db"),
        ({"how": "empty"}, "how='empty': choose one of"),
        ({"until": FROM}, "is not after since"),
        ({"kind": "load", "queries": 0}, "adds queries: give queries"),
    ],
)
def test_incidents_that_cannot_be_are_refused(more, message):
    with pytest.raises(InvalidRequestError, match=message):
        Incident(**{"kind": "slow_server", "since": FROM, "until": TO} | more)


def test_a_dataset_that_exists_is_not_replaced(tmp_path):
    made, _ = make_day(tmp_path / "day", SEED, 500, incidents=0)
    with pytest.raises(DatasetError, match="exists already"):
        make_day(tmp_path / "day", SEED, 500, incidents=0)
    with pytest.raises(InvalidRequestError, match="no frontierserver 'nowhere': choose of"):
        make_day(tmp_path / "other", SEED, 500, incidents=[one_of("slow_server", scope={"frontierserver": "nowhere"})])
    assert made.require_unchanged() is None
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["day"]


@pytest.mark.slow
def test_an_incident_with_empty_answers_has_them_by_the_payloads_too(tmp_path):
    settings = sample.settings(data_dir=tmp_path, **sample.make_conditions(tmp_path / "conditions"))
    begun = next(one for one in all_folders() if one.shape == "begun" and one.asks == "run")
    scope = {"db": begun.db, "schema": begun.schema, "nodefullpath": begun.node}
    empty = one_of("wrong_iov", scope=scope, how="empty", queries=300)
    dataset, truth = make_day(settings, SEED, 500, incidents=[empty])
    figures = fl.caching.efficiency(dataset, settings, progress=False)
    answers = figures[figures["nodefullpath"] == begun.node]
    assert answers["empty_queries"].sum() > 0.8 * truth["queries"][0]  # some name no folder, or failed
    assert answers["empty_queries"].sum() <= truth["queries"][0]
    assert (figures["empty_queries"].sum() - answers["empty_queries"].sum()) < 0.05 * figures["queries"].sum()


def test_what_went_wrong_is_seen_in_the_rows(tmp_path):
    chosen = [one_of(kind, queries=600) for kind in ("cache_bypass", "iov_flood", "wrong_iov")]
    dataset, truth = make_day(tmp_path / "day", SEED, QUERIES, incidents=chosen)
    rows = dataset.to_arrow().to_pandas()
    rows = rows[(rows["nodefullpath"] == FOLDER["nodefullpath"]) & (rows["db"] == "CONDBR2") & (rows["since"] >= 0)]
    inside = rows["time"].between(pd.Timestamp(FROM, tz="UTC"), pd.Timestamp(TO, tz="UTC"), inclusive="left")
    same = rows.groupby(["computingsite", "sqlhash", "since", "until"], observed=True).size().max()
    width = rows["until"] - rows["since"]
    off_grid = (width > 3) & (rows["since"] % (width // 3).clip(lower=1) != 0)
    many = rows[~off_grid].groupby("since").size()
    queries = truth.set_index("kind")["queries"]
    assert same > 0.9 * queries["cache_bypass"]
    assert off_grid[inside].sum() > 0.8 * queries["wrong_iov"]
    assert off_grid[~inside].sum() < 0.05 * off_grid[inside].sum()
    assert (many == 1).sum() > 0.8 * queries["iov_flood"]


def test_too_few_queries_are_refused(tmp_path):
    with pytest.raises(InvalidRequestError, match="at least 100 queries a day"):
        make_day(tmp_path / "day", SEED, 5)
    with pytest.raises(InvalidRequestError, match="leave out incidents, or quiet"):
        make_day(tmp_path / "day", SEED, QUERIES, incidents=2, quiet=True)
    assert not [*tmp_path.iterdir()]
