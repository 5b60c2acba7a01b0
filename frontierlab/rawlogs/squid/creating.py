"""Writing Squid logs in one go: a folder that takes its place when it is complete."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from frontierlab.errors import DatasetError
from frontierlab.rawlogs.lines import SetAside
from frontierlab.rawlogs.squid.manifest import MANIFEST, PARTS, SquidManifest, write_manifest
from frontierlab.storage.locks import writing
from frontierlab.util.files import reason, scratch_folder

__all__ = ["creating_squid_logs", "write_malformed"]


@contextmanager
def creating_squid_logs(path: Path, finish: Callable[[], SquidManifest]) -> Iterator[Path]:
    """Yield an empty folder to write in; at the end it gets its manifest and takes the place of `path`, by one rename.

    After an error, whatever it is, nothing of it is left. What a killed process left is removed by the next one.

    Parameters
    ----------
    path
        The folder of the Squid logs.
    finish
        Returns the manifest, when the block is done.

    Raises
    ------
    DatasetError
        There are Squid logs already, another process writes them, or the disk does not take them.
    """
    if (path / MANIFEST).exists():
        raise DatasetError(f"The Squid logs {path.name} exist already. Choose another name, or delete them first.")
    try:
        with writing(path), scratch_folder(path.parent, f".{path.name}.writing-") as folder:
            if any(path.iterdir()):
                raise DatasetError(f"{path} is not empty. Choose another name, or delete that folder first.")
            (folder / PARTS).mkdir()
            yield folder
            write_manifest(folder, finish())
            folder.rename(path)  # the empty folder that `writing` made
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be written: {reason(error, path)}. Its files were removed. When the cause is gone, repeat "
            "the call."
        ) from error


def write_malformed(aside: SetAside, path: Path) -> None:
    """Write the lines that were set aside and kept since the last call; no file without any."""
    kept, _ = aside.take()
    if kept:
        with path.open("w", encoding="utf-8") as file:
            for why, record in kept:
                file.write(json.dumps({"reason": why, **json.loads(record)}, ensure_ascii=False) + "\n")
