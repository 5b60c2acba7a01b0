"""Two writers of one dataset: a reader or a leader that comes late, hangs or is killed changes nothing of others."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import filelock
import pyarrow.parquet as pq
import pytest

import frontierlab as fl
from frontierlab.errors import DatasetError, InterruptedExtraction
from frontierlab.extraction import import_parquet as imports
from frontierlab.extraction import part_reader, part_runner
from frontierlab.extraction import run as run_module
from frontierlab.extraction.file_source import FileSource
from frontierlab.extraction.read_part import read_part
from frontierlab.extraction.request import Request
from frontierlab.storage import locks
from frontierlab.storage.manifest import Manifest, PlannedPart
from frontierlab.storage.parts import SliceWriter, read_outcome
from frontierlab.util.files import scratch_folder
from tests.support.programs import forked

SECONDS = 60  # that a thread is waited for; it takes moments


class Stop(Exception):
    pass


class Gate:
    """Holds back a thread at a place of the code until the test opens it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def before(self, monkeypatch, owner, name):
        """Let the first call of a function wait."""
        original, first = getattr(owner, name), threading.Lock()

        def waiting(*args, **kwargs):
            if first.acquire(blocking=False):
                self.reached.set()
                assert self.opened.wait(SECONDS)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, waiting)
        return self


@pytest.fixture
def settings(data_dir):
    return fl.sample.settings(data_dir=data_dir, part_documents=1_000, es_slices=1)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def run():
    """Run a call in a thread."""
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


@pytest.fixture
def export(tmp_path):
    """3,000 documents, every second of them cached."""
    rows = [
        {"@timestamp": f"2026-10-01T00:00:00.{i % 1000:03}Z", "sqldb": "CONDBR2", "fsize": i, "cached": i % 2 == 0}
        for i in range(3_000)
    ]
    path = tmp_path / "dump.ndjson"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def extract(settings, export, **options):
    return fl.extract(settings, **{"name": "day", "source": export, "progress": False} | options)


def cancelled(settings, export, done=1_000):
    """Begin an extraction that its leader gives up after some documents."""

    def report(progress):
        if progress.done >= done:
            raise Stop

    with pytest.raises(Stop):
        extract(settings, export, progress=report)
    dataset = fl.datasets.open_dataset("day", settings)
    return [part.number for part in dataset.manifest.plan if read_outcome(dataset.path, part.number) is None][-1]


def lose_locks(settings):
    """Do what a network folder does that forgets its locks."""
    folder = settings.data_dir / "datasets"
    shutil.rmtree(folder / ".day.locks", ignore_errors=True)
    (folder / ".day.lock").unlink(missing_ok=True)


def assert_whole(dataset):
    counts = dataset.counts
    assert dataset.state == "complete"
    assert sum(pq.read_metadata(file).num_rows for file in dataset.files()) == counts.kept == len(dataset.to_arrow())
    assert not list(dataset.path.glob("parts/.*"))


def test_late_reader_does_not_change_another_dataset_of_the_same_name(settings, export, monkeypatch, gate, run):
    number = cancelled(settings, export)
    gate.before(monkeypatch, SliceWriter, "write")
    reader = run(read_part, "day", number, settings, lambda progress: None)
    assert gate.reached.wait(SECONDS)
    with pytest.raises(DatasetError, match=rf"day is in use: process \d+ on .* reads part {number} of it. Wait"):
        fl.datasets.delete_dataset("day", settings)
    with pytest.raises(DatasetError, match=r"day is in use: process \d+ on .* reads part"):
        fl.datasets.rename_dataset("day", "night", settings)
    lose_locks(settings)
    fl.datasets.delete_dataset("day", settings)
    other = extract(settings, export, cached=True)
    gate.opened.set()
    with pytest.raises(locks.Replaced, match="day was deleted, renamed or replaced while it was being written"):
        reader.result(SECONDS)
    assert other.counts.kept == 1_500
    assert_whole(fl.datasets.open_dataset("day", settings))


def test_late_reader_does_not_store_its_part_in_another_extraction(settings, export, monkeypatch, gate, run):
    number = cancelled(settings, export)
    gate.before(monkeypatch, part_reader, "commit_part")  # the part is read: only the last step is missing
    reader = run(read_part, "day", number, settings, lambda progress: None)
    assert gate.reached.wait(SECONDS)
    lose_locks(settings)
    fl.datasets.delete_dataset("day", settings)

    def report(progress):
        if not gate.opened.is_set():
            gate.opened.set()
            with pytest.raises(locks.Replaced):
                reader.result(SECONDS)

    other = extract(settings, export, cached=True, progress=report)
    assert other.counts.kept == 1_500
    assert_whole(fl.datasets.open_dataset("day", settings))


def test_datasets_without_ids_differ_by_creation_time(settings, export, monkeypatch, gate, run):
    number = cancelled(settings, export)
    path = settings.data_dir / "datasets" / "day"
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["id"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    gate.before(monkeypatch, part_reader, "commit_part")
    reader = run(read_part, "day", number, settings, lambda progress: None)
    assert gate.reached.wait(SECONDS)
    manifest["created"] = "2026-10-03T00:00:00.000Z"
    (path / "manifest.json").write_text(json.dumps(manifest))
    gate.opened.set()
    with pytest.raises(locks.Replaced):
        reader.result(SECONDS)
    assert_whole(extract(settings, export))  # and an extraction of an early version goes on


def test_late_leader_does_not_overwrite_another_dataset(settings, export, monkeypatch, gate, run):
    gate.before(monkeypatch, run_module, "mark_complete")
    late = run(extract, settings, export)
    assert gate.reached.wait(SECONDS)
    lose_locks(settings)
    fl.datasets.delete_dataset("day", settings)
    other = extract(settings, export, cached=True)
    gate.opened.set()
    with pytest.raises(DatasetError, match=r"deleted, renamed or replaced"):
        late.result(SECONDS)
    assert Manifest.read(other.path) == other.manifest
    assert_whole(fl.datasets.open_dataset("day", settings))


def test_leader_that_plans_too_long_does_not_overwrite_another_dataset(settings, export, monkeypatch, gate, run):
    gate.before(monkeypatch, FileSource, "plan")
    late = run(extract, settings, export)
    assert gate.reached.wait(SECONDS)
    lose_locks(settings)
    other = extract(settings, export, cached=True)
    gate.opened.set()
    with pytest.raises(DatasetError, match="Another process began a dataset day while this one was being planned"):
        late.result(SECONDS)
    assert Manifest.read(other.path) == other.manifest
    assert_whole(other)


def test_late_failure_of_an_import_removes_no_other_dataset(settings, export, monkeypatch, gate, run, tmp_path):
    file = extract(settings, export).export(tmp_path / "day.parquet")
    fl.datasets.delete_dataset("day", settings)
    gate.before(monkeypatch, imports, "commit_part")
    late = run(fl.datasets.import_parquet, file, "day", settings)
    assert gate.reached.wait(SECONDS)
    lose_locks(settings)
    fl.datasets.delete_dataset("day", settings)
    other = extract(settings, export, cached=True)
    gate.opened.set()
    with pytest.raises(locks.Replaced):
        late.result(SECONDS)
    assert Manifest.read(other.path) == other.manifest
    assert_whole(other)


def test_two_leaders_make_one_dataset(settings, export, monkeypatch, gate, run):
    gate.before(monkeypatch, run_module, "mark_complete")
    late = run(extract, settings, export)
    assert gate.reached.wait(SECONDS)
    lose_locks(settings)
    dataset = extract(settings, export)
    gate.opened.set()
    assert late.result(SECONDS).manifest == dataset.manifest == Manifest.read(dataset.path)
    assert_whole(dataset)


def test_leader_reads_the_part_of_a_hanging_reader(settings, export, monkeypatch, gate, run):
    number = cancelled(settings, export)
    gate.before(monkeypatch, SliceWriter, "write")
    reader = run(read_part, "day", number, settings, lambda progress: None)
    assert gate.reached.wait(SECONDS)
    monkeypatch.setattr(part_runner, "_STALLED", 0.2)
    monkeypatch.setattr(part_runner, "_LOOK", 0.02)
    messages = set()
    dataset = extract(settings, export, progress=lambda progress: messages.add(progress.message))
    assert (dataset.state, dataset.counts.kept, len(dataset.to_arrow())) == ("complete", 3_000, 3_000)
    waiting = [message for message in messages if message]
    assert waiting
    assert all(f"which reads part {number}" in message for message in waiting)
    gate.opened.set()
    reader.result(SECONDS)  # what it has read is there already
    assert_whole(fl.datasets.open_dataset("day", settings))
    fl.datasets.delete_dataset("day", settings)
    assert not [file for file in dataset.path.parent.iterdir() if file.is_dir()]


def test_wait_for_a_hanging_reader_can_be_cancelled(settings, export, monkeypatch, gate, run):
    number = cancelled(settings, export)
    gate.before(monkeypatch, SliceWriter, "write")
    reader = run(read_part, "day", number, settings, lambda progress: None)
    assert gate.reached.wait(SECONDS)

    def report(progress):
        if progress.message:
            raise Stop

    with pytest.raises(Stop):
        extract(settings, export, progress=report)
    gate.opened.set()
    assert reader.result(SECONDS)
    assert_whole(extract(settings, export))


@pytest.mark.slow
def test_killed_reader_releases_its_part(settings, export, monkeypatch):
    number = cancelled(settings, export)

    def write(self, rows):
        print("reading", flush=True)  # noqa: T201
        sys.stdin.read()

    def read():
        monkeypatch.setattr(SliceWriter, "write", write)  # in the fork alone
        read_part("day", number, settings, lambda progress: None)

    with forked(read, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"reading\n"
        child.send_signal(signal.SIGSTOP)
        with pytest.raises(DatasetError, match=rf"in use: process {child.pid} on .* reads part {number} of it"):
            fl.datasets.delete_dataset("day", settings)
    dataset = extract(settings, export)
    assert dataset.counts.kept == 3_000
    assert_whole(dataset)
    assert not list(dataset.path.parent.glob("*.locks"))


def test_dataset_is_complete_only_if_files_agree_with_counts(settings, export, monkeypatch):
    def report(progress):
        for file in (settings.data_dir / "datasets/day/parts/00000").glob("*.parquet"):
            file.unlink()

    with pytest.raises(DatasetError, match=r"Part 0 of the dataset day is damaged.* Remove .*parts/00000; the same ex"):
        extract(settings, export, progress=report)
    dataset = fl.datasets.open_dataset("day", settings)
    assert dataset.state == "incomplete"
    shutil.rmtree(dataset.path / "parts" / "00000")
    assert_whole(extract(settings, export))


def test_wait_for_a_held_fence_is_bounded(settings, export, monkeypatch):
    dataset = extract(settings, export)
    monkeypatch.setattr(locks, "_FENCE_SECONDS", 0.1)
    with (
        filelock.FileLock(dataset.path.with_name(".day.fence")),
        pytest.raises(DatasetError, match=r"day is blocked: another process has held .*\.day\.fence"),
    ):
        fl.datasets.delete_dataset("day", settings)
    assert_whole(dataset)


def test_lock_is_released_after_an_error(settings, tmp_path):
    path = tmp_path / "datasets" / "day"
    path.parent.mkdir()
    path.write_text("a file in the way")
    with pytest.raises(DatasetError, match="day cannot be written") as kept, locks.writing(path):
        pass
    path.unlink()
    with locks.writing(path):
        pass
    assert "File exists" in str(kept.value)


@pytest.mark.slow
def test_leftovers_of_a_deletion_do_not_block_others(settings, export, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # as on a network folder, where open files stay
        for _ in range(2):
            extract(settings, export).delete()
    folder = settings.data_dir / "datasets"
    (folder / ".deleted-old-4711").mkdir()  # what an early version left
    assert len(list(folder.glob(".deleted-*"))) == 3
    named = extract(settings, export, name="deleted-1")
    assert not list(folder.glob(".deleted-*-*"))
    assert_whole(named)


def test_leftovers_of_killed_processes_are_removed_on_resumption(settings, export):
    cancelled(settings, export)
    path = settings.data_dir / "datasets" / "day"
    (path / "parts" / ".writing-00002-0123456789ab").mkdir()
    (path / "parts" / ".writing-00001").mkdir()  # as early versions named it
    (path / ".manifest.json.0123456789ab").write_text("{")
    dataset = extract(settings, export)
    assert_whole(dataset)
    assert [file.name for file in dataset.path.glob(".*")] == []


def test_kill_while_writing_the_catalogue_does_not_block_others(settings, export):
    path = settings.data_dir / "datasets" / "day"
    path.mkdir(parents=True)
    (path / ".catalogue.parquet.0123456789ab").write_bytes(b"PAR1")
    assert_whole(extract(settings, export))


def test_a_dataset_that_is_being_planned_is_incomplete(settings, export, monkeypatch):
    listed = []
    plan = FileSource.plan

    def looking(self, most, catalogue):
        listed.append(fl.datasets.list_datasets(settings).iloc[0])
        with pytest.raises(DatasetError, match="day has no rows yet: its extraction is being planned"):
            fl.datasets.open_dataset("day", settings)
        return plan(self, most, catalogue)

    monkeypatch.setattr(FileSource, "plan", looking)
    extract(settings, export)
    assert listed[0]["state"] == "incomplete"
    assert "is being planned" in listed[0]["problem"]


def test_a_manifest_of_a_later_version_is_read_and_kept(settings, export):
    dataset = extract(settings, export)
    file = dataset.path / "manifest.json"
    manifest = json.loads(file.read_text()) | {"origin": "later"}
    manifest["counts"]["merged"] = 5
    manifest["plan"][0]["shard"] = 7
    file.write_text(json.dumps(manifest))
    assert_whole(fl.datasets.open_dataset("day", settings))
    renamed = json.loads((fl.datasets.rename_dataset("day", "night", settings).path / "manifest.json").read_text())
    assert (renamed["origin"], renamed["counts"]["merged"], renamed["plan"][0]["shard"]) == ("later", 5, 7)


def test_a_format_of_a_later_version_is_refused_by_name(settings, export):
    dataset = extract(settings, export)
    file = dataset.path / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2, "frontierlab": "3.1"}))
    with pytest.raises(DatasetError, match=r"manifest.json was written by frontierlab 3.1 in format 2, .*Install"):
        fl.datasets.open_dataset("day", settings)


def test_request_of_a_later_version_is_not_resumed(settings, export):
    cancelled(settings, export)
    file = settings.data_dir / "datasets" / "day" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["request"]["server"] = "one"
    file.write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match=r"began the dataset day with a request for server, which .* does not know"):
        extract(settings, export)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"the disk of .*day is full \([\d,.]+ MB are free\): make room there"),
        (errno.EDQUOT, "the disk quota of this user for .*day is used up: make room there"),
        (errno.EACCES, r"Permission denied \(manifest.json\)"),
    ],
)
def test_extraction_resumes_after_a_failure_to_write_the_manifest(settings, export, monkeypatch, number, message):
    def write(self, folder):
        if self.state == "complete":
            raise OSError(number, os.strerror(number), "manifest.json")
        original(self, folder)

    original = Manifest.write
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "write", write)
        with pytest.raises(InterruptedExtraction, match=f"3 of 3 parts stored: {message}.*resumes the extraction\\.$"):
            extract(settings, export)
    assert fl.datasets.open_dataset("day", settings).state == "incomplete"
    assert_whole(extract(settings, export))


@pytest.mark.parametrize("place", ["write", "__exit__"])
def test_full_disk_of_a_helper_is_an_error_and_leaves_no_files(settings, export, monkeypatch, place):
    number = cancelled(settings, export)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SliceWriter, place, full)
        with pytest.raises(InterruptedExtraction, match=r"parts stored: the disk of .*day is full"):
            read_part("day", number, settings, lambda progress: None)
    assert not list((settings.data_dir / "datasets/day/parts").glob(".*"))
    assert_whole(extract(settings, export))


def test_failed_rename_or_deletion_changes_nothing(settings, export, monkeypatch):
    dataset = extract(settings, export)

    def rename(self, target):
        raise OSError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(type(dataset.path), "rename", rename)
        with pytest.raises(DatasetError, match="day cannot be renamed and was not changed: Permission denied"):
            fl.datasets.rename_dataset("day", "night", settings)
        with pytest.raises(DatasetError, match="day cannot be deleted and was not changed: Permission denied"):
            fl.datasets.delete_dataset("day", settings)
    assert Manifest.read(dataset.path) == dataset.manifest
    assert_whole(dataset)


def test_only_scratch_folders_of_ended_processes_are_removed(tmp_path):
    killed = tmp_path / ".counting-killed"
    killed.mkdir()
    (killed / "queries").write_text("")
    (tmp_path / ".counting-ended.lock").write_text("")
    with scratch_folder(tmp_path, ".counting-") as first, scratch_folder(tmp_path, ".counting-") as second:
        assert {path for path in tmp_path.iterdir() if path.is_dir()} == {first, second}
    assert list(tmp_path.iterdir()) == []


class SlowSource:
    """A source of two slices, which says when a part is opened; the slices of the first part wait."""

    slices = 2

    def __init__(self, request):
        self.request = request
        self.waiting = None
        self.opened, self.go_on = [], [threading.Event(), threading.Event()]
        self.second = threading.Event()

    @contextmanager
    def reading(self, part):
        self.opened.append(part.number)
        if part.number == 1:
            self.second.set()
        yield [self._documents(part, number) for number in range(2)]

    def _documents(self, part, number):
        if part.number == 0:
            assert self.go_on[number].wait(SECONDS)
        yield [b'{"@timestamp":"2026-10-01T00:00:00.000Z","sqldb":"CONDBR2"}'] * 5

    def with_iov(self, part):
        return None

    def wanted(self, rows, limit):
        return rows, Counter()

    def close(self):
        pass


def test_next_part_is_opened_when_a_slice_is_free(tmp_path):
    request = Request(source="a", limit_queries=100, db_instances=("CONDBR2",), complete=False)
    source = SlowSource(request)
    plan = [PlannedPart(number=number, start=0, stop=1, expected=10) for number in range(3)]
    path = tmp_path / "day"
    path.mkdir()
    manifest = Manifest(name="day", created="2026-10-03T00:00:00.000Z", request=request.model_dump(), plan=plan)
    manifest.write(path)
    looks = 0

    def report(progress):
        nonlocal looks
        looks += 1
        if looks == 1:
            assert source.opened == [0]  # both slices wait, and so does the next part: its point in time would expire
            source.go_on[0].set()
            assert source.second.wait(SECONDS)  # no slice idles until the other has ended
            source.go_on[1].set()

    runner = part_runner.PartRunner(path, manifest, None, lambda: source, threading.Event())
    runner.run(source, report)
    assert source.opened == [0, 1, 2]
    assert runner.missing() == []
