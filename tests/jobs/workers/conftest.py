"""Fixtures of the tests of workers: their settings and the workers."""

from __future__ import annotations

import shutil

import pytest

import frontierlab as fl
from tests.services.redis import Worker
from tests.support.jobs import print_end, show_jobs
from tests.support.workers import WORLD


@pytest.fixture
def configure(data_dir, tmp_path, redis_server):
    """Write the configuration file of submitter and workers, and return its settings."""

    def write(**changes):
        fields = {
            "data_dir": data_dir,
            "coolr_file": shutil.copy(fl.sample.path("catalogue.parquet"), tmp_path),
            "coolr_archive": fl.sample.path("catalogue.parquet").parent,
            "broker_url": redis_server.url,
            "job_backend": "celery",
            "job_lost_seconds": 4,
            "part_documents": 1_000,
        }
        path = fl.create_config_file(tmp_path / "configuration.txt", overwrite=True, **{**fields, **changes})
        return fl.Settings(path)

    return write


@pytest.fixture
def settings(configure):
    """The settings of submitter and workers."""
    return configure()


@pytest.fixture
def start(tmp_path, data_dir):
    """Start workers, which end with the test; a report of a failure has their logs and the records of the jobs."""
    workers = []

    def begin(name="w", *options, forked=True, **more):
        worker = Worker(tmp_path / "configuration.txt", name, *options, forked=forked, **more)
        workers.append(worker)
        return worker

    yield begin
    for worker in workers:
        worker.kill()
    show_jobs(data_dir)
    for log in dict.fromkeys(worker.log for worker in workers):
        print_end(log)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "dump.ndjson"
    WORLD.write(path)
    return path
