"""Days with incidents as a dataset, written without an extraction."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pandas as pd

from frontierlab.sample.world.incidents.days import Days
from frontierlab.sample.world.incidents.incident import Incident
from frontierlab.schema import arrow_schema
from frontierlab.settings import Settings
from frontierlab.storage.creating import creating
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.locks import this_writer
from frontierlab.storage.manifest import Manifest, PlannedPart
from frontierlab.storage.parts import SliceWriter, commit_part, temporary_folder
from frontierlab.util.times import format_time, from_milliseconds

__all__ = ["make_day"]

GROUP = 65_536  # rows of a row group


def make_day(
    where: str | os.PathLike[str] | Settings,
    seed: int = 1,
    queries: int = 500_000,
    *,
    incidents: int | Sequence[Incident] | None = None,
    quiet: bool = False,
    days: int = 1,
    since: str | date | datetime = "2026-10-01",
    name: str | None = None,
    world: int | None = None,
) -> tuple[Dataset, pd.DataFrame]:
    """Make a dataset of a day with incidents, and the truth about them.

    The day is as unruly as a real one. About 2,000 tasks start and stop at any time, each with a few folders, tags and
    sites. Rates have a shape over the day, with bursts. Latencies have heavy tails, and folders, servers and sites
    differ. Some tasks fail all day. Fields are missing here and there; an index can lack the Squid, the site or the
    threads. Busy but harmless things happen too: a large new task that caches well, a change of shift, many queries
    for a popular folder.

    The rows are not read from documents: they are written as a dataset. About 250,000 queries at a time are in memory.
    The same arguments make the same rows. Without its incidents the same seed makes the same queries, apart from those
    that the incidents add, change or remove; ``initthreads`` follows from all queries of a server.

    Parameters
    ----------
    where
        Settings, for a dataset in their ``data_dir``; or the path of the dataset's folder, which must be new.
    seed
        Seed of all draws.
    queries
        Expected number of queries of a day without its incidents.
    incidents
        The incidents; or their number, to be drawn by the seed; by default 3 to 7. Drawn ones overlap.
    quiet
        No incidents, but all of the busy and harmless things.
    days
        Number of days; ``incidents`` is for all days together.
    since
        The first day; UTC if no time zone is given.
    name
        Name of the dataset in the data folder; by default ``incidents-<seed>``.
    world
        Seed of what stays from day to day: how fast folders and servers are, how large sites are. By default ``seed``;
        days with other seeds and the same ``world`` can be compared.

    Returns
    -------
    dataset : Dataset
        A complete dataset.
    truth : pandas.DataFrame
        A row per incident, the most costly first. ``since`` and ``until`` (UTC, minutes), ``kind``; the scope ``db,
        schema, nodefullpath, tagname, taskid, taskname, frontierserver, computingsite, squid`` (null: not part of it);
        ``how`` and ``factor`` as in `Incident`; ``queries`` that it added, changed or removed; ``excess_queries``,
        ``excess_dbtime_ms``, ``excess_overhead_ms``, ``excess_bytes`` and ``failures`` (the failed queries), each the
        difference that it made; ``cost``, the largest of these as a share of what a day has in all, and its
        ``currency``; ``strength``, by how many standard deviations it exceeds what was expected in its scope and time;
        ``accepted``, the scopes that name the same incident, each a dictionary, its own first. Where two incidents
        change the same queries, each has the difference that it made after those above it in order of kinds (first
        those that add, then those that change, then silence): all differences add up to the real one.
        ``attrs["harmless"]`` lists the harmless things.

    Raises
    ------
    InvalidRequestError
        A value is not valid.
    DatasetError
        The dataset exists already, or cannot be written; its files were removed.

    Notes
    -----
    Some effects of real incidents are left out, so that each difference has one cause: jobs do not repeat what failed,
    no other server takes the queries of a silent one, and queries do not become slow because there are many. Only
    ``initthreads`` follows from the load.

    Examples
    --------
    >>> dataset, truth = fl.sample.make_day(settings, seed=1)  # doctest: +SKIP
    """
    drawn = Days.drawn(seed, queries, days, since, incidents=incidents, quiet=quiet, world=world)
    if isinstance(where, Settings):
        target = dataset_path(name or f"incidents-{seed}", where.data_dir)
    else:
        target = Path(where).expanduser().absolute()
        dataset_path(target.name, target.parent)  # raises if the name is not valid
    with creating(target, partial(_manifest, drawn)) as manifest:
        _write(drawn, target, manifest)
    return Dataset(target), drawn.truth()


def _manifest(world: Days, target: Path) -> Manifest:
    start, stop = (format_time(from_milliseconds(t)) for t in (world.scene.start, world.stop))
    request = {
        "source": f"the sample's world with incidents, seed {world.scene.seed}, {world.queries} queries a day",
        "index": "",
        "since": start,
        "until": stop,
        "until_is_now": False,
        "cached": None,
        "taskid": None,
        "selection": {},
        "extra_fields": {},
        "limit_queries": 2**40,
        "db_instances": tuple(world.scene.places.names.db),
        "complete": True,
    }
    return Manifest(
        id=secrets.token_hex(8),
        name=target.name,
        created=format_time(datetime.now(UTC)),
        request=request,
        source={"file": request["source"]},
        columns=arrow_schema().names,
        notes=["Times are UTC.", "Made by the sample's generator of days with incidents: no real queries."],
        writer=this_writer(),
    )


def _write(world: Days, target: Path, manifest: Manifest) -> None:
    """Write all parts, and put them into the plan of the manifest."""
    for number, (since, until, rows) in enumerate(world.parts()):
        folder = temporary_folder(target, number)
        with SliceWriter(folder, 0, rows.schema) as writer:
            for first in range(0, rows.num_rows, GROUP):
                writer.write(rows.slice(first, GROUP))
            writer.count(read=rows.num_rows)
        commit_part(folder, target, number, [writer.outcome], manifest)
        manifest.plan.append(PlannedPart(number=number, start=since, stop=until, expected=rows.num_rows))
