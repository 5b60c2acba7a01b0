"""The retry rule: which calls to Elasticsearch are repeated, for how long, and with which pauses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import elastic_transport
import elasticsearch
import tenacity

from frontierlab.elastic.bounded_calls import CALL_SECONDS, LOOK, call_within
from frontierlab.elastic.errors import explained
from frontierlab.errors import ElasticsearchError

__all__ = ["RetryingCaller", "may_pass"]

T = TypeVar("T")
_PASSING = (429, 502, 503, 504)  # statuses of a server that is busy or starting


def may_pass(error: BaseException) -> bool:
    """Whether the same call may succeed later: the server is busy or absent."""
    if isinstance(error, elasticsearch.ApiError):
        return error.meta.status in _PASSING and not isinstance(error, elasticsearch.UnsupportedProductError)
    return isinstance(error, elastic_transport.TransportError) and not isinstance(error, elastic_transport.TlsError)


class RetryingCaller:
    """Calls a server, repeats a call while the server is busy or absent, and explains a lasting error.

    Parameters
    ----------
    url, index
        The server and the indices, for messages.
    retry_seconds
        Seconds during which a call is repeated, at least once; 0 never repeats it.
    call_seconds
        The longest time for a call and its whole answer.
    cancelled
        Set it to end waiting: every call then ends within a second.
    waiting
        Called a few times a second while the thread that made this object waits; ends the wait by raising.
    """

    def __init__(
        self,
        url: str,
        index: str,
        retry_seconds: float,
        *,
        call_seconds: float = CALL_SECONDS,
        cancelled: threading.Event | None = None,
        waiting: Callable[[], object] | None = None,
    ) -> None:
        self.waiting = waiting
        self._url = url
        self._index = index
        self._retry_seconds = retry_seconds
        self._call_seconds = call_seconds
        self._cancelled = cancelled or threading.Event()
        self._thread = threading.get_ident()

    def ask(
        self,
        call: Callable[[], T],
        *,
        retry_seconds: float | None = None,
        within: float | None = None,
        on_refusal: Callable[[BaseException], None] = lambda error: None,
    ) -> T:
        """Make a call.

        The pauses between calls grow up to 15 seconds and are random, so that many readers do not return to a busy
        server at the same moment (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).

        Parameters
        ----------
        call
            The call; its client is from `frontierlab.elastic.connection.connect`.
        retry_seconds, within
            Other times than `retry_seconds` and `call_seconds` of this caller.
        on_refusal
            Called with the error before the call is repeated.

        Raises
        ------
        ElasticsearchError
            The server refuses, cannot be reached, stays busy or does not answer in time, or the reading was stopped.
        """

        def refused(state: tenacity.RetryCallState) -> None:
            if state.outcome is not None and (error := state.outcome.exception()) is not None:
                on_refusal(error)

        seconds = self._retry_seconds if retry_seconds is None else retry_seconds
        enough: Any = tenacity.stop_after_delay(seconds)
        if seconds:  # one call may take longer than `seconds`; a second one may ask for a smaller page
            enough &= tenacity.stop_after_attempt(2)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(may_pass),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=15),
            stop=enough,
            sleep=self._sleep,
            before_sleep=refused,
            reraise=True,
        )
        longest = min(self._call_seconds, within or self._call_seconds)
        try:
            return retrying(lambda: call_within(call, longest, self._look))
        except (elasticsearch.ApiError, elastic_transport.TransportError) as error:
            raise explained(error, self._url, self._index) from None  # the explanation includes the error's text

    def _look(self) -> None:
        """Raise an error if the caller must stop waiting."""
        if self._cancelled.is_set():
            raise ElasticsearchError(f"The reading of {self._index} was stopped.")
        if self.waiting is not None and threading.get_ident() == self._thread:
            self.waiting()

    def _sleep(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            self._look()
            self._cancelled.wait(min(LOOK, left))
