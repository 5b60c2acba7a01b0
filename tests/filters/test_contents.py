"""Folders and tasks to choose from, against the truth of the sample."""

from __future__ import annotations

import pytest

import frontierlab as fl
from frontierlab.catalogue import Catalogue
from frontierlab.filters import contents
from frontierlab.sample import World

WORLD = World(3_000, seed=4)


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    WORLD.write(folder / "dump.ndjson")
    settings = fl.sample.settings(data_dir=folder)
    dataset = fl.extract(settings, name="day", source=folder / "dump.ndjson", progress=False)
    return fl.open_logs(dataset)


def test_folders_are_those_of_the_logs(logs):
    found = contents.folders(logs)
    truth = WORLD.logs().to_pandas().groupby(["db", "schema", "nodefullpath"], dropna=False, observed=True).size()
    assert found["queries"].sum() == len(WORLD.logs())
    assert len(found) == len(truth)
    one = found.dropna().sort_values("queries").iloc[-1]
    assert one["queries"] == truth.max()


def test_folders_of_the_catalogue_have_no_queries(logs):
    catalogue = Catalogue.read(fl.sample.path("catalogue.parquet"))
    found, alone = contents.folders(logs, catalogue), contents.folders(logs)
    assert found["queries"].sum() == alone["queries"].sum()
    names = {*found.dropna()[["db", "schema", "nodefullpath"]].itertuples(index=False, name=None)}
    table = catalogue.table.to_pandas()
    assert {*zip(table["db"], table["schema"], table["node"], strict=True)} <= names
    assert not found.duplicated(["db", "schema", "nodefullpath"]).any()


def test_a_selection_is_counted_alone(logs):
    found = contents.folders(logs, selection=fl.Selection(db="CONDBR2", cached=False))
    truth = WORLD.logs().to_pandas()
    assert set(found["db"]) == {"CONDBR2"}
    assert found["queries"].sum() == ((truth["db"] == "CONDBR2") & (truth["cached"] == False)).sum()  # noqa: E712


def test_tasks_are_counted_the_largest_first(logs):
    found = contents.tasks(logs)
    truth = WORLD.logs().to_pandas()["taskid"].value_counts()
    assert dict(zip(found["taskid"], found["queries"], strict=True)) == truth.to_dict()
    assert found["queries"].is_monotonic_decreasing
