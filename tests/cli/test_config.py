"""``frontierlab config`` shows no secret, takes none from the command line, and writes files for their owner alone."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

import frontierlab as fl
from frontierlab.settings.origins import HIDDEN, origins
from tests.cli.conftest import Run

SECRET = "hunter # two"


@pytest.fixture
def with_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = fl.create_config_file(
        tmp_path / "mine.txt",
        es_address="es.example.org",
        es_user="me",
        es_pswd=SECRET,
        spark_options=f"spark.a='{SECRET}'",
        db_instances="CONDBR2 OFLP200",
    )
    monkeypatch.setenv("FRONTIERLAB_BROKER_URL", "redis://:hunter@example.org/0")
    monkeypatch.setenv("FRONTIERLAB_ES_PORT", "9201")
    return path


def test_each_value_has_its_place(with_secrets: Path) -> None:
    found = {one.key: one for one in origins(with_secrets)}
    assert [*found] == [*fl.Settings.model_fields]
    assert (found["es_address"].value, found["es_address"].place) == ("es.example.org", f"{with_secrets}, line 1")
    assert (found["es_port"].value, found["es_port"].place) == (9201, "the variable FRONTIERLAB_ES_PORT")
    assert (found["es_page"].value, found["es_page"].place) == (10_000, "default")
    assert {found[key].value for key in ("es_pswd", "broker_url", "spark_options")} == {HIDDEN}
    assert (found["es_api_key"].value, found["result_backend"].value) == (None, None)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_show_has_no_secret(options: list[str], with_secrets: Path, run: Run) -> None:
    done = run("config", "show", "--config", str(with_secrets), *options)
    assert done.exit_code == 0
    assert "hunter" not in done.output
    assert done.stdout.count(HIDDEN) == 3
    if options:
        rows = {row["key"]: row for row in map(json.loads, done.stdout.splitlines())}
        assert rows["db_instances"]["value"] == ["CONDBR2", "OFLP200"]


def test_create_reads_secrets_from_the_standard_input(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.txt"
    done = run(
        *("config", "create", str(path), "es_address=es.example.org", "es_user=me", "--secret", "es_pswd"),
        stdin=f"{SECRET}\n",
    )
    assert done.exit_code == 0, done.stderr
    assert SECRET not in done.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    pswd = fl.Settings(path).es_pswd
    assert pswd is not None
    assert pswd.get_secret_value() == SECRET


@pytest.mark.parametrize("field", ["es_pswd=x", "broker_url=redis://:x@h/0", "spark_options=a=x"])
def test_a_secret_on_the_command_line_is_refused(field: str, run: Run, tmp_path: Path) -> None:
    done = run("config", "create", str(tmp_path / "new.txt"), field)
    assert done.exit_code == 2
    assert "--secret" in done.stderr
    assert not (tmp_path / "new.txt").exists()


def test_create_without_the_secret_on_the_standard_input(run: Run, tmp_path: Path) -> None:
    done = run("config", "create", str(tmp_path / "new.txt"), "es_user=me", "--secret", "es_pswd")
    assert (done.exit_code, done.stderr) == (2, "Error: There is no line with es_pswd on the standard input.\n")


def test_an_existing_file_is_kept(run: Run, empty: Path) -> None:
    done = run("config", "create", "configuration.txt", "es_user=me")
    assert done.exit_code == 2
    done = run("config", "create", "configuration.txt", "es_port=9201")
    assert "configuration.txt exists already; --overwrite replaces it." in done.stderr
    assert run("config", "create", "configuration.txt", "es_port=9201", "--overwrite").exit_code == 0
    assert fl.Settings().es_port == 9201


def test_check_tells_what_is_configured_and_what_is_not(run: Run, empty: Path) -> None:
    done = run("config", "check", "--json")
    found = {row["service"]: row["state"] for row in map(json.loads, done.stdout.splitlines())}
    assert found == {"Elasticsearch": "not configured", "COOLR": "connected"}
    assert done.exit_code == 0
    assert run("config", "check", "coolr").exit_code == 0
    done = run("config", "check", "elasticsearch")
    assert (done.exit_code, done.stderr) == (1, "Not usable: Elasticsearch.\n")
    assert done.stdout.startswith("Elasticsearch: not configured. es_address is not set")


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_check_finds_a_server_that_does_not_answer(run: Run, empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTIERLAB_ES_ADDRESS", "http://127.0.0.1:1")
    monkeypatch.setenv("FRONTIERLAB_ES_INDEX", "frontier")
    done = run("config", "check", "Elasticsearch", "--json")
    assert (done.exit_code, json.loads(done.stdout)["state"]) == (1, "not reached")
