"""What all tests share: no network for unit tests, and real services, started when first asked for.

A service that cannot be had fails its tests; nothing is skipped.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright
from pyspark.sql import SparkSession

from frontierlab import Settings, spark
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.jupyter import JupyterServer
from tests.services.processes import ServiceError
from tests.services.redis import RedisServer

SERVICES = ("elasticsearch", "redis", "spark", "browser")

# Chromium is a tested program here, not a browser that looks after itself.
QUIET_CHROMIUM = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Compiled a second time, code costs Java more than that saves in sessions that live for seconds: half of all they take.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.option.allow_unix_socket = True  # asyncio needs them


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Block the sockets of tests that are not marked as using a service, or as allowed by pytest-socket's marks."""
    for item in items:
        if any(item.get_closest_marker(name) for name in SERVICES):
            item.add_marker(pytest.mark.enable_socket)
        elif not item.get_closest_marker("allow_hosts"):
            item.add_marker(pytest.mark.disable_socket)


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the configuration of whoever runs the tests out of them."""
    for name in os.environ:
        if name == "CONFIG_FILE" or name.startswith("FRONTIERLAB_"):
            monkeypatch.delenv(name)
    # a hundredth of the documents of the tests' worlds are malformed on purpose
    monkeypatch.setenv("FRONTIERLAB_LOSS_WARNING_SHARE", "0.03")


@pytest.fixture(autouse=True)
def no_panel_loses_an_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which a panel met an error that nobody raised on purpose; it is shown and logged, not raised."""
    yield
    logged = [record.getMessage() for record in caplog.get_records("call") if record.name == "frontierlab_widgets"]
    assert logged == []


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """An empty data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def elasticsearch_server() -> Iterator[ElasticsearchServer]:
    """The one Elasticsearch of the run, with TLS and authentication. Tests may restart it."""
    with ElasticsearchServer() as server:
        yield server


@pytest.fixture(scope="session")
def es(elasticsearch_server: ElasticsearchServer) -> Iterator[Elasticsearch]:
    """A client of it, as superuser."""
    with elasticsearch_server.client() as client:
        yield client


@pytest.fixture(scope="session")
def redis_of_the_run() -> Iterator[RedisServer]:
    """The one Redis of the run. Tests may stop it and start it again."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(redis_of_the_run: RedisServer) -> RedisServer:
    """It, running and empty."""
    redis_of_the_run.stop()
    redis_of_the_run.start()
    redis_of_the_run.client.flushall()
    return redis_of_the_run


@pytest.fixture(scope="session")
def running() -> SparkSession:
    """The one Spark session of the run. It ends with the run."""
    return spark.session(Settings())


# Of a module, not of the run: it goes on connecting to the ports of kernels that have ended, which another program may
# have by then.
@pytest.fixture(scope="module")
def jupyter() -> Iterator[JupyterServer]:
    """A JupyterLab, which ends with the tests of the module."""
    with JupyterServer() as server:
        yield server


@pytest.fixture
def index(es: Elasticsearch) -> Iterator[str]:
    """A name for an index of the test's own, which is removed afterwards."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    es.indices.delete(index=name, ignore_unavailable=True)


# Of a module, not of the run: playwright keeps an event loop running in our thread, in which asyncio.run fails.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, at `TEST_CHROMIUM` or where Debian puts it."""
    program = Path(os.environ.get("TEST_CHROMIUM", "/usr/bin/chromium"))
    if not program.exists():
        raise ServiceError(
            f"no Chromium at {program}: install it (on Debian: apt-get install chromium) "
            "or set TEST_CHROMIUM to its program"
        )
    flags = [*QUIET_CHROMIUM, "--no-sandbox"] if os.geteuid() == 0 else QUIET_CHROMIUM
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()
