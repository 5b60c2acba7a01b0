"""Extraction and its peers, in one run, on the same index of a real Elasticsearch.

``python -m benchmarks.extraction`` starts the server, loads the sample, and prints a table with documents per second,
CPU seconds per million documents (of the reader without its imports, and without the server) and peak memory. Each is
the median of several rounds in which the peers take turns.

- extract: `frontierlab.extract`, from the index to the completed Parquet dataset
- extract, lenient: the same with one document in 10,000 that needs the lenient reader
- extract, one folder: `frontierlab.extract` with a selection of one folder
- extract, then filter: all queries, and the rows of that folder into a file
- scan: `elasticsearch.helpers.scan` in batches of 50,000 through pandas into Parquet, without completion
- drain: the searches of extract; the bodies are read and dropped
- elasticdump: into a file of lines, if npm is available
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import frontierlab as fl
from frontierlab.elastic.client import Index
from frontierlab.elastic.connection import ElasticOptions, connect
from frontierlab.elastic.queries import search_body, time_query
from frontierlab.schema import DOCUMENT_FIELDS
from frontierlab.settings import Settings
from tests.services.elasticsearch import ElasticsearchServer

DAY = {"since": "2026-10-01", "until": "2026-10-02"}
FOLDER = "/PIXEL/PixCalib"
PLAIN, LENIENT = "frontier_sql", "frontier_lenient"
CACHE = Path(os.environ.get("TEST_CACHE", ".cache"))


def extract(settings: Settings) -> int:
    """Run the whole extraction."""
    return fl.extract(settings, name="benchmark", progress=False, **DAY).counts.read


def extract_folder(settings: Settings) -> int:
    """Extract the queries of one folder."""
    where = fl.Selection(nodefullpath=FOLDER)
    return fl.extract(settings, name="benchmark", selection=where, progress=False, **DAY).counts.read


def extract_and_filter(settings: Settings) -> int:
    """Extract all queries, and keep those of one folder in a file: what there is without a selection."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = fl.extract(settings, name="benchmark", progress=False, **DAY).to_arrow()
    mask = pc.equal(rows["nodefullpath"].cast("string"), FOLDER)
    pq.write_table(rows.filter(mask), settings.data_dir / "folder.parquet")
    return len(rows)


def scan(settings: Settings) -> int:
    """Read without a specialised library: a scroll, batches of dicts, a data frame, a file."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    from elasticsearch import helpers

    client, count, rows, writer = connect(settings), 0, [], None

    def flush() -> None:
        nonlocal writer, rows
        frame = pd.DataFrame(rows, columns=list(DOCUMENT_FIELDS))
        frame["@timestamp"] = pd.to_datetime(frame["@timestamp"], format="ISO8601")
        table = pa.Table.from_pandas(frame, schema=writer.schema if writer else None, preserve_index=False)
        writer = writer or pq.ParquetWriter(settings.data_dir / "scan.parquet", table.schema)
        writer.write_table(table)
        rows = []

    query = {"query": time_query(1_790_812_800_000, 1_790_899_200_000), "_source": list(DOCUMENT_FIELDS)}
    for hit in helpers.scan(client, index=settings.es_indices, query=query, size=10_000):
        rows.append(hit["_source"])
        count += 1
        if len(rows) == 50_000:
            flush()
    flush()
    writer.close()
    return count


def drain(settings: Settings) -> int:
    """Send the searches of extract, and drop the bodies."""
    from elasticsearch.serializer import JsonSerializer

    class Raw(JsonSerializer):
        def loads(self, data: bytes) -> Any:
            return data if data.startswith(b'{"pit_id"') else super().loads(data)

    options = ElasticOptions.of(settings)
    client, index = connect(options, serializers={"application/json": Raw()}), Index(options)
    headers = {"accept": "application/json", "content-type": "application/json"}

    def read(number: int) -> int:
        body = search_body(time_query(1_790_812_800_000, 1_790_899_200_000), settings.es_page, None)
        body |= {"pit": {"id": pit.id, "keep_alive": "5m"}, "track_total_hits": False}
        body["slice"] = {"id": number, "max": settings.es_slices}
        count = 0
        while True:
            data = client.perform_request("POST", "/_search", headers=headers, body=body).body
            hits = data.count(b'"sort":[')
            count += hits
            if hits < settings.es_page:
                return count
            body["search_after"] = [int(re.findall(rb'"sort":\[(\d+)\]', data[-200:])[-1])]

    with index.point_in_time() as pit, ThreadPoolExecutor(settings.es_slices) as pool:
        return sum(pool.map(read, range(settings.es_slices)))


def elasticdump(settings: Settings) -> int:
    """Write the documents into a file with elasticdump."""
    target = settings.data_dir / "dump.ndjson"
    address = settings.es_url.replace("://", f"://{settings.es_user}:{settings.es_pswd.get_secret_value()}@")
    program = CACHE / "elasticdump" / "node_modules" / ".bin" / "elasticdump"
    arguments = [f"--input={address}/{settings.es_indices}", f"--output={target}", "--limit=10000", "--quiet"]
    subprocess.run([program.absolute(), *arguments], check=True, stdout=subprocess.DEVNULL)
    with target.open("rb") as file:
        return sum(1 for _ in file)


def install_elasticdump() -> bool:
    """Install elasticdump into the folder of downloads; return False if there is no npm."""
    folder = CACHE / "elasticdump"
    if shutil.which("npm") is None:
        return False
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, "elasticdump"], check=True)
    return True


PEERS: dict[str, tuple[Callable[[Settings], int], str]] = {
    "extract": (extract, PLAIN),
    "extract, lenient": (extract, LENIENT),
    "extract, one folder": (extract_folder, PLAIN),
    "extract, then filter": (extract_and_filter, PLAIN),
    "scan": (scan, PLAIN),
    "drain": (drain, PLAIN),
    "elasticdump": (elasticdump, PLAIN),
}


def child(peer: str, config: str) -> None:
    """Run one peer in this process and print its costs, including those of its child processes."""
    call, index = PEERS[peer]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(config, data_dir=folder, es_index=index)
        importlib.import_module("frontierlab.extraction.extract")  # import all libraries before the measurement
        importlib.import_module("pandas")
        began, used = time.perf_counter(), cpu_seconds()
        documents = call(settings)
        seconds, used = time.perf_counter() - began, cpu_seconds() - used
    # of this program only: the system's peak of a child includes that of its parent
    peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    memory = max(int(peak), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1e3
    print(json.dumps({"documents": documents, "seconds": seconds, "cpu": used / documents * 1e6, "memory": memory}))


def cpu_seconds() -> float:
    """Return the processor time of this process and its ended children."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(peer: str, config: Path) -> dict[str, float]:
    """Run one peer in a separate process."""
    command = [sys.executable, "-m", "benchmarks.extraction", "--child", peer, "--config", str(config)]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    result["rate"] = result["documents"] / result["seconds"]
    return result


def table(results: dict[str, list[dict[str, float]]]) -> str:
    """Return the table as Markdown."""

    def median(peer: str, what: str) -> float:
        return statistics.median(result[what] for result in results[peer])

    ours = median("extract", "rate")
    lines = [
        "| | documents/s | extract is … times as fast | CPU s per million | peak memory, MB | documents | seconds |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for peer, runs in results.items():
        rate = median(peer, "rate")
        lines.append(
            f"| {peer} | {rate:,.0f} | {ours / rate:.2f} | {median(peer, 'cpu'):.1f} | {median(peer, 'memory'):,.0f} "
            f"| {runs[0]['documents']:,} | {median(peer, 'seconds'):.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Load the documents, measure the peers in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--config", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.config)
        return
    peers = [peer for peer in arguments.peers if peer != "elasticdump" or install_elasticdump()]
    server = ElasticsearchServer().start(tls=False)
    try:
        with tempfile.TemporaryDirectory() as folder, server.client() as client:
            for index, malformed in ((PLAIN, 0), (LENIENT, 1e-4)):
                if any(PEERS[peer][1] == index for peer in peers):
                    world = fl.sample.World(arguments.documents, malformed=malformed, indexable=True)
                    fl.sample.load(client, world, index)
            config = fl.create_config_file(
                Path(folder) / "configuration.txt",
                es_address=server.url,
                es_user=server.user,
                es_pswd=server.password,
                coolr_file=fl.sample.path("catalogue.parquet"),
                limit_queries=arguments.documents,
            )
            results: dict[str, list[dict[str, float]]] = {peer: [] for peer in peers}
            for number in range(arguments.rounds + 1):
                for peer in peers:
                    result = measure(peer, config)
                    if number:  # the first round warms up the server
                        results[peer].append(result)
        print(f"{arguments.documents:,} documents, {arguments.rounds} rounds, {os.cpu_count()} processors\n")
        print(table(results))
    finally:
        server.close()


if __name__ == "__main__":
    main()
