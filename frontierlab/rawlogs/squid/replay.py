"""A model of caches: what Squids would have done with a sequence of requests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["FOREVER", "Lifetime", "lifetime_of", "replay"]

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

FOREVER = 10**13
"""A lifetime in ms that no log outlasts: 317 years."""

FETCHED, REVALIDATED, THERE = 0, 1, 2
"""What the model does with a request: fetch the answer, ask whether its copy is still good, or answer from the copy."""

_CONTACT = ("miss", "replaced", "revalidated", "forced")
_EXPIRED = ("revalidated", "replaced", "stale")


class Lifetime(NamedTuple):
    """How long copies were fresh, as a log tells it.

    Parameters
    ----------
    milliseconds
        The lifetime that contradicts the fewest requests; `FOREVER` if no copy expired in the log.
    observed
        Number of requests that tell something: an earlier one of the log has fetched or revalidated the copy.
    contradicting
        Number of those that contradict the lifetime: copies that were used for longer, or expired sooner.
    """

    milliseconds: int
    observed: int
    contradicting: int


def lifetime_of(requests: pd.DataFrame) -> Lifetime:
    """Find out how long copies were fresh.

    Parameters
    ----------
    requests
        Served requests: ``squid``, ``cache_key``, ``ms``, ``result_class``.
    """
    ordered = requests.sort_values(["squid", "cache_key", "ms"], kind="stable")
    group = ordered.groupby(["squid", "cache_key"], sort=False, observed=True).ngroup()
    contact = ordered["ms"].where(ordered["result_class"].isin(_CONTACT)).groupby(group).ffill().groupby(group).shift()
    known = contact.notna()
    ages = (ordered["ms"][known] - contact[known]).to_numpy(np.int64)
    class_ = ordered["result_class"][known]
    alive, expired = (class_ == "hit").to_numpy(), class_.isin(_EXPIRED).to_numpy()
    told = alive | expired
    ages, alive = ages[told], alive[told]
    if not len(ages) or alive.all():
        return Lifetime(FOREVER, len(ages), 0)
    order = np.argsort(ages, kind="stable")
    ages, alive = ages[order], alive[order]
    # with a lifetime of ages[k], requests before k must be alive, and those from k on expired
    before = np.concatenate([[0], np.cumsum(~alive)])
    after = alive.sum() - np.concatenate([[0], np.cumsum(alive)])
    wrong = before + after
    wrong[:-1][np.concatenate([[False], ages[1:] == ages[:-1]])] = len(ages) + 1  # no limit lies between equal ages
    best = int(np.argmin(wrong))
    limit = int(ages[best]) if best < len(ages) else int(ages[-1]) + 1
    return Lifetime(limit, len(ages), int(wrong[best]))


def replay(keys: Numbers, ms: Numbers, lifetime_ms: int, forced: Mask, held: Mask) -> NDArray[np.int8]:
    """Return what caches do with requests: `FETCHED`, `REVALIDATED` or `THERE` for each.

    A copy is fresh for `lifetime_ms` after it was fetched or revalidated. The first request of a key fetches it, the
    first one after the lifetime revalidates it, and one that insists on a new copy fetches it.

    Parameters
    ----------
    keys
        What a cache keeps apart, such as the Squid and the query, as numbers from 0.
    ms
        When the requests came.
    lifetime_ms
        How long a copy is fresh.
    forced
        Which requests insist on a new copy.
    held
        Which requests were answered from the cache, if they are the first of their key: the copy was there before the
        log began; it is taken to be new then.
    """
    done = np.full(len(keys), THERE, dtype=np.int8)
    if not len(keys):
        return done
    order = np.lexsort((ms, keys))
    key, time = keys[order], ms[order] - ms.min()
    lifetime = max(1, min(lifetime_ms, int(time.max()) + 1))
    place = key * (int(time.max()) + lifetime + 1) + time
    insists = forced[order]
    later = np.searchsorted(place, place + lifetime)
    places = np.where(insists, np.arange(len(key)), len(key))
    again = np.append(np.minimum.accumulate(places[::-1])[::-1][1:], len(key))  # the next one that insists
    following = np.minimum(later, again).tolist()
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) > 1 else np.array([0])
    ends = np.append(starts[1:], len(key))
    found = np.full(len(key), THERE, dtype=np.int8)
    first = np.where(held[order][starts] & ~insists[starts], THERE, FETCHED)
    found[starts] = first
    asked: list[int] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        at = following[start]
        while at < end:
            asked.append(at)
            at = following[at]
    found[asked] = np.where(insists[asked], FETCHED, REVALIDATED)
    done[order] = found
    return done
