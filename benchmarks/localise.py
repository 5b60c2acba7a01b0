"""Measure `frontierlab.diagnosis.localise` on planted cases: F1 of exact sets, and seconds of the processor a case.

The cases are in `benchmarks.planted_cases`. The same ones can be written for other programs, whose answers are scored
by the same rule; `benchmarks/localise_peers.py` has those programs answer.

    python -m benchmarks.localise --kind S --cases 50 --seed 5
    python -m benchmarks.localise --kind S --cases 50 --seed 5 --write cases/S
    python -m benchmarks.localise --score cases/S answers.json

Answers are a JSON list with a record a case, as Squeeze writes it: ``timestamp`` (the number of the case),
``root_cause`` (its sets, ``a=a1&b=b2;c=c3``) and ``elapsed_time`` (seconds). A case without an answer, or with an
``ending`` (what stopped the program), counts as one without a set; if there are any, a second line is of the others
alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from benchmarks.planted_cases import KINDS, Kind, Set, draw, label, write
from frontierlab.diagnosis import localise


@dataclass
class Score:
    """How many sets were planted, told, and told exactly."""

    right: int = 0
    told: int = 0
    planted: int = 0
    cases: int = 0
    seconds: float = 0.0
    endings: Counter[str] = field(default_factory=Counter)

    def add(self, planted: str, told: str, seconds: float) -> bool:
        """Add a case, and return whether all of it is right."""
        true, found = _sets(planted), _sets(told)
        self.right, self.told, self.planted = (
            self.right + len(true & found),
            self.told + len(found),
            self.planted + len(true),
        )
        self.cases, self.seconds = self.cases + 1, self.seconds + seconds
        return true == found

    def __str__(self) -> str:
        """Return the figures as a line."""
        endings = "".join(f", {count} {ending}" for ending, count in self.endings.items())
        return (
            f"{self.cases} cases, F1 {2 * self.right / max(self.told + self.planted, 1):.3f} (precision "
            f"{self.right / max(self.told, 1):.3f}, recall {self.right / max(self.planted, 1):.3f}), "
            f"{self.seconds / max(self.cases, 1):.3f} s a case{endings}"
        )


def _sets(text: str) -> set[str]:
    return {"&".join(sorted(one.split("&"))) for one in text.split(";") if one}


def found_in(frame: pd.DataFrame, kind: Kind) -> list[Set]:
    """Return the sets that `localise` finds in a case."""
    pair = kind.derived
    sets = localise(
        frame,
        kind.names,
        ("real", "real_count") if pair else "real",
        ("predict", "predict_count") if pair else "predict",
    )
    return [{name: int(row[name]) for name in str(row["dimensions"]).split()} for row in sets.to_dict("records")]


def measured(kind: Kind, seed: int, cases: int, *, verbose: bool) -> Score:
    """Search cases."""
    score = Score()
    for number in range(cases):
        frame, sets = draw(kind, seed, number)
        begun = time.process_time()
        found = found_in(frame, kind)
        took = time.process_time() - begun
        if not score.add(label(sets), label(found), took) and verbose:
            print(number, "planted", label(sets), "told", label(found))
    return score


def scored(folder: Path, answers: Path, cases: int) -> tuple[Score, Score]:
    """Score the answers of another program to the first cases that were written: to all, and to those that it ended."""
    given = {int(answer["timestamp"]): answer for answer in json.loads(answers.read_text())}
    whole, ended = Score(), Score()
    for case in pd.read_csv(folder / "injection_info.csv").head(cases).to_dict("records"):
        answer = given.get(int(case["timestamp"]), {"ending": "without an answer"})
        told = str(case["set"]), answer.get("root_cause") or "", answer.get("elapsed_time") or 0.0
        whole.add(*told)
        if ending := answer.get("ending"):
            whole.endings[ending] += 1
        else:
            ended.add(*told)
    return whole, ended


def main() -> None:
    """Draw cases, search them or write them, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=[*KINDS], default="S")
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="write the cases for other programs, and search nothing")
    parser.add_argument(
        "--score", type=Path, nargs=2, metavar=("CASES", "ANSWERS"), help="score the answers to written cases"
    )
    parser.add_argument("--verbose", action="store_true", help="print each case with a wrong or missing set")
    given = parser.parse_args()
    kind = KINDS[given.kind]
    if given.write is not None:
        write(given.write, kind, given.seed, given.cases)
    elif given.score is not None:
        whole, ended = scored(*given.score, given.cases)
        print(f"{given.score[1].stem}: {whole}")
        if ended.cases < whole.cases:
            print(f"{given.score[1].stem}, of the cases that it answered: {ended}")
    else:
        print(f"{given.kind}: {measured(kind, given.seed, given.cases, verbose=given.verbose)}")


if __name__ == "__main__":
    main()
