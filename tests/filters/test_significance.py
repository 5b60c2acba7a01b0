"""The significance of changes: known cases, properties, and the same numbers as another implementation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.filters.significance import Values, are_significant, significance
from tests.support import reference_significance as reference

BINS = 12
COUNTS = st.lists(st.integers(0, 500), min_size=BINS, max_size=BINS)
ROWS = st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=6)


def side(*rows: list[int], hours: float = BINS, numbers: list[float] | None = None) -> Values:
    values = np.array(rows, dtype="float64")
    behind = values.sum(axis=1) if numbers is None else np.array(numbers, dtype="float64")
    return Values(values, np.full(values.shape[1], hours / values.shape[1]), behind)


def even(number: int) -> list[int]:
    """Return a number of queries, spread as evenly as it goes."""
    return [number * (place + 1) // BINS - number * place // BINS for place in range(BINS)]


def once(number: int, place: int = 3) -> list[int]:
    """Return queries that all come in one bin."""
    return [number if place == one else 0 for one in range(BINS)]


@pytest.mark.parametrize(
    ("now", "before", "low", "high"),
    [
        (even(1200), even(1200), 0, 0),
        (even(2400), even(1200), 7.5, 30),
        (even(1200), even(2400), -30, -7.5),
        (even(3), even(0), 0, 2),
        (even(60), even(0), 4, 9),
        (once(60), once(50, 7), -1, 1),  # one burst each
        (once(6_000), even(1_200), 3, 9),  # a flood within one bin does not hide itself
        ([a + b for a, b in zip(even(1_200), once(3_600), strict=True)], even(1_200), 3.3, 9),
    ],
)
def test_known_changes(now: list[int], before: list[int], low: float, high: float) -> None:
    (found,) = significance(side(now), side(before))
    assert low <= found <= high


def test_few_events_have_about_the_chance_of_the_exact_test() -> None:
    for events in (5, 8, 10, 15):
        one_bin = Values(np.array([[float(events)]]), np.array([1.0]), np.array([float(events)]))
        (found,) = significance(one_bin, one_bin._replace(values=np.array([[0.0]]), numbers=np.array([0.0])))
        exact = 2 * 0.5**events
        assert exact / 2 < math.erfc(found / math.sqrt(2)) < 1.5 * exact


def test_bursts_that_come_by_chance_are_found_as_rarely_as_said() -> None:
    draw = np.random.default_rng(7)
    rows = []
    for _ in range(2):
        bursts = draw.poisson(2.5, (20_000, BINS))
        rows.append(np.where(bursts > 0, bursts + draw.negative_binomial(np.maximum(bursts, 1), 1 / 20), 0))
    sides = [Values(one.astype("float64"), np.ones(BINS), one.sum(axis=1).astype("float64")) for one in rows]
    chance = np.array([math.erfc(abs(one) / math.sqrt(2)) for one in significance(*sides)])
    assert 0.004 < (chance < 0.01).mean() < 0.02
    assert (chance < 0.001).mean() < 0.003


def test_longer_windows_are_compared_by_rate() -> None:
    (found,) = significance(side(even(2400), hours=24), side(even(1200), hours=12))
    assert found == 0
    (found,) = significance(side(even(1200), hours=24), side(even(1200), hours=12))
    assert found < -7


def test_sums_of_a_few_large_answers_are_few_events() -> None:
    one = [even(12_000_000)], [even(24_000_000)]
    many = significance(side(*one[0], numbers=[12_000]), side(*one[1], numbers=[24_000]))
    few = significance(side(*one[0], numbers=[3]), side(*one[1], numbers=[6]))
    assert many[0] < -10
    assert -1 < few[0] <= 0


@given(rows=ROWS, hours=st.sampled_from([0.5, 12, 36]), size=st.sampled_from([1, 40]))
def test_significance_agrees_with_another_implementation(
    rows: list[tuple[list[int], list[int]]], hours: float, size: int
) -> None:
    now, before = ([[size * v for v in row[place]] for row in rows] for place in (0, 1))
    numbers = [[sum(row) / size for row in one] for one in (now, before)]
    found = significance(side(*now, hours=hours, numbers=numbers[0]), side(*before, numbers=numbers[1]))
    both = [a + b for a, b in zip(*numbers, strict=True)]
    wanted = reference.deviates(now, before, [hours / BINS] * BINS, [1] * BINS, both)
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)
    back = significance(side(*before, numbers=numbers[1]), side(*now, hours=hours, numbers=numbers[0]))
    assert back.tolist() == pytest.approx([-one for one in wanted], abs=1e-6)


@given(st.lists(st.floats(-12, 12) | st.just(math.nan), max_size=30), st.sampled_from([0.01, 0.1]))
def test_findings_agree_with_another_implementation(found: list[float], share: float) -> None:
    assert are_significant(np.array(found, dtype="float64"), share).tolist() == reference.significant(found, share)


def test_of_many_changes_by_chance_almost_none_is_found() -> None:
    chance = np.random.default_rng(3).normal(size=5_000)
    assert are_significant(chance).sum() <= 1
    assert are_significant(np.append(chance, [6.0, -7.0]))[-2:].all()
