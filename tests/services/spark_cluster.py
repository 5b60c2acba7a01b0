"""A real Spark standalone cluster on this machine: a master, a worker, and executors in programs of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Self

from pyspark.sql import SparkSession

from tests.support.spark_options import ONCE


class SparkCluster:
    """A master and a worker on 127.0.0.1, in the Java of a session, which takes seconds less than a Java for each.

    That session does not use them. Drivers in other programs ask the master for executors by its address; the worker
    starts them, as the same user, so that they can read the datasets of tests::

        with SparkCluster(session) as cluster:
            settings = Settings(spark_master=cluster.url, spark_options=cluster.options)

    Parameters
    ----------
    session
        A session on this machine.
    cores
        Cores of the worker.
    memory
        Memory of the worker in MB; an executor takes half of it.

    Attributes
    ----------
    url : str
        The address of the master, ``spark://127.0.0.1:…``.
    port : int
        Its port.
    folder : Path
        Folder of the executors' working directories.
    """

    def __init__(self, session: SparkSession, cores: int = 2, memory: int = 1024) -> None:
        self.cores, self.memory = cores, memory
        self.url, self.port = "", 0
        self.folder = Path()
        self._gateway: Any = session.sparkContext._gateway
        self._running: list[Any] = []

    @property
    def options(self) -> dict[str, str]:
        """Spark options for a driver on this machine, with statements that run once, on a few rows."""
        return {
            **ONCE,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.memory": f"{self.memory // 2}m",
            # the options of the run for Java, whose programs live for seconds: see tests/conftest.py
            "spark.executor.extraJavaOptions": os.environ.get("SPARK_SUBMIT_OPTS", ""),
        }

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="frontierlab-spark-"))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        while self._running:  # the worker first, or it would miss its master
            part = self._running.pop()
            part.shutdown()
            part.awaitTermination()
        shutil.rmtree(self.folder)

    def _start(self) -> None:
        """Do what the programs of a master and of a worker do."""
        java = self._gateway.jvm
        options = java.org.apache.spark.SparkConf(False).set("spark.master.rest.enabled", "false")
        deploy, none = java.org.apache.spark.deploy, java.scala.Option.empty()
        here, any_port, any_page = "127.0.0.1", 0, 0
        master = deploy.master.Master.startRpcEnvAndEndpoint(here, any_port, any_page, options)._1()
        self._running.append(master)
        self.url, self.port = master.address().toSparkURL(), master.address().port()
        masters = self._gateway.new_array(java.java.lang.String, 1)
        masters[0] = self.url
        offer = (self.cores, self.memory, masters, str(self.folder), none)
        start_worker = deploy.worker.Worker.startRpcEnvAndEndpoint
        self._running.append(start_worker(here, any_port, any_page, *offer, options, none))
