"""One call to COOLR: sent a few at a time, repeated where that helps, explained where it does not."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import tenacity
import urllib3

from frontierlab import errors
from frontierlab.coolr.responses import Unusable, decode
from frontierlab.errors import CoolrError
from frontierlab.settings import Settings

__all__ = ["Call", "Caller", "Cancelled", "TooLarge", "TooSlow", "Unreached"]

_ATTEMPTS = 6
_LONGEST_WAIT = 60.0  # seconds between two attempts
_CONNECT = 15.0  # seconds for a connection to be made, at most
_LOOK = 0.25  # seconds between two looks at whether a call is cancelled
_REDIRECTS = 5
_LARGEST = 256 << 20  # bytes of an answer
_SILENT = 3  # calls in a row without any answer, after which COOLR is left alone
_PAUSE = 60.0  # seconds for which it is left alone
_PASSING = (408, 429, 500, 502, 503, 504)
_TOO_LARGE = re.compile(r"too\s+(large|big|long|many)|exceed", re.IGNORECASE)
_CHUNK = 1 << 20
_CONNECTION = re.compile(r"^HTTPS?Connection(Pool)?\(.*?\): ")  # how urllib3 begins what it says


class Cancelled(CoolrError, errors.Cancelled):
    """A call was not made, or not to its end, because the work that it was for was cancelled."""


class Unreached(CoolrError, errors.Unreached):
    """COOLR gave no whole answer."""


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

    def __init__(self, cause: str, wait: float = 0.0, *, silent: bool = False) -> None:
        super().__init__(cause)
        self.wait = wait
        self.silent = silent


class _Late(Exception):
    """The answer did not end in time."""


class _Reading:
    """An answer that is read in a thread of its own, so that who asked can leave at any time.

    A socket's time limit is one for each piece that arrives: an answer of a byte a second never reaches it.
    """

    def __init__(self, session: requests.Session, url: str, timeout: tuple[float, float]) -> None:
        self._session, self._url, self._timeout = session, url, timeout
        self._response: requests.Response | None = None
        self._left = threading.Event()
        self._answer: Future[tuple[requests.Response, bytes]] = Future()
        threading.Thread(target=self._run, name="coolr answer", daemon=True).start()

    def answer(self, seconds: float) -> tuple[requests.Response, bytes] | None:
        """Return the answer and its body; None where it is not there after these seconds."""
        with suppress(TimeoutError):
            return self._answer.result(seconds)
        return None

    def leave(self) -> None:
        """Give the answer up; its thread ends when its socket does."""
        self._left.set()
        if self._response is not None:
            with suppress(OSError, ValueError, RuntimeError):  # it has just ended by itself
                self._response.raw.shutdown()

    def _run(self) -> None:
        try:
            self._answer.set_result(self._read())
        except BaseException as error:
            self._answer.set_exception(error)

    def _read(self) -> tuple[requests.Response, bytes]:
        chunks, size = [], 0
        with self._session.get(self._url, timeout=self._timeout, stream=True) as self._response:
            for chunk in () if self._left.is_set() else self._response.iter_content(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > _LARGEST:
                    break
        return self._response, b"".join(chunks)


class Caller:
    """Makes calls; from any number of threads, of which ``coolr_connections`` are served at a time.

    Every wait ends: a connection after 15 s, a pause within an answer after ``coolr_timeout``, an answer after
    ``coolr_answer_seconds``, a call where no attempt began in as long; and all of them within a second once `cancelled`
    is set. After three calls in a row that got no answer at all, further ones fail at once, for a minute.

    Parameters
    ----------
    settings
        Where COOLR is, and how long to wait for it.
    cancelled
        Once it is set, every call ends with `Cancelled`.
    """

    def __init__(self, settings: Settings, cancelled: threading.Event) -> None:
        self._url = settings.coolr_url
        self._reached = False
        self._timeout = settings.coolr_timeout
        self._longest = settings.coolr_answer_seconds
        self._cancelled = cancelled
        self._free = threading.BoundedSemaphore(settings.coolr_connections)
        self._silent = 0
        self._silent_until = 0.0
        self._session = requests.Session()
        self._session.max_redirects = _REDIRECTS
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
        all, with growing random waits, or as long as ``Retry-After`` says, up to a minute. No attempt
        begins later than ``coolr_answer_seconds`` after the first.

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
        Unreached
            There is no such host, or COOLR gave no whole answer.
        Cancelled
            See there.
        CoolrError
            It refuses, or still fails; the message has the call, and what came back.
        """
        if time.monotonic() < self._silent_until:
            raise self.failure(
                call, f"not asked: COOLR did not answer the last {self._silent} calls. Check coolr_host.", Unreached
            )
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Passing),
            wait=_wait,
            stop=tenacity.stop_after_attempt(_ATTEMPTS) | tenacity.stop_after_delay(self._longest),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer = retrying(self._once, call, patient)
        except _Passing as error:
            self._note_silence(error.silent)
            attempts = retrying.statistics["attempt_number"]
            cause = f"after {attempts} attempts {error}."
            if error.silent:
                raise self.failure(call, f"{cause} Check coolr_host.", Unreached) from None
            raise self.failure(call, cause) from None
        self._silent = 0
        return answer

    def _note_silence(self, silent: bool) -> None:
        self._silent = self._silent + 1 if silent else 0
        if self._silent >= _SILENT:
            self._silent_until = time.monotonic() + _PAUSE

    def _once(self, call: Call, patient: bool) -> Any:
        while not self._free.acquire(timeout=_LOOK):
            self._require_going_on(call)
        try:
            response, body = self._read(call)
        except _Late:
            cause = f"the answer did not end within {self._longest:g} s"
            if not patient:
                raise self.failure(call, f"{cause}.", TooSlow) from None
            raise _Passing(cause, silent=True) from None
        except requests.RequestException as error:
            if _is_late(error) and not patient:
                raise self.failure(call, f"no answer within {self._timeout:g} s.", TooSlow) from None
            if _is_unknown_host(error) and not self._reached:  # later, it is the name server that is away
                host = urlsplit(self._url).hostname
                raise Unreached(f"COOLR is not reached: there is no host {host}. Check coolr_host.") from None
            if _is_final(error):
                raise self.failure(call, f"{_cause(error)}. Check coolr_host.") from None
            raise _Passing(f"there is no whole answer: {_cause(error)}", silent=True) from None
        finally:
            self._free.release()
        self._reached = True
        if len(body) > _LARGEST:
            raise self.failure(call, f"the answer is larger than {_LARGEST >> 20} MiB.", TooLarge)
        if response.status_code != 200:
            raise self._refusal(call, response, body, patient)
        try:
            return decode(body)
        except Unusable as error:
            raise _Passing(f"the answer cannot be used: {error}. It begins: {_beginning(body)}") from None

    def _read(self, call: Call) -> tuple[requests.Response, bytes]:
        """Read an answer, looking meanwhile whether it is still wanted, and in time."""
        self._require_going_on(call)
        deadline = time.monotonic() + self._longest
        reading = _Reading(self._session, self.url(call), (min(_CONNECT, self._timeout), self._timeout))
        try:
            while (found := reading.answer(_LOOK)) is None:
                self._require_going_on(call)
                if time.monotonic() > deadline:
                    raise _Late
        except BaseException:
            reading.leave()
            raise
        return found

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


def _is_unknown_host(error: requests.RequestException) -> bool:
    inner = error.args[0] if error.args else None
    return isinstance(getattr(inner, "reason", None), urllib3.exceptions.NameResolutionError)


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
    return _CONNECTION.sub("", str(getattr(inner, "reason", None) or inner))


def _beginning(body: bytes) -> str:
    return repr(body[:800].decode(errors="replace")[:200])
