"""The time that a dataset covers, and whether two datasets can hold the same queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from frontierlab.storage.dataset import Dataset
from frontierlab.util.times import in_words, parse_time, to_milliseconds

__all__ = ["Span", "can_share", "holds", "merged", "minus", "span_of"]


class Span(NamedTuple):
    """A span of time ``[start, stop)``, in UTC milliseconds since the epoch."""

    start: int
    stop: int

    def in_words(self) -> str:
        """Return the span in words, in UTC."""
        return f"from {in_words(self.start).removesuffix(' UTC')} to {in_words(self.stop)}"

    def common(self, other: Span) -> Span | None:
        """Return the time that is in both spans; None if there is none."""
        start, stop = max(self.start, other.start), min(self.stop, other.stop)
        return Span(start, stop) if start < stop else None


def minus(spans: Iterable[Span], taken: Span) -> tuple[Span, ...]:
    """Return the time of `spans` that is not in `taken`."""
    left = []
    for span in spans:
        pieces = Span(span.start, min(span.stop, taken.start)), Span(max(span.start, taken.stop), span.stop)
        left += [piece for piece in pieces if piece.start < piece.stop]
    return tuple(left)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the time that at least one span covers, in order."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].stop:
            found[-1] = Span(found[-1].start, max(found[-1].stop, span.stop))
        else:
            found.append(span)
    return found


def span_of(dataset: Dataset) -> Span | None:
    """Return the time that a dataset covers: its extraction would have found any query of that time.

    This is the requested period; a bound that was not requested is the time of the first or last row. A cut by
    ``limit_queries`` ends it earlier, and so does the time of the extraction, because an index does not hold later
    queries yet. None if the dataset covers no time.
    """
    manifest, outcome = dataset.manifest, dataset.outcome()
    start, stop = (_milliseconds(manifest.request.get(name)) for name in ("since", "until"))
    if start is None:
        start = outcome.since
    if stop is None and outcome.until is not None:
        stop = outcome.until + 1
    if start is None or stop is None:
        return None
    if manifest.limit is not None:
        stop = min(stop, manifest.limit.get("cut_at_ms", stop))
    created = _milliseconds(manifest.created) or stop
    if manifest.request.get("index") and (outcome.until or 0) < created:  # later rows: the two clocks differ
        stop = min(stop, created)
    return Span(start, stop) if start < stop else None


def holds(one: Dataset, other: Dataset) -> bool:
    """Whether one dataset has all queries that another has of the time that both cover.

    It has if both are from the same source, and the one was requested without the other's restrictions.
    """
    ours, theirs = one.manifest.request, other.manifest.request
    return (
        _source(ours) == _source(theirs)
        and all(_is_all(ours, name) or ours.get(name) == theirs.get(name) for name in ("cached", "taskid", "selection"))
        and set(ours.get("db_instances", ())) >= set(theirs.get("db_instances", ()))
    )


def can_share(one: Dataset, other: Dataset) -> bool:
    """Whether a query can be in both datasets, by what was requested of their sources."""
    ours, theirs = one.manifest.request, other.manifest.request
    differ = any(
        not _is_all(ours, name) and not _is_all(theirs, name) and ours[name] != theirs[name]
        for name in ("cached", "taskid")
    )
    one_selection, other_selection = (request.get("selection") or {} for request in (ours, theirs))
    differ |= any(
        isinstance(values, list)
        and isinstance(other_selection.get(name), list)
        and _disjoint(values, other_selection[name])
        for name, values in one_selection.items()
    )
    return not differ and not _disjoint(ours.get("db_instances", ()), theirs.get("db_instances", ()))


def _disjoint(ours: Sequence[Any], theirs: Sequence[Any]) -> bool:
    return bool(ours) and bool(theirs) and not set(ours) & set(theirs)


def _is_all(request: dict[str, Any], name: str) -> bool:
    return request.get(name) in (None, {})


def _source(request: dict[str, Any]) -> tuple[Any, Any]:
    return request.get("source"), request.get("index")


def _milliseconds(text: str | None) -> int | None:
    return None if text is None else to_milliseconds(parse_time(text))
