"""Draw the queries of one chunk: who asked, what, when, and with which result.

The result is a dictionary of int64 arrays of the same length, by field of the document. Integers are values, with
`MISSING` for a field that the document lacks. Names are indices into `names.NAMES`, with -1 for missing. Flags are 0, 1
or -1 (missing). ``@timestamp`` is in ms since the epoch. Keys that begin with ``_`` are not fields: they keep what the
generator knows of a query, such as its true folder and tag.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from frontierlab.sample.world.conditions import LUMIS, MINUTE, tags_of
from frontierlab.sample.world.folders import DATABASES, FOLDERS, runs
from frontierlab.sample.world.names import (
    FOREIGN,
    KINDS,
    NAMES,
    TASKS,
    UNKNOWN_PATH,
    UNKNOWN_TAG,
    folder_shares,
    index_of,
)
from frontierlab.schema import OPEN_IOV

__all__ = ["Columns", "MISSING", "UNKNOWN_ID", "draw"]

MISSING = -(2**63)
"""Marks an integer that the document lacks."""

UNKNOWN_ID = 9_999
"""The id of a folder or tag that the catalogue does not contain."""

Integers = NDArray[np.int64]
Columns = dict[str, NDArray[np.int64]]
"""The drawn values, by field of the document, and the generator's own ones."""

DB = np.array([DATABASES.index(f.db) for f in FOLDERS])
NODE_ID = np.array([f.node_id for f in FOLDERS])
TAGS = np.array([len(f.tags) for f in FOLDERS])
SIZE = np.array([f.size * f.channels for f in FOLDERS])
CHANNELS = np.array([f.channels for f in FOLDERS])
ASKS = np.array([("event", "run", "all").index(f.asks) for f in FOLDERS])
TIME_BASE = np.array([f.nodetime == "time" for f in FOLDERS])
SHARES = np.cumsum(folder_shares(), axis=1)
TASK_KIND = np.array([kind for kind, _ in TASKS])
OVERLAY = KINDS.index("overlay")
HOT = TASK_KIND == OVERLAY
# the first of every seven tasks sends the most queries; overlay tasks send six times as many as others
TASK_SHARE = np.cumsum(np.where(HOT, 6.0, 1.0) / (1 + np.arange(len(TASKS)) % 7))
MOST_TAGS = 3
JOBS = 40_000  # per task; each job has its own event, so queries for the IOV of an event seldom repeat
HASHES = np.array(
    [
        [
            int.from_bytes(hashlib.blake2b(f"{f} {k}".encode(), digest_size=8).digest(), "big", signed=True)
            for k in range(16)
        ]
        for f in range(len(FOLDERS) + len(FOREIGN))
    ]
)
# A row is a folder or a foreign database. A folder's columns: 0 to 2 payloads of a tag, 3 to 8 payloads of a tag and
# one of two channels, 13 and 14 other queries of the folder, 15 queries of the schema. A foreign database uses all.


def draw(seed: int, number: int, count: int, since: int, until: int) -> Columns:
    """Return ``count`` queries of chunk ``number``, none malformed.

    Parameters
    ----------
    seed, number
        The world's seed and the chunk's number; together they seed the draws of the chunk. The times of bursts depend
        on the world's seed alone.
    count
        Number of queries.
    since, until
        The times of queries are in ``[since, until)``, in ms since the epoch.
    """
    rng = np.random.default_rng([seed, 0, number])
    columns = _who(rng, count)
    _when(rng, columns, since, until, np.random.default_rng([seed, 2]).random(3))
    _what(rng, columns)
    _iov(rng, columns)
    _outcome(rng, columns)
    _log_folder(rng, columns)
    _log_tag(rng, columns)
    _log_database(rng, columns)
    return columns


def _some(rng: np.random.Generator, count: int, share: float) -> NDArray[np.bool_]:
    """Return a mask of ``count`` rows in which about this share is true."""
    return rng.random(count) < share


def _who(rng: np.random.Generator, count: int) -> Columns:
    """Return the columns of the task and job that asked, its site, Squid and machine, and the server."""
    task = np.searchsorted(TASK_SHARE, rng.random(count) * TASK_SHARE[-1])
    job = rng.integers(0, JOBS, count)
    pandaid = 6_700_000_000 + task * JOBS + job
    mix = ((pandaid.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(24)).astype(np.int64)
    site = mix % len(NAMES["computingsite"])
    squid = 2 * site + (mix >> 4) % 2
    machine = 40 * site + (mix >> 5) % 40
    anonymous = _some(rng, count, 0.05)
    return {
        "_task": task,
        "_mix": mix,
        "taskid": np.where(anonymous, MISSING, 41_000_000 + 137 * task),
        "pandaid": np.where(anonymous, MISSING, pandaid),
        "taskname": np.where(anonymous | _some(rng, count, 0.01), -1, task),
        "squid": np.where(_some(rng, count, 0.01), -1, squid),
        "computingsite": np.where(_some(rng, count, 0.02), -1, site),
        "clientmachine": machine,
        "frontierserver": rng.integers(0, len(NAMES["frontierserver"]), count),
    }


def _when(rng: np.random.Generator, c: Columns, since: int, until: int, bursts: NDArray[np.float64]) -> None:
    """Add ``@timestamp`` and ``initthreads``; ``bursts`` are the times of bursts, as fractions of the period."""
    count, width = len(c["_task"]), until - since
    share = rng.random(count)
    burst = rng.random(count) < np.where(HOT[c["_task"]], 0.4, 0.02)
    sharp = bursts[rng.integers(0, len(bursts), count)] + 0.004 * rng.standard_normal(count)
    share = np.where(burst, sharp, share)
    c["@timestamp"] = since + np.clip((share * width).astype(np.int64), 0, width - 1)
    c["_burst"] = burst.astype(np.int64)
    threads = rng.integers(15, 90, count) + np.where(burst, rng.integers(150, 420, count), 0)
    c["initthreads"] = np.where(_some(rng, count, 0.03), MISSING, threads)


def _what(rng: np.random.Generator, c: Columns) -> None:
    """Add the true folder and tag, the type of query and ``sqlhash``."""
    task = c["_task"]
    share = rng.random(len(task))
    folder = np.empty(len(task), dtype=np.int64)
    for kind in range(len(KINDS)):
        of_kind = TASK_KIND[task] == kind
        folder[of_kind] = np.searchsorted(SHARES[kind], share[of_kind] * SHARES[kind, -1], side="right")
    tag = np.where(_some(rng, len(task), 0.85), 0, rng.integers(0, MOST_TAGS, len(task)))
    c["_folder"] = np.minimum(folder, len(FOLDERS) - 1)
    c["_tag"] = tag % np.maximum(TAGS[c["_folder"]], 1)
    # 0: for payloads; 1: of a folder, without payloads (its tags or channels); 2: of a schema (its nodes)
    c["_query"] = np.searchsorted([0.90, 0.97], rng.random(len(task)), side="right")
    narrowed = (CHANNELS[c["_folder"]] > 1) & _some(rng, len(task), 0.1)
    text = np.select(
        [c["_query"] == 2, c["_query"] == 1, narrowed],
        [15, 13 + rng.integers(0, 2, len(task)), MOST_TAGS + 2 * c["_tag"] + rng.integers(0, 2, len(task))],
        c["_tag"],
    )
    c["sqlhash"] = HASHES[c["_folder"], text]


def _iov(rng: np.random.Generator, c: Columns) -> None:
    """Add ``sqlsin``, ``sqlunt`` and ``queryiov``: the IOV of the job's event, of its run, or everything."""
    folder, mix, count = c["_folder"], c["_mix"], len(c["_mix"])
    # a task works on a few runs; an overlay task mixes events of all runs
    choice = np.where(HOT[c["_task"]], mix >> 20, 5 * c["_task"] + mix % 4)
    run, start = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    for number, db in enumerate(DATABASES):
        of_db, known = DB[folder] == number, runs(db)
        run[of_db] = known.number[choice[of_db] % len(known.number)]
        start[of_db] = known.start[choice[of_db] % len(known.number)]
    lumi = (mix >> 8) % LUMIS
    time_base, asks = TIME_BASE[folder], ASKS[folder]
    begin = np.where(time_base, start, run << 32)
    length = np.where(time_base, LUMIS * MINUTE, 2**32 - 1)
    event = np.where(time_base, start + lumi * MINUTE + (mix % 59_000) * 10**6, run << 32 | lumi)
    event_length = np.where(folder % 2 == 0, 0, np.where(time_base, 10**10, 10))
    since = np.select([asks == 0, asks == 1], [event, begin], 0)
    until = np.select([asks == 0, asks == 1], [event + event_length, begin + length], OPEN_IOV)
    backwards = _some(rng, count, 0.0005) & (asks == 0)
    since, until = np.where(backwards, until + 1, since), np.where(backwards, since, until)
    half = _some(rng, count, 0.003)
    none = c["_query"] > 0
    c["queryiov"] = np.where(none | half, MISSING, until - since)
    c["sqlsin"] = np.where(none | (half & (mix % 2 == 0)), MISSING, since)
    c["sqlunt"] = np.where(none | (half & (mix % 2 == 1)), MISSING, until)


def _outcome(rng: np.random.Generator, c: Columns) -> None:
    """Add the flags, the times in the database and in all, and the size of the answer."""
    folder, count = c["_folder"], len(c["_folder"])
    busy = (c["_burst"] == 1) & HOT[c["_task"]]
    disconn = _some(rng, count, 0.002) | (busy & _some(rng, count, 0.01))
    rejected = _some(rng, count, 0.001) | (busy & _some(rng, count, 0.06))
    procerror = _some(rng, count, 0.0005) | (busy & _some(rng, count, 0.004))
    failed = disconn | rejected | procerror
    chance = np.where(c["_query"] == 0, np.array([0.04, 0.55, 0.85])[ASKS[folder]], 0.5)
    cached = ~failed & (rng.random(count) < chance)
    slow = np.where(busy, 9.0, np.where(ASKS[folder] == 0, 2.0, 1.0))
    dbtime = (slow * 12 * np.exp(1.2 * rng.standard_normal(count))).astype(np.int64)
    dbtime[cached | rejected] = 0
    c["dbtime"] = np.where(cached & _some(rng, count, 0.05), MISSING, dbtime)
    c["querytime"] = dbtime + (slow * 4 * np.exp(0.9 * rng.standard_normal(count))).astype(np.int64)
    # a cached answer is "not modified" and has no body
    size = (0.4 * SIZE[folder] * np.exp(0.2 * rng.standard_normal(count))).astype(np.int64)
    size = np.where(c["_query"] == 0, size, 300 + c["_mix"] % 4_000)
    size = np.where(disconn, size // 3, size)
    size[cached | rejected | procerror] = 0
    c["fsize"] = np.where(cached & _some(rng, count, 0.03), MISSING, size)
    for name, flag in (("cached", cached), ("disconn", disconn), ("procerror", procerror), ("rejected", rejected)):
        c[name] = flag.astype(np.int64)
    quiet = _some(rng, count, 0.05) & ~failed
    for name in ("disconn", "procerror", "rejected"):
        c[name][quiet] = -1


def _log_folder(rng: np.random.Generator, c: Columns) -> None:
    """Add the schema and what the document says of its folder: id, path, both or neither, right or wrong."""
    folder, count = c["_folder"], len(c["_folder"])
    node_id, path = NODE_ID[folder], index_of("sqlnodefullpath", *(f.node for f in FOLDERS))[folder]
    unknown = index_of("sqlnodefullpath", UNKNOWN_PATH)[0]
    # 0 both, 1 only the id, 2 only the path, 3 neither, 4 both with an unknown id, 5 both with an unknown path,
    # 6 only an unknown id, 7 only an unknown path, 8 both unknown
    said = np.searchsorted([0.60, 0.80, 0.98, 0.986, 0.989, 0.991, 0.993, 0.997], rng.random(count), side="right")
    node_id = np.where(np.isin(said, (4, 6, 8)), UNKNOWN_ID, node_id)
    path = np.where(np.isin(said, (5, 7, 8)), unknown, path)
    neither = (said == 3) | (c["_query"] == 2)
    c["sqlnodeid"] = np.where(neither | (said == 2) | (said == 7), MISSING, node_id)
    c["sqlnodefullpath"] = np.where(neither | (said == 1) | (said == 6), -1, path)
    c["sqlowner"] = index_of("sqlowner", *(f.schema for f in FOLDERS))[folder]


def _log_tag(rng: np.random.Generator, c: Columns) -> None:
    """Add what the document says of its tag: id, name, both or neither, right or wrong."""
    folder, count = c["_folder"], len(c["_folder"])
    table = np.array(
        [[index_of("sqltagname", name)[0] for name, _ in (tags_of(f) * MOST_TAGS)[:MOST_TAGS]] for f in FOLDERS]
    )
    tagged = TAGS[folder] > 0
    tag_id, name = np.where(tagged, c["_tag"] + 1, 0), table[folder, c["_tag"]]
    # 0 both, 1 only the id, 2 only the name, 3 neither, 4 both with an unknown id, 5 both with an unknown name,
    # 6 only the id 0, 7 only an unknown id, 8 only an unknown name
    said = np.searchsorted([0.50, 0.80, 0.95, 0.97, 0.975, 0.98, 0.99, 0.995], rng.random(count), side="right")
    wrong = index_of("sqltagname", UNKNOWN_TAG)[0]
    tag_id = np.where(tagged & np.isin(said, (4, 7)), UNKNOWN_ID, np.where(said == 6, 0, tag_id))
    name = np.where(tagged & np.isin(said, (5, 8)), wrong, name)
    nothing = (said == 3) | (c["_query"] == 2)
    c["sqltagid"] = np.where(nothing | (said == 2) | (said == 8), MISSING, tag_id)
    c["sqltagname"] = np.where(nothing | np.isin(said, (1, 6, 7)), -1, name)
    # most documents do not name the tag of a folder without tags
    c["sqltagname"][~tagged & (rng.random(count) < 0.9)] = -1


def _log_database(rng: np.random.Generator, c: Columns) -> None:
    """Add ``sqldb``; make some queries those of a foreign database, and remove the database of others."""
    count = len(c["_folder"])
    c["sqldb"] = 2 * DB[c["_folder"]] + _some(rng, count, 0.25)
    foreign = _some(rng, count, 0.015)
    which = rng.integers(0, len(FOREIGN), count)
    c["sqldb"] = np.where(foreign, index_of("sqldb", *FOREIGN)[which], c["sqldb"])
    c["sqlowner"] = np.where(foreign, index_of("sqlowner", *FOREIGN)[which], c["sqlowner"])
    c["sqlhash"] = np.where(foreign, HASHES[len(FOLDERS) + which, c["_mix"] % 16], c["sqlhash"])
    for name in ("sqlnodeid", "sqltagid", "sqlsin", "sqlunt", "queryiov"):
        c[name][foreign] = MISSING
    for name in ("sqlnodefullpath", "sqltagname"):
        c[name][foreign] = -1
    c["sqldb"][_some(rng, count, 0.01)] = -1
