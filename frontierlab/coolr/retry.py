"""The retry rule: which calls to COOLR are repeated, how often, and with which pauses."""

from __future__ import annotations

from collections.abc import Callable

import tenacity

from frontierlab.errors import CoolrError

__all__ = ["ATTEMPTS", "LONGEST_PAUSE", "TEMPORARY_STATUSES", "Temporary", "retrying_for"]

ATTEMPTS = 6
"""How often a call is made, at most."""

LONGEST_PAUSE = 60.0
"""The longest pause, in seconds, that COOLR can ask for by ``Retry-After``."""

TEMPORARY_STATUSES = (408, 429, 500, 502, 503, 504)
"""The HTTP statuses of a server that is busy or starting."""

_back_off = tenacity.wait_random_exponential(multiplier=0.5, max=15)


class Temporary(CoolrError):
    """A temporary failure; the same call can succeed later.

    Parameters
    ----------
    cause
        What happened, for the message.
    wait
        The shortest pause before the next attempt, in seconds.
    silent
        Whether COOLR gave no whole answer.
    """

    def __init__(self, cause: str, wait: float = 0.0, *, silent: bool = False) -> None:
        super().__init__(cause)
        self.wait = wait
        self.silent = silent


def retrying_for(seconds: float, sleep: Callable[[float], None]) -> tenacity.Retrying:
    """Return what repeats a call that raises `Temporary`, and raises the last one when it gives up.

    The pauses grow up to 15 seconds and are random, or are as long as the error says.

    Parameters
    ----------
    seconds
        No attempt starts later than this after the first.
    sleep
        Waits for a number of seconds.
    """
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(Temporary),
        wait=_pause,
        stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_after_delay(seconds),
        sleep=sleep,
        reraise=True,
    )


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    return max(_back_off(state), error.wait if isinstance(error, Temporary) else 0.0)
