"""What is said of services: connected, refused, not configured; and never a secret."""

from __future__ import annotations

import pytest

import frontierlab as fl
from frontierlab import connections
from frontierlab.coolr.calls import Caller
from tests.support.extractions import elastic_settings

SECRET = "wrong-and-secret"


@pytest.mark.parametrize("service", ["Elasticsearch", "COOLR", "Redis"])
def test_a_service_without_settings_is_not_configured(service, data_dir):
    found = connections.check(service, fl.Settings(data_dir=data_dir))
    assert (found.service, found.state) == (service, "not configured")
    assert "is not set" in found.reason or "There is no broker" in found.reason


def test_an_archive_counts_as_coolr(data_dir):
    found = connections.check("COOLR", fl.sample.settings(data_dir=data_dir))
    assert found.state == "connected"
    assert "schemas of CONDBR2 in the archive" in found.reason
    refused = connections.check("COOLR", fl.Settings(data_dir=data_dir, coolr_archive=data_dir))
    assert refused.state == "refused"
    assert str(data_dir) in refused.reason


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("service", "where", "setting"),
    [
        ("Elasticsearch", {"es_address": "http://127.0.0.1", "es_port": 9, "es_index": "i"}, "es_address"),
        ("COOLR", {"coolr_host": "127.0.0.1:9"}, "coolr_host"),
        ("Redis", {"broker_url": "redis://127.0.0.1:9/0"}, "broker_url"),
    ],
)
def test_a_service_without_an_answer_is_not_reached(service, where, setting, data_dir, monkeypatch):
    monkeypatch.setattr(Caller, "_sleep", lambda self, wait: None)
    found = connections.check(service, fl.Settings(data_dir=data_dir, **where))
    assert found.state == "not reached"
    assert setting in found.reason


@pytest.mark.elasticsearch
def test_elasticsearch(elasticsearch_server, es, index, data_dir):
    es.index(index=index, document={"@timestamp": "2026-10-01T00:00:00Z", "sqldb": "CONDBR2"}, refresh=True)
    settings = elastic_settings(elasticsearch_server, data_dir, index)
    found = connections.check("Elasticsearch", settings)
    assert found.state == "connected"
    assert found.reason.startswith("1 documents in test-")
    wrong = connections.check("Elasticsearch", elastic_settings(elasticsearch_server, data_dir, index, es_pswd=SECRET))
    assert (wrong.state, SECRET in wrong.reason) == ("refused", False)
    assert "refuses the credentials (401)" in wrong.reason
    nobody = connections.check(
        "Elasticsearch", elastic_settings(elasticsearch_server, data_dir, index, es_address="https://127.0.0.1:9")
    )
    assert (nobody.state, "does not answer" in nobody.reason) == ("not reached", True)


@pytest.mark.redis
def test_redis(redis_server, data_dir):
    found = connections.check("Redis", fl.Settings(data_dir=data_dir, broker_url=redis_server.url))
    assert found.state == "connected"
    assert "0 workers at 127.0.0.1:" in found.reason
    gone = connections.check("Redis", fl.Settings(data_dir=data_dir, broker_url=f"redis://:{SECRET}@127.0.0.1:9/0"))
    assert (gone.state, SECRET in gone.reason) == ("not reached", False)


@pytest.mark.spark
def test_spark(running, data_dir):
    found = connections.check("Spark", fl.Settings(data_dir=data_dir, engine="spark"))
    assert found.state == "connected"
    assert f"Spark {running.version} with master local[2]" in found.reason


@pytest.mark.spark
def test_spark_without_java_is_refused(monkeypatch, data_dir):
    def none(_):
        raise fl.errors.SparkError("Spark needs Java, and there is no java program here.")

    monkeypatch.setattr("frontierlab.spark.session", none)
    assert connections.check("Spark", fl.Settings(data_dir=data_dir, engine="spark")) == (
        "Spark",
        "refused",
        "Spark needs Java, and there is no java program here.",
    )


@pytest.mark.parametrize("engine", ["auto", "duckdb"])
def test_spark_is_not_started_if_duckdb_answers(monkeypatch, data_dir, engine):
    monkeypatch.setattr("frontierlab.spark.session", lambda _: pytest.fail("Spark was started"))
    found = connections.check("Spark", fl.Settings(data_dir=data_dir, engine=engine))
    assert found.state == "not configured"
    assert found.reason.startswith("DuckDB answers questions about logs. Spark is used ")
