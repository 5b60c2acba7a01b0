"""Figures of many series at once are those of one at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.diagnosis.series import quantile_of_some


@given(seed=st.integers(0, 2**32 - 1), quantile=st.floats(0, 1))
def test_the_quantile_of_some_values_is_that_of_numpy_to_the_last_digit(seed: int, quantile: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.lognormal(0, 5, (8, 24)).round(rng.integers(0, 9))  # some are alike
    some = rng.random(values.shape) < rng.random((8, 1))
    some[0] = False
    expected = [
        np.quantile(row[given], quantile) if given.any() else 0.0 for row, given in zip(values, some, strict=True)
    ]
    assert quantile_of_some(values, some, quantile).tolist() == expected
