"""The world of the embedded sample and its caching figures, computed once per process."""

from __future__ import annotations

import functools

import pandas as pd

from frontierlab.sample import World

__all__ = ["sample_truth", "sample_world"]


@functools.cache
def sample_world() -> World:
    """Return the world of the embedded sample."""
    return World()


@functools.cache
def _truth() -> pd.DataFrame:
    return sample_world().truth()


def sample_truth() -> pd.DataFrame:
    """Return the caching figures of the embedded sample by brute force, as a new frame."""
    return _truth().copy()
