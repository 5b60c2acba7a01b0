"""The Redis and the worker of one machine: they start on request and end with the process that started them."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from filelock import FileLock
from frontierlab_widgets import JobsPanel

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import ConfigurationError, InvalidRequestError, JobError
from frontierlab.jobs import LocalWorker, local_services
from frontierlab.jobs.addresses import broker_file
from frontierlab.jobs.broker import Broker
from frontierlab.jobs.local_services import LocalServices
from frontierlab.sample import World
from frontierlab.settings import as_variables
from tests.support.extractions import assert_is_the_world
from tests.support.jobs import show_jobs, stop
from tests.support.programs import forked
from tests.support.waiting import wait_for

pytestmark = pytest.mark.worker
LONG = 300


@pytest.fixture
def settings(data_dir):
    """Settings of a data folder whose programs end with the test, even if it fails."""
    found = local(data_dir)
    yield found
    for process in programs_of(found):
        process.kill()


@pytest.fixture(autouse=True)
def jobs_are_shown(request):
    """Print the records and logs of the data folders after each test, for the report of a failure."""
    used = [request.getfixturevalue(name) for name in ("shared", "settings") if name in request.fixturenames]
    yield
    for settings in used:
        show_jobs(settings.data_dir)


def local(folder):
    return fl.sample.settings(data_dir=folder, job_backend="celery", job_lost_seconds=4)


def programs_of(settings):
    """The processes that were started for a data folder, by their environment or command."""
    folder = os.fsencode(settings.data_dir)
    found = []
    for place in Path("/proc").glob("[0-9]*"):  # psutil would read much more of each
        with suppress(OSError, psutil.Error):  # it has just ended
            if (
                b"FRONTIERLAB_DATA_DIR=" + folder in (place / "environ").read_bytes()
                or folder in (place / "cmdline").read_bytes()
                or folder in os.fsencode((place / "cwd").readlink())
            ):
                found.append(psutil.Process(int(place.name)))
    return [process for process in found if process.pid != os.getpid()]


def until_gone(settings, besides=()):
    deadline = time.monotonic() + LONG
    while left := [process for process in programs_of(settings) if process not in besides]:
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
    assert (panel.error, panel.message) == ("", "A worker runs until the kernel ends.")
    yield settings
    with pytest.raises(InvalidRequestError, match="is still running"):
        panel.start_worker()
    worker = panel._worker
    assert repr(worker) == "<LocalWorker: running>"
    worker.stop()
    panel.close()
    assert repr(worker) == "<LocalWorker: ended>"
    until_gone(settings)
    assert not broker_file(settings).exists()


def socket_of(settings):
    return Path(urlsplit(broker_file(settings).read_text()).path)


def test_its_redis_listens_on_a_private_socket_alone(shared):
    job = jobs.submit("extraction", settings=shared, name="d", source=fl.sample.path())
    assert_is_the_world(job.result(LONG), World())
    place = socket_of(shared)
    assert stat.S_ISSOCK(place.stat().st_mode)
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(broker_file(shared).stat().st_mode) == 0o600
    [redis] = [process for process in programs_of(shared) if str(place) in " ".join(process.cmdline())]
    assert redis.net_connections() == []


def test_the_settings_can_name_the_socket(shared):
    url = broker_file(shared).read_text() + "?virtual_host=0"
    settings = fl.Settings(**{**shared.model_dump(), "broker_url": url})
    job = jobs.submit("extraction", settings=settings, name="by-socket", source=fl.sample.path())
    assert job.wait(LONG) == "succeeded"
    assert job.record().broker == f"{socket_of(shared)}/0 on {socket.gethostname()}"


def test_a_job_of_a_process_is_found_after_the_process_has_ended(shared):
    def of_another_process():
        id = jobs.submit("extraction", settings=shared, name="n", source=fl.sample.path()).id
        print(id)  # noqa: T201

    with forked(of_another_process, stdout=subprocess.PIPE, text=True) as process:  # as the kernel of a notebook
        id = process.communicate(timeout=LONG)[0].strip()
    assert jobs.open_job(id, shared) in jobs.jobs(shared)
    assert_is_the_world(jobs.open_job(id, shared).result(LONG), World())


CALLER = """
import os, signal, sys
import frontierlab as fl
worker = fl.jobs.start_worker(fl.sample.settings(data_dir=sys.argv[1]))
print("started", flush=True)
{then}
"""


def caller_of(settings, then):
    """Start a program that starts a worker, says so, and then does something."""
    command = [sys.executable, "-c", CALLER.format(then=then), settings.data_dir]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_worker_shares_the_redis_and_ends_with_its_caller(shared):
    url = broker_file(shared).read_text()
    before = programs_of(shared)
    with caller_of(shared, "sys.stdin.readline()") as caller:
        assert caller.stdout.readline() == "started\n"
        assert broker_file(shared).read_text() == url
        assert len(programs_of(shared)) > len(before)
        job = jobs.submit("extraction", settings=shared, name="second", source=fl.sample.path())
        assert job.wait(LONG) == "succeeded"
        caller.communicate("end\n", timeout=LONG)
        assert caller.returncode == 0
    until_gone(shared, besides=before)
    assert broker_file(shared).read_text() == url
    assert [*map(psutil.Process.is_running, before)] == [True] * len(before)


def test_the_command_says_whether_a_worker_runs(shared, settings, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)
    try:
        monkeypatch.setenv("FRONTIERLAB_DATA_DIR", str(settings.data_dir))
        assert local_services.main(["--check"]) == 1
        assert capsys.readouterr().out.startswith("There is no broker")
        monkeypatch.setenv("FRONTIERLAB_DATA_DIR", str(shared.data_dir))
        assert local_services.main(["--check"]) == 0
        assert f"frontierlab {fl.__version__}" in capsys.readouterr().out
    finally:
        signal.signal(signal.SIGTERM, before)


def serving(settings):
    """Start the command, and wait until its worker takes jobs."""
    command = [sys.executable, "-m", "frontierlab.jobs"]
    environment = os.environ | as_variables(settings)
    child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert re.fullmatch(rb"A worker is ready \(log: .*\.log\)\. Ctrl-C ends it\.\n", child.stdout.readline())
    return child


def celery_of(settings):
    [celery] = [process for process in programs_of(settings) if "celery" in " ".join(process.cmdline())]
    return celery


def test_queued_jobs_survive_the_end_of_their_program_and_a_killed_one_leaves_nothing(settings):
    command = serving(settings)
    stop(celery_of(settings).pid)  # before it can take the message
    job = jobs.submit("extraction", settings=settings, name="d", source=fl.sample.path())
    celery_of(settings).kill()
    said, _ = command.communicate(timeout=LONG)
    assert (command.returncode, said[:28]) == (1, b"The Redis or the worker has ")
    until_gone(settings)
    assert job.state == "queued"

    with caller_of(settings, "sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)") as caller:
        assert caller.stdout.readline() == "started\n"
        assert_is_the_world(job.result(LONG), World())
        caller.communicate("end\n", timeout=LONG)
        assert caller.returncode == -signal.SIGKILL
    until_gone(settings)  # a worker and its Redis end with the process that started them, even if that is killed
    assert not broker_file(settings).exists()


def test_a_redis_whose_program_was_killed_is_replaced(settings):
    def is_killed():
        services = LocalServices(settings)
        services._find_redis()
        os.kill(os.getpid(), signal.SIGKILL)

    broker_file(settings).parent.mkdir()
    with forked(is_killed) as program:  # before it could end its Redis
        assert program.wait(LONG) == -signal.SIGKILL
    left = socket_of(settings)
    [redis] = programs_of(settings)
    with LocalServices(settings) as services:
        services._find_redis()
        assert not left.parent.exists()
        wait_for(lambda: redis not in programs_of(settings))
        assert socket_of(settings).exists()
    until_gone(settings)
    assert not broker_file(settings).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_command(monkeypatch, number):
    def serve(settings, follow=False):
        os.kill(os.getpid(), number)
        time.sleep(LONG)

    monkeypatch.setattr(local_services, "serve", serve)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert local_services.main([]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_redis_that_cannot_start_is_an_error(settings, monkeypatch, tmp_path):
    (tmp_path / "redis-server").write_text("#!/bin/sh\necho no memory\nexit 1\n")
    (tmp_path / "redis-server").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = r"The worker did not start: The Redis ended at once: no memory \(see .*redis.log\)"
    with pytest.raises(JobError, match=said):
        jobs.start_worker(settings)
    until_gone(settings)
    assert not broker_file(settings).exists()


@pytest.fixture
def left_behind(settings):
    """The socket of a Redis that was killed, and the file that names it."""
    place = Path(tempfile.mkdtemp(prefix="frontierlab-worker-")) / "redis.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
    broker_file(settings).parent.mkdir()
    broker_file(settings).write_text(f"redis+socket://{place}")
    yield place
    shutil.rmtree(place.parent, ignore_errors=True)


def test_the_socket_of_a_killed_redis_is_an_error_until_it_is_replaced(settings, left_behind):
    said = r"The broker of the data folder on .* does not answer .* Start one on this machine: make worker, or"
    with pytest.raises(JobError, match=said):
        jobs.submit("extraction", settings=settings, name="d", source=fl.sample.path())
    with LocalServices(settings) as services:
        services._find_redis()
        assert not left_behind.parent.exists()
        assert Broker(settings).workers() == []
    assert not broker_file(settings).exists()


def test_a_redis_of_another_process_that_does_not_answer_is_an_error(settings, left_behind, monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.local_services._START", 0.1)
    with FileLock(broker_file(settings).with_suffix(".lock")), LocalServices(settings) as services:
        said = r"^The Redis that another process started for this data folder did not answer within 0.1 s: end that "
        with pytest.raises(JobError, match=said):
            services.start()
        assert services.children == []
    assert left_behind.exists()


def test_a_redis_of_another_machine_is_named(settings):
    file = broker_file(settings)
    file.parent.mkdir()
    file.with_name("broker-far.example.org.url").write_text("redis+socket:///tmp/frontierlab-worker-x/redis.sock")
    said = r"no broker .*; the Redis of this data folder on far.example.org serves that machine alone: set broker_url"
    with pytest.raises(ConfigurationError, match=said):
        jobs.submit("extraction", settings=settings, name="d", source=fl.sample.path())


def test_a_socket_has_a_short_path(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    place = local_services._socket()
    place.parent.rmdir()
    assert place.parent.parent == Path("/tmp")
    monkeypatch.setattr(local_services, "LONGEST_SOCKET", 10)
    with pytest.raises(JobError, match="no place for the socket of a Redis: set TMPDIR to a folder with a short path"):
        local_services._socket()
    assert list(long.iterdir()) == []


def test_a_worker_that_ignores_signals_is_killed_with_its_children(monkeypatch):
    monkeypatch.setattr("frontierlab.jobs.local_worker._END", 0.2)
    command = ["/bin/sh", "-c", "trap '' TERM; setsid sleep 600 & echo started; wait; wait"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "started\n"
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children()]
    with LocalWorker(child) as worker:
        assert worker.running
    assert not worker.running
    _, alive = psutil.wait_procs(family[1:], timeout=LONG)
    assert alive == []


def test_a_worker_that_starts_too_slowly_is_an_error_and_leaves_no_process(settings, monkeypatch, tmp_path):
    (tmp_path / "redis-server").write_text(f"#!/bin/sh\ntouch {tmp_path}/starting\nsleep 600\n")
    (tmp_path / "redis-server").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("frontierlab.jobs.local_worker._END", 5)
    seen = []

    def look(streams, writing, failing, timeout, select=select.select):
        assert 0 < timeout < 600  # no wait without an end
        wait_for((tmp_path / "starting").exists, seconds=LONG)
        seen.extend(programs_of(settings))  # the program that waits for its Redis, and that
        return select(streams, [], [], 0)

    monkeypatch.setattr(select, "select", look)
    with pytest.raises(JobError, match="The worker did not start: no answer"):
        jobs.start_worker(settings)
    assert len(seen) == 2
    until_gone(settings)
    assert not broker_file(settings).exists()


def test_a_program_that_ignores_signals_is_killed_with_its_children(settings, monkeypatch, tmp_path):
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
