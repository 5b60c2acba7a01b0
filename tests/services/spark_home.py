"""A home of Spark without the jars of what no test uses: Java looks for a class in one jar after the other.

It has 280. Half of them come with Kubernetes, Hive, and Spark's machine learning; without them, the Java of a session
takes a tenth less processor time, since Spark and py4j ask for many classes that do not exist.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.services.processes import ServiceError

UNUSED = """
    JLargeArrays JTransforms algebra arpack blas breeze cats-kernel lapack spark-mllib_ spire
    HikariCP ST4 commons-dbcp commons-pool datanucleus derby hive- javax.jdo javolution jdo-api jline jpam jta
    libfb303 libthrift opencsv spark-hive super-csv transaction-api
    kubernetes spark-kubernetes vertx volcano zjsonpatch
    curator hk2 jersey netty-tcnative netty-transport-native-epoll netty-transport-native-kqueue zookeeper
    rocksdbjni scala-compiler spark-connect spark-graphx spark-pipelines spark-repl spark-streaming spark-yarn
"""
"""How the names of jars begin that are left out."""


def make_spark_home(folder: Path) -> Path:
    """Make a home of Spark of links to the files of pyspark, in a new folder."""
    pyspark = importlib.util.find_spec("pyspark")
    if pyspark is None or pyspark.origin is None:
        raise ServiceError('no pyspark here: pip install "frontierlab[spark]"')
    (folder / "jars").mkdir(parents=True)
    for path in Path(pyspark.origin).parent.iterdir():
        if path.name != "jars":
            (folder / path.name).symlink_to(path)
            continue
        for jar in path.iterdir():
            if not jar.name.startswith(tuple(UNUSED.split())):
                (folder / "jars" / jar.name).symlink_to(jar)
    return folder
