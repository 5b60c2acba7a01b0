"""Fuzz what reads raw logs, for minutes: no crash, no hang, no unbounded memory.

``python scripts/fuzz.py --minutes 10`` gives each function of ``tests/rawlogs/fuzzed.py`` its share of the time, in a
process of its own that may have so much memory and take so long for one input. With atheris (``pip install atheris``,
up to the Python that it has a wheel for) the inputs follow what code they reach; without it they are damaged examples.
An input that fails is left in the folder of ``--keep``, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "widgets")]

SECONDS = 20  # for one input, on a machine that may be busy
MEGABYTES = 1_500  # of a process, with the libraries that it has loaded


def main() -> int:
    """Run the command; see its ``--help``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--targets", nargs="+", metavar="NAME", help="only these functions")
    parser.add_argument("--keep", type=Path, default=Path("fuzzed"), help="folder of inputs that failed, and of seeds")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    keep = options.keep.absolute()
    if options.one:  # before the package is imported: atheris marks the code as it is imported
        return one(options.one, int(options.minutes * 60), keep)
    from tests.rawlogs.fuzzed import TARGETS

    names = options.targets or [*TARGETS]
    if unknown := {*names} - {*TARGETS}:
        parser.error(f"there is no function {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    seconds = int(options.minutes * 60 / len(names))
    failed = []
    for name in names:
        command = [sys.executable, __file__, "--one", name, "--minutes", str(seconds / 60), "--keep", str(keep)]
        done = subprocess.run(command, cwd=ROOT, timeout=seconds * 3 + 300, check=False)
        failed += [name] if done.returncode else []
        say(f"{name}: {'failed' if done.returncode else 'no fault'} in {seconds} s")
    return 1 if failed else 0


def one(name: str, seconds: int, keep: Path) -> int:
    """Fuzz one function in this process."""
    folder = keep / name
    folder.mkdir(parents=True, exist_ok=True)
    if importlib.util.find_spec("atheris") is None:
        return with_damaged_examples(name, seconds, folder)
    return with_atheris(name, seconds, folder)


def with_atheris(name: str, seconds: int, folder: Path) -> int:
    """Fuzz with inputs that follow the code they reach; this ends the process."""
    import atheris

    with atheris.instrument_imports(include=["frontierlab.rawlogs"]):
        from tests.rawlogs.fuzzed import TARGETS
    target, seeds = TARGETS[name]
    for number, seed in enumerate(seeds()):
        (folder / f"seed-{number}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", "-max_len=20000"]
    atheris.Setup([name, *limits, "-verbosity=1", f"-artifact_prefix={folder}/failed-", str(folder)], target)
    atheris.Fuzz()
    return 0


def with_damaged_examples(name: str, seconds: int, folder: Path) -> int:
    """Fuzz with examples in which stretches are replaced, repeated, cut out or put together."""
    from tests.rawlogs.fuzzed import TARGETS

    target, make_seeds = TARGETS[name]
    seeds = make_seeds()
    resource.setrlimit(resource.RLIMIT_AS, (MEGABYTES * 4 * 10**6, MEGABYTES * 4 * 10**6))
    draw = random.Random()
    end, tried, watched = time.monotonic() + seconds, 0, 0.0
    while (now := time.monotonic()) < end:
        data = damaged(draw, seeds)
        (folder / "running").write_bytes(data)
        if now - watched > 1:  # starting the watch costs more than most inputs
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            watched = now
        try:
            target(data)
        except BaseException:
            (folder / "running").rename(folder / f"failed-{tried}")
            raise
        tried += 1
    faulthandler.cancel_dump_traceback_later()
    (folder / "running").unlink(missing_ok=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"{name}: {tried:,} inputs, at most {peak:,.0f} MiB of memory")
    return int(peak > MEGABYTES)


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def damaged(draw: random.Random, seeds: list[bytes]) -> bytes:
    """Return a damaged example."""
    data = bytearray(draw.choice([*seeds, b""]))
    for _ in range(draw.randrange(8)):
        start = draw.randrange(len(data) + 1)
        end = min(len(data), start + int(draw.expovariate(1 / 30)))
        other = draw.choice(seeds)
        place = draw.randrange(len(other) + 1)
        data[start:end] = draw.choice(
            [
                b"",
                draw.randbytes(draw.randrange(6)),
                bytes(data[start:end]) * draw.choice([2, 3, 1000 if draw.random() < 0.02 else 2]),
                other[place : place + int(draw.expovariate(1 / 60))],
            ]
        )
    return bytes(data[:200_000])


if __name__ == "__main__":
    sys.exit(main())
