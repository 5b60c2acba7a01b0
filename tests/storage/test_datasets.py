"""Datasets: listed, opened, read, exported, imported, deleted."""

from __future__ import annotations

import re
import shutil

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import frontierlab as fl
from frontierlab.errors import CatalogueError, DatasetError, InvalidRequestError
from frontierlab.sample import World
from frontierlab.schema import COLUMNS
from frontierlab.storage.locks import writing
from frontierlab.storage.losses import DocumentsLost, LimitReached
from tests.support.extractions import assert_is_the_world, assert_same_rows
from tests.support.logs import make_dataset


@pytest.fixture(scope="module")
def world():
    return World(5_000, seed=8, malformed=0.01)


@pytest.fixture(scope="module")
def extracted(world, tmp_path_factory):
    """A folder with the export file of the world, and the dataset of it in a data folder."""
    folder = tmp_path_factory.mktemp("extracted")
    world.write(folder / "dump.ndjson")
    settings = fl.sample.settings(data_dir=folder / "data", loss_warning_share=0.03)
    fl.extract(settings, name="day", source=folder / "dump.ndjson", progress=False)
    return folder


@pytest.fixture
def dataset(settings, extracted, tmp_path):
    shutil.copytree(extracted / "data", settings.data_dir, dirs_exist_ok=True)
    shutil.copy(extracted / "dump.ndjson", tmp_path)
    return fl.datasets.open_dataset("day", settings)


def test_the_list_has_name_state_rows_period_and_size(settings, dataset, world):
    listed = fl.datasets.list_datasets(settings)
    assert listed["name"].tolist() == ["day"]
    row = listed.iloc[0]
    time = world.logs()["time"].to_pandas()
    assert (row["state"], row["rows"], row["problem"]) == ("complete", world.counts["kept"], "")
    assert (row["since"], row["until"]) == (time.min(), time.max())
    assert str(listed["since"].dtype).endswith("UTC]")
    assert row["size"] == sum(path.stat().st_size for path in dataset.path.rglob("*") if path.is_file())


def test_the_list_of_an_empty_folder_has_the_same_columns(settings):
    assert fl.datasets.list_datasets(settings).columns.tolist() == [
        *("name", "state", "rows", "since", "until", "size", "created", "problem"),
    ]


@pytest.mark.parametrize("text", ["", "{", '{"format": 1}', "[]"])
def test_a_damaged_dataset_is_listed_with_its_reason(settings, dataset, text):
    (dataset.path / "manifest.json").write_text(text)
    listed = fl.datasets.list_datasets(settings)
    assert listed["state"].tolist() == ["damaged"]
    assert "manifest.json is damaged" in listed["problem"].iloc[0]
    with pytest.raises(DatasetError, match=r"manifest.json is damaged"):
        fl.datasets.open_dataset("day", settings)


def test_missing_dataset_is_an_error(settings, dataset):
    with pytest.raises(DatasetError, match=r"no dataset 'night' in .*datasets. Valid: day."):
        fl.datasets.open_dataset("night", settings)


@pytest.mark.parametrize("name", ["night", "night-*"])
def test_a_missing_dataset_tells_how_the_folder_is_found(settings, dataset, name):
    where = r"set data_dir in the configuration file, in FRONTIERLAB_DATA_DIR or as Settings\(data_dir=…\)\.$"
    with pytest.raises(DatasetError, match=f"{re.escape(str(settings.data_dir / 'datasets'))}.* day\\. .*{where}"):
        fl.datasets.period(name, settings=settings)
    fl.datasets.delete_dataset("day", settings)
    with pytest.raises(DatasetError, match=r"none yet\. extract\(…\) makes one\. To look in another data folder"):
        fl.datasets.period(name, settings=settings)


def test_the_manifest_holds_the_counts(dataset):
    assert dataset.manifest.counts == dataset.counts
    assert dataset.manifest.counts.read == 5_000


def test_dataset_replaced_within_a_millisecond_has_another_identity(dataset):
    first, manifest = dataset.identity, dataset.manifest
    dataset.manifest = manifest.model_copy(update={"id": "another"})
    assert dataset.identity != first
    dataset.manifest = manifest.model_copy(update={"id": ""})  # of an early version
    assert dataset.identity == f"{manifest.created}, complete, {manifest.counts.read} documents"


def test_pandas_types_keep_every_value(dataset, world):
    frame = dataset.to_pandas()
    types = {column.name: str(frame[column.name].dtype) for column in COLUMNS}
    assert types["time"] == "datetime64[ms, UTC]"
    assert {types[name] for name in ("since", "until", "sqlhash", "fsize")} == {"Int64"}
    assert {types[name] for name in ("cached", "rejected")} == {"boolean"}
    assert types["schema"] == "category"
    assert frame["until"].max() == world.logs()["until"].to_pandas().max() > 2**53
    assert dataset.to_pandas(["db", "fsize"]).columns.tolist() == ["db", "fsize"]
    with pytest.raises(InvalidRequestError, match=r"day has no column nodes. Its columns: time, taskid"):
        dataset.to_pandas(["nodes"])


def test_another_tool_reads_the_parts(dataset, world):
    files = [str(file) for file in dataset.files()]
    rows = duckdb.sql("SELECT count(*), sum(fsize), max(until) FROM read_parquet($files)", params={"files": files})
    logs = world.logs().to_pandas()
    assert rows.fetchall() == [(len(logs), logs["fsize"].sum(), logs["until"].max())]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_an_export_holds_all_rows(dataset, world, tmp_path, suffix):
    path = dataset.export(tmp_path / f"rows{suffix}")
    logs = world.logs()
    if suffix == ".parquet":
        assert_same_rows(pq.read_table(path).cast(logs.schema), logs)
    else:
        frame = pd.read_csv(path, dtype={"until": "Int64"})
        assert (len(frame), frame["until"].sum()) == (len(logs), logs["until"].to_pandas().sum())
        assert frame["time"].iloc[0].startswith("2026-10-01")
        assert frame["time"].iloc[0].endswith("Z")
    assert path.stat().st_mode & 0o044  # as any file of this user, not as a secret
    with pytest.raises(InvalidRequestError, match=r"exists already. overwrite=True replaces it"):
        dataset.export(path)
    assert dataset.export(path, overwrite=True) == path


def test_export_with_another_suffix_is_refused(dataset, tmp_path):
    with pytest.raises(
        InvalidRequestError, match=r"rows.xlsx is not valid. Valid: a name that ends in .parquet or .csv"
    ):
        dataset.export(tmp_path / "rows.xlsx")


def test_deleted_dataset_leaves_no_files(settings, dataset):
    dataset.delete()
    assert fl.datasets.list_datasets(settings).empty
    assert not [path for path in dataset.path.parent.iterdir() if path.is_dir()]


def todays_layout(dataset) -> pd.DataFrame:
    """Rows as today's tool stores them: times as text, integers with gaps as floats, no IOV base."""
    frame = dataset.to_pandas().drop(columns="nodetime")
    frame["time"] = frame["time"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str[:-3] + "Z"
    frame["querytime"] = frame["querytime"].astype("float64")
    names = frame.select_dtypes("category").columns
    return frame.astype(dict.fromkeys(names, object))


@pytest.mark.slow
def test_parquet_file_of_the_existing_tool_becomes_the_same_dataset(settings, dataset, tmp_path):
    frame = todays_layout(dataset)
    frame["batch"] = 1
    frame.to_parquet(tmp_path / "today.parquet")
    imported = fl.datasets.import_parquet(tmp_path / "today.parquet", "today", settings)
    assert_same_rows(imported.to_arrow(), dataset.to_arrow())
    assert imported.state == "complete"
    assert imported.counts.read == imported.counts.kept == len(frame)
    assert "not imported: batch" in " ".join(imported.manifest.notes)
    assert fl.datasets.list_datasets(settings)["rows"].tolist() == [len(frame)] * 2


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_of_any_unit_and_zone_are_read(settings, tmp_path, unit, zone):
    time = pa.array([1_790_812_800], pa.timestamp("s", zone)).cast(pa.timestamp(unit, zone))
    pq.write_table(pa.table({"time": time, "db": ["CONDBR2_RO"]}), tmp_path / "a.parquet")
    imported = fl.datasets.import_parquet(tmp_path / "a.parquet", "a", settings)
    assert imported.to_pandas()["time"].tolist() == [pd.Timestamp("2026-10-01", tz="UTC")]
    assert imported.to_pandas()["since"].tolist() == [-1]


def test_malformed_rows_are_kept_with_the_reason(settings, tmp_path):
    times = ["2026-10-01T00:00:00.000Z", "2026-10-01 01:00:00", "never", "2026-10-01"]
    table = pa.table({"@timestamp": times, "sqldb": ["CONDBR2", "OFLP200_RO", "CONDBR2", "CMS"], "fsize": [1, 2, 3, 4]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.warns(DocumentsLost, match=r"2 of 4 documents are malformed and are not in a: @timestamp: a date"):
        imported = fl.datasets.import_parquet(tmp_path / "a.parquet", "a", settings)
    assert sorted(imported.to_pandas()["db"]) == ["CONDBR2", "OFLP200"]
    assert imported.manifest.malformed == {"@timestamp: a date without a time of day": 1, "@timestamp: not a time": 1}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"db": ["CONDBR2"]}), "does not hold query logs: it lacks time. Its columns: db."),
        (pa.table({"a": [1]}), "it lacks time and db"),
        (pa.table({"time": ["x"], "@timestamp": ["x"], "db": ["x"]}), "has @timestamp twice"),
        (
            pa.table({"time": ["2026-10-01T00:00:00.000Z"], "db": ["CONDBR2"], "since": [1.7e18]}),
            r"column since holds integers as floats, up to 1.7e\+18. From 9,007,199,254,740,992 on",
        ),
    ],
)
def test_unusable_parquet_file_is_refused_with_a_reason(settings, tmp_path, table, message):
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InvalidRequestError, match=message):
        fl.datasets.import_parquet(tmp_path / "a.parquet", "a", settings)
    assert fl.datasets.list_datasets(settings).empty


def test_other_file_and_taken_name_are_refused(settings, dataset, world, tmp_path):
    (tmp_path / "a.parquet").write_text("not so")
    with pytest.raises(InvalidRequestError, match=r"a.parquet cannot be read as a Parquet file"):
        fl.datasets.import_parquet(tmp_path / "a.parquet", "a", settings)
    todays_layout(dataset).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DatasetError, match="The dataset day exists already"):
        fl.datasets.import_parquet(tmp_path / "b.parquet", "day", settings)
    assert_is_the_world(fl.datasets.open_dataset("day", settings), world)
    with pytest.raises(CatalogueError, match="There is no catalogue"):
        fl.datasets.import_parquet(tmp_path / "b.parquet", "b", fl.Settings(data_dir=settings.data_dir))


def test_folder_of_other_files_is_not_changed(settings, dataset, tmp_path):
    strange = settings.data_dir / "datasets" / "precious"
    strange.mkdir()
    (strange / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"precious exists and is not a dataset: .*but thesis.txt. Choose another"):
        fl.extract(settings, source=tmp_path / "dump.ndjson", name="precious", progress=False)
    todays_layout(dataset).to_parquet(tmp_path / "today.parquet")
    with pytest.raises(DatasetError, match="is not a dataset"):
        fl.datasets.import_parquet(tmp_path / "today.parquet", "precious", settings)
    assert (strange / "thesis.txt").read_text() == "mine"


def test_parts_without_a_manifest_do_not_become_another_dataset(settings, dataset, tmp_path):
    (dataset.path / "manifest.json").unlink()
    with pytest.raises(DatasetError, match=r"day exists and is not a dataset: .*but parts"):
        fl.extract(settings, source=tmp_path / "dump.ndjson", name="day", progress=False)
    assert list(dataset.path.glob("parts/00000/*.parquet"))


def test_missing_or_damaged_files_are_errors(settings, dataset):
    file = dataset.files()[0]
    whole = file.read_bytes()
    file.write_bytes(whole[:-10])
    with pytest.raises(DatasetError, match="A file of the dataset day is damaged"):
        dataset.to_pandas()
    file.unlink()
    with pytest.raises(DatasetError, match=r"Files of the dataset day are missing: [\d,]+ of its [\d,]+ rows"):
        dataset.to_pandas()
    fl.datasets.delete_dataset("day", settings)
    with pytest.raises(DatasetError, match=r"day was deleted or renamed since it was opened\. If it was renamed, open"):
        dataset.to_pandas()


def test_an_incomplete_dataset_that_was_deleted_is_an_error(tmp_path):
    half = make_dataset(tmp_path / "half", [{"taskid": 1}], missing=1)
    assert half.to_pandas(allow_incomplete=True)["taskid"].tolist() == [1]
    half.delete()
    with pytest.raises(DatasetError, match="half was deleted or renamed"):
        half.to_pandas(allow_incomplete=True)


def test_a_damaged_dataset_can_be_deleted_once(settings, dataset):
    (dataset.path / "manifest.json").write_text("{")
    fl.datasets.delete_dataset("day", settings)
    assert fl.datasets.list_datasets(settings).empty
    with pytest.raises(DatasetError, match=r"There is no dataset 'day' in .*\. Valid: none yet\."):
        fl.datasets.delete_dataset("day", settings)


@pytest.mark.slow
def test_imported_export_keeps_its_request(data_dir, world, tmp_path):
    settings = fl.sample.settings(data_dir=data_dir, limit_queries=1_000)
    world.write(tmp_path / "dump.ndjson")
    with pytest.warns(UserWarning, match="limit_queries"):
        cut = fl.extract(settings, name="cut", source=tmp_path / "dump.ndjson", cached=False, progress=False)
    with pytest.warns(LimitReached, match="cut again at"):
        again = fl.datasets.import_parquet(cut.export(tmp_path / "cut.parquet"), "again", settings)
    assert_same_rows(again.to_arrow(), cut.to_arrow())
    assert again.manifest.limit == cut.manifest.limit
    assert again.manifest.request["cached"] is False
    assert "Imported from an export of the dataset cut." in again.manifest.notes


def test_names_as_bytes_are_text_and_short_floats_that_lost_digits_are_refused(settings, tmp_path):
    table = pa.table({"time": ["2026-10-01T00:00:00.000Z"], "db": [b"CONDBR2"], "nodefullpath": [b"/A"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert fl.datasets.import_parquet(tmp_path / "a.parquet", "a", settings).to_pandas()["nodefullpath"][0] == "/A"
    pq.write_table(table.append_column("pandaid", pa.array([6.7e9], pa.float32())), tmp_path / "b.parquet")
    with pytest.raises(InvalidRequestError, match=r"column pandaid holds integers as floats.*From 16,777,216 on"):
        fl.datasets.import_parquet(tmp_path / "b.parquet", "b", settings)


def test_unusable_data_folder_is_an_error(tmp_path, dataset):
    (tmp_path / "file").write_text("")
    settings = fl.sample.settings(data_dir=tmp_path / "file")
    with pytest.raises(DatasetError, match=r"file/datasets/d cannot be written: .*data_dir"):
        fl.extract(settings, source=fl.sample.path(), name="d", progress=False)


def test_renamed_dataset_is_the_same_dataset(settings, dataset, world):
    renamed = fl.datasets.rename_dataset("day", "other.day", settings)
    assert (renamed.name, renamed.manifest.name) == ("other.day", "other.day")
    assert_is_the_world(renamed, world)
    assert fl.datasets.list_datasets(settings)["name"].tolist() == ["other.day"]
    assert not dataset.path.exists()


@pytest.mark.slow
def test_taken_or_invalid_name_changes_nothing(settings, dataset, world, tmp_path):
    fl.extract(settings, name="night", source=tmp_path / "dump.ndjson", progress=False)
    for name in ("day", "night"):
        with pytest.raises(DatasetError, match=f"The dataset {name} exists already"):
            fl.datasets.rename_dataset("day", name, settings)
    with pytest.raises(InvalidRequestError, match="not the name of a dataset"):
        fl.datasets.rename_dataset("day", "../day", settings)
    with pytest.raises(DatasetError, match="There is no dataset 'dusk'"):
        fl.datasets.rename_dataset("dusk", "dawn", settings)
    strange = dataset.path.with_name("strange")
    strange.mkdir()
    (strange / "a.txt").write_text("mine")
    with pytest.raises(DatasetError, match="exists and is not a dataset"):
        fl.datasets.rename_dataset("day", "strange", settings)
    with writing(dataset.path), pytest.raises(DatasetError, match="in use"):
        fl.datasets.rename_dataset("day", "dawn", settings)
    assert_is_the_world(fl.datasets.open_dataset("day", settings), world)
    assert sorted(path.name for path in dataset.path.parent.glob("[!.]*")) == ["day", "night", "strange"]
