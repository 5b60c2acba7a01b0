"""Archives of COOLR: recorded, taken along, and asked as a live one is; the sample is one."""

from __future__ import annotations

import errno

import filelock
import pandas as pd
import pytest

import frontierlab as fl
from frontierlab import Settings
from frontierlab.catalogue import find_folders
from frontierlab.coolr import Archive, Coolr, Failure, Tag, connect
from frontierlab.coolr.responses import PAYLOADS
from frontierlab.errors import CoolrError, InvalidRequestError
from frontierlab.sample import World
from frontierlab.schema import OPEN_IOV
from tests.services.coolr import CoolrServer, Trouble, by_tag

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

PIXEL = ("CONDBR2", "ATLAS_COOLOFL_PIXEL", "/PIXEL/PixCalib", "PixCalib-RUN2-DATA-UPD4-12")
RANGE = (1348314788265984, 1348314788266157)
OURS = ["channel", "since", "until", "content"]


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture
def server(world):
    with CoolrServer(world) as server:
        yield server


@pytest.fixture
def client(server, data_dir):
    with Coolr(Settings(coolr_host=server.host, coolr_confirm=False, data_dir=data_dir, coolr_cache_hours=0)) as client:
        yield client


@pytest.fixture
def folders(world):
    """The folders and tags of a schema, of both IOV bases."""
    return find_folders(fl.catalogue.Catalogue(world.catalogue), db="CONDBR2", schema="ATLAS_COOLOFL_DCS")


def record(client, path, folders, **options):
    return Archive.record(client, path, folders, progress=False, **options)


def test_the_sample_is_an_archive(world):
    archive = connect(Settings(coolr_archive=fl.sample.path("payloads.parquet").parent))
    assert repr(archive).startswith("<Archive of 79 folders and tags, in ")
    tables = by_tag(world)
    asked = 0
    for db in ("CONDBR2", "OFLP200", "COMP200", "MONP200"):
        for schema in archive.schemas(db):
            for node in archive.nodes(db, schema):
                for tag in archive.tags(db, schema, node.nodefullpath) or [Tag("none", 0)]:
                    key = (db, schema, node.nodefullpath, tag.tagname)
                    rows = archive.payloads(*key, 0, OPEN_IOV, node.nodetime)
                    expected = sorted(tuple(row[name] for name in OURS) for row in tables.get(key, []))
                    assert rows.schema == PAYLOADS
                    assert [tuple(row.values()) for row in rows.to_pylist()] == expected
                    asked += 1
    assert asked == 79


def test_a_range_gives_the_rows_that_overlap_it(world):
    archive = Archive(fl.sample.path("payloads.parquet").parent)
    rows = archive.payloads(*PIXEL, *RANGE)
    expected = [row for row in by_tag(world)[PIXEL] if row["since"] <= RANGE[1] and row["until"] > RANGE[0]]
    assert rows["since"].to_pylist() == sorted(row["since"] for row in expected)


def test_an_archive_answers_like_its_server(client, tmp_path, folders):
    archive, failures = record(client, tmp_path / "a", folders)
    assert failures == ()
    schema = ("CONDBR2", "ATLAS_COOLOFL_DCS")
    assert archive.schemas("CONDBR2") == ["ATLAS_COOLOFL_DCS"]
    assert {node[:3] for node in archive.nodes(*schema)} == {node[:3] for node in client.nodes(*schema)}
    for folder in folders.itertuples(index=False):
        assert archive.tags(*schema, folder.node) == client.tags(*schema, folder.node)
        for ends in ((0, OPEN_IOV), (5, 5)):
            place = (*schema, folder.node, folder.tag)
            assert archive.payloads(*place, *ends).equals(client.payloads(*place, *ends))


def test_recorded_payloads_are_not_requested_again(server, client, tmp_path, folders):
    server.troubles.append(Trouble(when="CHANSTAT", status=403))
    archive, failures = record(client, tmp_path / "a", folders)
    assert [failure[:4] for failure in failures] == [("CONDBR2", "ATLAS_COOLOFL_DCS", "/SCT/DCS/CHANSTAT", "none")]
    assert isinstance(failures[0], Failure)
    assert "it answered 403" in failures[0].error
    with pytest.raises(CoolrError, match="does not have its payloads: they were not recorded"):
        archive.payloads(*failures[0][:4], 0, 5)
    server.troubles.clear()
    before = server.count()
    archive, failures = record(client, tmp_path / "a", folders)
    assert (server.count() - before, failures) == (1, ())
    assert archive.payloads("CONDBR2", "ATLAS_COOLOFL_DCS", "/SCT/DCS/CHANSTAT", "none", 0, OPEN_IOV).num_rows


def test_an_interrupted_recording_is_resumed(server, client, tmp_path, folders):
    def stop(progress):
        if progress.done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Archive.record(client, tmp_path / "a", folders, progress=stop)
    assert record(client, tmp_path / "a", folders).failures == ()
    assert server.count() == len(folders)


def test_a_wider_range_includes_the_recorded_one(server, client, tmp_path, world):
    pixel = find_folders(fl.catalogue.Catalogue(world.catalogue), db="CONDBR2", node="PixCalib")
    record(client, tmp_path / "a", pixel, since=RANGE[0], until=RANGE[0])
    archive = record(client, tmp_path / "a", pixel, since=RANGE[1], until=RANGE[1]).archive
    assert archive.payloads(*PIXEL, *RANGE).equals(client.payloads(*PIXEL, *RANGE))
    with pytest.raises(
        CoolrError,
        match=rf"asked for {' '.join(PIXEL)}, does not have the range \[0, 5\]: it was recorded for \[{RANGE[0]}, ",
    ):
        archive.payloads(*PIXEL, 0, 5)


def test_an_archive_of_several_recordings_holds_them_all(client, tmp_path, folders, world):
    pixel = find_folders(fl.catalogue.Catalogue(world.catalogue), db="OFLP200", node="PixCalib")
    record(client, tmp_path / "a", folders)
    archive = record(client, tmp_path / "a", pixel).archive
    assert archive.schemas("CONDBR2") == ["ATLAS_COOLOFL_DCS"]
    assert archive.schemas("OFLP200") == ["ATLAS_COOLOFL_PIXEL"]


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        (("NO", "S", "/N", "none"), "does not have the db NO; it has COMP200, CONDBR2, MONP200, OFLP200"),
        (("CONDBR2", "S", "/N", "none"), "does not have the schema S; it has ATLAS_COOLOFL_CALO"),
        ((*PIXEL[:2], "/N", "none"), "does not have the node /N; it has /PIXEL/PixCalib"),
        ((*PIXEL[:3], "none"), "does not have the tag none; it has PixCalib-BLK-03, PixCalib-RUN2"),
    ],
)
def test_missing_data_are_named(place, cause):
    archive = Archive(fl.sample.path("payloads.parquet").parent)
    with pytest.raises(CoolrError, match=cause):
        archive.payloads(*place, 0, 5)


def test_a_damaged_file_is_an_error_until_it_is_recorded_again(client, tmp_path, folders):
    one = folders.head(1)
    archive = record(client, tmp_path / "a", one).archive
    (path,) = (tmp_path / "a" / "payloads").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    place = tuple(one.loc[0, ["db", "schema", "node", "tag"]])
    with pytest.raises(CoolrError, match=f"does not have its payloads: {path.name} is damaged"):
        archive.payloads(*place, 0, 5)
    archive = record(client, tmp_path / "a", one).archive
    assert archive.payloads(*place, 0, OPEN_IOV).num_rows


def test_invalid_recordings_are_refused(client, tmp_path, folders, world):
    both = find_folders(fl.catalogue.Catalogue(world.catalogue), db="CONDBR2")
    with pytest.raises(InvalidRequestError, match="since and until are for folders of one IOV base"):
        record(client, tmp_path / "a", both, since=5)
    with pytest.raises(InvalidRequestError, match="There are no folders to record"):
        record(client, tmp_path / "a", pd.DataFrame(columns=folders.columns))
    with pytest.raises(InvalidRequestError, match="is not a range of IOVs"):
        record(client, tmp_path / "a", folders, since=5, until=4)
    assert not (tmp_path / "a").exists()


def test_a_second_recording_at_the_same_time_is_refused(client, tmp_path, folders):
    (tmp_path / "a").mkdir()
    with (
        filelock.FileLock(tmp_path / "a" / ".lock", is_singleton=False),
        pytest.raises(CoolrError, match="is being recorded by another process"),
    ):
        record(client, tmp_path / "a", folders)


def test_a_full_disk_is_an_error_that_says_what_stays(client, tmp_path, folders, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("frontierlab.coolr.archive.replacing", full)
    with pytest.raises(CoolrError, match=r"cannot be written: No space left on device\. What was recorded stays"):
        record(client, tmp_path / "archive", folders)
    monkeypatch.undo()
    assert record(client, tmp_path / "archive", folders).failures == ()
