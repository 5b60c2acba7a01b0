"""A Squid for which nothing is cached is told where chance cannot add as many misses: a lower share of more queries."""

import numpy as np
import pandas as pd
import pytest

from frontierlab.diagnosis.repeats import all_bypassed
from frontierlab.diagnosis.series import Clock

BIN = 300_000
CLOCK = Clock(0, BIN, 288)


@pytest.mark.parametrize(
    ("queries", "share", "told"),
    [(50_000, 0.010, 0), (50_000, 0.012, 1), (500_000, 0.010, 1), (500_000, 0.006, 0), (5_000_000, 0.007, 1)],
)
def test_the_least_share_of_repeated_queries_falls_with_their_number(queries, share, told):
    rng = np.random.default_rng(3)
    uncached = rng.poisson(12, CLOCK.bins)
    uncached[120:126] += int(share * queries / 6)
    names = {"computingsite": "PIC", "squid": "squid1"}
    misses = pd.DataFrame({"bin": BIN * np.arange(CLOCK.bins), **names, "uncached": uncached, "queries": 2 * uncached})
    first = misses[["bin", *names]].assign(fresh=5)
    found = all_bypassed(misses.assign(queries=uncached + 12), first, queries, CLOCK, [])
    assert [(one.scope, one.start, one.stop) for one in found] == [(names, 120, 126)] * told
