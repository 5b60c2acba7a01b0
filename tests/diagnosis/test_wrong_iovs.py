"""Empty answers are told of folders of which some payloads are small anyway, and not of those that are asked more."""

import pandas as pd

from frontierlab.diagnosis.floods import wrong_iovs
from frontierlab.diagnosis.series import Clock

CLOCK = Clock(0, 300_000, 288)
FOLDER = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_TRIGGER", "nodefullpath": "/TRIGGER/Cabling2", "tagname": "one"}
OTHER = {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_MDT", "nodefullpath": "/MDT/T0BLOB", "tagname": "two"}


def cube(bodies, small, stop=114):
    """Return a cube in which these answers, and small ones, come in each bin up to `stop`; 2 of 16 are small later."""
    rows = [
        {"bin": 300_000 * n, **FOLDER, "queries": b, "uncached": b, "bodies": b, "small": s}
        for n in range(288)
        for b, s in [(bodies, small) if n < stop else (16, 2)]
    ]
    rows += [
        {"bin": 300_000 * n, **OTHER, "queries": 300, "uncached": 200, "bodies": 200, "small": 0} for n in range(288)
    ]
    return pd.DataFrame(rows).assign(unaligned=0, nonsense=0).astype(dict.fromkeys(FOLDER, "string"))


def test_empty_answers_from_the_beginning_of_the_data_are_told_of_a_folder_with_some_small_payloads():
    (found,) = wrong_iovs(cube(30, 28), CLOCK)
    assert (found.kind, found.how, found.start, found.stop) == ("wrong_iov", "empty", 0, 114)
    assert found.scope == {name: FOLDER[name] for name in found.scope}
    assert found.seen == 114 * 28
    assert 114 * 30 * 0.12 < found.normal < 114 * 30 * 0.3


def test_more_queries_with_the_usual_share_of_small_answers_are_not():
    assert wrong_iovs(cube(160, 20), CLOCK) == []
    assert wrong_iovs(cube(160, 70), CLOCK) == []  # large answers come as well


def test_a_folder_with_small_payloads_is_not():
    frame = cube(30, 28)
    always = frame.assign(small=frame["bodies"].where(frame["schema"] == FOLDER["schema"], 0))
    assert wrong_iovs(always, CLOCK) == []
