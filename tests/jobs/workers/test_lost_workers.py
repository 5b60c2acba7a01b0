"""Workers that are killed, stopped or full, and jobs that come twice."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import JobError
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.records import JobStore
from tests.support.extractions import assert_is_the_world
from tests.support.jobs import stop_without_lock
from tests.support.workers import HELD, LONG, SLEEPER, WORLD, a_notebook, asleep, changed, until, until_read

pytestmark = pytest.mark.redis


@pytest.fixture
def notebook(configure, tmp_path):
    """Settings with a notebook that sleeps, once it has written its process into a file."""
    code = (
        f"import os, pathlib, time; pathlib.Path({str(tmp_path / 'asleep')!r}).write_text(str(os.getpid()));"
        "time.sleep(600)"
    )
    return configure(notebooks=[str(a_notebook(tmp_path / "sleeper.ipynb", code))])


def test_a_cancellation_outlives_the_worker(settings, start, tmp_path):
    worker = start(program=SLEEPER)
    job = jobs.submit("catalogue", settings=settings)
    asleep(tmp_path)
    worker.kill()
    job.cancel()
    start("second")
    assert job.wait(LONG) == "cancelled"
    assert job.record().attempts == 1


def test_a_worker_that_is_killed_loses_nothing(settings, start, export):
    worker = start("first", program=HELD)
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    until_read(job, 5_000)
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
    stop_without_lock(first.pid, JobStore(settings).path(job.id, ".lock"))
    second = start("second", "--pool=solo", program=SLEEPER)
    assert asleep(tmp_path) == second.pid
    os.kill(first.pid, signal.SIGCONT)
    until(lambda: "taken over by another" in first.text, "the answer of the first worker")
    assert (job.state, job.record().attempts) == ("running", 2)
    assert Broker(settings).ticket(job.id) == "queued"  # it belongs to the second worker
    job.cancel()
    assert job.wait(LONG) == "cancelled"


POISON = changed("kinds.CatalogueRefresh.run = lambda *_: os.kill(os.getpid(), signal.SIGKILL)")


def test_a_job_that_ends_its_worker_each_time_is_given_up(configure, start):
    settings = configure(job_lost_seconds=2)
    start(program=POISON)
    job = jobs.submit("catalogue", settings=settings)
    with pytest.raises(
        JobError, match=r"The job was started 3 times, and each time its process ended before the job did"
    ):
        job.result(LONG)


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


FULL = changed("""
import resource

sys.dont_write_bytecode = True  # Python would store what it compiles cut off, for all later runs
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
""")  # files can grow to bytes that are enough for records, too little for rows


def test_a_full_disk_fails_the_job_and_the_next_one_continues(settings, start, export):
    full = start("full", program=FULL)
    job = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert job.wait(LONG) == "failed"
    assert "The extraction d stopped with 0 of 8 parts stored" in job.error
    assert "File too large" in job.error
    full.kill()
    start("second")
    again = jobs.submit("extraction", settings=settings, name="d", source=export)
    assert_is_the_world(again.result(LONG), WORLD)
