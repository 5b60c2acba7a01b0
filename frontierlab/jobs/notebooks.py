"""Execute a notebook in a separate process that can be ended."""

from __future__ import annotations

import json
import keyword
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from frontierlab.errors import InvalidRequestError, JobError
from frontierlab.jobs.context import JobContext
from frontierlab.settings import Settings
from frontierlab.util.progress import Progress

__all__ = ["check_notebook", "run_notebook"]

_LOOK = 0.5  # seconds between two looks at the progress
_PATIENCE = 8  # seconds for the process to end by itself
_PYTHON = ("python", "ipython", "python3")


def check_notebook(settings: Settings, notebook: str, parameters: dict[str, Any] | None) -> Path:
    """Return the path of a notebook, after checking that it may run with these parameters.

    Raises
    ------
    InvalidRequestError
        The settings do not name the notebook, its file is missing, malformed or not in Python, or the name of a
        parameter is not a valid name of a variable.
    """
    if notebook not in settings.notebooks:
        names = ", ".join(sorted(settings.notebooks)) or "none; write name=path into the setting notebooks"
        raise InvalidRequestError(f"The settings name no notebook {notebook!r}. Valid: {names}.")
    path = settings.notebooks[notebook]
    if not path.is_file():
        raise InvalidRequestError(f"The settings name {path} as the notebook {notebook}, and there is no such file.")
    if (language := _language(path)).lower() not in _PYTHON:
        raise InvalidRequestError(
            f"The notebook {notebook} is written in {language}: jobs run notebooks in Python, with the interpreter of "
            "their worker."
        )
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidRequestError(f"parameters={parameters!r}: give a dict of the notebook's parameters.")
    for name in parameters or ():  # parameters are written into a cell as code
        if not name.isidentifier() or keyword.iskeyword(name):
            raise InvalidRequestError(
                f"{name!r} is not valid as the name of a parameter: give the name of a variable in Python."
            )
    return path


def _language(path: Path) -> str:
    """Return the language of a notebook; Python if the notebook does not say."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        saved = about.get("language_info", {}).get("name") or about.get("kernelspec", {}).get("language")
        return str(saved or "python")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InvalidRequestError(f"{path} cannot be read as a notebook ({error}).") from None


def run_notebook(
    notebook: str, parameters: dict[str, Any] | None = None, *, settings: Settings, context: JobContext
) -> Path:
    """Execute a notebook with papermill and these parameters, and return the path of the executed notebook.

    It runs in its own folder, with the environment and the interpreter of this process, whichever kernel it was saved
    with. Its settings come from the same configuration file. Parameters are written into its cells, so they must not
    hold secrets.

    Parameters
    ----------
    notebook
        The notebook's name in the settings.
    parameters
        Values for the cell tagged ``parameters``.
    settings
        Settings that name the notebook.
    context
        The handle of the job.

    Raises
    ------
    InvalidRequestError
        The notebook cannot run, see `check_notebook`.
    JobError
        A cell failed; the partly executed notebook is kept.
    """
    source = check_notebook(settings, notebook, parameters)
    target = context.path(".ipynb")
    arguments = {"input_path": str(source), "output_path": str(target), "cwd": str(source.parent)}
    log = context.path(".log")
    began = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "frontierlab.jobs.notebook_process"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _send(child, {**arguments, "parameters": parameters or {}})
            while child.poll() is None:
                context.report(_progress(target, time.monotonic() - began))
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_LOOK)
        finally:
            _end(child)
    if child.returncode:
        raise JobError(
            f"The notebook {notebook} failed: {_reason(target, log)} The notebook as far as it was executed is in "
            f"{target}."
        )
    log.unlink()
    return target


def _progress(target: Path, seconds: float) -> Progress:
    done, total, rate = 0, None, 0.0
    with suppress(OSError, ValueError, KeyError):  # the file is being written
        cells = json.loads(target.read_text(encoding="utf-8"))["cells"]
        states = [cell["metadata"]["papermill"]["status"] for cell in cells]
        done, total = sum(state == "completed" for state in states), len(states)
        rate = done / max(seconds, 1e-3)
    remaining = (total - done) / rate if total is not None and rate else None
    return Progress("cells", done, total, rate, remaining)


def _reason(target: Path, log: Path) -> str:
    """Return the error of the failed cell; if there is none, the last line that papermill wrote."""
    with suppress(OSError, ValueError, KeyError):
        for cell in json.loads(target.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", ()):
                if output["output_type"] == "error":
                    return f"{output['ename']}: {output['evalue']}."
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((f"{line.strip()}." for line in reversed(lines) if line.strip()), "papermill ended without a message.")


def _send(child: subprocess.Popen[bytes], arguments: dict[str, Any]) -> None:
    assert child.stdin is not None
    with suppress(BrokenPipeError):  # the process has already ended, and its log says why
        child.stdin.write(json.dumps(arguments).encode() + b"\n")
        child.stdin.flush()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child: first by closing its input; if it still runs, by ending it with all its descendants."""
    import psutil  # comes with the same extra as papermill

    assert child.stdin is not None
    family = []
    with suppress(psutil.NoSuchProcess):  # it has ended
        family = psutil.Process(child.pid).children(recursive=True)  # the kernel has its own session
    with suppress(BrokenPipeError):
        child.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    child.wait()
