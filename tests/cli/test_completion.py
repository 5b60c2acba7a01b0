"""What a shell completes: commands, options, questions, datasets and jobs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

import frontierlab as fl
from frontierlab.cli.main import COMMANDS, root
from tests.cli.conftest import Run


def complete(*words: str) -> list[str]:
    *args, incomplete = words
    found = ShellComplete(root, {}, "frontierlab", "_FRONTIERLAB_COMPLETE").get_completions(args, incomplete)
    return [item.value for item in found]


def test_commands_and_questions() -> None:
    assert complete("") == [*COMMANDS]
    assert complete("ask", "cost_per_s") == ["cost_per_schema", "cost_per_server", "cost_per_site", "cost_per_squid"]
    assert complete("jobs", "s") == ["show", "submit"]


def test_options_of_a_selection() -> None:
    assert complete("ask", "queries_per_db", "x", "--s") == ["--since", "--schema", "--server", "--site", "--squid"]
    assert complete("ask", "queries_per_db", "x", "--kind", "re") == ["rejected"]


def test_datasets_and_jobs(overlay: Path) -> None:
    for words in (["datasets", "show"], ["ask", "queries_per_db"], ["report"], ["caching", "efficiency"]):
        assert complete(*words, "o") == ["overlay"], words
    job = fl.jobs.submit("catalogue", backend="inline")
    assert complete("jobs", "show", "") == ["last", job.id]


def test_a_broken_configuration_completes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIG_FILE", "/missing")
    assert complete("datasets", "show", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_of_shells(shell: str, run: Run) -> None:
    done = run("completion", shell)
    assert done.exit_code == 0
    assert "_FRONTIERLAB_COMPLETE" in done.stdout


def test_bash_takes_its_script(run: Run) -> None:
    script = run("completion", "bash").stdout
    done = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p frontierlab"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "frontierlab" in done.stdout
