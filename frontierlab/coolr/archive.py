"""An archive: recorded responses of a live COOLR in a folder, for use without network."""

from __future__ import annotations

import hashlib
import itertools
import json
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import filelock
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.catalogue import CATALOGUE_SCHEMA, Catalogue
from frontierlab.coolr.client import require_range
from frontierlab.coolr.protocol import Failure, Source, side_by_side
from frontierlab.coolr.responses import PAYLOADS, Node, Tag, in_order
from frontierlab.errors import CatalogueError, CoolrError, InvalidRequestError
from frontierlab.schema import NO_TAG, OPEN_IOV
from frontierlab.util.files import replacing
from frontierlab.util.progress import ProgressCallback, ProgressMeter, reporting

__all__ = ["Archive", "Recorded"]

_FOLDER = ["db", "schema", "node", "tag"]
_KEY = b"frontierlab.archive"


class Recorded(NamedTuple):
    """The result of `Archive.record`: the archive, and the failures."""

    archive: Archive
    failures: tuple[Failure, ...]


class Archive:
    """A folder of Parquet files that answers like a live COOLR, for the recorded folders and tags.

    ``catalogue.parquet`` lists the folders and tags. Their payloads are in ``payloads/``, one file per folder and
    tag with its recorded range, or all in one ``payloads.parquet``, which covers every range.
    The methods are those of `frontierlab.coolr.Coolr`; `Archive.record` makes an archive.

    Parameters
    ----------
    path
        The folder of the archive.

    Raises
    ------
    CoolrError
        The folder is not an archive.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser().absolute()
        try:
            self._catalogue: list[dict[str, Any]] = Catalogue.read(self.path / "catalogue.parquet").table.to_pylist()
        except CatalogueError as error:
            raise CoolrError(
                f"{self.path} is not an archive of COOLR: {error} frontierlab.coolr.Archive.record makes one."
            ) from error

    def __repr__(self) -> str:
        return f"<Archive of {len(self._catalogue):,} folders and tags, in {self.path}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def schemas(self, db: str) -> list[str]:
        """Return the names of the schemas of a database instance.

        Raises
        ------
        CoolrError
            The requested data are not in the archive. The other methods raise in the same way.
        """
        return list(dict.fromkeys(row["schema"] for row in self._rows(db=db)))

    def nodes(self, db: str, schema: str) -> list[Node]:
        """Return the folders of a schema; their descriptions are empty."""
        rows = self._rows(db=db, schema=schema)
        return list(dict.fromkeys(Node(row["node"], row["node_id"], row["nodetime"], "") for row in rows))

    def tags(self, db: str, schema: str, node: str) -> list[Tag]:
        """Return the tags of a folder; an empty list if it has no tags."""
        rows = self._rows(db=db, schema=schema, node=node)
        return [Tag(row["tag"], row["tag_id"]) for row in rows if row["tag"] != NO_TAG]

    def payloads(
        self, db: str, schema: str, node: str, tag: str, since: int, until: int, nodetime: str | None = None
    ) -> pa.Table:
        """Return the payloads of a folder and tag that overlap a range; see `frontierlab.coolr.Coolr.payloads`."""
        require_range(since, until)
        folder = {"db": db, "schema": schema, "node": node, "tag": tag}
        self._rows(**folder)
        path = _payload_path(self.path, folder)
        if path.exists():
            covered = _covered(path)
            if covered is None:
                raise self._lacks(folder, f"its payloads: {path.name} is damaged")
            if not covered[0] <= since <= until <= covered[1]:
                raise self._lacks(
                    folder, f"the range [{since}, {until}]: it was recorded for [{covered[0]}, {covered[1]}]"
                )
            rows = _read(path).select(PAYLOADS.names).cast(PAYLOADS)
        elif (self.path / "payloads.parquet").exists():
            rows = self._payloads.get((db, schema, node, tag), PAYLOADS.empty_table())
        else:
            raise self._lacks(folder, "its payloads: they were not recorded")
        within = (rows["since"].to_numpy() <= until) & (rows["until"].to_numpy() > since)
        return in_order(rows if within.all() else rows.take(np.flatnonzero(within)))

    @staticmethod
    def record(
        source: Source,
        path: Path | str,
        folders: pd.DataFrame,
        *,
        since: int = 0,
        until: int = OPEN_IOV,
        progress: bool | ProgressCallback = True,
    ) -> Recorded:
        """Record the payloads of folders and tags into a new or existing archive.

        After an interruption, the same call records only the missing folders and tags. A folder and tag that was
        recorded for a smaller range is recorded again, for a range that covers both.

        Parameters
        ----------
        source
            The live COOLR, or an archive, to record from.
        path
            The archive's folder.
        folders
            Rows of the catalogue, one per folder and tag, as `frontierlab.catalogues.find_folders` returns them.
        since, until
            The range of IOVs, both ends included; by default all IOVs. With other bounds, all folders must have
            the same IOV base.
        progress
            True shows a bar, False shows nothing. A function is called with a `Progress`, and can stop the
            recording by raising.

        Returns
        -------
        Recorded
            With the failures of COOLR; these payloads are missing, and the same call can record them later.

        Raises
        ------
        InvalidRequestError
            There are no folders, or bounds were given for two IOV bases. Nothing was done.
        CoolrError
            Another process is recording the archive, or it cannot be written. Recorded payloads are kept.
        """
        return _record(source, Path(path).expanduser().absolute(), folders, since, until, progress)

    @cached_property
    def _payloads(self) -> dict[tuple[str, ...], pa.Table]:
        """The payloads of the file of all, by folder and tag, so that a call need not look at all rows."""
        file = pq.read_table(self.path / "payloads.parquet", columns=[*_FOLDER, *PAYLOADS.names])
        keys = file.select(_FOLDER).append_column("places", pa.array(np.arange(file.num_rows)))
        found = keys.group_by(_FOLDER, use_threads=False).aggregate([("places", "list")]).combine_chunks()
        if not found.num_rows:
            return {}
        places = found["places_list"].chunk(0)
        rows = file.select(PAYLOADS.names).cast(PAYLOADS).take(places.flatten())
        begins = places.offsets.to_pylist()
        slices = [rows.slice(begin, end - begin) for begin, end in itertools.pairwise(begins)]
        return dict(zip(zip(*(found[name].to_pylist() for name in _FOLDER), strict=True), slices, strict=True))

    def _rows(self, **folder: str) -> list[dict[str, Any]]:
        rows = self._catalogue
        for name, value in folder.items():
            found = [row for row in rows if row[name] == value]
            if not found:
                has = ", ".join(sorted({row[name] for row in rows})[:20])
                raise self._lacks(folder, f"the {name} {value}; it has {has}")
            rows = found
        return rows

    def _lacks(self, folder: dict[str, str], what: str) -> CoolrError:
        return CoolrError(
            f"The archive at {self.path}, asked for {' '.join(folder.values())}, does not have {what}. "
            "Archive.record adds to it from a live COOLR."
        )


def _record(
    source: Source, path: Path, folders: pd.DataFrame, since: int, until: int, progress: bool | ProgressCallback
) -> Recorded:
    require_range(since, until)
    if folders.empty:
        raise InvalidRequestError("There are no folders to record; frontierlab.catalogues.find_folders gives some.")
    if (since, until) != (0, OPEN_IOV) and folders["nodetime"].nunique(dropna=False) > 1:
        raise InvalidRequestError(
            "since and until are for folders of one IOV base; record folders of run-lumi and of time in two calls."
        )
    failures = []
    try:
        path.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path / ".lock", timeout=0), reporting(progress, "folders") as report:
            _add_to_catalogue(path, folders)
            meter = ProgressMeter("recording", len(folders))
            wanted = folders.to_dict("records")
            for folder, error in side_by_side(
                lambda one: _record_one(source, path, one, since, until), wanted, lambda: report(meter.progress())
            ):
                if error is not None:
                    failures.append(Failure(**_key(folder), error=str(error)))
                meter.add(1)
            report(meter.progress())
    except filelock.Timeout:
        raise CoolrError(f"The archive at {path} is being recorded by another process: wait for its end.") from None
    except OSError as error:
        raise CoolrError(
            f"The archive at {path} cannot be written: {error.strerror or error}. What was recorded stays, and the "
            "same call records the rest."
        ) from error
    return Recorded(Archive(path), tuple(failures))


def _record_one(source: Source, path: Path, folder: dict[Any, Any], since: int, until: int) -> None:
    target = _payload_path(path, folder)
    covered = _covered(target)
    if covered is not None:
        if covered[0] <= since <= until <= covered[1]:
            return
        since, until = min(since, covered[0]), max(until, covered[1])
    rows = source.payloads(**_key(folder), since=since, until=until, nodetime=folder["nodetime"])
    target.parent.mkdir(exist_ok=True)
    about = json.dumps({**_key(folder), "since": since, "until": until})
    with replacing(target) as temporary:
        pq.write_table(rows.replace_schema_metadata({_KEY: about}), temporary, compression="zstd")


def _add_to_catalogue(path: Path, folders: pd.DataFrame) -> None:
    target = path / "catalogue.parquet"
    old = [Catalogue.read(target).table] if target.exists() else []
    new = pa.Table.from_pandas(folders[CATALOGUE_SCHEMA.names], CATALOGUE_SCHEMA, preserve_index=False)
    rows = pa.concat_tables([new.replace_schema_metadata(None), *old]).to_pandas()
    kept = rows.drop_duplicates(_FOLDER).sort_values(_FOLDER)
    Catalogue(pa.Table.from_pandas(kept, CATALOGUE_SCHEMA, preserve_index=False)).write(target)


def _key(folder: dict[Any, Any]) -> dict[str, str]:
    return {name: folder[name] for name in _FOLDER}


def _payload_path(path: Path, folder: dict[Any, Any]) -> Path:
    name = json.dumps([*_key(folder).values()])
    return path / "payloads" / f"{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}.parquet"


def _covered(path: Path) -> tuple[int, int] | None:
    """Return the recorded range of a file; None if the file is missing or damaged."""
    try:
        about = json.loads((pq.read_schema(path).metadata or {})[_KEY])
        return about["since"], about["until"]
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return None


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise CoolrError(f"{path} cannot be read: {error}. Archive.record with the same folder replaces it.") from error
