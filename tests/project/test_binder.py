"""What Binder does with the project: the files it builds from, and the scripts it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BINDER = ROOT / "binder"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Dockerfile that repo2docker makes of the project."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "repo2docker",
            "--no-build",
            "--debug",
            "--user-id=1000",
            "--user-name=jovyan",
            str(ROOT),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "HOME": str(tmp_path_factory.mktemp("home"))},
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout + done.stderr


def test_repo2docker_uses_the_files_in_binder(rendered):
    for line in ('--file "binder/environment.yml"', "RUN ./binder/postBuild"):
        assert line in rendered


def test_post_build_is_a_program_that_ends_at_the_first_error():
    script = BINDER / "postBuild"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[:2] == ["#!/bin/bash", "set -e"]
    subprocess.run(["/bin/bash", "-n", script], check=True)


def test_post_build_installs_pinned_versions_and_prepares_the_session(tmp_path):
    """Run its steps with a pip that only notes its arguments: the real one takes minutes and needs the network."""
    shim = tmp_path / "python"
    shim.write_text(
        f'#!/bin/bash\nif [ "$2" = pip ]; then echo "$@" >> {tmp_path}/asked; else exec {sys.executable} "$@"; fi\n'
    )
    shim.chmod(0o755)
    subprocess.run(
        [BINDER / "postBuild"],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
    )
    assert (tmp_path / "asked").read_text().split() == [
        *("-m", "pip", "install", "--no-cache-dir", "-c", "constraints.txt", "-e", ".[plots,export,celery,widgets]")
    ]


def test_the_conda_environment_is_that_of_binder_with_java():
    def listed(path):
        return yaml.safe_load(path.read_text())["dependencies"]

    assert {*listed(ROOT / "environment.yml")} == {*listed(BINDER / "environment.yml"), "openjdk=17"}
    assert "redis-server" in listed(BINDER / "environment.yml")


def test_the_badge_opens_the_quick_start():
    text = (ROOT / "README.md").read_text()
    (path,) = set(re.findall(r"mybinder\.org/v2/[^)\s]*urlpath=([^)\s]+)", text))
    assert path == "lab%2Ftree%2Fnotebooks%2Fquickstart.ipynb"
    assert (ROOT / "notebooks" / "quickstart.ipynb").exists()
