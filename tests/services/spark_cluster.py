"""A real Spark standalone cluster on this machine, from pyspark's own files: a master and a worker."""

import importlib.util
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Self

import psutil

from tests.services.java import find_java
from tests.services.processes import OwnedProcess, ServiceError

START_SECONDS = 120
LAUNCHER = "org.apache.spark.deploy"


def _java_options() -> str:
    """Return the options of the run for Java, whose programs live for seconds: see tests/conftest.py."""
    return os.environ.get("SPARK_SUBMIT_OPTS", "")


class SparkCluster:
    """A master and a worker on 127.0.0.1, which end with this process.

    They run as the same user, so that executors can read the datasets of tests::

        with SparkCluster() as cluster:
            settings = Settings(spark_master=cluster.url, spark_options=cluster.options)

    Parameters
    ----------
    cores
        Cores of the worker.
    memory
        Memory of the worker in MB; an executor takes half of it.

    Attributes
    ----------
    url : str
        The address of the master, ``spark://127.0.0.1:…``.
    folder : Path
        Folder of logs and the executors' working directories.
    """

    def __init__(self, cores: int = 2, memory: int = 1024) -> None:
        self.cores, self.memory = cores, memory
        self.url = ""
        self.folder = Path()
        self._processes: list[OwnedProcess] = []

    @property
    def options(self) -> dict[str, str]:
        """Spark options for a driver on this machine."""
        return {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.memory": f"{self.memory // 2}m",
            "spark.executor.extraJavaOptions": _java_options(),
        }

    def processes(self) -> list[psutil.Process]:
        """The live processes of the master, the worker and its executors."""
        return [process for owned in self._processes for process in owned.processes()]

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="frontierlab-spark-"))
        try:
            address = ["--host", "127.0.0.1", "--port", "0", "--webui-port", "0"]
            master = self._launch("master.Master", *address)
            self.url = self._said(master, "master", r"Starting Spark master at (spark://\S+)")
            offer = ["--cores", str(self.cores), "--memory", f"{self.memory}m", "--work-dir", str(self.folder / "work")]
            worker = self._launch("worker.Worker", *address, *offer, self.url)
            self._said(worker, "worker", r"(Successfully registered with master)")
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._kill()
        shutil.rmtree(self.folder)

    def _kill(self) -> None:
        for process in reversed(self._processes):
            process.kill()

    def _launch(self, name: str, *arguments: str) -> OwnedProcess:
        pyspark = importlib.util.find_spec("pyspark")
        if pyspark is None or pyspark.origin is None:
            raise ServiceError('no pyspark here: pip install "frontierlab[spark]"')
        home = Path(pyspark.origin).parent
        (core,) = home.glob("jars/spark-core_*.jar")
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "JAVA_HOME": str(find_java(17)),
            "SPARK_HOME": str(home),
            "SPARK_SCALA_VERSION": core.name.split("_")[1].split("-")[0],
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.folder),
        }
        # What bin/spark-class runs in the end; before, it starts another Java, which only works out this command.
        java = [environment["JAVA_HOME"] + "/bin/java", "-Xmx256m", *_java_options().split(), "-cp", f"{home}/jars/*"]
        process = OwnedProcess(
            [*java, f"{LAUNCHER}.{name}", *arguments],
            folder=self.folder,
            log=self._log(name.split(".")[0]),
            env=environment,
            cwd=self.folder,
        )
        self._processes.append(process)
        return process

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _said(self, process: OwnedProcess, name: str, pattern: str) -> str:
        """Wait until a process has logged the pattern, and return the match."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            log = self._log(name).read_text(errors="replace")
            if found := re.search(pattern, log):
                return found[1]
            if process.status is not None or time.monotonic() > deadline:
                why = "did not come up" if process.status is None else f"ended with status {process.status}"
                raise ServiceError(f"the Spark {name} {why}; the end of {self._log(name)}:\n{log[-3000:]}")
            time.sleep(0.05)
