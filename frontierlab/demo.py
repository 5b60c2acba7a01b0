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
    say = sys.stdout.write
    say(f"Query logs of one day, from {fl.sample.path().name} (a synthetic sample that comes with frontierlab)\n")
    dataset = fl.extract(settings, source=fl.sample.path(), name="demo")
    counts = dataset.counts
    say(f"Extracted and completed: {counts.read:,} documents read\n")
    say(f"  = {counts.kept:,} kept + {counts.left_out:,} left out + {counts.set_aside:,} set aside\n")
    say("Starting Spark …\n")
    logs = fl.open_logs(dataset, settings=settings)
    say(f"Queries per database:\n{fl.filters.queries_per_db(logs).to_string(index=False)}\n")
    report = fl.report(dataset, settings=settings)
    say(f"The report, to open in a browser: {report.as_uri()}\n")
    return report


if __name__ == "__main__":
    main()
