"""The catalogue of an extraction: built where it is missing, refreshed where it is old."""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings

import pytest

import frontierlab as fl
from frontierlab import Settings, jobs
from frontierlab.catalogue import Catalogue
from frontierlab.coolr.calls import Caller
from frontierlab.errors import CatalogueError
from frontierlab.sample import World
from frontierlab.storage.losses import OldCatalogue
from frontierlab.util.progress import Progress
from tests.services.coolr import FOR_EVER, CoolrServer, Trouble
from tests.support.extractions import assert_is_the_world, small_parts  # noqa: F401

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

LISTS = ["listing schemas", "listing folders", "listing tags"]


@pytest.fixture(scope="module")
def world():
    return World(2_000)


@pytest.fixture(scope="module")
def export(world, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "dump.ndjson"
    world.write(path)
    return path


@pytest.fixture
def server(world):
    with CoolrServer(world) as server:
        yield server


@pytest.fixture
def settings(server, data_dir):
    return Settings(coolr_host=server.host, data_dir=data_dir)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(Caller, "_sleep", lambda self, wait: None)


def extract(settings, export, name="d", progress=False, **options):
    return fl.extract(settings, name=name, source=export, progress=progress, **options)


def begin_with(world, settings):
    """Write the catalogue of the world as a refresh has left it."""
    Catalogue(world.catalogue).write(settings.catalogue_path)


def grow_old(settings):
    then = time.time() - 200 * 3600
    os.utime(settings.catalogue_path, (then, then))


@pytest.mark.slow
def test_missing_catalogue_is_built_first(server, settings, world, export):
    records: list[Progress] = []
    dataset = extract(settings, export, progress=records.append)
    assert_is_the_world(dataset, world)
    assert list(dict.fromkeys(record.stage for record in records)) == [*LISTS, "reading"]
    assert dataset.manifest.catalogue == []
    count = server.count()
    extract(settings, export, "again")
    assert server.count() == count
    grow_old(settings)
    extract(settings, export, "third")
    assert server.count() == 2 * count


@pytest.mark.slow
def test_catalogue_is_built_from_an_archive(data_dir, world, export):
    settings = Settings(coolr_archive=fl.sample.path("payloads.parquet").parent, data_dir=data_dir)
    assert_is_the_world(extract(settings, export), world)
    assert settings.catalogue_path.exists()


def test_missing_catalogue_without_coolr_is_an_error(data_dir, export):
    for options in ({}, {"dry_run": True}):
        with pytest.raises(
            CatalogueError, match=r"Set coolr_host or coolr_archive: .*refresh\(settings\).*coolr_file"
        ) as told:
            extract(Settings(data_dir=data_dir), export, **options)
        assert "complete=False" in str(told.value)
        assert "connection panel" in str(told.value)
    assert not [*data_dir.rglob("manifest.json")]


def test_extraction_does_not_begin_if_the_catalogue_cannot_be_built(server, settings, export):
    server.troubles.append(Trouble(status=403))
    with pytest.raises(CatalogueError, match=r"cannot be built: COOLR gave nothing: .*answered 403"):
        extract(settings, export)
    assert not (settings.data_dir / "datasets" / "d").exists()
    assert extract(settings, export, complete=False).state == "complete"


def test_unknown_coolr_host_gives_a_short_message(data_dir, export, monkeypatch):
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    settings = Settings(coolr_host="nowhere.invalid", data_dir=data_dir)
    with pytest.raises(CatalogueError) as told:
        extract(settings, export)
    assert str(told.value) == (
        f"There is no catalogue at {settings.catalogue_path}, and it cannot be built: COOLR is not reached: there is "
        "no host nowhere.invalid. Check coolr_host."
    )
    assert "complete=False" in told.value.__notes__[0]


@pytest.mark.slow
@pytest.mark.parametrize("trouble", [{"status": 403}, {"lie": "garbled"}, {"delay": FOR_EVER}])
def test_old_catalogue_is_used_with_a_warning_if_the_refresh_fails(server, settings, world, export, trouble):
    begin_with(world, settings)
    grow_old(settings)
    server.troubles.append(Trouble(**trouble))
    with pytest.warns(OldCatalogue, match="could not be refreshed: COOLR gave nothing") as told:
        dataset = extract(settings.model_copy(update={"coolr_timeout": 0.2}), export)
    assert_is_the_world(dataset, world)
    [problem] = dataset.manifest.catalogue
    assert str(told[0].message) == problem
    assert problem in dataset.manifest.notes
    assert problem.startswith("The catalogue is of 20")


@pytest.mark.slow
def test_old_catalogue_is_used_if_the_refresh_takes_too_long(server, settings, world, export, monkeypatch):
    begin_with(world, settings)
    grow_old(settings)
    server.troubles.append(Trouble(when="^nodes", delay=FOR_EVER))
    with monkeypatch.context() as patch:
        patch.setattr("frontierlab.coolr.refresh._LONGEST_REFRESH", 0.5)
        with pytest.warns(
            OldCatalogue, match=r"not be refreshed: it took longer than .* the next refresh continues it"
        ):
            assert_is_the_world(extract(settings, export), world)
    server.troubles.clear()
    assert extract(settings, export, "again").manifest.catalogue == []


@pytest.mark.slow
def test_gaps_in_coolr_give_a_warning(server, settings, export):
    server.troubles.append(Trouble(when="^tags.*PixCalib", status=403))
    with pytest.warns(OldCatalogue, match=r"did not give \d+ lists of the catalogue. The first: .* answered 403"):
        extract(settings, export)


@pytest.mark.slow
def test_job_keeps_the_warning_about_the_catalogue(server, settings, world, export):
    begin_with(world, settings)
    grow_old(settings)
    server.troubles.append(Trouble(status=403))
    job = jobs.submit(
        "extraction", settings=settings.model_copy(update={"job_backend": "inline"}), name="d", source=export
    )
    assert [text for text in job.warnings if "could not be refreshed" in text]


@pytest.mark.slow
def test_dry_run_builds_no_catalogue(server, settings, world, export):
    dry = extract(settings, export, dry_run=True)
    assert "There is no catalogue yet: the extraction builds it" in str(dry)
    assert dry.size > 0
    assert server.count() == 0
    assert not settings.catalogue_path.exists()
    begin_with(world, settings)
    assert extract(settings, export, dry_run=True).notes == ()
    grow_old(settings)
    assert "the extraction refreshes it" in str(extract(settings, export, dry_run=True))


@pytest.mark.slow
def test_one_of_two_extractions_builds_the_catalogue(server, settings, world, export):
    waits, done = threading.Event(), {}

    def report(record: Progress) -> None:
        if record.stage == "waiting":
            waits.set()
        elif record.stage in LISTS:
            assert waits.wait(60)  # who builds it goes on when the other one waits

    def begin(name):
        done[name] = extract(settings, export, name, report)

    threads = [threading.Thread(target=begin, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2
    assert server.count() == len({*server.requests})  # nothing was asked for twice
    for dataset in done.values():
        assert_is_the_world(dataset, world)


@pytest.mark.slow
def test_extraction_can_be_stopped_while_the_catalogue_is_built(server, settings, world, export):
    server.troubles.append(Trouble(when="^tags", delay=FOR_EVER))

    def stop(record: Progress) -> None:
        if record.stage == "listing tags":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(settings, export, progress=stop)
    assert not (settings.data_dir / "datasets" / "d").exists()
    server.troubles.clear()
    assert_is_the_world(extract(settings, export), world)


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
def test_a_resumed_extraction_keeps_the_catalogue_that_it_began_with(server, settings, world, export):
    def stop(record: Progress) -> None:
        if record.stage == "reading":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(settings, export, progress=stop)
    count = server.count()
    grow_old(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_is_the_world(extract(settings, export), world)
    assert server.count() == count
