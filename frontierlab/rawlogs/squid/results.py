"""What a Squid did with a request: its result tags, told apart by class.

The names are those of Squid's own list of log tags, of version 3 and later and of 2.7. A tag that is not in the list is
kept and counted under its own name, with the class ``unknown``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ANSWERED_THERE", "CLASSES", "NOT_ASKED", "Result", "SQUID_HITS", "read_result"]

CLASSES: dict[str, frozenset[str]] = {
    "hit": frozenset({"HIT", "MEM_HIT", "IMS_HIT", "INM_HIT", "OFFLINE_HIT"}),
    "negative hit": frozenset({"NEGATIVE_HIT"}),
    "revalidated": frozenset({"REFRESH_UNMODIFIED", "REFRESH_HIT"}),
    "replaced": frozenset({"REFRESH_MODIFIED", "REFRESH_MISS"}),
    "stale": frozenset({"REFRESH_FAIL_OLD", "REFRESH_FAIL_HIT", "STALE_HIT", "ASYNC_HIT"}),
    "failed": frozenset({"REFRESH_FAIL_ERR"}),
    "refreshed": frozenset({"REFRESH"}),
    "forced": frozenset({"CLIENT_REFRESH_MISS"}),
    "miss": frozenset({"MISS", "SWAPFAIL_MISS", "ASYNC_MISS"}),
    "denied": frozenset({"DENIED", "DENIED_REPLY", "REDIRECT"}),
    "none": frozenset({"NONE", "NONE_NONE"}),
    "tunnel": frozenset({"TUNNEL"}),
}
"""The classes of answers, and the names of their tags without ``TCP_`` and suffixes.

``hit``: answered from the cache. ``negative hit``: a cached error, such as "too busy". ``revalidated``: the server said
that the copy in the cache is still good. ``replaced``: the server sent a new body. ``stale``: the old copy was sent
because the server did not answer, or before it was asked. ``failed``: the server did not answer, and there was nothing
to send. ``refreshed``: the server was asked, and the log does not say what came of it. ``forced``: the client insisted
on a new copy. ``miss``: not in the cache. ``denied``: refused or redirected. ``none``: no request was understood.
``tunnel``: not cacheable. ``unknown`` is the class of all other tags.
"""

SQUID_HITS = frozenset(
    {
        "HIT",
        "MEM_HIT",
        "IMS_HIT",
        "INM_HIT",
        "NEGATIVE_HIT",
        "OFFLINE_HIT",
        "REFRESH_UNMODIFIED",
        "REFRESH_HIT",
        "REFRESH_FAIL_OLD",
        "REFRESH_FAIL_HIT",
    }
)
"""The tags that Squid itself counts as hits. Revalidations are among them, although the server was asked."""

ANSWERED_THERE = ("hit", "negative hit")
"""The classes that the Squid answered without asking a server. An old copy can also be sent so: see ``sent_on``."""

NOT_ASKED = ("denied", "none", "tunnel")
"""The classes of lines that are no question to the cache; they are in no hit ratio."""

_CLASS_OF = {name: class_ for class_, names in CLASSES.items() for name in names}
_TAG = re.compile(
    r"(?P<protocol>(?:TCP|UDP)_)?(?P<collapsed>CF_)?(?P<name>[A-Z][A-Z_]*?)(?P<ending>_ABORTED|_TIMEDOUT|_IGNORED)?"
)
_ENDINGS = {None: None, "_ABORTED": "aborted", "_TIMEDOUT": "timed out", "_IGNORED": "ignored"}
_NOBODY = frozenset({"NONE", "HIER_NONE", "-", ""})


class Result(NamedTuple):
    """What the words ``tag:hierarchy`` of a line say.

    Parameters
    ----------
    result
        The tag as it was logged, such as ``TCP_MEM_HIT``.
    result_class
        One of `CLASSES`, or ``unknown``.
    ending
        ``aborted`` (the client went away), ``timed out``, ``ignored`` (an older answer than the cached one), or None.
    collapsed
        Whether the request waited for the answer to the same request of another client.
    squid_hit
        Whether Squid itself counts a hit.
    sent_on
        Whether the request, or a question about its copy, was sent to a server or another cache.
    hierarchy, peer
        How the next server was chosen, such as ``HIER_DIRECT``, and its name if the line has it.
    """

    result: str
    result_class: str
    ending: str | None
    collapsed: bool
    squid_hit: bool
    sent_on: bool
    hierarchy: str
    peer: str | None


def read_result(tag: str, hierarchy: str) -> Result:
    """Read the result tag and the hierarchy of a line, such as ``TCP_MISS`` and ``HIER_DIRECT/server``."""
    code, _, peer = hierarchy.partition("/")
    sent_on = code.removeprefix("TIMEOUT_") not in _NOBODY
    found = _TAG.fullmatch(tag)
    name = found["name"] if found is not None else tag
    ending = _ENDINGS[found["ending"]] if found is not None else None
    return Result(
        tag,
        _CLASS_OF.get(name, "unknown"),
        ending,
        found is not None and found["collapsed"] is not None,
        name in SQUID_HITS,
        sent_on,
        code,
        peer if peer not in ("", "-") else None,
    )
