"""What the search finds: one deviation, in one scope and interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DIMENSIONS", "Finding", "KINDS", "overlap", "within"]

DIMENSIONS = ("db", "schema", "nodefullpath", "tagname", "taskid", "frontierserver", "computingsite", "squid")
"""The columns that a scope can name; ``taskname`` belongs to ``taskid``."""

KINDS = (
    "iov_flood",
    "cache_bypass",
    "slow_database",
    "slow_server",
    "rejections",
    "failures",
    "payload_growth",
    "load",
    "silence",
    "wrong_iov",
)
"""The kinds of incidents."""


@dataclass(frozen=True)
class Finding:
    """A deviation.

    Parameters
    ----------
    kind
        One of `KINDS`.
    scope
        The names that it is limited to; empty is everything.
    start, stop
        The bins ``[start, stop)``.
    normal, seen, unit
        What was expected, what was there, and their unit.
    gain
        How much likelier the data are with the deviation than without, as a natural logarithm.
    how
        The form of the kind, in a word; can be empty.
    """

    kind: str
    scope: Mapping[str, Any]
    start: int
    stop: int
    normal: float
    seen: float
    unit: str
    gain: float
    how: str = field(default="")

    @property
    def factor(self) -> float:
        """What was there, divided by what was expected."""
        return self.seen / self.normal if self.normal > 0 else float("inf")


def within(inner: Mapping[str, Any], outer: Mapping[str, Any]) -> bool:
    """Return whether a scope lies within another."""
    return all(inner.get(name) == value for name, value in outer.items())


def overlap(one: Finding, other: Finding) -> float:
    """Return the overlap of two intervals as a share of the shorter one."""
    both = min(one.stop, other.stop) - max(one.start, other.start)
    return max(both, 0) / max(1, min(one.stop - one.start, other.stop - other.start))
