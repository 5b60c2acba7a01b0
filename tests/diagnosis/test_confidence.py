"""Confidence is a logistic function whose weights a benchmark fits."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmarks.confidence import COLUMNS, chances, fitted
from benchmarks.incident_scores import bands
from frontierlab.diagnosis.confidence import FIGURES, UNKNOWN_DIRECTION, WEIGHTS, chance
from frontierlab.diagnosis.finding import KINDS


def test_the_chance_is_the_logistic_function_of_the_weighted_figures():
    clues = {"always": 1.0, "gain": 0.7, "cost": 0.2, "factor": 1.1, "bins": -0.3, "queries": 0.4, "load": 1.0}
    score = sum(WEIGHTS[name] * value for name, value in clues.items())
    assert chance(clues, knows_direction=True) == pytest.approx(math.exp(score) / (1 + math.exp(score)))
    sure = {"always": 1.0, "gain": 1e3}
    assert chance(sure, knows_direction=True) > 0.99
    assert chance(sure, knows_direction=False) == UNKNOWN_DIRECTION


def test_every_weight_is_of_a_figure_or_a_kind():
    assert {*WEIGHTS} == {"always", *FIGURES, *KINDS}


def test_the_fit_finds_the_weights_that_made_the_rows():
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(0.0, index=range(40_000), columns=COLUMNS)
    rows["always"] = 1.0
    rows["gain"], rows["cost"] = rng.normal(size=len(rows)), rng.normal(size=len(rows))
    score = 1.0 + 0.8 * rows["gain"] - 0.5 * rows["cost"]
    rows["true"] = rng.random(len(rows)) < 1 / (1 + np.exp(-score))
    weights = fitted(rows)
    assert weights[["always", "gain", "cost"]].to_list() == pytest.approx([1.0, 0.8, -0.5], abs=0.06)
    assert weights[[*KINDS]].abs().max() < 1e-6
    told = bands(rows[["true"]].assign(confidence=chances(rows, weights)))
    assert (told["share true"] - told["mean"]).abs().max() < 0.02
    assert told["rows"].sum() == len(rows)
