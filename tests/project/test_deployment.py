"""The Dockerfile and the compose file are valid, and limit what the containers can use and do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import check_jsonschema
import pytest
import yaml
from celery.bin.celery import celery
from click.testing import CliRunner

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/compose.yaml"
PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_the_dockerfile_is_clean():
    command = [str(PROGRAMS / "hadolint"), str(ROOT / "deploy/Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_is_valid():
    done = CliRunner().invoke(check_jsonschema.main, ["--builtin-schema", "vendor.compose-spec", str(COMPOSE)])
    assert done.exit_code == 0, done.output


def test_every_container_has_limits_and_few_rights(services):
    assert {*services} == {"redis", "worker", "beat", "lab"}
    for service in services.values():
        assert {"mem_limit", "cpus", "pids_limit"} <= {*service}
        assert service["user"].startswith("${USER_ID:-1000}")
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert services["redis"]["networks"] == ["inside"]
    assert "ports" not in services["redis"]
    assert services["lab"]["ports"] == ["127.0.0.1:8888:8888"]


def test_the_image_copies_only_named_files_and_runs_without_privileges():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    named = {line[1:] for line in ignored if line.startswith("!")}
    lines = (ROOT / "deploy/Dockerfile").read_text().splitlines()
    copied = {
        word
        for line in lines
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
        if not word.startswith("--")
    }
    assert copied == named
    assert all((ROOT / name).exists() for name in named)
    assert "USER 1000:1000" in lines


@pytest.mark.parametrize("service", ["worker", "beat"])
def test_the_programs_know_the_commands_of_the_containers(services, service):
    program, *options = services[service]["command"]
    assert program == "celery"
    done = CliRunner().invoke(celery, [*options, "--help"])
    assert done.exit_code == 0, done.output
    assert f"{service} [OPTIONS]" in done.output
