"""`frontierlab.rawlogs.read_servlet_logs`: servlet logs into a dataset."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from frontierlab.catalogue import Catalogue
from frontierlab.coolr import refresh as catalogues
from frontierlab.errors import DatasetError
from frontierlab.extraction.request import Request
from frontierlab.rawlogs.log_files import COMPRESSION, LogSet, Paths, find_logs
from frontierlab.rawlogs.personal import Pseudonyms
from frontierlab.rawlogs.processes import Processes, processors
from frontierlab.rawlogs.servlet.columns import EXTRA_FIELDS
from frontierlab.rawlogs.servlet.find_logs import began, find_servlet_logs, form_of
from frontierlab.rawlogs.servlet.log_reader import LogFacts, LogReader
from frontierlab.rawlogs.servlet.notes import notes_of
from frontierlab.rawlogs.servlet.rows import LOG_SCHEMA
from frontierlab.rawlogs.servlet.scanning import Piece, Scanned, scanning
from frontierlab.rawlogs.servlet.sharing import read_log
from frontierlab.settings import Settings
from frontierlab.storage.creating import creating
from frontierlab.storage.dataset import Dataset, dataset_path
from frontierlab.storage.housekeeping import begin, require_new
from frontierlab.storage.locks import fenced, this_writer, writing
from frontierlab.storage.losses import warn_of_losses
from frontierlab.storage.manifest import Manifest, Outcome, PlannedPart
from frontierlab.storage.parts import SliceWriter, commit_part, remove_leftovers, temporary_folder
from frontierlab.storage.totals import mark_complete
from frontierlab.util.cancelling import check_cancelled
from frontierlab.util.files import reason
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting
from frontierlab.util.times import format_time

__all__ = ["begin_manifest", "read_servlet_logs"]

_SHARED = 64 * 2**20  # bytes of text for which processes are worth their start
_COMPRESSED = 8  # times smaller a compressed log is
_WAIT = 0.2  # seconds between two reports of progress


def read_servlet_logs(
    paths: Paths,
    settings: Settings | str | os.PathLike[str] | None = None,
    *,
    name: str,
    hosts: Mapping[str, str] | None = None,
    complete: bool = True,
    keep_personal_data: bool = False,
    follow: bool = False,
    seconds: float | None = None,
    part_seconds: float = 60.0,
    progress: bool | ProgressCallback = True,
) -> Dataset:
    """Read logs of Frontier servlets (Tomcat's ``catalina.out``) into a dataset.

    A row is one query of a request: a request with several payloads has several rows. Columns are those of
    `frontierlab.schema`, and further ones that `frontierlab.rawlogs.servlet.columns.EXTRA_FIELDS` names, so every
    filter, plot and caching figure works on the dataset. ``time`` is that of the start line, UTC: the log's own offset
    is used, so the repeated hour at the end of summer time is right. ``querytime`` is the whole request, ``dbtime``
    Oracle's execution of the query, both ms. ``fsize`` is the payload before compression, bytes. What became of a query
    is in ``outcome``; the flags follow from it (`frontierlab.rawlogs.servlet.columns.FLAGS_OF`). Folders and tags come
    from the SQL, their names from the catalogue. ``sqlhash`` is a hash of all that a query asks for but its
    IOV (of the exact text where that is not known), and another number than that of Elasticsearch.

    A request's key is the log, the server, the restart generation and the id. Its start or its stop may be missing. All
    versions of the servlet since 3.1 are read, and verbosity 2 and more. Memory does not grow with the logs. Several
    logs are read at the same time; of logs that are large together, processes scan pieces.

    Parameters
    ----------
    paths
        Log files, plain or compressed; folders of them; patterns; or a list of these. Rotated files
        (``catalina.out.1.gz``, ``catalina.2026-10-01.log``) are put in order and read as one log; logs in different
        folders are different logs.
    settings
        Settings, or the path of a configuration file; by default ``Settings()``. ``db_instances``, the catalogue,
        ``loss_warning_share`` and ``personal_data_key`` are used.
    name
        Name of the new dataset.
    hosts
        Names of machines for the column ``frontierserver``: a part of a log's path → the name. By default it is the
        server's name in the lines, which several machines may share.
    complete
        False leaves out the names of folders and tags, and needs no catalogue. True refreshes a missing or old one.
    keep_personal_data
        True stores accounts and addresses as they were logged; otherwise keyed hashes replace them
        (`frontierlab.rawlogs.Pseudonyms`).
    follow
        True goes on at the end of the logs with what is written there, through rotation and truncation. The dataset
        grows by parts; until it is complete, ``open_logs(…, allow_incomplete=True)`` asks the stored ones. Ctrl-C or
        `frontierlab.cancellable` stop it: what was read is stored first, and the same call goes on there, also after
        the process was killed. Logs can be empty at first. What each has, printed lines or records of a servlet of
        2025, is told from its first lines.
    seconds
        How long to follow; then the dataset is complete. By default without end.
    part_seconds
        About how often a part is stored while following, in seconds.
    progress
        True shows a bar, False nothing. A function is called with a `Progress` a few times a second in this thread; it
        stops the reading by raising an error.

    Returns
    -------
    Dataset
        A complete dataset. Its counts are of queries and of lines set aside: ``read = kept + left_out + malformed``.
        ``manifest.source["lines"]`` accounts for each line: ``lines = used + continuations + set_aside``. `malformed`
        returns the lines set aside with file and number, at most 10,000 a log; the manifest counts all. If their share
        is above ``loss_warning_share``, the first of ``manifest.notes`` and a warning say so.

    Raises
    ------
    InvalidRequestError, ConfigurationError, CatalogueError
        An argument or setting is not valid, a file cannot be read, or no file holds lines of a servlet.
    DatasetError
        A dataset of this name exists or is being written, the disk is full, or one of the processes was killed.
    Cancelled
        The reading was cancelled (`frontierlab.cancellable`). After any error, and after Ctrl-C, no dataset is left,
        unless the logs are followed.

    Examples
    --------
    >>> dataset = fl.rawlogs.read_servlet_logs("/logs/*/catalina.out*", settings, name="night")  # doctest: +SKIP
    """
    settings = settings if isinstance(settings, Settings) else Settings(settings)
    target = dataset_path(name, settings.data_dir)
    pseudonyms = Pseudonyms.of(settings, keep_personal_data=keep_personal_data)
    if follow:
        goes_on = (target / "manifest.json").exists()  # what the logs are was told when it began
        logs = find_logs(paths, began, follow=True) if goes_on else find_servlet_logs(paths, follow=True)
        current = catalogues.current(settings, progress) if complete else (None, [])
        dataset = _follow(target, logs, settings, current, pseudonyms, hosts, seconds, part_seconds, progress)
        warn_of_losses(dataset, settings)
        return dataset
    logs = find_servlet_logs(paths)
    catalogue, problems = catalogues.current(settings, progress) if complete else (None, [])
    with creating(target, lambda path: begin_manifest(path, logs, settings, problems, complete=complete)) as manifest:
        work = _Work(target, manifest, pseudonyms, catalogue, settings.db_instances, dict(hosts or {}))
        facts = _read_all(logs, work, progress)
        manifest.source["lines"] = facts.lines.as_record()
        manifest.notes[:0] = notes_of(facts, settings.loss_warning_share)
        manifest.notes.append(pseudonyms.remark)
        manifest.partial += facts.problems
    dataset = Dataset(target)
    warn_of_losses(dataset, settings)
    return dataset


def begin_manifest(
    target: Path, logs: Sequence[LogSet], settings: Settings, problems: Sequence[str], *, complete: bool
) -> Manifest:
    """Return the first manifest of a dataset of servlet logs."""
    request = Request(
        source=", ".join(str(log.path) for log in logs),
        extra_fields=EXTRA_FIELDS,
        limit_queries=2**40,
        db_instances=settings.db_instances,
        complete=complete,
    )
    return Manifest(
        id=secrets.token_hex(8),
        name=target.name,
        created=format_time(datetime.now(UTC)),
        request=request.model_dump(),
        source={
            "servlet_logs": {str(log.path): [str(file) for file in log.files] for log in logs},
            "left_out": [str(file) for log in logs for file in log.repeated],
        },
        columns=LOG_SCHEMA.names,
        notes=["Times are UTC.", *problems],
        catalogue=[*problems],
        writer=this_writer(),
    )


def _follow(
    target: Path,
    logs: Sequence[LogSet],
    settings: Settings,
    catalogue: tuple[Catalogue | None, list[str]],
    pseudonyms: Pseudonyms,
    hosts: Mapping[str, str] | None,
    seconds: float | None,
    part_seconds: float,
    progress: bool | ProgressCallback,
) -> Dataset:
    """Follow logs into a dataset; return it when the time is over."""
    from frontierlab.rawlogs.servlet.following import FollowedLog, Follower

    try:
        with writing(target):
            manifest = _followed(target, logs, settings, catalogue)
            named = [FollowedLog(log, form_of(log.files), _host(log, hosts or {})) for log in logs]
            share = settings.loss_warning_share
            follower = Follower(target, manifest, named, pseudonyms, catalogue[0], settings.db_instances, share)
            follower.run(seconds, part_seconds, progress)
            mark_complete(target, manifest)
    except OSError as error:
        raise DatasetError(
            f"{target} cannot be written: {reason(error, target)}. The stored parts are kept; the same call goes on."
        ) from error
    return Dataset(target)


def _followed(
    target: Path, logs: Sequence[LogSet], settings: Settings, catalogue: tuple[Catalogue | None, list[str]]
) -> Manifest:
    """Return the manifest of a dataset that follows these logs: a new one, or that of a run that was stopped."""
    fresh = begin_manifest(target, logs, settings, catalogue[1], complete=catalogue[0] is not None)
    fresh.source["following"] = True
    if not (target / "manifest.json").exists():
        require_new(target)
        begin(target, fresh)
        return fresh
    manifest = Manifest.read(target)
    if manifest.state == "complete" or not manifest.source.get("following"):
        raise DatasetError(f"The dataset {target.name} exists already. Choose another name, or delete it first.")
    if manifest.request != json.loads(fresh.model_dump_json())["request"]:
        raise DatasetError(
            f"The dataset {target.name} follows {manifest.request['source']}, or with other settings. Give the same "
            "paths and settings to go on, or choose another name."
        )
    with fenced(target, manifest):
        remove_leftovers(target)
        manifest.writer = this_writer()
        manifest.write(target)
    return manifest


def _host(log: LogSet, hosts: Mapping[str, str]) -> str | None:
    """Return the name of the machine of a log."""
    return next((host for part, host in hosts.items() if part in str(log.path)), None)


def _text_size(file: Path) -> int:
    """Return about how many bytes of text a file has, compressed or not."""
    try:
        size = file.stat().st_size
    except OSError:
        return 0  # the reading says so
    return size * _COMPRESSED if COMPRESSION.search(file.name) else size


class _Work:
    """Reads logs into parts of one dataset; each log is a part."""

    def __init__(
        self,
        target: Path,
        manifest: Manifest,
        pseudonyms: Pseudonyms,
        catalogue: Catalogue | None,
        db_instances: Sequence[str],
        hosts: Mapping[str, str],
    ) -> None:
        self.target, self.manifest = target, manifest
        self.stop = threading.Event()
        self.meter = ProgressMeter("reading", None)
        self._pseudonyms, self._catalogue, self._db_instances = pseudonyms, catalogue, db_instances
        self._hosts = hosts
        self.processes: Processes[Piece, Scanned] | None = None
        self._turn = threading.Lock()

    def sharing(self, logs: Sequence[LogSet]) -> AbstractContextManager[object]:
        """Return what starts processes for large logs, and ends them."""
        if processors() > 1 and sum(_text_size(file) for log in logs for file in log.files) >= _SHARED:
            self.processes = Processes(processors() - 1, scanning, self._pseudonyms)  # this one scans too
        return self.processes or nullcontext()

    def read(self, number: int, log: LogSet) -> tuple[Outcome, LogFacts]:
        """Read one log into the part with this number."""
        folder = temporary_folder(self.target, number)
        host = _host(log, self._hosts)
        with SliceWriter(folder, 0, LOG_SCHEMA) as writer:
            structured = form_of(log.files) != "printed"
            reader = LogReader(
                writer, self._pseudonyms, self._catalogue, self._db_instances, host, structured=structured
            )
            facts = read_log(log, reader, self.stop, self.meter.add, self.processes, self._turn)
        return commit_part(folder, self.target, number, [writer.outcome], self.manifest), facts


def _read_all(logs: Sequence[LogSet], work: _Work, progress: bool | ProgressCallback) -> LogFacts:
    """Read all logs, several at a time; put them into the plan, and return what was seen."""
    done: list[Future[tuple[Outcome, LogFacts]]] = []
    threads = ThreadPoolExecutor(min(len(logs), os.cpu_count() or 1))
    with reporting(progress, "bytes") as report, work.sharing(logs), threads as pool:
        try:
            done = [pool.submit(work.read, number, log) for number, log in enumerate(logs)]
            left = set(done)
            while left:
                finished, left = wait(left, _WAIT, return_when="FIRST_EXCEPTION")
                check_cancelled()
                report(work.meter.progress())
                for future in finished:
                    future.result()
        except BaseException:
            work.stop.set()
            for future in done:
                future.cancel()
            raise
    facts = LogFacts()
    for number, future in enumerate(done):
        outcome, seen = future.result()
        facts += seen
        read = outcome.counts.read
        work.manifest.plan.append(PlannedPart(number=number, start=0, stop=seen.lines.lines, expected=read))
    return facts
