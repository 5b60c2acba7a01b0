"""A program whose Spark sessions begin and end; the tests of ends and of a cluster read what it says.

It is one program since each Java costs much to start. It starts two: one that is stopped and killed, and one that first
works on a cluster, then on this machine, and outlives the program::

    python -m tests.spark.sessions_program FOLDER

The folder contains a file `cluster.json` with the master and the options of the cluster, and gets the answers.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import filters
from frontierlab.engines import Logs
from frontierlab.spark import calls as spark_calls
from frontierlab.spark import sessions
from tests.spark.test_spark_statements import ENDLESS, active_jobs
from tests.support.spark_options import ONCE
from tests.support.waiting import wait_for

QUESTION = "SELECT schema, count(*) AS queries FROM logs WHERE db = :db GROUP BY schema ORDER BY schema"
NAMES = ("cost_per_task", "querytime_percentiles")
"""Filters that sum, rank and join, and compute what cannot be added up."""


def answers(logs: Logs) -> dict[str, pd.DataFrame]:
    """Run a few filters and a statement."""
    frames = {name: getattr(filters, name)(logs, db="CONDBR2") for name in NAMES}
    return {**frames, "sql": fl.sql(logs, QUESTION, db="CONDBR2")}


def said(name: str, value: object) -> None:
    print(json.dumps([name, value]), flush=True)  # noqa: T201


def error_of(ask: Callable[[], Any]) -> str:
    """Return what the error of a call says."""
    try:
        ask()
    except fl.errors.SparkError as error:
        return str(error)
    return "no error"


def begin() -> SparkSession:
    """Start in the background, after a start that fails."""
    begun = fl.spark.start(**{"spark.master": "local[x]"})
    said("failed starts", [error_of(ask) for ask in (fl.spark.session, begun.result)])
    starts = [fl.spark.start(), fl.spark.start()]
    said("at once", not starts[0].done())
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: fl.spark.session(), range(3)))
    found += [one.result() for one in starts] + [fl.spark.start().result()]
    session = found[0]
    said("sessions", [len({*map(id, found)}), session.conf.get("spark.master")])
    said("its own Python for workers", session.sparkContext.pythonExec == sys.executable)
    return session


def end(session: SparkSession) -> None:
    """Stop Java while it works and while it is idle, and kill it."""
    spark_calls.SILENT_SECONDS = spark_calls._PULSE = spark_calls.ENDING_SECONDS = 1
    java, frame = session.sparkContext._gateway.proc.pid, session.range(1)
    for option, value in ONCE.items():
        session.conf.set(option, value)

    def met(signal_: signal.Signals) -> str:
        def act() -> None:
            wait_for(lambda: active_jobs(session))
            os.kill(java, signal_)

        threading.Thread(target=act).start()
        return error_of(lambda: fl.spark.run(frame, ENDLESS))

    stopped = [met(signal.SIGSTOP)]
    spark_calls._PULSE = 300  # as a process that was stopped just after an answer
    spark_calls._HEARD[session.sparkContext] = time.monotonic()
    stopped += [error_of(ask) for ask in (lambda: fl.spark.to_pandas(frame), fl.spark.session)]
    said("stopped", stopped)
    os.kill(java, signal.SIGCONT)
    wait_for(lambda: not active_jobs(session))
    killed = [met(signal.SIGKILL)]
    spark_calls.SILENT_SECONDS = spark_calls._PULSE = 300
    said("killed", [*killed, error_of(lambda: fl.spark.to_pandas(frame))])


def work_on_the_cluster(folder: Path, former: SparkSession) -> None:
    """Start anew, with the settings of a cluster, and write the answers."""
    cluster = json.loads((folder / "cluster.json").read_text())
    settings = fl.Settings(data_dir=folder, spark_master=cluster["url"], spark_options=cluster["options"])
    logs = fl.open_logs("logs", settings=settings)  # a master that is not local means Spark
    session = logs.to_spark().sparkSession
    said("new", [session is not former, session.conf.get("spark.master")])
    for name, frame in answers(logs).items():
        frame.to_pickle(folder / f"{name}.pickle")
    executors = session.sparkContext._jsc.sc().statusStore().executorList(True)
    said("tasks", {executors.apply(i).id(): executors.apply(i).totalTasks() for i in range(executors.size())})
    application, programs = session.sparkContext.applicationId, psutil.process_iter(["cmdline"])
    said("executors", [one.pid for one in programs if application in (one.info["cmdline"] or ())])
    session.stop()


def main(folder: Path) -> None:
    warmed: list[str | None] = []
    # The sessions answer little, and what warms one up costs more than that; the session of the run is warmed up.
    sessions.warm_up = lambda session: warmed.append(session.conf.get("spark.master"))
    session = begin()
    end(session)
    work_on_the_cluster(folder, session)
    new = fl.spark.session()
    said("local again", [new.conf.get("spark.master"), fl.spark.to_pandas(new.range(1))["id"].tolist()])
    said("warmed", warmed)
    said("folder", new.conf.get("spark.python.unix.domain.socket.dir"))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
