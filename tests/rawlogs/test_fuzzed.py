"""What reads raw logs takes any bytes: random ones, and real ones that were damaged."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rawlogs.fuzzed import TARGETS
from tests.support.examples import examples


@cache
def seeds_of(name: str) -> list[bytes]:
    return TARGETS[name][1]()


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Return a real example with some stretches replaced, repeated or cut out; or any bytes."""
    data = bytearray(draw(st.sampled_from([*seeds, b""])))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        data[start:end] = draw(st.one_of(st.binary(max_size=30), st.just(bytes(data[start:end]) * 3)))
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=examples(20))
@given(data=st.data())
def test_any_bytes_are_read_or_refused(name, data):
    target, _ = TARGETS[name]
    target(data.draw(damaged(seeds_of(name))))
