"""The Redis and the worker of one's own machine: started on request, and ended with whoever started them."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time

import nbclient
import nbformat
import psutil
import pytest
from filelock import FileLock
from frontierlab_widgets import JobsPanel

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import ConfigurationError, InvalidRequestError, JobError
from frontierlab.jobs import LocalWorker
from frontierlab.jobs.addresses import broker_file
from frontierlab.jobs.local_services import LocalServices
from frontierlab.sample import World
from frontierlab.settings import as_variables
from tests.support.extractions import assert_is_the_world

pytestmark = pytest.mark.redis
LONG = 300


@pytest.fixture
def settings(data_dir):
    return local(data_dir)


def local(folder):
    return fl.sample.settings(data_dir=folder, job_backend="celery", job_lost_seconds=4)


def programs_of(settings):
    """The processes that were started for a data folder, by their environment or command."""
    found = []
    for process in psutil.process_iter():
        try:
            if f"FRONTIERLAB_DATA_DIR={settings.data_dir}" in "\n".join(
                f"{name}={value}" for name, value in process.environ().items()
            ) or str(settings.data_dir) in " ".join([*process.cmdline(), process.cwd()]):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.pid != os.getpid()]


def until_gone(settings):
    deadline = time.monotonic() + LONG
    while left := programs_of(settings):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Settings with a Redis and a worker, which a panel starts; nothing is left of them in the end."""
    settings = local(tmp_path_factory.mktemp("shared"))
    with pytest.raises(ConfigurationError, match=r"There is no broker .* make worker"):
        jobs.submit("extraction", settings=settings, name="d", source=fl.sample.path())
    panel = JobsPanel(settings)
    panel.start_worker()
    assert panel.wait(LONG)
    assert (panel.error, panel.message) == ("", "A worker is there, until the kernel ends.")
    yield settings
    with pytest.raises(InvalidRequestError, match="is still there"):
        panel.start_worker()
    worker = panel._worker
    assert repr(worker) == "<LocalWorker: running>"
    worker.stop()
    panel.close()
    assert repr(worker) == "<LocalWorker: ended>"
    until_gone(settings)
    assert not broker_file(settings).exists()


def test_it_runs_jobs_by_a_redis_of_this_machine_alone(shared):
    job = jobs.submit("extraction", settings=shared, name="d", source=fl.sample.path())
    assert_is_the_world(job.result(LONG), World())
    file = broker_file(shared)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    redis = psutil.Process(json.loads(file.read_text())["pid"])
    listens = {connection.laddr.ip for connection in redis.net_connections() if connection.status == "LISTEN"}
    assert listens == {"127.0.0.1"}
    password = json.loads(file.read_text())["url"].split(":")[2].split("@")[0]
    assert all(password not in " ".join(process.cmdline()) for process in programs_of(shared))
    assert all(password not in str(process.environ()) for process in programs_of(shared))


def run_notebook(*cells):
    """Execute a notebook with a kernel of its own, which ends with it; return what its last cell showed."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    nbclient.NotebookClient(notebook, timeout=LONG, kernel_name="python3").execute()
    return notebook.cells[-1].outputs[0]["data"]["text/plain"]


def test_submitted_in_one_notebook_found_in_the_next(shared, monkeypatch):
    for name, value in as_variables(shared).items():
        monkeypatch.setenv(name, value)
    begin = "import frontierlab as fl"
    id = run_notebook(begin, "fl.jobs.submit('extraction', name='n', source=fl.sample.path()).id").strip("'")
    jobs.open_job(id, shared).wait(LONG)
    job = f"fl.jobs.open_job({id!r})"
    state = run_notebook(begin, f"{job} in fl.jobs.jobs(), {job}.state, {job}.result().counts.kept")
    assert state == repr((True, "succeeded", World().counts["kept"]))


def test_a_second_one_shares_the_redis(shared):
    url = broker_file(shared).read_text()
    with jobs.start_worker(shared):
        assert broker_file(shared).read_text() == url
        job = jobs.submit("extraction", settings=shared, name="second", source=fl.sample.path())
        assert job.wait(LONG) == "succeeded"
    assert broker_file(shared).read_text() == url


def test_whether_a_worker_is_there_can_be_asked(shared, settings):
    def asked(folder):
        environment = {**os.environ, "FRONTIERLAB_DATA_DIR": str(folder)}
        command = [sys.executable, "-m", "frontierlab.jobs", "--check"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    nobody = asked(settings.data_dir)
    assert (nobody.returncode, nobody.stdout[:18]) == (1, "There is no broker")
    done = asked(shared.data_dir)
    assert done.returncode == 0
    assert f"frontierlab {fl.__version__}" in done.stdout


def test_what_is_queued_outlives_it(settings):
    with jobs.start_worker(settings) as worker:
        [celery] = [process for process in programs_of(settings) if "celery" in " ".join(process.cmdline())]
        celery.send_signal(signal.SIGSTOP)
        job = jobs.submit("extraction", settings=settings, name="d", source=fl.sample.path())
        time.sleep(1.5)  # until it is on the disk
        ending = threading.Timer(1, celery.kill)  # stopped as it is, it does not end when asked, for which it has 10 s
        ending.start()
        worker.stop()
        ending.join()
    assert job.state == "queued"
    with jobs.start_worker(settings):
        assert_is_the_world(job.result(LONG), World())
    until_gone(settings)


CALLER = """
import os, signal, sys, time
import frontierlab as fl
worker = fl.jobs.start_worker(fl.sample.settings(data_dir=sys.argv[1]))
print("started", flush=True)
{then}
"""


@pytest.mark.parametrize("then", ["", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_it_ends_with_the_process_that_started_it(settings, then):
    command = [sys.executable, "-c", CALLER.format(then=then), settings.data_dir]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "started\n", done.stderr
    until_gone(settings)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_what_it_started(settings, number):
    environment = {**os.environ, "FRONTIERLAB_DATA_DIR": str(settings.data_dir)}
    child = subprocess.Popen(
        [sys.executable, "-m", "frontierlab.jobs"], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    assert re.fullmatch(rb"A worker is ready \(log: .*\.log\)\. Ctrl-C ends it\.\n", child.stdout.readline())
    child.send_signal(number)
    assert child.wait(LONG) == 0
    child.stdout.close()
    until_gone(settings)


def test_a_redis_that_cannot_start_is_said_without_its_password(settings, monkeypatch, tmp_path):
    (tmp_path / "redis-server").write_text("#!/bin/sh\necho no memory for $(grep requirepass)\nexit 1\n")
    (tmp_path / "redis-server").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = r"The worker did not start: The Redis ended at once: no memory for requirepass … \(see .*redis.log\)"
    with pytest.raises(JobError, match=said):
        jobs.start_worker(settings)
    until_gone(settings)


def test_a_redis_of_another_process_that_does_not_answer_is_said_without_its_password(settings, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.local_services._START", 0.1)
    file = broker_file(settings)
    file.parent.mkdir()
    file.write_text(json.dumps({"url": "redis://:open-sesame@127.0.0.1:9/0", "pid": 1}))
    with FileLock(file.with_suffix(".lock")), LocalServices(settings) as services:
        said = r"^The Redis that another process started for this data folder did not answer within 0.1 s.$"
        with pytest.raises(JobError, match=said):
            services.start()
        assert services.children == []


def test_a_worker_that_does_not_end_when_asked_is_ended_with_its_children(monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.local_worker._END", 0.2)
    command = ["/bin/sh", "-c", "trap '' TERM; setsid sleep 600 & echo started; wait; wait"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "started\n"
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
    worker = LocalWorker(child)
    worker.stop()
    assert not worker.running
    _, alive = psutil.wait_procs(family[1:], timeout=LONG)
    assert alive == []


def test_a_worker_that_does_not_come_up_is_said_and_nothing_is_left_of_it(settings, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.local_worker._START", 0.1)
    monkeypatch.setattr("frontierlab.jobs.local_worker._END", 5)
    with pytest.raises(JobError, match="The worker did not start: no answer"):
        jobs.start_worker(settings)
    until_gone(settings)


def test_a_program_that_does_not_end_when_asked_is_ended_with_its_children(settings, monkeypatch, tmp_path):
    monkeypatch.setattr("frontierlab.jobs.local_services._END", 0.2)
    with LocalServices(settings) as services:
        code = "trap '' TERM; sleep 600 & echo started; wait; wait"
        child = services._start(["/bin/sh", "-c", code], tmp_path / "log", dict(os.environ))
        while "started" not in (tmp_path / "log").read_text():
            time.sleep(0.02)
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
        assert len(family) == 2
    assert child.returncode == -signal.SIGKILL
    _, alive = psutil.wait_procs(family, timeout=LONG)
    assert alive == []
