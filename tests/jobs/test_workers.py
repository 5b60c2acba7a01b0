"""Jobs on real Celery workers with a real Redis: run, followed, cancelled, shared, and recovered after faults."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import nbformat
import psutil
import pyarrow as pa
import pytest

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import JobCancelled, JobError
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.periodic import schedule, submit_periodic
from frontierlab.jobs.records import JobStore
from frontierlab.sample import World
from tests.services.flaky import Delay, FlakyProxy
from tests.services.redis import Worker
from tests.support.extractions import assert_is_the_world, plain
from tests.support.jobs import stop

pytestmark = pytest.mark.redis
LONG = 300  # seconds after which a test that waits has failed
WORLD = World(20_000, seed=11)
INDEXED = World(20_000, seed=11, indexable=True)


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
    return configure()


@pytest.fixture
def start(tmp_path):
    """Start workers, which end with the test."""
    workers = []

    def begin(name="w", *options, **more):
        worker = Worker(tmp_path / "configuration.txt", name, *options, **more)
        workers.append(worker)
        return worker

    yield begin
    for worker in workers:
        worker.kill()


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "dump.ndjson"
    WORLD.write(path)
    return path


def until(condition, what="what was waited for"):
    deadline = time.monotonic() + LONG
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)
    return found


def as_bytes(dataset):
    """The rows of a dataset, sorted, as bytes."""
    rows, sink = plain(dataset.to_arrow()).combine_chunks(), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def a_notebook(path, code):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


CHANGED = """
import os, pathlib, signal, sys, time
from frontierlab.jobs import kinds
from frontierlab.jobs.context import JobContext
{change}
from celery.__main__ import main
sys.exit(main())
"""


def changed(change):
    """The program of a worker in which something is changed before it starts."""
    return ("-c", CHANGED.format(change=change))


SLEEPER = changed("""
class Sleeper(kinds.CatalogueRefresh):
    def run(self, record, settings, context):
        settings.data_dir.with_name("asleep").write_text(str(os.getpid()))
        context.cancelled.wait(600)
        context.raise_if_stopped()

kinds.KINDS["catalogue"] = Sleeper()
""")  # a refresh of the catalogue sleeps, once it has written its process into a file

HELD = changed("""
def report(self, progress, report=JobContext.report):
    report(self, progress)
    while progress.done >= 5_000 and not pathlib.Path("go").exists():
        time.sleep(0.02)

JobContext.report = report
""")  # an extraction stops after 5,000 documents until there is a file


@pytest.fixture
def notebook(configure, tmp_path):
    """Settings with a notebook that sleeps, once it has written its process into a file."""
    code = (
        f"import os, pathlib, time; pathlib.Path({str(tmp_path / 'asleep')!r}).write_text(str(os.getpid()));"
        "time.sleep(600)"
    )
    return configure(notebooks=[str(a_notebook(tmp_path / "sleeper.ipynb", code))])


def asleep(tmp_path):
    """Wait for a sleeping job, and return the id of the process that sleeps."""
    file = tmp_path / "asleep"
    found = int(until(lambda: file.exists() and file.read_text(), "the sleeping job"))
    file.unlink()
    return found


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads"])
def test_a_job_runs_on_a_worker_and_is_found_by_another_process(settings, start, export, tmp_path, pool):
    start("w", f"--pool={pool}")
    code = (
        "import sys, frontierlab as fl; settings = fl.Settings(sys.argv[1]);"
        "print(fl.jobs.submit('extraction', settings=settings, name='d', source=sys.argv[2]).id)"
    )
    command = [sys.executable, "-c", code, tmp_path / "configuration.txt", export]  # its notebook closes at once
    id = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    job = jobs.open_job(id, settings)
    assert_is_the_world(job.result(LONG), WORLD)
    assert (job.state, job.backend, job.progress.done) == ("succeeded", "celery", 20_000)
    assert job.record().attempts == 1


def test_importing_the_application_reads_no_configuration(tmp_path):
    environment = {**os.environ, "CONFIG_FILE": str(tmp_path / "nowhere.txt")}
    code = "from frontierlab.celery_tasks import app, run_job; print(app.main, app.configured)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["frontierlab", "False"]


def test_a_worker_without_a_broker_names_the_setting(tmp_path, data_dir):
    fl.create_config_file(tmp_path / "c.txt", data_dir=data_dir)
    command = [sys.executable, "-m", "celery", "-A", "frontierlab.celery_tasks", "worker"]
    environment = {**os.environ, "CONFIG_FILE": str(tmp_path / "c.txt")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "There is no broker to carry jobs to workers: set broker_url (redis://host:6379/0)" in done.stderr


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


def test_a_cancellation_outlives_the_worker(settings, start, tmp_path):
    worker = start(program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    worker.kill()
    job.cancel()
    start("second")
    assert job.wait(LONG) == "cancelled"
    assert job.record().attempts == 1


def test_a_cancellation_through_redis_is_enough(settings, start, tmp_path):
    """Where the folder of records is slow to show a file, as network folders are."""
    start(program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    Broker(settings).cancel(job.id)
    assert job.wait(LONG) == "cancelled"


def test_a_worker_that_is_killed_loses_nothing(settings, start, export):
    worker = start("first", program=HELD)
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    until(lambda: job.progress is not None and job.progress.done >= 5_000, "progress")
    worker.kill()
    assert job.state == "running"  # another worker continues it
    assert fl.datasets.open_dataset("d", settings).state == "incomplete"
    start("second")
    assert_is_the_world(job.result(LONG), WORLD)
    assert job.record().attempts == 2


def test_a_pool_process_that_is_killed_loses_nothing(notebook, start, tmp_path):
    worker = start()
    job = jobs.submit("notebook", settings=notebook, notebook="sleeper")
    kernel = asleep(tmp_path)
    [child] = worker.children()
    child.kill()
    assert asleep(tmp_path) != kernel  # it was started again
    until(lambda: not psutil.pid_exists(kernel), "the end of the first kernel")
    assert job.record().attempts == 2
    assert job.state == "running"
    job.cancel()
    assert job.wait(LONG) == "cancelled"


def test_a_stopped_worker_leaves_the_job_to_its_successor(settings, start, tmp_path):
    first = start("first", "--pool=solo", program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    assert asleep(tmp_path) == first.pid
    stop(first.pid, JobStore(settings).path(job.id, ".lock"))
    second = start("second", "--pool=solo", program=SLEEPER)
    assert asleep(tmp_path) == second.pid
    os.kill(first.pid, signal.SIGCONT)
    until(lambda: "taken over by another" in first.text, "the answer of the first worker")
    assert (job.state, job.record().attempts) == ("running", 2)
    assert Broker(settings).ticket(job.id) == "queued"  # it belongs to the second worker
    job.cancel()
    assert job.wait(LONG) == "cancelled"


POISON = changed("kinds.CatalogueRefresh.run = lambda *_: os.kill(os.getpid(), signal.SIGKILL)")


def test_a_job_that_ends_its_worker_each_time_is_given_up(settings, start):
    start(program=POISON)
    job = jobs.submit("catalogue", settings=settings)
    with pytest.raises(
        JobError, match=r"The job was started 3 times, and each time its process ended before the job did"
    ):
        job.result(LONG)


def test_a_redis_that_comes_back_with_its_data_loses_nothing(settings, start, export, redis_server):
    waiting = jobs.submit("extraction", settings=settings, name="d", source=export)
    redis_server.stop()
    redis_server.start()
    start()
    assert_is_the_world(waiting.result(LONG), WORLD)


def test_a_job_goes_on_while_its_redis_restarts(settings, start, tmp_path, redis_server, export):
    worker = start(program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    redis_server.stop()
    until(lambda: "Connection to broker lost" in worker.text, "the worker's notice")
    assert job.state == "running"
    redis_server.start()
    queued = jobs.submit("extraction", settings=settings, name="d", source=export)
    job.cancel()
    assert job.wait(LONG) == "cancelled"
    assert_is_the_world(queued.result(LONG), WORLD)
    assert job.record().attempts == 1
    assert "Traceback" not in worker.text.split("Connection to broker")[0]


def test_a_redis_that_lost_its_data_costs_only_time(settings, start, export, tmp_path, redis_server):
    start(program=SLEEPER)
    running = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    queued = jobs.submit("extraction", settings=settings, name="d", source=export)
    redis_server.lose()
    redis_server.start()
    assert running.state == "running"
    running.cancel()
    assert running.wait(LONG) == "cancelled"
    assert_is_the_world(queued.result(LONG), WORLD)
    assert (running.record().attempts, queued.record().attempts) == (1, 1)


def test_an_unreachable_broker_is_an_error_at_once(settings, export, redis_server):
    redis_server.stop()
    with pytest.raises(JobError, match=r"The broker 127.0.0.1:\d+/0 does not answer .* Is its Redis running"):
        jobs.submit("extraction", settings=settings, name="d", source=export)
    [job] = jobs.jobs(settings)
    assert job.state == "failed"
    assert "does not answer" in job.error
    assert redis_server.password not in job.error


def test_a_broker_that_stays_unreachable_fails_the_job(settings, export, redis_server, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.celery_backend._PATIENCE", 1)
    monkeypatch.setattr("frontierlab.jobs.celery_backend._PAUSE", 0.2)
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    redis_server.stop()
    with pytest.raises(JobError, match="its broker has not answered for 1 s: The broker"):
        job.result(LONG)


def test_a_job_without_a_worker_is_an_error_after_a_while(settings, export, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.job._ALONE", 1)
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    with pytest.raises(JobError, match=r"stays queued: There is no worker: .* make worker"):
        job.result(LONG)
    assert job.state == "queued"


def test_a_broker_that_never_answers_is_an_error(configure, export, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.broker._PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = configure(broker_url=f"redis://:sesame@127.0.0.1:{silent.getsockname()[1]}/0")
        for _ in range(3):
            with pytest.raises(JobError, match=r"does not answer .*Timeout"):
                jobs.submit("extraction", settings=settings, name="d", source=export)
        with pytest.raises(JobError, match=r"did not accept the message .*Timeout"):
            Broker(settings)._publish("any", "x")
        store = JobStore(settings)
        for job in jobs.jobs(settings):
            with store.changing(job.id) as record:
                record.state, record.ended, record.submitted = "queued", None, record.submitted - timedelta(seconds=9)
        asked = []
        monkeypatch.setattr(Broker, "ticket", lambda self, id, ask=Broker.ticket: asked.append(id) or ask(self, id))
        assert [job.state for job in jobs.jobs(settings)] == ["queued"] * 3
        assert len(asked) == 1  # the others do not wait for the same
        jobs.jobs(settings)[0].cancel()
        assert jobs.jobs(settings)[0].state == "cancelled"


def test_a_redis_under_another_name_is_asked_for_its_jobs(configure, export, start, redis_server):
    waiting = jobs.submit("extraction", settings=configure(), name="d", source=export)
    other = f"redis://:{redis_server.password}@localhost:{redis_server.port}/0"  # as another machine names it
    there = jobs.open_job(waiting.id, configure(broker_url=other))
    with JobStore(configure()).changing(waiting.id) as record:
        record.submitted -= timedelta(seconds=9)
    assert there.warnings[0].startswith("There is no worker: the job waits at the broker localhost:")
    redis_server.client.flushall()
    assert there.state == "queued"
    assert re.search(r"the job was sent to the broker 127.* and the settings here name localhost", there.warnings[0])
    assert waiting.warnings[0].startswith("There is no worker: the job waits at the broker 127")


def test_the_second_of_two_jobs_for_the_same_extraction_fails(settings, start, export, tmp_path):
    start("first", program=HELD)
    first = jobs.submit("extraction", settings=settings, name="d", source=export)
    until(lambda: first.progress is not None and first.progress.done >= 5_000, "progress")
    start("second")
    second = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert second.wait(LONG) == "failed"
    assert "The dataset d is in use" in second.error
    (tmp_path / "go").touch()
    assert_is_the_world(first.result(LONG), WORLD)


def test_a_message_that_comes_twice_runs_once(settings, start, tmp_path):
    start("first", program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    Broker(settings).send(job.record())
    second = start("second")
    until(lambda: "'run by another'" in second.text, "the answer of the second worker")
    job.cancel()
    assert job.wait(LONG) == "cancelled"
    assert job.record().attempts == 1


def test_a_long_job_is_not_sent_again(settings, start, tmp_path):
    first, second = start("first", program=SLEEPER), start("second", program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    time.sleep(2 * settings.job_lost_seconds)
    assert (first.text + second.text).count("received") == 1
    assert job.state == "running"
    job.cancel()
    assert job.wait(LONG) == "cancelled"


def test_a_full_disk_fails_the_job_and_the_next_one_continues(settings, start, export):
    full = start("full", before="ulimit -f 60")  # blocks of 512 bytes: enough for records, too little for rows
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert job.wait(LONG) == "failed"
    assert "The extraction d stopped with 0 of 20 parts stored" in job.error
    assert "File too large" in job.error
    full.kill()
    start("second")
    again = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert_is_the_world(again.result(LONG), WORLD)


OTHER_VERSION = """
import sys
import frontierlab._version
frontierlab._version.__version__ = "0.0.1"
from celery.__main__ import main
sys.exit(main())
"""  # changed before any other module reads it


def test_a_worker_of_another_version_refuses_the_job(settings, start, export):
    start("old", program=("-c", OTHER_VERSION))
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


def test_messages_hold_no_argument_and_no_secret(configure, redis_server, data_dir):
    settings = configure(es_address="h", es_user="u", es_pswd="hunter-two", es_index="frontier-new-*")
    extra = [f"field{number}" for number in range(5_000)]
    job = jobs.submit("extraction", settings=settings, name="marked", extra_fields=extra)
    everything = "".join(file.read_text(errors="replace") for file in redis_server.folder.glob("*.aof"))
    assert job.id in everything
    for word in ("hunter-two", "marked", "field4999", "frontier-new"):
        assert word not in everything
    [message] = redis_server.client.lrange("frontierlab", 0, -1)
    assert len(message) < 2_000
    assert json.loads(message)["content-type"] == "application/json"
    assert "hunter-two" not in JobStore(settings).path(job.id).read_text()


@pytest.mark.spark
def test_results_are_files_not_messages(settings, start, redis_server):
    dataset = fl.extract(settings, name="d", source=fl.sample.path(), progress=False)
    start()
    job = jobs.submit("caching", settings=settings, dataset=dataset)
    found = job.result(LONG)
    here = fl.caching.efficiency(dataset, settings, progress=False)
    assert found.attrs == here.attrs
    assert found.equals(here)
    assert found.dtypes.equals(here.dtypes)
    sent = "".join(file.read_text(errors="replace") for file in redis_server.folder.glob("*.aof"))
    assert "different_queries" not in sent
    assert found.loc[0, "nodefullpath"] not in sent


def test_a_time_limit_ends_a_job_on_any_pool(configure, start):
    settings = configure(job_time_limit=0.5)
    start("w", "--pool=solo", program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    with pytest.raises(JobError, match=r"The job ran longer than 0.5 s, the job_time_limit of the settings"):
        job.result(LONG)


@pytest.fixture
def filled(es):
    """An index with the documents of `INDEXED`."""
    name = "test-workers"
    fl.sample.load(es, INDEXED, name)
    yield name
    es.indices.delete(index=name)


@pytest.fixture
def elastic(configure, elasticsearch_server, filled):
    """Settings for the index through a proxy, which answers each search after half a second."""
    server = elasticsearch_server
    with FlakyProxy(server.url, server.ca_certs) as proxy:
        proxy.faults.append(Delay(when="POST /_search", seconds=0.5, times=None))
        fields = {"es_address": proxy.url, "es_user": server.user, "es_pswd": server.password, "es_index": filled}
        yield configure(**fields, es_page=500, es_slices=1), proxy


DAY = {"since": "2026-10-01", "until": "2026-10-02"}


@pytest.mark.elasticsearch
def test_an_extraction_that_waits_for_elasticsearch_is_cancelled_within_seconds(elastic, start):
    settings, proxy = elastic
    start()
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until(lambda: job.progress is not None and job.progress.done, "progress")
    job.cancel()
    assert job.wait(LONG) == "cancelled"
    seen = len(proxy.requests)
    assert fl.datasets.open_dataset("d", settings).state == "incomplete"
    proxy.faults.clear()
    again = jobs.submit("extraction", settings=settings, name="d", **DAY)
    assert_is_the_world(again.result(LONG), INDEXED)
    assert seen < len(proxy.requests)


@pytest.mark.elasticsearch
def test_a_restart_of_elasticsearch_changes_nothing(elastic, start, elasticsearch_server):
    settings, proxy = elastic
    start("first"), start("second")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until(lambda: job.progress is not None and job.progress.done > 2_000, "progress")
    elasticsearch_server.restart()
    proxy.faults.clear()
    assert_is_the_world(job.result(LONG), INDEXED)


@pytest.mark.elasticsearch
def test_a_running_extraction_needs_no_redis(elastic, start, redis_server):
    settings, proxy = elastic
    start("first"), start("second")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until(lambda: job.progress is not None and job.progress.done > 2_000, "progress")
    redis_server.lose()
    time.sleep(2)
    redis_server.start()
    proxy.faults.clear()
    assert_is_the_world(job.result(LONG), INDEXED)
    assert job.record().attempts == 1


@pytest.mark.elasticsearch
def test_two_workers_read_the_same_rows_as_one_process(elastic, start):
    settings, proxy = elastic
    first, second = start("first"), start("second")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until(lambda: "'read'" in first.text + second.text, "a part that the other worker read")
    proxy.faults.clear()
    assert_is_the_world(job.result(LONG), INDEXED)
    alone = fl.extract(settings, name="alone", progress=False, **DAY)
    assert as_bytes(job.result()) == as_bytes(alone)


@pytest.mark.elasticsearch
def test_a_worker_that_starts_later_reads_parts(elastic, start):
    settings, proxy = elastic
    first = start("first")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until(lambda: job.progress is not None and job.progress.done > 2_000, "progress")
    second = start("second")
    until(lambda: "'read'" in second.text, "a part read by the second worker")
    proxy.faults.clear()
    assert_is_the_world(job.result(LONG), INDEXED)
    assert "'read'" not in first.text.split(job.id + "]")[0]


@pytest.mark.elasticsearch
def test_a_helper_killed_while_it_reads_a_part_costs_only_time(elastic, start):
    settings, proxy = elastic
    start("first")
    job = jobs.submit("extraction", settings=settings, name="d", **DAY)
    until(lambda: job.progress is not None and job.progress.done, "progress")
    second = start("second")
    until(lambda: second.text.count("received") > second.text.count("succeeded"), "a part of the second worker")
    time.sleep(0.75)  # a search takes half a second
    second.kill()
    proxy.faults.clear()
    dataset = job.result(LONG)
    assert_is_the_world(dataset, INDEXED)
    assert not list(dataset.path.glob("parts/.*"))
    assert not list(dataset.path.parent.glob(".d.locks"))


@pytest.mark.elasticsearch
@pytest.mark.spark
def test_periodic_jobs_run_one_after_the_other(elastic, start):
    settings, proxy = elastic
    proxy.faults.clear()
    settings = settings.model_copy(update={"periodic": ("catalogue", "extraction", "caching", "report")})
    start()
    [first] = submit_periodic(settings, datetime(2026, 10, 2, 2, 0, tzinfo=UTC))
    until(lambda: len(jobs.jobs(settings)) == 4, "the last job of the day")
    every = jobs.jobs(settings)[::-1]
    assert every[0] == first
    assert [(job.kind, job.wait(LONG), job.error) for job in every] == [
        ("catalogue", "succeeded", None),
        ("extraction", "succeeded", None),
        ("caching", "succeeded", None),
        ("report", "succeeded", None),
    ]
    assert_is_the_world(every[1].result(), INDEXED)
    assert every[1].result().name == "day-2026-10-01"
    assert fl.caching.history.read(settings)["dataset"].unique().tolist() == ["day-2026-10-01"]
    assert every[3].result().exists()


def test_only_a_failed_catalogue_does_not_end_the_chain(configure, start):
    nobody = {"es_address": "127.0.0.1:9", "es_index": "a", "coolr_host": "127.0.0.1:9"}  # where there is no answer
    settings = configure(periodic="catalogue extraction report", coolr_archive=None, coolr_refresh_hours=0, **nobody)
    start()
    [job] = submit_periodic(settings)
    assert job.wait(LONG) == "failed"
    until(lambda: len(jobs.jobs(settings)) == 2, "the extraction")
    extraction, catalogue = jobs.jobs(settings)
    assert (catalogue, extraction.kind) == (job, "extraction")
    assert extraction.wait(LONG) == "failed"
    until(lambda: Broker(settings).ticket(extraction.id) is None, "the end of the task")
    assert len(jobs.jobs(settings)) == 2


def test_beat_sends_the_periodic_task(configure, start, tmp_path):
    [entry] = schedule(configure(periodic="catalogue", periodic_hour=3)).values()
    assert (entry["schedule"].hour, entry["schedule"].minute) == ({3}, {0})
    assert schedule(fl.Settings()) == {}
    start("beat", command="beat", ready="beat: Starting")
    until(lambda: list((tmp_path / "data/jobs").glob("beat*")), "the file in which beat keeps what it sent")
    worker = start()
    code = "from frontierlab.celery_tasks import app; app.send_task('frontierlab.periodic')"
    environment = {**os.environ, "CONFIG_FILE": str(tmp_path / "configuration.txt")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    until(lambda: "frontierlab.run_job" in worker.text.split("ready.")[1], "the job")


def test_a_lost_message_is_sent_again(settings, start, export, redis_server):
    foreign = "20261001T000000000-extraction-00000000"  # of a submitter with another data folder
    Broker(settings).refuse(foreign, "the worker does not find the job")
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    redis_server.client.delete("frontierlab")  # as when a worker ends between taking a message and saying so
    start()
    assert_is_the_world(job.result(LONG), WORLD)
    assert job.record().attempts == 1
    assert Broker(settings).ticket(foreign).startswith("refused: ")
