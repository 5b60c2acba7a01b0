"""Settings of jobs, and their way to another process."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

import frontierlab as fl
from frontierlab.jobs.broker import Broker
from frontierlab.settings import as_variables


def test_notebooks_of_the_settings(tmp_path, monkeypatch):
    config = tmp_path / "c.txt"
    config.write_text("notebooks = week=reports/week.ipynb '/x y/night.ipynb'\n")
    expected = {"week": tmp_path / "reports/week.ipynb", "night": Path("/x y/night.ipynb")}
    assert fl.Settings(config).notebooks == expected
    again = fl.create_config_file(tmp_path / "d.txt", notebooks=expected)
    assert fl.Settings(again).notebooks == expected
    with pytest.raises(fl.errors.ConfigurationError, match="two notebooks are named n"):
        fl.Settings(notebooks="a/n.ipynb b/n.ipynb")
    config.write_text("notebooks = 'a\n")
    with pytest.raises(fl.errors.ConfigurationError, match=r"line 1: notebooks .*No closing quotation"):
        fl.Settings(config)
    with pytest.raises(fl.errors.ConfigurationError, match=r"job_backend 'rq' is not valid.*inline, thread or celery"):
        fl.Settings(job_backend="rq")
    assert os.environ.get("CONFIG_FILE") is None


def test_settings_are_passed_to_another_process_as_variables(tmp_path, monkeypatch):
    settings = fl.Settings(
        data_dir=tmp_path / "a folder",
        es_address="h",
        es_user="u",
        es_pswd="hunter two's",
        es_index=["a", "b-*"],
        es_verify_certs=False,
        spark_options={"spark.x": "a b", "spark.y": "'"},
        notebooks={"n": tmp_path / "x y.ipynb"},
        broker_url="redis://:secret@h:1/2",
        periodic=["report"],
        coolr_host=None,
    )
    for name, value in as_variables(settings).items():
        monkeypatch.setenv(name, value)
    assert fl.Settings() == settings


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter-two@h",
        "redis://",
        "redis://h:hunter-two",
        "hunter-two",
        "redis+socket://",
        "redis+socket://:hunter-two@/run/redis.sock",
        f"redis+socket:///{'x' * 103}",
    ],
)
def test_an_invalid_broker_url_is_refused_and_not_shown(url):
    with pytest.raises(
        fl.errors.ConfigurationError, match=r"broker_url is not valid .* Valid: URL of the Redis"
    ) as said:
        fl.Settings(broker_url=url)
    assert "hunter-two" not in str(said.value)
    assert "sesame" not in repr(fl.Settings(broker_url="redis://:sesame@h"))


def test_a_broker_can_be_a_redis_on_a_socket(tmp_path):
    url = "redis+socket:///run/user/1000/redis.sock?virtual_host=1"
    path = fl.create_config_file(tmp_path / "c.txt", broker_url=url)
    assert fl.Settings(path).broker_url.get_secret_value() == url
    assert Broker(fl.Settings(path)).address == f"/run/user/1000/redis.sock/1 on {socket.gethostname()}"
