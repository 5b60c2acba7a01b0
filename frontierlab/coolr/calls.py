"""HTTP calls to COOLR: a limited number at once, retried if that can help, with explained errors."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from frontierlab import errors
from frontierlab.coolr.faults import cause_of, is_final, is_late, is_unknown_host, retry_after
from frontierlab.coolr.responses import Unusable, decode
from frontierlab.coolr.retry import LONGEST_PAUSE, TEMPORARY_STATUSES, Temporary, retrying_for
from frontierlab.errors import CoolrError
from frontierlab.settings import Settings
from frontierlab.util.leavable_call import LeavableCall, Overdue

__all__ = ["Call", "Caller", "Cancelled", "TooLarge", "TooSlow", "Unavailable", "Unreached"]

_CONNECT = 15.0  # seconds for a connection to be made, at most
_LOOK = 0.25  # seconds between two checks for a cancellation
_REDIRECTS = 5
_LARGEST = 256 << 20  # bytes of a response
_SILENT = 3  # consecutive calls without any response, after which calls pause
_PAUSE = 60.0  # seconds of this pause
_TOO_LARGE = re.compile(r"too\s+(large|big|long|many)|exceed", re.IGNORECASE)
_CHUNK = 1 << 20


class Cancelled(CoolrError, errors.Cancelled):
    """A call was not made, or not completed, because its work was cancelled."""


class Unavailable(CoolrError):
    """COOLR gave no usable answer this time; the same call can succeed on another day."""


class Unreached(Unavailable, errors.Unreached):
    """COOLR gave no whole answer."""


class TooLarge(CoolrError):
    """The response for a range is too large; a smaller range can succeed."""


class TooSlow(Unavailable):
    """COOLR did not respond in time; a smaller range can succeed."""


@dataclass(frozen=True)
class Call:
    """A request to COOLR.

    Parameters
    ----------
    path
        The path of the API, such as ``payloads``.
    parameters
        The parameters by name.
    """

    path: str
    parameters: Mapping[str, str]

    def __str__(self) -> str:
        about = [self.parameters[name] for name in ("db", "schema", "node", "tag") if name in self.parameters]
        if "since" in self.parameters:
            about.append(f"[{self.parameters['since']}, {self.parameters['until']}]")
        return f"{self.path} of {' '.join(about)}"


class _Late(Exception):
    """The response did not end in time."""


class _Reading:
    """A response that one thread reads and another can stop.

    A socket timeout applies to each piece that arrives. A response of one byte per second never reaches it.
    """

    def __init__(self, session: requests.Session, url: str, timeout: tuple[float, float]) -> None:
        self._session, self._url, self._timeout = session, url, timeout
        self._response: requests.Response | None = None
        self._stopped = threading.Event()

    def stop(self, _: BaseException) -> None:
        """Shut the socket down, so that the reading thread ends."""
        self._stopped.set()
        if self._response is not None:
            with suppress(OSError, ValueError, RuntimeError):  # the response has just ended
                self._response.raw.shutdown()

    def read(self) -> tuple[requests.Response, bytes]:
        """Return the response and its body."""
        chunks, size = [], 0
        with self._session.get(self._url, timeout=self._timeout, stream=True) as self._response:
            for chunk in () if self._stopped.is_set() else self._response.iter_content(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > _LARGEST:
                    break
        return self._response, b"".join(chunks)


class _Session(requests.Session):
    """A session of one server: it looks for proxies and authorities in the environment once, not at each call.

    That took a fifth of the processor time of a call, and more where the environment is large.
    """

    _found: Any = None

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Return what the environment says of the server; the calls of `Caller` differ in the URL alone."""
        if self._found is None:
            self._found = super().merge_environment_settings(url, proxies, stream, verify, cert)
        return {**self._found, "proxies": {**self._found["proxies"]}}


class Caller:
    """Makes calls from any number of threads, at most ``coolr_connections`` at once.

    Every wait is bounded: connecting by 15 s, a pause within a response by ``coolr_timeout``, a response by
    ``coolr_answer_seconds``. No retry starts later than ``coolr_answer_seconds`` after the first attempt. All waits
    end within a second once `cancelled` is set. After three consecutive calls without any response, calls fail at
    once for a minute.

    Parameters
    ----------
    settings
        The address of COOLR and the time limits.
    cancelled
        Once set, every call ends with `Cancelled`.
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
        self._session = _Session()
        self._session.max_redirects = _REDIRECTS
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=settings.coolr_connections)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def url(self, call: Call) -> str:
        """Return the full URL of a call; it contains no secret."""
        return f"{self._url}/api/{call.path}?{urlencode(call.parameters)}"

    def failure(self, call: Call, cause: str, kind: type[CoolrError] = CoolrError) -> CoolrError:
        """Return an error that names the call, the cause and the URL."""
        return kind(f"COOLR, {call}: {cause} ({self.url(call)})")

    def get(self, call: Call, *, patient: bool = True) -> Any:
        """Return the JSON of the response, parsed without rounding.

        The call is retried if the server is busy or unreachable, or the response is cut short: six attempts
        in all, with growing random waits, or as long as ``Retry-After`` says, up to a minute. No attempt
        starts later than ``coolr_answer_seconds`` after the first.

        Parameters
        ----------
        call
            The call.
        patient
            False raises `TooSlow` at the first late response.

        Raises
        ------
        TooLarge, TooSlow
            A smaller range can succeed.
        Unreached
            There is no such host, or COOLR gave no whole answer.
        Cancelled
            The work was cancelled.
        CoolrError
            COOLR refuses, or the last attempt failed; the message has the call and the start of the response.
        """
        if time.monotonic() < self._silent_until:
            raise self.failure(
                call,
                f"not called, because COOLR did not answer the last {self._silent} calls. Check coolr_host.",
                Unreached,
            )
        retrying = retrying_for(self._longest, self._sleep)
        try:
            answer = retrying(self._attempt, call, patient)
        except Temporary as error:
            self._note_silence(error.silent)
            attempts = retrying.statistics["attempt_number"]
            cause = f"after {attempts} attempts {error}."
            if error.silent:
                raise self.failure(call, f"{cause} Check coolr_host.", Unreached) from None
            raise self.failure(call, cause, Unavailable) from None
        self._silent = 0
        return answer

    def _note_silence(self, silent: bool) -> None:
        self._silent = self._silent + 1 if silent else 0
        if self._silent >= _SILENT:
            self._silent_until = time.monotonic() + _PAUSE

    def _attempt(self, call: Call, patient: bool) -> Any:
        while not self._free.acquire(timeout=_LOOK):
            self._require_not_cancelled(call)
        try:
            response, body = self._read(call)
        except _Late:
            cause = f"the answer did not end within {self._longest:g} s"
            if not patient:
                raise self.failure(call, f"{cause}.", TooSlow) from None
            raise Temporary(cause, silent=True) from None
        except requests.RequestException as error:
            if is_late(error) and not patient:
                raise self.failure(call, f"no answer within {self._timeout:g} s.", TooSlow) from None
            if is_unknown_host(error) and not self._reached:  # otherwise the name server fails for a moment
                host = urlsplit(self._url).hostname
                raise Unreached(f"COOLR is not reached: there is no host {host}. Check coolr_host.") from None
            if is_final(error):
                raise self.failure(call, f"{cause_of(error)}. Check coolr_host.") from None
            raise Temporary(f"there is no whole answer: {cause_of(error)}", silent=True) from None
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
            raise Temporary(f"the answer cannot be used: {error}. It begins: {_beginning(body)}") from None

    def _read(self, call: Call) -> tuple[requests.Response, bytes]:
        """Read a response; stop on a cancellation or after the time limit."""
        self._require_not_cancelled(call)
        reading = _Reading(self._session, self.url(call), (min(_CONNECT, self._timeout), self._timeout))
        answer = LeavableCall(reading.read)
        answer.start("coolr answer")
        try:
            answer.wait(lambda: self._require_not_cancelled(call), reading.stop, every=_LOOK, seconds=self._longest)
        except Overdue:
            raise _Late from None
        return answer.result()

    def _refusal(self, call: Call, response: requests.Response, body: bytes, patient: bool) -> Exception:
        status = response.status_code
        cause = f"it answered {status}: {_beginning(body)}"
        if status in (413, 414) or (status == 400 and _TOO_LARGE.search(body.decode(errors="replace"))):
            return self.failure(call, cause, TooLarge)
        if status == 504 and not patient:
            return self.failure(call, cause, TooSlow)
        wait = retry_after(response.headers.get("Retry-After", ""))
        if wait > LONGEST_PAUSE:
            return self.failure(call, f"{cause}, and asks for a pause of {wait:.0f} s.")
        return Temporary(cause, wait) if status in TEMPORARY_STATUSES else self.failure(call, cause)

    def _require_not_cancelled(self, call: Call) -> None:
        if self._cancelled.is_set():
            raise self.failure(call, "cancelled.", Cancelled)

    def _sleep(self, seconds: float) -> None:
        self._cancelled.wait(seconds)


def _beginning(body: bytes) -> str:
    return repr(body[:800].decode(errors="replace")[:200])
