"""The command line on the sample: a data folder, a working folder, and a runner."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import frontierlab as fl
from frontierlab.cli.main import root
from frontierlab.sample import World
from frontierlab.sample.world.incidents import Incident, make_day

Run = Callable[..., Result]


@pytest.fixture(scope="session")
def extracted(sample_settings: fl.Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the dataset ``overlay`` of the sample; tests copy it."""
    folder = tmp_path_factory.mktemp("cli")
    shutil.copytree(sample_settings.data_dir / "datasets" / "sample", folder / "datasets" / "sample")
    fl.datasets.rename_dataset("sample", "overlay", fl.Settings(data_dir=folder))
    return folder


@pytest.fixture(scope="session")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export file of the day of the sample with fewer documents; tests only read it."""
    World(3_000).write(path := tmp_path_factory.mktemp("dump") / "dump.ndjson.zst")
    return path


SLOW = Incident(
    "slow_server",
    "2026-10-01T10:00",
    "2026-10-01T13:00",
    scope={"frontierserver": "frontier1.cern.example"},
    factor=8,
)


@pytest.fixture(scope="session")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a day with an incident, and a calm day before it; tests copy it."""
    settings = fl.Settings(data_dir=tmp_path_factory.mktemp("days"))
    make_day(settings, 11, 6_000, incidents=[SLOW], name="day")
    make_day(settings, 12, 6_000, quiet=True, world=11, since="2026-09-30", name="calm")
    return settings.data_dir


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a configuration for the sample and an empty data folder; returns the data folder."""
    monkeypatch.chdir(tmp_path)
    configuration = fl.create_config_file(
        tmp_path / "configuration.txt",
        data_dir=tmp_path / "data",
        coolr_file=fl.sample.path("catalogue.parquet"),
        coolr_archive=fl.sample.path("payloads.parquet").parent,
    )
    monkeypatch.setenv("CONFIG_FILE", str(configuration))
    return tmp_path / "data"


@pytest.fixture
def overlay(extracted: Path, empty: Path) -> Path:
    """Like `empty`, with the dataset ``overlay``."""
    shutil.copytree(extracted, empty)
    return empty


@pytest.fixture
def run() -> Run:
    """Runs a command in this process."""

    def invoke(*args: str, stdin: str = "") -> Result:
        done = CliRunner().invoke(root, args, input=stdin, prog_name="frontierlab", catch_exceptions=False)
        assert isinstance(done.exit_code, int)
        return done

    return invoke
