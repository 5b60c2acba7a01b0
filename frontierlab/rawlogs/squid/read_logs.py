"""Read access logs of Squids into stored Squid logs: blocks of lines on all processors, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

from frontierlab.catalogue import Catalogue
from frontierlab.rawlogs.lines import LineCounts, SetAside, blocks
from frontierlab.rawlogs.log_files import Paths, find_logs
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.processes import processors
from frontierlab.rawlogs.squid.answers import dated
from frontierlab.rawlogs.squid.asked import Asked
from frontierlab.rawlogs.squid.clock import Clock, zone_of
from frontierlab.rawlogs.squid.creating import creating_squid_logs, write_malformed
from frontierlab.rawlogs.squid.facts import SquidFacts
from frontierlab.rawlogs.squid.following import follow_squid_logs
from frontierlab.rawlogs.squid.manifest import MALFORMED, PARTS, SquidManifest
from frontierlab.rawlogs.squid.parsing import Parsed, parse
from frontierlab.rawlogs.squid.part_writer import PartWriter
from frontierlab.rawlogs.squid.places import Place, file_record, places_of
from frontierlab.rawlogs.squid.stored import SquidLogs, squid_logs_path
from frontierlab.settings import Settings
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting

__all__ = ["read_squid_logs"]

_BLOCK = 8 * 2**20  # bytes; one block for each thread, and one more, is in memory
_THREADS = 8  # that decode URLs, which more of them would not do any faster


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
    follow: bool = False,
    seconds: float | None = None,
    part_seconds: float = 60.0,
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
    follow
        Go on reading what is written to the logs, through rotation and truncation. A part is stored now and then, which
        `open_squid_logs` shows. When it is stopped, the same call goes on where it was.
    seconds
        How long to follow; None is until it is stopped (Ctrl-C, `frontierlab.cancellable`).
    part_seconds
        About how often a part is stored, in seconds.
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
        is left of these, unless the logs are followed: then the stored parts are kept.
    Cancelled
        A `frontierlab.cancellable` block around the call was cancelled. Nothing is left, unless the logs are followed:
        then all that was read is stored.
    """
    settings = settings or Settings()
    path = squid_logs_path(name, settings.data_dir)
    hidden = zone_of(timezone)
    logs = find_logs(paths, follow=follow)
    places = places_of(logs, squids, sites)
    pseudonyms = Pseudonyms.of(settings, keep_personal_data=keep_personal_data)
    catalogue = Catalogue.read(settings.catalogue_path) if complete else None
    asked = Asked(catalogue)
    request = {"timezone": timezone, "keep_personal_data": keep_personal_data, "complete": complete}
    if follow:
        given = {"paths": [str(place.log.path) for place in places], **request}
        with reporting(progress, "lines") as report:
            follow_squid_logs(path, given, places, hidden, asked, pseudonyms, seconds, part_seconds, report)
        return SquidLogs(path, settings)
    reader = _Reader(asked, pseudonyms)
    given = {"paths": [str(file) for log in logs for file in log.files], **request}
    with (
        creating_squid_logs(path, lambda: reader.manifest(name, given)) as folder,
        reporting(progress, "lines") as report,
        PartWriter(folder / PARTS) as writer,
    ):
        reader.writer, reader.report = writer, report
        reader.read(places, hidden)
        write_malformed(reader.aside, folder / MALFORMED)
    return SquidLogs(path, settings)


@dataclass
class _File:
    """A file that is being read."""

    path: Path
    place: Place
    clock: Clock
    counts: LineCounts = field(default_factory=LineCounts)


@dataclass
class _Reader:
    """Reads file after file, and counts."""

    asked: Asked
    pseudonyms: Pseudonyms
    writer: PartWriter = field(init=False)
    report: ProgressCallback = field(init=False)
    facts: SquidFacts = field(default_factory=SquidFacts)
    files: list[dict[str, Any]] = field(default_factory=list)
    aside: SetAside = field(default_factory=SetAside)
    meter: ProgressMeter = field(default_factory=lambda: ProgressMeter("reading", None))

    def read(self, places: Sequence[Place], hidden: tzinfo) -> None:
        """Read all files, several blocks at a time, and take the blocks in order."""
        states = [_File(file, place, Clock(hidden)) for place in places for file in place.log.files]
        for state, parsed in self._in_order(states):
            check_cancelled()
            columns = state.place.columns(state.path)
            self.writer.write(dated(parsed.answers, state.clock, columns, parsed.block.first))
            parsed.set_aside(self.aside)
            counts = parsed.counts()
            state.counts += counts
            self.facts.add(parsed.answers, counts)
            self.meter.add(parsed.lines)
            self.report(self.meter.progress())
        self.facts.unsure = sum(state.clock.unsure for state in states)
        self.files = [file_record(state.path, state.place, state.counts) for state in states]

    def _in_order(self, states: Sequence[_File]) -> Iterator[tuple[_File, Parsed]]:
        threads = min(processors(), _THREADS)
        waiting: deque[tuple[_File, Future[Parsed]]] = deque()
        with ThreadPoolExecutor(threads, "frontierlab-squid") as pool:
            try:
                for state in states:
                    for block in blocks(state.path, _BLOCK, self.facts.problems):
                        waiting.append((state, pool.submit(parse, block, self.asked, self.pseudonyms)))
                        if len(waiting) > threads:
                            first, future = waiting.popleft()
                            yield first, future.result()
                while waiting:
                    first, future = waiting.popleft()
                    yield first, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()

    def manifest(self, name: str, request: dict[str, Any]) -> SquidManifest:
        """Return what is known when all files are read."""
        ends = {"rows": self.writer.rows, "since": self.writer.since, "until": self.writer.until}
        remark = self.pseudonyms.remark
        return SquidManifest.of_facts(self.facts, remark, name=name, request=request, files=self.files, **ends)
