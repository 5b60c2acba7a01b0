"""The catalogue built from COOLR: resumed, refreshed when old, whole or as it was; and looked up."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from datetime import UTC, datetime, timedelta

import filelock
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import frontierlab as fl
from frontierlab import Settings
from frontierlab.catalogue import Catalogue
from frontierlab.coolr import refresh as catalogues
from frontierlab.coolr import retry
from frontierlab.coolr.calls import Caller
from frontierlab.coolr.refresh import Refreshed, refresh
from frontierlab.errors import CatalogueError, ConfigurationError, CoolrError
from frontierlab.sample import World
from frontierlab.util.progress import Progress
from tests.services.coolr import FOR_EVER, CoolrServer, Trouble

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

SORTED = [(name, "ascending") for name in ("db", "schema", "node", "tag_id", "tag")]


def distinct(catalogue, *names):
    return catalogue.group_by([*names]).aggregate([]).num_rows


def calls(catalogue):
    return 4 + distinct(catalogue, "db", "schema") + distinct(catalogue, "db", "schema", "node")


# all database instances, and of each some schemas, with a third of the calls that the whole catalogue takes
SCHEMAS = pa.array([f"ATLAS_COOLOFL_{name}" for name in ("PIXEL", "DCS", "TRT", "GLOBAL")])
WHOLE = World().catalogue.sort_by(SORTED)
PART = WHOLE.filter(pc.is_in(WHOLE["schema"], SCHEMAS))
CALLS = calls(PART)


@pytest.fixture
def server():
    with CoolrServer(World()) as server:
        server.catalogue = PART.to_pylist()
        yield server


@pytest.fixture
def whole(server):
    """The server has the whole catalogue of the world."""
    server.catalogue = WHOLE.to_pylist()
    return server


@pytest.fixture
def settings(server, data_dir):
    return Settings(coolr_host=server.host, data_dir=data_dir)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(Caller, "_sleep", lambda self, wait: None)


def quiet(settings, **options):
    return refresh(settings, progress=False, **options)


def rows(table, **place):
    return [row for row in table.to_pylist() if all(row[name] == value for name, value in place.items())]


def grow_old(path, hours=169):
    then = time.time() - hours * 3600
    os.utime(path, (then, then))


def begin_with(settings, table=PART):
    """Write a catalogue as a refresh has left it."""
    Catalogue(table).write(settings.catalogue_path)


def test_the_catalogue_equals_the_worlds(whole, settings):
    before = datetime.now(UTC)
    done = quiet(settings)
    assert isinstance(done, Refreshed)
    assert done.catalogue.table.equals(WHOLE)
    assert Catalogue.read(settings.catalogue_path).table.equals(WHOLE)
    assert before <= done.when <= datetime.now(UTC)
    assert done.failures == ()
    assert whole.count() == calls(WHOLE)
    assert whole.busiest <= 4


@pytest.mark.slow
def test_the_catalogue_is_refreshed_when_old_or_by_force(server, settings):
    first = quiet(settings)
    again = quiet(settings)
    assert server.count() == CALLS
    assert abs(again.when - first.when) < timedelta(seconds=1)
    assert again.catalogue.table.equals(first.catalogue.table)
    grow_old(settings.catalogue_path)
    assert quiet(settings).when > first.when
    assert server.count() == 2 * CALLS
    quiet(settings, force=True)
    assert server.count() == 3 * CALLS
    grow_old(settings.catalogue_path, hours=2)
    quiet(Settings(coolr_host=server.host, data_dir=settings.data_dir, coolr_refresh_hours=1))
    assert server.count() == 4 * CALLS


def test_an_interrupted_refresh_is_resumed(whole, settings):
    def stop(progress: Progress) -> None:
        if progress.stage == "listing tags" and progress.done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refresh(settings, progress=stop)
    assert not settings.catalogue_path.exists()
    assert whole.count() < calls(WHOLE)
    assert quiet(settings).catalogue.table.equals(WHOLE)
    assert whole.count() <= calls(WHOLE) + 8  # what was under way when it stopped
    count = whole.count()
    quiet(settings)
    assert whole.count() == count


def test_progress_counts_schemas_folders_and_tags(settings):
    records: list[Progress] = []
    refresh(settings, progress=records.append)
    last = {record.stage: (record.done, record.total) for record in records}
    folders = distinct(PART, "db", "schema", "node")
    schemas = distinct(PART, "db", "schema")
    assert last == {
        "listing schemas": (4, 4),
        "listing folders": (schemas, schemas),
        "listing tags": (folders, folders),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("when", "place"),
    [
        ("^schemas.*OFLP200", {"db": "OFLP200"}),
        ("^nodes.*CONDBR2.*COOLOFL_DCS", {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_DCS"}),
        ("^tags.*CONDBR2.*TRT/Calib/RT", {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_TRT", "node": "/TRT/Calib/RT"}),
    ],
)
def test_a_failed_request_does_not_affect_the_others(server, settings, when, place):
    server.troubles.append(Trouble(when=when, status=403))
    lost = rows(PART, **place)
    names = tuple(place.get(name) for name in ("db", "schema", "node", "tag"))

    done = quiet(settings)
    assert rows(done.catalogue.table) == [row for row in rows(PART) if row not in lost]
    assert [failure[:4] for failure in done.failures] == [names]
    assert "it answered 403" in done.failures[0].error
    assert done.failures[0].error.endswith("Until it answers, it is not in the catalogue.")

    count = server.count()
    assert len(quiet(settings).failures) == 1
    assert server.count() == count + 1  # only what failed is asked for again
    server.troubles.clear()
    assert quiet(settings).catalogue.table.equals(PART)
    count = server.count()
    quiet(settings)
    assert server.count() == count

    server.troubles.append(Trouble(when=when, lie="missing"))
    done = quiet(settings, force=True)
    assert done.catalogue.table.equals(PART)
    assert done.failures[0].error.endswith(
        f"Until it answers, its {len(lost)} rows of the previous catalogue are kept."
    )


def test_one_failed_call_in_five_loses_nothing(server, settings):
    server.troubles.append(Trouble(status=503, rate=0.2))
    done = quiet(settings)
    assert done.catalogue.table.equals(PART)
    assert done.failures == ()


@pytest.mark.slow
def test_a_suddenly_empty_list_keeps_the_old_rows(server, settings):
    begin_with(settings)
    everything = server.catalogue
    server.catalogue = [row for row in everything if row["db"] != "MONP200"]
    server.catalogue.append({**everything[0], "db": "MONP200", "tag_id": 0, "tag": "none"})
    answer = server.answer
    empty = {("schemas", "COMP200", None), ("nodes", "CONDBR2", "ATLAS_COOLOFL_DCS"), ("tags", "OFLP200", None)}
    server.answer = lambda path, query: (
        [] if (path, query["db"], query.get("schema") if path == "nodes" else None) in empty else answer(path, query)
    )
    done = quiet(settings, force=True)
    for place in ({"db": "COMP200"}, {"db": "CONDBR2", "schema": "ATLAS_COOLOFL_DCS"}, {"db": "OFLP200"}):
        assert rows(done.catalogue.table, **place) == rows(PART, **place)
    errors = [failure.error for failure in done.failures]
    assert "COOLR lists no schemas of COMP200." in errors[0]
    assert "COOLR lists no folders of CONDBR2 ATLAS_COOLOFL_DCS." in errors[1]
    assert all("COOLR lists no tags of OFLP200" in error for error in errors[2:])
    assert len(errors) > 2
    assert len(rows(done.catalogue.table, db="MONP200")) == 1  # what is really gone is gone


@pytest.mark.slow
def test_total_failure_keeps_the_old_catalogue(server, settings):
    server.troubles.append(Trouble(status=403))
    with pytest.raises(
        CoolrError, match=r"^COOLR gave nothing: COOLR, schemas of \w+: it answered 403: 'not now' \(.*\)$"
    ):
        quiet(settings)
    assert not settings.catalogue_path.exists()
    server.troubles.clear()
    begin_with(settings)
    before = settings.catalogue_path.read_bytes()
    server.troubles.append(Trouble(status=403))
    with pytest.raises(CoolrError, match=r"COOLR gave nothing, and the catalogue is left as it was: .* answered 403"):
        quiet(settings, force=True)
    assert settings.catalogue_path.read_bytes() == before


def test_nothing_is_written_beside_a_fresh_catalogue(data_dir, tmp_path):
    shutil.copytree(fl.sample.path().parent, tmp_path / "package")
    file = tmp_path / "package" / "catalogue.parquet"
    before = sorted((tmp_path / "package").iterdir())
    done = quiet(fl.sample.settings(data_dir=data_dir, coolr_file=file, coolr_archive=file.parent))
    assert done.catalogue.table.equals(Catalogue.read(file).table)
    assert sorted((tmp_path / "package").iterdir()) == before


def test_an_unwritable_folder_is_named(data_dir, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    settings = fl.sample.settings(data_dir=data_dir)
    assert quiet(settings).failures == ()
    with pytest.raises(CatalogueError, match=r"catalogue\.parquet cannot be written.*: Permission denied"):
        quiet(settings, force=True)


@pytest.mark.slow
def test_a_reader_never_sees_half_a_catalogue(settings):
    begin_with(settings)
    found = []

    def read(progress: Progress) -> None:
        found.append(Catalogue.read(settings.catalogue_path).table.num_rows)

    refresh(settings, force=True, progress=read)
    assert {*found} == {PART.num_rows}


def test_a_file_that_is_not_a_catalogue_is_unchanged(settings):
    settings.catalogue_path.write_text("mine")
    with pytest.raises(CatalogueError, match="cannot be read as a catalogue"):
        quiet(settings, force=True)
    assert settings.catalogue_path.read_text() == "mine"


def test_without_a_server(data_dir):
    with pytest.raises(ConfigurationError, match="coolr_host is not set"):
        quiet(Settings(data_dir=data_dir))
    begin_with(Settings(data_dir=data_dir), WHOLE)
    assert quiet(Settings(data_dir=data_dir)).catalogue.table.num_rows == 79


def test_a_catalogue_from_an_archive_does_not_expire(data_dir):
    settings = Settings(data_dir=data_dir, coolr_archive=fl.sample.path("payloads.parquet").parent)
    assert quiet(settings).catalogue.table.equals(WHOLE)
    grow_old(settings.catalogue_path, hours=10_000)
    age = datetime.now(UTC) - quiet(settings).when
    assert age > timedelta(hours=9_000)


@pytest.mark.parametrize("force", [False, True])
def test_a_second_refresh_waits_and_uses_the_first_result(server, settings, force):
    lock = filelock.FileLock(settings.data_dir / ".catalogue.parquet.lock", is_singleton=False, thread_local=False)
    lock.acquire()
    records: list[Progress] = []
    told = threading.Event()

    def report(progress: Progress) -> None:
        records.append(progress)
        told.set()

    def end_first() -> None:
        told.wait()
        Catalogue(PART).write(settings.catalogue_path)
        lock.release()

    first = threading.Thread(target=end_first)
    first.start()
    done = refresh(settings, force=force, progress=report)
    first.join()
    assert done.catalogue.table.equals(PART)
    assert {(record.stage, record.message) for record in records} == {
        ("waiting", "the catalogue is being refreshed by another process")
    }
    assert server.count() == 0


@pytest.mark.slow
def test_a_catalogue_of_other_database_instances_is_not_fresh(server, settings):
    some = settings.model_copy(update={"db_instances": ("CONDBR2", "COMP200")})
    assert {*quiet(some).catalogue.table["db"].to_pylist()} == {"CONDBR2", "COMP200"}
    count = server.count()
    assert quiet(settings).catalogue.table.equals(PART)
    assert server.count() == count + CALLS
    quiet(some)  # more than is asked for is no fault
    assert server.count() == count + CALLS


def test_a_waiting_refresh_names_the_running_one(settings, monkeypatch):
    monkeypatch.setattr(catalogues, "_LONGEST_WAIT", 0.3)
    marker = settings.data_dir / ".catalogue.parquet.refresh"
    with filelock.FileLock(settings.data_dir / ".catalogue.parquet.lock", is_singleton=False):
        with pytest.raises(CoolrError, match="is being refreshed by another process, for longer than"):
            quiet(settings)
        marker.write_text('{"begun": "2026-10-01T00:00:00+00:00", "writer": "process 7 on somewhere"}')
        with pytest.raises(CoolrError, match="by process 7 on somewhere, since 2026-10-01T00:00:00"):
            quiet(settings)


def test_a_refresh_of_a_server_that_never_answers_is_stopped(server, settings):
    server.troubles.append(Trouble(delay=FOR_EVER))

    def stop(progress: Progress) -> None:
        if server.count():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refresh(settings, progress=stop)
    assert not settings.catalogue_path.exists()
    server.troubles.clear()
    assert quiet(settings).catalogue.table.equals(PART)


@pytest.mark.slow
def test_a_silent_server_is_not_called_for_every_folder(whole, settings, monkeypatch):
    begin_with(settings, WHOLE)
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    whole.troubles += [Trouble(when="^tags", times=5), Trouble(when="^tags", hang_up=True)]
    count = whole.count()
    done = quiet(settings, force=True)
    assert done.catalogue.table.equals(WHOLE)
    folders = distinct(WHOLE, "db", "schema", "node")
    assert len(done.failures) == folders - 5
    assert whole.count() - count < calls(WHOLE) - folders + 20


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_catalogue(settings, monkeypatch):
    begin_with(settings)
    before = settings.catalogue_path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Catalogue, "write", full)
    with pytest.raises(CatalogueError, match=r"catalogue\.parquet cannot be written, and is left as it was: No space"):
        quiet(settings, force=True)
    assert settings.catalogue_path.read_bytes() == before
