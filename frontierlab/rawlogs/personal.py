"""Personal data of raw logs: replaced by keyed hashes before anything is stored.

Raw logs name people and their machines: account, uid, X.509 subject or real name in the Frontier id, and addresses in
``raddr``, ``via``, ``x-forwarded-for`` and the client field of Squid logs. `Pseudonyms` replaces each by a hash with a
key, so that equal values stay equal and figures per client still count right, while the values cannot be found by
hashing all possible ones: that would need the key.

The key is the user's, the setting ``personal_data_key``: the same key gives the same hashes in every dataset. Without
it a random key is made, which is kept nowhere: hashes then agree within one reading alone.
"""

from __future__ import annotations

import re
import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from frontierlab.settings import Settings

__all__ = ["FrontierId", "Pseudonyms", "parse_frontier_id"]

_REMEMBERED = 50_000  # hosts
_BYTES = 10  # of a hash: two of 10^9 values have the same one with a probability below 10^-6
_ID = re.compile(
    r"(?P<agent>.*?) (?P<client>\d+\.\S*) (?P<pid>\d+) (?P<account>[^\s()]+)\((?P<uid>\d+)\)(?: (?P<who>.*))?",
    re.DOTALL,
)
_JOB = re.compile(r"\[(\d{1,18})_(\d{1,18})\]?")
_OWN = frozenset({"127.0.0.1", "::1", "localhost", "-", "unknown", ""})  # the machine itself: names nobody
_VIA = re.compile(r"(?P<protocol>(?:[A-Za-z]+/)?\d\.\d) +(?P<host>\[[^\]]*\]|[^\s,:]+)(?P<port>:\d+)?")
_HEX = "[0-9A-Fa-f]{1,4}"
_IN_TEXT = re.compile(
    r"(?P<header>\b(?i:frontier-id|via|x-forwarded-for)(?:: ?|\": ?\")|\braddr )(?P<rest>[^\r\n]+)"
    r"|(?P<subject>(?:/?\b(?:DC|OU|CN|UID|emailAddress)=|/(?:C|O|L|ST)=[^/\r\n\"]*/(?:C|O|OU|CN|L|ST)=)[^\r\n\"]*)"
    r"|(?P<account>(?<![\w.-])[\w.-]{1,64}\(\d{1,10}\)(?: [^\r\n\"]*)?)"
    r"|(?P<mail>(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})"
    r"|(?P<ipv4>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]))"
    rf"|(?P<ipv6>(?<![\w:])(?:(?:{_HEX}:){{7}}{_HEX}|(?:{_HEX}:){{1,7}}(?::{_HEX}){{1,7}}|::(?:{_HEX}:){{0,6}}{_HEX})(?![\w:]))"
)


class FrontierId(NamedTuple):
    """The parts of a Frontier id.

    Parameters
    ----------
    agent
        What named itself: ``[taskid_pandaid]`` of a PanDA job, a release, a probe, ``client``, or ``varnish``.
    taskid, pandaid
        The PanDA task and job; None if the id names none, as for requests through Varnish.
    client
        The version of the Frontier client.
    pid
        The process on the worker node.
    account, uid
        Who ran it, as text. Personal.
    who
        The X.509 subject, or the name of the account's owner. Personal. It may be cut: an id has at most 255 bytes.
    rest
        What followed the agent where the id has another form; None otherwise. It may be personal.
    """

    agent: str
    taskid: int | None = None
    pandaid: int | None = None
    client: str | None = None
    pid: int | None = None
    account: str | None = None
    uid: str | None = None
    who: str | None = None
    rest: str | None = None


def parse_frontier_id(text: str) -> FrontierId:
    """Take a Frontier id apart; nothing is replaced.

    An id of another form has its first word as ``agent`` and everything else in ``rest``.
    """
    found = _ID.fullmatch(text[:4096])
    if found is None:
        agent, _, rest = text.partition(" ")
        return FrontierId(agent, *_job(agent), rest=rest or None)
    pid = int(found["pid"]) if len(found["pid"]) < 19 else None
    return FrontierId(
        found["agent"],
        *_job(found["agent"]),
        found["client"],
        pid,
        found["account"],
        found["uid"],
        found["who"] or None,
    )


class Pseudonyms:
    """What replaces personal data.

    Parameters
    ----------
    key
        The key of the hashes; None makes a random one, which is kept nowhere.
    keep_personal_data
        True leaves all values as they were logged.

    Raises
    ------
    InvalidRequestError
        The key is empty.
    """

    def __init__(self, key: str | bytes | None = None, *, keep_personal_data: bool = False) -> None:
        from frontierlab.errors import InvalidRequestError

        if key is not None and not key:
            raise InvalidRequestError("The key of personal data is empty: give a long text, or None for a random key.")
        self.keeps = keep_personal_data
        self.random = key is None
        given = secrets.token_bytes(32) if key is None else key.encode() if isinstance(key, str) else key
        self._key = blake2b(given, digest_size=32).digest()
        self._hosts: dict[str, str] = {}  # the same ones are named again and again

    @classmethod
    def of(cls, settings: Settings, *, keep_personal_data: bool = False) -> Pseudonyms:
        """Return pseudonyms with the key of the settings, ``personal_data_key``."""
        key = settings.personal_data_key
        return cls(None if key is None else key.get_secret_value(), keep_personal_data=keep_personal_data)

    def __repr__(self) -> str:
        how = "kept as logged" if self.keeps else "a random key" if self.random else "the user's key"
        return f"<Pseudonyms: {how}>"

    @property
    def remark(self) -> str:
        """A sentence about personal data for those who use the dataset."""
        if self.keeps:
            return "Personal data are stored as they were logged, as keep_personal_data=True asks."
        replaced = (
            "Accounts, uids, subjects, names of people, addresses, via and x-forwarded-for are replaced by hashes"
        )
        if self.random:
            return (
                f"{replaced} with a random key that is kept nowhere: they agree within this reading alone. "
                "Set personal_data_key for hashes that agree between datasets."
            )
        return f"{replaced} with the key of the setting personal_data_key."

    def hashed(self, value: str | None, kind: str) -> str | None:
        """Return the hash of a value, 20 hexadecimal digits.

        Parameters
        ----------
        value
            The value; None and the empty text are returned as they are.
        kind
            What the value is, such as ``account`` or ``host``; equal values of two kinds have different hashes.
        """
        if self.keeps or not value:
            return value
        data = value.encode("utf-8", "surrogatepass")
        return blake2b(data, digest_size=_BYTES, key=self._key, person=kind.encode()[:16]).hexdigest()

    def host(self, value: str | None) -> str | None:
        """Return the hash of an address or host name; the machine's own (127.0.0.1) is returned as it is.

        Client addresses, ``raddr``, ``via`` and ``x-forwarded-for`` have equal hashes for the same host.
        """
        if value is None or self.keeps:
            return value
        found = self._hosts.get(value)
        if found is None:
            if len(self._hosts) >= _REMEMBERED:
                self._hosts.clear()
            own = value.lower() in _OWN
            found = self._hosts[value] = value if own else self.hashed(value.strip("[]").lower(), "host") or ""
        return found

    def forwarded_for(self, value: str | None) -> str | None:
        """Return an ``x-forwarded-for`` header with each address replaced."""
        if value is None or self.keeps:
            return value
        return ", ".join(self.host(part.strip()) or "" for part in value.split(","))

    def via(self, value: str | None) -> str | None:
        """Return a ``via`` header with its hosts replaced; protocol versions and ports stay, comments are left out.

        What does not look like an entry of the header is replaced as a whole.
        """
        if value is None or self.keeps:
            return value
        return ", ".join(self._via(part.strip()) for part in re.sub(r"\([^)]*\)?", "", value).split(","))

    def frontier_id(self, text: str) -> FrontierId:
        """Take a Frontier id apart and replace account, uid, subject or name, and what is not understood."""
        whole = parse_frontier_id(text)
        if self.keeps:
            return whole
        return whole._replace(
            account=self.hashed(whole.account, "account"),
            uid=self.hashed(whole.uid, "uid"),
            who=self.hashed(whole.who, "who"),
            rest=self.hashed(whole.rest, "rest"),
            agent=whole.agent if whole.taskid is not None else self.scrubbed(whole.agent),
        )

    def scrubbed(self, text: str) -> str:
        """Return free text, such as a line that cannot be parsed, with what looks personal replaced.

        The headers' values, subjects, ``account(uid)`` with the name behind it, mail addresses and IP addresses are
        replaced. A name that stands alone cannot be told from other words, so it stays.
        """
        if self.keeps:
            return text
        return _IN_TEXT.sub(self._scrubbed, text)

    def _scrubbed(self, found: re.Match[str]) -> str:
        if found["header"]:
            return f"{found['header']}{self.hashed(found['rest'], 'text')}"
        if found["ipv4"] or found["ipv6"]:
            return self.host(found[0]) or ""
        return self.hashed(found[0], "text") or ""

    def _via(self, part: str) -> str:
        found = _VIA.fullmatch(part)
        if found is None:
            return self.hashed(part, "via") or ""
        return f"{found['protocol']} {self.host(found['host'])}{found['port'] or ''}"


def _job(agent: str) -> tuple[int | None, int | None]:
    found = _JOB.fullmatch(agent)
    return (None, None) if found is None else (int(found[1]), int(found[2]))
