"""A look at an index beside its extraction, in one run, on the same index of a real Elasticsearch.

``python -m benchmarks.overview`` starts the server, loads the sample, and prints a table: the seconds of
`frontierlab.overview` for growing periods of a day, and of `frontierlab.extract` for the whole day. Each is the median
of several rounds in which the peers take turns. CPU seconds are those of the server and this program together; other
work on the machine changes them less than the seconds of the clock. The line through the CPU seconds of the looks says
what a look costs at least, and what a million documents cost; a larger day is that line prolonged.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import psutil

import frontierlab as fl
from frontierlab.settings import Settings
from frontierlab.util.progress import Progress
from tests.services.elasticsearch import ElasticsearchServer

T = TypeVar("T")
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


class Taken(NamedTuple):
    """Seconds of the clock, and seconds of processors of the server and this program together."""

    clock: float
    processors: float


@dataclass
class Measured:
    """What looks took, by their documents; what extractions took; seconds of the searches of the longest looks."""

    looks: dict[int, list[Taken]] = field(default_factory=dict)
    extractions: list[Taken] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)


def taken(server: ElasticsearchServer, call: Callable[[], T]) -> tuple[T, Taken]:
    """Return the result of a call, and what it took."""

    def processors() -> float:
        return sum(sum(one.cpu_times()[:2]) for one in (*server.processes(), psutil.Process()))

    began, used = time.perf_counter(), processors()
    result = call()
    return result, Taken(time.perf_counter() - began, processors() - used)


def measure(server: ElasticsearchServer, settings: Settings, rounds: int) -> Measured:
    """Look and extract in turns."""
    found = Measured()
    for number in range(rounds + 1):
        if number == 1:
            found = Measured()  # the first round warmed up the server
        for hours in HOURS:
            heard, until = Stages(), START + timedelta(hours=hours)
            look = functools.partial(fl.overview, settings, since=START, until=until, progress=heard)
            seen, cost = taken(server, look)
            found.looks.setdefault(seen.documents, []).append(cost)
        for stage, one in heard.seconds.items():
            found.stages.setdefault(stage, []).append(one)
        extract = functools.partial(fl.extract, settings, name="benchmark", since=START, until=until, progress=False)
        dataset, cost = taken(server, extract)
        found.extractions.append(cost)
        fl.datasets.delete_dataset(dataset.name, settings)
    return found


def median(costs: Sequence[Taken]) -> Taken:
    """Return the median of each kind of seconds."""
    return Taken(*(statistics.median(kind) for kind in zip(*costs, strict=True)))


def report(found: Measured) -> str:
    """Return the table and what follows from it as Markdown."""
    looks = {documents: median(costs) for documents, costs in found.looks.items()}
    most, extraction = max(looks), median(found.extractions)
    lines = ["| | documents | seconds | CPU s |", "|---|---:|---:|---:|"]
    lines += [f"| overview | {count:,} | {cost.clock:.2f} | {cost.processors:.2f} |" for count, cost in looks.items()]
    lines += [f"| extract | {most:,} | {extraction.clock:.2f} | {extraction.processors:.2f} |", ""]
    slope, fixed = np.polyfit([*looks], [cost.processors for cost in looks.values()], 1)
    each = extraction.processors / most
    lines.append(
        f"A look takes {fixed:.2f} CPU s and {slope * 1e6:.2f} per million documents, an extraction {each * 1e6:.1f} "
        f"per million: {extraction.processors / looks[most].processors:.0f} times as much as its look."
    )
    lines += [
        f"Prolonged: {large / 1e6:.0f} million documents take {fixed + slope * large:.0f} CPU s to look at, and "
        f"{each * large:,.0f} CPU s to extract."
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
        # otherwise the second round is answered from the server's memory of the first
        client.indices.put_settings(index="frontier_sql", settings={"index.requests.cache.enable": False})
        settings = fl.sample.settings(
            data_dir=Path(folder),
            es_address=server.url,
            es_user=server.user,
            es_pswd=server.password,
            es_index="frontier_sql",
            limit_queries=arguments.documents,
        )
        found = measure(server, settings, arguments.rounds)
    print(f"{arguments.documents:,} documents, {arguments.rounds} rounds, {os.cpu_count()} processors\n")
    print(report(found))


if __name__ == "__main__":
    main()
