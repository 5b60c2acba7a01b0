"""Checks of queries that cost more than they should: bad SQL, long queries, IOVs on no grid, fewer cached answers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from frontierlab.checks.conditions import (
    CACHED,
    CACHED_GIVEN,
    IOV_GIVEN,
    ON_NO_GRID,
    SQL_GIVEN,
    given,
    longer_than,
    with_sql,
)
from frontierlab.checks.findings import Finding, NotLooked
from frontierlab.checks.look import Look, named
from frontierlab.checks.tallies import Key, Numbers, Tally, added
from frontierlab.checks.windows import DAY, HOUR, MINUTE
from frontierlab.storage.spans import Span

__all__ = ["bad_sql", "hit_ratio", "long_queries", "unaligned_iovs"]

_WEEK = 7 * DAY


def bad_sql(look: Look) -> Iterator[Finding | NotLooked]:
    """Find the tasks that sent SQL with the text ``check_bad_sql`` in the ``check_bad_sql_hours`` before the end."""
    if why := look.counter.has_sql():
        yield look.unseen(look.span, why)
        return
    before = max(look.limits.check_bad_sql_hours * HOUR, look.windows.length)
    width = math.gcd(look.windows.length, before)
    whole = Span(look.windows.start + look.windows.length - before, look.windows.stop)
    text = look.limits.check_bad_sql
    every = Tally("queries with their SQL", whole, width, (), {"told": SQL_GIVEN})
    bad = Tally("bad SQL", whole, width, ("taskid",), only=with_sql(text))
    totals = look.counter.count(every)
    rows = look.counter.count(bad)
    for window in look.windows.all:
        seen = Span(window.stop - before, window.stop)
        total = added(every, [row.numbers for row in totals if seen.start <= row.piece < seen.stop])
        if why := look.why_not(seen, total, {"told": "no query has the text of its SQL"}):
            yield look.unseen(window, why)
        tasks: dict[Key, int] = {}
        for row in rows:
            if seen.start <= row.piece < seen.stop:
                tasks[row.key] = tasks.get(row.key, 0) + row.numbers["queries"]
        for (task,), queries in tasks.items():
            where = {"taskid": task}
            what = f"{queries:,} queries with bad SQL ({text}): {named('task', task)}."
            yield look.finding(what, where, seen, queries, 0, "queries", look.calls.texts(seen, where, text))


def long_queries(look: Look) -> Iterator[Finding | NotLooked]:
    """Find the times in which more than ``check_long_percent`` of the queries took over ``check_long_seconds``.

    Bins of ``check_long_bin_minutes`` with ``check_long_queries`` or more are looked at. They begin with each window.
    Adjacent ones are one finding, whose value is the largest share.
    """
    if look.counter.partial:
        yield look.unseen(look.span, f"shares need all queries. {' '.join(look.counter.partial)}")
        return
    limits = look.limits
    width = round(limits.check_long_bin_minutes * MINUTE)
    counted = {"told": given("querytime"), "long": longer_than(round(limits.check_long_seconds * 1000))}
    step = math.gcd(look.windows.length, width)
    tally = Tally("long queries", look.span, step, (), counted)
    bins: dict[int, list[Numbers]] = {}
    for row in look.counter.count(tally):
        start = look.windows.all[look.windows.number(row.piece)].start
        bins.setdefault(row.piece - (row.piece - start) % width, []).append(row.numbers)
    for window in look.windows.all:
        inside = {piece: added(tally, bins.get(piece, [])) for piece in range(window.start, window.stop, width)}
        if why := look.why_not(
            window, added(tally, [*inside.values()]), {"told": "no query says how long it took (querytime)"}
        ):
            yield look.unseen(window, why)
            continue
        shares = {
            piece: 100 * numbers["long"] / numbers["told"]
            for piece, numbers in inside.items()
            if numbers["told"] >= limits.check_long_queries
        }
        yield from _long(
            look, window, width, {p: share for p, share in shares.items() if share > limits.check_long_percent}
        )


def _long(look: Look, window: Span, width: int, shares: dict[int, float]) -> Iterator[Finding]:
    """Return the findings of the bins with too many long queries, from their shares in percent."""
    runs: list[list[int]] = []
    for piece in (piece for piece, share in shares.items() if share > look.limits.check_long_percent):
        if runs and runs[-1][-1] + width == piece:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    seconds, most = look.limits.check_long_seconds, look.limits.check_long_percent
    for run in runs:
        span = Span(run[0], min(run[-1] + width, window.stop))
        largest = max(shares[piece] for piece in run)
        what = f"Up to {largest:.3g} % of the queries took over {seconds:g} s, in bins of {width / MINUTE:g} minutes."
        keywords = {"threshold_ms": round(seconds * 1000) + 1, "bin_seconds": width // 1000}
        call = look.calls.filter("long_queries_per_schema", span, {}, **keywords)
        yield look.finding(what, {}, span, largest, most, "% of the queries", call)


def unaligned_iovs(look: Look) -> Iterator[Finding | NotLooked]:
    """Find the folders of which more than ``check_unaligned_percent`` of the queries ask for IOVs on no grid.

    Folders with ``check_unaligned_queries`` queries with an IOV in an hour, or more, are looked at. Athena's grid: the
    start of an IOV is a multiple of a third of its width, so that jobs ask alike and caches can answer.
    """
    if look.counter.partial:
        yield look.unseen(look.span, f"shares need all queries. {' '.join(look.counter.partial)}")
        return
    keys = ("db", "schema", "nodefullpath")
    counted = {"told": IOV_GIVEN, "odd": ON_NO_GRID}
    tally = Tally("IOVs on no grid", look.span, look.windows.length, keys, counted)
    least, most = look.an_hour(look.limits.check_unaligned_queries), look.limits.check_unaligned_percent
    for window, groups in zip(look.windows.all, look.by_window(tally), strict=True):
        if why := look.why_not(window, added(tally, [*groups.values()]), {"told": "no query asks for an IOV"}):
            yield look.unseen(window, why)
            continue
        for key, numbers in groups.items():
            if numbers["told"] and numbers["told"] >= least and 100 * numbers["odd"] > most * numbers["told"]:
                where = dict(zip(keys, key, strict=True))
                share = 100 * numbers["odd"] / numbers["told"]
                what = (
                    f"{share:.3g} % of {numbers['told']:,} queries ask for IOVs on no grid, which defeats caches: "
                    f"{named('folder', ' '.join(map(str, key)) if key[2] is not None else None)}."
                )
                call = look.calls.filter("cost_per_task", window, where)
                yield look.finding(what, where, window, share, most, "% of the queries with an IOV", call)


def hit_ratio(look: Look) -> Iterator[Finding | NotLooked]:
    """Find the servers whose share of cached queries is ``check_hit_fall`` points lower than a week before, or more.

    Servers with ``check_hit_queries`` in an hour, or more, now and at the same time a week before, are looked at.
    """
    if look.counter.partial:
        yield look.unseen(look.span, f"shares need all queries. {' '.join(look.counter.partial)}")
        return
    counted = {"told": CACHED_GIVEN, "cached": CACHED}
    needed = {"told": "no query says whether it was cached"}
    tally = Tally("cached queries per server", look.span, look.windows.length, ("frontierserver",), counted)
    week_before = Tally(
        tally.name, Span(look.span.start - _WEEK, look.span.stop - _WEEK), tally.width, tally.keys, counted
    )
    now = look.by_window(tally)
    least, fall = look.an_hour(look.limits.check_hit_queries), look.limits.check_hit_fall
    then: list[dict[Key, Numbers]] = [{} for _ in look.windows.all]
    for row in look.counter.count(week_before):
        then[look.windows.number(row.piece + _WEEK)][row.key] = row.numbers
    for window, groups, earlier in zip(look.windows.all, now, then, strict=True):
        before = Span(window.start - _WEEK, window.stop - _WEEK)
        why = look.why_not(window, added(tally, [*groups.values()]), needed)
        if not why and (why := look.why_not(before, added(tally, [*earlier.values()]), needed)):
            why = f"nothing to compare with a week before: {why}"
        if why:
            yield look.unseen(window, why)
            continue
        for (server,), numbers in groups.items():
            old = earlier.get((server,))
            if old is None or not min(old["told"], numbers["told"]) or min(old["told"], numbers["told"]) < least:
                continue
            both = old["told"] * numbers["told"]
            fallen = 100 * (old["cached"] * numbers["told"] - numbers["cached"] * old["told"])  # of both, exactly
            if fallen >= fall * both:
                shares = [100 * one["cached"] / one["told"] for one in (old, numbers)]
                where = {"frontierserver": server}
                what = f"{shares[1]:.3g} % cached, {shares[0]:.3g} % a week before: {named('server', server)}."
                call = look.calls.filter("cached_per_schema", window, where, compare="-7d")
                yield look.finding(what, where, window, fallen / both, fall, "percentage points", call)
