"""Split a time range into parts, by counts of documents from the source.

Both functions call only ``histogram(start, stop, width)``, which counts the documents of
``[start, stop)`` in buckets of `width` milliseconds: ``(start of the bucket, documents)`` in order,
without empty buckets. Times are UTC milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from frontierlab.storage.manifest import PlannedPart

__all__ = ["Histogram", "cut", "split"]

Histogram = Callable[[int, int, int], list[tuple[int, int]]]
"""``(start, stop, width)`` → ``(start of the bucket, documents)``, as above."""

_BUCKETS = 2_000  # per search; a server allows 65,536


def split(histogram: Histogram, start: int, stop: int, most: int) -> list[PlannedPart]:
    """Split a range into parts of at most `most` documents.

    Together the parts cover all documents of the range. A part has more than `most` only if a single
    millisecond has.
    """
    bounds, counts = [start], [0]
    for begin, count in _buckets(histogram, start, stop, most):
        if counts[-1] and counts[-1] + count > most:
            bounds.append(begin)
            counts.append(0)
        counts[-1] += count
    stops = [*bounds[1:], stop]
    return [
        PlannedPart(number=number, start=begin, stop=end, expected=count)
        for number, (begin, end, count) in enumerate(zip(bounds, stops, counts, strict=True))
        if count
    ]


def cut(histogram: Histogram, start: int, stop: int, limit: int) -> int:
    """Return the latest millisecond before which the range has at most `limit` documents.

    If the whole range has no more documents, return `stop`.
    """
    width = _width(start, stop)
    left = limit
    for bucket, count in histogram(start, stop, width):
        if count > left:
            begin, end = max(bucket, start), min(bucket + width, stop)
            return begin if end - begin == 1 else cut(histogram, begin, end, left)
        left -= count
    return stop


def _buckets(histogram: Histogram, start: int, stop: int, most: int) -> Iterator[tuple[int, int]]:
    """Yield ``(start, documents)`` of buckets that have at most `most` documents, or are one millisecond wide."""
    width = _width(start, stop)
    for bucket, count in histogram(start, stop, width):
        begin, end = max(bucket, start), min(bucket + width, stop)
        if count > most and end - begin > 1:
            yield from _buckets(histogram, begin, end, most)
        else:
            yield begin, count


def _width(start: int, stop: int) -> int:
    return max(1, -(-(stop - start) // _BUCKETS))
