"""Which answer a query gets, compared with COOL's rule applied row by row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frontierlab.caching import answer_sets
from frontierlab.caching.answer_sets import find_answers, overlapping, regions
from frontierlab.coolr.responses import PAYLOADS
from frontierlab.schema import OPEN_IOV
from tests.support.examples import examples

LARGE = 1348314788265984  # run 313929, lumiblock 0
TOP = 14


def table(rows):
    return pa.Table.from_pylist([dict(zip(PAYLOADS.names, row, strict=True)) for row in rows], PAYLOADS)


def asked(queries):
    return np.array([q[0] for q in queries], np.int64), np.array([q[1] for q in queries], np.int64)


def by_rule(query, rows):
    """Return the numbers of the rows that COOL's SQL returns."""
    since, until = query
    found = []
    for channel in {row[0] for row in rows}:
        latest = max((row[1] for row in rows if row[0] == channel and row[1] <= since), default=since)
        found += [
            number
            for number, row in enumerate(rows)
            if row[0] == channel and row[1] >= latest and row[1] <= until and row[2] > since
        ]
    return sorted(found)


def assert_is_by_rule(queries, rows):
    result = find_answers(*asked(queries), table(rows))
    expected = [by_rule(query, rows) for query in queries]
    assert [result.rows(i).tolist() for i in range(len(queries))] == expected
    assert result.counts().dtype == np.int64
    assert result.counts().tolist() == [len(numbers) for numbers in expected]
    iovs = [frozenset(rows[n][:3] for n in numbers) for numbers in expected]
    contents = [frozenset((rows[n][0], rows[n][3]) for n in numbers) for numbers in expected]
    for codes, sets in ((result.by_iov, iovs), (result.by_content, contents)):
        assert codes.dtype == np.int64
        assert [code == -1 for code in codes] == [not one for one in sets]
        pairs = {(code, one) for code, one in zip(codes.tolist(), sets, strict=True) if one}
        assert len(pairs) == len({code for code, _ in pairs}) == len({one for _, one in pairs})
        assert sorted({code for code, _ in pairs}) == [*range(len(pairs))]


@st.composite
def conditions(draw):
    """Draw queries, and payload rows of a few channels with gaps, overlaps, open ends, repeated contents and IOVs."""
    shift = draw(st.sampled_from([0, LARGE, OPEN_IOV - TOP]))
    point = st.integers(0, TOP)
    row = st.tuples(st.integers(-1, 2), point, st.one_of(point, st.none()), st.sampled_from("AB"))
    rows = []
    for channel, since, until, content in draw(st.lists(row, max_size=9, unique=True)):
        until = TOP + 1 if until is None else until
        if since < until:
            rows.append((channel, since + shift, OPEN_IOV if until > TOP else until + shift, content))
    pairs = draw(st.lists(st.tuples(point, point), max_size=12))
    return list(dict.fromkeys(rows)), [(min(pair) + shift, max(pair) + shift) for pair in pairs]


@settings(max_examples=examples(100))
@given(conditions())
@example(([(0, 0, 100, "A"), (1, 10, 20, "B")], [(5, 5), (15, 15), (25, 25)]))
@example(([(0, 0, 10, "A"), (0, 10, 20, "B"), (0, 20, 30, "A")], [(5, 25), (5, 15), (15, 25), (5, 5), (25, 25)]))
def test_answers_equal_those_of_the_rule(case):
    rows, queries = case
    assert_is_by_rule(queries, rows)


def test_every_query_of_a_folder_with_all_peculiarities():
    rows = [
        (0, 0, 4, "A"), (0, 4, 8, "B"), (0, 8, OPEN_IOV, "A"),  # one after the other, the first content again
        (1, 2, 9, "A"), (1, 3, 5, "C"), (1, 3, 7, "C"), (1, 12, 13, "A"),  # overlaps, twice the same begin; a gap
        (2, 5, 6, "A"), (2, 5, 6, "B"),  # the same IOV twice
        (3, 0, OPEN_IOV, "D"),
    ]  # fmt: skip
    queries = [(since, until) for since in range(16) for until in [*range(since, 16), OPEN_IOV]]
    assert_is_by_rule(queries, rows)
    assert_is_by_rule(queries, [row for row in rows if row[0] != 3])


def test_equal_answers_of_different_ranks_with_another_one_between():
    result = find_answers(*asked([(5, 5), (15, 15), (25, 25)]), table([(0, 0, 100, "A"), (1, 10, 20, "B")]))
    assert result.by_iov.tolist() == result.by_content.tolist() == [0, 1, 0]


def test_a_content_counts_once_per_channel():
    rows = [(0, 0, 10, "A"), (0, 10, 20, "B"), (0, 20, 30, "A"), (1, 0, 30, "A")]
    result = find_answers(*asked([(0, 25), (0, 15), (12, 25), (0, 5), (22, 22)]), table(rows))
    assert result.by_iov.tolist() == [0, 1, 2, 3, 4]
    assert result.by_content.tolist() == [0, 0, 0, 1, 1]


def test_no_queries_and_no_payloads():
    none = find_answers(*asked([]), table([(0, 0, 10, "A")]))
    assert len(none.by_iov) == len(none.by_content) == 0
    nothing = find_answers(*asked([(0, 5), (7, OPEN_IOV)]), table([]))
    assert nothing.by_iov.tolist() == nothing.by_content.tolist() == [-1, -1]
    assert nothing.rows(1).tolist() == []


@settings(max_examples=examples(100))
@given(conditions())
def test_queries_of_a_region_get_the_same_answer(case):
    rows, queries = case
    since, until = asked(queries)
    whole = regions(since, until, table(rows))
    pieces = [regions(since[i : i + 1], until[i : i + 1], table(rows)) for i in range(len(queries))]
    assert whole.tolist() == [number for piece in pieces for number in piece]
    by_iov = find_answers(since, until, table(rows)).by_iov
    assert len(set(zip(whole.tolist(), by_iov.tolist(), strict=True))) == len({*whole.tolist()})


def test_sums_with_an_equal_half_are_told_apart(monkeypatch):
    rows = [(c, i, i + 2, str(i % 3)) for c in range(3) for i in range(0, 60, c + 2)]
    queries = [(s, s + w) for s in range(60) for w in (0, 1, 7)]
    whole = find_answers(*asked(queries), table(rows))
    drawn = answer_sets._random_numbers
    for halves in ([[0], [1]], [[1], [0]]):
        half = np.array(halves, np.uint64)
        monkeypatch.setattr(answer_sets, "_random_numbers", lambda count, half=half: half * drawn(count))
        one = find_answers(*asked(queries), table(rows))
        assert one.by_iov.tolist() == whole.by_iov.tolist()
        assert one.by_content.tolist() == whole.by_content.tolist()


def test_answers_do_not_depend_on_the_size_of_chunks(monkeypatch):
    rows = [(c, i, i + 2, str(i % 3)) for c in range(3) for i in range(0, 60, c + 2)]
    queries = [(s, s + w) for s in range(60) for w in (0, 1, 7)]
    whole = find_answers(*asked(queries), table(rows))
    monkeypatch.setattr("frontierlab.caching.answer_sets._CHUNK", 7)
    pieces = find_answers(*asked(queries), table(rows))
    assert whole.by_iov.tolist() == pieces.by_iov.tolist()
    assert whole.by_content.tolist() == pieces.by_content.tolist()


@settings(max_examples=examples(100))
@given(conditions())
def test_overlapping_rows_are_counted(case):
    rows, _ = case
    expected = sum(
        any(i != j and a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for j, b in enumerate(rows))
        for i, a in enumerate(rows)
    )
    assert overlapping(table(rows)) == expected


@pytest.mark.parametrize("seed", range(3))
def test_many_rows_and_queries(seed):
    rng = np.random.default_rng(seed)
    rows = []
    for channel in range(4):
        points = np.unique(LARGE + rng.integers(0, 400, 40))
        ends = np.append(points[1:], OPEN_IOV) + rng.integers(-3, 2, len(points)) * (np.arange(len(points)) % 5 == 0)
        kept = [(channel, int(b), int(e)) for b, e in zip(points, ends, strict=True) if b < e]
        rows += [(*row, f"v{rng.integers(0, 6)}") for row in kept]
    since = LARGE + rng.integers(-5, 410, 500)
    until = since + rng.integers(0, 60, 500) * rng.integers(0, 2, 500)
    assert_is_by_rule([*zip(since.tolist(), until.tolist(), strict=True)], rows)
