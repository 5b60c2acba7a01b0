"""One call to COOLR: sent a few at a time, repeated where that helps, explained where it does not."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import requests
import tenacity
import urllib3

from frontierlab.coolr.answers import Unusable, decode
from frontierlab.errors import CoolrError
from frontierlab.settings import Settings

__all__ = ["Call", "Caller", "Cancelled", "TooLarge", "TooSlow"]

_ATTEMPTS = 6
_LONGEST_WAIT = 60.0  # seconds between two attempts
_PASSING = (408, 429, 500, 502, 503, 504)
_TOO_LARGE = re.compile(r"too\s+(large|big|long|many)|exceed", re.IGNORECASE)
_CHUNK = 1 << 20


class Cancelled(CoolrError):
    """A call was not made, or not to its end, because the work that it was for was cancelled."""


class TooLarge(CoolrError):
    """COOLR refuses a range because its answer would be too large."""


class TooSlow(CoolrError):
    """COOLR did not answer in time for a range that can be asked for in pieces."""


@dataclass(frozen=True)
class Call:
    """What is asked.

    Parameters
    ----------
    path
        Such as ``payloads``.
    parameters
        By name.
    """

    path: str
    parameters: Mapping[str, str]

    def __str__(self) -> str:
        about = [self.parameters[name] for name in ("db", "schema", "node", "tag") if name in self.parameters]
        if "since" in self.parameters:
            about.append(f"[{self.parameters['since']}, {self.parameters['until']}]")
        return f"{self.path} of {' '.join(about)}"


class _Passing(Exception):
    """What may go well the next time."""

    def __init__(self, cause: str, wait: float = 0.0) -> None:
        super().__init__(cause)
        self.wait = wait


class Caller:
    """Makes calls; from any number of threads, of which ``coolr_connections`` are served at a time.

    Parameters
    ----------
    settings
        Where COOLR is, and how long to wait for it.
    cancelled
        Once it is set, every call ends with `Cancelled`.
    """

    def __init__(self, settings: Settings, cancelled: threading.Event) -> None:
        self._url = settings.coolr_url
        self._timeout = settings.coolr_timeout
        self._cancelled = cancelled
        self._free = threading.BoundedSemaphore(settings.coolr_connections)
        self._session = requests.Session()
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=settings.coolr_connections)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def url(self, call: Call) -> str:
        """Return the whole URL of a call; there is no secret in it."""
        return f"{self._url}/api/{call.path}?{urlencode(call.parameters)}"

    def failure(self, call: Call, cause: str, kind: type[CoolrError] = CoolrError) -> CoolrError:
        """Return the error that says which call, about what, and why it is of no use."""
        return kind(f"COOLR, {call}: {cause} ({self.url(call)})")

    def get(self, call: Call, *, patient: bool = True) -> Any:
        """Return the JSON of the answer, parsed without rounding.

        A busy or unreachable server, and an answer that is cut short, are tried again, six times in
        all, with growing random waits, or as long as ``Retry-After`` says, up to a minute.

        Parameters
        ----------
        call
            What to ask.
        patient
            False gives up at the first answer that is late.

        Raises
        ------
        TooLarge, TooSlow
            See there.
        Cancelled
            See there.
        CoolrError
            It refuses, or still fails; the message has the call, and what came back.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            wait=_wait,
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._once, call, patient)
        except _Passing as error:
            raise self.failure(call, f"after {_ATTEMPTS} attempts {error}.") from None

    def _once(self, call: Call, patient: bool) -> Any:
        with self._free:
            self._require_going_on(call)
            try:
                response, body = self._read(call)
            except requests.RequestException as error:
                if _is_late(error) and not patient:
                    raise self.failure(call, f"no answer within {self._timeout:g} s.", TooSlow) from None
                if _is_final(error):
                    raise self.failure(call, f"{_cause(error)}. Check coolr_host.") from None
                raise _Passing(f"there is no whole answer: {_cause(error)}") from None
        if response.status_code != 200:
            raise self._refusal(call, response, body, patient)
        try:
            return decode(body)
        except Unusable as error:
            raise _Passing(f"the answer cannot be used: {error}. It begins: {_beginning(body)}") from None

    def _read(self, call: Call) -> tuple[requests.Response, bytes]:
        chunks = []
        with self._session.get(self.url(call), timeout=self._timeout, stream=True) as response:
            for chunk in response.iter_content(_CHUNK):
                self._require_going_on(call)
                chunks.append(chunk)
        return response, b"".join(chunks)

    def _refusal(self, call: Call, response: requests.Response, body: bytes, patient: bool) -> Exception:
        status = response.status_code
        cause = f"it answered {status}: {_beginning(body)}"
        if status in (413, 414) or (status == 400 and _TOO_LARGE.search(body.decode(errors="replace"))):
            return self.failure(call, cause, TooLarge)
        if status == 504 and not patient:
            return self.failure(call, cause, TooSlow)
        wait = _retry_after(response.headers.get("Retry-After", ""))
        if wait > _LONGEST_WAIT:
            return self.failure(call, f"{cause}, and asks to come back in {wait:.0f} s.")
        return _Passing(cause, wait) if status in _PASSING else self.failure(call, cause)

    def _require_going_on(self, call: Call) -> None:
        if self._cancelled.is_set():
            raise self.failure(call, "cancelled.", Cancelled)

    def _sleep(self, seconds: float) -> None:
        self._cancelled.wait(seconds)


_backing_off = tenacity.wait_random_exponential(multiplier=0.5, max=15)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    return max(_backing_off(state), error.wait if isinstance(error, _Passing) else 0.0)


def _retry_after(value: str) -> float:
    """Return the seconds that a Retry-After header asks for, given as a number or a date; 0 where it is neither."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _is_late(error: requests.RequestException) -> bool:
    # a body that stops coming is a ConnectionError around urllib3's timeout
    inner = error.args[0] if error.args else None
    return isinstance(error, requests.ReadTimeout) or isinstance(inner, urllib3.exceptions.ReadTimeoutError)


def _is_final(error: requests.RequestException) -> bool:
    passing = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    return isinstance(error, requests.exceptions.SSLError) or not isinstance(error, passing)


def _cause(error: requests.RequestException) -> str:
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", None) or inner)


def _beginning(body: bytes) -> str:
    return repr(body[:800].decode(errors="replace")[:200])
