"""The catalogue: every folder and tag of the configured COOL instances; it completes log rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from frontierlab.errors import CatalogueError
from frontierlab.schema import NAME, NO_TAG
from frontierlab.util.files import replacing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CATALOGUE_SCHEMA", "Catalogue", "Completed", "find_folders"]

CATALOGUE_SCHEMA = pa.schema(
    [
        ("db", pa.string()),
        ("schema", pa.string()),
        ("node", pa.string()),
        ("node_id", pa.int64()),
        ("nodetime", pa.string()),
        ("tag", pa.string()),
        ("tag_id", pa.int64()),
    ]
)
"""A row is a tag of a folder; ``nodetime`` is the folder's IOV base (run-lumi or time).
A folder without tags has one row with the tag ``none`` and the tag id 0.

``node`` (full path of the folder) and ``tag`` (name of the tag) are COOLR's words, as in its calls. The same two are
``nodefullpath`` and ``tagname`` in log rows, in the frames of filters and caching, and in parameters of functions that
work on logs."""

_REMEMBERED = 100_000  # combinations of ids and names that are cached: random logs must not fill the memory
_KEYS = ("db", "schema", "node_id", "nodefullpath", "tag_id", "tagname")


class Completed(NamedTuple):
    """Log rows completed from the catalogue.

    Parameters
    ----------
    rows
        The same rows in the same order, with ids, names and ``nodetime`` filled in.
    conflicts
        Number of rows with an id and a name that do not belong together in the catalogue, by a text with both.
    """

    rows: pa.Table
    conflicts: Counter[str]


class _Answer(NamedTuple):
    node_id: int | None
    nodefullpath: str | None
    nodetime: str | None
    tag_id: int | None
    tagname: str | None
    conflict: str | None


class Catalogue:
    """Every folder and tag of the configured COOL instances.

    Parameters
    ----------
    table
        A table with the columns of `CATALOGUE_SCHEMA`; further columns are ignored.

    Raises
    ------
    CatalogueError
        A column is missing or has another type.
    """

    def __init__(self, table: pa.Table) -> None:
        missing = [name for name in CATALOGUE_SCHEMA.names if name not in table.column_names]
        if missing:
            raise CatalogueError(
                f"This is not a catalogue: it lacks {', '.join(missing)}. Needed: {', '.join(CATALOGUE_SCHEMA.names)}."
            )
        try:
            self.table = table.select(CATALOGUE_SCHEMA.names).cast(CATALOGUE_SCHEMA)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise CatalogueError(f"This is not a catalogue: {error}.") from error
        # the keys are db, schema and path (or id) of a row; all but db can be missing in a row
        self._paths: dict[tuple[str, str | None, int], str] = {}
        self._nodes: dict[tuple[str, str | None, str | None], tuple[int, str | None]] = {}
        self._tag_ids: dict[tuple[str, str | None, str | None, str], int] = {}
        self._tag_names: dict[tuple[str, str | None, str | None, int], str] = {}
        for row in self.table.to_pylist():
            folder = (row["db"], row["schema"], row["node"])
            self._nodes[folder] = (row["node_id"], row["nodetime"])
            self._paths[row["db"], row["schema"], row["node_id"]] = row["node"]
            self._tag_ids[*folder, row["tag"]] = row["tag_id"]
            self._tag_names[*folder, row["tag_id"]] = row["tag"]
        self._answers: dict[tuple[Any, ...], _Answer] = {}

    def __repr__(self) -> str:
        return f"<Catalogue: {len(self._nodes):,} folders, {self.table.num_rows:,} tags>"

    @classmethod
    def read(cls, path: Path) -> Catalogue:
        """Read a catalogue from its Parquet file.

        Raises
        ------
        CatalogueError
            The file does not exist, or is not a catalogue.
        """
        if not path.is_file():
            raise CatalogueError(
                f"There is no catalogue at {path}. Set coolr_host or coolr_archive: extract() builds it from there, as "
                "does frontierlab.catalogues.refresh(settings); or name its Parquet file as coolr_file. In the "
                "connection panel these are fields of COOLR. Without a catalogue, extract(…, complete=False) leaves "
                "ids and names as they were logged."
            )
        try:
            return cls(pq.read_table(path))
        except (pa.ArrowInvalid, OSError, CatalogueError) as error:
            raise CatalogueError(f"{path} cannot be read as a catalogue: {error}") from error

    def write(self, path: Path) -> None:
        """Write the catalogue as Parquet, atomically: a reader sees the old file or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            pq.write_table(self.table, temporary, compression="zstd")

    def complete(self, rows: pa.Table) -> Completed:
        """Fill in ids, names and the IOV base, column by column.

        Within (db, schema) ``node_id`` and ``nodefullpath`` complete each other and give ``nodetime``.
        Within a folder ``tag_id`` and ``tagname`` complete each other. Logged values are never changed:
        if an id and a name conflict, both stay, and the name decides the rest. A folder without tags
        gets the tag ``none`` and the tag id 0.

        Parameters
        ----------
        rows
            Log rows; names may be dictionary-encoded or plain text.
        """
        if not rows.num_rows:
            return Completed(rows.append_column(pa.field("nodetime", NAME), pa.array([], NAME)), Counter())
        first, inverse = _distinct([rows[name] for name in _KEYS])
        distinct = zip(*(_values(rows[name].take(first)) for name in _KEYS), strict=True)
        answers = [self._answer(key) for key in distinct]
        for name, type_ in (("node_id", pa.int64()), ("tag_id", pa.int64()), ("nodefullpath", NAME), ("tagname", NAME)):
            column = _spread([getattr(answer, name) for answer in answers], inverse, type_)
            rows = rows.set_column(rows.schema.get_field_index(name), name, column)
        rows = rows.append_column("nodetime", _spread([answer.nodetime for answer in answers], inverse, NAME))
        counts = np.bincount(inverse, minlength=len(answers))
        conflicts: Counter[str] = Counter()
        for answer, count in zip(answers, counts, strict=True):
            if answer.conflict:
                conflicts[answer.conflict] += int(count)
        return Completed(rows, conflicts)

    def _answer(self, key: tuple[Any, ...]) -> _Answer:
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) > _REMEMBERED:
                self._answers.clear()
            answer = self._answers[key] = self._look_up(*key)
        return answer

    def _look_up(
        self, db: str, schema: str | None, node_id: int | None, path: str | None, tag_id: int | None, tag: str | None
    ) -> _Answer:
        where = (db, schema)
        conflict = None
        known_path = self._paths.get((*where, node_id)) if node_id is not None else None
        if path is None:
            path = known_path
        known_id, nodetime = self._nodes.get((*where, path), (None, None))
        if node_id is None:
            node_id = known_id
        elif (known_id is not None and known_id != node_id) or (known_path is not None and known_path != path):
            conflict = f"{db} {schema}: node_id {node_id} and nodefullpath {path}"
            if known_id is None and known_path is not None:
                nodetime = self._nodes[*where, known_path][1]
        folder = (*where, path)
        known_tag_id = self._tag_ids.get((*folder, tag)) if tag is not None else None
        known_tag = self._tag_names.get((*folder, tag_id)) if tag_id is not None else None
        if tag is not None and tag_id is not None:
            if (known_tag_id is not None and known_tag_id != tag_id) or (known_tag is not None and known_tag != tag):
                conflict = conflict or f"{db} {schema} {path}: tag_id {tag_id} and tagname {tag}"
        elif tag is None and tag_id is None and self._tag_ids.get((*folder, NO_TAG)) == 0:
            tag, tag_id = NO_TAG, 0
        else:
            tag, tag_id = tag if tag is not None else known_tag, tag_id if tag_id is not None else known_tag_id
        return _Answer(node_id, path, nodetime, tag_id, tag, conflict)


def find_folders(
    catalogue: Catalogue,
    *,
    db: str | None = None,
    schema: str | None = None,
    node: str | None = None,
    tag: str | None = None,
    node_id: int | None = None,
    tag_id: int | None = None,
) -> pd.DataFrame:
    """Return the folders and tags of a catalogue that match all given conditions.

    Parameters
    ----------
    catalogue
        The catalogue to search.
    db, schema, node, tag
        A part of the name (for `node`: of the full path); upper and lower case are equal.
    node_id, tag_id
        The exact number.

    Returns
    -------
    pandas.DataFrame
        A row is a folder and tag, with the columns of `CATALOGUE_SCHEMA`.
    """
    import pandas as pd

    frame: pd.DataFrame = catalogue.table.to_pandas()
    found = pd.Series(True, index=frame.index)
    for name, part in {"db": db, "schema": schema, "node": node, "tag": tag}.items():
        if part is not None:
            found &= frame[name].str.contains(part, case=False, regex=False)
    for name, number in {"node_id": node_id, "tag_id": tag_id}.items():
        if number is not None:
            found &= frame[name] == number
    return frame[found].reset_index(drop=True)


def _distinct(columns: list[pa.ChunkedArray]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the index of the first row of each distinct combination, and the combination of each row."""
    import pandas as pd

    codes: np.ndarray[Any, Any] = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        array = column.combine_chunks()
        encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        size = len(encoded.dictionary)
        places = encoded.indices.fill_null(size).to_numpy()
        # renumbered after each column, so that the product of the sizes stays below 2**63
        codes = pd.factorize(codes * (size + 1) + places)[0]
    first = np.empty(codes.max() + 1, np.int64)
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first, codes


def _values(column: pa.ChunkedArray) -> list[Any]:
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    return plain.to_pylist()  # type: ignore[no-any-return]


def _spread(values: list[Any], inverse: np.ndarray[Any, Any], type_: pa.DataType) -> pa.Array:
    if not pa.types.is_dictionary(type_):
        return pa.array(values, type_).take(pa.array(inverse))
    encoded = pa.array(values, type_.value_type).dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices.take(pa.array(inverse)), encoded.dictionary)
