"""The names of the checks, in the order of their findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from frontierlab.checks.costs import bad_sql, hit_ratio, long_queries, unaligned_iovs
from frontierlab.checks.failures import failed_per_server, failed_per_task
from frontierlab.checks.findings import Finding, NotLooked
from frontierlab.checks.look import Look
from frontierlab.checks.servers import silent_servers, threads
from frontierlab.errors import InvalidRequestError

__all__ = ["CHECKS", "NOT_CHECKED", "RULES", "named_checks"]

Rule = Callable[[Look], Iterator[Finding | NotLooked]]

_ERRORS: tuple[Rule, ...] = (failed_per_server, failed_per_task, threads, silent_servers)
_WARNINGS: tuple[Rule, ...] = (bad_sql, long_queries, unaligned_iovs, hit_ratio)

RULES: dict[str, tuple[str, Rule]] = {
    rule.__name__: (severity, rule)
    for severity, rules in (("error", _ERRORS), ("warning", _WARNINGS))
    for rule in rules
}
"""Name of a check → how bad its findings are, and the check."""

CHECKS = tuple(RULES)
"""The names of the checks."""

NOT_CHECKED = (
    "No check looks for sites that are silent, or for slow databases and larger answers: frontierlab.diagnose(…) does."
)
"""What no check looks at, and what does."""


def named_checks(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the checks to run, in order; all if none is named.

    Raises
    ------
    InvalidRequestError
        There is no such check.
    """
    wanted = CHECKS if names is None else (names,) if isinstance(names, str) else tuple(names)
    if unknown := [str(name) for name in wanted if name not in CHECKS]:
        raise InvalidRequestError(f"There is no check {', '.join(unknown)}. There are: {', '.join(CHECKS)}.")
    if not wanted:
        raise InvalidRequestError(f"checks is an empty list: leave it out, or name some of {', '.join(CHECKS)}.")
    return tuple(name for name in CHECKS if name in wanted)
