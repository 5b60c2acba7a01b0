"""The portion of a dataset that counts when several datasets are read as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from frontierlab.storage.dataset import Dataset
from frontierlab.storage.spans import Span

__all__ = ["Portion"]


@dataclass(frozen=True)
class Portion:
    """The rows of a dataset in some spans of time.

    Parameters
    ----------
    dataset
        The dataset.
    spans
        The spans; None is all rows.
    """

    dataset: Dataset
    spans: tuple[Span, ...] | None = None

    @classmethod
    def of(cls, dataset: Dataset, spans: Iterable[Span]) -> Portion:
        """Return the rows of a dataset in these spans; all of them if no row is outside."""
        spans, outcome = tuple(spans), dataset.outcome()
        if outcome.since is None or outcome.until is None:
            return cls(dataset)
        whole = any(span.start <= outcome.since and outcome.until < span.stop for span in spans)
        return cls(dataset, None if whole else spans)

    def has_whole_bins(self, bin_ms: int) -> bool:
        """Whether no bin of this width, aligned to the epoch, has both rows that count and rows that do not."""
        outcome = self.dataset.outcome()
        if self.spans is None or outcome.since is None or outcome.until is None:
            return True
        first, last = outcome.since, outcome.until
        bounds = [bound for span in self.spans for bound in span if first < bound <= last]
        return all(bound % bin_ms == 0 for bound in bounds)
