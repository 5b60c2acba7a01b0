"""Each check finds its planted fault, and nothing else; a check that cannot look says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import frontierlab as fl
from frontierlab.checks.findings import COLUMNS, SCOPE
from frontierlab.checks.rules import CHECKS
from frontierlab.util.times import from_milliseconds
from tests.checks.planted import (
    FAULTS,
    MINUTE,
    NEARLY,
    SINCE,
    UNTIL,
    WEEK,
    dataset,
    few,
    healthy,
    several,
)

WINDOW = {"since": from_milliseconds(SINCE), "until": from_milliseconds(UNTIL)}


def run(source: Any, **options: Any) -> fl.checks.Findings:
    return fl.checks.run(source, **{**WINDOW, "settings": few(), **options})


def told(found: fl.checks.Findings) -> list[tuple[str, dict[str, Any], float]]:
    """Return check, where and value of each finding."""
    return [
        (row["check"], {name: row[name] for name in SCOPE if row[name] is not None}, float(row["value"]))
        for row in found.frame.astype(object).where(found.frame.notna(), None).to_dict("records")
    ]


def test_nothing_is_found_where_nothing_is_wrong(tmp_path: Path) -> None:
    found = run(dataset(tmp_path / "d", healthy()))
    assert (len(found), list(found.frame.columns), len(found.not_looked)) == (0, [*COLUMNS], 0)
    assert found.checks == CHECKS
    assert "nothing found" in str(found)
    assert "nothing found" in found._repr_html_()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_by_its_check_alone(tmp_path: Path, name: str) -> None:
    plant, expected = FAULTS[name]
    made = dataset(tmp_path / "d", plant(healthy()))
    found = run(made)
    wanted = [(check, {k: v for k, v in where.items() if v is not None}, value) for check, where, value in expected]
    assert [one[:2] for one in told(found)] == [one[:2] for one in wanted]
    assert [value for *_, value in told(found)] == pytest.approx(
        [value or mine[2] for mine, (*_, value) in zip(told(found), wanted, strict=True)]
    )
    assert len(found.not_looked) == 0
    for call in found.frame["call"]:
        assert len(eval(call, {"fl": fl, "logs": made})) > 0


@pytest.mark.parametrize("name", NEARLY)
def test_what_is_nearly_a_fault_is_not_found(tmp_path: Path, name: str) -> None:
    check, plant = NEARLY[name]
    found = run(dataset(tmp_path / "d", plant(healthy()), until=UNTIL + 1), checks=check)
    assert told(found) == []
    assert len(found.not_looked) == 0


def test_a_fall_by_exactly_the_threshold_is_found(tmp_path: Path) -> None:
    """7/30 - 4/30 is 10 %, and less with fractions in floating point."""
    rows = several(7, SINCE - WEEK, UNTIL - WEEK, cached=True) + several(23, SINCE - WEEK, UNTIL - WEEK, cached=False)
    rows += several(4, cached=True) + several(26, cached=False)
    found = run(dataset(tmp_path / "d", rows), checks="hit_ratio", settings=few(check_hit_queries=30))
    assert [*found.frame["value"]] == [10]


def test_long_queries_are_told_with_their_times_and_largest_share(tmp_path: Path) -> None:
    plant, _ = FAULTS["long queries in two adjacent bins and one more"]
    rows = plant(healthy())
    found = run(dataset(tmp_path / "d", rows), checks="long_queries").frame
    for place, (first, last) in enumerate([(2, 4), (5, 6)]):
        shares = []
        for number in range(first, last):
            times = range(SINCE + number * 3 * MINUTE, SINCE + (number + 1) * 3 * MINUTE)
            taken = [row["querytime"] for row in rows if row["time"] in times]
            shares.append(100 * sum(time > 10_000 for time in taken) / len(taken))
        assert min(shares) > 10
        assert found["value"][place] == pytest.approx(max(shares))
        bounds = [from_milliseconds(SINCE + number * 3 * MINUTE) for number in (first, last)]
        assert [found["since"][place], found["until"][place]] == bounds
