"""Cost and gain of jobs on workers, in one run, with a real Elasticsearch, Redis and Celery.

``python -m benchmarks.jobs`` starts the servers, loads the sample, and prints two tables: the same extraction in this
process, on one worker and on two; and a thousand small jobs through the queue, each the smallest possible (a fresh
catalogue).

- in process: `frontierlab.extract`
- one worker, two workers: `frontierlab.jobs.submit` with the celery back end, until the result is available
- in threads, one worker, two workers: `submit` of all small jobs, until the last has ended; and the median of single
  jobs, from `submit` to the end
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import frontierlab as fl
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.redis import RedisServer, Worker

DAY = {"since": "2026-10-01", "until": "2026-10-02"}
WORKERS = {"in process": 0, "one worker": 1, "two workers": 2}


def extraction(settings: fl.Settings, workers: int, number: int) -> float:
    """Extract once, and return the duration in seconds."""
    began = time.perf_counter()
    if workers:
        job = fl.jobs.submit("extraction", settings=settings, backend="celery", name=f"d{number}", **DAY)
        dataset = job.result()
    else:
        dataset = fl.extract(settings, name=f"d{number}", progress=False, **DAY)
    seconds = time.perf_counter() - began
    dataset.delete()
    return seconds


def small(settings: fl.Settings, backend: str, count: int) -> tuple[float, float, float]:
    """Return the seconds to submit `count` small jobs, until all have ended, and for one job alone."""
    began = time.perf_counter()
    jobs = [fl.jobs.submit("catalogue", settings=settings, backend=backend) for _ in range(count)]
    submitted = time.perf_counter() - began
    for job in jobs:
        assert job.wait() == "succeeded", job.error
    ended = time.perf_counter() - began
    alone = []
    for _ in range(20):
        job = fl.jobs.submit("catalogue", settings=settings, backend=backend)
        job.wait()
        alone.append((job.ended - job.submitted).total_seconds())
    shutil.rmtree(settings.data_dir / "jobs")
    return submitted, ended, statistics.median(alone)


def measure(settings: fl.Settings, config: Path, arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Measure the peers in turns, and return the rows of both tables."""
    seconds: dict[str, list[float]] = {peer: [] for peer in WORKERS}
    queued: dict[str, list[tuple[float, float, float]]] = {"in threads": [], "one worker": [], "two workers": []}
    for number in range(arguments.rounds):
        for peer, workers in WORKERS.items():
            with ExitStack() as stack:
                for which in range(workers):
                    stack.callback(Worker(config, f"w{number}{peer[:3]}{which}").kill)
                extraction(settings, workers, number)  # imports and connections
                seconds[peer].append(extraction(settings, workers, number))
                backend = "celery" if workers else "thread"
                queued[peer if workers else "in threads"].append(small(settings, backend, arguments.jobs))
    alone = statistics.median(seconds["in process"])
    first = [
        f"| {peer} | {arguments.documents / statistics.median(each):,.0f} | {statistics.median(each):.1f} "
        f"| {alone / statistics.median(each):.2f} |"
        for peer, each in seconds.items()
    ]
    second = []
    for peer, each in queued.items():
        submitted, ended, one = (statistics.median(values) for values in zip(*each, strict=True))
        second.append(
            f"| {peer} | {arguments.jobs / submitted:,.0f} | {arguments.jobs / ended:,.0f} | {1000 * one:,.0f} |"
        )
    return first, second


def main() -> None:
    """Start the servers, measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=500_000)
    parser.add_argument("--part", type=int, default=50_000)
    parser.add_argument("--jobs", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    server = ElasticsearchServer().start(tls=False)
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        stack.callback(server.close)
        redis = stack.enter_context(RedisServer())
        with server.client() as client:
            fl.sample.load(client, fl.sample.World(arguments.documents, seed=1, indexable=True), "frontier_sql")
        config = fl.create_config_file(
            Path(folder) / "configuration.txt",
            data_dir=Path(folder) / "data",
            coolr_file=shutil.copy(fl.sample.path("catalogue.parquet"), folder),
            coolr_archive=fl.sample.path("catalogue.parquet").parent,
            es_address=server.url,
            es_user=server.user,
            es_pswd=server.password,
            es_index="frontier_sql",
            part_documents=arguments.part,
            broker_url=redis.url,
        )
        extractions, small_jobs = measure(fl.Settings(config), config, arguments)
    print(f"{arguments.documents:,} documents in parts of {arguments.part:,}, median of {arguments.rounds} rounds:\n")
    print("| | documents/s | seconds | times as fast as in process |\n|---|---:|---:|---:|")
    print("\n".join(extractions))
    print(f"\n{arguments.jobs:,} small jobs:\n")
    print("| | submitted/s | done/s | one alone, ms |\n|---|---:|---:|---:|")
    print("\n".join(small_jobs))


if __name__ == "__main__":
    main()
