"""Run all tests in processes side by side, since most tests wait for Spark, a browser or a server.

Each test runs in one of the processes, and each service starts once; the end of the run checks that. The first
process writes to the terminal, and the output of the others follows when they have ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.services.chromium import ADDRESS, ChromiumServer  # noqa: E402
from tests.services.starts import FILE, summary  # noqa: E402

# The services of one process are used by no other; only Chromium is started here, for all of them.
PROCESSES = {
    "spark": "(spark or browser) and not (elasticsearch or redis or jupyter)",
    "servers": "elasticsearch or redis or jupyter",
    "rest": "not (spark or browser or elasticsearch or redis or jupyter)",
}
LONGEST = 3_600  # seconds; each test has its own bound


def start(name: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the tests of one process, with its own cache of pytest."""
    command = [sys.executable, "-m", "pytest", "-m", PROCESSES[name], "-o", f"cache_dir=.pytest_cache/{name}"]
    with (folder / name).open("wb") as output:
        shown = None if name == next(iter(PROCESSES)) else output
        return subprocess.Popen(
            [*command, "--durations=10"],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=shown,
            stderr=subprocess.STDOUT if shown else None,
        )


def finish(processes: dict[str, subprocess.Popen[bytes]], folder: Path) -> int:
    """Wait for the processes, show their output, and return the first exit status that is not 0."""
    deadline = time.monotonic() + LONGEST
    try:
        for process in processes.values():
            process.wait(deadline - time.monotonic())
    except subprocess.TimeoutExpired:
        print(f"the tests have not ended in {LONGEST} s", flush=True)  # noqa: T201
    finally:
        for process in processes.values():
            process.terminate()
        for name, process in processes.items():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
            sys.stdout.write((folder / name).read_text(errors="replace"))
            sys.stdout.flush()
    return next((process.returncode or 1 for process in processes.values() if process.returncode != 0), 0)


def main() -> int:
    """Run the tests, and return the exit status."""
    begun = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="frontierlab-tests-")))
        starts = folder / "starts"
        os.environ[FILE] = str(starts)
        chromium = stack.enter_context(ChromiumServer())
        environment = os.environ | {ADDRESS: chromium.address}
        processes = {name: start(name, folder, environment) for name in PROCESSES}
        status = finish(processes, folder)
        services, once = summary(starts)
    print(f"{services}\nall tests took {time.monotonic() - begun:.0f} s")  # noqa: T201
    if not once:
        print("a service was started more than once for the run: see tests/services/starts.py")  # noqa: T201
    return status or (0 if once else 1)


if __name__ == "__main__":
    sys.exit(main())
