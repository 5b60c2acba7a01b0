"""Run all tests in processes side by side, since most tests wait for Spark, a browser or a server.

    python scripts/run_tests.py [a command that runs beside the tests, such as a check of types]

Each test runs in one of the processes, and each service starts once; the end of the run checks both. The first
process writes to the terminal, and the output of the others follows when they have ended.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from compileall import compile_dir
from contextlib import ExitStack
from pathlib import Path

import psutil

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.services.chromium import ADDRESS, ChromiumServer  # noqa: E402
from tests.services.jupyter import RUNNING, JupyterServer  # noqa: E402
from tests.services.starts import FILE, summary  # noqa: E402
from tests.support import division, sharing  # noqa: E402

_REST = "not (spark or browser or jupyter or elasticsearch or redis)"
# Only one process uses Elasticsearch, Redis or the Spark session; Chromium and JupyterLab are started here, for all.
# Pages that need no JupyterLab are shown beside the servers: the tests of both processes then take about as long.
PROCESSES = {
    "spark": "(spark or jupyter) and not (elasticsearch or redis)",
    "servers": "elasticsearch or redis or (browser and not (spark or jupyter))",
    "rest": _REST,
    "rest, too": _REST,
}
# The rest needs a processor all the time; one process of it would still run long after the others have ended.
SHARED = {"rest", "rest, too"}
# Collecting all tests takes seconds of processor time, so a process of services collects only the files that name its
# marks, or the fixture that sets one. The rest collects all files, so the end of the run notices a test that was lost.
NAMED = {
    "spark": re.compile(r"\bmark\.(spark|jupyter)\b|\bjupyter\b"),
    "servers": re.compile(r"\bmark\.(elasticsearch|redis|browser)\b"),
}
# The download of Elasticsearch, if it is needed, delays only the tests that use it. The second of the processes that
# share tests collects them when the first has: pytest has then compiled them all, which takes 5 s in a new checkout.
BEFORE = {"servers": "tests.services.releases", "rest, too": sharing.__name__}
BESIDE = "beside"  # the process of the command that runs beside the tests
# Files in memory take a tenth of the tests' processor time less than files on a disk.
IN_MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30  # bytes that the files of a run fit into with ease
MEMORY = 12 * 2**30  # bytes of available memory that are enough for the processes and the files
LONGEST = 3_600  # seconds; each test has its own bound
ENDING = 60  # seconds for a process to show what has failed


def place() -> Path | None:
    """Return the folder in memory for the files of the tests; none where it is small or does not let programs run."""
    if not os.access(IN_MEMORY, os.W_OK) or psutil.virtual_memory().available < MEMORY:
        return None
    found = os.statvfs(IN_MEMORY)
    fits = found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC
    return IN_MEMORY if fits else None


def files(name: str) -> list[str]:
    """Return the files that a process collects; none means all."""
    if name not in NAMED:
        return []
    tests = sorted((PROJECT / "tests").rglob("test_*.py"))
    return [str(file.relative_to(PROJECT)) for file in tests if NAMED[name].search(file.read_text())]


def start(name: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start the tests of one process, with its own cache of pytest."""
    command = [sys.executable, "-m", "pytest", "-m", PROCESSES[name], "-o", f"cache_dir=.pytest_cache/{name}"]
    command += ["--durations=10", *(["-p", sharing.__name__] if name in SHARED else []), *files(name)]
    if name in BEFORE:
        command = ["sh", "-c", '"$0" -m "$1" && shift && exec "$0" "$@"', sys.executable, BEFORE[name], *command[1:]]
    return launch(name, command, folder, environment)


def launch(name: str, command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a process; its output goes to a file, except that of the first of `PROCESSES`."""
    with (folder / name).open("wb") as output:
        shown = None if name == next(iter(PROCESSES)) else output
        return subprocess.Popen(
            command,
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=shown,
            stderr=subprocess.STDOUT if shown else None,
        )


def finish(processes: dict[str, subprocess.Popen[bytes]], folder: Path) -> int:
    """Wait for the processes, show their output, and return the first exit status that is not 0."""
    deadline = time.monotonic() + LONGEST
    late = interrupted = False
    try:
        for process in processes.values():
            process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        late = True
        print(f"the tests have not ended in {LONGEST} s", flush=True)  # noqa: T201
    except KeyboardInterrupt:
        interrupted = True  # the terminal has interrupted the processes too
        raise
    finally:
        for process in () if interrupted else processes.values():
            process.send_signal(signal.SIGINT)  # pytest then shows what has failed so far
        for name, process in processes.items():
            try:
                process.wait(ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            sys.stdout.write((folder / name).read_text(errors="replace"))
            sys.stdout.flush()
    return next((process.returncode for process in processes.values() if process.returncode != 0), int(late))


def main(beside: list[str]) -> int:
    """Run the tests, and a command beside them if one is given; return the exit status."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are ended too
    # A shell lets its background programs ignore Ctrl-C, and the tests of Ctrl-C would wait for it in vain.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with ExitStack() as stack:
        # a short name: sockets lie some folders deeper, and their paths have at most 107 bytes
        made = tempfile.TemporaryDirectory(prefix="frontierlab-", dir=place(), ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(made))
        folder.chmod(0o755)  # Elasticsearch is not run by root
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        starts = folder / "starts"
        os.environ[FILE] = str(starts)
        divided, taken = folder / "division", folder / "taken"
        for notes, variable in ((divided, division.FOLDER), (taken, sharing.FOLDER)):
            notes.mkdir()
            os.environ[variable] = str(notes)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile all modules and tests anew
        for package in ("frontierlab", "widgets/frontierlab_widgets"):
            compile_dir(PROJECT / package, quiet=1, workers=2)  # or each process would, in a new checkout
        chromium, jupyter = stack.enter_context(ChromiumServer()), stack.enter_context(JupyterServer())
        environment = os.environ | {ADDRESS: chromium.address, RUNNING: jupyter.description}
        processes = {name: start(name, folder, environment) for name in PROCESSES}
        if beside:
            processes[BESIDE] = launch(BESIDE, beside, folder, dict(os.environ))
        status = finish(processes, folder)
        services, once = summary(starts)
        tests, problems = division.number(divided), division.problems(divided)
    if not once:
        problems.append("a service was started more than once for the run: see tests/services/starts.py")
    print("\n".join([services, f"all {tests} tests took {time.monotonic() - begun:.0f} s", *problems]))  # noqa: T201
    return status or (1 if problems else 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
