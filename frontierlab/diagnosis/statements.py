"""The statements of a diagnosis: each counts the queries once, by time bin and some names.

``:start`` and ``:bin_ms`` are parameters of all. A bin is the millisecond at which it begins.
"""

from __future__ import annotations

from frontierlab.selection import QUERY_KINDS

__all__ = [
    "FAILED",
    "FIRST_MISSES",
    "FIRST_MISSES_OF_PART",
    "FOLDERS",
    "FRESH",
    "FRESH_OF_PART",
    "HISTORY",
    "MEMBERS",
    "PARTED",
    "PERIOD",
    "REPEATS",
    "TALLIES",
    "TASKNAMES",
]

SMALL = 400
"""Bytes of the largest answer that can be a header without rows."""

_FARTHEST = 2**62  # an IOV that begins later is nonsense, one that ends later is open
_FLAGS = ", ".join(f"coalesce({flag}, false) AS {flag}" for flag in ("cached", *QUERY_KINDS[:-1]))
_FAILED = " OR ".join(QUERY_KINDS[:-1])
_SERVED = "NOT cached AND NOT failed"
_PAYLOAD = f"{_SERVED} AND (since >= 0 OR until >= 0)"
_FOLDER = "db, schema, nodefullpath, tagname"

_COSTS = """\
coalesce(sum(dbtime), 0) AS dbtime,
       coalesce(sum(overhead), 0) AS overhead,
       coalesce(sum(fsize), 0) AS bytes,
       count_if(failed) AS failures"""

# Athena asks for IOVs that begin at a multiple of a third of their width; a width that is 0 is not known, or open
_THIRD = "greatest(floor((width - pmod(width, 3)) * 0.3333333333333333D + 0.5D), 1)"
_OFF_GRID = f"width >= 3 AND pmod(since, {_THIRD}) <> 0"
_NONSENSE = f"until < since OR since >= {_FARTHEST}"

# hashes of names are the same in all statements of one engine
_FOLDER_HASH = f"xxhash64({_FOLDER})"
_ASKER = "xxhash64(computingsite, computingsite IS NULL, squid)"
_QUERY = "xxhash64(sqlhash, since, until)"


def _asked(*names: str) -> str:
    """Return the subqueries with what the statements need of each query; ``{where}`` is the selection."""
    listed = "".join(f"{name}, " for name in names)
    return f"""\
WITH asked AS (
  SELECT unix_millis(time) - pmod(unix_millis(time) - :start, :bin_ms) AS bin, {listed}
         {_FLAGS}, dbtime, fsize, initthreads, sqlhash,
         greatest(querytime - coalesce(dbtime, 0), 0) AS overhead,
         coalesce(iov_since, -1) AS since, coalesce(iov_until, -1) AS until
  FROM {{{{logs}}}}{{where}}
), counted AS (
  SELECT *, {_FAILED} AS failed, IF(since > 0 AND until >= since AND until < {_FARTHEST}, until - since, 0) AS width
  FROM asked
)
"""


PERIOD = """\
SELECT min(time) AS first, max(time) AS last, count(*) AS queries
FROM {{logs}}{where}"""
"""The time of the queries, and their number."""

FOLDERS = (
    _asked("db", "schema", "nodefullpath", "tagname")
    + f"""\
SELECT bin, {_FOLDER}, {_FOLDER_HASH} AS folder,
       count(*) AS queries,
       count_if({_SERVED}) AS uncached,
       {_COSTS},
       count_if({_SERVED} AND dbtime > 0) AS timed,
       coalesce(sum(floor(100 * ln(dbtime))) FILTER (WHERE {_SERVED} AND dbtime > 0), 0) AS log_dbtime,
       coalesce(sum(floor(100 * power(ln(dbtime), 2))) FILTER (WHERE {_SERVED} AND dbtime > 0), 0) AS log_dbtime_2,
       count_if({_PAYLOAD} AND fsize > 0) AS bodies,
       coalesce(sum(floor(100 * ln(fsize))) FILTER (WHERE {_PAYLOAD} AND fsize > 0), 0) AS log_bytes,
       coalesce(sum(floor(100 * power(ln(fsize), 2))) FILTER (WHERE {_PAYLOAD} AND fsize > 0), 0) AS log_bytes_2,
       count_if({_PAYLOAD} AND fsize > 0 AND fsize <= {SMALL}) AS small,
       count_if({_PAYLOAD} AND ({_NONSENSE})) AS nonsense,
       count_if({_PAYLOAD} AND {_OFF_GRID}) AS unaligned,
       count_if(disconn) AS disconn,
       count_if(procerror) AS procerror
FROM counted
GROUP BY bin, {_FOLDER}"""
)
"""Queries of each folder and tag: their numbers, times and sizes, and how they were asked."""

TALLIES = (
    _asked("frontierserver", "taskid", "computingsite", "squid")
    + f"""\
SELECT CASE WHEN grouping(frontierserver) = 0 THEN 'servers'
            WHEN grouping(taskid) = 0 THEN 'tasks' ELSE 'misses' END AS what,
       bin, frontierserver, taskid, computingsite, squid, {_ASKER} AS asker,
       count(*) AS queries,
       {_COSTS},
       count_if(rejected) AS rejected,
       count_if(disconn) AS disconn,
       count_if(procerror) AS procerror,
       coalesce(max(initthreads), 0) AS threads,
       count_if(NOT failed) AS timed,
       coalesce(sum(floor(100 * ln(overhead + 1))) FILTER (WHERE NOT failed), 0) AS log_overhead,
       coalesce(sum(floor(100 * power(ln(overhead + 1), 2))) FILTER (WHERE NOT failed), 0) AS log_overhead_2,
       count_if({_PAYLOAD}) AS uncached
FROM counted
GROUP BY GROUPING SETS ((bin, frontierserver), (bin, taskid), (bin, computingsite, squid))"""
)
"""Queries of each server, of each task, and of each Squid and site: one reading of the rows counts all three."""

FAILED = (
    _asked("db", "schema", "nodefullpath", "taskid", "frontierserver", "computingsite")
    + """\
SELECT bin, db, schema, nodefullpath, taskid, frontierserver, computingsite,
       count(*) AS queries,
       count_if(disconn) AS disconn,
       count_if(procerror) AS procerror
FROM counted
WHERE disconn OR procerror OR taskid IN ({tasks})
GROUP BY bin, db, schema, nodefullpath, taskid, frontierserver, computingsite"""
)
"""Failed queries, and all queries of some tasks, by the names that a failure can belong to."""

_KEYED = (
    _asked("db", "schema", "nodefullpath", "tagname", "computingsite", "squid")
    + f""", keyed AS (
  SELECT bin, {_FOLDER_HASH} AS folder, {_ASKER} AS asker, {_QUERY} AS query,
         NOT ({_NONSENSE}) AND NOT ({_OFF_GRID}) AS on_grid
  FROM counted
  WHERE {_PAYLOAD}
)"""
)
_FRESH = """\
queries AS (
  SELECT folder, min(bin) AS bin
  FROM {source}
  WHERE on_grid
  GROUP BY folder, query
)
SELECT bin, folder, count(*) AS fresh
FROM queries
GROUP BY bin, folder"""

_FIRST_MISSES = """\
queries AS (
  SELECT asker, query, min(bin) AS bin, count(*) AS queries
  FROM {source}
  GROUP BY asker, query
), often AS (
  SELECT bin, asker, IF(queries >= :least, query, NULL) AS query
  FROM queries
)
SELECT bin, asker, query, count(*) AS fresh
FROM often
GROUP BY bin, asker, query"""

FRESH = f"{_KEYED}, {_FRESH.format(source='keyed')}"
"""Different queries for payloads of each folder and tag, in the bin in which each was asked first.

What names queries is hashed: numbers are grouped in less time and memory than texts."""

FIRST_MISSES = f"{_KEYED}, {_FIRST_MISSES.format(source='keyed')}"
"""Different queries for payloads of a Squid, in the bin in which each was first not cached: a cache misses these.

Those that one Squid of one site sent often without a cached answer have a row of their own, with their hash."""

PARTED = f"""{_KEYED}
SELECT folder, asker, query, bin, on_grid, pmod(query, :parts) AS part
FROM keyed"""
"""All queries for payloads, in parts by their hash: the different ones of very many do not fit into memory at once."""

FRESH_OF_PART = "WITH " + _FRESH.format(source="{{logs}}")
"""`FRESH` of a part."""

FIRST_MISSES_OF_PART = "WITH " + _FIRST_MISSES.format(source="{{logs}}")
"""`FIRST_MISSES` of a part."""

REPEATS = (
    _asked("db", "schema", "nodefullpath", "tagname", "computingsite", "squid")
    + f"""\
SELECT bin, {_FOLDER}, computingsite, squid,
       {_FOLDER_HASH} AS folder, {_ASKER} AS asker, {_QUERY} AS query, count(*) AS queries
FROM counted
WHERE {_PAYLOAD} AND {_QUERY} IN ({{queries}})
GROUP BY bin, {_FOLDER}, computingsite, squid, {_QUERY}"""
)
"""The queries that were often repeated, by the Squid that sent them."""

TASKNAMES = """\
SELECT DISTINCT taskid, taskname
FROM {{logs}}{where}"""
"""The names of tasks; Spark finds the largest of texts in more time than the different ones."""

HISTORY = (
    _asked("frontierserver", "computingsite", "taskid")
    + f"""\
SELECT bin, {{by}},
       count(*) AS queries,
       {_COSTS},
       count_if({_SERVED}) AS uncached
FROM counted
GROUP BY bin, {{by}}"""
)
"""What some servers, sites or tasks were asked for."""

MEMBERS = (
    _asked("frontierserver", "taskid", "{members} AS members")
    + f"""\
SELECT bin, {{by}}, members,
       count(*) AS queries,
       {_COSTS},
       count_if({_SERVED}) AS uncached
FROM counted
WHERE members > 0
GROUP BY bin, {{by}}, members"""
)
"""The same of several scopes at once: ``members`` is a number with a bit for each scope that a query is in."""
