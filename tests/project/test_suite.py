"""The run of the tests itself: a test that hangs fails, and says where."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
HANGS = """
import threading

def waits_in_a_thread():
    threading.Event().wait(60)

def test_hangs():
    threading.Thread(target=waits_in_a_thread, daemon=True).start()
    threading.Event().wait()

def test_comes_after():
    pass
"""


def test_each_test_has_a_bound(pytestconfig: pytest.Config) -> None:
    assert 0 < float(pytestconfig.getini("timeout")) < float(pytestconfig.getini("faulthandler_timeout"))


def test_a_test_that_hangs_fails_with_the_stacks_of_all_threads(tmp_path: Path) -> None:
    file = tmp_path / "test_hangs.py"
    file.write_text(HANGS)
    command = [sys.executable, "-m", "pytest", "-c", str(PROJECT / "pyproject.toml"), "--timeout=1", str(file)]
    run = subprocess.run(
        [*command, f"--rootdir={tmp_path}", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    said = run.stdout + run.stderr
    assert "1 failed, 1 passed" in said
    assert "in waits_in_a_thread" in said
    assert "in test_hangs" in said or "test_hangs()" in said
