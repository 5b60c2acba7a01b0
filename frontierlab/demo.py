"""The main workflow on the embedded sample, run by ``make demo``: no server, one report at the end."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pandas as pd

import frontierlab as fl
from frontierlab.caching.ranking import lost_in_words
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset

__all__ = ["WORST", "main"]

WORST = 3
"""How many badly cached folders are named."""


def main(folder: Path | None = None) -> Path:
    """Extract and complete the sample, say what went wrong on its day and what would help, and write the report.

    Parameters
    ----------
    folder
        Folder for the dataset and the report; by default a new temporary folder, which is kept.

    Returns
    -------
    Path
        The path of the report.
    """
    folder = folder or Path(tempfile.mkdtemp(prefix="frontierlab-demo-"))
    settings = fl.sample.settings(data_dir=folder)
    _say(f"Query logs of one day, from {fl.sample.path().name} (a synthetic sample that comes with frontierlab)\n")
    dataset = fl.extract(settings, source=fl.sample.path(), name="demo")
    counts = dataset.counts
    _say(f"Extracted and completed: {counts.read:,} documents read\n")
    _say(f"  = {counts.kept:,} kept + {counts.left_out:,} left out + {counts.malformed:,} malformed\n")
    logs = fl.open_logs(dataset, settings=settings)
    _say("Looking for what went wrong on that day …\n")
    _say(f"{fl.diagnose(logs, settings=settings, progress=False)}\n")
    _say("Computing which folders are badly cached, and what would help …\n")
    _say(_worst_folders(dataset, settings))
    _say("Computing all figures of the report: a few seconds …\n")
    report = fl.report(dataset, settings=settings)
    _say(f"The report, to open in a browser: {report.as_uri()}\n")
    return report


def _worst_folders(dataset: Dataset, settings: Settings) -> str:
    """Return the folders that lose most database time, and for each what would help."""
    text = ""
    for number, folder in enumerate(fl.caching.worst(dataset, settings, WORST, progress=False).to_dict("records"), 1):
        names = " ".join(str(folder[name]) for name in ("db", "schema", "nodefullpath", "tagname"))
        text += f"{number}. {names}: {folder['cause']}; {lost_in_words(folder)}\n"
        text += "".join(f"   {folder[part]}\n" for part in ("cure", "reasons") if pd.notna(folder[part]))
    return text


def _say(text: str) -> None:
    """Write a text at once, also if the output is a pipe."""
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
