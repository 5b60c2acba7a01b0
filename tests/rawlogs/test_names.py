"""Names of folders and tags from the catalogue, and the count of unknown ones."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

import frontierlab as fl
from frontierlab.catalogue import CATALOGUE_SCHEMA, Catalogue
from frontierlab.rawlogs import name_rows, read_servlet_logs, write_servlet_logs
from frontierlab.sample import World

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


def test_a_dataset_of_servlet_logs_says_which_names_the_catalogue_lacks(tmp_path: Path):
    settings = fl.sample.settings(data_dir=tmp_path, coolr_file=tmp_path / "catalogue.parquet", coolr_archive=None)
    whole = Catalogue.read(fl.sample.path("catalogue.parquet")).table
    path = "/RPC/TRIGGER/CM_THR_ETA"
    lacking = pc.equal(whole["node"], path)
    ((db, schema, number),) = {
        (row["db"], row["schema"], row["node_id"])
        for row in whole.filter(lacking).to_pylist()
        if row["db"] == "OFLP200"
    }
    Catalogue(whole.filter(pc.invert(lacking))).write(tmp_path / "catalogue.parquet")
    world = World(200, seed=5, malformed=0, faithful=True)
    write_servlet_logs(world, tmp_path / "logs")
    dataset = read_servlet_logs(tmp_path / "logs", settings, name="logs", progress=False)
    rows = dataset.to_pandas()
    unnamed = rows[rows["node_id"].notna() & rows["nodefullpath"].isna()]
    count = int(((unnamed["db"] == db) & (unnamed["schema"] == schema) & (unnamed["node_id"] == number)).sum())
    assert count > 0
    assert any(f"{db} {schema} folder {number} ({count:,})" in note for note in dataset.manifest.notes)
