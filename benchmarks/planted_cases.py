"""Cases with planted causes of the kinds that the literature on localising root causes uses, and their files.

A case is a table of all combinations of values with Weibull distributed numbers, some of them zero, with relative
noise, and one to five causes of one to three sets each that lower all their rows by a common share (RiskLoc, arXiv
2205.10004, section 5; Squeeze, ISSRE 2019, for the kind ``B``). The sizes of S, L and H are those that RiskLoc was
published with, those of B and D those of Squeeze. H has 24 million rows, so that few programs end: W has the dimension
of 250 values with 100,000 rows, and M the six dimensions with 36,000.

The files are those that the published programs read: ``injection_info.csv`` with the planted sets of each case
(``timestamp``, which is its number, and ``set``), and a CSV file a case; of a quotient two files, of its sum and its
count.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["KINDS", "Case", "Kind", "draw", "label", "write"]

FIRST = 1_000_000  # the number of the first case: the published programs take it for a time


@dataclass(frozen=True)
class Kind:
    """The ranges that cases of one kind are drawn from."""

    sizes: tuple[int, ...]
    noise: tuple[float, float]
    severity: tuple[float, float]
    spread: tuple[float, float]
    causes: tuple[int, int]
    sets: tuple[int, int]
    layers: tuple[int, int]
    derived: bool = False
    one_layer: bool = False  # all causes of a case have as many dimensions

    @property
    def names(self) -> list[str]:
        """The names of the dimensions."""
        return [*"abcdefgh"[: len(self.sizes)]]


KINDS = {
    "S": Kind((10, 12, 10, 8, 5), (0, 0.25), (0.2, 1), (0, 0.1), (1, 3), (1, 3), (1, 5)),
    "L": Kind((10, 24, 10, 15), (0, 0.1), (0.5, 1), (0, 0), (1, 5), (1, 1), (4, 4)),
    "H": Kind((10, 5, 250, 20, 8, 12), (0, 0.25), (0.2, 1), (0, 0.1), (1, 3), (1, 3), (1, 6)),
    "W": Kind((10, 5, 250, 8), (0, 0.25), (0.2, 1), (0, 0.1), (1, 3), (1, 3), (1, 4)),
    "M": Kind((6, 5, 8, 5, 6, 5), (0, 0.25), (0.2, 1), (0, 0.1), (1, 3), (1, 3), (1, 6)),
    "B": Kind((10, 12, 10, 8), (0.01, 0.08), (0.2, 1), (0, 0), (1, 3), (1, 1), (1, 3), one_layer=True),
    "D": Kind((10, 12, 10, 8), (0, 0.1), (0.2, 1), (0, 0.1), (1, 3), (1, 3), (1, 4), derived=True),
}

Set = dict[str, int]
Case = tuple[pd.DataFrame, list[Set]]
Causes = list[tuple[tuple[int, ...], list[tuple[int, ...]]]]


def draw(kind: Kind, seed: int, number: int) -> Case:
    """Return a table with the columns ``a``, ``b`` … and ``real`` and ``predict``, and the planted sets.

    A quotient has the columns ``real_count`` and ``predict_count`` too.
    """
    rng = np.random.default_rng([seed, number])
    values = np.stack([axis.ravel() for axis in np.indices(kind.sizes, dtype=np.int16)])
    frame = pd.DataFrame(dict(zip(kind.names, values, strict=True)))
    count, level = len(frame), rng.uniform(*kind.noise)
    real = rng.weibull(rng.uniform(0.5, 1.0), count) * 100 * (rng.random(count) > rng.uniform(0, 0.25))
    noisy = np.maximum(real * (1 + level * rng.standard_normal(count)), 0)
    swap = rng.random(count) < 0.5
    real, predict = np.where(swap, noisy, real), np.where(swap, real, noisy)
    upwards = real.sum() > predict.sum()
    sets: list[Set] = []
    for axes, chosen in _causes(kind, rng, real + predict > 0):
        severity, spread = rng.uniform(*kind.severity) + level, rng.uniform(*kind.spread)
        for one in chosen:
            sets.append({kind.names[axis]: value for axis, value in zip(axes, one, strict=True)})
            rows = np.logical_and.reduce([values[axis] == value for axis, value in zip(axes, one, strict=True)])
            base = real[rows] if upwards else predict[rows]
            lowered = base * np.maximum(1 - rng.normal(severity, spread, len(base)), 0)
            real[rows], predict[rows] = (base, lowered) if upwards else (lowered, base)
    if kind.derived:  # both columns grow with the number of things counted
        weight = rng.integers(1, 50, count).astype(float)
        return frame.assign(real=real * weight, predict=predict * weight, real_count=weight, predict_count=weight), sets
    return frame.assign(real=real, predict=predict), sets


def _causes(kind: Kind, rng: np.random.Generator, given: np.ndarray) -> Causes:
    """Draw the places of causes; two causes share no value of a dimension, so that none lies within another."""
    dimensions = len(kind.sizes)
    causes: Causes = []
    count = int(rng.integers(kind.causes[0], kind.causes[1], endpoint=True))
    same = int(rng.integers(kind.layers[0], kind.layers[1], endpoint=True)) if kind.one_layer else None
    while len(causes) < count:
        layer = same or int(rng.integers(kind.layers[0], kind.layers[1], endpoint=True))
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


def label(sets: list[Set]) -> str:
    """Return sets as the published programs write them: ``a=a1&b=b2;c=c3``."""
    return ";".join("&".join(f"{name}={name}{one[name]}" for name in sorted(one)) for one in sets)


def write(folder: Path, kind: Kind, seed: int, cases: int) -> None:
    """Write cases as files."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = []
    for number in range(cases):
        frame, sets = draw(kind, seed, number)
        labels.append({"timestamp": FIRST + number, "set": label(sets)})
        for name, size in zip(kind.names, kind.sizes, strict=True):
            frame[name] = pd.Categorical.from_codes(frame[name], [f"{name}{value}" for value in range(size)])
        whole = frame[[*kind.names, "real", "predict"]]
        whole.to_csv(folder / f"{FIRST + number}{'.a' if kind.derived else ''}.csv", index=False)
        if kind.derived:
            counts = frame[[*kind.names]].assign(real=frame["real_count"], predict=frame["predict_count"])
            counts.to_csv(folder / f"{FIRST + number}.b.csv", index=False)
    pd.DataFrame(labels).to_csv(folder / "injection_info.csv", index=False)
