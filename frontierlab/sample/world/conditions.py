"""The catalogue and the payloads of the synthetic world, as Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frontierlab.sample.world.folders import FOLDERS, Folder, runs
from frontierlab.schema import NO_TAG, OPEN_IOV

__all__ = ["LUMIS", "MINUTE", "catalogue", "payloads"]

LUMIS = 1_500
"""Number of luminosity blocks per run; each lasts one minute."""

MINUTE = 60 * 10**9
"""A minute in ns."""

Integers = NDArray[np.int64]

PAYLOADS = pa.schema(
    [
        *((name, pa.string()) for name in ("db", "schema", "node", "tag")),
        *((name, pa.int64()) for name in ("channel", "since", "until")),
        ("content", pa.string()),
        ("size", pa.int64()),
    ]
)


def tags_of(folder: Folder) -> list[tuple[str, int]]:
    """Return the tags of a folder, each with name and id: ids start at 1; a folder without tags has ``none``, 0."""
    return [(name, k) for k, name in enumerate(folder.tags, start=1)] or [(NO_TAG, 0)]


def catalogue(folders: Sequence[Folder] = FOLDERS) -> pa.Table:
    """Return the catalogue: one row per folder and tag, in the order of the folders.

    Returns
    -------
    pyarrow.Table
        Columns ``db, schema, node, node_id, nodetime, tag, tag_id``; a folder without tags has one row,
        tag ``none``, id 0.
    """
    rows = [(f.db, f.schema, f.node, f.node_id, f.nodetime, tag, tag_id) for f in folders for tag, tag_id in tags_of(f)]
    names = ("db", "schema", "node", "node_id", "nodetime", "tag", "tag_id")
    types = {"node_id": pa.int64(), "tag_id": pa.int64()}
    return pa.table(
        {n: pa.array(c, types.get(n, pa.string())) for n, c in zip(names, zip(*rows, strict=True), strict=True)}
    )


def payloads(seed: int, folders: Sequence[Folder] = FOLDERS) -> pa.Table:
    """Return all payload rows of the world: one row per folder, tag, channel and IOV.

    Parameters
    ----------
    seed
        The world's seed.
    folders
        The folders; those of the sample come first, if there are others.

    Returns
    -------
    pyarrow.Table
        Columns ``db, schema, node, tag`` (names), ``channel``, ``since``, ``until`` (int64, in the folder's IOV base;
        an open ``until`` is 2^63-1), ``content`` (identifies the payload: several IOVs can have the same content) and
        ``size`` (bytes).
    """
    tables = []
    for number, folder in enumerate(folders):
        for tag, tag_id in tags_of(folder)[: -1 if folder.shape == "empty" else None]:
            rng = np.random.default_rng([seed, 1, number, tag_id])
            noise = np.exp(0.3 * rng.standard_normal(max(2, folder.iovs // 3)))
            sizes = (folder.size * noise).astype(np.int64)
            rows = [_channel(folder, channel, points, len(sizes), rng) for channel, points in _points(folder, rng)]
            tables.append(_table(folder, tag, np.concatenate(rows, axis=1), sizes))
    return pa.concat_tables(tables).combine_chunks()


def _points(folder: Folder, rng: np.random.Generator) -> list[tuple[int, Integers]]:
    """Return each channel with the sorted start values of its IOVs.

    Channel 0 has all values; another channel has the first one and about 70 % of the others.
    """
    number, start = runs(folder.db)
    run = rng.integers(10 if folder.shape == "late" else 0, len(number), folder.iovs)
    lumi = np.where(rng.random(folder.iovs) < 0.6, 0, rng.integers(1, LUMIS, folder.iovs))
    points = number[run] << 32 | lumi if folder.nodetime == "run-lumi" else start[run] + lumi * MINUTE
    if folder.shape == "begun":
        points[0] = number[0] << 32 if folder.nodetime == "run-lumi" else start[0]
    elif folder.shape != "late":
        points[0] = 0 if folder.nodetime == "run-lumi" else start[0] - 1_000 * MINUTE
    points = np.unique(points)
    channels = [(0, points)]
    for channel in range(1, folder.channels):
        kept = rng.random(len(points)) < 0.7
        kept[0] = True
        channels.append((channel, points[kept]))
    return channels


def _channel(folder: Folder, channel: int, since: Integers, contents: int, rng: np.random.Generator) -> Integers:
    """Return the payload rows of one channel: in lines its number, since, until and the number of the content.

    Each IOV begins at a value of ``since``; a folder with gaps lacks some of them. ``contents`` is the number of the
    tag's different contents.
    """
    until = np.append(since[1:], OPEN_IOV)
    content = rng.integers(0, contents, len(since))
    if folder.shape == "overlap":
        ahead = np.minimum(np.arange(len(since)) + 2, len(since) - 1)
        until = np.where(rng.random(len(since)) < 0.3, np.maximum(until, until[ahead]), until)
    kept = rng.random(len(since)) > (0.15 if folder.shape == "gaps" else -1)
    return np.stack([np.full(len(since), channel), since, until, content])[:, kept]


def _table(folder: Folder, tag: str, rows: Integers, sizes: Integers) -> pa.Table:
    """Return the payload rows of a tag; ``sizes`` are the sizes of its different contents, in bytes."""
    channel, since, until, content = rows
    names = {"db": folder.db, "schema": folder.schema, "node": folder.node, "tag": tag}
    columns = {n: pa.repeat(v, len(channel)) for n, v in names.items()}
    numbers = {"channel": channel, "since": since, "until": until}
    what = pa.array([f"{folder.node} {tag} v{c}" for c in range(len(sizes))]).take(pa.array(content))
    return pa.table({**columns, **numbers, "content": what, "size": sizes[content]}, schema=PAYLOADS)
