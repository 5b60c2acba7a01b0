"""Equal answers: which queries get the same set of payload rows from COOL.

A query asks for the IOV ``[since, until]``. In each channel, COOL's SQL looks up the latest row with
``IOV_SINCE <= since`` first; from that row on it returns the rows with ``IOV_SINCE <= until`` and
``IOV_UNTIL > since`` [1]_ [2]_. These rows are:

- rows that begin inside the query: ``since < IOV_SINCE <= until``;
- rows that are valid at ``since``: ``IOV_SINCE <= since < stop``. Here ``stop`` is the smaller of ``IOV_UNTIL`` and
  the next ``IOV_SINCE`` of the channel.

So an answer depends only on the ranks of ``since`` and ``until`` among these bounds, and sums over its rows are
differences of prefix sums. Sets are compared by a hash: the sum of random 128-bit numbers, one per member (modulo
2^64 in each half). For random numbers, two different sets have the same hash with probability 2^-128. The random
number of a member is Zobrist's idea [3]_; the sum instead of his XOR is that of MSet-Add-Hash [4]_.

References
----------
.. [1] A. Valassi, "Stabilizing SQL execution plans in COOL using Oracle hints", CERN Oracle Tutorials, 5 June 2013.
.. [2] COOL, validity time, https://twiki.cern.ch/twiki/bin/view/Persistency/CoolValidityTime
.. [3] A. L. Zobrist, "A new hashing method with application for game playing", Technical Report 88, Computer Sciences
   Department, University of Wisconsin, 1970.
.. [4] D. Clarke, S. Devadas, M. van Dijk, B. Gassend, G. E. Suh, "Incremental multiset hash functions and their
   application to memory integrity checking", ASIACRYPT 2003, doi:10.1007/978-3-540-40061-5_12.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["Answers", "Bounds", "find_answers", "overlapping", "regions"]

Integers = NDArray[np.int64]
Sums = NDArray[np.uint64]  # shape (2, n): two halves of a hash

_CHUNK = 1 << 20  # queries that are ranked at once
_BEFORE_ALL = np.iinfo(np.int64).min


class Answers:
    """The answers of queries; returned by `find_answers`.

    Parameters
    ----------
    since, until
        The IOVs of the queries.
    bounds
        The bounds of the payloads.
    by_iov, by_content
        A number for each query, from 0. Two queries have the same number if and only if their answers are equal as
        sets of (channel, since, until), or as sets of (channel, content). -1 is the empty answer.
    """

    def __init__(
        self, since: Integers, until: Integers, bounds: Bounds, by_iov: Integers, by_content: Integers
    ) -> None:
        self.by_iov = by_iov
        self.by_content = by_content
        self._since, self._until, self._bounds = since, until, bounds

    def rows(self, query: int) -> Integers:
        """Return the indices of the payload rows that a query gets, in table order."""
        since, until, bounds = self._since[query], self._until[query], self._bounds
        inside = (bounds.since > since) & (bounds.since <= until)
        return np.flatnonzero(inside | ((bounds.since <= since) & (since < bounds.stop)))

    def counts(self) -> Integers:
        """Return the number of payload rows that each query gets."""
        return self._bounds.count(self._since, self._until).astype(np.int64)


def find_answers(since: Integers, until: Integers, payloads: pa.Table | Bounds) -> Answers:
    """Find which queries get the same answer.

    Time and memory grow with the number of queries plus the number of rows, not with their product.

    Parameters
    ----------
    since, until
        The IOVs of the queries, int64, with ``until >= since``.
    payloads
        The payload rows of the folder and tag: ``channel``, ``since``, ``until`` (int64) and ``content`` (text); or
        their bounds, where these are needed several times.

    Returns
    -------
    Answers
        In the order of the queries.
    """
    bounds = _bounds_of(payloads)
    first, place = _first_of_each(_regions(since, until, bounds))
    one_since, one_until = since[first], until[first]
    # rows with equal channel, since and until are in the same answers, so duplicates change no comparison
    ones = np.ones((1, len(bounds.since)), np.uint64)
    *hashes, counts = bounds.sum_over_answers(
        np.vstack([_random_numbers(len(bounds.since)), ones]), one_since, one_until
    )
    empty = counts == 0
    by_iov = _number_sets(np.array(hashes), empty)
    by_content = _number_sets(_hash_by_content(bounds, one_since, one_until), empty)
    return Answers(since, until, bounds, by_iov[place], by_content[place])


def regions(since: Integers, until: Integers, payloads: pa.Table | Bounds) -> Integers:
    """Return the number of each query's region of the (since, until) plane; queries of one region get one answer.

    Queries of different regions may get the same answer too. The number depends only on the query and the payloads, so
    that queries can be processed in pieces.
    """
    return _regions(since, until, _bounds_of(payloads))


def overlapping(payloads: pa.Table) -> int:
    """Return how many payload rows overlap another row of their channel."""
    if not payloads.num_rows:
        return 0
    channel, since, until = (payloads[name].to_numpy() for name in ("channel", "since", "until"))
    order = np.lexsort((since, channel))
    channel, since, until = channel[order], since[order], until[order]
    ends, rank = np.unique(until, return_inverse=True)
    number = np.cumsum(np.append(False, channel[1:] != channel[:-1]))
    # the latest end so far in the channel: ranks of a later channel are above all ranks of an earlier one
    latest = ends[np.maximum.accumulate(number * len(ends) + rank) - number * len(ends)]
    same = channel[1:] == channel[:-1]
    with_earlier = np.append(False, same & (since[1:] < latest[:-1]))
    with_later = np.append(same & (until[:-1] > since[1:]), False)
    return int((with_earlier | with_later).sum())


class Bounds:
    """The IOV values at which answers change, and sums over the rows between them.

    Parameters
    ----------
    payloads
        The payload rows of a folder and tag.
    """

    def __init__(self, payloads: pa.Table) -> None:
        self.channel, self.since, until = (payloads[name].to_numpy() for name in ("channel", "since", "until"))
        self.content = payloads["content"].combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
        self.stop = np.minimum(until, _next_begin(self.channel, self.since))
        self.begins = np.unique(self.since)
        self.edges = np.unique(np.concatenate([self.since, self.stop]))

    def count(self, since: Integers, until: Integers) -> Sums:
        """Return the number of rows of each answer."""
        counts: Sums = self.sum_over_answers(np.ones((1, len(self.since)), np.uint64), since, until)[0]
        return counts

    def sum_over_answers(self, weights: Sums, since: Integers, until: Integers) -> Sums:
        """Return for each answer the sum of the weights of its rows."""
        order = np.argsort(self.since)
        begins, begun = self.since[order], _prefix_sums(weights[:, order])
        inside = begun[:, _rank(begins, until)] - begun[:, _rank(begins, since)]
        return inside + self.sum_valid_at(self.since, self.stop, weights, since)

    def sum_valid_at(self, begin: Integers, stop: Integers, weights: Sums, since: Integers) -> Sums:
        """Return for each value the sum of weights of the intervals ``[begin, stop)`` that contain it."""
        change = np.zeros((len(weights), len(self.edges) + 1), np.uint64)
        for half, weight in zip(change, weights, strict=True):
            np.add.at(half, np.searchsorted(self.edges, begin) + 1, weight)
            np.subtract.at(half, np.searchsorted(self.edges, stop) + 1, weight)
        return np.cumsum(change, axis=1, dtype=np.uint64)[:, _rank(self.edges, since)]


def _bounds_of(payloads: pa.Table | Bounds) -> Bounds:
    return payloads if isinstance(payloads, Bounds) else Bounds(payloads)


def _next_begin(channel: Integers, since: Integers) -> Integers:
    """Return for each row the next larger ``since`` in its channel."""
    order = np.lexsort((since, channel))
    ordered, of = since[order], channel[order]
    new = np.flatnonzero(np.append(True, (of[1:] != of[:-1]) | (ordered[1:] != ordered[:-1])))[: len(order)]
    follows = np.append(of[new[1:]] == of[new[:-1]], False)[: len(new)]
    following = np.where(follows, np.append(ordered[new[1:]], 0)[: len(new)], np.iinfo(np.int64).max)
    result = np.empty_like(since)
    result[order] = np.repeat(following, np.diff(np.append(new, len(order))))
    return result


def _regions(since: Integers, until: Integers, bounds: Bounds) -> Integers:
    region = np.empty(len(since), np.int64)
    for k in range(0, len(since), _CHUNK):
        part = slice(k, k + _CHUNK)
        region[part] = _rank(bounds.edges, since[part]) * (len(bounds.begins) + 1) + _rank(bounds.begins, until[part])
    return region


def _hash_by_content(bounds: Bounds, since: Integers, until: Integers) -> Sums:
    """Return for each answer the sum of its contents' random numbers, each (channel, content) once.

    A content is counted if one of its rows is valid at `since`. Otherwise it is counted at the first of its rows that
    begins after `since`, at b, if ``p <= since < b <= until``. Here p is the stop of the previous row of that content.
    """
    member, begin, stop = _contents(bounds)
    numbers = _random_numbers(int(member.max(initial=-1)) + 1)[:, member]
    before = np.append(_BEFORE_ALL, stop[:-1])
    before[np.append(True, member[1:] != member[:-1])[: len(member)]] = _BEFORE_ALL
    order = np.argsort(begin)
    points, weights = begin[order], numbers[:, order]
    left = np.searchsorted(bounds.edges, before[: len(member)][order]) + 1
    left[before[: len(member)][order] == _BEFORE_ALL] = 0
    up_to_since = _prefix_sums(weights)[:, _rank(points, since)]  # rows that begin too early; p <= b holds for them
    started = _dominance_sums(left, weights, _rank(points, until), _rank(bounds.edges, since) + 1)
    return started - up_to_since + bounds.sum_valid_at(begin, stop, numbers, since)


def _contents(bounds: Bounds) -> tuple[Integers, Integers, Integers]:
    """Return member (number of a channel's content), begin and stop; if member and begin are equal, the longest row."""
    channel = pd.factorize(bounds.channel)[0].astype(np.int64)
    member = pd.factorize(channel * (bounds.content.max(initial=0) + 1) + bounds.content)[0]
    order = np.lexsort((-bounds.stop, bounds.since, member))
    number, begin, stop = member[order], bounds.since[order], bounds.stop[order]
    new = np.append(True, (number[1:] != number[:-1]) | (begin[1:] != begin[:-1]))[: len(order)]
    return number[new], begin[new], stop[new]


def _dominance_sums(height: Integers, weights: Sums, count: Integers, below: Integers) -> Sums:
    """Return, for each pair of `count` and `below`, the weights of the first `count` points with a height below it.

    The result is the sum of these weights. The points are split by the bits of their heights, highest bit first. This
    is a wavelet matrix [1]_. Time grows with (points + pairs) times the number of bits.

    References
    ----------
    .. [1] F. Claude, G. Navarro, A. Ordóñez, "The wavelet matrix: an efficient wavelet tree for large alphabets",
       Information Systems 47 (2015) 15-32, doi:10.1016/j.is.2014.06.002.
    """
    total = np.zeros((len(weights), len(count)), np.uint64)
    low, high = np.zeros_like(count), count
    bits = int(max(height.max(initial=0), below.max(initial=0))).bit_length()
    for bit in reversed(range(bits)):
        zero = (height >> bit & 1) == 0
        zeros = np.append(0, np.cumsum(zero))
        sums = _prefix_sums(np.where(zero, weights, np.uint64(0)))
        under = (below >> bit & 1) == 1
        total += np.where(under, sums[:, high] - sums[:, low], np.uint64(0))
        low = np.where(under, zeros[-1] + low - zeros[low], zeros[low])
        high = np.where(under, zeros[-1] + high - zeros[high], zeros[high])
        order = np.argsort(~zero, kind="stable")
        height, weights = height[order], weights[:, order]
    return total


def _random_numbers(count: int) -> Sums:
    """Return random 128-bit numbers in two halves, from a fixed seed."""
    return np.random.default_rng(5).integers(0, 2**64, (2, count), np.uint64)


def _prefix_sums(weights: Sums) -> Sums:
    """Return cumulative sums of weights, starting with 0."""
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1), np.uint64)
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def _rank(bounds: Integers, values: Integers) -> Integers:
    """Return how many bounds are less than or equal to each value."""
    return np.searchsorted(bounds, values, side="right")


def _number_sets(sums: Sums, empty: NDArray[np.bool_]) -> Integers:
    """Return a number from 0 for each sum, the same for equal sums; -1 for an empty answer."""
    numbers = np.full(len(empty), -1)
    upper, lower = sums[:, ~empty]
    first, place = _first_of_each(upper)
    if (lower != lower[first][place]).any():  # two different sums with the same upper half
        place = pd.factorize(place * (len(empty) + 1) + pd.factorize(lower)[0])[0]
    numbers[~empty] = place
    return numbers


def _first_of_each(values: Integers | Sums) -> tuple[Integers, Integers]:
    """Return the index where each distinct value first occurs, and the number of each value among these."""
    place, different = pd.factorize(values)
    first = np.empty(len(different), np.int64)
    first[place[::-1]] = np.arange(len(values) - 1, -1, -1)
    return first, place
