"""The lines that a servlet of any version prints for one request, for logs of the sample world."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

__all__ = ["Line", "Printed", "VERSIONS", "lines_of", "records_of", "start_lines"]

VERSIONS = ("3.5", "3.13", "3.21", "3.27", "3.29", "3.30", "3.33", "3.42")
"""Versions that print differently from each other."""

Line = tuple[int, str]
"""Milliseconds after the start of the request, and the message; it may have further lines."""

_DATE = "Thu, 01 Oct 2026 00:00:00 GMT"
_TRACE = "\n\tat gov.fnal.frontier.SQLPlugin.fp_get(SQLPlugin.java:196)\n\t... 12 more\n"


@dataclass(frozen=True)
class Printed:
    """A request as the servlet saw it; times in ms, sizes in bytes."""

    sql: str
    query: str
    threads: int
    frontier_id: str
    via: str | None
    forwarded_for: str | None
    outcome: Literal["served", "cached", "unchanged", "rejected", "disconnected", "failed", "not acquired"]
    querytime: int
    dbtime: int
    size: int
    tables: str
    number: int


def lines_of(request: Printed, version: str) -> list[Line]:
    """Return the messages of a request."""
    release = _release(version)
    via = "" if request.via is None else f" via: {request.via}"
    forwarded = "" if request.forwarded_for is None else f" x-forwarded-for: {request.forwarded_for}"
    headers = via + forwarded if request.number % 2 else forwarded + via  # in the order of their arrival
    start = (
        f"servlet_version:{version} start threads:{request.threads} query {request.query} raddr 127.0.0.1 "
        f"frontier-id: {request.frontier_id}{headers}"
    )
    dated = release >= (3, 12) and (request.outcome in ("cached", "unchanged") or request.number % 3 == 0)
    lines: list[Line] = [(0, start)]
    if dated:
        lines.append((0, f"if-modified-since: {_DATE}"))
    lines.append((0, f"SQL [{request.sql}]"))
    end = request.querytime
    if request.outcome == "cached" and release >= (3, 12):
        lines += [(0, f"using cached last-modified time of {request.tables}"), (0, "not modified (cached)")]
    elif request.outcome == "rejected" and release >= (3, 25):
        lines.append((0, "rejecting because servlet too busy"))
    else:
        lines += _with_database(request, release, dated=dated)
    stop = f"stop threads:{request.threads} elapsed msecs={end}"
    lines.append((end, stop if release <= (3, 7) else f"stop threads={request.threads} msecs={end}"))
    if release >= (3, 41) and request.outcome == "failed" and request.number % 2:
        lines.append((end, "closing immediately"))
    return lines


def _with_database(request: Printed, release: tuple[int, int], *, dated: bool) -> list[Line]:
    """Return the messages of a request that takes a connection."""
    wait = min(2, request.querytime - request.dbtime)
    done = wait + request.dbtime
    lines: list[Line] = [(0, "Acquiring DB connection lock"), (0, "Acquiring DB connection")]
    if request.outcome == "not acquired":
        trace = f"java.lang.Exception: Timed out waiting to acquire database connection{_TRACE}"
        return [*lines, (request.querytime, f"Error acquiring database:\n{trace}")]
    if request.number % 50 == 0:
        keepalive = "DB mgr acquire sent keepalive 1" if release <= (3, 13) else "DB acquire sent keepalive 1"
        lines.append((0, keepalive))
    lines.append((wait, _acquired(wait, request.threads, release)))
    lines.append((wait, f"getting last-modified time of {request.tables}"))
    if request.outcome == "unchanged":
        return [*lines, (wait, "not modified"), *_released(request.querytime, request.threads, release)]
    if release >= (3, 12):
        lines.append((wait, f"{'modified at' if dated else 'last-modified'} time: {_DATE}"))
    lines.append((wait, "Executing DB query"))
    if request.outcome != "failed":
        finished = "DB query finished" + f" msecs={request.dbtime}" * (not (3, 21) <= release <= (3, 23))
        lines.append((done, finished))
        if release >= (3, 38):
            lines.append((done, f"DB data transferred msecs={request.querytime - done}"))
    rows = 0 if request.outcome == "failed" else 1 + request.size // 1_000
    lines.append((done, f"rows={rows}, full size={request.size}"))
    if request.outcome == "failed":
        text = f"java.lang.Exception: While querying {request.tables}: ORA-01555: snapshot too old:\nrollback segment"
        lines.append((done, f"Error while processing payload 0:\n{text}{_TRACE}"))
    if request.outcome == "disconnected":
        broken = "ClientAbortException:  java.net.SocketException: Broken pipe"
        if release >= (3, 30):
            lines.append((done, f"Client disconnected while processing payload 0: {broken}"))
        else:
            lines.append((done, f"Error while processing payload 0:\n{broken}{_TRACE}"))
    return [*lines, *_released(request.querytime, request.threads, release)]


def _acquired(wait: int, threads: int, release: tuple[int, int]) -> str:
    if release <= (3, 13):
        return "DB mgr connection acquired"
    active = f" active={threads}" * (release >= (3, 29)) + f" msecs={wait}" * (release >= (3, 30))
    return f"DB connection acquired{active}"


def _released(when: int, threads: int, release: tuple[int, int]) -> list[Line]:
    if release < (3, 22):
        return []
    return [(when, "DB connection released" + f" remaining={threads - 1}" * (release >= (3, 29)))]


def records_of(request: Printed, server: str, time: int, form: Literal["json", "logback"]) -> list[str]:
    """Return the records that a servlet of 2025 logs of a request that began at `time`, in ms since the epoch."""
    fields: dict[str, str] = {
        "token": "frontier",
        "requestURI": f"/atlr/Frontier{request.query}",
        "requestQuery": "",
        "startTime": str(time),
        "query": request.sql,
        "duration": str(request.querytime),
    }
    ran = request.outcome in ("served", "failed", "disconnected")
    if ran:
        fields |= {"queryTime": str(request.dbtime), "dbSize": str(request.size)}
        error = {"failed": "ORA-01555: snapshot too old", "disconnected": "Broken pipe"}.get(request.outcome, "none")
        fields |= {"dbError": error, "dbRows": str(request.size // 1_000), "dbDataTime": "0"}
    if form == "logback":
        moment = datetime.fromtimestamp((time + request.querytime) / 1000, UTC)
        told = ", ".join(f"{name}={value}" for name, value in fields.items())
        head = f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03} INFO  [http-nio-8080-exec-1]"
        return [f"{head} g.f.f.FrontierRequestFilter - Filter request completed!  {told} "]
    record = {"level": "INFO", "logger": "gov.fnal.frontier.FrontierRequestFilter", "HOSTNAME": server, **fields}
    lines = [json.dumps({"msg": "Filter request completed! ", **record})]
    if ran:  # a second record repeats the first, with its numbers as numbers
        lines.append(json.dumps({"msg": "Message with typed fields", **record, "durationMillisec": request.querytime}))
    return lines


def start_lines(version: str) -> list[str]:
    """Return the messages of a servlet that begins, after the first one, which bears no server's name."""
    return ["VerbosityLevel set to 1", "max threads: 100", "send stale if error: true", "long hour: 3, long secs: null"]


def _release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
