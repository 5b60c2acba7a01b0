"""The catalogue: completing logs column-wise gives what a row-by-row reading of the rules gives."""

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.catalogue import CATALOGUE_SCHEMA, Catalogue, find_folders
from frontierlab.errors import CatalogueError
from frontierlab.sample import World
from frontierlab.schema import NAME, arrow_schema

KEYS = ("db", "schema", "node_id", "nodefullpath", "tag_id", "tagname")
LOGS = pa.schema([field for field in arrow_schema() if field.name in KEYS])
PLAIN = pa.schema([(f.name, pa.string() if f.type == NAME else f.type) for f in LOGS])


def catalogue(*rows):
    columns = zip(*rows, strict=True) if rows else [[]] * len(CATALOGUE_SCHEMA)
    return Catalogue(pa.table([list(column) for column in columns], schema=CATALOGUE_SCHEMA))


def logs(*rows, schema=LOGS):
    return pa.Table.from_pylist([dict(zip(KEYS, row, strict=True)) for row in rows], schema=schema)


def completed(known, *rows):
    """Return ``(node_id, nodefullpath, nodetime, tag_id, tagname)`` of each row, and the conflicts."""
    done = known.complete(logs(*rows))
    names = ("node_id", "nodefullpath", "nodetime", "tag_id", "tagname")
    return [tuple(row[name] for name in names) for row in done.rows.to_pylist()], done.conflicts


SMALL = catalogue(
    ("CONDBR2", "PIXEL", "/calib", 1, "run-lumi", "A", 1),
    ("CONDBR2", "PIXEL", "/calib", 1, "run-lumi", "B", 2),
    ("CONDBR2", "PIXEL", "/dcs", 2, "time", "none", 0),
    ("CONDBR2", "SCT", "/daq", 1, "time", "B", 1),
    ("OFLP200", "PIXEL", "/calib", 7, "time", "A", 9),
)


# ---- against a plain implementation


def plainly(known, row):
    """Complete one row by looking through all of the catalogue."""
    db, schema, node_id, path, tag_id, tag = (row[name] for name in KEYS)
    here = [entry for entry in known if (entry["db"], entry["schema"]) == (db, schema)]
    by_id = [entry for entry in here if entry["node_id"] == node_id]
    conflict = False
    if path is None and by_id:
        path = by_id[0]["node"]
    by_path = [entry for entry in here if entry["node"] == path]
    if node_id is None:
        node_id = by_path[0]["node_id"] if by_path else None
    elif path is not None:
        conflict = any(e["node_id"] != node_id for e in by_path) or any(e["node"] != path for e in by_id)
    nodetime = (by_path or by_id or [{"nodetime": None}])[0]["nodetime"]
    tags = {(entry["tag"], entry["tag_id"]) for entry in by_path}
    if tag is None and tag_id is None and ("none", 0) in tags:
        tag, tag_id = "none", 0
    elif tag is None:
        tag = next((name for name, number in tags if number == tag_id), None)
    elif tag_id is None:
        tag_id = next((number for name, number in tags if name == tag), None)
    else:
        conflict |= any((name == tag) != (number == tag_id) for name, number in tags)
    return (node_id, path, nodetime, tag_id, tag), conflict


DBS, SCHEMAS, PATHS, TAGS = ["D", "E"], ["S", ""], ["/a", "/b", "/c", ""], ["A", "B", "none"]


@st.composite
def catalogues(draw):
    """Draw folders and tags, with ids that are unique in their schema or folder and repeated outside of it."""
    rows = []
    for db in DBS:
        for schema in SCHEMAS:
            paths = draw(st.lists(st.sampled_from(PATHS), unique=True))
            ids = draw(st.permutations(range(1, 5)))
            for path, node_id in zip(paths, ids, strict=False):
                base = draw(st.sampled_from(["run-lumi", "time", None]))
                tags = draw(st.lists(st.sampled_from(TAGS[:2]), unique=True))
                numbers = draw(st.permutations([1, 2]))
                tagged = [*zip(tags, numbers, strict=False)] or [("none", 0)]
                rows += [(db, schema, path, node_id, base, tag, tag_id) for tag, tag_id in tagged]
    return rows


def maybe(values):
    return st.none() | st.sampled_from(values)


ROWS = st.tuples(
    st.sampled_from([*DBS, "F"]),
    maybe([*SCHEMAS, "U"]),
    maybe([1, 2, 3, 4, 5]),
    maybe([*PATHS, "/d"]),
    maybe([0, 1, 2, 3]),
    maybe([*TAGS, "C"]),
)


@given(catalogues(), st.lists(ROWS, max_size=30), st.sampled_from([LOGS, PLAIN]))
def test_completing_columns_equals_completing_rows(entries, rows, schema):
    known = catalogue(*entries)
    before = logs(*rows, schema=schema)
    done = known.complete(before)
    expected = [plainly(known.table.to_pylist(), row) for row in before.to_pylist()]
    found = done.rows.select(["node_id", "nodefullpath", "nodetime", "tag_id", "tagname"]).to_pylist()
    assert [tuple(row.values()) for row in found] == [row for row, _ in expected]
    assert done.conflicts.total() == sum(conflict for _, conflict in expected)
    for row, was in zip(done.rows.to_pylist(), before.to_pylist(), strict=True):
        assert {name: row[name] for name, value in was.items() if value is not None} == {
            name: value for name, value in was.items() if value is not None
        }


@given(st.lists(st.lists(ROWS, max_size=4), max_size=6))
def test_chunks_and_earlier_rows_make_no_difference(chunks):
    rows = [row for chunk in chunks for row in chunk]
    known = catalogue(("D", "S", "/a", 1, "time", "A", 1), ("D", "S", "/b", 2, None, "none", 0))
    together = known.complete(logs(*rows))
    apart = known.complete(pa.concat_tables([logs(*chunk) for chunk in chunks] or [logs()]))
    assert apart.rows.to_pylist() == together.rows.to_pylist()
    assert apart.conflicts == together.conflicts


# ---- the rules, one by one


def test_id_and_path_complete_each_other_within_their_schema():
    rows, conflicts = completed(
        SMALL,
        ("CONDBR2", "PIXEL", 1, None, 1, None),
        ("CONDBR2", "PIXEL", None, "/calib", None, "B"),
        ("CONDBR2", "SCT", 1, None, 1, None),
        ("OFLP200", "PIXEL", None, "/calib", 9, None),
        ("OFLP200", "PIXEL", 1, None, 1, None),
    )
    assert rows == [
        (1, "/calib", "run-lumi", 1, "A"),
        (1, "/calib", "run-lumi", 2, "B"),
        (1, "/daq", "time", 1, "B"),
        (7, "/calib", "time", 9, "A"),
        (1, None, None, 1, None),
    ]
    assert not conflicts


def test_a_folder_without_tags_gets_none_and_a_tagged_one_stays_unknown():
    rows, _ = completed(SMALL, ("CONDBR2", "PIXEL", 2, None, None, None), ("CONDBR2", "PIXEL", 1, None, None, None))
    assert rows == [(2, "/dcs", "time", 0, "none"), (1, "/calib", "run-lumi", None, None)]


def test_a_conflict_keeps_both_is_counted_and_the_name_decides():
    rows, conflicts = completed(
        SMALL,
        ("CONDBR2", "PIXEL", 2, "/calib", 1, None),
        ("CONDBR2", "PIXEL", 2, "/calib", 2, "A"),
        ("CONDBR2", "PIXEL", 1, "/gone", 1, None),
        ("CONDBR2", "PIXEL", 1, "/calib", 2, "A"),
    )
    assert rows == [
        (2, "/calib", "run-lumi", 1, "A"),
        (2, "/calib", "run-lumi", 2, "A"),
        (1, "/gone", "run-lumi", 1, None),
        (1, "/calib", "run-lumi", 2, "A"),
    ]
    assert conflicts == Counter(
        {
            "CONDBR2 PIXEL: node_id 2 and nodefullpath /calib": 2,
            "CONDBR2 PIXEL: node_id 1 and nodefullpath /gone": 1,
            "CONDBR2 PIXEL /calib: tag_id 2 and tagname A": 1,
        }
    )


def test_no_rows_and_an_empty_catalogue():
    done = SMALL.complete(logs())
    assert done.rows.num_rows == 0
    assert done.rows.column_names == [*LOGS.names, "nodetime"]
    rows, conflicts = completed(catalogue(), ("CONDBR2", None, 1, "/a", None, None))
    assert rows == [(1, "/a", None, None, None)]
    assert not conflicts


# ---- the file


def test_a_written_catalogue_is_read_back(tmp_path):
    path = tmp_path / "deep" / "catalogue.parquet"
    SMALL.write(path)
    assert Catalogue.read(path).table.equals(SMALL.table)
    assert [*path.parent.iterdir()] == [path]
    assert repr(SMALL) == "<Catalogue: 4 folders, 5 tags>"


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "catalogue.parquet"
    SMALL.write(path)

    def fail(table, place, **options):
        place.write_bytes(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        catalogue().write(path)
    assert Catalogue.read(path).table.equals(SMALL.table)
    assert [*tmp_path.iterdir()] == [path]


def test_further_columns_and_other_types_that_can_be_cast_are_read(tmp_path):
    table = SMALL.table.set_column(3, "node_id", SMALL.table["node_id"].cast(pa.int32()))
    table = table.append_column("description", pa.array(["x"] * 5)).set_column(0, "db", table["db"].dictionary_encode())
    pq.write_table(table, tmp_path / "c.parquet")
    assert Catalogue.read(tmp_path / "c.parquet").table.equals(SMALL.table)


def test_invalid_catalogues_are_refused(tmp_path):
    path = tmp_path / "c.parquet"
    with pytest.raises(
        CatalogueError,
        match=r"There is no catalogue at .*c\.parquet\. Set coolr_host or .*catalogues\.refresh\(settings\)",
    ):
        Catalogue.read(path)
    path.write_text("db,schema\n")
    with pytest.raises(CatalogueError, match=r"c\.parquet cannot be read as a catalogue"):
        Catalogue.read(path)
    pq.write_table(SMALL.table.drop_columns(["tag", "tag_id"]), path)
    with pytest.raises(CatalogueError, match=r"it lacks tag, tag_id\. Needed: db, schema, node,"):
        Catalogue.read(path)
    pq.write_table(SMALL.table.set_column(3, "node_id", pa.array(["one"] * 5)), path)
    with pytest.raises(CatalogueError, match="This is not a catalogue"):
        Catalogue.read(path)


def test_find_folders():
    table = World().catalogue
    known = Catalogue(table)
    assert len(find_folders(known)) == 79
    frame = find_folders(known, node="pixcalib", db="CONDBR2")
    assert list(frame.columns) == CATALOGUE_SCHEMA.names
    assert {*frame["node"]} == {"/PIXEL/PixCalib"}
    assert frame["node_id"].dtype == "int64"
    one = find_folders(known, db="CONDBR2", schema="ATLAS_COOLOFL_PIXEL", node_id=3, tag_id=1)
    place = ("CONDBR2", "ATLAS_COOLOFL_PIXEL", 3, 1)
    names = ("db", "schema", "node_id", "tag_id")
    assert one.to_dict("records") == [row for row in table.to_pylist() if tuple(row[name] for name in names) == place]
    assert len(one) == 1
    assert len(find_folders(known, tag="upd4")) > 5
    assert find_folders(known, tag="(").empty
    assert find_folders(Catalogue(CATALOGUE_SCHEMA.empty_table()), node="x", tag_id=1).empty
    assert pa.Table.from_pandas(frame, CATALOGUE_SCHEMA).num_rows == len(frame)
