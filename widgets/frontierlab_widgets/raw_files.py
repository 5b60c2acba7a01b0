"""Raw logs that a user names or uploads: what they are, and where they lie while they are read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from frontierlab import Settings
from frontierlab.errors import ConfigurationError, FrontierlabError, InvalidRequestError
from frontierlab.rawlogs.kinds import LogKind, kind_of_log
from frontierlab.rawlogs.log_files import LogSet, find_logs
from frontierlab.util.files import reason, scratch_folder
from frontierlab_widgets.formatting import megabytes
from frontierlab_widgets.work import Work

__all__ = ["KINDS", "FoundLogs", "about_personal_data", "find", "on_disk", "pairs", "paths_in"]

KINDS: dict[str, LogKind | None] = {"told from the files": None, "servlets": "servlet", "Squids": "squid"}
"""The kinds of raw logs, by label; None is for the kind that the files have."""

MOST = 50_000_000
"""Bytes of uploaded logs that wait at the same time: they are in the memory of the kernel until they are read."""

_SCRATCH = ".uploaded-"


class FoundLogs(NamedTuple):
    """What there is to read.

    Parameters
    ----------
    kind
        What wrote the logs.
    logs
        The logs, each with its rotated files.
    size
        The bytes of all files, as they are stored.
    left_out
        Why files are not read, a sentence each.
    """

    kind: LogKind
    logs: Sequence[LogSet]
    size: int
    left_out: Sequence[str]

    def in_words(self) -> str:
        """Describe the logs."""
        files = sum(len(log.files) for log in self.logs)
        what = {"servlet": "Frontier servlets", "squid": "Squids"}[self.kind]
        logs = f"{len(self.logs):,} log{'s' * (len(self.logs) != 1)}"
        several = f" in {files:,} files" if files != len(self.logs) else ""
        names = ", ".join(log.path.name for log in self.logs[:3]) + (", …" if len(self.logs) > 3 else "")
        return f"{logs} of {what}{several}, {megabytes(self.size)}: {names}."


def paths_in(text: str) -> list[str]:
    """Return the paths and patterns in a text, with commas between them."""
    return [one.strip() for one in text.split(",") if one.strip()]


def pairs(text: str, what: str) -> dict[str, str] | str:
    """Read ``A=B, C=D``; a text without an equals sign is one name for all.

    Raises
    ------
    InvalidRequestError
        The text is neither; `what` says what the two sides are.
    """
    given = paths_in(text)
    if len(given) == 1 and "=" not in given[0]:
        return given[0]
    read = [re.fullmatch(r"([^=]+)=([^=]+)", one) for one in given]
    if wrong := [one for one, found in zip(given, read, strict=True) if found is None]:
        raise InvalidRequestError(f"{wrong[0]!r} is not valid: write {what}, with commas between several.")
    return {found[1].strip(): found[2].strip() for found in read if found is not None}


def find(paths: Sequence[str | Path], kind: LogKind | None, work: Work) -> FoundLogs:
    """Find logs, and tell what they are; those of another kind, or of none, are left out and said.

    Raises
    ------
    InvalidRequestError
        There is no such file, none of them is a log, or there are both kinds and none was chosen.
    """
    told: dict[Path, LogKind | None] = {}
    logs = find_logs(paths)
    for log in logs:
        if work.stopping.is_set():
            break
        told[log.path] = next((one for one in map(kind_of_log, log.files) if one is not None), None)
    known = {one for one in told.values() if one is not None}
    if not known:
        names = ", ".join(path.name for path in [*told][:5])
        raise InvalidRequestError(
            f"No log of a Frontier servlet or a Squid was found: the first lines of {names} are of neither. An export "
            "of Elasticsearch is read in Data, Extract (export file)."
        )
    if kind is None and len(known) > 1:
        raise InvalidRequestError(
            "These are logs of servlets and logs of Squids. Choose one of the two in the field logs of, and read the "
            "others afterwards."
        )
    chosen = kind or known.pop()
    wanted = [log for log in logs if told.get(log.path) == chosen]
    if not wanted:
        raise InvalidRequestError(
            f"None of these files is a log of {'a servlet' if chosen == 'servlet' else 'a Squid'}. Choose 'told from "
            "the files' in the field logs of."
        )
    others = [log for log in logs if log not in wanted]
    left_out = [f"{log.path.name} is no log of this kind and is not read." for log in others]
    left_out += [
        f"{file.name} is a compressed copy of another file and is not read." for log in wanted for file in log.repeated
    ]
    return FoundLogs(chosen, wanted, sum(file.stat().st_size for log in wanted for file in log.files), left_out)


@contextmanager
def on_disk(uploads: Mapping[str, bytes], settings: Settings) -> Iterator[list[Path]]:
    """Write uploaded logs into a folder of the data folder that only the user can read, and remove it at the end.

    Raw logs name people: nothing of them stays. What a killed process left is removed by the next reading.

    Raises
    ------
    FrontierlabError
        They cannot be written, such as on a full disk.
    """
    if not uploads:
        yield []
        return
    parent = settings.data_dir
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with scratch_folder(parent, _SCRATCH) as folder:
            folder.chmod(0o700)
            for name, content in uploads.items():
                (folder / name).write_bytes(content)
            yield [folder / name for name in uploads]
    except OSError as error:
        raise FrontierlabError(f"The uploaded logs are not read, because {reason(error, parent)}.") from error


def about_personal_data(settings: Settings | None, *, kept: bool) -> str:
    """Say what becomes of personal data, and where the key of the hashes comes from."""
    if kept:
        return (
            "Accounts, names of people and addresses will be stored as they were logged: whoever can read the data "
            "folder can read them."
        )
    what = "Accounts, names of people and addresses are replaced by keyed hashes before anything is stored."
    key = None if settings is None else settings.personal_data_key
    if key is None:
        return (
            f"{what} No key is set (personal_data_key in the settings), so a random one is used and kept nowhere: the "
            "hashes agree within this reading, and with no other."
        )
    return f"{what} Their key is personal_data_key, {_place_of_key(key)}: readings with the same key have equal hashes."


def _place_of_key(key: object) -> str:
    from frontierlab.settings.origins import origins

    try:
        if Settings().personal_data_key == key:
            return next(one.place for one in origins() if one.key == "personal_data_key")
    except ConfigurationError:
        pass
    return "as the settings of this panel have it"
