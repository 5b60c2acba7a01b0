"""Checks of servers: too many threads, or silence."""

from __future__ import annotations

import math
from collections.abc import Iterator

from frontierlab.checks.conditions import given
from frontierlab.checks.findings import Finding, NotLooked
from frontierlab.checks.look import Groups, Look, named
from frontierlab.checks.tallies import Tally, added
from frontierlab.checks.windows import HOUR
from frontierlab.storage.spans import Span
from frontierlab.util.times import in_words

__all__ = ["silent_servers", "threads"]


def threads(look: Look) -> Iterator[Finding | NotLooked]:
    """Find the servers that had more than ``check_threads`` simultaneous threads when a query came."""
    tally = Tally(
        "threads per server",
        look.span,
        look.windows.length,
        ("frontierserver",),
        {"told": given("initthreads")},
        {"threads": "initthreads"},
    )
    most = look.limits.check_threads
    for window, groups in zip(look.windows.all, look.by_window(tally), strict=True):
        needed = {"told": "no query says how many threads there were (initthreads)"}
        if why := look.why_not(window, added(tally, [*groups.values()]), needed):
            yield look.unseen(window, why)
        for (server,), numbers in groups.items():
            if (largest := numbers.get("threads", 0)) > most:
                where = {"frontierserver": server}
                what = f"{named('Server', server)}: up to {largest:,} simultaneous threads."
                call = look.calls.filter("threads_over_time", window, where, bin_seconds=60)
                yield look.finding(what, where, window, largest, most, "threads", call)


def silent_servers(look: Look) -> Iterator[Finding | NotLooked]:
    """Find the servers without a query in the last ``check_silent_hours`` of a window, which had one not long before.

    They spoke within ``check_silent_spoke_hours`` of the end of the window.
    """
    if look.counter.partial:
        yield look.unseen(look.span, f"a server may have had other queries. {' '.join(look.counter.partial)}")
        return
    silent, before = (
        round(hours * HOUR) for hours in (look.limits.check_silent_hours, look.limits.check_silent_spoke_hours)
    )
    width = math.gcd(look.windows.length, silent, before)
    start = min(look.windows.start, look.windows.start + look.windows.length - before)
    counted, largest = {"named": given("frontierserver")}, {"last": "time"}
    tally = Tally(
        "last queries per server", Span(start, look.windows.stop), width, ("frontierserver",), counted, largest
    )
    pieces: dict[int, Groups] = {}
    for row in look.counter.count(tally):
        pieces.setdefault(row.piece, {})[row.key] = row.numbers
    for window in look.windows.all:
        seen = Span(window.stop - before, window.stop)
        spoke = [pieces.get(piece, {}) for piece in range(seen.start, seen.stop, width)]
        total = added(tally, [numbers for groups in spoke for numbers in groups.values()])
        if why := look.why_not(seen, total, {"named": "no query names a server"}):
            yield look.unseen(window, why)
            continue
        last: dict[str, int] = {}
        for groups in spoke:
            last |= {key[0]: numbers["last"] for key, numbers in groups.items() if key[0] is not None}
        for server, moment in last.items():
            if moment < window.stop - silent:
                where = {"frontierserver": server}
                hours = (window.stop - moment) / HOUR
                what = f"Server {server} is silent: its last query came at {in_words(moment)}."
                call = look.calls.filter("queries_over_time", seen, where)
                span = Span(moment, window.stop)
                yield look.finding(what, where, span, hours, silent / HOUR, "hours without a query", call)
