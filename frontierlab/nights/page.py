"""The page that lists the nights: what was found, and of each night what is missing and why."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from frontierlab.diagnosis.recurrence import recurrence
from frontierlab.errors import NightError
from frontierlab.nights.listing import NightRow, night_rows
from frontierlab.nights.records import NightStore
from frontierlab.pages.html import write_page
from frontierlab.pages.target import target_of
from frontierlab.settings import Settings
from frontierlab.util.times import in_words, parse_time

__all__ = ["write_nights_page"]

_MOST_NIGHTS = 366
_MOST_FINDINGS = 20  # of a night that are written out


def write_nights_page(settings: Settings | None = None, path: str | os.PathLike[str] | None = None) -> Path:
    """Write the page that lists the nights, the newest first, with links to their reports.

    Parameters
    ----------
    settings
        By default ``Settings()``.
    path
        The file to write, which ends in ``.html``; by default ``index.html`` in the folder ``nights`` of the data
        folder. An existing file is replaced in one step; on failure it is unchanged. Links are relative, so the data
        folder can be moved or served.

    Returns
    -------
    Path
        The written file.

    Raises
    ------
    InvalidRequestError
        `path` is a folder, or does not end in ``.html``.
    OSError
        The file cannot be written.
    """
    settings = settings or Settings()
    store = NightStore(settings.data_dir)
    target = target_of(store.folder / "index.html" if path is None else path, "nights.html")
    rows = night_rows(settings)
    found = {row["day"]: _findings(row["day"], store) for row in rows[:_MOST_NIGHTS]}
    days = _days_of_incidents(found.values())
    nights = [_night(row, found[row["day"]], days, settings, target) for row in rows[:_MOST_NIGHTS]]
    more = f"{len(rows) - _MOST_NIGHTS:,} older nights are not shown." if len(rows) > _MOST_NIGHTS else ""
    return write_page(target, "nights.html", [], nights=nights, summary=_summary(rows), more=more)


def _summary(rows: list[NightRow]) -> str:
    if not rows:
        return "There are no nights yet."
    lacking = sum(bool(row["missing"]) for row in rows)
    found = sum((row["findings"] or 0) + (row["incidents"] or 0) for row in rows)
    what = f"something is missing of {lacking:,}" if lacking else "nothing is missing"
    days = f"{len(rows):,} day{'s' * (len(rows) != 1)}, {rows[-1]['day']} to {rows[0]['day']}"
    return f"{days}: {what}. Findings and incidents: {found:,}."


def _days_of_incidents(nights: Iterable[list[dict[str, Any]]]) -> Counter[str]:
    """Return on how many days there were incidents of each kind and scope."""
    return Counter(
        key for found in nights for key in {recurrence(one) for one in found if one.get("severity") == "incident"}
    )


def _night(
    row: NightRow, findings: list[dict[str, Any]], days: Counter[str], settings: Settings, target: Path
) -> dict[str, Any]:
    kinds = Counter(str(one.get("severity", "finding")) for one in findings)
    counted = ", ".join(f"{number} {kind}{'s' * (number != 1)}" for kind, number in kinds.items())
    link = os.path.relpath(settings.data_dir / row["report"], target.parent) if row["report"] else ""
    rest = len(findings) - _MOST_FINDINGS
    return {
        **row,
        "queries": "" if row["queries"] is None else f"{row['queries']:,}",
        "findings": [_sentence(one, days) for one in findings[:_MOST_FINDINGS]],
        "counted": counted or ("" if row["findings"] is None and row["incidents"] is None else "nothing"),
        "more": f"and {rest:,} more" if rest > 0 else "",
        "link": quote(Path(link).as_posix()) if link else "",
    }


def _sentence(finding: dict[str, Any], days: Counter[str]) -> str:
    """Return the sentence of a finding, with its time; that of an incident has it, and can have come on other days."""
    what = str(finding.get("what", finding))
    if finding.get("severity") == "incident" and days[recurrence(finding)] > 1:
        return f"{what} The same came on {days[recurrence(finding)]} of these days."
    if finding.get("severity") == "incident" or not {"since", "until"} <= finding.keys():
        return what
    since, until = (in_words(parse_time(finding[name])) for name in ("since", "until"))
    return f"{since.removesuffix(' UTC')} to {until.partition(' ')[2]}: {what}"


def _findings(day: date, store: NightStore) -> list[dict[str, Any]]:
    with suppress(NightError):  # the row tells it
        record = store.read(day)
        return [] if record is None else sorted(record.findings, key=lambda one: one.get("severity") != "incident")
    return []
