"""The sample world as servlet logs: in any version, with interleaved requests, restarts and faults."""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs.cool_writing import channels_sql, payload_sql, tags_sql
from frontierlab.rawlogs.request_urls import encode_p1
from frontierlab.rawlogs.servlet.printing import VERSIONS, Printed, lines_of, records_of, start_lines
from frontierlab.sample.world.draws import HASHES, MISSING, Columns
from frontierlab.sample.world.folders import DATABASES, FOLDERS
from frontierlab.sample.world.names import NAMES
from frontierlab.sample.world.world import World

__all__ = ["write_servlet_logs"]

_NOISE = "INFO: Server startup in [1234] milliseconds"
_MOST = 3_000_000  # documents that are sorted by time in memory


def write_servlet_logs(
    world: World,
    folder: str | os.PathLike[str],
    *,
    version: str = "3.42",
    form: Literal["printed", "json", "logback"] = "printed",
    verbosity: int = 1,
    zone: str = "UTC",
    reloads: int = 0,
    kills: int = 0,
    lost: float = 0.0,
    noise: float = 0.0,
    files: int = 1,
    compression: Literal["", "gz", "zst"] = "",
    with_url: bool = True,
) -> list[Path]:
    """Write the queries of a world as the logs of its servlets.

    There is a folder for each machine with a log ``catalina.out``, in which two servlets write. Lines of requests
    interleave as their times do. With ``World(…, faithful=True, malformed=0)``, no ``lost`` and no ``kills``, reading
    the logs gives the rows that extracting the world's documents gives.

    Parameters
    ----------
    world
        The world; its queries are sorted by time in memory.
    folder
        Where the folders are written; existing files are replaced.
    version
        Version of the servlet, such as those in `frontierlab.rawlogs.servlet.printing.VERSIONS`. What an old one does
        not print is missing: before 3.12 nothing tells of answers from the cache, before 3.25 nothing of rejections.
    form
        ``printed`` lines; or the records of a servlet of 2025, as ``json`` or in lines of ``logback``. Records name
        nobody who asked, and only that a request had no query of the database, not why.
    verbosity
        From 2 on, lines have the place in the servlet's source.
    zone
        Time zone of the log, such as ``Europe/Zurich``.
    reloads
        How often each servlet is reloaded: ids begin anew, and requests that are open end.
    kills
        How often each machine's Tomcat is killed: what its open requests would have printed is missing.
    lost
        Share of the start and stop lines that are missing.
    noise
        Number of lines of Tomcat itself, as a share of the number of requests.
    files
        Into how many files each log is rotated: ``catalina.out.2``, ``catalina.out.1``, ``catalina.out``.
    compression
        Of all files but the last.
    with_url
        Whether start lines have the whole request; without it they are shorter.

    Returns
    -------
    list of pathlib.Path
        The logs ``catalina.out``; rotated files lie beside them.

    Raises
    ------
    InvalidRequestError
        A value is not valid.
    """
    if world.documents > _MOST:
        raise InvalidRequestError(f"{world.documents:,} documents are too many. Valid: at most {_MOST:,}.")
    if not all(part.isdecimal() for part in version.split(".")) or "." not in version:
        raise InvalidRequestError(f"{version!r} is not a version of the servlet. Valid: {', '.join(VERSIONS)}, …")
    machines: dict[str, list[int]] = {}
    for number, server in enumerate(NAMES["frontierserver"]):
        machines.setdefault(server.split(".", 1)[1], []).append(number)
    columns = _sorted(world)
    style = _Style(version, verbosity, ZoneInfo(zone), lost, noise, with_url)
    if form != "printed" and not with_url:
        raise InvalidRequestError("Records hold the whole request: with_url=False is for printed lines.")
    written = []
    for machine, servers in machines.items():
        path = Path(folder) / machine / "catalina.out"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = np.flatnonzero(np.isin(columns["frontierserver"], servers))
        lines = (
            _printed(columns, rows, servers, style, reloads, kills)
            if form == "printed"
            else _recorded(columns, rows, style, form)
        )
        _write(path, lines, len(rows), files, compression)
        written.append(path)
    return written


@dataclass(frozen=True)
class _Style:
    version: str
    verbosity: int
    zone: ZoneInfo
    lost: float
    noise: float
    with_url: bool


def _sorted(world: World) -> Columns:
    """Return the columns of all documents, by time."""
    chunks = [chunk.columns for chunk in world.chunks()]
    if not chunks:
        raise InvalidRequestError("The world has no documents. Give it some.")
    columns = {name: np.concatenate([one[name] for one in chunks]) for name in chunks[0]}
    order = np.argsort(columns["@timestamp"], kind="stable")
    return {name: values[order] for name, values in columns.items()}


@dataclass
class _Machine:
    """The lines of one machine that are still to be printed, by time."""

    style: _Style
    waiting: list[tuple[int, int, str]] = field(default_factory=list)
    number: int = 0
    shifts: dict[int, tuple[str, int]] = field(default_factory=dict)

    def add(self, server: str, who: str, time: int, message: str) -> None:
        """Add a line; lines of the same time keep their order."""
        self.number += 1
        place = f"Frontier.java +{100 + len(message) % 400} " if self.style.verbosity >= 2 else ""
        if (3, 19) <= tuple(map(int, self.style.version.split("."))) <= (3, 22):
            who += " "
        heapq.heappush(self.waiting, (time, self.number, f"{server} {self._stamp(time)} {who} {place}{message}\n"))

    def until(self, time: int | None) -> Iterator[str]:
        """Yield the lines before a time, or all."""
        while self.waiting and (time is None or self.waiting[0][0] < time):
            yield heapq.heappop(self.waiting)[2]

    def _stamp(self, time: int) -> str:
        """Return a time in the log's zone, with the zone's name and offset."""
        second, ms = divmod(time, 1000)
        quarter = second // 900  # no zone changes its offset within a quarter of an hour
        known = self.shifts.get(quarter)
        if known is None:
            local = datetime.fromtimestamp(second, self.style.zone)
            shift = int(local.utcoffset().total_seconds())  # type: ignore[union-attr]
            sign, minutes = "-" if shift < 0 else "+", abs(shift) // 60
            zone = f"{local.tzname()} {sign}{minutes // 60:02}{minutes % 60:02}"
            known = self.shifts[quarter] = (zone, shift)
        moment = datetime.fromtimestamp(second + known[1], UTC)
        return f"{moment:%m/%d/%y %H:%M:%S}.{ms:03} {known[0]}"


def _printed(
    c: Columns, rows: np.ndarray[Any, Any], servers: list[int], style: _Style, reloads: int, kills: int
) -> Iterator[str]:
    """Yield the lines of one machine."""
    machine, count = _Machine(style), len(rows)
    ids = dict.fromkeys(servers, 0)
    reloaded = {int(count * (k + 1) / (reloads + 1)) for k in range(reloads)}
    killed = {int(count * (k + 0.5) / (kills + 1)) for k in range(kills)}
    draws = np.random.default_rng(count).random((count, 3))
    begin = int(c["@timestamp"][rows[0]]) - 1 if count else 0
    for number in servers:
        _begin(machine, NAMES["frontierserver"][number], begin)
    for place, row in enumerate(rows.tolist()):
        time = int(c["@timestamp"][row])
        yield from machine.until(time)
        if place in killed:
            machine.waiting.clear()
        if place in killed | reloaded:
            for number in servers:
                ids[number] = 0
                _begin(machine, NAMES["frontierserver"][number], time)
        server = int(c["frontierserver"][row])
        ids[server] += 1
        lines = lines_of(_request(c, row, place, style), style.version)
        stops = [k for k, (_, message) in enumerate(lines) if message.startswith("stop ")]
        gone = {0} if draws[place, 0] < style.lost else set()
        gone |= set(stops) if draws[place, 1] < style.lost else set()
        for k, (later, message) in enumerate(lines):
            if k not in gone:
                keeping = "-ka" * ("sent keepalive" in message)
                machine.add(NAMES["frontierserver"][server], f"id={ids[server]}{keeping}", time + later, message)
        if draws[place, 2] < style.noise:
            yield f"{_NOISE}\n"
    yield from machine.until(None)


def _recorded(c: Columns, rows: np.ndarray[Any, Any], style: _Style, form: Literal["json", "logback"]) -> Iterator[str]:
    """Yield the records of one machine."""
    for place, row in enumerate(rows.tolist()):
        server = NAMES["frontierserver"][int(c["frontierserver"][row])]
        for record in records_of(_request(c, row, place, style), server, int(c["@timestamp"][row]), form):
            yield f"{record}\n"


def _begin(machine: _Machine, server: str, time: int) -> None:
    """Print what a servlet says when it begins."""
    machine.add("not_set", "FrontierInit", time, f"Initializing Frontier servlet version {machine.style.version}")
    for message in start_lines(machine.style.version):
        machine.add(server, "FrontierInit", time, message)


def _request(c: Columns, row: int, number: int, style: _Style) -> Printed:
    """Return the request that a document tells of."""
    value = {name: int(values[row]) for name, values in c.items()}
    sql, tables = _sql(value)
    flags = {"cached": "cached", "rejected": "rejected", "disconn": "disconnected", "procerror": "failed"}
    outcome: Any = next((name for flag, name in flags.items() if value[flag] == 1), "served")
    squid, task = value["squid"], value["taskid"]
    machine = NAMES["clientmachine"][value["clientmachine"]]
    job = (
        "varnish"
        if task == MISSING
        else f"[{task}_{value['pandaid']}] 2.10.2 {1 + number % 30_000} prod(7001) /CN=prod"
    )
    p1 = encode_p1(sql) if style.with_url else "-"
    return Printed(
        sql=sql,
        query=f"/type=frontier_request:1:DEFAULT&encoding=BLOBzip5&p1={p1}",
        threads=max(value["initthreads"], 1),
        frontier_id=job,
        via=None if squid < 0 else f"1.0 {NAMES['squid'][squid]} (squid/frontier-squid-4.15)",
        forwarded_for=machine,
        outcome=outcome,
        querytime=max(value["querytime"], 0),
        dbtime=max(value["dbtime"], 0),
        size=max(value["fsize"], 0),
        tables=tables,
        number=number,
    )


def _sql(value: Mapping[str, int]) -> tuple[str, str]:
    """Return the SQL of a query, and the tables as last-modified messages name them."""
    if value["sqldb"] >= 2 * len(DATABASES):
        schema = NAMES["sqlowner"][value["sqlowner"]]
        return f'SELECT HTC_NAME FROM "{schema}"."HLT_TRIGGER_CHAIN" WHERE ID = {value["_mix"] % 16}', f"{schema}.HLT"
    folder = FOLDERS[value["_folder"]]
    table = f"{folder.schema}.{folder.db}_F{folder.node_id:04}_IOVS"
    if value["_query"] == 2:
        return f'SELECT NODE_ID AS "NODE_ID" FROM "{folder.schema}"."{folder.db}_NODES" "{folder.db}_NODES"', table
    text = int(np.flatnonzero(HASHES[value["_folder"]] == value["sqlhash"])[0])
    if value["_query"] == 1 or value["sqlsin"] == MISSING:
        write = channels_sql if text % 2 else tags_sql
        return write(folder.db, folder.schema, folder.node_id), table
    sql = payload_sql(
        folder.db,
        folder.schema,
        folder.node_id,
        value["sqlsin"],
        value["sqlunt"],
        tag_id=None if value["sqltagid"] == MISSING else value["sqltagid"],
        channel=(text - 3) % 2 if text >= 3 else None,
    )
    return sql, table


def _write(path: Path, lines: Iterator[str], requests: int, files: int, compression: str) -> None:
    """Write lines into the rotated files of a log, the oldest first."""
    most = max(1, 14 * requests // files)  # about as many lines as a request has
    for number in range(files - 1, -1, -1):
        name = path if number == 0 else path.with_name(f"{path.name}.{number}{'.' * bool(compression)}{compression}")
        with ExitStack() as stack:
            file: Any = stack.enter_context(name.open("wb"))
            if number and compression:
                kind = {"gz": "gzip", "zst": "zstd"}[compression]
                file = stack.enter_context(pa.CompressedOutputStream(pa.PythonFile(file, "w"), kind))
            _put(file, lines, most if number else None)


def _put(file: BinaryIO, lines: Iterator[str], most: int | None) -> None:
    """Write up to `most` lines, or all that are left."""
    buffer: list[str] = []
    for count, line in enumerate(lines, 1):
        buffer.append(line)
        if len(buffer) == 5_000:
            file.write("".join(buffer).encode())
            buffer.clear()
        if count == most:
            break
    file.write("".join(buffer).encode())
