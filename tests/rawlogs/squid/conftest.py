"""Access logs of the sample world, read once for the tests of a run."""

from pathlib import Path
from typing import NamedTuple

import pytest

from frontierlab import Settings, sample
from frontierlab.rawlogs.squid import SquidLogs, SquidTruth, read_squid_logs, write_squid_logs
from frontierlab.sample.world.world import World

ZONE = "America/Chicago"


class Written(NamedTuple):
    """Logs of the sample world, what they hold, and what was read."""

    folder: Path
    truth: SquidTruth
    logs: SquidLogs
    settings: Settings


@pytest.fixture(scope="session")
def squids(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A day of 24 Squids, in the format with three quoted fields, and with the clock of another zone."""
    folder = tmp_path_factory.mktemp("squids")
    settings = sample.settings(data_dir=folder / "data", personal_data_key="a key of the tests of Squid logs")
    truth = write_squid_logs(World(700, seed=5), folder / "logs", timezone=ZONE, faults=0.003)
    logs = read_squid_logs(folder / "logs", settings, name="day", timezone=ZONE, sites=truth.sites)
    return Written(folder, truth, logs, settings)
