"""The sets that explain a deviation, in planted cases."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.diagnosis import localise
from frontierlab.errors import InvalidRequestError

SIZES = {"schema": 6, "server": 5, "task": 8, "site": 4}


def table(sizes=SIZES, *, seed=0, noise=0.03, zeros=0.1):
    """Return a table of all combinations; some rows are zero."""
    rng = np.random.default_rng(seed)
    axes = np.stack([axis.ravel() for axis in np.indices(tuple(sizes.values()))])
    frame = pd.DataFrame({name: [f"{name}{value}" for value in axis] for name, axis in zip(sizes, axes, strict=True)})
    normal = rng.weibull(0.8, len(frame)) * 100 * (rng.random(len(frame)) > zeros)
    return frame.assign(expected=normal, observed=normal * (1 + noise * rng.uniform(-1, 1, len(frame))))


def plant(frame, factor, **names):
    """Multiply the observed values of a set."""
    rows = np.logical_and.reduce([frame[name] == value for name, value in names.items()])
    frame.loc[rows, "observed"] *= factor


def sets(found, names=tuple(SIZES)):
    """Return the sets of a result, as dictionaries."""
    return [{name: row[name] for name in row["dimensions"].split()} for row in found.to_dict("records")]


@given(st.data())
def test_several_causes_of_different_dimensions_are_found_exactly(data):
    """Causes share no value; each raises all its rows by its own factor."""
    frame = table(seed=data.draw(st.integers(0, 1_000)))
    planted = []
    for number in range(data.draw(st.integers(1, 3))):
        names = data.draw(st.lists(st.sampled_from([*SIZES]), min_size=1, max_size=2, unique=True).map(sorted))
        if any(sorted(one) == names for one in planted):
            continue
        one = {name: f"{name}{number}" for name in names}
        plant(frame, data.draw(st.floats(2, 12)), **one)
        planted.append(one)
    found = localise(frame, [*SIZES], "observed", "expected")
    assert len(found) == len(planted)
    assert all(one in planted for one in sets(found))
    inside = np.logical_or.reduce([(frame[[*one]] == pd.Series(one)).all(axis=1) for one in planted])
    deviation = frame["observed"] - frame["expected"]
    assert found["share"].sum() == pytest.approx(deviation[inside].sum() / deviation.sum())


def test_sets_of_one_dimension_are_not_replaced_by_their_parent():
    frame = table(zeros=0)
    for server in ("server0", "server1", "server3"):
        plant(frame, 3, schema="schema2", server=server)
    found = localise(frame, [*SIZES], "observed", "expected")
    assert sorted(one["server"] for one in sets(found)) == ["server0", "server1", "server3"]
    assert all(one == {"schema": "schema2", "server": one["server"]} for one in sets(found))


def test_sets_that_cross_each_other_are_told_as_a_whole():
    """Rows that two causes have changed do not make either of them fall apart."""
    frame = table({"schema": 6, "server": 5, "task": 8, "site": 5, "squid": 6, "folder": 5}, zeros=0)
    planted = [
        *({"schema": f"schema{schema}", "folder": f"folder{folder}"} for schema, folder in ((0, 0), (1, 0), (3, 2))),
        *({"server": f"server{server}", "squid": f"squid{squid}"} for server, squid in ((0, 0), (0, 5), (3, 1))),
        {"schema": "schema4"},
    ]
    for one, factor in zip(planted, (0.4, 0.4, 0.4, 0.55, 0.55, 0.55, 0.25), strict=True):
        plant(frame, factor, **one)
    names = ["schema", "server", "task", "site", "squid", "folder"]
    found = sets(localise(frame, names, "observed", "expected"))
    assert len(found) == len(planted)
    assert all(one in planted for one in found)


@pytest.mark.parametrize(("factor", "cause"), [(2, {"site": "site0"}), (12, {"schema": "schema0", "site": "site0"})])
def test_a_few_rows_on_one_side_of_the_noise_are_no_further_cause(factor, cause):
    """Twelve rows of this table are 1.0 to 2.4 % too high by chance, with a noise of up to 3 %."""
    frame = table(seed=765)
    plant(frame, factor, **cause)
    found = localise(frame, [*SIZES], "observed", "expected")
    assert sets(found) == [cause]
    assert found["share"].iloc[0] == pytest.approx(1, abs=0.002)


def test_a_single_row_that_explains_little_is_told_if_it_is_clear():
    """What explains a thousandth of the deviation is a cause all the same if noise does not do as much."""
    frame = table(zeros=0)
    plant(frame, 6, schema="schema2")
    rest = frame[frame["schema"] != "schema2"]
    row = rest.loc[(rest["expected"] - 30).abs().idxmin()]
    one = {name: str(row[name]) for name in SIZES}
    plant(frame, 4, **one)
    found = localise(frame, [*SIZES], "observed", "expected")
    assert sets(found) == [{"schema": "schema2"}, one]
    assert found["share"].iloc[1] < 0.002


def test_a_decrease_is_found():
    frame = table()
    plant(frame, 0.2, task="task3")
    assert sets(localise(frame, [*SIZES], "observed", "expected")) == [{"task": "task3"}]


def test_nothing_is_told_of_noise_alone():
    assert localise(table(noise=0.2), [*SIZES], "observed", "expected").empty
    assert localise(table().head(0), [*SIZES], "observed", "expected").empty
    assert localise(table(noise=0), [*SIZES], "expected", "expected").empty


@pytest.mark.parametrize("count", [4, 5, 6])
def test_a_mean_is_localised_by_its_quotient(count):
    """More queries with the same mean are no cause; a higher mean is one."""
    sizes = dict(zip("abcdef"[:count], (6, 5, 4, 4, 3, 2), strict=False))
    frame = table(sizes, zeros=0)
    queries = np.random.default_rng(1).integers(5, 50, len(frame)).astype(float)
    frame = frame.assign(queries_expected=queries, queries=queries)
    for column in ("expected", "observed"):
        frame[column] *= queries
    more = frame["b"] == "b1"
    frame.loc[more, ["queries", "observed"]] *= 7
    plant(frame, 2.5, a="a1", c="c2")
    found = localise(frame, [*sizes], ("observed", "queries"), ("expected", "queries_expected"))
    assert sets(found) == [{"a": "a1", "c": "c2"}]


def test_counts_of_sparse_rows_are_localised():
    """Rows expect less than one query each; a set of them receives five times as many."""
    rng = np.random.default_rng(3)
    frame = table(zeros=0)
    frame["expected"] = rng.uniform(0.2, 1.5, len(frame))
    mean = frame["expected"].to_numpy() * np.where((frame["schema"] == "schema4") & (frame["site"] == "site1"), 5, 1)
    frame["observed"] = rng.poisson(mean)
    found = localise(frame, [*SIZES], "observed", "expected", noise="counts")
    assert sets(found) == [{"schema": "schema4", "site": "site1"}]
    frame["observed"] = rng.poisson(frame["expected"])
    assert localise(frame, [*SIZES], "observed", "expected", noise="counts").empty


def test_a_missing_name_is_a_value_and_types_stay():
    frame = table().astype(dict.fromkeys(SIZES, "string"))
    frame["task"] = frame["task"].mask(frame["task"] == "task2")
    rows = frame["task"].isna()
    frame.loc[rows, "observed"] *= 4
    found = localise(frame, [*SIZES], "observed", "expected")
    assert found["dimensions"].tolist() == ["task"]
    assert found["task"].isna().all()
    assert found.dtypes["task"] == "string"


def test_what_does_not_fit_is_refused():
    frame = table()
    with pytest.raises(InvalidRequestError, match=r"missing: \['planet'\]"):
        localise(frame, ["planet"], "observed", "expected")
    with pytest.raises(InvalidRequestError, match="both be a pair"):
        localise(frame, ["task"], ("observed", "observed"), "expected")
    with pytest.raises(InvalidRequestError, match="negative or not finite"):
        localise(frame.assign(observed=-1.0), ["task"], "observed", "expected")
    with pytest.raises(InvalidRequestError, match="noise is relative, or counts"):
        localise(frame, ["task"], "observed", "expected", noise="loud")
