"""Keep the catalogue fresh: when it is built from COOLR, by one process at a time, and what is used if that fails."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import filelock
import pyarrow.parquet as pq

from frontierlab import coolr
from frontierlab.catalogue import Catalogue
from frontierlab.coolr import Cancelled, Failure
from frontierlab.coolr.listing import Listing
from frontierlab.errors import CatalogueError, CoolrError
from frontierlab.settings import Settings
from frontierlab.util.files import write_text
from frontierlab.util.progress import Progress, ProgressCallback, reporting

__all__ = ["Current", "Refreshed", "current", "needs_refresh", "refresh"]

_LONGEST_WAIT = 3_600.0  # seconds to wait for another process's refresh
_LONGEST_REFRESH = 3_600.0  # seconds for a refresh if an old catalogue can be used instead


class Refreshed(NamedTuple):
    """A fresh catalogue.

    Parameters
    ----------
    catalogue
        The catalogue.
    when
        All its responses were requested at or after this time (UTC), except for `failures`.
    failures
        The requests that failed this time; the rows of the previous catalogue, if any, are used
        instead.
    """

    catalogue: Catalogue
    when: datetime
    failures: tuple[Failure, ...]


class Current(NamedTuple):
    """The catalogue that completes logs.

    Parameters
    ----------
    catalogue
        The catalogue.
    problems
        Sentences for the reader of the logs on how the catalogue is outdated or incomplete.
    """

    catalogue: Catalogue
    problems: list[str]


def current(settings: Settings, progress: bool | ProgressCallback = True) -> Current:
    """Return the catalogue, after building or refreshing it from COOLR if it is missing or too old.

    If it cannot be refreshed within an hour, the old catalogue is used, and `Current.problems` gives the reason.

    Parameters
    ----------
    settings, progress
        See `refresh`.

    Raises
    ------
    CatalogueError
        There is no catalogue and none can be built (the message says what to set), or the file is not a catalogue.
    frontierlab.coolr.Cancelled
        The work was cancelled.
    """
    path = settings.catalogue_path
    if not needs_refresh(settings):
        return Current(Catalogue.read(path), [])
    deadline = time.monotonic() + _LONGEST_REFRESH if path.exists() else float("inf")
    try:
        with reporting(progress, "folders") as report:
            done = refresh(settings, progress=lambda record: _report_until(deadline, report, record))
    except Cancelled:
        raise
    except (CoolrError, CatalogueError) as error:
        if not path.exists():
            missing = CatalogueError(f"There is no catalogue at {path}, and it cannot be built: {error}")
            missing.add_note("Without one, extract(…, complete=False) leaves ids and names as they were logged.")
            raise missing from error
        when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        problem = f"The catalogue is of {when:%Y-%m-%d %H:%M} UTC, because it could not be refreshed: {error}"
        return Current(Catalogue.read(path), [problem])
    if not done.failures:
        return Current(done.catalogue, [])
    first = " ".join([*filter(None, done.failures[0][:4]), done.failures[0].error])
    return Current(
        done.catalogue, [f"COOLR did not give {len(done.failures):,} lists of the catalogue. The first: {first}"]
    )


def _report_until(deadline: float, report: ProgressCallback, record: Progress) -> None:
    report(record)
    if time.monotonic() > deadline:
        raise CoolrError(
            f"it took longer than {_LONGEST_REFRESH / 60:g} minutes ({record.stage}, {record.done:,} of "
            f"{record.total or 0:,}); the next refresh continues it."
        )


def needs_refresh(settings: Settings) -> bool:
    """Return whether `refresh` would call COOLR: it is set, and the catalogue is missing, too old or incomplete."""
    if settings.coolr_host is None and settings.coolr_archive is None:
        return False
    path = settings.catalogue_path
    return not path.exists() or _oldest_accepted(path, settings, False) is not None


def refresh(
    settings: Settings | None = None, *, force: bool = False, progress: bool | ProgressCallback = True
) -> Refreshed:
    """Rebuild the catalogue of all ``db_instances`` if it lacks one or is older than ``coolr_refresh_hours``.

    The file is replaced in one step at the end. After an interruption the next call continues with the
    responses cached since the refresh began (see `frontierlab.coolr.Coolr`). If a database instance, schema or
    folder fails, the others are still refreshed. The failure is reported, the previous rows are kept, and
    the next call requests them again. A catalogue from an archive does not expire.

    Parameters
    ----------
    settings
        By default ``Settings()``.
    force
        Request everything again, even if the catalogue is fresh.
    progress
        True shows a bar, False shows nothing. A function is called with a `Progress` a few times a second in
        this thread, and can stop the refresh by raising.

    Raises
    ------
    ConfigurationError
        Neither ``coolr_host`` nor ``coolr_archive`` is set, and the catalogue is not fresh.
    CatalogueError
        The existing file is not a catalogue, or the new one cannot be written. The file is unchanged.
    CoolrError
        Every request to COOLR failed, or another process has been refreshing the catalogue for an hour. The file
        is unchanged.
    """
    settings = settings or Settings()
    try:
        return _refresh(settings, force, progress)
    except OSError as error:
        raise CatalogueError(
            f"The catalogue {settings.catalogue_path} cannot be written, and is left as it was: "
            f"{error.strerror or error}."
        ) from error


def _refresh(settings: Settings, force: bool, progress: bool | ProgressCallback) -> Refreshed:
    path = settings.catalogue_path
    if not force and (fresh := _fresh(path, settings)) is not None:
        return fresh  # without a lock, because its folder may not be writable
    path.parent.mkdir(parents=True, exist_ok=True)
    with reporting(progress, "folders") as report, _locked(path, report) as waited:
        if (not force or waited) and (fresh := _fresh(path, settings)) is not None:
            return fresh
        old = Catalogue.read(path) if path.exists() else None
        begun = _oldest_accepted(path, settings, force and not waited) or datetime.now(UTC)
        cancelled = threading.Event()
        with coolr.connect(settings, cancelled=cancelled, newer_than=begun) as source:
            write_text(_marker(path), json.dumps({"begun": begun.isoformat(), "writer": _this_process()}))
            listing = Listing(source, old, report, cancelled)
            catalogue = listing.catalogue(settings.db_instances)
        catalogue.write(path)
        os.utime(path, (begun.timestamp(), begun.timestamp()))  # its age is that of its oldest response
        if not listing.failures:
            _marker(path).unlink(missing_ok=True)
    return Refreshed(catalogue, begun, tuple(listing.failures))


def _marker(path: Path) -> Path:
    """Return the path of the file that holds the start of a refresh until one ends without failures."""
    return path.with_name(f".{path.name}.refresh")


def _oldest_accepted(path: Path, settings: Settings, force: bool) -> datetime | None:
    """Return the oldest acceptable request time of responses; None if the existing catalogue is fresh."""
    now = datetime.now(UTC)
    if force:
        return now
    try:
        begun = datetime.fromisoformat(json.loads(_marker(path).read_text(encoding="utf-8"))["begun"]).astimezone(UTC)
    except (OSError, ValueError, KeyError, TypeError):
        begun = None
    if settings.coolr_archive is not None:
        return begun
    oldest = now - timedelta(hours=settings.coolr_refresh_hours)
    if begun is not None:
        return begun if begun > oldest else now
    fresh = path.exists() and datetime.fromtimestamp(path.stat().st_mtime, UTC) > oldest
    return None if fresh and _has_all(path, settings) else now


def _has_all(path: Path, settings: Settings) -> bool:
    """Return whether a catalogue has all database instances; it may have been built with other settings."""
    try:
        return {*settings.db_instances} <= {*pq.read_table(path, columns=["db"])["db"].to_pylist()}
    except (OSError, ValueError):  # reading the catalogue reports the damage
        return True


def _fresh(path: Path, settings: Settings) -> Refreshed | None:
    """Return the existing catalogue if it is fresh."""
    if not path.exists() or _oldest_accepted(path, settings, False) is not None:
        return None
    when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return Refreshed(Catalogue.read(path), when, ())


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _refresher(path: Path) -> str:
    """Return the process that refreshes the catalogue, if known."""
    try:
        found = json.loads(_marker(path).read_text(encoding="utf-8"))
        return f"{found['writer']}, since {found['begun']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


@contextmanager
def _locked(path: Path, report: ProgressCallback) -> Iterator[bool]:
    """Hold the lock of the catalogue; yield whether this call has waited for another process."""
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), thread_local=False)
    waited = False
    deadline = time.monotonic() + _LONGEST_WAIT
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0.25 if waited else 0)
        except filelock.Timeout:
            waited = True
            who = _refresher(path)
            if time.monotonic() > deadline:
                raise CoolrError(
                    f"The catalogue {path} is being refreshed by {who}, for longer than the "
                    f"{_LONGEST_WAIT / 60:g} minutes that others wait. Look there, and end that process if it is stuck."
                ) from None
            report(Progress("waiting", 0, None, 0.0, None, f"the catalogue is being refreshed by {who}"))
    try:
        yield waited
    finally:
        lock.release()
