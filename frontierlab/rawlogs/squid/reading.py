"""Read access logs of Squids into stored Squid logs: blocks of lines on all processors, in bounded memory."""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import tzinfo
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from frontierlab.catalogue import Catalogue
from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs.lines import Block, LineCounts, SetAside, blocks
from frontierlab.rawlogs.log_files import LogSet, Paths, find_logs
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.squid.answers import Answers, dated, read_answers
from frontierlab.rawlogs.squid.asked import Asked
from frontierlab.rawlogs.squid.clock import Clock, zone_of
from frontierlab.rawlogs.squid.fast_lines import read_lines
from frontierlab.rawlogs.squid.part_writer import PartWriter
from frontierlab.rawlogs.squid.stored import (
    MALFORMED,
    SMALL_SHARE,
    SquidLogs,
    SquidManifest,
    creating_squid_logs,
    free_threads,
    now,
    squid_logs_path,
)
from frontierlab.settings import Settings
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting

__all__ = ["read_squid_logs"]

_SHOWN = 1_000  # characters of a line that are kept when it is set aside
_ACCESS_LOG = re.compile(r"(?:(?<=.)[._-]access)?\.log$")
_BLOCK = 4 * 2**20  # bytes; a few blocks for each processor are in memory


def read_squid_logs(
    paths: Paths,
    settings: Settings | None = None,
    *,
    name: str,
    timezone: str = "UTC",
    squids: str | Mapping[str, str] | None = None,
    sites: str | Mapping[str, str] | None = None,
    keep_personal_data: bool = False,
    complete: bool = True,
    progress: bool | ProgressCallback = False,
) -> SquidLogs:
    """Read access logs of Squids, and store the answers to requests for Frontier.

    Four formats are told apart line by line (`frontierlab.rawlogs.squid.fields.FORMATS`). Requests of CVMFS, tunnels,
    the cache manager and others share these logs: they are counted and not stored. Lines that cannot be read are
    counted and kept, with file and line: `SquidLogs.malformed`.

    Parameters
    ----------
    paths
        Log files, folders of them or patterns; plain, gzip, zstd, xz or bzip2. Rotated files of a log are put in order.
    settings
        By default ``Settings()``: where the logs are stored, the catalogue that names folders and tags, and the key of
        the hashes that replace personal data.
    name
        The name of the Squid logs.
    timezone
        The time zone of the Squids' hosts. Formats with quoted fields write local time and then a literal ``+0000``;
        the logs do not say which zone that is. Any other zone in a line is taken as written.
    squids
        The name of the Squid whose logs these are; or names by pattern of a path, such as ``{"*/squid1/*": "squid1"}``:
        the first that fits counts. By default a name that tells the paths apart.
    sites
        The site of all Squids; or sites by the name of a Squid. By default none.
    keep_personal_data
        True stores addresses of clients, and what unknown agents say of themselves, as they were logged. By default
        keyed hashes replace them. Names and accounts of people are never stored.
    complete
        Whether to name folders and tags from the catalogue. False needs no catalogue; then they have numbers alone.
    progress
        True shows a bar; a function is called with each `frontierlab.util.progress.Progress`, in lines.

    Returns
    -------
    SquidLogs
        A row is one answer. ``time`` is when the request came, ``end_time`` when its answer ended.

    Raises
    ------
    InvalidRequestError
        A name, path or time zone is not valid, or a file cannot be read.
    CatalogueError
        There is no catalogue.
    DatasetError
        There are Squid logs of this name already, another process writes them, or the disk does not take them. Nothing
        is left of these.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled. Nothing is left.
    """
    settings = settings or Settings()
    path = squid_logs_path(name, settings.data_dir)
    hidden = zone_of(timezone)
    logs = find_logs(paths)
    places = _places(logs, squids, sites)
    pseudonyms = Pseudonyms.of(settings, keep_personal_data=keep_personal_data)
    catalogue = Catalogue.read(settings.catalogue_path) if complete else None
    reader = _Reader(Asked(catalogue), pseudonyms)
    request = {
        "paths": [str(file) for place in places for file in place.files],
        "timezone": timezone,
        "keep_personal_data": keep_personal_data,
        "complete": complete,
    }
    with (
        creating_squid_logs(path, lambda: reader.manifest(name, request)) as folder,
        reporting(progress, "lines") as report,
        PartWriter(folder / "parts") as writer,
    ):
        reader.writer, reader.report = writer, report
        reader.read(places, hidden)
        reader.write_malformed(folder / MALFORMED)
    return SquidLogs(path, settings)


class _Place(NamedTuple):
    """A log: its files in order, its Squid and its site."""

    files: tuple[Path, ...]
    squid: str
    site: str | None


@dataclass
class _File:
    """A file that is being read."""

    path: Path
    place: _Place
    clock: Clock
    counts: LineCounts = field(default_factory=LineCounts)

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns that are the same for all of its rows."""
        return {"squid": self.place.squid, "computingsite": self.place.site, "file": str(self.path)}

    def as_record(self) -> dict[str, Any]:
        """Return what the manifest says of the file."""
        return {
            "path": str(self.path),
            "squid": self.place.squid,
            "computingsite": self.place.site,
            **self.counts.as_record(),
        }


class _Parsed(NamedTuple):
    """A block that was read, still without times in UTC."""

    block: Block
    lines: int
    answers: Answers
    refused: list[tuple[int, str]]
    texts: list[bytes]


@dataclass
class _Reader:
    """Reads file after file, and counts."""

    asked: Asked
    pseudonyms: Pseudonyms
    writer: PartWriter = field(init=False)
    report: ProgressCallback = field(init=False)
    total: LineCounts = field(default_factory=LineCounts)
    others: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    unknown_results: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    without_task: int = 0
    unsure: int = 0
    files: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    aside: SetAside = field(default_factory=SetAside)
    meter: ProgressMeter = field(default_factory=lambda: ProgressMeter("reading", None))

    def read(self, places: Sequence[_Place], hidden: tzinfo) -> None:
        """Read all files, several blocks at a time, and take the blocks in order."""
        states = [_File(file, place, Clock(hidden)) for place in places for file in place.files]
        for state, parsed in self._in_order(states):
            check_cancelled()
            self.writer.write(dated(parsed.answers, state.clock, state.columns, parsed.block.first))
            state.counts += self._count(parsed, state.path)
            self.meter.add(parsed.lines)
            self.report(self.meter.progress())
        self.unsure = sum(state.clock.unsure for state in states)
        self.total = sum((state.counts for state in states), LineCounts())
        self.files = [state.as_record() for state in states]

    def _in_order(self, states: Sequence[_File]) -> Iterator[tuple[_File, _Parsed]]:
        threads = free_threads()
        waiting: deque[tuple[_File, Future[_Parsed]]] = deque()
        with ThreadPoolExecutor(threads, "frontierlab-squid") as pool:
            try:
                for state in states:
                    for block in blocks(state.path, _BLOCK, self.problems):
                        waiting.append((state, pool.submit(self._parse, block)))
                        if len(waiting) > threads:
                            first, future = waiting.popleft()
                            yield first, future.result()
                while waiting:
                    first, future = waiting.popleft()
                    yield first, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()

    def _parse(self, block: Block) -> _Parsed:
        lines = _lines_of(block.data)
        tables, refused = read_lines(lines)
        cut = {number - block.first for number in block.cut}
        if cut:  # the rest of such a line is gone, so that what was read of it is none
            tables = [one.filter(pa.array(~np.isin(one["number"].to_numpy(), list(cut)))) for one in tables]
            refused = [one for one in refused if one[0] not in cut] + [(n, "a line that is too long") for n in cut]
        texts = lines.take(pa.array([number for number, _ in refused], pa.int64())).to_pylist()
        kept = [self.pseudonyms.scrubbed(text[:_SHOWN]).rstrip("\n").encode() for text in texts]
        return _Parsed(block, len(lines), read_answers(tables, self.asked, self.pseudonyms), refused, kept)

    def _count(self, parsed: _Parsed, file: Path) -> LineCounts:
        answers = parsed.answers
        self.others += answers.others
        self.results += answers.results
        self.unknown_results += answers.unknown_results
        self.unreadable += answers.unreadable
        self.without_task += answers.without_task
        for (number, why), text in zip(parsed.refused, parsed.texts, strict=True):
            self.aside.add(why, file, parsed.block.first + number, text)
        used = answers.rows.num_rows + answers.others.total()
        return LineCounts(parsed.lines, used, 0, Counter(why for _, why in parsed.refused))

    def write_malformed(self, path: Path) -> None:
        """Write the lines that were set aside and kept."""
        kept, _ = self.aside.take()
        if kept:
            with path.open("w", encoding="utf-8") as file:
                for why, record in kept:
                    file.write(json.dumps({"reason": why, **json.loads(record)}, ensure_ascii=False) + "\n")

    def manifest(self, name: str, request: dict[str, Any]) -> SquidManifest:
        """Return what is known when all files are read."""
        notes = [*filter(None, [self.total.warning(SMALL_SHARE)]), *self.problems]
        if self.unsure:
            notes.append(
                f"{self.unsure:,} lines are of an hour that came twice, at the end of summer time: which pass they are "
                "of was told from their order."
            )
        if self.unknown_results:
            named = ", ".join(f"{tag} {count:,}" for tag, count in self.unknown_results.most_common(5))
            notes.append(f"Result tags that are not known, counted under their own names: {named}.")
        if self.unreadable:
            why = "; ".join(f"{reason} {count:,}" for reason, count in self.unreadable.most_common(3))
            notes.append(f"{self.unreadable.total():,} requests have a URL that cannot be decoded: {why}")
        return SquidManifest(
            name=name,
            created=now(),
            request=request,
            files=self.files,
            lines=self.total.as_record(),
            others=dict(self.others.most_common()),
            rows=self.writer.rows,
            without_task=self.without_task,
            results=dict(self.results.most_common()),
            unknown_results=dict(self.unknown_results.most_common()),
            unreadable=dict(self.unreadable.most_common()),
            since=self.writer.since,
            until=self.writer.until,
            notes=[*notes, self.pseudonyms.remark],
        )


def _lines_of(data: bytes) -> pa.Array:
    """Return the lines of a block as strings, without copying them; each has its end of line."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:  # such bytes are written as \xNN, so that one line cannot spoil the others
            data = data.decode("utf-8", "backslashreplace").encode()
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == 10) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))


def _places(
    logs: list[LogSet], squids: str | Mapping[str, str] | None, sites: str | Mapping[str, str] | None
) -> list[_Place]:
    """Return the logs with the names of their Squids and sites."""
    names = _own_names([log.path for log in logs])
    found = []
    for log, own in zip(logs, names, strict=True):
        squid = squids if isinstance(squids, str) else own
        if isinstance(squids, Mapping):
            fitting = (squids[one] for one in squids if one == log.path.name or fnmatchcase(str(log.path), one))
            squid = next(fitting, own)
        site = sites.get(squid) if isinstance(sites, Mapping) else sites
        found.append(_Place(log.files, squid, site))
    unknown = sorted(set(sites) - {place.squid for place in found}) if isinstance(sites, Mapping) else []
    if unknown:
        raise InvalidRequestError(
            f"sites names {', '.join(map(repr, unknown))}, but the Squids are "
            f"{', '.join(sorted({place.squid for place in found}))}."
        )
    return found


def _own_names(paths: list[Path]) -> list[str]:
    """Return the shortest names that tell logs apart: of the file, or of so many of its folders as are needed."""
    stems = [path.with_name(_ACCESS_LOG.sub("", path.name) or path.name) for path in paths]
    for depth in range(1, max(len(stem.parts) for stem in stems)):
        names = ["/".join(stem.parts[-depth:]) for stem in stems]
        if len(set(names)) == len(names):
            if depth > 1 and len({stem.name for stem in stems}) == 1:  # the same file in every folder
                return ["/".join(stem.parts[-depth:-1]) for stem in stems]
            return names
    return [str(stem) for stem in stems]
