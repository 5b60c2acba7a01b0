"""Busy things that are no incidents: a diagnosis must not tell them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frontierlab.sample.world.incidents.desk import MINUTE, Desk
from frontierlab.sample.world.incidents.incident import Incident
from frontierlab.util.times import format_time, from_milliseconds

__all__ = ["harmless"]

FIRST_TASK = 40  # of those without queries of their own: incidents use those before


def harmless(desk: Desk, count: int) -> list[Incident]:
    """Draw busy things that are no incidents."""
    desk.used = FIRST_TASK
    return [_ALL[int(desk.rng.integers(len(_ALL)))](desk) for _ in range(count)]


def _busy(desk: Desk, since: int, until: int, share: float, **more: Any) -> Incident:
    start, stop = (format_time(from_milliseconds(time)) for time in (since, until))
    return Incident("load", start, stop, queries=max(1, int(share * desk.day[0])), harmless=True, **more)


def _new_task(desk: Desk) -> Incident:
    """A large new task that caches well."""
    since, _ = desk.period(60)
    until = min(since + 9 * 60 * MINUTE, desk.stop)
    share = float(desk.rng.uniform(0.04, 0.12)) * (until - since) / (9 * 60 * MINUTE)
    return _busy(desk, since, until, share, scope={"taskid": desk.new_task()}, cached=0.95)


def _shift(desk: Desk) -> Incident:
    """Many people begin to work at the same time."""
    since = desk.scene.start + int(desk.rng.choice([6, 8, 14])) * 60 * MINUTE
    return _busy(desk, since, since + 3 * 60 * MINUTE, 0.015, askers=80)


def _popular(desk: Desk) -> Incident:
    """Many queries for a folder that caches well."""
    since, until = desk.period(60)
    scope = desk.folder(tag=False)
    share = min(0.02, 2.5 * desk.normal(scope, since, until)[0] / desk.day[0] + 1e-3)
    return _busy(desk, since, until, share, scope=scope, askers=40, cached=0.94)


_ALL: tuple[Callable[[Desk], Incident], ...] = (_new_task, _shift, _popular)
