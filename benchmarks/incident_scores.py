"""Score incidents that were told against the truth of days with incidents.

A row that was told is true when its kind is right, its scope is one of those that the truth accepts, and the
intersection of the two times is at least half of their union. Each incident makes at most one row true, the first; a
second row for it is false. An incident counts when it costs at least 2 % of a day, touches at least 50 queries and
exceeds what was expected by 10 standard deviations. A row for one that does not count is true all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pandas as pd

__all__ = ["CONFIDENCES", "SCOPE", "Scores", "bands", "counts", "is_true", "overlap", "why_not"]

SCOPE = ("db", "schema", "nodefullpath", "tagname", "taskid", "frontierserver", "computingsite", "squid")
"""The columns of a scope; the name of a task belongs to its id."""

CHEAPEST, FEWEST, FAINTEST = 0.02, 50, 10.0
FIRST = 10
EDGE_BINS = 2
CONFIDENCES = (0.0, 0.5, 0.7, 0.85, 0.95, 1.0)
"""The limits of the bands of confidence: rows that are told at about 0.9 are those from 0.85 to 0.95."""


def counts(truth: pd.DataFrame) -> pd.Series:
    """Return which incidents of the truth count."""
    return (truth["cost"] >= CHEAPEST) & (truth["queries"] >= FEWEST) & (truth["strength"] >= FAINTEST)


def scope_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scope of a row: its values that are not null."""
    scope = {name: row[name] for name in SCOPE if name in row and not pd.isna(row[name])}
    return scope | ({"taskid": int(scope["taskid"])} if "taskid" in scope else {})


def overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Return the intersection of two times over their union."""
    both = min(one["until"], other["until"]) - max(one["since"], other["since"])
    either = max(one["until"], other["until"]) - min(one["since"], other["since"])
    return max(0.0, both / either) if either > pd.Timedelta(0) else 0.0


def is_true(told: Mapping[str, Any], truth: Mapping[str, Any]) -> bool:
    """Return whether a row that was told is true of an incident."""
    return told["kind"] == truth["kind"] and scope_of(told) in list(truth["accepted"]) and overlap(told, truth) >= 0.5


def why_not(truth: Mapping[str, Any], told: pd.DataFrame) -> str:
    """Return why no row is true of an incident: what is wrong with the row that comes next to it."""
    rows = [row for _, row in told.iterrows() if overlap(row, truth) > 0]
    of_kind = [row for row in rows if row["kind"] == truth["kind"]]
    in_scope = [row for row in rows if scope_of(row) in list(truth["accepted"])]
    if any(overlap(row, truth) >= 0.5 for row in in_scope):
        return "another kind"
    if any(row["kind"] == truth["kind"] for row in in_scope):
        return "another time"
    whole = set().union(*(set(scope.items()) for scope in truth["accepted"])) if len(truth["accepted"]) else set()
    if any(set(scope_of(row).items()) & whole for row in of_kind):
        return "another scope"
    return "not told"


def near(edges: Sequence[float]) -> float:
    """Return the share of edges that are within two bins of the truth."""
    return sum(edge <= EDGE_BINS for edge in edges) / len(edges) if edges else float("nan")


def bands(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each band of confidence: the number of rows, their mean confidence, and the share that is true.

    Parameters
    ----------
    rows
        A row that was told, with ``confidence`` and ``true``.
    """
    table = []
    for low, high in pairwise(CONFIDENCES):
        band = rows[(rows["confidence"] >= low) & ((rows["confidence"] < high) | (high == CONFIDENCES[-1]))]
        if len(band):
            mean, true = band["confidence"].mean(), band["true"].astype(bool).mean()
            table.append({"confidence": f"{low} to {high}", "rows": len(band), "mean": mean, "share true": true})
    return pd.DataFrame(table, columns=["confidence", "rows", "mean", "share true"])


@dataclass
class Scores:
    """What is added up over days.

    Parameters
    ----------
    incidents
        A record for each incident of the truth: its kind, whether it counts, whether it was found, whether with its own
        scope and not only an accepted one, how far each edge is from the truth (bins), and what was wrong.
    rows
        A record for each row that was told: its kind, whether it is true, and its confidence.
    edges
        How far each edge of an incident that was found and counts is from the truth, in bins.
    quiet
        The number of rows told on each quiet day.
    seconds
        Of each call.
    """

    incidents: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    edges: list[float] = field(default_factory=list)
    quiet: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, told: pd.DataFrame, truth: pd.DataFrame, seconds: float, day: str = "", days: float = 1) -> None:
        """Add a day: rows in the order in which they were told."""
        self.seconds.append(seconds)
        bin_width = pd.Timedelta(minutes=5) * max(1.0, days)
        matches: dict[int, int] = {}
        exact: dict[int, bool] = {}
        far: dict[int, list[float]] = {}
        records = truth.to_dict("records")
        for place, row in enumerate(told.to_dict("records")):
            open_ones = [n for n in range(len(records)) if n not in matches and is_true(row, records[n])]
            best = max(open_ones, key=lambda n: overlap(row, records[n]), default=None)
            if best is not None:
                matches[best] = place
                far[best] = [abs(row[name] - records[best][name]) / bin_width for name in ("since", "until")]
                exact[best] = scope_of(row) == dict(records[best]["accepted"][0])
                self.edges += far[best] if bool(counts(truth)[best]) else []
            confidence = float(row.get("confidence", float("nan")))
            self.rows.append({"day": day, "kind": row["kind"], "true": best is not None, "confidence": confidence})
        if not len(truth):
            self.quiet.append(len(told))
        for number, (record, count) in enumerate(zip(records, counts(truth), strict=True)):
            found = matches.get(number, FIRST) < FIRST
            why = "" if found else why_not(record, told)
            told_of = {"exact": found and exact[number], "edges": far[number] if found else [], "why": why}
            self.incidents.append(
                {"day": day, "kind": record["kind"], "counts": bool(count), "found": found, **told_of}
            )

    def table(self) -> pd.DataFrame:
        """Return a row per kind, and one for all: of incidents that count, and of all rows that were told.

        ``exact`` are those found with their own scope, and not only an accepted one; ``edges`` is the share of edges of
        found ones that are within two bins.
        """
        incidents = pd.DataFrame(self.incidents, columns=["day", "kind", "counts", "found", "exact", "edges", "why"])
        rows = pd.DataFrame(self.rows, columns=["day", "kind", "true", "confidence"])
        counting = incidents[incidents["counts"].astype(bool)]
        table = []
        for kind in [*sorted({*incidents["kind"], *rows["kind"]}), "all"]:
            ours = counting if kind == "all" else counting[counting["kind"] == kind]
            told = rows if kind == "all" else rows[rows["kind"] == kind]
            faint = incidents[~incidents["counts"].astype(bool)]
            faint = faint if kind == "all" else faint[faint["kind"] == kind]
            missed = ours["why"][~ours["found"].astype(bool)].value_counts()
            table.append(
                {
                    "kind": kind,
                    "incidents": len(ours),
                    "found": int(ours["found"].sum()),
                    "share found": ours["found"].mean() if len(ours) else float("nan"),
                    "exact": int(ours["exact"].sum()),
                    "edges": near([edge for ends in ours["edges"] for edge in ends]),
                    "faint": len(faint),
                    "faint found": int(faint["found"].sum()),
                    "told": len(told),
                    "true": int(told["true"].sum()),
                    "share true": told["true"].mean() if len(told) else float("nan"),
                    "missed because": ", ".join(f"{why} {n}" for why, n in missed.items()),
                }
            )
        return pd.DataFrame(table)

    def sentences(self) -> list[str]:
        """Return the other figures, a sentence each."""
        found = []
        if self.edges:
            found.append(f"Edges within two bins: {near(self.edges):.0%} of {len(self.edges)}.")
        if self.quiet:
            found.append(
                f"Rows on {len(self.quiet)} quiet days: {sum(self.quiet)} (wished: one in five days or fewer)."
            )
        rows = pd.DataFrame(self.rows, columns=["day", "kind", "true", "confidence"])
        for band in bands(rows).to_dict("records"):
            found.append(
                f"Confidence {band['confidence']} (on average {band['mean']:.0%}): {band['share true']:.0%} of "
                f"{band['rows']} rows are true."
            )
        if self.seconds:
            seconds = pd.Series(self.seconds)
            found.append(f"Seconds a call: median {seconds.median():.2f}, largest {seconds.max():.2f}.")
        return found
