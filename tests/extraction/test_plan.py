"""Planning: parts cover the range, add up, and the cut is where counting by hand puts it."""

import itertools
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from frontierlab.extraction import plan as planning
from frontierlab.extraction.plan import cut, split

START = 1_790_812_800_000
DAY = 86_400_000


class Server:
    """Counts documents as Elasticsearch does: in buckets that begin at multiples of their width."""

    def __init__(self, times):
        self.times = times
        self.calls = 0

    def histogram(self, start, stop, width):
        self.calls += 1
        assert (stop - start) / width <= 2_000
        buckets = Counter(time // width * width for time in self.times if start <= time < stop)
        return sorted(buckets.items())


@st.composite
def periods(draw):
    """Draw a range, and times of documents: scattered, in clusters, in bursts in one millisecond, and outside of it."""
    length = draw(st.sampled_from([1, 2, 100, 1_999, 2_001, 4_000_000, DAY, 40 * DAY, 50 * 365 * DAY]))
    start = draw(st.integers(100, START))
    scattered = draw(st.lists(st.integers(0, length - 1), max_size=20))
    centres = draw(st.lists(st.integers(0, length - 1), max_size=3))
    clusters = [min(centre + draw(st.integers(0, 3)), length - 1) for centre in centres for _ in range(6)]
    bursts = draw(st.lists(st.tuples(st.integers(0, length - 1), st.integers(1, 60)), max_size=3))
    inside = scattered + clusters + [time for time, number in bursts for _ in range(number)]
    outside = [-1, -1, -100, length, length + 99]
    return start, start + length, sorted(start + time for time in inside + outside)


def depth(start, stop):
    """Return how many times a range can be cut into two thousand buckets."""
    levels = 1
    while (stop - start) > 2_000**levels:
        levels += 1
    return levels


@given(periods(), st.integers(1, 50))
def test_parts_cover_the_range_and_add_up(period, most):
    start, stop, everything = period
    times = [time for time in everything if start <= time < stop]
    server = Server(everything)
    parts = split(server.histogram, start, stop, most)
    assert sum(part.expected for part in parts) == len(times)
    assert [part.number for part in parts] == list(range(len(parts)))
    for part in parts:
        inside = [time for time in times if part.start <= time < part.stop]
        assert part.expected == len(inside)
        assert 0 < part.expected <= most or len({*inside}) == 1
    if parts:
        assert [part.stop for part in parts] == [*(part.start for part in parts[1:]), stop]
        assert parts[0].start == start
    assert server.calls <= 1 + depth(start, stop) * (len(times) // (most + 1))


@given(periods(), st.integers(1, 50))
def test_parts_are_not_needlessly_small(period, most):
    start, stop, everything = period
    parts = split(Server(everything).histogram, start, stop, most)
    assert all(a.expected + b.expected > most for a, b in itertools.pairwise(parts))


@given(periods(), st.integers(1, 100))
def test_cut_is_the_latest_millisecond_within_the_limit(period, limit):
    start, stop, everything = period
    times = [time for time in everything if start <= time < stop]
    server = Server(everything)
    expected = stop if len(times) <= limit else times[limit]
    assert cut(server.histogram, start, stop, limit) == expected
    assert server.calls <= depth(start, stop)


@given(periods(), st.integers(1, 100), st.integers(1, 50))
def test_parts_up_to_the_cut_hold_no_more_than_the_limit(period, limit, most):
    start, stop, everything = period
    server = Server(everything)
    end = cut(server.histogram, start, stop, limit)
    assume(end > start)
    before = [time for time in everything if start <= time < end]
    assert sum(part.expected for part in split(server.histogram, start, end, most)) == len(before) <= limit


def test_an_empty_range_has_no_parts():
    assert split(Server([]).histogram, START, START + DAY, 10) == []
    assert cut(Server([]).histogram, START, START + DAY, 10) == START + DAY


def test_a_burst_in_one_millisecond_is_one_part():
    times = [START + 5] * 1_000 + [START + 6, START + DAY - 1]
    parts = split(Server(times).histogram, START, START + DAY, 10)
    assert [(part.start - START, part.stop - START, part.expected) for part in parts] == [
        (0, 6, 1_000),
        (6, DAY, 2),
    ]


def test_burst_beyond_the_limit_is_left_out_completely():
    assert cut(Server([START + 5] * 11).histogram, START, START + DAY, 10) == START + 5
    assert cut(Server([START] * 11).histogram, START, START + DAY, 10) == START


@pytest.mark.parametrize("buckets", [2, 3, 7])
def test_any_number_of_buckets_gives_the_same_cut(monkeypatch, buckets):
    monkeypatch.setattr(planning, "_BUCKETS", buckets)
    times = sorted(START + (7 * i * i) % 1_000 for i in range(200))
    for limit in (1, 50, 199, 200):
        found = cut(Server(times).histogram, START, START + 1_000, limit)
        assert found == (START + 1_000 if limit == 200 else times[limit])
