"""What Binder does with the project: the files it builds from, and the scripts it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_repo2docker_takes_our_files(rendered):
    for line in (
        '--file "binder/environment.yml"',
        "RUN ./binder/postBuild",
        'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"',
    ):
        assert line in rendered


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_are_programs_that_end_at_the_first_error(name):
    script = BINDER / name
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[:2] == ["#!/bin/bash", "set -e"]
    subprocess.run(["/bin/bash", "-n", script], check=True)


def test_post_build_installs_what_is_pinned_and_does_the_long_work(tmp_path):
    """Its steps, with a pip that only notes what it is asked for: the real one takes minutes and the network."""
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
        *("-m", "pip", "install", "--no-cache-dir", "-c", "constraints.txt", "-e", ".[all]")
    ]


def test_start_leaves_room_for_all_in_two_gigabytes():
    code = "import frontierlab as fl; s = fl.Settings(); print(s.spark_master, s.spark_options, s.job_backend)"
    done = subprocess.run(
        [BINDER / "start", sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split()[0] == "local[2]"
    memory = re.search(r"'spark.driver.memory': '(\d+)m'", done.stdout)
    assert memory is not None
    assert int(memory[1]) <= 768
    assert done.stdout.split()[-1] == "thread"


def test_conda_users_get_the_same():
    def listed(path):
        lines = [line.strip() for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
        return lines[lines.index("dependencies:") + 1 :]

    assert listed(ROOT / "environment.yml") == listed(BINDER / "environment.yml")
    assert {"- openjdk=17", "- redis-server"} <= {*listed(BINDER / "environment.yml")}


def test_the_badge_opens_the_quick_start():
    text = (ROOT / "README.md").read_text()
    (path,) = set(re.findall(r"mybinder\.org/v2/[^)\s]*urlpath=([^)\s]+)", text))
    assert path == "lab%2Ftree%2Fnotebooks%2Fquickstart.ipynb"
    assert (ROOT / "notebooks" / "quickstart.ipynb").exists()
