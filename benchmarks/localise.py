"""Measure `frontierlab.diagnosis.localise` on planted cases: F1 of exact sets, and seconds a case.

The cases are of the kinds that the literature uses (RiskLoc, arXiv 2205.10004, section 5): a table of all combinations
of values with Weibull distributed numbers, some of them zero, with relative noise, and one to five causes of one to
three sets each that lower all their rows by a common share.

    python -m benchmarks.localise --kind S --cases 100 --seed 1
    python -m benchmarks.localise --kind S --cases 100 --seed 1 --write cases/S    # for other programs
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from frontierlab.diagnosis import localise


@dataclass(frozen=True)
class Kind:
    """The ranges that cases of one kind are drawn from."""

    sizes: tuple[int, ...]
    noise: tuple[float, float]
    severity: tuple[float, float]
    spread: tuple[float, float]
    causes: tuple[int, int]
    sets: tuple[int, int]
    deepest_only: bool = False
    derived: bool = False


KINDS = {
    "S": Kind((10, 12, 10, 8, 5), (0, 0.25), (0.2, 1), (0, 0.1), (1, 3), (1, 3)),
    "L": Kind((10, 24, 10, 15), (0, 0.1), (0.5, 1), (0, 0), (1, 5), (1, 1), deepest_only=True),
    "H": Kind((10, 5, 250, 20, 8, 12), (0, 0.25), (0.2, 1), (0, 0.1), (1, 3), (1, 3)),
    "D": Kind((10, 12, 10, 8), (0, 0.1), (0.2, 1), (0, 0.1), (1, 3), (1, 3), derived=True),
}

Causes = list[tuple[tuple[int, ...], list[tuple[int, ...]]]]


def case(kind: Kind, rng: np.random.Generator) -> tuple[pd.DataFrame, list[dict[str, int]]]:
    """Return a table with the columns ``a``, ``b`` … and ``real`` and ``predict``, and the planted sets."""
    names = "abcdefgh"[: len(kind.sizes)]
    values = np.stack([axis.ravel() for axis in np.indices(kind.sizes, dtype=np.int16)])
    frame = pd.DataFrame(dict(zip(names, values, strict=True)))
    count, level = len(frame), rng.uniform(*kind.noise)
    real = rng.weibull(rng.uniform(0.5, 1.0), count) * 100 * (rng.random(count) > rng.uniform(0, 0.25))
    noisy = np.maximum(real * (1 + level * rng.standard_normal(count)), 0)
    swap = rng.random(count) < 0.5
    real, predict = np.where(swap, noisy, real), np.where(swap, real, noisy)
    upwards = real.sum() > predict.sum()
    sets: list[dict[str, int]] = []
    for axes, chosen in _causes(kind, rng, values, real + predict > 0):
        severity, spread = rng.uniform(*kind.severity) + level, rng.uniform(*kind.spread)
        for one in chosen:
            sets.append({names[axis]: value for axis, value in zip(axes, one, strict=True)})
            rows = np.logical_and.reduce([values[axis] == value for axis, value in zip(axes, one, strict=True)])
            base = real[rows] if upwards else predict[rows]
            lowered = base * np.maximum(1 - rng.normal(severity, spread, len(base)), 0)
            real[rows], predict[rows] = (base, lowered) if upwards else (lowered, base)
    if kind.derived:  # a rate: both columns grow with the number of things counted
        weight = rng.integers(1, 50, count).astype(float)
        return frame.assign(real=real * weight, predict=predict * weight, real_count=weight, predict_count=weight), sets
    return frame.assign(real=real, predict=predict), sets


def _causes(kind: Kind, rng: np.random.Generator, values: np.ndarray, given: np.ndarray) -> Causes:
    """Draw the places of causes; two causes share no value of a dimension, so that none lies within another."""
    dimensions = len(kind.sizes)
    causes: Causes = []
    count = int(rng.integers(kind.causes[0], kind.causes[1], endpoint=True))
    while len(causes) < count:
        layer = dimensions if kind.deepest_only else int(rng.integers(1, dimensions, endpoint=True))
        axes = tuple(sorted(int(axis) for axis in rng.choice(dimensions, layer, replace=False)))
        many = int(rng.integers(kind.sets[0], kind.sets[1], endpoint=True))
        free = []
        for axis in axes:
            used = {one[a.index(axis)] for a, chosen in causes if axis in a for one in chosen}
            free.append([value for value in range(kind.sizes[axis]) if value not in used])
        if any(not some for some in free) or (layer < dimensions and any(axes == other for other, _ in causes)):
            continue
        chosen = {tuple(int(rng.choice(some)) for some in free) for _ in range(many)}
        if len(chosen) < many:
            continue
        if layer == dimensions and not all(given[np.ravel_multi_index(one, kind.sizes)] for one in chosen):
            continue  # a row without a value cannot change
        causes.append((axes, sorted(chosen)))
    return causes


def found_in(frame: pd.DataFrame, kind: Kind) -> list[dict[str, int]]:
    """Return the sets that `localise` finds in a case."""
    names = list("abcdefgh"[: len(kind.sizes)])
    pair = kind.derived
    sets = localise(
        frame,
        names,
        ("real", "real_count") if pair else "real",
        ("predict", "predict_count") if pair else "predict",
    )
    return [{name: int(row[name]) for name in str(row["dimensions"]).split()} for row in sets.to_dict("records")]


def main() -> None:
    """Draw cases, search them, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=[*KINDS], default="S")
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="write the cases as CSV and JSON, and search nothing")
    parser.add_argument("--verbose", action="store_true", help="print each case with a wrong or missing set")
    given = parser.parse_args()
    kind, right, told, true, seconds = KINDS[given.kind], 0, 0, 0, 0.0
    for number in range(given.cases):
        frame, sets = case(kind, np.random.default_rng([given.seed, number]))
        if given.write is not None:
            given.write.mkdir(parents=True, exist_ok=True)
            frame.to_csv(given.write / f"{number:04d}.csv", index=False)
            (given.write / f"{number:04d}.json").write_text(json.dumps(sets))
            continue
        begun = time.perf_counter()
        found = found_in(frame, kind)
        seconds += time.perf_counter() - begun
        hits = sum(one in sets for one in found)
        right, told, true = right + hits, told + len(found), true + len(sets)
        if given.verbose and not hits == len(found) == len(sets):
            print(
                number,
                "missing",
                [one for one in sets if one not in found],
                "wrong",
                [one for one in found if one not in sets],
            )
    if given.write is None:
        print(
            f"{given.kind}: {given.cases} cases, F1 {2 * right / max(told + true, 1):.3f} (precision "
            f"{right / max(told, 1):.3f}, recall {right / max(true, 1):.3f}), {seconds / given.cases:.3f} s a case"
        )


if __name__ == "__main__":
    main()
