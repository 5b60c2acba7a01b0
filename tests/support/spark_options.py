"""Options for statements of Spark that run once, on a few rows: they are interpreted, and in one task."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from pyspark.sql import SparkSession

INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
ONCE = {**INTERPRETED, "spark.sql.shuffle.partitions": "1", "spark.sql.files.minPartitionNum": "1"}


def for_once(session: SparkSession) -> contextlib.AbstractContextManager[None]:
    """Run statements in one task without compiling them, which takes longer than they do.

    Users have the options of frontierlab, so some statements of each kind run with those.
    """
    return _with(session, ONCE)


def interpreted(session: SparkSession) -> contextlib.AbstractContextManager[None]:
    """Run statements without compiling them, in the tasks that users have."""
    return _with(session, INTERPRETED)


@contextlib.contextmanager
def _with(session: SparkSession, options: Mapping[str, str]) -> Iterator[None]:
    before = {name: session.conf.get(name, None) for name in options}
    try:
        for name, value in options.items():
            session.conf.set(name, value)
        yield
    finally:
        for name, former in before.items():
            session.conf.unset(name) if former is None else session.conf.set(name, former)
