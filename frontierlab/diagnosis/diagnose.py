"""`frontierlab.diagnose`: what happened, without being asked where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from frontierlab.coolr import Source as Coolr
from frontierlab.diagnosis.baselines import Baseline
from frontierlab.diagnosis.chronic import chronic
from frontierlab.diagnosis.clearing import cleared, totals_explained
from frontierlab.diagnosis.confidence import chance, clues_of
from frontierlab.diagnosis.events import causes_of, consequences, events_of
from frontierlab.diagnosis.evidence import CUBES, Evidence
from frontierlab.diagnosis.finding import KINDS, Finding, overlap, within
from frontierlab.diagnosis.incident import Incident
from frontierlab.diagnosis.payloads import Payloads, ask_for_floods, not_a_flood
from frontierlab.diagnosis.pricing import CURRENCIES, LEAST_COST, Price, totals
from frontierlab.diagnosis.result import COLUMNS, UNNAMED, Diagnosis, frame_of
from frontierlab.diagnosis.search import Searched, search
from frontierlab.diagnosis.series import Clock
from frontierlab.diagnosis.words import (
    NAMES_TASKS,
    advice,
    cost_in_words,
    payloads_in_words,
    scope_in_words,
    sentence,
    tell,
)
from frontierlab.engines.engine_choice import Source, as_logs
from frontierlab.filters.extracted import notes_of_extraction
from frontierlab.selection import Selection, as_selection
from frontierlab.settings import Settings
from frontierlab.storage.spans import Span
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting

__all__ = ["diagnose"]

_STEPS = len(CUBES) + 1 + 5 + 1  # statements, kinds, prices; a baseline is one more


def diagnose(
    dataset: Source,
    *,
    baseline: Baseline | None = None,
    selection: Selection | None = None,
    settings: Settings | None = None,
    coolr: Coolr | None = None,
    progress: bool | ProgressCallback = True,
) -> Diagnosis:
    """Find what went wrong in a day or another period: incidents with their names, times, costs and what helps.

    ::

        diagnosis = fl.diagnose("yesterday")
        print(diagnosis)  # a sentence for each incident, the most costly first
        diagnosis.incidents  # a frame
        diagnosis[0].evidence(), diagnosis[0].figure()

    Each statement counts the queries once, by time bin and some names. What is normal is that of the baseline; without
    one, it is the lower sustained level of the data itself. Either is of the same folder, server, site or task, with
    the shape of the day.

    COOLR is asked for the payloads of the folders that were flooded with different IOVs, in the time of the flood. They
    decide whether it is one: if more than half as many payloads as queries differ, it is told in `Diagnosis.notes`
    alone. A flood is told with its payloads, and with the IOV grid that would help. If COOLR does not answer in 30 s,
    or the settings name none, the different queries alone decide.

    An incident is told if it costs 1.2 % of what a day has in all, in queries, database time, query time outside of
    the database, bytes or failed queries. Without a baseline, what lasts for more than three quarters of the data is
    normal.

    Faint incidents are missed: what costs less, and on days of the sample with 50,000 queries more than half of the
    floods of about 600 queries. The page Incidents of the documentation has how many are found, by kind and cost, and
    says what normal, scope, cost and confidence mean.

    Parameters
    ----------
    dataset
        A dataset, the name of one, a list of these, a period, logs, or a Spark DataFrame.
    baseline
        What is normal: one or several datasets, as for `dataset` (the time that is diagnosed is left out of them).
        ``"previous"``: the time of the same length just before the diagnosed one, such as the day before.
        ``"weekdays"``: the same time of the week in the four weeks before. For these two the datasets of the data
        folder are looked at that were extracted for the same queries. By default the data itself.
    selection
        The queries to diagnose; by default all.
    settings
        By default ``Settings()``; they name the data folder, the engine and COOLR.
    coolr
        The source of payloads; by default that of `settings`.
    progress
        True shows a bar, False nothing. A function is called with a `Progress` after each step, in this thread; it
        stops the diagnosis by raising an error.

    Returns
    -------
    Diagnosis
        The incidents, and what else was looked at.

    Raises
    ------
    InvalidRequestError
        `dataset` has no logs, the selection is not one, or it selects no query; or the baseline is not valid, or has
        no such query or no other time.
    DatasetError
        A dataset is incomplete, or was changed meanwhile; or no dataset covers the time of the baseline. What a
        baseline covers only in part is told in `Diagnosis.notes`.
    StatementError, SparkError
        A statement failed, or Spark does not start.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled. Nothing was written.

    Notes
    -----
    Time and scope are found together, by the likeliest interval of each series. `frontierlab.diagnosis.localise` is not
    used for that: it explains a deviation whose time is known.
    """
    chosen = as_selection(selection)
    logs = as_logs(dataset, settings=settings)
    meter = ProgressMeter("reading", _STEPS + (baseline is not None))
    with reporting(progress, "steps") as report:

        def told(word: str) -> None:
            check_cancelled()
            report(meter.progress(word))
            meter.add(1)

        evidence = Evidence(logs, chosen, told, baseline, settings)
        searched = search(evidence, told)
        told("costs")
        gaps = () if logs.period is None else logs.period.gaps
        findings = [
            one for one in searched.findings if one.kind != "silence" or not _in_gaps(one, gaps, evidence.clock)
        ]
        priced = _priced(findings, evidence)
        answers = ask_for_floods([one for one, _ in priced], evidence, logs, settings or Settings(), coolr)
        doubted = {place for place, one in answers.of.items() if not one.are_few}
        answers.notes.extend(not_a_flood(priced[place][0], answers.of[place]) for place in sorted(doubted))
        payloads = [answers.of.get(place) for place in range(len(priced)) if place not in doubted]
        priced = [one for place, one in enumerate(priced) if place not in doubted]
        notes = [*answers.notes, *evidence.notes, *logs.notes, *notes_of_extraction(logs, chosen), *_notes(evidence)]
        name = UNNAMED if logs.period is None else logs.period.name
        found = _diagnosis(name, evidence, searched, priced, payloads, tuple(dict.fromkeys(notes)))
        report(meter.progress("done"))
        return found


def _in_gaps(finding: Finding, gaps: Sequence[Span], clock: Clock) -> bool:
    """Return whether no dataset covers half of the time of a finding: that nothing is there says nothing."""
    start, stop = (clock.start + clock.bin_ms * at for at in (finding.start, finding.stop))
    missing = sum(max(0, min(stop, gap.stop) - max(start, gap.start)) for gap in gaps)
    return 2 * missing >= stop - start


def _priced(findings: Sequence[Finding], evidence: Evidence) -> list[tuple[Finding, Price]]:
    """Return what costs enough, the most costly first; one row for what is the same incident."""
    per_day = totals(evidence.cubes["folders"], evidence.clock)
    evidence.prepare(
        [one.scope for one in findings if one.kind != "silence" and {*one.scope} != {"frontierserver"}],
        "frontierserver",
    )
    priced = []
    for finding in findings:
        check_cancelled()
        priced.append((finding, Price.of(finding, evidence, per_day)))
    priced = sorted((one for one in priced if one[1].cost >= LEAST_COST), key=lambda one: -one[1].cost)
    kept: list[tuple[Finding, Price]] = []
    for finding, price in priced:
        if not any(_same(finding, other) for other, _ in kept):
            kept.append((finding, price))
    return kept


def _same(one: Finding, other: Finding) -> bool:
    nested = within(one.scope, other.scope) or within(other.scope, one.scope)
    return one.kind == other.kind and one.how == other.how and nested and overlap(one, other) >= 0.5


def _diagnosis(
    name: str,
    evidence: Evidence,
    searched: Searched,
    priced: Sequence[tuple[Finding, Price]],
    payloads: Sequence[Payloads | None],
    notes: tuple[str, ...],
) -> Diagnosis:
    clock = evidence.clock
    findings = [finding for finding, _ in priced]
    whole = _history_of_all(evidence)
    names = evidence.task_names(one.scope["taskid"] for one in findings if "taskid" in one.scope)
    details = []
    causes = causes_of(priced, whole)
    events = events_of(causes)
    for place, ((finding, price), answered) in enumerate(zip(priced, payloads, strict=True)):
        row = _row(finding, price, evidence, whole, names) | {"event": events[place]}
        if answered is not None:
            row |= {
                "payloads": answered.payloads,
                "sentence": f"{row['sentence']} {payloads_in_words(answered.queries, answered.payloads)}",
                "advice": advice(finding, answered.advice),
            }
        clues = clues_of(finding, price, clock)
        clear = cleared(finding, findings, price, evidence)
        details.append(Incident(row, price.history, price.cost, price.currency, clear, clues, causes[place]))
    explained = [
        {
            "incident": findings.index(by),
            "kind": what.kind,
            "text": f"{scope_in_words(what.scope, kind=what.kind)}: part of the {by.kind}",
        }
        for what, by in searched.explained
        if by in findings
    ]
    explained += consequences(findings, causes)
    explained += [
        {"incident": place, "kind": "total", "text": text}
        for place, (finding, price) in enumerate(priced)
        for text in totals_explained(finding, price, whole, clock)
    ]
    counts = pd.Series([one.kind for one in findings]).value_counts()
    looked = [{"kind": k, "series": searched.series.get(k, 0), "incidents": int(counts.get(k, 0))} for k in KINDS]
    cleared_rows = [(place, text) for place, one in enumerate(details) for text in one.cleared]
    return Diagnosis(
        incidents=frame_of([one.row for one in details]),
        chronic=chronic(evidence.cubes, clock),
        looked_at=pd.DataFrame(looked),
        cleared=pd.DataFrame(cleared_rows, columns=["incident", "text"]),
        explained=pd.DataFrame(explained, columns=["incident", "kind", "text"]),
        source=name,
        selection=evidence.selection,
        since=clock.time(0),
        until=evidence.until,
        queries=evidence.queries,
        notes=notes,
        answered=evidence.answered,
        total=whole,
        details=tuple(details),
    )


def _row(
    finding: Finding, price: Price, evidence: Evidence, whole: pd.DataFrame, names: Mapping[int, str]
) -> dict[str, Any]:
    clock = evidence.clock
    since, until = clock.time(finding.start), min(clock.time(finding.stop), evidence.until)
    known = clock.knows_direction(finding.stop - finding.start)
    changed = [] if known else [clock.time(at) for at in (finding.start, finding.stop) if 0 < at < clock.bins]
    scope = {name: value.item() if hasattr(value, "item") else value for name, value in finding.scope.items()}
    taskname = names.get(scope["taskid"]) if "taskid" in scope else None
    excess = {name: round(value) for name, value in price.excess.items()}
    length, selected = evidence.until - clock.time(0), evidence.selection.but(since=None, until=None) != Selection()
    sums = price.sums_of(finding)
    cost = cost_in_words(finding.kind, price.shares, price.currency, length, sums, selected=selected)
    asks = finding.kind in NAMES_TASKS and "taskid" not in scope
    return dict.fromkeys(COLUMNS) | {
        **scope,
        "since": since,
        "until": until,
        "ongoing": finding.stop >= clock.bins,
        "kind": finding.kind,
        "taskname": taskname,
        "normal": finding.normal,
        "seen": finding.seen,
        "factor": finding.factor if finding.normal > 0 else None,
        "unit": finding.unit,
        "queries": round(price.queries),
        "excess_queries": excess["queries"],
        "excess_dbtime_ms": excess["dbtime"],
        "excess_overhead_ms": excess["overhead"],
        "excess_bytes": excess["bytes"],
        "failures": excess["failures"],
        "share": _share(finding, price, whole),
        "confidence": chance(clues_of(finding, price, clock), knows_direction=known),
        "sentence": sentence(finding, since, until, taskname, cost, price.queries, changed),
        "advice": advice(finding),
        "tell": tell(finding, evidence.largest_tasks(finding) if asks else {}),
        "selection": evidence.narrowed(scope, since=since.to_pydatetime(), until=until.to_pydatetime()).to_json(),
    }


def _history_of_all(evidence: Evidence) -> pd.DataFrame:
    """Return what all queries cost in each bin."""
    clock, frame = evidence.clock, evidence.cubes["folders"]
    sums = {name: clock.sums(frame, name)[0] for name in CURRENCIES}
    times = pd.to_datetime(clock.start + clock.bin_ms * np.arange(clock.bins), unit="ms", utc=True)
    return pd.DataFrame({"time": times, **sums})


def _share(finding: Finding, price: Price, whole: pd.DataFrame) -> float:
    """Return which share of everything abnormal in that time an incident explains."""
    values = whole[price.currency].to_numpy(dtype=float)
    own = price.excess[price.currency]
    all_of_it = values[finding.start : finding.stop].sum() - np.median(values) * (finding.stop - finding.start)
    if finding.kind == "silence":
        return float(min(1.0, own / min(all_of_it, own))) if own < 0 else 1.0
    return float(min(1.0, own / max(all_of_it, own, 1e-9)))


def _notes(evidence: Evidence) -> list[str]:
    told = []
    if evidence.clock.bins < 24 and not evidence.clock.before:
        told.append("The data is shorter than two hours: there is hardly a normal to compare with.")
    for cube, name, word in (("sites", "computingsite", "sites"), ("repeats", "squid", "Squids")):
        frame = evidence.cubes[cube]
        if len(frame) and frame[name].isna().all():
            told.append(f"The logs name no {word}: incidents of {word} cannot be found.")
    if evidence.cubes["servers"]["threads"].max() == 0:
        told.append("The logs lack initthreads.")
    return told
