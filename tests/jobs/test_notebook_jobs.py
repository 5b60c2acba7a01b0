"""Notebooks as jobs, without Spark."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import frontierlab as fl
from frontierlab import jobs
from frontierlab.errors import InvalidRequestError
from frontierlab.jobs.processes import Process
from tests.support.jobs import LONG
from tests.support.waiting import wait_for


def a_notebook(path, *cells):
    first = nbformat.v4.new_code_cell("name = 'nobody'", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[first, *map(nbformat.v4.new_code_cell, cells)])
    notebook.metadata["kernelspec"] = {"name": "conda-env-xyz-py", "display_name": "xyz", "language": "python"}
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def notebooks(data_dir, tmp_path):
    return lambda *cells: fl.sample.settings(
        data_dir=data_dir, notebooks=[str(a_notebook(tmp_path / "n.ipynb", *cells))]
    )


@pytest.mark.enable_socket
@pytest.mark.slow
def test_notebooks_are_executed_with_parameters_and_kept_if_they_fail(notebooks):
    settings = notebooks("import sys; print('hello', name, 'from', sys.executable)", "1 / int(name != 'nobody')")
    good = jobs.submit("notebook", settings=settings, notebook="n", parameters={"name": "you"})
    bad = jobs.submit("notebook", settings=settings, notebook="n")  # at the same time
    path = good.result(LONG)
    assert f"hello you from {sys.executable}" in path.read_text()  # and not from the kernel that it was saved with
    assert path.parent == settings.data_dir / "jobs"
    assert not path.with_suffix(".log").exists()
    assert bad.wait(LONG) == "failed"
    assert bad.error.startswith("The notebook n failed: ZeroDivisionError: division by zero. The notebook as far as it")
    assert "hello nobody" in Path(bad.error.split(" executed is in ")[1].rstrip(".")).read_text()


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (
            {"kernelspec": {"name": "ir", "language": "R"}},
            "The notebook n is written in R: jobs run notebooks in Python",
        ),
        ({"language_info": {"name": "julia"}}, "The notebook n is written in julia"),
        ([], "n.ipynb cannot be read as a notebook"),
    ],
)
def test_a_notebook_in_another_language_is_refused(notebooks, metadata, said):
    settings = notebooks()
    path = settings.notebooks["n"]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"metadata": metadata}))
    with pytest.raises(InvalidRequestError, match=said):
        jobs.submit("notebook", settings=settings, notebook="n")


DEAF = """
import os, pathlib, signal, subprocess, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid} ")
time.sleep(600)
"""


@pytest.mark.enable_socket
@pytest.mark.slow
def test_a_cancelled_notebook_ends_with_its_kernel_and_all_child_processes(notebooks, tmp_path):
    job = jobs.submit("notebook", settings=notebooks(DEAF), notebook="n")
    wait_for(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().endswith(" "))
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    job.cancel()
    assert job.wait(LONG) == "cancelled"
    assert job.warnings == []
    wait_for(lambda: all(Process(host=Process.this().host, pid=pid).has_ended() for pid in pids))


@pytest.mark.enable_socket
@pytest.mark.slow
def test_a_notebook_ends_by_itself_even_if_interrupts_were_ignored(notebooks, tmp_path):
    code = f"import pathlib, time; pathlib.Path({str(tmp_path / 'asleep')!r}).touch(); time.sleep(600)"
    [source] = notebooks(code).notebooks.values()
    given = {"input_path": str(source), "output_path": str(tmp_path / "out.ipynb"), "cwd": str(tmp_path)}
    command = [sys.executable, "-m", "frontierlab.jobs.notebook_process"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a pool of Celery; children inherit it
    try:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    finally:
        signal.signal(signal.SIGINT, before)
    child.stdin.write(json.dumps(given).encode() + b"\n")
    child.stdin.flush()
    wait_for((tmp_path / "asleep").exists)
    child.stdin.close()
    assert child.wait(LONG) == -signal.SIGINT  # papermill ended it; 1 is the exit of one that lost patience


@pytest.mark.parametrize("name", ["a b", "x=1;y", "class", ""])
def test_invalid_names_of_parameters_are_refused(notebooks, name):
    with pytest.raises(InvalidRequestError, match="is not valid as the name of a parameter"):
        jobs.submit("notebook", settings=notebooks(), notebook="n", parameters={name: 1})
