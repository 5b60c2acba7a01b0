"""Request URLs decoded and COOL SQL read, a second; against parsing each query with sqlglot.

``python -m benchmarks.cool_sql`` makes request URLs of payload queries over many folders, as many times the number of
folders as there are queries of each, decodes them and reads their SQL. Its peer does the same with base64, zlib and
sqlglot, a query at a time. It prints a table of medians over the rounds; the peers take turns.
"""

from __future__ import annotations

import argparse
import base64
import random
import statistics
import time
import zlib
from collections.abc import Callable, Sequence

import sqlglot
from sqlglot import exp

from frontierlab.rawlogs import CoolReader, decode_request, encode_request
from frontierlab.rawlogs.cool_writing import payload_sql


def urls(queries: int, folders: int) -> list[str]:
    """Return request URLs: each query has its own IOV, and one of the folders and a few tags."""
    draw = random.Random(20261126)
    found = []
    for _ in range(queries):
        folder, since = draw.randrange(folders), draw.randrange(2**50)
        columns = [f"value{number}" for number in range(1 + folder % 12)]
        schema = f"ATLAS_COOLOFL_S{folder % 30}"
        tag = draw.randrange(30) if folder % 3 else None
        sql = payload_sql("CONDBR2", schema, folder, since, since + 10, tag_id=tag, columns=columns)
        found.append(encode_request([sql], base="http://host:8000/atlr/Frontier"))
    return found


def plainly(url: str) -> dict[str, object]:
    """Read one request with base64, zlib and sqlglot: what somebody writes in an afternoon."""
    p1 = url.rpartition("p1=")[2].translate(str.maketrans(".-_", "+/="))
    tree = sqlglot.parse_one(zlib.decompress(base64.b64decode(p1)).decode(), dialect="oracle")
    found: dict[str, object] = {"tables": [(table.db, table.name) for table in tree.find_all(exp.Table)]}
    where = tree.args["where"]
    for condition in where.find_all(exp.EQ, exp.GT, exp.LTE):
        if isinstance(condition.right, exp.Literal):
            found[f"{condition.left.name} {type(condition).__name__}"] = int(condition.right.this)
    return found


def rate(work: Callable[[str], object], texts: Sequence[str]) -> float:
    """Return how many texts are worked at in a second of processor time."""
    start = time.process_time()  # other work on the machine does not count
    for text in texts:
        work(text)
    return len(texts) / (time.process_time() - start)


def main() -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--folders", type=int, default=500)
    parser.add_argument("--plain", type=int, default=1_000, help="queries that the peer reads a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    made = urls(options.queries, options.folders)
    texts = [decode_request(url).sql[0] for url in made]
    readers: list[CoolReader] = []

    def whole(url: str) -> object:
        return readers[-1].read(decode_request(url).sql[0])

    peers: dict[str, Callable[[], float]] = {
        "decode_request": lambda: rate(decode_request, made),
        "read_cool_sql": lambda: rate(readers[-1].read, texts),
        "both": lambda: rate(whole, made),
        "plainly: base64, zlib, sqlglot for each": lambda: rate(plainly, made[: options.plain]),
    }
    rates: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(options.rounds):
        for name, measure in peers.items():
            readers.append(CoolReader())  # each begins without knowing any shape
            rates[name].append(measure())
    medians = {name: statistics.median(values) for name, values in rates.items()}
    length = sum(map(len, texts)) / len(texts)
    print(f"{options.queries:,} queries of {options.folders:,} folders, {length:,.0f} characters each\n")
    print("| | queries per CPU s | times plainly |\n|---|---:|---:|")
    for name, value in medians.items():
        print(f"| {name} | {value:,.0f} | {value / medians['plainly: base64, zlib, sqlglot for each']:.1f} |")
    print(f"\nsqlglot was asked {readers[-2].parsed:,} times for {options.queries:,} queries.")


if __name__ == "__main__":
    main()
