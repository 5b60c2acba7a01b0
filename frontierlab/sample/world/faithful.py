"""Queries as their SQL tells of them: what a raw log knows, which the documents of an index may lack or have wrong."""

from __future__ import annotations

import numpy as np

from frontierlab.sample.world.draws import DB, MISSING, NODE_ID, TAGS, Columns
from frontierlab.sample.world.folders import DATABASES, FOLDERS
from frontierlab.sample.world.names import FOREIGN, index_of

__all__ = ["faithful"]


def faithful(columns: Columns) -> Columns:
    """Return columns whose documents say of each query what its SQL and its servlet's log say.

    Each document has the right database, the folder by number and path if its query names one, and the tag if its query
    asks for payloads; either both ends of an IOV or none; all flags, at most one of them true; all times, sizes and
    threads. No document has a name of a task or a site: the log has none.
    """
    c = dict(columns)
    folder, count = c["_folder"], len(c["_folder"])
    foreign = np.isin(c["sqlowner"], index_of("sqlowner", *FOREIGN))
    half = (c["sqlsin"] == MISSING) | (c["sqlunt"] == MISSING)
    asks = (c["_query"] == 0) & ~half & ~foreign
    c["_query"] = np.where((c["_query"] == 0) & half, 1, c["_query"])
    for name in ("sqlsin", "sqlunt", "queryiov"):
        c[name] = np.where(asks, c[name], MISSING)
    c["sqldb"] = np.where(foreign, np.maximum(c["sqldb"], 2 * len(DATABASES)), 2 * DB[folder])
    named = (c["_query"] < 2) & ~foreign
    path = index_of("sqlnodefullpath", *(one.node for one in FOLDERS))
    c["sqlnodeid"] = np.where(named, NODE_ID[folder], MISSING)
    c["sqlnodefullpath"] = np.where(named, path[folder], -1)
    c["sqltagid"] = np.where(asks & (TAGS[folder] > 0), c["_tag"] + 1, MISSING)
    c["sqltagname"] = np.full(count, -1)
    c["taskname"], c["computingsite"] = np.full(count, -1), np.full(count, -1)
    c["initthreads"] = np.where(c["initthreads"] == MISSING, 1 + c["_mix"] % 50, c["initthreads"])
    for name in ("dbtime", "fsize"):
        c[name] = np.where(c[name] == MISSING, 0, c[name])
    rejected, disconn, procerror = (c[name] == 1 for name in ("rejected", "disconn", "procerror"))
    c["rejected"] = rejected.astype(np.int64)
    c["disconn"] = (disconn & ~rejected).astype(np.int64)
    c["procerror"] = (procerror & ~disconn & ~rejected).astype(np.int64)
    c["cached"] = (c["cached"] == 1).astype(np.int64)
    return c
