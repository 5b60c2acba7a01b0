"""What is slow for more than half of a day is told of the database where all of it is slow, and else of its part."""

import numpy as np
import pandas as pd

from frontierlab.diagnosis.finding import Finding
from frontierlab.diagnosis.latencies import LATENCIES, WANDER
from frontierlab.diagnosis.long_rises import with_parents
from frontierlab.diagnosis.series import Clock, Series

BIN = 300_000
CLOCK = Clock(0, BIN, 288)
START, STOP = 60, 240  # 15 hours
NAMES = ["db", "schema", "nodefullpath"]
ALL = [(db, f"S{schema}", f"/{db}/{schema}/{folder}") for db in "AB" for schema in range(3) for folder in range(3)]
FOLDERS = pd.DataFrame(ALL, columns=NAMES)


def series() -> Series:
    return Series(
        pd.concat([FOLDERS.assign(bin=BIN * place, queries=1) for place in (0, 1)], ignore_index=True), NAMES, CLOCK
    )


def told(slow: pd.Series, *scopes: dict[str, str], stop: int = STOP) -> list[Finding]:
    """Return what is told if these scopes were found, and the folders of `slow` are three times as slow."""
    rng = np.random.default_rng(5)
    ours = series()
    order = ours.labels.merge(FOLDERS.assign(slow=slow.to_numpy()), on=NAMES)["slow"].to_numpy()
    count = rng.poisson(0.7, (len(ours), CLOCK.bins)).astype(float)
    mean = np.where(order[:, None] & (np.arange(CLOCK.bins) >= START)[None, :], np.log(3.0), 0.0) + 3.0
    mean[:, stop:] = 3.0
    total = mean * count + rng.normal(0, 0.8, count.shape) * np.sqrt(count)
    found = [Finding("slow_database", one, START + 6, stop, 20, 40, "ms", 50.0 - n) for n, one in enumerate(scopes)]
    values = (count, total, np.full(len(count), 0.64))
    return with_parents(found, LATENCIES[0].scopes, ours, values, WANDER, CLOCK)


SCHEMA = {"db": "A", "schema": "S0"}
FOLDER = {"db": "A", "schema": "S1", "nodefullpath": "/A/1/2"}


def test_parts_of_a_slow_database_are_told_as_the_database():
    (one,) = told(FOLDERS["db"] == "A", FOLDER, SCHEMA)
    assert one.scope == {"db": "A"}
    assert abs(one.start - START) <= 2
    assert abs(one.stop - STOP) <= 2
    assert 2.5 < one.factor < 3.6


def test_a_single_slow_part_stays_what_it_is():
    only = (FOLDERS[NAMES] == pd.Series(FOLDER)).all(axis=1)
    assert [one.scope for one in told(only, FOLDER)] == [FOLDER]


def test_two_slow_folders_of_one_schema_do_not_make_a_database_slow():
    slow = (FOLDERS["db"] == "A") & (FOLDERS["schema"] == "S1")
    other = {**FOLDER, "nodefullpath": "/A/1/0"}
    assert [one.scope for one in told(slow, FOLDER, other)] == [{"db": "A", "schema": "S1"}]


def test_what_is_slow_for_less_than_half_of_the_data_is_left_as_it_was_found():
    assert [one.scope for one in told(FOLDERS["db"] == "A", FOLDER, SCHEMA, stop=200)] == [FOLDER, SCHEMA]
