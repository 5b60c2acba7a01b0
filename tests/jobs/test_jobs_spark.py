"""Jobs that need Spark: results in files, selections as arguments, cancellation."""

from __future__ import annotations

import shutil

import pytest
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import InvalidRequestError
from frontierlab.sample import World
from tests.spark.test_spark_statements import ENDLESS, active_jobs, nothing_is_left
from tests.support.waiting import wait_for

LONG = 300  # seconds after which a test that waits has failed


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """A dataset of 3,000 documents, which tests only copy."""
    folder = tmp_path_factory.mktemp("extracted")
    World(3_000, seed=3).write(folder / "dump.ndjson")
    settings = fl.sample.settings(data_dir=folder)
    return fl.extract(settings, name="d", source=folder / "dump.ndjson", progress=False).path


@pytest.fixture
def dataset(settings, extracted):
    """A copy of the dataset in the data folder of the test."""
    shutil.copytree(extracted, settings.data_dir / "datasets" / "d")
    return fl.datasets.open_dataset("d", settings)


@pytest.mark.slow
def test_caching_figures_are_read_back_unchanged(settings, dataset):
    here = fl.caching.efficiency(dataset, settings, progress=False)
    job = jobs.submit("caching", settings=settings, backend="thread", dataset=dataset, store=True)
    found = job.result(LONG)
    for frame in (found, here):
        assert frame.attrs.pop("answered")["engine"] == "duckdb"
    assert found.attrs == here.attrs
    assert found.dtypes.equals(here.dtypes)
    assert found.equals(here)
    assert job.warnings == here.attrs["notes"]
    assert job.arguments == {"dataset": "d", "store": True}
    assert len(fl.caching.history.read(settings)) == len(here)


@pytest.mark.slow
def test_caching_figures_of_some_folders(settings, dataset):
    here = fl.caching.efficiency(dataset, settings, progress=False)
    folder = tuple(here.loc[0, ["db", "schema", "nodefullpath"]])
    job = jobs.submit("caching", settings=settings, backend="inline", dataset="d", folders=[folder])
    assert job.arguments["folders"] == [[*folder]]
    assert job.result()["nodefullpath"].unique().tolist() == [folder[2]]
    picked = fl.Selection(nodefullpath=folder[2])
    job = jobs.submit("caching", settings=settings, backend="inline", dataset="d", selection=picked)
    assert job.result()["nodefullpath"].unique().tolist() == [folder[2]]
    assert job.result().attrs["selection"] == {"nodefullpath": [folder[2]]}
    with pytest.raises(InvalidRequestError, match=r"store='yes' is not valid: True or False"):
        jobs.submit("caching", settings=settings, backend="inline", dataset="d", store="yes")


@pytest.mark.slow
@pytest.mark.usefixtures("few_chapters", "no_beginning")
def test_a_report_is_written(settings, dataset, tmp_path):
    job = jobs.submit("report", settings=settings, backend="thread", dataset=dataset, path=tmp_path / "r.html")
    assert job.result(LONG) == tmp_path / "r.html"
    assert "</html>" in (tmp_path / "r.html").read_text()
    with pytest.raises(InvalidRequestError, match="is a folder: give the path of a file in it"):
        jobs.submit("report", settings=settings, backend="inline", dataset=dataset, path=tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("few_chapters", "no_beginning")
def test_a_report_of_a_selection(settings, dataset):
    selection = fl.Selection(db="CONDBR2", since="2026-10-01T06:00")
    given = {"dataset": dataset, "selection": selection, "findings": False}  # which would be found twice below
    job = jobs.submit("report", settings=settings, backend="inline", **given)
    assert job.arguments["selection"] == {"since": "2026-10-01T06:00:00.000Z", "db": ["CONDBR2"]}
    assert "CONDBR2" in job.result().read_text()
    again = jobs.submit("report", settings=settings, backend="inline", **job.arguments)
    assert again.arguments == job.arguments
    with pytest.raises(InvalidRequestError, match="dbs"):
        jobs.submit("report", settings=settings, backend="inline", dataset="d", selection={"dbs": ["CONDBR2"]})


@pytest.mark.spark
@pytest.mark.parametrize("kind", ["caching", "report"])
def test_cancelling_a_job_ends_its_spark_work(settings, dataset, running, monkeypatch, kind):
    ask = SparkSession.sql
    monkeypatch.setattr(SparkSession, "sql", lambda session, *_, **__: ask(session, ENDLESS))
    settings = settings.model_copy(update={"engine": "spark"})
    job = jobs.submit(kind, settings=settings, backend="thread", dataset=dataset)
    wait_for(lambda: active_jobs(running))
    job.cancel()
    assert job.wait(LONG) == "cancelled"
    nothing_is_left(running)  # the statement would take many minutes
    assert not (dataset.path / "report.html").exists()
