"""Generate the embedded sample again, or write any number of documents to an export file.

``python -m frontierlab.sample`` generates the embedded sample;
``python -m frontierlab.sample --documents 1000000 --seed 7 --output dump.ndjson.zst`` writes a file. The progress bar
of ``--documents 1000000 --output /dev/null`` shows the speed of the generator.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pyarrow.parquet as pq
from tqdm import tqdm

from frontierlab.sample import World, path


class _Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults, and the description as it is."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(
        prog="python -m frontierlab.sample", description=__doc__, formatter_class=_Formatter
    )
    parser.add_argument("--output", help="the export file to write, also .gz or .zst; by default the embedded sample")
    parser.add_argument("--documents", type=int, default=20_000, help="number of documents")
    parser.add_argument("--seed", type=int, default=1, help="the world's seed")
    parser.add_argument("--since", default="2026-10-01T00:00:00Z", help="start of the period, UTC")
    parser.add_argument("--until", default="2026-10-02T00:00:00Z", help="end of the period, exclusive")
    parser.add_argument("--malformed", type=float, default=0.001, help="share of documents with an oddity")
    parser.add_argument("--style", choices=("plain", "elasticdump"), default="plain", help="form of a line")
    options = parser.parse_args(arguments)
    if options.output is None:
        remake()
        return
    world = World(
        options.documents,
        seed=options.seed,
        since=options.since,
        until=options.until,
        malformed=options.malformed,
    )
    with tqdm(total=options.documents, unit="documents", unit_scale=True) as bar:
        world.write(options.output, style=options.style, progress=lambda done, total: bar.update(done - bar.n))


def remake() -> None:
    """Write the embedded sample: the default world."""
    world = World()
    path("catalogue.parquet").parent.mkdir(exist_ok=True)
    world.write(path())
    for name, table in (("catalogue", world.catalogue), ("payloads", world.payloads)):
        pq.write_table(table, path(f"{name}.parquet"), compression="zstd")


if __name__ == "__main__":
    main()
