"""Calls in another thread that the caller can leave."""

from __future__ import annotations

import threading

import pytest

from frontierlab.util.leavable_call import LeavableCall, Overdue


def wait(call, look=lambda: None, leave=lambda error: None, **bound):
    call.start("call")
    call.wait(look, leave, every=0.01, **bound)
    return call.result()


def test_the_result_is_returned():
    assert wait(LeavableCall(lambda: 3)) == 3


def test_the_error_of_the_call_is_raised():
    def fail():
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        wait(LeavableCall(fail), leave=pytest.fail)


@pytest.mark.parametrize("error", [ValueError("cancelled"), KeyboardInterrupt()])
def test_look_ends_the_wait_and_leave_is_told_why(error):
    told, stop = [], threading.Event()

    def look():
        raise error

    def leave(why):
        told.append(why)
        stop.set()

    call = LeavableCall(lambda: stop.wait(60))
    with pytest.raises(type(error)):
        wait(call, look, leave)
    assert told == [error]
    assert call.has_ended(60)


def test_a_wait_has_a_bound():
    stop = threading.Event()
    call = LeavableCall(lambda: stop.wait(60))
    with pytest.raises(Overdue, match=r"has not ended within 0\.05 s"):
        wait(call, leave=lambda error: stop.set(), seconds=0.05)
    assert call.result()


def test_a_time_out_of_look_is_not_that_of_the_call():
    """An alarm, or a network folder that `look` reads."""

    def look():
        raise TimeoutError("another one")

    stop = threading.Event()
    with pytest.raises(TimeoutError, match="another one") as raised:
        wait(LeavableCall(lambda: stop.wait(60)), look, lambda error: stop.set())
    assert not isinstance(raised.value, Overdue)


def test_a_call_that_has_not_ended():
    stop = threading.Event()
    call = LeavableCall(lambda: stop.wait(60))
    call.start("call")
    assert not call.has_ended()
    stop.set()
    assert call.has_ended(60)
