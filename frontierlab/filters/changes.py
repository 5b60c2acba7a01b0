"""What changed between two selections: folders, tags, tasks and servers, by queries, bytes and failures."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias

import pandas as pd

from frontierlab.engines.asking import ANSWERED, ask
from frontierlab.engines.opening import Source, as_logs, beside, is_source
from frontierlab.errors import InvalidRequestError
from frontierlab.filters.costs import COSTS
from frontierlab.filters.expressions import NODE, add_percent_of_all
from frontierlab.filters.extracted import notes_of_extraction
from frontierlab.filters.question import Statement
from frontierlab.filters.top import check_top, group_labels, rank_groups, sum_by_rank
from frontierlab.selection import Selection

__all__ = ["By", "CHANGES", "CHANGE_KEYS", "what_changed"]

Side: TypeAlias = "Source | tuple[Source, Selection]"
By = Literal["share", "bytes", "failures"]
"""The measures by which changes can be ranked."""

CHANGE_KEYS = {"folder": (*NODE,), "tag": (*NODE, "tagname"), "task": ("taskid",), "server": ("frontierserver",)}
"""The kinds of things that can change, and the columns that name each."""

CHANGES = ("share", "bytes", "failures")
"""The measures by which changes can be ranked, as a tuple."""

_MEASURES = {name: COSTS[name] for name in ("queries", "bytes", "failures")}
_COLUMNS = [*dict.fromkeys(column for keys in CHANGE_KEYS.values() for column in keys)]


def what_changed(a: Side, b: Side, *, by: By = "share", top: int | None = 20) -> pd.DataFrame:
    """Compare two days or other selections: which folders, tags, tasks and servers changed most.

    ::

        today = fl.Selection(since="2026-10-02", until="2026-10-03")
        fl.what_changed((logs, today.shifted(-timedelta(days=1))), (logs, today))

    One Spark SQL statement counts both; ``what_changed.sql(before, now)`` shows it for two selections.

    Parameters
    ----------
    a, b
        Before and now: logs (from `frontierlab.open_logs`), or a complete dataset, the name of one or a list of these;
        or a pair of one of these and a `frontierlab.Selection`.
    by
        The measure that ranks changes: ``share`` of the queries, ``bytes`` or ``failures``.
    top
        How many folders, tags, tasks and servers (each) have their own row; None is all.

    Returns
    -------
    pandas.DataFrame
        A row is a folder, a tag of a folder, a task or a server, in this order. Each kind is sorted by the absolute
        change of `by`, largest first.

        what : string: ``folder``, ``tag``, ``task`` or ``server``; the rows of each kind add up to all queries
        db, schema, nodefullpath, tagname, taskid, taskname, frontierserver : string (taskid: Int64); the
            names of the row, null in the columns of other kinds. If the logs give a task several names,
            the alphabetically last one.
        part, groups : string, Int64; see `frontierlab.filters`
        queries : Int64, number of queries
        share : Float64, % of all queries of that side; null if that side has none (ranked as 0)
        bytes : Int64, the sum of ``fsize`` of queries that were not cached
        failures : Int64, number of queries that were rejected, lost their client or ended in an error

        The last four are the values of now; *x*\\ ``_before`` and *x*\\ ``_change`` follow each. The
        change of a share is in percentage points. ``attrs`` holds ``by``, both selections in words, and what answered.

    Raises
    ------
    InvalidRequestError
        A parameter is invalid; nothing was asked.
    DatasetError
        A dataset is incomplete.
    StatementError, SparkError
        The statement failed, or Spark does not start.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled.
    """
    if by not in CHANGES:
        raise InvalidRequestError(f"by={by!r}: give one of {', '.join(CHANGES)}.")
    check_top(top)
    (then, before), (present, now) = _side("a", a), _side("b", b)
    statement = _statement(before, now)
    now_logs = as_logs(present)
    tables = {"before": beside(now_logs, then), "now": now_logs}
    description = " ".join(filter(None, ("what_changed", now.in_words())))
    counts = ask(tables, statement.text, statement.args, description=description)
    found = [_ranked(counts, what, by, top) for what in CHANGE_KEYS]
    frame = pd.concat(found, ignore_index=True)[["what", *_names(), "part", "groups", *_numbers()]]
    frame.attrs = {"filter": "what_changed", "selection": now.in_words(), "before": before.in_words(), "by": by}
    frame.attrs[ANSWERED] = counts.attrs[ANSWERED]
    sides = ((tables["before"], before), (now_logs, now))
    told = (note for logs, part in sides for note in (*logs.notes, *notes_of_extraction(logs, part)))
    if notes := [*dict.fromkeys(told)]:
        frame.attrs["notes"] = notes
    return frame


def _side(name: str, given: Any) -> tuple[Source, Selection]:
    pair = isinstance(given, tuple) and len(given) == 2
    logs, selection = given if pair else (given, Selection())
    if not isinstance(selection, Selection) or not is_source(logs):
        raise InvalidRequestError(
            f"{name}={given!r}: give logs (what open_logs opened), a dataset or its name, or a pair (logs, "
            "Selection(…))."
        )
    return logs, selection


def _statement(before: Selection | None = None, now: Selection | None = None) -> Statement:
    """Return the statement; ``{before}`` and ``{now}`` are the logs, and its ``selection`` is `now`.

    The inner queries count by all names together. The outer query adds up these counts for each kind of name.
    """
    now = now or Selection()
    then, args = _counted("before", before or Selection())
    present, more = _counted("now", now)
    kinds = " ".join(f"WHEN grouping({keys[-1]}) = 0 THEN '{what}'" for what, keys in reversed(CHANGE_KEYS.items()))
    sums = ", ".join(f"sum({name}{suffix}) AS {name}{suffix}" for name in _MEASURES for suffix in ("", "_before"))
    sets = ", ".join(f"({', '.join(keys)})" for keys in CHANGE_KEYS.values())
    text = (
        f"WITH asked AS (\n{then}\nUNION ALL\n{present}\n)\n"
        f"SELECT CASE {kinds} END AS what,\n       {', '.join(_COLUMNS)}, max(taskname) AS taskname,\n       {sums}\n"
        f"FROM asked\nGROUP BY GROUPING SETS ({sets})"
    )
    return Statement("what_changed", text, args | more, now)


def _counted(side: str, selection: Selection) -> tuple[str, dict[str, Any]]:
    """Return the subquery that counts one side (with zeros for the other side), and the values of its parameters."""
    where, values = selection.where()
    where = re.sub(r":(\w+)", rf":{side}_\1", where)  # both sides can have parameters of the same name
    mine = "" if side == "now" else "_before"
    listed = ",\n       ".join(
        f"{measure.sql() if suffix == mine else '0'} AS {name}{suffix}"
        for name, measure in _MEASURES.items()
        for suffix in ("", "_before")
    )
    columns = f"{', '.join(_COLUMNS)}, max(taskname) AS taskname"
    text = f"SELECT {columns},\n       {listed}\nFROM {{{side}}}{where}\nGROUP BY ALL"
    return text, {f"{side}_{name}": value for name, value in values.items()}


what_changed.sql = _statement  # type: ignore[attr-defined]


def _names() -> list[str]:
    place = _COLUMNS.index("taskid") + 1
    return [*_COLUMNS[:place], "taskname", *_COLUMNS[place:]]


def _numbers() -> list[str]:
    return [f"{name}{suffix}" for name in ("queries", *CHANGES) for suffix in ("", "_before", "_change")]


def _ranked(counts: pd.DataFrame, what: str, by: str, top: int | None) -> pd.DataFrame:
    """Return the rows of one kind, sorted by absolute change, largest first."""
    keys = [*CHANGE_KEYS[what]]
    rows = counts[counts["what"] == what].reset_index(drop=True)
    measures = [f"{name}{suffix}" for name in _MEASURES for suffix in ("", "_before")]
    change = _with_changes(rows)
    size = (change[by].fillna(0) - change[f"{by}_before"].fillna(0)).abs()
    places = rank_groups(rows[keys].assign(size=size), keys, ["size"], ["size"], top)
    named = group_labels(places, keys)
    if what == "task":
        labels = rows.dropna(subset=["taskid"]).set_index("taskid")["taskname"]
        named = named.join(labels, on="taskid")
    found = _with_changes(sum_by_rank(rows, places, [], measures)).join(named).assign(what=what)
    return found.reindex(columns=["what", *_names(), "part", "groups", *_numbers()]).astype(
        {"what": "string", **{name: counts[name].dtype for name in _names()}}
    )


def _with_changes(rows: pd.DataFrame) -> pd.DataFrame:
    found = add_percent_of_all(rows, ["queries", "queries_before"])
    found = found.rename(columns={"queries_percent": "share", "queries_before_percent": "share_before"})
    return found.assign(**{f"{name}_change": found[name] - found[f"{name}_before"] for name in ("queries", *CHANGES)})
