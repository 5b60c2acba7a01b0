"""A look at an index beside its extraction, in one run, on the same index of a real Elasticsearch.

``python -m benchmarks.overview`` starts the server, loads the sample, and prints a table: the seconds of
`frontierlab.overview` for growing periods of one day, of its single searches, and of `frontierlab.extract` for the
whole day. Each is the median of several rounds in which the peers take turns. The line through the looks says what a
search costs, and what a million documents cost; a larger day is the line prolonged, on the same hardware.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

import frontierlab as fl
from frontierlab.settings import Settings
from frontierlab.util.progress import Progress
from tests.services.elasticsearch import ElasticsearchServer

START = datetime(2026, 10, 1, tzinfo=UTC)
HOURS = (3, 6, 12, 24)
LARGE = (10_000_000, 50_000_000)


class Stages:
    """Adds up the seconds of each search of a look."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._done, self._since = 0, time.perf_counter()

    def __call__(self, progress: Progress) -> None:
        """Take the progress of a look."""
        if progress.done == self._done:
            return
        now = time.perf_counter()
        self.seconds[progress.message] = self.seconds.get(progress.message, 0) + now - self._since
        self._done, self._since = progress.done, now


@dataclass
class Measured:
    """Seconds: of looks by their documents, of extractions of all, and of the searches of the longest looks."""

    looks: dict[int, list[float]] = field(default_factory=dict)
    extractions: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)


def measure(settings: Settings, rounds: int) -> Measured:
    """Look and extract in turns."""
    found = Measured()
    for number in range(rounds + 1):
        if number == 1:
            found = Measured()  # the first round warmed up the server
        for hours in HOURS:
            heard = Stages()
            until = START + timedelta(hours=hours)
            look = fl.overview(settings, since=START, until=until, progress=heard)
            found.looks.setdefault(look.documents, []).append(look.seconds)
        for stage, one in heard.seconds.items():
            found.stages.setdefault(stage, []).append(one)
        began = time.perf_counter()
        dataset = fl.extract(settings, name="benchmark", since=START, until=until, progress=False)
        found.extractions.append(time.perf_counter() - began)
        fl.datasets.delete_dataset(dataset.name, settings)
    return found


def report(found: Measured) -> str:
    """Return the table and what follows from it as Markdown."""
    taken = {documents: statistics.median(times) for documents, times in found.looks.items()}
    most, extraction = max(taken), statistics.median(found.extractions)
    lines = ["| | documents | seconds |", "|---|---:|---:|"]
    lines += [f"| overview | {documents:,} | {took:.2f} |" for documents, took in taken.items()]
    lines += [f"| extract | {most:,} | {extraction:.2f} |", ""]
    slope, fixed = np.polyfit([*taken], [*taken.values()], 1)
    each = extraction / most
    lines.append(
        f"A look takes {fixed:.2f} s and {slope * 1e6:.2f} s per million documents, an extraction {each * 1e6:.1f} s "
        f"per million; this extraction took {extraction / taken[most]:.0f} times as long as its look."
    )
    lines += [
        f"Prolonged: {large / 1e6:.0f} million documents take {fixed + slope * large:.0f} s to look at, and "
        f"{each * large / 60:.0f} min to extract."
        for large in LARGE
    ]
    searches = ", ".join(f"{stage} {statistics.median(times):.2f}" for stage, times in found.stages.items())
    return "\n".join([*lines, f"Seconds of the searches of {most:,} documents: {searches}."])


def main() -> None:
    """Load the documents, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        ElasticsearchServer().start(tls=False) as server,
        server.client() as client,
    ):
        world = fl.sample.World(arguments.documents, malformed=0, indexable=True)
        fl.sample.load(client, world, "frontier_sql")
        settings = fl.sample.settings(
            data_dir=Path(folder),
            es_address=server.url,
            es_user=server.user,
            es_pswd=server.password,
            es_index="frontier_sql",
            limit_queries=arguments.documents,
        )
        found = measure(settings, arguments.rounds)
    print(f"{arguments.documents:,} documents, {arguments.rounds} rounds, {os.cpu_count()} processors\n")
    print(report(found))


if __name__ == "__main__":
    main()
