"""Format numbers, times and errors for the panels."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from frontierlab.util.progress import Progress
from frontierlab.util.times import in_words
from frontierlab_widgets.panel_words import in_panel_words

__all__ = [
    "UNEXPECTED",
    "amount",
    "amounts",
    "capital",
    "cure_box",
    "duration",
    "error_box",
    "megabytes",
    "moment",
    "no_catalogue",
    "notes",
    "number",
    "paragraph",
    "plural",
    "progress_line",
    "sentence",
    "warning_box",
]

UNEXPECTED = "There was an unexpected error"
"""How the sentence of an error begins that no code raised on purpose."""


def number(value: Any) -> str:
    """Write an integer with commas; empty if it is missing."""
    return "" if value is None or pd.isna(value) else f"{int(value):,}"


def plural(count: int, one: str, more: str) -> str:
    """Write a number with what it counts: "1 query", "2,000 queries"."""
    return f"{count:,} {one if count == 1 else more}"


def megabytes(count: Any) -> str:
    """Write bytes as MB (10^6 bytes); empty if they are missing."""
    return "" if count is None or pd.isna(count) else f"{int(count) / 1e6:,.1f} MB"


def moment(value: Any) -> str:
    """Write a UTC time to the second; empty if it is missing."""
    if value is None or pd.isna(value):
        return ""
    return in_words(value.to_pydatetime().replace(microsecond=0) if isinstance(value, pd.Timestamp) else _cut(value))


def _cut(value: datetime) -> datetime:
    return value.replace(microsecond=0)


_UNITS = {"queries": "", "failures": "", "bytes": "B"}


def amount(value: Any, measure: str = "queries", digits: int = 1) -> str:
    """Write a number with few digits: thousands as k and M, bytes as kB, MB, GB, milliseconds as a time.

    Parameters
    ----------
    value
        The number; empty text if it is missing.
    measure
        ``queries``, ``failures`` or ``bytes``; others are milliseconds.
    digits
        How many digits a number in another unit than its own has behind the point. Times of more than ten minutes have
        minutes and seconds instead, unless this is more than one.
    """
    if value is None or pd.isna(value):
        return ""
    if measure not in _UNITS:
        seconds = float(value) / 1e3
        return f"{seconds:,.{digits}f} s" if abs(seconds) < 600 or digits > 1 else duration(seconds)
    number, unit = float(value), _UNITS[measure]
    for prefix in ("", "k", "M", "G", "T"):
        if abs(number) < 999.95 or prefix == "T":
            break
        number /= 1_000
    space = " " if unit else ""
    return f"{number:,.{digits if prefix else 0}f}{space}{prefix}{unit}"


def amounts(values: Iterable[Any], measure: str = "queries") -> list[str]:
    """Write numbers as `amount` does, with more digits, or all of them, where different ones would read the same."""
    numbers = [*values]
    texts = [amount(one, measure) for one in numbers]
    for more in (partial(amount, digits=2), partial(amount, digits=3), _exactly):
        meant: dict[str, set[Any]] = {}
        for text, one in zip(texts, numbers, strict=True):
            meant.setdefault(text, set()).add(one)
        pairs = zip(texts, numbers, strict=True)
        texts = [text if len(meant[text]) == 1 else more(one, measure) for text, one in pairs]
    return texts


def _exactly(value: Any, measure: str) -> str:
    return "" if pd.isna(value) else f"{value:,} {_UNITS.get(measure, 'ms')}".rstrip()


def duration(seconds: float) -> str:
    """Write a duration: 5 s, 3 min 20 s, 2 h 5 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"


def progress_line(progress: Progress) -> str:
    """Write a line with progress, speed and remaining time."""
    parts, unit = [progress.stage], f" {progress.unit}" * bool(progress.unit)
    if progress.total is not None:
        parts.append(f"{progress.done:,} of {progress.total:,}{unit}")
    elif progress.done:
        parts.append(f"{progress.done:,}{unit}")
    if progress.rate and progress.done:
        parts.append(f"{progress.rate:,.0f} a second" if progress.rate >= 10 else f"{progress.rate:,.1f} a second")
    if progress.remaining is not None:
        parts.append(f"{duration(progress.remaining)} left")
    return ", ".join(parts) + (f": {progress.message}" if progress.message else "")


def sentence(error: BaseException) -> str:
    """Write an error as a sentence, in the words of the panels. An unexpected error is named as such."""
    from frontierlab.errors import FrontierlabError

    text = str(error).strip()
    if isinstance(error, FrontierlabError):
        text = in_panel_words(text)
        return text if text.endswith((".", "!", "?")) else f"{text}."
    return f"{UNEXPECTED}: {type(error).__name__}{f': {text}' if text else ''}. The kernel's log has the details."


def no_catalogue(path: Path) -> str:
    """Say how to make a missing catalogue with the panels."""
    return (
        f"There is no catalogue at {path}. Fill in coolr_host (or coolr_archive, or the path of a catalogue as "
        "coolr_file) in the settings panel (COOLR), and click Build the catalogue there; or use the sample, which "
        "has its own."
    )


def error_box(text: str) -> str:
    """Return an error as HTML; empty if there is none."""
    return f'<div class="frontierlab-error" role="alert">{escape(text)}</div>' if text else ""


def cure_box(cure: str, reasons: str = "") -> str:
    """Return a cure as one conspicuous line of HTML, and the reasons below it; without a cure, the reasons alone."""
    told = f'<p class="frontierlab-cure">{escape(in_panel_words(cure))}</p>' if cure else ""
    return told + paragraph(in_panel_words(reasons))


def paragraph(text: str) -> str:
    """Return a text as a paragraph of HTML that begins with a capital letter; empty if there is none."""
    return f"<p>{escape(capital(text))}</p>" if text else ""


def capital(text: str) -> str:
    """Return a text with a capital letter at its beginning; other letters stay as they are."""
    return text[:1].upper() + text[1:]


def warning_box(sentences: Iterable[str]) -> str:
    """Return what a dataset lacks as a conspicuous HTML box; empty if it lacks nothing."""
    told = "".join(f"<p>{escape(text)}</p>" for text in sentences)
    return f'<div class="frontierlab-warning" role="alert"><b>Warning</b>{told}</div>' if told else ""


def notes(sentences: Iterable[str]) -> str:
    """Return notes for the reader as HTML."""
    return "".join(f'<div class="frontierlab-note">{escape(in_panel_words(text))}</div>' for text in sentences)
