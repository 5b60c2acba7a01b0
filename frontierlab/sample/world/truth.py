"""The caching figures of a world, by brute force.

This shares no code with the library's calculation. It compares all different queries of a folder and tag with all its
payload rows. The result is a matrix of queries by rows that says which answer contains which row. Two queries have the
same answer if their lines of the matrix are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["figures"]

GROUP = ["db", "schema", "nodefullpath", "tagname"]
Query = tuple[int | None, int, int]
BLOCK = 4_000_000
"""Cells of the matrix that are computed at a time."""

INTEGERS = (
    *("queries", "different_queries", "different_payloads_iov", "different_payloads_content", "empty_queries"),
    *("different_empty_queries", "cached", "uncached", "failed", "half_given", "backwards", "bytes_served"),
    *("dbtime", "repeated_queries", "repeated_bytes", "repeated_dbtime", "off_grid_queries"),
)
FLOATS = (
    *("wasted_bytes", "wasted_dbtime", "wasted_bytes_squid", "wasted_dbtime_squid"),
    *("wasted_bytes_content", "wasted_dbtime_content"),
    *("mean_payload_size", "efficiency_iov", "efficiency_content"),
)


def figures(logs: pa.Table, catalogue: pa.Table, payloads: pa.Table) -> pd.DataFrame:
    """Return the caching figures of each folder and tag.

    A query has a **good IOV** if ``since >= 0`` and ``until >= since``. It **failed** if ``disconn``, ``rejected`` or
    ``procerror`` is true; otherwise it was **served**. Two queries are different if (``sqlhash``, ``since``, ``until``)
    differ. The **answer** of a query is the set of rows of the folder and tag that COOL's SQL returns: for each
    channel, starting at the latest row with ``IOV_SINCE <= since``, the rows with ``IOV_SINCE <= until`` and
    ``IOV_UNTIL > since``.

    Parameters
    ----------
    logs
        Completed log rows, `frontierlab.schema.arrow_schema`.
    catalogue, payloads
        Those of the world.

    Returns
    -------
    pandas.DataFrame
        One row per (``db``, ``schema``, ``nodefullpath``, ``tagname``) with at least one logged query whose IOV is
        good, half given or backward, sorted by these columns. Log rows without a schema or path are ignored. The
        tag of log rows without a tag name is ``unknown``. The other columns, null if undefined:

        ``queries``
            served queries with a good IOV; the other columns use only these queries unless they say otherwise.
        ``different_queries``
            number of different queries among them.
        ``different_payloads_iov``, ``different_payloads_content``
            number of different non-empty answers, as sets of (channel, since, until), and as sets of (channel,
            content). These and all other figures of answers are null if the tag is ``unknown``, or if the catalogue
            does not have the tag and there are served queries. Without served queries there are 0 answers.
        ``empty_queries``, ``different_empty_queries``
            queries with an empty answer, and the number of different queries among them.
        ``cached``, ``uncached``
            queries with and without ``cached``; they add up to ``queries``.
        ``failed``
            queries with a good IOV that failed.
        ``half_given``, ``backwards``
            queries, failed or not, with only one of ``since`` and ``until``, and with both and ``until < since``.
        ``bytes_served``
            sum of ``fsize`` of the uncached queries: a cached answer has no body.
        ``dbtime``
            sum of ``dbtime`` of the uncached queries, ms.
        ``repeated_queries``, ``repeated_bytes``, ``repeated_dbtime``
            over pairs of a different query and who asked, the uncached queries but for one, and the sums of their
            ``fsize`` and ``dbtime`` but for the largest. Who asked is the Squid, or the site if the Squid is missing;
            queries with neither are left out. Null if there are uncached queries and all have neither.
        ``off_grid_queries``
            different queries whose ``since`` is no multiple of a third of ``until - since`` (rounded down; of a third
            of 0 only ``since`` 0 is one), and whose IOV is not from the first lumiblock of a run to the last of a run.
        ``wasted_bytes``
            sum over non-empty answers by IOV: (different queries with this answer - 1) times the mean ``fsize`` of
            these queries' uncached answers (0 if all are cached), bytes.
        ``wasted_dbtime``
            the same for uncached queries only: (different uncached queries with this answer - 1) times their mean
            ``dbtime``, ms.
        ``wasted_bytes_squid``, ``wasted_dbtime_squid``
            the same over pairs of answer and Squid, because each Squid must fetch an answer once. Queries without a
            known Squid are left out. A query from several Squids counts once for each, so this can exceed
            ``wasted_bytes``.
        ``wasted_bytes_content``, ``wasted_dbtime_content``
            as ``wasted_bytes`` and ``wasted_dbtime``, over answers by content.
        ``mean_payload_size``
            mean ``fsize`` of uncached queries with a non-empty answer, bytes; null if there are none.
        ``efficiency_iov``, ``efficiency_content``
            different answers / (different queries - different empty queries); null if the denominator is 0.
    """
    folders = catalogue.to_pandas().groupby(["db", "schema", "node"])["tag"].agg(set).to_dict()
    archive = payloads.to_pandas().groupby(["db", "schema", "node", "tag"])
    rows = []
    for key, logged in sorted(_groups(logs).items()):
        db, schema, node, tag = key
        served = [row for row in logged if row.good and not row.failed]
        counted = _counts(logged, served)
        if tag in folders.get((db, schema, node), ()) or (tag != "unknown" and not served):
            counted |= _answers(served, archive.get_group(key) if key in archive.groups else None)
        if counted["queries"] + counted["failed"] + counted["half_given"] + counted["backwards"]:
            rows.append({**dict(zip(GROUP, key, strict=True)), **counted})
    result = pd.DataFrame(rows, columns=[*GROUP, *INTEGERS, *FLOATS])
    return result.astype(dict.fromkeys(INTEGERS, "Int64") | dict.fromkeys(FLOATS, "Float64"))


class _Row(NamedTuple):
    """What is used of a log row. Plain rows take less time than frames: most folders have few."""

    sqlhash: int | None
    since: int
    until: int
    cached: bool | None
    disconn: bool | None
    rejected: bool | None
    procerror: bool | None
    dbtime: int | None
    fsize: int | None
    squid: str | None
    computingsite: str | None

    @property
    def query(self) -> Query:
        """What makes it a different query."""
        return self.sqlhash, self.since, self.until

    @property
    def good(self) -> bool:
        """Whether its IOV is good."""
        return 0 <= self.since <= self.until

    @property
    def failed(self) -> bool:
        """Whether the query failed."""
        return bool(self.disconn or self.rejected or self.procerror)


def _groups(logs: pa.Table) -> dict[tuple[str, ...], list[_Row]]:
    """Return the log rows of each folder and tag."""
    groups: dict[tuple[str, ...], list[_Row]] = {}
    columns = (logs[name].to_pylist() for name in (*GROUP, *_Row._fields))
    for db, schema, node, tag, *values in zip(*columns, strict=True):
        if None not in (db, schema, node):
            groups.setdefault((db, schema, node, "unknown" if tag is None else tag), []).append(_Row(*values))
    return groups


def _counts(logged: list[_Row], served: list[_Row]) -> dict[str, Any]:
    """Return the figures that do not need payloads."""
    uncached = [row for row in served if not row.cached]
    different = {row.query for row in served}
    return {
        "queries": len(served),
        "different_queries": len(different),
        "cached": len(served) - len(uncached),
        "uncached": len(uncached),
        "failed": sum(row.good and row.failed for row in logged),
        "half_given": sum((row.since < 0) != (row.until < 0) for row in logged),
        "backwards": sum(0 <= row.until < row.since for row in logged),
        "bytes_served": sum(row.fsize or 0 for row in uncached),
        "dbtime": sum(row.dbtime or 0 for row in uncached),
        "off_grid_queries": sum(_off_grid(since, until) for _, since, until in different),
        **_repeats(uncached),
    }


def _off_grid(since: int, until: int) -> bool:
    """Return whether an IOV is on no grid."""
    whole_runs = since % 2**32 == 0 and (until + 1) % 2**32 == 0
    third = (until - since) // 3
    return not whole_runs and (since % third != 0 if third else since != 0)


def _repeats(uncached: list[_Row]) -> dict[str, Any]:
    """Return what each Squid or site asked again."""
    seen: dict[tuple[Any, ...], list[_Row]] = {}
    for row in uncached:
        if row.squid is not None or row.computingsite is not None:
            asker = ("site", row.computingsite) if row.squid is None else ("squid", row.squid)
            seen.setdefault((*asker, *row.query), []).append(row)
    names = ("repeated_queries", "repeated_bytes", "repeated_dbtime")
    if uncached and not seen:
        return dict.fromkeys(names)
    sizes, times = (
        [[getattr(row, cost) or 0 for row in rows] for rows in seen.values()] for cost in ("fsize", "dbtime")
    )
    counts = sum(len(rows) - 1 for rows in seen.values())
    return dict(zip(names, (counts, *(sum(sum(c) - max(c) for c in costs) for costs in (sizes, times))), strict=True))


def _answers(served: list[_Row], rows: pd.DataFrame | None) -> dict[str, Any]:
    """Return the figures that need the answers; ``rows`` are the payload rows, None if there are none."""
    different = [*dict.fromkeys(row.query for row in served)]
    since, until = (np.array([query[i] for query in different], np.int64) for i in (1, 2))
    by_iov, by_content = (dict(zip(different, codes.tolist(), strict=True)) for codes in _sets(since, until, rows))
    answers, contents = ({code for code in codes.values() if code >= 0} for codes in (by_iov, by_content))
    found = sum(code >= 0 for code in by_iov.values())
    full = [row for row in served if by_iov[row.query] >= 0]
    uncached = [row for row in full if not row.cached]
    sizes = [row.fsize for row in uncached if row.fsize is not None]
    figures: dict[str, Any] = {
        "different_payloads_iov": len(answers),
        "different_payloads_content": len(contents),
        "empty_queries": len(served) - len(full),
        "different_empty_queries": len(different) - found,
        "mean_payload_size": sum(sizes) / len(sizes) if sizes else None,
        "efficiency_iov": len(answers) / found if found else None,
        "efficiency_content": len(contents) / found if found else None,
    }
    parts: dict[str, Callable[[_Row], Any]] = {
        "": lambda row: by_iov[row.query],
        "_content": lambda row: by_content[row.query],
        "_squid": lambda row: None if row.squid is None else (by_iov[row.query], row.squid),
    }
    for suffix, part in parts.items():
        figures["wasted_bytes" + suffix] = _wasted(full, uncached, "fsize", part)
        figures["wasted_dbtime" + suffix] = _wasted(uncached, uncached, "dbtime", part)
    return figures


def _wasted(queries: list[_Row], costly: list[_Row], cost: str, part: Callable[[_Row], Any]) -> float:
    """Return the sum over parts of (number of different ``queries`` - 1) times the mean cost of ``costly``."""
    different: dict[Any, set[Query]] = {}
    costs: dict[Any, list[int]] = {}
    for row in queries:
        different.setdefault(part(row), set()).add(row.query)
    for row in costly:
        if (value := getattr(row, cost)) is not None:
            costs.setdefault(part(row), []).append(value)
    means = {key: sum(values) / len(values) for key, values in costs.items() if key is not None}
    return float(np.sum([(len(different[key]) - 1) * means[key] for key in sorted(means)]))


def _sets(
    since: NDArray[np.int64], until: NDArray[np.int64], rows: pd.DataFrame | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a number for the answer of each query, by IOV and by content; -1 for the empty answer."""
    empty = np.full(len(since), -1)
    if rows is None or not len(since):
        return empty, empty
    rows = rows.sort_values(["channel", "content"])
    new = ~rows.duplicated(["channel", "content"]).to_numpy()
    firsts = np.flatnonzero(new)  # the first row of each content of a channel
    iov_lines, content_lines = [], []
    step = max(1, BLOCK // len(rows))
    for k in range(0, len(since), step):
        matrix = _matrix(since[k : k + step], until[k : k + step], rows)
        iov_lines.append(np.packbits(matrix, axis=1))
        content_lines.append(np.packbits(np.logical_or.reduceat(matrix, firsts, axis=1), axis=1))
    return _numbered(np.concatenate(iov_lines)), _numbered(np.concatenate(content_lines))


def _matrix(since: NDArray[np.int64], until: NDArray[np.int64], rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Return whether each row is in the answer of each query: shape (queries, rows)."""
    begin, end = rows["since"].to_numpy(), rows["until"].to_numpy()
    matrix = (begin <= until[:, None]) & (end > since[:, None])
    channel = rows["channel"].to_numpy()
    for one in np.unique(channel):
        of_channel = np.flatnonzero(channel == one)
        points = np.sort(begin[of_channel])
        latest = np.searchsorted(points, since, side="right") - 1
        # if no row begins before the query, none is excluded
        start = np.where(latest >= 0, points[latest], np.iinfo(np.int64).min)
        matrix[:, of_channel] &= begin[of_channel] >= start[:, None]
    return matrix


def _numbered(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return a number for each line; equal lines have the same number, and a line of zeros has -1."""
    whole = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, number = np.unique(whole, return_inverse=True)
    return np.where(packed.any(axis=1), number, -1)
