"""Options for statements of Spark that run once, on a few rows: they are interpreted, in one task."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pyspark.sql import SparkSession

ONCE = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.files.minPartitionNum": "1",
}


@contextlib.contextmanager
def for_once(session: SparkSession) -> Iterator[None]:
    """Run statements without compiling them, which takes longer than they do.

    Users have the options of frontierlab, so some statements of each kind run with those.
    """
    before = {name: session.conf.get(name, None) for name in ONCE}
    try:
        for name, value in ONCE.items():
            session.conf.set(name, value)
        yield
    finally:
        for name, former in before.items():
            session.conf.unset(name) if former is None else session.conf.set(name, former)
