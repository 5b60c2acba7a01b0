"""Requests of the sample world to the sites' Squids: when, by whom, for what; and what the Squids do with them.

A row of the world's logs is a query that reached Frontier. At a Squid there are more: jobs of the same task repeat the
query soon after. A small model of a Squid, with lifetimes and faults, says which of them it answers itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from frontierlab.rawlogs.cool_writing import channels_sql, payload_sql
from frontierlab.rawlogs.request_urls import encode_request
from frontierlab.sample.world.world import World
from frontierlab.schema import MISSING_IOV

__all__ = ["Answer", "SquidModel", "requests_of", "sql_of"]

_REPEATS = 0.15  # of the geometric distribution: between five and six further requests for each query
_SOON_MS = 20 * 60_000


class Answer(NamedTuple):
    """What a Squid did: the tag, the hierarchy, the status, and the duration in ms."""

    tag: str
    hierarchy: str
    status: int
    duration: int


def sql_of(row: Mapping[str, Any]) -> str:
    """Return COOL SQL for a row of the world's logs: of payloads, of the channels of a folder, or of the folders."""
    db, schema, node = row["db"], row["schema"], row["node_id"]
    if pd.isna(node):
        return f'SELECT NODE_ID AS "NODE_ID" FROM "{schema}"."{db}_NODES" "{db}_NODES"'
    if row["since"] == MISSING_IOV or row["until"] == MISSING_IOV:
        return channels_sql(db, schema, int(node))
    tag, shape = row["tag_id"], int(row["sqlhash"]) % 8
    tag_id = None if pd.isna(tag) or not tag else int(tag)
    channel = shape if shape < 2 else None
    return payload_sql(db, schema, int(node), int(row["since"]), int(row["until"]), tag_id=tag_id, channel=channel)


def requests_of(world: World, rng: np.random.Generator) -> Iterator[pd.DataFrame]:
    """Yield the requests of each chunk of a world, in the order of their times.

    A row is a request: the columns of the world's logs that say who asked for what, ``ms`` (its time, from the epoch),
    ``url``, and the flags ``rejected``, ``disconn``, ``procerror`` of the first request of a query.
    """
    wanted = [
        *("time", "taskid", "pandaid", "db", "schema", "node_id", "tag_id", "since", "until", "sqlhash"),
        *("rejected", "disconn", "procerror", "querytime", "fsize", "frontierserver", "squid", "computingsite"),
    ]
    urls: dict[tuple[object, ...], str] = {}
    for chunk in world.chunks():
        rows = chunk.logs.select(wanted).to_pandas()
        for name in ("taskid", "pandaid", "node_id", "tag_id", "querytime", "fsize"):
            rows[name] = rows[name].astype("Int64")
        rows = rows[rows["squid"].notna() & rows["schema"].notna()].reset_index(drop=True)
        rows["ms"] = rows["time"].astype("int64")
        rows["url"] = [_url(row, urls) for row in cast("list[dict[str, Any]]", rows.to_dict("records"))]
        repeats = rng.geometric(_REPEATS, len(rows)) - 1
        again = rows.loc[np.repeat(rows.index, repeats)].reset_index(drop=True)
        again["ms"] += rng.exponential(_SOON_MS, len(again)).astype("int64")
        again["pandaid"] += rng.integers(1, 50, len(again))
        again[["rejected", "disconn", "procerror"]] = False
        yield pd.concat([rows, again], ignore_index=True).sort_values("ms", kind="stable", ignore_index=True)


def _url(row: Mapping[str, Any], urls: dict[tuple[object, ...], str]) -> str:
    key = tuple(None if pd.isna(row[name]) else row[name] for name in ("db", "schema", "node_id", "tag_id"))
    key = (*key, row["since"], row["until"], row["sqlhash"] % 8)
    if key not in urls:
        urls[key] = encode_request([sql_of(row)], base="http://frontier.example.org:8000/atlr/Frontier")
    return urls[key]


@dataclass
class SquidModel:
    """A Squid: what it holds until when, and what it does with a request.

    Parameters
    ----------
    rng
        Draws faults, and what servers say.
    lifetime_ms
        How long an answer is fresh.
    negative_ms
        How long a refusal of a busy server is answered from the cache.
    """

    rng: np.random.Generator
    lifetime_ms: int = 3_600_000
    negative_ms: int = 300_000
    fresh_until: dict[str, int] = field(default_factory=dict)
    refused_until: dict[str, int] = field(default_factory=dict)

    def answer(self, url: str, ms: int, slow: int, *, rejected: bool, disconn: bool, dated: bool) -> Answer:
        """Return what the Squid does with a request; `slow` is how long the server takes in ms."""
        chance, choice = self.rng.random(2).tolist()
        quick = int(6 * choice)
        if self.refused_until.get(url, -1) > ms:
            return Answer("TCP_NEGATIVE_HIT", "HIER_NONE", 503, quick)
        until = self.fresh_until.get(url)
        if rejected:
            self.refused_until[url] = ms + self.negative_ms
            return Answer("TCP_MISS", "HIER_DIRECT", 503, slow)
        if disconn:
            return Answer("TCP_MISS_ABORTED", "HIER_DIRECT", 0 if choice < 0.5 else 200, slow)
        if chance < 0.002:
            return Answer("TCP_NEW_IDEA", "HIER_DIRECT", 200, slow)
        if chance < 0.003:
            return Answer("TCP_DENIED", "HIER_NONE", 403, 0)
        if until is not None and ms < until and chance > 0.01:
            return self._from_cache(chance, choice, quick, dated)
        if until is not None and ms >= until and chance < 0.01:
            return Answer("TCP_REFRESH_FAIL_OLD", "HIER_DIRECT", 200, slow)
        self.fresh_until[url] = ms + self.lifetime_ms
        if until is None:
            return Answer("TCP_MISS", "FIRSTUP_PARENT" if choice < 0.2 else "HIER_DIRECT", 200, slow)
        if ms < until:
            return Answer("TCP_CLIENT_REFRESH_MISS", "HIER_DIRECT", 200, slow)
        if choice < 0.85:
            return Answer("TCP_REFRESH_UNMODIFIED", "HIER_DIRECT", 304 if dated else 200, slow // 4)
        return Answer("TCP_REFRESH_MODIFIED", "HIER_DIRECT", 200, slow)

    def _from_cache(self, chance: float, choice: float, quick: int, dated: bool) -> Answer:
        if dated:
            return Answer("TCP_IMS_HIT", "HIER_NONE", 304, quick)
        if chance < 0.02:
            return Answer("TCP_CF_HIT", "HIER_NONE", 200, quick)
        if chance < 0.03:
            return Answer("TCP_MEM_HIT_ABORTED", "HIER_NONE", 200, quick)
        return Answer("TCP_MEM_HIT" if choice < 0.6 else "TCP_HIT", "HIER_NONE", 200, quick)
