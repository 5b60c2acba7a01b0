"""What all tests share: no network for unit tests, and real services, started when first asked for.

A service that cannot be had fails its tests; nothing is skipped.
"""

import gc
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from _pytest import unraisableexception
from _pytest.unraisableexception import gc_collect_iterations_key
from elasticsearch import Elasticsearch
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright
from pyspark.core import context
from pyspark.sql import SparkSession

import frontierlab as fl
from frontierlab import Settings, sample, spark
from frontierlab.reports.beginning import Beginning
from tests.services.chromium import ADDRESS, ChromiumServer
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.jupyter import RUNNING, JupyterServer, RunningJupyter
from tests.services.redis import RedisServer
from tests.services.spark_home import make_spark_home
from tests.services.starts import SPARK, noted
from tests.support import division
from tests.support.bokeh_defaults import keep_defaults
from tests.support.examples import examples
from tests.support.spark_options import interpreted
from tests.support.widget_traits import keep_traits

SERVICES = ("elasticsearch", "redis", "worker", "spark", "browser", "jupyter")

# Java's second compiler costs more than it saves in sessions and servers that live for minutes: half of their CPU time.
# So do the threads that collect garbage beside the program, and the check of classes that come with Spark itself.
# With a small table of names, a sixth of the time of a start is spent on looking them up. Another thread looks through
# compiled code for what is not used any more, a twentieth of the time; there is room for all of it.
QUICK_JAVA = (
    "-XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC "
    "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote "
    "-XX:+UnlockExperimentalVMOptions -XX:SymbolTableSize=524288 "
    "-XX:-MethodFlushing -XX:ReservedCodeCacheSize=128m"
)
os.environ.setdefault("SPARK_SUBMIT_OPTS", QUICK_JAVA)
# No test asks a server with a public certificate, and each client would take 40 ms to read the authorities of the
# system, or of a file that the environment names.
os.environ["SSL_CERT_FILE"] = os.devnull

# jsonschema, which nbformat needs, would take a second to make a grammar of addresses. It can do without.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

settings.register_profile("local", deadline=None, max_examples=examples(50))
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

gc.disable()  # until the tests are collected, see below


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.option.allow_unix_socket = True  # asyncio needs them
    config.stash[gc_collect_iterations_key] = 1  # not five times, at the end, through all that the tests have left


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Collect what the tests have left once: pytest has done so by now; it and Python would again, for seconds."""
    if hasattr(unraisableexception, "pytest_unconfigure"):
        config.stash[gc_collect_iterations_key] = 0
        gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before -m is applied
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use JupyterLab, and block the sockets of tests that use no service.

    Tests with pytest-socket's mark `allow_hosts` can use the named hosts. Those with the mark `last` come after all
    others: a service that they start anew would be slow again for these.
    """
    for item in items:
        if "jupyter" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.jupyter)
        if any(item.get_closest_marker(name) for name in SERVICES):
            item.add_marker(pytest.mark.enable_socket)
        elif not item.get_closest_marker("allow_hosts"):
            item.add_marker(pytest.mark.disable_socket)
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)
    division.note(division.COLLECTED, (item.nodeid for item in items))


def pytest_collection_finish() -> None:
    """Let the collection of garbage leave out modules and tests, which stay: it took half of the time of an import."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    division.note(division.RAN, [item.nodeid])


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the configuration of whoever runs the tests out of them."""
    for name in os.environ:
        if name == "CONFIG_FILE" or name.startswith("FRONTIERLAB_"):
            monkeypatch.delenv(name)
    # a hundredth of the documents of the tests' worlds are malformed on purpose
    monkeypatch.setenv("FRONTIERLAB_LOSS_WARNING_SHARE", "0.03")


@pytest.fixture(autouse=True, scope="session")
def no_wait_for_the_disk() -> Iterator[None]:
    """Do not flush files to the disk: that matters only if the power fails, and takes 10 ms for each file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def defaults_of_bokeh_are_kept() -> Iterator[None]:
    """Let Bokeh work out each default once: see `tests.support.bokeh_defaults`."""
    with pytest.MonkeyPatch.context() as patch:
        keep_defaults(patch.setattr)
        yield


@pytest.fixture(autouse=True, scope="session")
def traits_of_widgets_are_kept() -> Iterator[None]:
    """Let ipywidgets look through the traits of each class once: see `tests.support.widget_traits`."""
    with pytest.MonkeyPatch.context() as patch:
        keep_traits(patch)
        yield


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


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    """Settings of the sample, for an empty data folder."""
    return sample.settings(data_dir=data_dir)


@pytest.fixture(scope="session")
def sample_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the sample, for a data folder with its dataset ``sample``; tests only read both."""
    of_sample = sample.settings(data_dir=tmp_path_factory.mktemp("sample"), loss_warning_share=0.03)
    fl.extract(of_sample, source=sample.path(), name="sample", progress=False)
    return of_sample


@pytest.fixture
def sample_dataset(sample_settings: Settings) -> fl.Dataset:
    """The dataset ``sample``, which tests only read."""
    return fl.datasets.open_dataset("sample", sample_settings)


@pytest.fixture(scope="session")
def sample_diagnosis(sample_settings: Settings) -> "fl.diagnosis.Diagnosis":
    """What `frontierlab.diagnose` says of the dataset ``sample``."""
    return fl.diagnose("sample", settings=sample_settings, progress=False)


@pytest.fixture(scope="session")
def sample_figures(sample_settings: Settings) -> pd.DataFrame:
    """The caching figures of the dataset ``sample``, which tests only read."""
    return fl.caching.efficiency("sample", sample_settings, progress=False)


@pytest.fixture
def few_chapters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of two figures, where a test is about what is around them: a whole one takes seconds."""
    few = {"Databases": ("queries_per_db",), "Over time": ("queries_over_time",)}
    monkeypatch.setattr("frontierlab.reports.report.CHAPTERS", few)


@pytest.fixture
def no_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without incidents and worst folders, where these are not the subject: they take most of the time."""
    monkeypatch.setattr("frontierlab.reports.report.begin", lambda *_: Beginning())


@pytest.fixture(scope="session")
def elasticsearch_server() -> Iterator[ElasticsearchServer]:
    """The one Elasticsearch of the run, with TLS and authentication. Tests may restart it."""
    with ElasticsearchServer(f"{QUICK_JAVA} -XX:-AlwaysPreTouch") as server:
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
def redis_server(redis_of_the_run: RedisServer) -> Iterator[RedisServer]:
    """The Redis of the run, running and empty."""
    redis_of_the_run.client.flushall()
    yield redis_of_the_run
    redis_of_the_run.start()  # if the test has stopped it


@pytest.fixture(autouse=True, scope="session")
def each_java_of_spark_is_noted() -> Iterator[None]:
    """Note each start of Spark's Java in this process, whichever test or fixture asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(context, "launch_gateway", noted(SPARK, context.launch_gateway))
        yield


@pytest.fixture(autouse=True, scope="session")
def spark_has_few_jars(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let Spark start with the jars that tests use: see `tests.services.spark_home`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_HOME", str(make_spark_home(tmp_path_factory.mktemp("spark") / "home")))
        yield


@pytest.fixture(scope="session")
def running() -> SparkSession:
    """The one Spark session of the run. It ends with the run."""
    return spark.session(Settings())


@pytest.fixture
def uncompiled(running: SparkSession) -> Iterator[None]:
    """Spark interprets the statements of the test: its result does not depend on how they are run."""
    with interpreted(running):
        yield


@pytest.fixture(scope="module")
def jupyter() -> Iterator[JupyterServer]:
    """The JupyterLab of the run, or one that ends with the tests of the module."""
    with RunningJupyter(given) if (given := os.environ.get(RUNNING)) else JupyterServer() as server:
        yield server


@pytest.fixture(scope="module")
def removed_together(es: Elasticsearch) -> Iterator[list[str]]:
    """The names of indices that are removed at the end of the module: one takes the server as long as many together."""
    names: list[str] = []
    yield names
    for first in range(0, len(names), 50):  # the names are part of a URL
        es.indices.delete(index=names[first : first + 50], ignore_unavailable=True)


@pytest.fixture
def index(removed_together: list[str]) -> str:
    """A name for an index of the test's own, which is removed with the others of the module."""
    removed_together.append(name := f"test-{uuid.uuid4().hex}")
    return name


@pytest.fixture(scope="session")
def chromium_address() -> Iterator[str]:
    """The address of the one Chromium of the run, which `scripts/run_tests.py` starts for all its processes."""
    if given := os.environ.get(ADDRESS):
        yield given
        return
    with ChromiumServer() as server:
        yield server.address


# Of a module, not of the run: playwright keeps an event loop running in our thread, in which asyncio.run fails.
@pytest.fixture(scope="module")
def browser(chromium_address: str) -> Iterator[Browser]:
    """A connection to the Chromium of the run; pages of other connections are not seen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect(chromium_address)
        yield browser
        browser.close()
