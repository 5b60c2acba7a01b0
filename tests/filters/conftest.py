"""What the tests of filters share."""

import pytest
from pyspark.sql import DataFrame, SparkSession

from frontierlab import spark
from tests.support.logs import make_dataset
from tests.support.random_logs import World, world


@pytest.fixture(scope="session")
def in_spark(running: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[World, DataFrame]]:
    """A few of the random logs, opened in Spark."""
    folder = tmp_path_factory.mktemp("worlds")
    worlds = [world(seed) for seed in (3, 4, 5)]
    return [(one, spark.open_logs(make_dataset(folder / f"{one.seed}", one.rows), session=running)) for one in worlds]
