"""What changed between two selections: schemas, folders, tags, tasks, servers, sites and Squids, by their own rates."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal, TypeAlias

import pandas as pd

from frontierlab.engines.engine_choice import Source, as_logs, beside, is_source
from frontierlab.engines.logs import Logs
from frontierlab.engines.own_statements import ANSWERED, ask
from frontierlab.errors import InvalidRequestError
from frontierlab.filters.changes_ranking import ENDS, Covered, ranked_changes
from frontierlab.filters.changes_statement import (
    CHANGE_KEYS,
    COUNTED,
    MEASURES,
    NAMES,
    bounds_of_bins,
    counted_as,
    statement_of_changes,
    statement_of_windows,
)
from frontierlab.filters.covered import compared_windows
from frontierlab.filters.top import check_top
from frontierlab.selection import Selection

__all__ = ["CHANGES", "RankBy", "What", "changes_from", "what_changed"]

Side: TypeAlias = "Source | tuple[Source, Selection]"
RankBy = Literal["queries", "bytes", "dbtime_ms", "querytime_ms", "failures", "share"]
"""The measures by which changes can be ranked."""

What = Literal["schema", "folder", "tag", "task", "server", "site", "squid"]
"""The kinds of things that can change."""

CHANGES = (*MEASURES, "share")
"""The measures by which changes can be ranked, as a tuple."""


def what_changed(
    a: Side,
    b: Side,
    *,
    rank_by: RankBy | None = None,
    top: int | None = 20,
    what: Collection[What] | None = None,
    by: RankBy | None = None,
) -> pd.DataFrame:
    """Compare two days or other selections: which folders, tasks, servers, sites … changed most.

    ::

        today = fl.Selection(since="2026-10-02", until="2026-10-03")
        fl.what_changed((logs, today.shifted(-timedelta(days=1))), (logs, today))

    What is compared is each one's own rate: its queries (or another measure) per hour of the time that the data cover.
    So a flood of one folder does not change the others, and windows can differ in length. One Spark SQL statement
    counts both; ``what_changed.sql(before, now)`` shows it for two selections.

    Parameters
    ----------
    a, b
        Before and now: logs (from `frontierlab.open_logs`), or a complete dataset, the name of one or a list of these;
        or a pair of one of these and a `frontierlab.Selection`.
    rank_by
        The measure whose change is judged and ranked: ``queries`` (the default), ``bytes``, ``dbtime_ms``,
        ``querytime_ms``, ``failures``, or ``share``, the share of all queries: it changes for all if one has a flood.
    top
        How many of each kind have their own row; None is all.
    what
        The kinds to compare: ``schema``, ``folder``, ``tag``, ``task``, ``server``, ``site``, ``squid``. By default
        all.
    by
        The earlier name of `rank_by`.

    Returns
    -------
    pandas.DataFrame
        A row is one schema, folder, tag of a folder, task, server, site or Squid; the kinds come in this order. In each
        kind, changes that are significant come first, then the largest absolute changes of the rate.

        what : string: ``schema``, ``folder``, …; the rows of each kind add up to all queries
        db, schema, nodefullpath, tagname, taskid, taskname, frontierserver, computingsite, squid : string (taskid:
            Int64); the names of the row, null in the columns of other kinds. If the logs give a task several names,
            the alphabetically last one.
        part, groups : string, Int64; see `frontierlab.filters`
        verdict : string: ``new`` (nothing before), ``gone`` (nothing now), ``more`` or ``less`` (significantly), or
            ``same`` (a difference that can be chance); null for the sum of other groups
        factor : Float64, rate now / rate before; 0 if gone, null if new
        significance : Float64, the change in standard deviations, negative for a decrease; see
            `frontierlab.filters.significance`. Null for several groups together, and for shares of no queries.
        significant : boolean, whether the change is no chance: of each kind, 1 % of those that are significant are
            expected to be chance, by the procedure of Benjamini and Hochberg
        rate, rate_before, rate_change : Float64, `rank_by` per hour of the time that the data cover; for ``share`` the
            shares
        queries : Int64, number of queries
        share : Float64, % of all queries of that side; null if that side has none
        bytes, dbtime_ms : Int64, the sums of ``fsize`` and ``dbtime`` of queries that were not cached
        querytime_ms : Int64, the sum of ``querytime`` of all queries
        failures : Int64, number of queries that were rejected, lost their client or ended in an error

        From ``queries`` on these are the values of now; *x*\\ ``_before`` and *x*\\ ``_change`` follow each. The
        change of a share is in percentage points. ``attrs`` holds ``rank_by``, both selections in words, ``hours`` and
        ``hours_before`` (the time of the windows that the data cover), what answered, and ``notes``, if the data lack
        a part of a window.

    Raises
    ------
    InvalidRequestError
        A parameter is invalid, or the data of a side cover nothing of its window; nothing was counted.
    DatasetError
        A dataset is incomplete.
    StatementError, SparkError
        The statement failed, or Spark does not start.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    """
    measure, kinds = _checked(rank_by, by, what)
    check_top(top)
    (frame,) = changes_from(a, b, rank_by=measure, top=top, what=kinds)
    return frame


what_changed.sql = statement_of_changes  # type: ignore[attr-defined]


def changes_from(
    before: Side,
    now: Side,
    *later: Side,
    rank_by: str,
    top: int | None,
    what: Sequence[str],
    counted: Collection[str] = COUNTED,
) -> list[pd.DataFrame]:
    """Compare several windows with the one before them, by one statement that reads each window once.

    Parameters
    ----------
    before, now
        As for `what_changed`.
    *later
        Further windows of the logs of `now`. Their frames have a row for each group.
    rank_by, top, what
        As for `what_changed`; they are valid.
    counted
        The measures to count; by default all. Each of the six takes about a tenth of the time.

    Returns
    -------
    list of pandas.DataFrame
        What `what_changed` returns of each window against `before`, without the measures that are not counted.
    """
    sides = {"before": _side("a", before), "now": _side("b", now)}
    sides |= {f"later_{number}": _side("later", one) for number, one in enumerate(later, 1)}
    now_logs = as_logs(sides["now"][0])
    tables = {side: now_logs if side == "now" else beside(now_logs, given) for side, (given, _) in sides.items()}
    selected = {side: (tables[side], selection) for side, (_, selection) in sides.items()}
    windows, notes = compared_windows(*selected.values())
    bounds = {side: bounds_of_bins(one.covered) for side, one in zip(sides, windows, strict=True)}
    kinds, missing = _with_columns(what, *tables.values())
    asked = {side: (selection, bounds[side]) for side, (_, selection) in sides.items()}
    text, args = statement_of_windows(asked, kinds, counted)
    words = {side: selection.in_words() for side, (_, selection) in sides.items()}
    counts = ask(tables, text, args, description=" ".join(filter(None, ("what_changed", words["now"]))))
    answer = counts.attrs.pop(ANSWERED)  # pandas copies attrs with each step
    lacking = [name for name in COUNTED if name not in counted]
    counts = counts.assign(**dict.fromkeys(lacking, 0))
    covered = {
        side: Covered(one.milliseconds / 3_600_000, len(bounds[side]) + 1)
        for side, one in zip(sides, windows, strict=True)
    }
    told = [*dict.fromkeys(one for logs in tables.values() for one in logs.notes), *notes, *missing]
    frames = []
    for side in [*sides][1:]:
        mine = counts[counts["side"].isin(["before", side])]
        mine = mine.assign(side=mine["side"].replace(side, "now"))
        both = {"before": covered["before"], "now": covered[side]}
        rows = top if side == "now" else None
        found = [ranked_changes(mine, kind, counted_as(kind, kinds), rank_by, both, rows) for kind in kinds]
        frame = pd.concat(found, ignore_index=True)
        frame = frame.drop(columns=[f"{name}{end}" for name in lacking for end in ENDS], errors="ignore")
        frame.attrs = {"filter": "what_changed", "selection": words[side], "before": words["before"]}
        frame.attrs |= {"rank_by": rank_by, "hours": both["now"].hours, "hours_before": both["before"].hours}
        frame.attrs[ANSWERED] = answer
        if told:
            frame.attrs["notes"] = [*dict.fromkeys(told)]
        frames.append(frame)
    return frames


def _checked(rank_by: Any, by: Any, what: Any) -> tuple[str, list[str]]:
    if by is not None and rank_by is not None:
        raise TypeError("what_changed() got rank_by and by, its earlier name: give rank_by alone.")
    measure = rank_by or by or "queries"
    if measure not in CHANGES:
        raise InvalidRequestError(f"rank_by={measure!r}: give one of {', '.join(CHANGES)}.")
    kinds = [*CHANGE_KEYS] if what is None else [what] if isinstance(what, str) else [*what]
    if not kinds or not set(kinds) <= {*CHANGE_KEYS}:
        raise InvalidRequestError(f"what={what!r}: give one or some of {', '.join(CHANGE_KEYS)}.")
    return measure, [kind for kind in CHANGE_KEYS if kind in kinds]


def _side(name: str, given: Any) -> tuple[Source, Selection]:
    pair = isinstance(given, tuple) and len(given) == 2
    logs, selection = given if pair else (given, Selection())
    if not isinstance(selection, Selection) or not is_source(logs):
        raise InvalidRequestError(
            f"{name}={given!r}: give logs (what open_logs opened), a dataset or its name, or a pair (logs, "
            "Selection(…))."
        )
    return logs, selection


def _with_columns(kinds: Sequence[str], *logs: Logs) -> tuple[list[str], list[str]]:
    """Return the kinds whose names both logs have, and notes on the others: a caller's DataFrame can lack columns."""
    lacking = {name for kind in kinds for name in CHANGE_KEYS[kind] if any(name not in one.columns for one in logs)}
    notes = [f"Without the column {name} its changes are not known." for name in NAMES if name in lacking]
    found = [kind for kind in kinds if lacking.isdisjoint(CHANGE_KEYS[kind])]
    if not found:
        raise InvalidRequestError(
            f"The logs lack the columns {', '.join(sorted(lacking))}, so nothing can be compared."
        )
    return found, notes
