"""Checks of failed queries: rejected, without a client any more, or ended in an error."""

from __future__ import annotations

from collections.abc import Iterator

from frontierlab.checks.conditions import FAILED, FLAGS_GIVEN, given
from frontierlab.checks.findings import Finding, NotLooked
from frontierlab.checks.look import Look, named
from frontierlab.checks.tallies import Tally, added

__all__ = ["failed_per_server", "failed_per_task"]

_NEEDED = {"told": "no query says whether it failed (disconn, rejected, procerror)"}


def failed_per_server(look: Look) -> Iterator[Finding | NotLooked]:
    """Find the servers with ``check_failed_per_server`` failed queries an hour, or more.

    Queries that name no server count as those of one server.
    """
    tally = Tally(
        "failed queries per server",
        look.span,
        look.windows.length,
        ("frontierserver",),
        {"failed": FAILED, "told": FLAGS_GIVEN},
    )
    least = look.an_hour(look.limits.check_failed_per_server)
    for window, groups in zip(look.windows.all, look.by_window(tally), strict=True):
        if why := look.why_not(window, added(tally, [*groups.values()]), _NEEDED):
            yield look.unseen(window, why)  # what is there can be too many all the same
        for (server,), numbers in groups.items():
            if numbers["failed"] >= least:
                where = {"frontierserver": server}
                what = f"{numbers['failed']:,} of {numbers['queries']:,} queries failed: {named('server', server)}."
                call = look.calls.filter("cost_per_task", window, where, rank_by="failures")
                yield look.finding(what, where, window, numbers["failed"], least, "failed queries", call)


def failed_per_task(look: Look) -> Iterator[Finding | NotLooked]:
    """Find the tasks with more than ``check_failed_per_task`` failed queries an hour, among all tasks."""
    every = Tally(
        "queries with a task", look.span, look.windows.length, (), {"told": FLAGS_GIVEN, "named": given("taskid")}
    )
    failed = Tally("failed queries per task", look.span, look.windows.length, ("taskid",), only=FAILED)
    needed = {**_NEEDED, "named": "no query names a task"}
    most = look.an_hour(look.limits.check_failed_per_task)
    both = zip(look.by_window(every), look.by_window(failed), strict=True)
    for window, (total, groups) in zip(look.windows.all, both, strict=True):
        if why := look.why_not(window, added(every, [*total.values()]), needed):
            yield look.unseen(window, why)  # what is there can be too many all the same
        for (task,), numbers in groups.items():
            if task is not None and numbers["queries"] > most:
                call = look.calls.filter("cost_per_server", window, {"taskid": task}, rank_by="failures")
                what = f"{numbers['queries']:,} queries of task {task} failed."
                yield look.finding(what, {"taskid": task}, window, numbers["queries"], most, "failed queries", call)
