"""What was read of raw logs, and what was set aside, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from frontierlab import Dataset, Settings
from frontierlab.rawlogs.squid.facts import SMALL_SHARE
from frontierlab.rawlogs.squid.stored import SquidLogs
from frontierlab.storage.losses import lines_lost, losses
from frontierlab_widgets.formatting import notes, warning_box
from frontierlab_widgets.panel_words import in_panel_words

__all__ = ["accounted", "lines_of", "read_in_words", "told_of"]

_SHOWN = 20  # lines


def read_in_words(result: Dataset | SquidLogs) -> str:
    """Say what was read, with what became of each line."""
    lines = accounted(lines_of(result))
    if isinstance(result, Dataset):
        counts = result.counts
        left = f" ({counts.left_out:,} left out)" if counts.left_out else ""
        return f"{result.name} is complete: {counts.kept:,} queries{left}. {lines}"
    others = sum(result.manifest.others.values())
    answers = f"{result.manifest.rows:,} answers to requests for Frontier, {others:,} lines of others"
    return f"{result.name} is stored: {answers}. {lines}"


def accounted(lines: Mapping[str, Any]) -> str:
    """Say what became of each line."""
    aside = sum(lines["set_aside"].values())
    used, further = lines["used"], lines["continuations"]
    return f"{lines['lines']:,} lines = {used:,} used + {further:,} continued + {aside:,} set aside."


def told_of(result: Dataset | SquidLogs, remarks: Sequence[str], settings: Settings) -> str:
    """Return as HTML what is lacking (a warning), the other remarks (notes), and the lines that were set aside."""
    lines = lines_of(result)
    most = settings.loss_warning_share if isinstance(result, Dataset) else SMALL_SHARE
    lost = [lines_lost(lines["lines"], lines["set_aside"], most)]
    if isinstance(result, Dataset):
        lost += [loss.text for loss in losses(result, settings)]
    others = [text for text in remarks if text not in lost]
    warned = warning_box(dict.fromkeys(in_panel_words(text) for text in lost if text))
    return f"{warned}{notes(others)}{set_aside_table(result)}"


def set_aside_table(result: Dataset | SquidLogs) -> str:
    """Return the lines that were set aside as HTML: how many for which reason, and the first of them."""
    reasons = lines_of(result)["set_aside"]
    if not reasons:
        return ""
    told = ", ".join(f"{count:,} {escape(reason)}" for reason, count in reasons.items())
    head = "".join(f"<th>{name}</th>" for name in ("File", "Line", "Reason", "Text"))
    rows = "".join(
        f"<tr><td>{escape(str(one['file']))}</td><td class='number'>{one['line']}</td>"
        f"<td>{escape(one['reason'])}</td><td>{escape(one['text'][:120])}</td></tr>"
        for one in _first_lines(result)
    )
    return (
        f"<details><summary>Lines set aside: {told}</summary><div class='frontierlab-lines'>"
        f"<table aria-label='The first lines set aside'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "</div></details>"
    )


def lines_of(result: Dataset | SquidLogs) -> Mapping[str, Any]:
    """Return the counts of lines; none of logs that are followed, before the first part is stored."""
    if isinstance(result, Dataset):
        lines: Mapping[str, Any] = result.manifest.source.get("lines", {})
        return lines
    return result.manifest.lines


def _first_lines(result: Dataset | SquidLogs) -> list[dict[Any, Any]]:
    frame = result.malformed()
    if isinstance(result, Dataset):
        records = [{"reason": one["reason"], **json.loads(one["document"])} for one in frame.to_dict("records")]
        frame = pd.DataFrame(records, columns=["file", "line", "reason", "text"])
    return [{**one, "file": Path(str(one["file"])).name} for one in frame.head(_SHOWN).to_dict("records")]
