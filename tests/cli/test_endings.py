"""How a command ends: exit codes, errors without a traceback, a closed pipe, Ctrl-C, a terminal or none."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import frontierlab as fl
from frontierlab.cli.command import Call, Command
from frontierlab.cli.main import main, root
from frontierlab.extraction.part_reader import PartReader
from frontierlab.sample import World
from tests.cli.conftest import Run
from tests.support.programs import forked
from tests.support.waiting import wait_for

FRONTIERLAB = [sys.executable, "-m", "frontierlab"]


def test_a_wrong_option_is_wrong_usage(run: Run, empty: Path) -> None:
    done = run("datasets", "--nothing")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "No such option" in done.stderr


@pytest.mark.slow
def test_an_error_is_one_line_in_the_words_of_the_command_line(run: Run, overlay: Path) -> None:
    done = run("extract", "overlay", "--source", str(fl.sample.path()))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: The dataset overlay exists already and is complete. Choose another name, or delete it: "
        "frontierlab datasets delete overlay\n"
    )


def test_debug_shows_the_traceback(run: Run, empty: Path) -> None:
    done = run("datasets", "show", "nothing", "--debug")
    assert done.exit_code == 2
    assert "Traceback" in done.stderr
    assert f"There is no dataset 'nothing' in {empty / 'datasets'}. Valid: none yet." in done.stderr.splitlines()[-1]


def test_a_wrong_time_is_told_with_the_option(run: Run, empty: Path) -> None:
    done = run("extract", "a", "--since", "yesterday")
    assert done.exit_code == 2
    assert "'--since': 'yesterday' is not a time: write 2026-10-01" in " ".join(done.stderr.split())


def test_a_wrong_configuration_is_not_a_finding(run: Run, empty: Path) -> None:
    done = run("datasets", "--config", "missing.txt")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "missing.txt" in done.stderr


def test_a_fault_of_the_program_is_not_a_finding(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(root.commands, "broken", broken := Command("broken", callback=lambda: 1 / 0))
    monkeypatch.setattr(root, "get_command", lambda ctx, name: broken)
    done = run("broken")
    assert done.exit_code == 2
    assert "fault of frontierlab (ZeroDivisionError: division by zero). With --debug" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("no_such_package.part", 'no_such_package is not installed: pip install "frontierlab[all]"'),
        ("frontierlab.no_such_module", "this is a fault of frontierlab (ModuleNotFoundError: "),
    ],
)
def test_a_package_that_is_missing(
    module: str, said: str, run: Run, monkeypatch: pytest.MonkeyPatch, overlay: Path
) -> None:
    monkeypatch.setattr("frontierlab.open_logs", lambda *_, **__: importlib.import_module(module))
    done = run("ask", "queries_per_db", "overlay")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: {said}")


@pytest.mark.slow
def test_malformed_documents_are_told_with_the_command_that_lists_them(
    run: Run, empty: Path, dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRONTIERLAB_LOSS_WARNING_SHARE", "0")
    done = run("extract", "overlay", "--source", str(dump))
    assert done.exit_code == 1
    assert "frontierlab datasets malformed returns them with the reasons." in done.stderr
    listed = [json.loads(line) for line in run("datasets", "malformed", "overlay", "--json").stdout.splitlines()]
    assert len(listed) == fl.datasets.open_dataset("overlay").counts.malformed > 0
    assert all(one["reason"] and json.loads(one["document"]) for one in listed)


@pytest.mark.slow
def test_a_loss_is_a_finding_that_is_told(run: Run, empty: Path, dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTIERLAB_LIMIT_QUERIES", "1000")
    done = run("extract", "cut", "--source", str(dump), "--json")
    assert done.exit_code == 1
    assert done.stderr.startswith("Warning: limit_queries (1,000) cut cut at ")
    assert run("datasets", "show", "cut").exit_code == 1


def test_deleting_asks_a_person_and_is_refused_without_one(
    run: Run, overlay: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("datasets", "delete", "overlay")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "give --yes" in done.stderr
    monkeypatch.setattr("frontierlab.cli.commands.datasets.is_terminal", lambda stream: True)
    done = run("datasets", "delete", "overlay", stdin="n\n")
    assert done.exit_code == 2
    assert done.stderr.endswith("Nothing was deleted.\n")
    assert run("datasets", "delete", "overlay", stdin="").exit_code == 130  # Ctrl-C or Ctrl-D at the question
    assert fl.datasets.open_dataset("overlay").state == "complete"
    assert run("datasets", "delete", "overlay", stdin="y\n").exit_code == 0
    assert run("datasets", "list").stderr.startswith(f"There is no dataset in {overlay / 'datasets'} yet. ")


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        (["diagnose", "night"], "datasets"),
        (["datasets", "list"], "datasets"),
        (["jobs", "list"], "jobs"),
        (["jobs", "show", "last"], "jobs"),
        (["nights", "list"], "nights"),
        (["rawlogs", "list"], "squid_logs"),
    ],
)
def test_what_is_not_found_tells_the_folder_and_how_another_is_named(
    run: Run, empty: Path, command: list[str], folder: str
) -> None:
    told = run(*command).stderr
    assert f" in {empty / folder}" in told
    assert told.endswith(
        "To look in another data folder, set data_dir in the configuration file or in FRONTIERLAB_DATA_DIR.\n"
    )


def test_interrupted_before_the_command_begins() -> None:
    code = (
        "from frontierlab.cli.main import main, root\n"
        "def parse(*args): raise KeyboardInterrupt\n"
        "root.parse_args = parse\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_interrupted_by_a_person(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command(cls=Command, interrupted="The same command goes on.")
    @click.pass_obj
    def slow(call: Call) -> None:
        """Wait."""
        raise KeyboardInterrupt

    monkeypatch.setattr(root, "get_command", lambda ctx, name: slow)
    done = run("slow")
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", "\nStopped. The same command goes on.\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_comes_while_an_object_is_finalized_is_not_lost(
    number: signal.Signals, code: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(number)

    @click.command(cls=Command)
    @click.pass_obj
    def slow(call: Call) -> None:
        """Wait."""
        Finalized()
        threading.Event().wait(20)

    monkeypatch.setattr(root, "get_command", lambda ctx, name: slow)
    done = run("slow")
    assert (done.exit_code, done.stdout, done.stderr) == (code, "", "\nStopped. Nothing was changed.\n")


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export file of five parts; tests only read it."""
    World(5_000, seed=3).write(path := tmp_path_factory.mktemp("export") / "export.ndjson.zst")
    return path


def command_line(*args: str) -> Callable[[], object]:
    """Return the program ``frontierlab`` with these arguments, to be run in a fork."""

    def run() -> None:
        sys.argv = ["frontierlab", *args]
        main()

    return run


def slow_write(self: Any, *given: Any, write: Callable[..., Any] = PartReader._write_slice) -> Any:
    """Write a slice of a part; after some parts, wait until reading is cancelled."""
    if len([*self._path.glob("parts/[0-9]*")]) > 1:
        self._cancelled.wait()
    return write(self, *given)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_extraction_that_is_interrupted_can_go_on(
    number: signal.Signals, code: int, export: Path, empty: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRONTIERLAB_PART_DOCUMENTS", "1000")
    command = ["extract", "long", "--source", str(export)]

    def slow() -> None:
        monkeypatch.setattr(PartReader, "_write_slice", slow_write)  # in the fork alone
        command_line(*command)()

    with forked(slow, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        wait_for(lambda: len(list(empty.glob("datasets/long/parts/[0-9]*"))) > 1, "two parts are stored")
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (code, "")
    assert err == (  # and no progress, since a pipe is no terminal
        "\nStopped. Stored parts stay, and the same command reads the others. frontierlab datasets shows the state.\n"
    )
    stopped = fl.datasets.open_dataset("long")
    assert stopped.state == "incomplete"
    assert 0 < stopped.counts.read < 5_000
    done = run(*command)
    assert done.exit_code in (0, 1), done.stderr
    assert done.stdout.startswith("long: 5,000 documents read")


@pytest.mark.slow
def test_a_closed_pipe_is_silent(overlay: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [*FRONTIERLAB, "datasets"], stdout=closed, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_silent(overlay: Path) -> None:
    program = command_line("sql", "overlay", "SELECT a.* FROM logs a, logs b LIMIT 1000", "--json")
    with forked(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith('{"time": ')
        running.stdout.close()
        assert running.stderr is not None
        assert running.stderr.read() == ""
        assert running.wait(timeout=120) == 141


@pytest.mark.slow
@pytest.mark.usefixtures("overlay")
def test_a_full_disk_is_an_error_that_says_so() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*FRONTIERLAB, "datasets"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "Error: The result cannot be written to the standard output: No space left on device.\n"


@pytest.mark.slow
def test_a_terminal_without_unicode(overlay: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    monkeypatch.setenv("FRONTIERLAB_ES_INDEX", "é…")
    done = subprocess.run([*FRONTIERLAB, "config", "show"], capture_output=True, timeout=120, check=True)
    assert re.search(r"^es_index +é\\u2026 +the variable", done.stdout.decode("latin-1"), re.MULTILINE)
    # JSON has its own escapes, so that this stream needs no others
    command = ["sql", "overlay", "SELECT 'é…' AS name FROM logs LIMIT 1"]
    as_json = CliRunner(charset="latin-1").invoke(root, [*command, "--json"], catch_exceptions=False)
    assert json.loads(as_json.stdout_bytes.decode("latin-1")) == {"name": "é…"}


def test_no_progress_beside_a_file(export: Path, empty: Path, run: Run) -> None:
    done = run("extract", "few", "--source", str(export))
    assert done.stderr == ""
    assert done.stdout.startswith("few: 5,000 documents read")


def test_progress_on_a_terminal_stays_beside_the_result(
    export: Path, empty: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))  # rows and columns
    monkeypatch.setattr(sys, "argv", ["frontierlab", "extract", "few", "--source", str(export)])
    with os.fdopen(theirs, "w") as terminal, redirect_stderr(terminal), pytest.raises(SystemExit) as ended:
        main()
    shown = b""
    try:
        while chunk := os.read(ours, 65_536):
            shown += chunk
    except OSError:  # Linux says so at the end of a terminal
        pass
    os.close(ours)
    assert ended.value.code == 0
    assert capfd.readouterr().out.startswith("few: 5,000 documents read")
    assert b"reading" in shown
    assert b"%" in shown
