"""What an operator had to ask in loops, each as one call, on a day with incidents.

``python -m benchmarks.questions`` makes a day of 1.7 million queries and prints a table: the seconds of each call, the
median of several rounds after a first one, from the opened logs to the frame.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import frontierlab as fl
from benchmarks.filters import seconds
from frontierlab import Selection, filters
from frontierlab.engines import Logs
from frontierlab.storage.store import Dataset


def calls(logs: Logs, dataset: Dataset) -> dict[str, Callable[[], object]]:
    """Return the calls, by what is shown."""
    spans = sorted(dataset.to_pandas(columns=["time"])["time"].agg(["min", "max"]))
    middle = spans[0].floor("h") + timedelta(hours=12)
    later = Selection(since=middle, until=middle + timedelta(hours=6))
    return {
        "cost_per_schema": lambda: filters.cost_per_schema(logs),
        "cost_per_node": lambda: filters.cost_per_node(logs),
        "cost_per_tag": lambda: filters.cost_per_tag(logs),
        "cost_per_site": lambda: filters.cost_per_site(logs),
        "failures_over_time, by server": lambda: filters.failures_over_time(logs, by="server"),
        "failures_over_time, by task": lambda: filters.failures_over_time(logs, by="task"),
        "failures_over_time, by site": lambda: filters.failures_over_time(logs, by="site"),
        "failures_over_time, by folder": lambda: filters.failures_over_time(logs, by="folder"),
        "threads_over_time": lambda: filters.threads_over_time(logs),
        "querytime_percentiles, by server": lambda: filters.querytime_percentiles(logs, by="server"),
        "querytime_percentiles, by schema": lambda: filters.querytime_percentiles(logs, by="schema"),
        "querytime_percentiles, by site": lambda: filters.querytime_percentiles(logs, by="site"),
        "dbtime_percentiles, by schema": lambda: filters.dbtime_percentiles(logs, by="schema"),
        "bytes_per_answer_over_time": lambda: filters.bytes_per_answer_over_time(logs),
        "cached_share_over_time, by site": lambda: filters.cached_share_over_time(logs, by="site"),
        "cached_share_over_time, by squid": lambda: filters.cached_share_over_time(logs, by="squid"),
        "repeated_queries, by squid": lambda: filters.repeated_queries(logs, by="squid"),
        "repeated_queries, by site": lambda: filters.repeated_queries(logs, by="site"),
        "what_changed, six hours and those before": lambda: fl.what_changed(
            later.shifted(-timedelta(hours=6)).of(logs), later.of(logs)
        ),
        "checks, each hour of the day": lambda: fl.checks.run(
            logs, spans[0].floor("h"), spans[1].ceil("h"), every="1h"
        ),
    }


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1_700_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset, _ = fl.sample.make_day(Path(folder) / "day", 7, options.queries)
        logs = fl.open_logs(dataset)
        print(
            f"{dataset.counts.kept:,} queries, {options.rounds} rounds, {logs.engine}\n\n| call | seconds |\n|---|---:|"
        )
        for name, call in calls(logs, dataset).items():
            took = [seconds(call) for _ in range(options.rounds + 1)][1:]
            print(f"| {name} | {statistics.median(took):.2f} |", flush=True)


if __name__ == "__main__":
    main()
