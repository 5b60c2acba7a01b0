import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from frontierlab import spark
from frontierlab.errors import Cancelled, FrontierlabError, SparkError
from tests.logs import make_dataset

# It would take minutes.
ENDLESS = "SELECT count(*) FROM range(0, 2000000000, 1, 8) WHERE sha2(cast(id AS string), 256) < '0'"


@pytest.fixture(scope="module")
def logs(running: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DataFrame:
    return spark.open_logs(make_dataset(tmp_path_factory.mktemp("running") / "one", [{}]), session=running)


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
def test_what_is_cancelled_before_never_begins(running: SparkSession, logs: DataFrame) -> None:
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
def test_the_outer_block_ends_the_work_of_the_inner_one(running: SparkSession, logs: DataFrame) -> None:
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
    """Each side of the join is a job of its own; the wish comes when the first has ended."""
    tracker = running.sparkContext.statusTracker()
    quick = "SELECT /*+ BROADCAST(b) */ count(*) FROM b JOIN range(0, 2000000000, 1, 8) a ON a.id * 7 = b.id"
    sql = f"WITH b AS (SELECT id FROM range(1000) GROUP BY id) {quick} WHERE sha2(cast(a.id AS string), 256) < '0'"
    before = set(tracker.getJobIdsForGroup(None))
    work = spark.cancellable()

    def when_one_has_ended() -> None:
        ended = [tracker.getJobInfo(number) for number in set(tracker.getJobIdsForGroup(None)) - before]
        return any(info and info.status == "SUCCEEDED" for info in ended)

    def other() -> None:
        wait_for(when_one_has_ended)
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
def test_an_error_of_spark_comes_through(logs: DataFrame) -> None:
    with pytest.raises(SparkError, match=r"^Spark failed at bad: too bad\.$"):
        spark.run(logs, "SELECT raise_error('too bad') FROM {logs}", description="bad")
    with spark.cancellable(), pytest.raises(Exception, match="nix"):
        spark.run(logs, "SELECT nix FROM {logs}")


@pytest.mark.spark
def test_jobs_are_described_and_the_description_is_put_back(running: SparkSession, tmp_path: Path) -> None:
    logs = spark.open_logs(make_dataset(tmp_path / "jobs", [{}]), session=running)
    context = running.sparkContext
    context.setLocalProperty("spark.job.description", "mine")
    said: list[Any] = []
    other = threading.Thread(
        target=lambda: said.append(spark.run(logs, "SELECT count(*) FROM {logs}", description="from a thread"))
    )
    spark.run(logs, "SELECT count(*) FROM {logs}", description="from here")
    other.start()
    other.join()
    jobs = context._jsc.sc().statusStore().jobsList(None)
    descriptions = {str(jobs.apply(i).description()) for i in range(jobs.size())}
    assert len(said) == 1
    assert {"Some(from here)", "Some(from a thread)"} <= descriptions
    assert context.getLocalProperty("spark.job.description") == "mine"
    with pytest.raises(Exception, match="nix"):
        spark.run(logs, "SELECT nix FROM {logs}")
    assert context.getLocalProperty("spark.job.description") == "mine"
    context.setLocalProperty("spark.job.description", None)  # type: ignore[arg-type]


@pytest.mark.spark
def test_every_job_of_a_statement_is_described(running: SparkSession, logs: DataFrame) -> None:
    """That of a broadcast too, and that of a subquery, which Spark runs in threads of its own."""
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
def test_jobs_are_of_the_group_and_have_the_tags_that_the_caller_set(running: SparkSession, logs: DataFrame) -> None:
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
def test_a_file_that_is_gone_is_named(running: SparkSession, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "gone", [{}])
    logs = spark.open_logs(dataset, session=running)
    (file,) = dataset.files()
    file.unlink()
    with pytest.raises(SparkError, match=rf"Spark failed at count: .*{file.name}"):
        spark.run(logs, "SELECT count(*) FROM {logs}", description="count")


@pytest.mark.spark
def test_a_job_that_someone_ends_in_spark_is_an_error(running: SparkSession, logs: DataFrame) -> None:
    end_all = running.sparkContext.cancelAllJobs
    with once_a_job_runs(running, end_all), pytest.raises(SparkError, match=r"Spark failed at slow: .*cancelled"):
        spark.run(logs, ENDLESS, description="slow")
