"""The worst folders are those of all figures, with few calls of COOLR."""

import functools
from typing import Any

import pandas as pd
import pytest

import frontierlab as fl
from frontierlab.coolr.calls import Unavailable
from frontierlab.errors import Cancelled, InvalidRequestError
from frontierlab.util.cancelling import at_most, check_cancelled
from frontierlab.util.leavable_call import Overdue
from tests.caching.truth import KEY
from tests.support.waiting import wait_for


class Silent:
    """A COOLR that gives no answer this time, and counts the folders that it was asked for."""

    def __init__(self) -> None:
        self.asked: set[Any] = set()

    def payloads(self, *names: Any) -> None:
        self.asked.add(names[:4])
        raise Unavailable("COOLR sleeps.")


@pytest.fixture(scope="module")
def advised(dataset, archived):
    """Return the parts of the advice on a folder and tag of the sample; each is asked for once."""

    @functools.cache
    def parts(*names):
        told = fl.caching.what_if(dataset, archived, **dict(zip(KEY, names, strict=True))).attrs
        return {part: told[part] for part in ("advice", "cure", "reasons")}

    return parts


@pytest.mark.slow
@pytest.mark.usefixtures("queried", "counted")
@pytest.mark.parametrize(("count", "steps"), [(1, (1, 2, 4, 96)), (3, (2, 4, 16, 96)), (7, (8, 24, 96))])
def test_they_are_the_first_of_all(dataset, archived, figures, advised, monkeypatch, count, steps):
    monkeypatch.setattr("frontierlab.caching.worst_folders._ASKED", steps)
    found = fl.caching.worst(dataset, archived, count, progress=False)
    pd.testing.assert_frame_equal(found.drop(columns=["advice", "cure", "reasons"]), figures.head(count))
    for row in found.to_dict("records"):
        told = advised(*(row[name] for name in KEY))
        assert {part: row[part] for part in told} == told
    assert not any("Only the" in note for note in found.attrs["notes"])


@pytest.mark.slow
def test_what_was_not_looked_at_is_said(dataset, archived, monkeypatch):
    monkeypatch.setattr("frontierlab.caching.worst_folders._ASKED", (1, 2))
    found = fl.caching.worst(dataset, archived, 50, progress=False)
    assert 0 < len(found) < 50
    assert "Only the 2 folders that take most database time were looked at, of " in " ".join(found.attrs["notes"])


def test_a_silent_coolr_is_asked_for_few_folders(dataset, archived):
    silent = Silent()
    found = fl.caching.worst(dataset, archived, coolr=silent, progress=False)
    assert (found["repeated_dbtime"] > 0).all()  # repeats are known without payloads
    assert found["advice"].isna().all()
    assert len({names[:3] for names in silent.asked}) <= 8
    assert "folders and tags have no payload figures, the first: COOLR sleeps." in " ".join(found.attrs["notes"])


def test_a_number_of_folders_is_needed(dataset, archived):
    for count in (0, True, "3"):
        with pytest.raises(InvalidRequestError, match="give a whole number of folders"):
            fl.caching.worst(dataset, archived, count)


def test_work_is_stopped_when_its_time_is_over():
    def work():
        wait_for(lambda: check_cancelled() or False)

    with pytest.raises(Overdue, match=r"longer than 0\.01 s"), at_most(0.01):
        work()
    outer = fl.cancellable()
    outer.cancel()
    with outer, pytest.raises(Cancelled), at_most(600):
        work()
    with at_most(600):
        check_cancelled()
