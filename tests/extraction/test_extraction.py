"""Extraction from export files: the rows and the counts, the request, what is there already."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import frontierlab as fl
from frontierlab.errors import CatalogueError, ConfigurationError, DatasetError, InvalidRequestError
from frontierlab.sample import World
from frontierlab.storage.losses import LimitReached, NothingKept
from tests.support.extractions import assert_is_the_world, assert_same_rows, small_parts  # noqa: F401
from tests.support.programs import forked

DAY = {"since": "2026-10-01", "until": "2026-10-02"}


@pytest.fixture(scope="module")
def world():
    return World(4_000, seed=3, malformed=0.02)


@pytest.fixture(scope="module")
def export(world, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "dump.ndjson"
    world.write(path)
    return path


def extract(settings, export, **options):
    return fl.extract(settings, name="d", source=export, progress=False, **options)


@pytest.mark.slow
@pytest.mark.parametrize("style", ["plain", "elasticdump"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_rows_of_an_export_file_are_those_of_the_world(settings, world, tmp_path, style, suffix):
    path = tmp_path / f"dump.ndjson{suffix}"
    world.write(path, style=style)
    assert_is_the_world(extract(settings, path), world)


@pytest.mark.slow
def test_the_shipped_sample_becomes_a_dataset(settings):
    assert_is_the_world(extract(settings, fl.sample.path()), World())


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
def test_number_of_parts_follows_from_the_size_of_the_file(settings, world, export):
    dataset = extract(settings, export)
    assert len(dataset.manifest.plan) == 4
    assert_is_the_world(dataset, world)


@pytest.mark.slow
def test_numbers_written_as_text_are_numbers(settings, tmp_path):
    world = World(3_000, numbers_as_strings=True)
    world.write(tmp_path / "dump.ndjson")
    dataset = extract(settings, tmp_path / "dump.ndjson")
    assert_is_the_world(dataset, world)
    assert dataset.manifest.converted["sqlsin"] > 1_000


@pytest.mark.slow
def test_documents_outside_period_and_filters_are_left_out_and_counted(settings, world, export):
    period = {"since": "2026-10-01T06:00", "until": "2026-10-01T14:00:00+02:00"}
    dataset = extract(settings, export, cached=False, taskid=None, **period)
    logs = world.logs()
    start, stop = (pa.scalar(hour * 3_600_000 + 1_790_812_800_000) for hour in (6, 12))
    time = logs["time"].cast(pa.int64())
    inside = pc.and_(pc.greater_equal(time, start), pc.less(time, stop))
    assert_same_rows(dataset.to_arrow(), logs.filter(pc.and_(inside, pc.equal(logs["cached"], False))))
    counts = dataset.counts
    assert counts.read == 4_000 == counts.kept + counts.left_out + counts.malformed
    assert dataset.manifest.left_out["outside the period"] > 1_000
    assert dataset.manifest.request["until"] == "2026-10-01T12:00:00.000Z"


@pytest.mark.slow
def test_filter_by_task(settings, world, export):
    logs = world.logs()
    taskid = logs["taskid"].value_counts()[0]["values"].as_py()
    assert_same_rows(extract(settings, export, taskid=taskid).to_arrow(), logs.filter(pc.equal(logs["taskid"], taskid)))


def test_extra_fields_become_columns(settings, tmp_path):
    documents = [{"@timestamp": "2026-10-01T00:00:00.000Z", "sqldb": "CONDBR2_RO", "dn": f"CN={i}"} for i in range(40)]
    documents[3] |= {"tries": 3, "when": "2026-10-01T01:00:00.000Z"}
    documents[7] |= {"tries": "many"}
    path = tmp_path / "dump.ndjson"
    path.write_text("\n".join(map(json.dumps, documents)))
    dataset = extract(settings, path, extra_fields={"dn": "name", "tries": "integer", "when": "time"})
    frame = dataset.to_pandas()
    assert set(frame["dn"]) == {f"CN={i}" for i in range(40)}
    assert frame["tries"].dropna().tolist() == [3]
    assert str(frame["when"].dropna().iloc[0]) == "2026-10-01 01:00:00+00:00"
    assert dataset.manifest.unfit == {"tries": 1}
    assert dataset.schema.names[-3:] == ["dn", "tries", "when"]


@pytest.mark.slow
def test_rows_are_not_completed_without_a_catalogue(settings, export, data_dir):
    other = fl.Settings(data_dir=data_dir)
    with pytest.raises(CatalogueError, match=r"no catalogue at .*coolr_file.*complete=False"):
        extract(other, export)
    assert not list((data_dir / "datasets").glob("[!.]*"))
    dataset = extract(other, export, complete=False)
    assert dataset.to_arrow(["nodetime"])["nodetime"].null_count == dataset.counts.kept


@pytest.mark.slow
def test_conflicts_between_id_and_name_are_in_the_manifest(settings, export):
    conflicts = extract(settings, export).manifest.conflicts
    assert sum(conflicts.values()) > 10
    assert all("tag_id" in text or "node_id" in text for text in conflicts)


@pytest.mark.slow
@pytest.mark.parametrize("limit", [1, 500, 2_500])
def test_limit_keeps_the_earliest_documents_and_warns(data_dir, world, export, limit):
    settings = fl.sample.settings(data_dir=data_dir, limit_queries=limit)
    with pytest.warns(LimitReached, match=f"limit_queries .{limit:,}. cut d at 2026-10-01T"):
        dataset = extract(settings, export)
    cut_at = dataset.manifest.limit["cut_at_ms"]
    logs = world.logs()
    assert_same_rows(dataset.to_arrow(), logs.filter(pc.less(logs["time"].cast(pa.int64()), cut_at)))
    readable = world.counts["read"] - sum(world.counts["set_aside"].values())
    assert dataset.manifest.limit["available"] == readable
    assert dataset.manifest.left_out["beyond limit_queries"] >= readable - limit


@pytest.mark.slow
def test_dry_run_describes_the_extraction_and_writes_nothing(settings, export, data_dir):
    dry = fl.extract(settings, source=export, dry_run=True, **DAY)
    assert dry.documents == 4_000
    assert dry.body is None
    dataset = extract(settings, export, **DAY)
    assert dry.size == pytest.approx(sum(f.stat().st_size for f in dataset.files()), rel=1.0)
    assert str(dry).startswith("4,000 documents in 1 part, about ")
    assert {path.name for path in (data_dir / "datasets").glob("[!.]*")} == {"d"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"since": "2026-10-02", "until": "2026-10-01"}, r"until .* is not after since"),
        ({"since": "2026-10-01", "until": "2026-10-01"}, r"until .* is not after since"),
        ({"since": "yesterday"}, r"'yesterday' is not a time: write 2026-10-01"),
        ({"cached": "no"}, r"cached='no' is not valid. Valid: True, False, or None"),
        ({"taskid": "12"}, r"taskid='12' is not valid"),
        ({"taskid": 10**30}, r"is not valid. Valid: an integer"),
        ({"since": "20261001112"}, r"is not a time"),
        ({"extra_fields": "dn"}, r"Give a list"),
        ({"extra_fields": ["time"]}, r"time is always read"),
        ({"extra_fields": ["iov_since"]}, r"iov_since is always read"),
        ({"extra_fields": ["Schema"]}, r"Schema and schema, which is always there, differ in case alone.*Leave Schema"),
        ({"extra_fields": ["SQLDB"]}, r"SQLDB and sqldb, which is always there, differ in case alone"),
        ({"extra_fields": ["dn", "DN"]}, r"dn and DN differ in case alone, and Spark cannot tell them apart. Take one"),
        ({"extra_fields": {"dn": "text"}}, r"cannot be read as 'text'. Valid: integer, number, flag, name, time"),
        ({"source": "nowhere.ndjson"}, r"There is no file .*nowhere.ndjson"),
        ({"name": "../d"}, r"'../d' is not the name of a dataset"),
        ({"name": ""}, r"'' is not the name of a dataset"),
    ],
)
def test_invalid_arguments_are_refused_before_any_work(settings, export, data_dir, options, message):
    with pytest.raises(InvalidRequestError, match=message):
        fl.extract(settings, **{"name": "d", "source": export, "progress": False} | options)
    assert not list(data_dir.glob("datasets/[!.]*"))


def test_address_and_index_are_required_without_a_file(data_dir):
    with pytest.raises(ConfigurationError, match="es_address is not set"):
        fl.extract(fl.sample.settings(data_dir=data_dir), name="d")
    with pytest.raises(ConfigurationError, match="es_index is not set"):
        fl.extract(fl.sample.settings(data_dir=data_dir, es_address="localhost"), name="d")


@pytest.mark.slow
def test_complete_dataset_is_not_changed(settings, export):
    before = extract(settings, export)
    text = (before.path / "manifest.json").read_text()
    with pytest.raises(DatasetError, match=r"d exists already and is complete. Choose another name, or delete it"):
        extract(settings, export)
    assert (before.path / "manifest.json").read_text() == text


class Stop(Exception):
    pass


def stop_early(settings, export):
    """Extract some of the parts."""

    def report(progress):
        if progress.done >= 3_000:
            raise Stop

    with pytest.raises(Stop):
        fl.extract(settings, name="d", source=export, progress=report)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.slow
def test_extraction_stopped_by_the_callback_can_be_resumed(settings, large_export, large_world):
    stop_early(settings, large_export)
    dataset = fl.datasets.open_dataset("d", settings)
    assert dataset.state == "incomplete"
    assert not list(dataset.path.glob("parts/.*"))
    with pytest.raises(DatasetError, match=r"d is incomplete: \d+ of 10 parts are stored. The same extract"):
        dataset.export(dataset.path / "x.csv")
    assert fl.datasets.list_datasets(settings)["state"].tolist() == ["incomplete"]
    with pytest.raises(
        DatasetError, match=r"belongs to another request: cached was None and is now True; taskid was None"
    ):
        extract(settings, large_export, cached=True, taskid=5)
    records = []
    fl.extract(settings, name="d", source=large_export, progress=records.append)
    assert_is_the_world(fl.datasets.open_dataset("d", settings), large_world)
    assert records[-1].done == records[-1].total == 10_000
    assert records[0].stage == "reading"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.slow
def test_extraction_of_a_changed_file_is_not_resumed(settings, tmp_path, large_export):
    changed = shutil.copy(large_export, tmp_path)
    stop_early(settings, changed)
    with Path(changed).open("a") as file:
        file.write("{}\n")
    with pytest.raises(
        DatasetError, match=r"source of d has changed.*: documents was 10000 and is now 10001; digest was"
    ):
        extract(settings, changed)


@pytest.mark.slow
def test_a_dataset_that_is_being_written_is_locked(settings, export):
    def report(progress):
        with pytest.raises(DatasetError, match=r"d is in use: process \d+ on .* is writing it"):
            extract(settings, export)
        with pytest.raises(DatasetError, match="d is in use"):
            fl.datasets.open_dataset("d", settings).delete()

    fl.extract(settings, name="d", source=export, progress=report)


def ended(work) -> tuple[int, str]:
    """Run a function in a process of its own; return how that ended, and its errors."""
    with forked(work, stderr=subprocess.PIPE, text=True) as child:
        _, said = child.communicate(timeout=60)
    return child.returncode, said


@pytest.fixture(scope="module")
def large_world():
    return World(10_000, seed=5)


@pytest.fixture(scope="module")
def large_export(large_world, tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "dump.ndjson"
    large_world.write(path)
    return path


@pytest.mark.usefixtures("small_parts")
@pytest.mark.slow
def test_killed_extraction_resumes_to_the_same_rows(settings, large_export, large_world):
    def kill(progress):
        if progress.done >= 3_000:
            os.kill(os.getpid(), signal.SIGKILL)

    code, said = ended(lambda: fl.extract(settings, name="d", source=large_export, progress=kill))
    assert code == -signal.SIGKILL, said
    dataset = fl.datasets.open_dataset("d", settings)
    assert dataset.state == "incomplete"
    whole = {path.name: path.stat().st_mtime_ns for path in dataset.path.glob("parts/0*")}
    assert 0 < len(whole) < 10
    dataset = extract(settings, large_export)
    assert_is_the_world(dataset, large_world)
    assert whole.items() <= {path.name: path.stat().st_mtime_ns for path in dataset.path.glob("parts/0*")}.items()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.slow
def test_extraction_resumes_after_a_full_disk(settings, data_dir, export, world):
    def on_a_full_disk():
        sys.dont_write_bytecode = True  # Python would store what it compiles cut off, for all later runs
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        extract(settings, export)

    code, said = ended(on_a_full_disk)
    assert code == 1
    assert "InterruptedExtraction: The extraction d stopped with 0 of 4 parts stored" in said
    assert "File too large" in said
    told = "0 of its 4,000 documents are stored, since no part was finished, and the same extract(…) call starts again."
    assert told in said
    assert fl.datasets.open_dataset("d", settings).state == "incomplete"
    assert not list(data_dir.glob("datasets/d/parts/*"))
    assert_is_the_world(extract(settings, export), world)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.slow
def test_incomplete_dataset_is_read_only_with_allow_incomplete(settings, large_export, large_world):
    stop_early(settings, large_export)
    dataset = fl.datasets.open_dataset("d", settings)
    with pytest.raises(DatasetError, match="d is incomplete"):
        dataset.to_pandas()
    rows = len(dataset.to_pandas(allow_incomplete=True))
    assert rows == dataset.counts.kept == fl.datasets.list_datasets(settings)["rows"][0] > 0
    outcome = dataset.path / "parts" / "00001" / "outcome.json"
    outcome.write_text("")  # a part that cannot say what it holds is read again
    assert_is_the_world(extract(settings, large_export), large_world)


def test_dataset_without_rows_gives_a_warning(settings, tmp_path):
    (tmp_path / "dump.ndjson").write_text('{"@timestamp": "2026-10-01T00:00:00.000Z", "sqldb": "CMS"}\n' * 20)
    with pytest.warns(NothingKept, match="None of 20 documents became a row of d: another database 20"):
        extract(settings, tmp_path / "dump.ndjson")


def test_limit_below_the_first_millisecond_gives_an_empty_dataset_and_a_warning(data_dir, tmp_path):
    document = '{"@timestamp": "2026-10-01T00:00:00.000Z", "sqldb": "CONDBR2"}\n'
    (tmp_path / "dump.ndjson").write_text(document * 50)
    settings = fl.sample.settings(data_dir=data_dir, limit_queries=20)
    with pytest.warns(LimitReached, match="there are 50 documents in the period. The dataset is empty"):
        assert extract(settings, tmp_path / "dump.ndjson").counts.kept == 0


def test_parquet_file_is_refused_as_export_file(settings, tmp_path):
    with pytest.raises(InvalidRequestError, match=r"a file of Parquet: frontierlab.datasets.import_parquet reads it"):
        extract(settings, fl.sample.path("catalogue.parquet"))


@pytest.mark.slow
def test_settings_may_be_the_path_of_a_configuration_file(tmp_path, data_dir):
    (tmp_path / "dump.ndjson").write_text('{"@timestamp": "2026-10-01T00:00:00.000Z", "sqldb": "CONDBR2"}\n')
    config, catalogue = tmp_path / "c.txt", fl.sample.path("catalogue.parquet")
    config.write_text(f"data_dir = here\ncoolr_file = {catalogue}\nlimit_queries = 30000\n")
    dataset = fl.extract(config, source=tmp_path / "dump.ndjson", name="d", progress=False)
    assert dataset.path == tmp_path / "here" / "datasets" / "d"  # from the file's folder, not from where one works
