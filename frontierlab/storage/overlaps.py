"""What counts of several datasets where they cover the same time, and the times that none of them covers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from frontierlab.errors import DatasetError
from frontierlab.storage.dataset import Dataset
from frontierlab.storage.portions import Portion
from frontierlab.storage.spans import Span, can_share, holds, merged, minus

__all__ = ["Covered", "Overlaps", "QUIET_MS", "gaps_between", "portions_of"]

Overlaps: TypeAlias = Literal["cut", "keep"] | None
"""What to do where two datasets cover the same time; see `frontierlab.storage.periods.Period`."""

QUIET_MS = 300_000
"""Between datasets without a requested period, a shorter time without queries is no gap."""


class Covered(NamedTuple):
    """A dataset and the time that it covers; None if it covers no time."""

    dataset: Dataset
    span: Span | None


def portions_of(covered: Sequence[Covered], window: Span, overlaps: Overlaps) -> tuple[list[Portion], list[str]]:
    """Return what counts of each dataset within a window, and sentences about the overlaps.

    See `frontierlab.storage.periods.Period` for `overlaps`.

    Raises
    ------
    DatasetError
        Two datasets cover the same time, and it is not known whether they hold the same queries.
    """
    portions: dict[Path, Portion] = {}
    told = []
    ranked = sorted(covered, key=_rank)
    for number, (dataset, span) in enumerate(ranked):
        left = () if span is None else _within(span, window)
        for better, other in ranked[:number]:
            for common in () if span is None or other is None else _within(span, other, window):
                cut = (overlaps or _how(better, dataset, common)) == "cut"
                left = minus(left, common) if cut else left
                told.append(_told(better, dataset, common, cut=cut))
        whole = span is None or left == (span,)
        portions[dataset.path] = Portion(dataset) if whole else Portion.of(dataset, left)
    return [portions[one.dataset.path] for one in covered], told


def gaps_between(covered: Sequence[Covered], window: Span | None) -> tuple[Span, ...]:
    """Return the times of the window that no dataset covers; without a window, those between the datasets."""
    spans = [one.span for one in covered if one.span is not None]
    if not spans:
        return ()
    whole = window or Span(min(spans).start, max(span.stop for span in spans))
    left: tuple[Span, ...] = (whole,)
    for span in merged(spans):
        left = minus(left, span)
    loose = {
        bound
        for dataset, span in covered
        for bound, name in zip(span or (), ("since", "until"), strict=False)
        if dataset.manifest.request.get(name) is None
    }
    return tuple(gap for gap in left if gap.stop - gap.start >= QUIET_MS or not loose & set(gap))


def _within(span: Span, *others: Span) -> tuple[Span, ...]:
    """Return the time that is in all spans: one span or none."""
    common: Span | None = span
    for other in others:
        common = common and common.common(other)
    return () if common is None else (common,)


def _rank(one: Covered) -> tuple[object, ...]:
    """Order the better of two datasets first: what a later one has of the same time is taken from the first."""
    manifest = one.dataset.manifest
    restrictions = sum(manifest.request.get(name) not in (None, {}) for name in ("cached", "taskid", "selection"))
    start, stop = one.span or (0, 0)
    newest = tuple(-ord(letter) for letter in manifest.created)
    return manifest.state != "complete", restrictions, start, -stop, newest, one.dataset.name


def _how(better: Dataset, dataset: Dataset, common: Span) -> Literal["cut", "keep"]:
    if not can_share(better, dataset):
        return "keep"
    if holds(better, dataset):
        return "cut"
    ours, theirs = better.manifest.request, dataset.manifest.request
    names = ("source", "index", "cached", "taskid", "selection", "db_instances")
    differ = [
        f"{name} is {ours.get(name)!r} and {theirs.get(name)!r}" for name in names if ours.get(name) != theirs.get(name)
    ]
    raise DatasetError(
        f"The datasets {better.name} and {dataset.name} both cover the time {common.in_words()}, and it is not known "
        f"whether they hold the same queries: {'; '.join(differ)}. Leave one of them out, or choose since and until "
        f'without this time. overlaps="cut" takes the time from {better.name}; overlaps="keep" counts both.'
    )


def _told(better: Dataset, dataset: Dataset, common: Span, *, cut: bool) -> str:
    both = f"The datasets {better.name} and {dataset.name} both cover the time {common.in_words()}: its queries are"
    if cut:
        return f"{both} counted once, from {better.name}."
    return f"{both} counted from both."
