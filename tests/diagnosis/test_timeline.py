"""The figure of all queries over time with the incidents."""

from __future__ import annotations

from typing import Any, ClassVar

import pandas as pd
import pytest

from frontierlab import Selection
from frontierlab.diagnosis.figures import timeline

TIMES = pd.date_range("2026-10-01", periods=288, freq="5min", tz="UTC")


class Incident:
    """An incident with what the figure needs of it."""

    row: ClassVar = {"since": TIMES[100], "until": TIMES[112]}


class Diagnosis(list[Incident]):
    """Incidents at one time, so that each needs a row of its own."""

    total = pd.DataFrame({"time": TIMES, "queries": 50})
    selection = Selection()


@pytest.mark.parametrize(("incidents", "least"), [(1, 180), (4, 140), (12, 120)])
def test_the_line_keeps_room_under_many_incidents(incidents: int, least: int) -> None:
    plot: Any = timeline(Diagnosis([Incident()] * incidents))  # type: ignore[arg-type]
    _, top = plot.yaxis[0].bounds
    beside = 120  # pixels of titles, toolbar and time axis
    assert (plot.height - beside) * top / plot.y_range.end > least
