"""Which files are the logs, which of them are one rotated log, and in which order they were written."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from frontierlab.errors import InvalidRequestError
from frontierlab.rawlogs.marks import Mark, Marks

__all__ = ["COMPRESSION", "LogSet", "Paths", "files_of", "find_logs"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""A log file, a folder of them, a pattern such as ``/logs/*/catalina.out*``, or several of these."""

COMPRESSION = re.compile(r"\.(?:gz|zst|zstd|xz|bz2|lz4)$", re.IGNORECASE)
"""What the name of a compressed file ends with."""

_DATE = re.compile(r"[._-](?P<date>\d{4}-?\d\d-?\d\d(?:[-_.T]?\d{1,6}){0,2}?)(?P<end>\.(?:log|out|txt|json))?$")
_NUMBER = re.compile(r"[._-](?P<number>\d{1,5})(?P<end>\.(?:log|out|txt|json))?$")


@dataclass(frozen=True)
class LogSet:
    """One log: a file, or a file with its rotated parts.

    Parameters
    ----------
    path
        The path of the log without the signs of rotation, such as ``…/catalina.out``; that file may not exist.
    files
        The files, the oldest first.
    repeated
        Files that were left out, because an uncompressed copy of the same rotation lies beside them.
    beside
        Marks of other files of a log that is to be followed, which are not to be read. Names will not do: a rotation
        changes them.
    """

    path: Path
    files: tuple[Path, ...]
    repeated: tuple[Path, ...] = ()
    beside: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class _Named:
    """A file, with what its name says: the log that it belongs to, and its place among the rotated files."""

    file: Path
    log: Path
    place: tuple[int, str, int]
    compressed: bool


def find_logs(
    paths: Paths, began: Callable[[Path], int | None] = lambda file: None, *, follow: bool = False
) -> list[LogSet]:
    """Find the logs, and put rotated files together in the order in which they were written.

    Parameters
    ----------
    paths
        Files, folders (all files in them and below, without hidden ones) and patterns.
    began
        Returns the time of the first line of a file, as any number; None if it is not known. If the times of all files
        of a log are known, they decide the order. Otherwise the names do: dated files by date, then numbered files from
        the highest number down, and last the file without a number or date.
    follow
        Whether the logs are to be followed: then ``beside`` is set.

    Raises
    ------
    InvalidRequestError
        A path does not exist, or no file was found.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    files = dict.fromkeys(file for path in given for file in _expanded(Path(path).expanduser().absolute()))
    if not files:
        raise InvalidRequestError(f"No log file was found in {', '.join(map(str, given)) or 'an empty list'}.")
    real: dict[Path, Path] = {}
    for file in files:
        real.setdefault(file.resolve(), file)  # a link and its file are one log
    logs: dict[Path, list[_Named]] = {}
    for file in real.values():
        named = _named(file)
        logs.setdefault(named.log, []).append(named)
    marks = Marks()
    # before the files are looked into, which takes time
    beside = {path: _beside(path, real, marks) if follow else () for path in logs}
    return [replace(_ordered(path, logs[path], began), beside=beside[path]) for path in sorted(logs)]


def files_of(path: Path, began: Callable[[Path], int | None] = lambda file: None) -> tuple[Path, ...]:
    """Return the files of a log that are there now, the oldest first, without compressed copies.

    Parameters
    ----------
    path
        The path of the log without the signs of rotation, as in `LogSet`.
    began
        As for `find_logs`.

    Raises
    ------
    InvalidRequestError
        The folder cannot be read.
    """
    real: dict[Path, Path] = {}
    try:
        for file in sorted(path.parent.iterdir()):
            if _named(file).log == path and file.is_file():
                real.setdefault(file.resolve(), file)
    except FileNotFoundError:
        return ()  # of the folder, which may come again
    except OSError as error:
        raise InvalidRequestError(f"{path.parent} cannot be read: {error.strerror or error}.") from error
    return _ordered(path, [_named(file) for file in real.values()], began).files


def _beside(path: Path, given: Collection[Path], marks: Marks) -> tuple[Mark, ...]:
    """Return the marks of those files of a log that were not given."""
    try:
        return tuple(marks.of(file) for file in files_of(path) if file.resolve() not in given)
    except InvalidRequestError:  # files of a folder that cannot be listed can be read by their names
        return ()


def _expanded(path: Path) -> Iterable[Path]:
    """Return the files that a path names."""
    if path.is_dir():
        return sorted(
            file
            for file in path.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
    if path.exists():
        return [path]
    if any(sign in str(path) for sign in "*?["):
        return sorted(file for file in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if file.is_file())
    raise InvalidRequestError(f"There is no file {path}. Valid: log files, folders of them, or patterns with * and ?.")


def _named(file: Path) -> _Named:
    """Read the name of a file: ``catalina.out.3.gz``, ``catalina.2026-10-01.log``, ``access.log-20261001.zst``, …"""
    name = COMPRESSION.sub("", file.name)
    compressed = name != file.name
    if (dated := _DATE.search(name)) and dated.start() > 0:
        return _Named(file, file.with_name(_without(name, dated)), (0, dated["date"], 0), compressed)
    if (numbered := _NUMBER.search(name)) and numbered.start() > 0:
        place = (1, "", -int(numbered["number"]))  # 3 was rotated before 2
        return _Named(file, file.with_name(_without(name, numbered)), place, compressed)
    return _Named(file, file.with_name(name), (2, "", 0), compressed)


def _without(name: str, found: re.Match[str]) -> str:
    """Return a name without the sign of rotation that was found in it."""
    return name[: found.start()] + (found["end"] or "")


def _ordered(path: Path, found: list[_Named], began: Callable[[Path], int | None]) -> LogSet:
    """Make a log of its files: without compressed copies, the oldest first."""
    single: dict[tuple[int, str, int], _Named] = {}
    repeated = []
    for named in sorted(found, key=lambda one: (one.compressed, one.file)):
        if named.place in single and named.compressed:
            repeated.append(named.file)  # a rotation that is being compressed, or whose compression was interrupted
        else:
            single[named.place] = named
    ordered = [single[place] for place in sorted(single)]
    if len(ordered) > 1:
        times = {named.file: began(named.file) for named in ordered}
        if None not in times.values():
            ordered.sort(key=lambda named: times[named.file] or 0)  # stable: the names decide between equal times
    return LogSet(path, tuple(named.file for named in ordered), tuple(repeated))
