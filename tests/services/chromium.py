"""One Chromium for tests, with which several clients and processes can work at once."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import psutil

from tests.services.processes import OwnedProcess, ServiceError
from tests.services.starts import note_start

START_SECONDS = 60
ADDRESS = "TEST_CHROMIUM_ADDRESS"
"""Variable with the address of a Chromium that runs already; the tests connect to it."""

# Each window would make the pages below its address bar: a second of processor time. The last list of features that are
# switched off counts, so what Playwright switches off stands here too.
OFF = (
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
)
# The tests need no update, no synchronisation and no first-run page.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--disable-features={','.join(OFF)}",
    "--js-flags=--no-turbofan",  # pages that live for a minute do not earn what V8's last compiler costs
)


def program() -> Path:
    """Return Chromium's program: `TEST_CHROMIUM`, or where Debian puts it.

    Raises
    ------
    ServiceError
        The program does not exist; the message says what to install.
    """
    found = Path(os.environ.get("TEST_CHROMIUM", "/usr/bin/chromium"))
    if not found.exists():
        raise ServiceError(
            f"no Chromium at {found}: install it (on Debian: apt-get install chromium) "
            "or set TEST_CHROMIUM to its program"
        )
    return found


class ChromiumServer:
    """A Chromium that ends with this process; Playwright connects to its address.

    Attributes
    ----------
    address : str
        What `playwright.chromium.connect` takes.
    folder : Path
        Folder of its log and its home.
    """

    def __init__(self) -> None:
        self.address = ""
        self.folder = Path()
        self._process: OwnedProcess | None = None

    def __enter__(self) -> Self:
        flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*FLAGS]
        options = {"executablePath": str(program()), "args": flags, "headless": True, "host": "127.0.0.1"}
        self.folder = Path(tempfile.mkdtemp(prefix="chromium-"))
        config, self._log = self.folder / "config.json", self.folder / "log"
        config.write_text(json.dumps(options))
        self._process = OwnedProcess(
            [sys.executable, "-m", "playwright", "launch-server", "--browser", "chromium", "--config", config],
            folder=self.folder,
            log=self._log,
            env=os.environ | {"HOME": str(self.folder), "TMPDIR": str(self.folder)},
            cwd=self.folder,
        )
        self.address = self._said_address()
        note_start("Chromium")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _said_address(self) -> str:
        assert self._process
        deadline = time.monotonic() + START_SECONDS
        while True:
            said = self._log.read_text(errors="replace")
            if found := re.search(r"^ws://\S+$", said, re.MULTILINE):
                return found[0]
            if self._process.status is not None or time.monotonic() > deadline:
                self._stop()
                raise ServiceError(f"Chromium did not start: {said[-2_000:]}")
            time.sleep(0.05)

    def _stop(self) -> None:
        """Let Playwright end the browser, which has a process group of its own, and remove the folder."""
        assert self._process
        launcher = self._process.processes()
        for process in launcher:
            process.terminate()
        psutil.wait_procs(launcher, timeout=10)
        self._process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
