"""Run tests repeatedly on a busy machine: a JupyterLab restarts kernels, and a program uses the processors.

    python scripts/loaded.py [--times 3] [pytest's own arguments]

The system reuses the ports of ended kernels, and JupyterLab still connects to them. Everything takes several times
longer than on a quiet machine. Tests that depend on either fail here.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.services.jupyter import JupyterServer  # noqa: E402

SPARK_LAB_JOBS = ["tests/spark/test_*.py", "tests/widgets/test_lab.py", "tests/jobs/**/test_*.py"]
LOAD = "while True: sum(range(100_000))"


def restart_kernels(server: JupyterServer, ended: threading.Event) -> None:
    """Restart the kernels of a notebook server one after the other, until `ended` is set."""
    kernels = [server.start_kernel(server.notebook(f"load{number}.ipynb", "1")) for number in range(3)]
    while not ended.wait(5):
        for kernel in kernels:
            server.ask("POST", f"/api/kernels/{kernel}/restart")


def main() -> int:
    """Run the tests, and return the exit status of the first failed run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3)
    given, arguments = parser.parse_known_args()
    if not arguments:
        arguments = sorted(str(file) for pattern in SPARK_LAB_JOBS for file in PROJECT.glob(pattern))
    # Started in the background of a script, Python ignores Ctrl-C, and so would the tests of Ctrl-C. An exit by SIGTERM
    # runs the clean-up below: a JupyterLab and a program that were left behind would use the processors for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    ended = threading.Event()
    with JupyterServer() as server, subprocess.Popen([sys.executable, "-c", LOAD]) as load:
        thread = threading.Thread(target=restart_kernels, args=(server, ended), daemon=True)
        thread.start()
        try:
            for number in range(1, given.times + 1):
                print(f"run {number} of {given.times}", flush=True)  # noqa: T201
                status = subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=PROJECT).returncode
                if status:
                    return status
        finally:
            ended.set()
            thread.join(30)
            load.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
