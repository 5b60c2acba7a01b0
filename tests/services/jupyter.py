"""A real JupyterLab for tests: on a free port, with a token and its own folders."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any, Self

from tests.services.processes import OwnedProcess, ServiceError, group_members
from tests.services.starts import note_start
from tests.support.bokeh_defaults import keep_defaults_in_kernels

START_SECONDS = 120
RUNNING = "TEST_JUPYTER"
"""Variable with the description of a JupyterLab that runs already; the tests use it."""
ROOT = Path(__file__).parents[2]
# jsonschema would make a grammar of addresses for a second; it does without.
PROGRAM = """
import sys
sys.modules["rfc3987_syntax"] = None
from jupyterlab.labapp import main
main()
"""


class JupyterServer:
    """A JupyterLab (and Notebook 7, if installed) on 127.0.0.1; it ends with this process.

    Kernels use this Python. Their configuration, data and home are in a folder that is removed at the end.

    Attributes
    ----------
    folder : Path
        Folder of all its files; `work` in it is the root of the server.
    token : str
        The token that it requires.
    url : str
        The URL of the server.
    """

    def __init__(self, **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="frontierlab-jupyter-"))
        self.work = self.folder / "work"
        self.work.mkdir()
        self.token = secrets.token_urlsafe(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._process = OwnedProcess(
            [
                *(sys.executable, "-c", PROGRAM, "--no-browser", "--allow-root"),
                *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
                *("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"),
                *(f"--ServerApp.root_dir={self.work}", "--LabApp.news_url=", "--LabApp.check_for_updates_class="),
            ],
            folder=self.folder,
            log=self.folder / "log",
            env=self._environment(environment),
            cwd=self.work,
        )
        self._group = self._process.pid
        note_start("JupyterLab")

    @property
    def description(self) -> str:
        """What `RunningJupyter` takes."""
        return json.dumps([str(self.folder), self.url, self.token, self._group])

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        home = self.folder / "home"
        config = home / "config"
        # no network access, no question on a first visit, and no node that each page starts to look for a newer build
        page = config / "labconfig" / "page_config.json"
        page.parent.mkdir(parents=True)
        announcements = {"@jupyterlab/apputils-extension:announcements": True}
        page.write_text(json.dumps({"disabledExtensions": announcements, "buildCheck": False}))
        keep_defaults_in_kernels(home / "ipython")
        names = ("PATH", "LANG", "LC_ALL", "JAVA_HOME", "SPARK_SUBMIT_OPTS", "TMPDIR")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        return {
            **kept,
            "HOME": str(home),
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
            "IPYTHONDIR": str(home / "ipython"),
            "XDG_DATA_HOME": str(home / "share"),
            "XDG_CACHE_HOME": str(home / "cache"),
            # in the environment: all users of the machine can see arguments
            "JUPYTER_TOKEN": self.token,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "widgets"))),
            **more,
        }

    def __enter__(self) -> Self:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.ask("GET", "/api/status")
            except OSError as error:
                log = (self.folder / "log").read_text(errors="replace")[-2_000:]
                if self._process.status is not None or time.monotonic() > deadline:
                    self.close()
                    raise ServiceError(f"JupyterLab did not start ({error}):\n{log}") from None
                time.sleep(0.1)
            else:
                return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and its kernels, and remove its folder."""
        for child in self._kernels():
            child.kill()  # kernels have their own sessions, outside the group
        self._process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kernels(self) -> list[Any]:
        found = []
        for process in group_members(self._group):
            found += process.children(recursive=True)
        return found

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request to its REST interface."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"token {self.token}"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def notebook(self, name: str, *cells: str) -> str:
        """Write a notebook of some code cells; return its path on the server."""
        import nbformat  # takes a second, which tests without notebooks need not wait

        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, self.work / name)
        return name

    def start_kernel(self, name: str) -> str:
        """Start the kernel of a notebook; return its id."""
        session = {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}}
        return str(self.ask("POST", "/api/sessions", session)["kernel"]["id"])

    def address(self, name: str, page: str = "lab/tree") -> str:
        """Return the URL that opens a notebook; `page` is ``lab/tree``, or ``notebooks`` for Notebook 7."""
        # with a workspace of its own, so that a reload does not open what another page has open
        page = page.replace("lab/", f"lab/workspaces/{uuid.uuid4().hex}/")
        return f"{self.url}/{page}/{name}?token={self.token}"

    def kill_kernel(self, kernel: str) -> None:
        """Kill a kernel, as in a crash."""
        for process in self._kernels():
            if any(kernel in argument for argument in process.cmdline()):
                process.kill()

    def end_kernel(self, kernel: str) -> None:
        """Shut down a kernel."""
        try:
            self.ask("DELETE", f"/api/kernels/{kernel}")
        except urllib.error.HTTPError as error:
            if error.code != 404:  # 404: it ended by itself
                raise


class RunningJupyter(JupyterServer):
    """A JupyterLab that another process started, and ends."""

    def __init__(self, description: str) -> None:
        folder, self.url, self.token, self._group = json.loads(description)
        self.folder = Path(folder)
        self.work = self.folder / "work"

    def close(self) -> None:
        """Leave it running."""
