"""The sample world as servlet logs, read back: the rows of its documents."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab.errors import Cancelled, DatasetError, InvalidRequestError
from frontierlab.losses import DocumentsLost, PartialSource
from frontierlab.rawlogs import read_servlet_logs, write_servlet_logs
from frontierlab.rawlogs.servlet.printing import VERSIONS
from frontierlab.sample import World
from frontierlab.schema import arrow_schema
from frontierlab.settings import Settings
from frontierlab.storage.dataset import Dataset

WORLD = World(600, seed=5, malformed=0, faithful=True)
SHARED = [name for name in arrow_schema().names if name != "sqlhash"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return fl.sample.settings(data_dir=tmp_path / "data", loss_warning_share=0.001)


def plain(frame: pd.DataFrame, columns: list[str]) -> list[tuple[object, ...]]:
    texts = {name: frame[name].astype("string") for name in columns}
    return sorted(pd.DataFrame(texts).fillna("null").itertuples(index=False, name=None))


def read(folder: Path, settings: Settings, name: str = "logs", **more: object) -> Dataset:
    return read_servlet_logs(folder, settings, name=name, progress=False, keep_personal_data=True, **more)


def truth(columns: list[str], world: World = WORLD) -> list[tuple[object, ...]]:
    rows = world.logs()
    texts = {}
    for name in columns:
        values = rows[name].to_pylist()
        texts[name] = ["null" if value is None else str(value) for value in values]
    if "time" in columns:
        texts["time"] = pd.Series(pd.to_datetime(rows["time"].to_pandas())).astype("string").tolist()
    return sorted(zip(*texts.values(), strict=True))


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"verbosity": 2, "zone": "Europe/Zurich", "version": "3.30", "files": 3, "compression": "gz"},
        {"version": "3.25", "files": 2, "compression": "zst", "reloads": 2, "noise": 0.1, "with_url": False},
        {"version": "3.33", "zone": "America/St_Johns", "verbosity": 4, "reloads": 1},
    ],
)
@pytest.mark.slow
def test_logs_of_a_world_give_the_rows_of_its_documents(tmp_path: Path, settings: Settings, how: dict) -> None:
    write_servlet_logs(WORLD, tmp_path / "logs", **how)
    if how.get("noise"):
        with pytest.warns(DocumentsLost, match="could not be read and were set aside"):
            dataset = read(tmp_path / "logs", settings)
        assert "could not be read" in dataset.manifest.notes[0]
    else:
        dataset = read(tmp_path / "logs", settings)
    assert plain(dataset.to_pandas(), SHARED) == truth(SHARED)
    lines = dataset.manifest.source["lines"]
    assert lines["lines"] == lines["used"] + lines["continuations"] + sum(lines["set_aside"].values())
    written = sum(log.count(b"\n") for log in contents(tmp_path / "logs"))
    assert lines["lines"] == written


def contents(folder: Path) -> list[bytes]:
    from frontierlab.rawlogs.lines import blocks

    return [b"".join(block.data for block in blocks(file)) for file in sorted(folder.rglob("catalina*"))]


@pytest.mark.slow
def test_extracting_the_documents_and_reading_the_logs_agree(tmp_path: Path, settings: Settings) -> None:
    WORLD.write(tmp_path / "documents.ndjson")
    documents = fl.extract(settings, source=tmp_path / "documents.ndjson", name="documents", progress=False)
    write_servlet_logs(WORLD, tmp_path / "logs")
    logs = read(tmp_path / "logs", settings)
    columns = [name for name in SHARED if name != "time"]
    assert plain(logs.to_pandas(), columns) == plain(documents.to_pandas(), columns)
    # the hashes differ, but they tell the same queries apart: those for payloads that differ in tag, channel or IOV
    keys = ["db", "schema", "node_id", "tag_id", "since", "until", "sqlhash"]
    sizes = [
        Counter(frame[frame["since"] >= 0].groupby(keys, dropna=False, observed=True).size().tolist())
        for frame in (logs.to_pandas(), documents.to_pandas())
    ]
    assert sizes[0] == sizes[1]
    for question in (fl.filters.queries_per_schema, fl.filters.uncached_by_kind, fl.filters.payload_per_schema):
        frames = [question(fl.open_logs(one), db="CONDBR2") for one in (logs, documents)]
        pd.testing.assert_frame_equal(*frames)
    figures = [fl.caching.efficiency(one, settings, progress=False) for one in (logs, documents)]
    names = [name for name in figures[0] if name != "repeated_by"]
    assert plain(figures[0], names) == plain(figures[1], names)
    worst = figures[0].iloc[0][["db", "schema", "nodefullpath", "tagname"]].to_dict()
    grids = [fl.caching.what_if(one, settings, **worst) for one in (logs, documents)]
    pd.testing.assert_frame_equal(*grids, check_like=True)
    assert grids[0]["requests"].iloc[-1] < grids[0]["requests"].iloc[0]
    assert len(figures[0]) > 20


def test_a_machine_can_be_named_for_its_logs(tmp_path: Path, settings: Settings) -> None:
    write_servlet_logs(World(60, malformed=0, faithful=True), tmp_path / "logs")
    frame = read(tmp_path / "logs", settings, hosts={"logs/cern": "lpad1"}).to_pandas()
    here = frame["log"].str.contains("cern")
    assert set(frame.loc[here, "frontierserver"]) == {"lpad1"}
    assert set(frame.loc[~here, "frontierserver"].str.split(".").str[1]) == {"lyon", "triumf"}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_read(tmp_path: Path, settings: Settings, version: str) -> None:
    world = World(60, seed=8, malformed=0, faithful=True)
    write_servlet_logs(world, tmp_path / "logs", version=version)
    dataset = read(tmp_path / "logs", settings)
    assert set(dataset.to_pandas()["servlet_version"]) == {version}
    # what an old servlet does not print of its outcome is not there to be read
    told = {"cached": (3, 12), "rejected": (3, 25)}
    release = tuple(map(int, version.split(".")))
    untold = {flag for flag, since in told.items() if release < since}
    columns = [name for name in SHARED if name not in untold]
    assert plain(dataset.to_pandas(), columns) == truth(columns, world)


@pytest.mark.parametrize("form", ["json", "logback"])
def test_records_of_the_servlet_of_2025_are_read(tmp_path: Path, settings: Settings, form: str) -> None:
    write_servlet_logs(WORLD, tmp_path / "logs", form=form)
    dataset = read(tmp_path / "logs", settings)
    frame = dataset.to_pandas()
    asked = ["time", "db", "schema", "node_id", "nodefullpath", "tag_id", "since", "until", "querytime"]
    assert plain(frame, asked) == truth(asked)
    ran = frame[frame["outcome"] != "unknown"]
    columns = [*asked, "disconn", "procerror", "dbtime", "fsize"]
    assert not Counter(plain(ran, columns)) - Counter(truth(columns))
    untold = frame[frame["outcome"] == "unknown"]
    assert len(untold) == sum(map(bool, WORLD.logs()["cached"].to_pylist() + WORLD.logs()["rejected"].to_pylist()))
    assert untold[["cached", "rejected", "dbtime"]].isna().all(axis=None)
    lines = dataset.manifest.source["lines"]
    assert lines["lines"] == lines["used"] + lines["continuations"]


def test_lost_lines_and_killed_servlets_are_seen(tmp_path: Path, settings: Settings) -> None:
    write_servlet_logs(WORLD, tmp_path / "logs", lost=0.2, kills=2)
    frame = read(tmp_path / "logs", settings).to_pandas()
    assert set(frame["seen"]) >= {"whole", "no start", "no stop"}
    assert frame.loc[frame["seen"].isin(["no stop", "neither"]), "querytime"].isna().all()
    assert frame.loc[frame["seen"].isin(["no start", "neither"]), "taskid"].isna().all()
    whole = frame[frame["seen"] == "whole"]
    columns = [name for name in SHARED if name != "time"]
    assert not Counter(plain(whole, columns)) - Counter(truth(columns))
    assert set(frame["generation"]) == {0, 1, 2}


def test_personal_data_are_replaced_everywhere(tmp_path: Path) -> None:
    settings = fl.sample.settings(
        data_dir=tmp_path / "data", loss_warning_share=0.001, personal_data_key="a key of the test, long enough"
    )
    write_servlet_logs(World(30, malformed=0, faithful=True), tmp_path / "logs")
    file = tmp_path / "logs/cern.example/catalina.out"
    file.write_bytes(file.read_bytes() + b"odd line of raddr 10.1.2.3 frontier-id: jdoe(1234) John Doe\n")
    with pytest.warns(DocumentsLost):
        dataset = read_servlet_logs(tmp_path / "logs", settings, name="hashed", progress=False)
    stored = b"".join(one.read_bytes() for one in dataset.path.rglob("*") if one.is_file() and one.suffix != ".parquet")
    text = dataset.to_pandas().to_csv() + stored.decode("utf-8", "replace")
    for secret in ("prod", "10.1.2.3", "John", "wn0", "squid1.", "squid2."):
        assert secret not in text
    assert "personal_data_key" in dataset.manifest.notes[-1]


def test_lines_that_are_no_lines_of_a_servlet_are_kept_with_their_place(tmp_path: Path, settings: Settings) -> None:
    write_servlet_logs(World(30, malformed=0, faithful=True), tmp_path / "logs")
    file = tmp_path / "logs/cern.example/catalina.out"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:4], b"what is this \xff\n", *lines[4:]]))
    with pytest.warns(DocumentsLost, match="not a line of a servlet 1"):
        dataset = read(tmp_path / "logs", settings)
    (record,) = [json.loads(document) for document in dataset.malformed()["document"]]
    assert record == {"file": str(file), "line": 5, "text": "what is this \\xff"}


def test_a_damaged_file_is_read_to_the_damage_and_said(tmp_path: Path, settings: Settings) -> None:
    write_servlet_logs(WORLD, tmp_path / "logs", files=2, compression="gz")
    file = tmp_path / "logs/cern.example/catalina.out.1.gz"
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.warns(PartialSource, match="damaged or cut short"):
        dataset = read(tmp_path / "logs", settings)
    assert 0 < dataset.counts.kept < len(WORLD.logs())


def test_nothing_is_left_when_reading_is_stopped(tmp_path: Path, settings: Settings) -> None:
    write_servlet_logs(World(60, malformed=0, faithful=True), tmp_path / "logs")

    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_servlet_logs(tmp_path / "logs", settings, name="logs", progress=stop)
    running = fl.cancellable()
    running.cancel()
    with running, pytest.raises(Cancelled):
        read(tmp_path / "logs", settings)
    assert not [one for one in (settings.data_dir / "datasets").iterdir() if not one.name.startswith(".")]
    dataset = read(tmp_path / "logs", settings)
    with pytest.raises(DatasetError, match="exists already"):
        read(tmp_path / "logs", settings)
    assert dataset.state == "complete"


def test_a_file_without_lines_of_a_servlet_is_refused(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "other.log").write_text("nothing of a servlet\n" * 50)
    with pytest.raises(InvalidRequestError, match="No servlet log was found"):
        read(tmp_path / "other.log", settings)
