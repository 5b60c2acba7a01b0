"""What the tests of filters share."""

import pytest
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab.engines import Logs
from tests.support.random_logs import World, world


@pytest.fixture(scope="session")
def in_spark(running: SparkSession) -> list[tuple[World, Logs]]:
    """A few of the random logs, opened in Spark."""
    worlds = [world(seed) for seed in (3, 4, 5)]
    return [(one, fl.open_logs(one.logs.datasets, session=running)) for one in worlds]
