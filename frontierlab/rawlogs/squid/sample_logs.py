"""Write the sample world as access logs of Squids, in every format, with faults; and keep the truth about them."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pandas as pd

from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs.squid.clock import zone_of
from frontierlab.rawlogs.squid.fields import FORMATS
from frontierlab.rawlogs.squid.sample_requests import Answer, SquidModel, requests_of
from frontierlab.sample.world.world import World

__all__ = ["SquidTruth", "write_squid_logs"]

Format = Literal["two", "three", "three with cvmfs", "native"]

_CLASS = {
    "TCP_MISS": "miss",
    "TCP_MISS_ABORTED": "miss",
    "TCP_HIT": "hit",
    "TCP_MEM_HIT": "hit",
    "TCP_MEM_HIT_ABORTED": "hit",
    "TCP_CF_HIT": "hit",
    "TCP_IMS_HIT": "hit",
    "TCP_NEGATIVE_HIT": "negative hit",
    "TCP_REFRESH_UNMODIFIED": "revalidated",
    "TCP_REFRESH_MODIFIED": "replaced",
    "TCP_REFRESH_FAIL_OLD": "stale",
    "TCP_CLIENT_REFRESH_MISS": "forced",
    "TCP_DENIED": "denied",
    "TCP_NEW_IDEA": "unknown",
}
_FAULTS = (
    "",
    "\x07\x00binary\x1b",
    '1.2.3.4 - - [31/Feb/2026:10:00:00 +0000] "GET http://a/ HTTP/1.0" 200 10 TCP_HIT:HIER_NONE 1 "-" "-"',
    '10.0.0.1 - - [01/Oct/2026:10:00:00 +0000] "GET http://frontier.example.org:8000/atlr/Front',
    "squid: file descriptors are running low",
)


@dataclass(frozen=True)
class SquidTruth:
    """What access logs of the sample world hold.

    Parameters
    ----------
    paths
        The files, by the name of the Squid.
    sites
        The sites of the Squids.
    answers
        A row is an answer to a request for Frontier, in the order of Squids and lines: ``squid``, ``time`` and
        ``end_time`` (as a reader can know them), ``taskid``, ``pandaid``, ``db``, ``schema``, ``node_id``, ``tag_id``,
        ``since``, ``until``, ``result``, ``result_class``, ``sent_on``, ``status``, ``wire_bytes``, ``duration_ms``.
    others
        Numbers of the other lines, by what they are.
    faults
        Number of lines that cannot be read.
    """

    paths: dict[str, Path]
    sites: dict[str, str]
    answers: pd.DataFrame
    others: Counter[str]
    faults: int

    @property
    def lines(self) -> int:
        """The number of all lines."""
        return len(self.answers) + self.others.total() + self.faults


def write_squid_logs(
    world: World,
    folder: str | Path,
    *,
    format: Format = "three",
    timezone: str = "UTC",
    seed: int = 1,
    lifetime_seconds: float = 3_600,
    others: float = 0.1,
    faults: float = 0.001,
    compressed: bool = False,
) -> SquidTruth:
    """Write the requests of a world to the Squids of its sites as access logs, a file a Squid.

    The logs hold hits, revalidations, replaced and old copies, cached refusals, aborted requests, tags that nobody
    knows, requests of CVMFS and others, and lines that cannot be read. The same arguments write the same logs.

    Parameters
    ----------
    world
        The sample world: its logs say who asks for what.
    folder
        Where to write; it is made. Existing files of the same names are replaced.
    format
        One of `frontierlab.rawlogs.squid.fields.FORMATS`.
    timezone
        The time zone of the hosts; the logs say ``+0000`` in any case, as real ones do.
    seed
        Of all draws that are not the world's.
    lifetime_seconds
        How long answers are fresh.
    others, faults
        Lines that are no requests for Frontier, and lines that cannot be read, for each request.
    compressed
        Whether to write gzip files.

    Raises
    ------
    InvalidRequestError
        There is no such format or time zone.
    """
    if format not in FORMATS:
        raise InvalidRequestError(f"format={format!r}: give one of {', '.join(map(repr, FORMATS))}.")
    zone, folder = zone_of(timezone), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 18])
    truth: list[dict[str, Any]] = []
    models: dict[str, SquidModel] = {}
    sites: dict[str, str] = {}
    lines: dict[str, list[tuple[int, str, dict[str, Any] | None]]] = {}
    counted: Counter[str] = Counter()
    write = _line_of(format, zone)
    for requests in requests_of(world, rng):
        for number, row in enumerate(cast("list[dict[str, Any]]", requests.to_dict("records"))):
            squid = row["squid"]
            if squid not in models:
                models[squid] = SquidModel(np.random.default_rng([seed, 19, len(models)]), _ms(lifetime_seconds))
            model = models[squid]
            if isinstance(row["computingsite"], str):
                sites.setdefault(squid, row["computingsite"])
            entry = _answered(row, number, model, format)
            found = lines.setdefault(squid, [])
            found.append((entry["end_ms"], write(row, entry), entry))
            for _ in range(rng.poisson(others)):
                kind, text = _other(rng, entry["end_ms"], write)
                counted[kind] += 1
                found.append((entry["end_ms"], text, None))
            if rng.random() < faults:
                counted["fault"] += 1
                found.append((entry["end_ms"], _FAULTS[counted["fault"] % len(_FAULTS)], None))
    paths = {}
    for squid, found in sorted(lines.items()):
        found.sort(key=lambda one: one[0])
        paths[squid] = folder / f"{squid}.access.log{'.gz' * compressed}"
        written = "".join(f"{line}\n" for _, line, _ in found).encode()
        paths[squid].write_bytes(gzip.compress(written, 1, mtime=0) if compressed else written)
        truth += [entry for _, _, entry in found if entry is not None]
    fault = counted.pop("fault", 0)
    return SquidTruth(paths, sites, _frame(truth), counted, fault)


def _ms(seconds: float) -> int:
    return round(1000 * seconds)


def _answered(row: dict[str, Any], number: int, model: SquidModel, format_: str) -> dict[str, Any]:
    """Return an answer: what the truth says of it, and what its line needs."""
    slow = 5 if pd.isna(row["querytime"]) else int(row["querytime"])
    dated = format_ == "two" and number % 17 == 0
    flags = {name: bool(row[name]) if not pd.isna(row[name]) else False for name in ("rejected", "disconn")}
    answer: Answer = model.answer(row["url"], row["ms"], slow, dated=dated, **flags)
    end = row["ms"] + answer.duration
    shown = end if format_ in ("native", "three with cvmfs") else end - end % 1000
    body = answer.status == 200 and not pd.isna(row["fsize"])
    named = format_ != "native" and not (pd.isna(row["taskid"]) or pd.isna(row["pandaid"]))
    node, tag = row["node_id"], row["tag_id"]
    payload = not pd.isna(node) and row["since"] != -1 and row["until"] != -1
    return {
        "squid": row["squid"],
        "end_ms": end,
        "shown_ms": shown,
        "time": shown - answer.duration,
        "end_time": shown,
        "taskid": row["taskid"] if named else pd.NA,
        "pandaid": row["pandaid"] if named else pd.NA,
        "db": row["db"],
        "schema": row["schema"],
        "node_id": node,
        "tag_id": tag if payload and not pd.isna(tag) and tag else pd.NA,
        "since": row["since"] if payload else -1,
        "until": row["until"] if payload else -1,
        "result": answer.tag,
        "result_class": _CLASS[answer.tag],
        "hierarchy": answer.hierarchy,
        "sent_on": answer.hierarchy != "HIER_NONE",
        "status": answer.status,
        "wire_bytes": 350 + (int(row["fsize"]) // 3 if body else 0),
        "duration_ms": answer.duration,
        "dated": dated,
    }


def _frame(truth: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(truth).drop(columns=["end_ms", "shown_ms", "hierarchy", "dated"])
    for name in ("time", "end_time"):
        frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True).astype("datetime64[ms, UTC]")
    whole = ("taskid", "pandaid", "node_id", "tag_id", "since", "until", "status", "wire_bytes", "duration_ms")
    return frame.astype(dict.fromkeys(whole, "Int64"))


def _identity(row: dict[str, Any]) -> str:
    """Return the Frontier id: of a job, with its account and subject; or what a Varnish makes of it."""
    if pd.isna(row["taskid"]) or pd.isna(row["pandaid"]):
        return "varnish"
    number = int(row["pandaid"]) % 300
    name = 'CN=Ada \\"the first\\" Example' if number == 7 else f"CN=Ada Example {number}"
    return (
        f"[{int(row['taskid'])}_{int(row['pandaid'])}] 2.10.2 {1000 + number} atlprd{number}({5000 + number}) "
        f"/DC=ch/DC=example/{name}"
    )


def _line_of(format_: str, zone: tzinfo) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    """Return the function that writes a line of a format."""

    def wall(ms: int, fraction: bool) -> str:
        moment = datetime.fromtimestamp(ms // 1000, UTC).astimezone(zone)
        return f"{moment:%d/%b/%Y:%H:%M:%S}{f'.{ms % 1000:03d}' if fraction else ''} +0000"

    def native(row: dict[str, Any], entry: dict[str, Any]) -> str:
        ms, peer = entry["shown_ms"], "/-" if entry["hierarchy"] == "HIER_NONE" else "/10.9.8.7"
        return (
            f"{ms // 1000}.{ms % 1000:03d} {entry['duration_ms']:6d} {_address(row)} {entry['result']}/"
            f"{entry['status']:03d} {entry['wire_bytes']} {row.get('method', 'GET')} {row['url']} - "
            f"{entry['hierarchy']}{peer} text/xml"
        )

    def awstats(row: dict[str, Any], entry: dict[str, Any]) -> str:
        identity = row.get("identity") or _identity(row)
        date = '"Thu, 01 Oct 2026 00:00:00 GMT"' if entry["dated"] else '"-"'
        if format_ == "three with cvmfs":
            identity = f"- {identity}" if "X-CVMFS2" in identity else f"{identity} -"
        elif "X-CVMFS2" in identity:
            identity = "-"
        quoted = f'"{identity}" {date}' if format_ == "two" else f'"{identity}" "-" "-"'
        ident = f"kid{int(entry['end_ms']) % 2 + 1}" if format_ == "three" else "-"
        return (
            f"{_address(row)} {ident} - [{wall(entry['shown_ms'], format_ == 'three with cvmfs')}] "
            f'"{row.get("method", "GET")} {row["url"]} HTTP/1.0" {entry["status"]:03d} {entry["wire_bytes"]} '
            f"{entry['result']}:{entry['hierarchy']} {entry['duration_ms']} {quoted}"
        )

    return native if format_ == "native" else awstats


def _address(row: dict[str, Any]) -> str:
    return f"10.{int(row['ms']) % 3}.0.{int(row['ms']) // 7 % 200}"


_OTHERS = (
    ("cvmfs", "GET", "http://stratum.example.org/cvmfs/atlas.cern.ch/data/0a/bc"),
    ("tunnel", "CONNECT", "login.example.org:443"),
    ("manager", "GET", "cache_object://localhost/info"),
    ("other", "GET", "http://www.example.org/index.html"),
)


def _other(
    rng: np.random.Generator, end: int, write: Callable[[dict[str, Any], dict[str, Any]], str]
) -> tuple[str, str]:
    """Return a line that is no request for Frontier, with what it is."""
    kind, method, url = _OTHERS[min(int(rng.exponential(0.7)), len(_OTHERS) - 1)]
    row = {"ms": end, "url": url, "method": method, "identity": "X-CVMFS2 2.11 x" if kind == "cvmfs" else "-"}
    entry = {
        "end_ms": end,
        "shown_ms": end,
        "duration_ms": 3,
        "result": "TCP_TUNNEL" if kind == "tunnel" else "TCP_MEM_HIT",
        "status": 200,
        "wire_bytes": 5_000_000,
        "hierarchy": "HIER_DIRECT" if kind == "tunnel" else "HIER_NONE",
        "dated": False,
    }
    return kind, write(row, entry)
