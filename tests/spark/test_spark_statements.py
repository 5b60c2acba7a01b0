import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark import SparkContext, util
from pyspark.sql import DataFrame, SparkSession

import frontierlab as fl
from frontierlab import spark
from frontierlab.caching.counting import Background, count_queries
from frontierlab.engines import as_logs
from frontierlab.errors import Cancelled, FrontierlabError, SparkError
from frontierlab.spark.calls import in_spark
from tests.services.processes import in_fork
from tests.support.logs import make_dataset
from tests.support.waiting import wait_for

# It would take minutes.
ENDLESS = "SELECT count(*) AS n FROM range(0, 2000000000, 1, 8) WHERE sha2(cast(id AS string), 256) < '0'"


@pytest.fixture(scope="module")
def logs(running: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    return fl.open_logs(make_dataset(tmp_path_factory.mktemp("running") / "one", [{}]), session=running).to_spark()


def active_jobs(running: SparkSession) -> list[int]:
    return list(running.sparkContext.statusTracker().getActiveJobsIds())


@contextlib.contextmanager
def once_a_job_runs(running: SparkSession, act: Callable[[], object]) -> Iterator[None]:
    """Act from another thread when Spark has begun a job."""

    def other() -> None:
        wait_for(lambda: active_jobs(running))
        act()

    thread = threading.Thread(target=other)
    thread.start()
    yield
    thread.join()


def nothing_is_left(running: SparkSession) -> None:
    wait_for(lambda: not active_jobs(running))
    wait_for(lambda: not running.sparkContext.statusTracker().getActiveStageIds())


@pytest.mark.spark
def test_a_statement_is_cancelled_from_another_thread(running: SparkSession, logs: DataFrame) -> None:
    work = spark.cancellable()
    with once_a_job_runs(running, work.cancel), pytest.raises(Cancelled, match=r"was cancelled.*ask again"), work:
        spark.run(logs, ENDLESS)
    nothing_is_left(running)
    assert spark.run(logs, "SELECT count(*) AS n FROM {logs}")["n"].tolist() == [1]


@pytest.mark.spark
def test_cancelled_work_does_not_start(running: SparkSession, logs: DataFrame) -> None:
    last = running.sparkContext._jsc.sc().dagScheduler().numTotalJobs()
    with spark.cancellable() as work:
        assert not work.cancelled
        work.cancel()
        assert work.cancelled
        with pytest.raises(Cancelled, match="was cancelled"):
            spark.run(logs, ENDLESS)
        with pytest.raises(Cancelled, match="was cancelled"):
            spark.to_pandas(logs)
    with work, pytest.raises(FrontierlabError, match="was cancelled"):
        spark.check_cancelled()
    assert running.sparkContext._jsc.sc().dagScheduler().numTotalJobs() == last
    spark.check_cancelled()


@pytest.mark.spark
def test_the_outer_block_cancels_the_work_of_the_inner_block(running: SparkSession, logs: DataFrame) -> None:
    with spark.cancellable() as outer, spark.cancellable() as inner:
        with once_a_job_runs(running, outer.cancel), pytest.raises(Cancelled, match="was cancelled"):
            spark.run(logs, ENDLESS)
        assert not inner.cancelled
    nothing_is_left(running)


@pytest.mark.spark
def test_only_the_thread_of_the_block_is_cancelled(running: SparkSession, logs: DataFrame) -> None:
    answers: list[Any] = []
    other = threading.Thread(target=lambda: answers.append(spark.run(logs, "SELECT count(*) AS n FROM {logs}")))
    with spark.cancellable() as work:
        work.cancel()
        other.start()
        other.join()
    assert answers[0]["n"].tolist() == [1]


@pytest.mark.spark
def test_a_statement_of_several_jobs_is_cancelled_between_them(running: SparkSession, logs: DataFrame) -> None:
    """Each side of the join is one job; the cancellation comes when the first job has ended."""
    tracker = running.sparkContext.statusTracker()
    quick = "SELECT /*+ BROADCAST(b) */ count(*) FROM b JOIN range(0, 2000000000, 1, 8) a ON a.id * 7 = b.id"
    sql = f"WITH b AS (SELECT id FROM range(1000) GROUP BY id) {quick} WHERE sha2(cast(a.id AS string), 256) < '0'"
    first = running.sparkContext._jsc.sc().dagScheduler().numTotalJobs()  # jobs have numbers from 0
    work = spark.cancellable()

    def first_has_ended() -> bool:
        info = tracker.getJobInfo(first)
        return info is not None and info.status == "SUCCEEDED"

    def other() -> None:
        wait_for(first_has_ended)
        work.cancel()

    thread = threading.Thread(target=other)
    thread.start()
    with pytest.raises(Cancelled, match="was cancelled"), work:
        spark.run(logs, sql)
    thread.join()
    nothing_is_left(running)


@pytest.mark.spark
@pytest.mark.parametrize("handler", ["of Python, as in a notebook", "of pyspark, as in a script"])
def test_ctrl_c_ends_the_job(running: SparkSession, logs: DataFrame, handler: str) -> None:
    def as_pyspark(*_: object) -> None:  # what pyspark sets where its session starts in the main thread
        running.sparkContext.cancelAllJobs()
        raise KeyboardInterrupt

    ours = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler if handler.startswith("of Python") else as_pyspark)
    try:
        with once_a_job_runs(running, lambda: os.kill(os.getpid(), signal.SIGINT)), pytest.raises(KeyboardInterrupt):
            spark.run(logs, ENDLESS)
    finally:
        signal.signal(signal.SIGINT, ours)
    nothing_is_left(running)
    assert spark.run(logs, "SELECT count(*) AS n FROM {logs}")["n"].tolist() == [1]


@pytest.mark.spark
def test_a_spark_error_is_raised(logs: DataFrame) -> None:
    with pytest.raises(SparkError, match=r"^Spark failed at bad: too bad\.$"):
        spark.run(logs, "SELECT raise_error('too bad') FROM {logs}", description="bad")
    with spark.cancellable(), pytest.raises(Exception, match="nix"):
        spark.run(logs, "SELECT nix FROM {logs}")


@pytest.mark.spark
def test_jobs_are_described_and_the_callers_description_is_restored(running: SparkSession, tmp_path: Path) -> None:
    logs = fl.open_logs(make_dataset(tmp_path / "jobs", [{}]), session=running).to_spark()
    context = running.sparkContext
    context.setLocalProperty("spark.job.description", "mine")
    said: list[Any] = []
    other = threading.Thread(
        target=lambda: said.append(spark.run(logs, "SELECT count(*) FROM {logs}", description="from a thread"))
    )
    spark.run(logs, "SELECT count(*) FROM {logs}", description="from here")
    other.start()
    other.join()
    jobs = context._jsc.sc().statusStore().jobsList(None)  # the latest first
    assert len(said) == 1
    assert [str(jobs.apply(i).description()) for i in range(2)] == ["Some(from a thread)", "Some(from here)"]
    assert context.getLocalProperty("spark.job.description") == "mine"
    with pytest.raises(Exception, match="nix"):
        spark.run(logs, "SELECT nix FROM {logs}")
    assert context.getLocalProperty("spark.job.description") == "mine"
    context.setLocalProperty("spark.job.description", None)  # type: ignore[arg-type]


@pytest.mark.spark
def test_every_job_of_a_statement_is_described(running: SparkSession, logs: DataFrame) -> None:
    """Spark runs the jobs of broadcasts and subqueries in other threads."""
    store = running.sparkContext._jsc.sc().statusStore()
    before = store.jobsList(None).size()
    spark.run(
        logs,
        """
        WITH per_db AS (SELECT db, count(*) AS n FROM {logs} GROUP BY db)
        SELECT /*+ BROADCAST(per_db) */ count(*) AS queries FROM {logs} JOIN per_db USING (db)
        WHERE n >= (SELECT min(n) FROM per_db)
        """,
        description="per database",
    )
    jobs = store.jobsList(None)  # the latest first
    new = [jobs.apply(i) for i in range(jobs.size() - before)]
    assert len(new) >= 3
    assert {str(job.description()) for job in new} == {"Some(per database)"}


@pytest.mark.spark
def test_jobs_inherit_the_callers_group_and_tags(running: SparkSession, logs: DataFrame) -> None:
    context = running.sparkContext
    context.setJobGroup("mine", "my own words")
    context.addJobTag("my-tag")
    try:
        spark.to_pandas(logs)
    finally:
        context.removeJobTag("my-tag")
        context.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]
        context.setLocalProperty("spark.job.description", None)  # type: ignore[arg-type]
    (number,) = context.statusTracker().getJobIdsForGroup("mine")
    job = context._jsc.sc().statusStore().job(number)
    assert job.description().get() == "my own words"
    assert "my-tag" in str(job.jobTags())


@pytest.mark.spark
def test_a_missing_file_is_named_in_the_error(running: SparkSession, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "gone", [{}])
    logs = fl.open_logs(dataset, session=running).to_spark()
    (file,) = dataset.files()
    file.unlink()
    with pytest.raises(SparkError, match=rf"Spark failed at count: .*{file.name}"):
        spark.run(logs, "SELECT count(*) FROM {logs}", description="count")


@pytest.mark.spark
def test_a_job_that_is_cancelled_in_spark_is_an_error(running: SparkSession, logs: DataFrame) -> None:
    end_all = running.sparkContext.cancelAllJobs
    with once_a_job_runs(running, end_all), pytest.raises(SparkError, match=r"Spark failed at slow: .*cancelled"):
        spark.run(logs, ENDLESS, description="slow")


# ---- no statement waits for ever ---------------------------------------------------------------------

Connect = Callable[[Any, Any], Any]


@pytest.fixture
def over_ports(running: SparkSession) -> Iterator[None]:
    """Make Spark send results through ports, as in a session that a user started."""
    conf = running.sparkContext._jsc.sc().conf()
    conf.set("spark.python.unix.domain.socket.enabled", "false")
    yield
    conf.set("spark.python.unix.domain.socket.enabled", "true")


class Stranger:
    """Another program that connects to Spark's port before Python does, the first `times` times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, does: str, times: int) -> None:
        self.met, self.sockets = 0, []  # type: int, list[socket.socket]
        connect: Connect = util.local_connect_and_auth

        def after_the_stranger(port: Any, secret: Any) -> Any:
            self.met += 1
            if self.met > times:
                return connect(port, secret)
            if does == "refuses":
                return connect(self.closed_port(), secret)
            self.sockets.append(socket.create_connection(("127.0.0.1", port)))
            if does == "sends bytes":
                self.sockets[-1].sendall(bytes.fromhex("ff00000000000000017f"))
            return connect(port, secret)

        monkeypatch.setattr(util, "local_connect_and_auth", after_the_stranger)

    @staticmethod
    def closed_port() -> int:
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], Stranger]]:
    monkeypatch.setenv("SPARK_AUTH_SOCKET_TIMEOUT", "2")
    monkeypatch.setattr("frontierlab.spark.statements._REASON_SECONDS", 1)
    made: list[Stranger] = []

    def make(does: str, times: int) -> Stranger:
        made.append(Stranger(monkeypatch, does, times))
        return made[-1]

    yield make
    for one in made:
        for connection in one.sockets:
            connection.close()


@pytest.mark.spark
@pytest.mark.usefixtures("over_ports")
@pytest.mark.parametrize("does", ["sends bytes", "refuses", "never answers"])
def test_another_program_at_the_port_costs_a_retry(
    logs: DataFrame, stranger: Callable[[str, int], Stranger], does: str
) -> None:
    met = stranger(does, 1)
    assert spark.run(logs, "SELECT count(*) AS n FROM {logs}")["n"].tolist() == [1]
    assert met.met == 2


@pytest.mark.spark
@pytest.mark.usefixtures("over_ports")
@pytest.mark.parametrize("does", ["sends bytes", "refuses", "never answers"])
def test_another_program_at_the_port_twice_is_an_error(
    logs: DataFrame, stranger: Callable[[str, int], Stranger], does: str
) -> None:
    met = stranger(does, 9)
    with pytest.raises(SparkError, match=r"did not come through: another program .* Unix socket"):
        spark.run(logs, "SELECT count(*) AS n FROM {logs}")
    assert met.met == 2


@pytest.mark.spark
@pytest.mark.usefixtures("over_ports")
def test_a_spark_error_is_raised_also_over_a_port(logs: DataFrame) -> None:
    with pytest.raises(SparkError, match=r"^Spark failed at bad: too bad\.$"):
        spark.run(logs, "SELECT raise_error('too bad') FROM {logs}", description="bad")


@pytest.mark.spark
def test_results_come_through_a_unix_socket_in_a_private_folder(
    logs: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect: Connect = util.local_connect_and_auth
    used: list[tuple[Any, Any]] = []

    def noted(address: Any, secret: Any) -> Any:
        used.append((address, secret))
        return connect(address, secret)

    monkeypatch.setattr(util, "local_connect_and_auth", noted)
    assert spark.run(logs, "SELECT count(*) AS n FROM {logs}")["n"].tolist() == [1]
    ((path, secret),) = used
    assert secret is None
    assert len(path) < 104
    assert Path(path).parent.stat().st_mode & 0o777 == 0o700
    wait_for(lambda: not Path(path).exists(), "the end of the socket")  # Java removes it after the last byte


@pytest.mark.spark
@pytest.mark.parametrize("by", ["cancel", "Ctrl-C"])
def test_a_cancelled_caller_returns_even_if_spark_never_answers(
    logs: DataFrame, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr("frontierlab.spark.calls.ENDING_SECONDS", 0.5)
    stuck, end = threading.Event(), threading.Event()

    def never(*_: object) -> None:
        stuck.set()
        end.wait(300)
        raise OSError("ended")

    monkeypatch.setattr(util, "local_connect_and_auth", never)
    work = spark.cancellable()

    def leave() -> None:
        assert stuck.wait(60)
        work.cancel() if by == "cancel" else os.kill(os.getpid(), signal.SIGINT)

    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=leave)
    thread.start()
    try:
        kind = Cancelled if by == "cancel" else KeyboardInterrupt
        with pytest.raises(kind, match=r"Spark has not ended its work within 0\.5 s; it is still"), work:
            spark.run(logs, "SELECT count(*) AS n FROM {logs}")
        assert not end.is_set()
    finally:
        signal.signal(signal.SIGINT, ours)
        end.set()
        thread.join()


@pytest.mark.spark
def test_counting_is_cancelled_before_its_first_job(
    running: SparkSession, logs: DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frontierlab.spark.calls.ENDING_SECONDS", 0.5)
    reached, go_on = threading.Event(), threading.Event()
    ask = SparkSession.sql

    def held(session: SparkSession, *_: Any, **__: Any) -> DataFrame:
        reached.set()
        assert go_on.wait(300)
        return ask(session, ENDLESS)

    monkeypatch.setattr(SparkSession, "sql", held)
    with pytest.raises(KeyboardInterrupt, match="left"), Background() as work:  # noqa: PT012
        begun = work.submit(lambda: count_queries(as_logs(logs), tmp_path / "queries", 1))
        assert reached.wait(60)
        raise KeyboardInterrupt("left")
    assert isinstance(begun.exception(60), Cancelled)
    go_on.set()  # its job begins now, long after the cancellation
    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("frontierlab-")])
    nothing_is_left(running)


@pytest.mark.spark
def test_long_work_without_a_job_is_not_interrupted(running: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frontierlab.spark.calls._PULSE", 0.05)
    asked: list[float] = []
    version = SparkContext.version.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(SparkContext, "version", property(lambda self: asked.append(1.0) or version(self)))

    def plan() -> str:
        wait_for(lambda: len(asked) > 3)
        return "planned"

    assert in_spark(running, plan, "planning") == "planned"


@pytest.mark.spark
def test_a_thread_that_ends_before_its_work_is_an_error(
    running: SparkSession, logs: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyspark.InheritableThread", lambda *_, **__: threading.Thread(target=int))
    with pytest.raises(SparkError, match=r"Spark is gone: its Java process has ended, seen at SELECT 1\."):
        spark.run(logs, "SELECT 1")


@pytest.mark.spark
def test_a_stopped_session_is_an_error_with_the_next_step(
    running: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = running.range(1)
    monkeypatch.setattr(running.sparkContext, "_jsc", None)
    with pytest.raises(SparkError, match=r"was stopped\. frontierlab\.spark\.session\(\) starts a new one"):
        spark.to_pandas(frame)


@pytest.mark.spark
def test_a_forked_process_is_refused_and_the_session_still_works(running: SparkSession) -> None:
    answer = running.sql("SELECT 1 AS one")

    def refused() -> bool:
        for ask in (lambda: spark.to_pandas(answer), lambda: spark.session()):
            with pytest.raises(SparkError, match="forked from the one that started Spark"):
                ask()
        return True

    assert in_fork(refused)
    assert spark.to_pandas(answer)["one"].tolist() == [1]
