"""The main workflow on the embedded sample, run by ``make demo``: no server, one report at the end."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import frontierlab as fl

__all__ = ["main"]


def main(folder: Path | None = None) -> Path:
    """Extract and complete the sample, ask three questions about it, and write the report.

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
    _say(f"Queries per database:\n{fl.filters.queries_per_db(logs).to_string(index=False)}\n")
    _say("Computing all figures of the report: a few seconds …\n")
    report = fl.report(dataset, settings=settings)
    _say(f"The report, to open in a browser: {report.as_uri()}\n")
    return report


def _say(text: str) -> None:
    """Write a text at once, also if the output is a pipe."""
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
