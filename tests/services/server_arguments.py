"""What Elasticsearch reads from its input when it starts: the arguments that its launcher otherwise writes there.

Their form is that of version 8.14, in which the launcher takes a fifth of the processor time of a start.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SECRETS = "org.elasticsearch.common.settings.KeyStoreWrapper"
VERSION = 6  # of a keystore
NO, TEXT, LIST = b"\0", b"\0", b"\7"


def arguments(settings: Mapping[str, object], configuration: Path, logs: Path) -> bytes:
    """Return the arguments of a server in the foreground, with a keystore that holds nothing."""
    in_background = quiet = has_process_file = NO
    keystore = text(SECRETS) + VERSION.to_bytes(4, "big") + NO + NO + number(0) + NO
    written = number(len(settings)) + b"".join(text(name) + value(given) for name, given in settings.items())
    return in_background + quiet + has_process_file + keystore + written + text(configuration) + text(logs)


def value(given: object) -> bytes:
    """Return a value of a setting: a list of texts, or a text."""
    if isinstance(given, list):
        return LIST + number(len(given)) + b"".join(map(value, given))
    return TEXT + text(str(given).lower() if isinstance(given, bool) else given)


def text(given: object) -> bytes:
    """Return a text with its number of characters before it."""
    return number(len(str(given))) + str(given).encode()


def number(given: int) -> bytes:
    """Return a whole number in groups of seven bits, the lowest first; each but the last has its eighth bit set."""
    groups = [given >> shift & 0x7F for shift in range(0, max(given.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])
