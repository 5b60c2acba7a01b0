"""Have a published program answer planted cases, each with a bound, for `benchmarks.localise` to score.

The programs are not part of this repository: check them out elsewhere, and run this file with a Python that has what
they need. Known are github.com/shaido987/riskloc (``riskloc``, ``autoroot``, ``squeeze``, ``hotspot``, ``adtributor``,
``r_adtributor``), with the defaults of its command line, and github.com/NetManAIOps/PSqueeze (``psqueeze``, and its
``squeeze`` and ``hotspot``), with those of its ``run_algorithm.py``.

    python benchmarks/localise_peers.py CHECKOUT riskloc cases/S answers.json --seconds 60

Each case is answered in a process of its own, which has loaded the program before, and which is ended after the bound.
All seconds are those of the processor, so that a busy machine favours nobody. Those of a case are of the program
alone, without reading its files; a case that ran into the bound counts as that long, and one that failed as its time
up to then. Cases that the file of answers holds already are left out, so that a run can be stopped and go on.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import importlib
import io
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from math import ceil
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SLOWEST = 50  # seconds of the clock for each of the processor after which a case is given up

Program = Callable[[Path, int], "tuple[str, float]"]


def riskloc(checkout: Path, algorithm: str) -> Program:
    """Return the program that answers a case with github.com/shaido987/riskloc."""
    sys.path.insert(0, str(checkout))
    arguments = importlib.import_module("utils.argument_parser")
    running = importlib.import_module("utils.run_utils")
    ending = importlib.import_module("utils.evaluation")
    sys.argv = ["run.py", algorithm]
    options = arguments.get_input_arguments()[3]

    def answer(folder: Path, number: int) -> tuple[str, float]:
        derived = (folder / f"{number}.a.csv").exists()
        frame, attributes, above, below = running.read_dataframe(str(folder), str(number), derived, False)
        begun = time.process_time()
        causes = running.run_method(frame, [above, below], attributes, algorithm, options, derived, False)
        sets = ending.root_cause_postprocessing(causes, algorithm)
        return ";".join(map(str, sets)), time.process_time() - begun

    return answer


def psqueeze(checkout: Path, algorithm: str) -> Program:
    """Return the program that answers a case with github.com/NetManAIOps/PSqueeze."""
    sys.path.insert(0, str(checkout))
    running: Any = importlib.import_module("run_algorithm")
    running.time = SimpleNamespace(time=time.process_time)
    pandas = importlib.import_module("pandas")

    def answer(folder: Path, number: int) -> tuple[str, float]:
        known = pandas.DataFrame()
        if (folder / f"{number}.a.csv").exists():
            files = [folder / f"{number}.a.csv", folder / f"{number}.b.csv"]
            result = running.executor_derived(files, folder, known, algorithm=algorithm)
        else:
            result = running.executor(folder / f"{number}.csv", folder, known, algorithm=algorithm)
        return result["root_cause"], result["elapsed_time"]

    return answer


def _answer_one(
    program: Program, folder: Path, number: int, seconds: float, gigabytes: float, pipe: Connection
) -> None:
    limit = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(seconds), ceil(seconds) + 1))
    warnings.simplefilter("ignore")
    begun = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            sets, took = program(folder, number)
            pipe.send({"timestamp": number, "root_cause": sets, "elapsed_time": took})
        except Exception as error:  # whatever the program fails with is its answer
            took = time.process_time() - begun
            pipe.send({"timestamp": number, "elapsed_time": took, "ending": "failed", "error": repr(error)[:300]})


def bounded(program: Program, folder: Path, number: int, seconds: float, gigabytes: float) -> dict[str, Any]:
    """Return the answer to a case, or how it ended."""
    forked = multiprocessing.get_context("fork")
    here, there = forked.Pipe(duplex=False)
    process = forked.Process(target=_answer_one, args=(program, folder, number, seconds, gigabytes, there), daemon=True)
    process.start()
    there.close()
    try:
        if here.poll(SLOWEST * seconds):
            return dict(here.recv())
        return {"timestamp": number, "elapsed_time": seconds, "ending": "stuck"}
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGXCPU:
            return {"timestamp": number, "elapsed_time": seconds, "ending": f"over {seconds:g} s"}
        error = f"its process ended with {process.exitcode}"
        return {"timestamp": number, "elapsed_time": 0.0, "ending": "failed", "error": error}
    finally:
        process.kill()
        process.join()
        here.close()


def main() -> None:
    """Answer the cases of a folder, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="where the program is")
    parser.add_argument("algorithm")
    parser.add_argument("cases", type=Path, help="the folder that benchmarks.localise --write made")
    parser.add_argument("answers", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0, help="the bound of a case, with reading its files")
    parser.add_argument("--gigabytes", type=float, default=4.0, help="the bound of its memory")
    parser.add_argument("--most", type=int, help="only so many cases")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    answers, cases = given.answers.resolve(), given.cases.resolve()
    known = riskloc if (given.checkout / "utils" / "run_utils.py").exists() else psqueeze
    program = known(given.checkout.resolve(), given.algorithm)
    with (cases / "injection_info.csv").open() as lines:
        numbers = [int(row["timestamp"]) for row in csv.DictReader(lines)][: given.most]
    answers.parent.mkdir(parents=True, exist_ok=True)
    done: list[dict[str, Any]] = json.loads(answers.read_text()) if answers.exists() else []
    for number in sorted({*numbers} - {answer["timestamp"] for answer in done}):
        done.append(bounded(program, cases, number, given.seconds, given.gigabytes))
        answers.write_text(json.dumps(done, indent=1))


if __name__ == "__main__":
    main()
