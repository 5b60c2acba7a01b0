"""At a site whose queries name no task, a task that fails more than others cannot be told apart from the site."""

import numpy as np
import pandas as pd
import pytest

from frontierlab.diagnosis.failing import failures
from frontierlab.diagnosis.series import Clock

BIN = 300_000
CLOCK = Clock(0, BIN, 288)
BINS = [BIN * place for place in range(288)]


def cubes(rate: float, named: bool) -> dict[str, pd.DataFrame]:
    """Return counts of a site of which a hundredth fails, and for five hours `rate` times that."""
    rng = np.random.default_rng(7)
    usual = rng.poisson(1.2, len(BINS))
    usual[100:160] = rng.poisson(1.2 * rate, 60)
    # at the site many tasks fail, and elsewhere always the same one
    here = pd.DataFrame({"bin": BINS, "procerror": usual, "computingsite": "A", "taskid": None})
    if named:
        here["taskid"] = np.arange(len(here)) + 1_000
    there = pd.DataFrame({"bin": BINS, "procerror": 1, "computingsite": "B", "taskid": 7})
    failed = pd.concat([here, there], ignore_index=True).astype({"taskid": "Int64", "computingsite": "string"})
    failed = failed[failed["procerror"] > 0].reset_index(drop=True)
    names = {"db": "D", "schema": "S", "nodefullpath": "/F", "frontierserver": "s"}
    whole = pd.DataFrame({"bin": BINS, "queries": 4_120, **names})
    sites = [pd.DataFrame({"bin": BINS, "queries": n, "computingsite": site}) for site, n in (("A", 120), ("B", 4_000))]
    tasks = failed.groupby(["bin", "taskid"])["procerror"].sum().reset_index().assign(queries=1_000)
    return {
        "tasks": tasks,
        "folders": whole,
        "servers": whole,
        "sites": pd.concat(sites, ignore_index=True),
        "failures": failed.assign(**names, disconn=0),
        "exposed": pd.DataFrame(columns=["bin", "taskid", *names, "computingsite", "queries"]).astype(
            {"bin": "int64", "taskid": "Int64", "queries": "int64"}
        ),
    }


@pytest.mark.parametrize(("rate", "named", "told"), [(3, False, 0), (3, True, 1), (9, False, 1), (9, True, 1)])
def test_a_small_rise_of_failures_is_told_of_a_site_only_if_tasks_are_named(rate, named, told):
    found = [one for one in failures(cubes(rate, named), CLOCK) if one.scope == {"computingsite": "A"}]
    assert len(found) == told
    for one in found:
        assert max(abs(one.start - 100), abs(one.stop - 160)) <= 12
