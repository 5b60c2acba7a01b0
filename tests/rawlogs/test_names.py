"""Names of folders and tags from the catalogue, and the count of unknown ones."""

from __future__ import annotations

import pyarrow as pa

from frontierlab.catalogue import CATALOGUE_SCHEMA, Catalogue
from frontierlab.rawlogs import name_rows

FOLDERS = [
    ("CONDBR2", "S", "/A", 3, "run-lumi", "A-1", 20),
    ("CONDBR2", "S", "/B", 4, "time", "none", 0),
]
CATALOGUE = Catalogue(
    pa.table([pa.array(column) for column in zip(*FOLDERS, strict=True)], names=CATALOGUE_SCHEMA.names)
)
NAMES = pa.dictionary(pa.int32(), pa.string())


def rows(*numbers: tuple[int | None, int | None]) -> pa.Table:
    nothing = pa.nulls(len(numbers), pa.string()).cast(NAMES)
    return pa.table(
        {
            "db": pa.array(["CONDBR2"] * len(numbers)).cast(NAMES),
            "schema": pa.array(["S"] * len(numbers)).cast(NAMES),
            "node_id": pa.array([folder for folder, _ in numbers], pa.int64()),
            "nodefullpath": nothing,
            "tag_id": pa.array([tag for _, tag in numbers], pa.int64()),
            "tagname": nothing,
        }
    )


def test_numbers_get_their_names_and_unknown_ones_are_counted():
    named = name_rows(rows((3, 20), (3, None), (4, None), (9, None), (9, 1), (9, 1), (3, 7), (None, None)), CATALOGUE)
    assert named.rows["nodefullpath"].to_pylist() == ["/A", "/A", "/B", None, None, None, "/A", None]
    assert named.rows["tagname"].to_pylist() == ["A-1", None, "none", None, None, None, None, None]
    assert named.rows["nodetime"].to_pylist() == ["run-lumi", "run-lumi", "time", None, None, None, "run-lumi", None]
    assert named.unknown_folders == {"CONDBR2 S folder 9": 3}
    assert named.unknown_tags == {"CONDBR2 S folder 9 tag 1": 2, "CONDBR2 S folder 3 tag 7": 1}
    assert not named.conflicts


def test_no_rows_have_no_unknown_names():
    named = name_rows(rows(), CATALOGUE)
    assert named.rows.num_rows == 0
    assert not named.unknown_folders
    assert not named.unknown_tags
