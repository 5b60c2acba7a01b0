"""Jobs on real Celery workers: run, found, cancelled, limited in time, and refused."""

from __future__ import annotations

import os

import pytest

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import JobCancelled, JobError
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.periodic import schedule, submit_periodic
from tests.services.forked import run_forked
from tests.services.redis import CELERY
from tests.support.extractions import assert_is_the_world
from tests.support.workers import HELD, LONG, SLEEPER, WORLD, asleep, changed, until, until_read

pytestmark = pytest.mark.redis


def test_a_job_runs_on_a_worker_and_is_found_by_another_process(settings, start, export, tmp_path):
    start("w", forked=False)
    code = (
        "import sys, frontierlab as fl; settings = fl.Settings(sys.argv[1]);"
        "print(fl.jobs.submit('extraction', settings=settings, name='d', source=sys.argv[2]).id)"
    )
    files = map(str, (tmp_path / "configuration.txt", export))
    status, id = run_forked(code, *files, cwd=tmp_path, env={})  # its notebook closes at once
    assert status == 0, id
    job = jobs.open_job(id.strip(), settings)
    assert_is_the_world(job.result(LONG), WORLD)
    assert (job.state, job.backend, job.progress.done) == ("succeeded", "celery", 8_000)
    assert job.record().attempts == 1


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_job_runs_on_other_pools(settings, start, export, pool):
    start("w", f"--pool={pool}")
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert_is_the_world(job.result(LONG), WORLD)
    assert job.record().attempts == 1


def test_a_worker_without_a_broker_names_the_setting(tmp_path, data_dir):
    fl.create_config_file(tmp_path / "c.txt", data_dir=data_dir)
    environment = {**os.environ, "CONFIG_FILE": str(tmp_path / "c.txt")}
    status, said = run_forked(CELERY, "-A", "frontierlab.celery_tasks", "worker", cwd=tmp_path, env=environment)
    assert status > 0
    assert "There is no broker to carry jobs to workers: set broker_url (redis://host:6379/0)" in said


def test_a_queued_job_is_cancelled_at_once_and_no_worker_starts_it(settings, start, export):
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert job.state == "queued"
    job.cancel()
    assert job.state == "cancelled"
    worker = start()
    until(lambda: "succeeded in" in worker.text, "the end of the task")
    assert job.state == "cancelled"
    assert job.started is None
    assert not (settings.data_dir / "datasets").exists()


def test_a_running_job_is_cancelled_within_seconds(settings, start, tmp_path):
    start("w", "--pool=solo", program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    job.cancel()
    with pytest.raises(JobCancelled, match="was cancelled"):
        job.result(LONG)


def test_a_cancellation_through_redis_is_enough(settings, start, tmp_path):
    """Where the folder of records is slow to show a file, as network folders are."""
    start(program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    Broker(settings).cancel(job.id)
    assert job.wait(LONG) == "cancelled"


def test_the_second_of_two_jobs_for_the_same_extraction_fails(settings, start, export, tmp_path):
    start("first", program=HELD)
    first = jobs.submit("extraction", settings=settings, name="d", source=export)
    until_read(first, 5_000)
    start("second")
    second = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert second.wait(LONG) == "failed"
    assert "The dataset d is in use" in second.error
    (tmp_path / "go").touch()
    assert_is_the_world(first.result(LONG), WORLD)


OTHER_VERSION = changed("""
from frontierlab.jobs import broker, worker
broker.__version__ = worker.__version__ = "0.0.1"
""")


def test_a_worker_of_another_version_refuses_the_job(settings, start, export):
    start("old", program=OTHER_VERSION)
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    with pytest.raises(JobError, match=rf"submitted by frontierlab {fl.__version__}, and the worker on .* is .* 0.0.1"):
        job.result(LONG)


def test_a_worker_with_other_settings_refuses_the_job(configure, start, export):
    configure(limit_queries=7_000)
    start()
    settings = configure(limit_queries=1_000)
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    with pytest.raises(JobError, match=r"submitted with limit_queries=1000, and the worker on .* has 7000"):
        job.result(LONG)


def test_a_worker_with_another_data_folder_refuses_the_job(configure, start, export, tmp_path):
    configure(data_dir=tmp_path / "elsewhere")
    start()
    job = jobs.submit("extraction", settings=configure(), name="d", source=export)
    with pytest.raises(
        JobError, match=r"the worker on .* does not find the job: There is no job .* in .*elsewhere/jobs"
    ):
        job.result(LONG)


def test_results_are_files_not_messages(settings, start, redis_server):
    dataset = fl.extract(settings, name="d", source=fl.sample.path(), progress=False)
    start()
    job = jobs.submit("caching", settings=settings, dataset=dataset)
    found = job.result(LONG)
    here = fl.caching.efficiency(dataset, settings, progress=False)
    assert found.attrs.pop("answered").keys() == here.attrs.pop("answered").keys()  # the seconds differ
    assert found.attrs == here.attrs
    assert found.equals(here)
    assert found.dtypes.equals(here.dtypes)
    sent = redis_server.stored()
    assert job.id in sent
    assert "different_queries" not in sent
    assert found.loc[0, "nodefullpath"] not in sent


def test_a_time_limit_ends_a_job_on_any_pool(configure, start):
    settings = configure(job_time_limit=0.5)
    start("w", "--pool=solo", program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    with pytest.raises(JobError, match=r"The job ran longer than 0.5 s, the job_time_limit of the settings"):
        job.result(LONG)


def test_a_night_where_nobody_answers_says_so(configure, start):
    nobody = {"es_address": "127.0.0.1:9", "es_index": "a", "coolr_host": "127.0.0.1:9"}  # where there is no answer
    settings = configure(periodic="catalogue extraction report", coolr_archive=None, coolr_refresh_hours=0, **nobody)
    start()
    job = submit_periodic(settings)
    assert submit_periodic(settings) is None  # it is on its way
    assert job.wait(LONG) == "succeeded"
    steps = [text.split(": ")[0].split(", ")[1] for text in job.warnings]
    assert steps == ["catalogue", "extraction", "report"]
    assert job.result()["state"].tolist() == ["incomplete"]


def test_beat_sends_the_periodic_task(configure, start, tmp_path):
    [entry] = schedule(configure(periodic="catalogue", periodic_hour=3)).values()
    assert (entry["schedule"].hour, entry["schedule"].minute) == ({3}, {0})
    assert schedule(fl.Settings()) == {}
    start("beat", command="beat", ready="beat: Starting")
    until(lambda: list((tmp_path / "data/jobs").glob("beat*")), "the file in which beat keeps what it sent")
    worker = start()
    code = "from frontierlab.celery_tasks import app; app.send_task('frontierlab.periodic')"
    environment = {"CONFIG_FILE": str(tmp_path / "configuration.txt")}
    assert run_forked(code, cwd=tmp_path, env=environment) == (0, "")
    until(lambda: "frontierlab.run_job" in worker.text.split("ready.")[1], "the job")
