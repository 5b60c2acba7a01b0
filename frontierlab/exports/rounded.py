"""Whether the large integers of a file were rounded by the program that wrote it.

JavaScript, jq before 1.7 and whatever reads JSON's numbers as float64 keep 53 bits: an interval of validity in
nanoseconds, an open end and a hash lose their last digits without a word. One value that float64 cannot hold shows
that a file was not rounded. Values that float64 holds prove nothing by themselves: whole microseconds are such.
"""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["RoundedNumbers"]

_EXACT = 2**53  # up to here float64 holds every integer
_LARGEST = 2**63 - 1
_SURE = 3  # different values that only rounding explains
_ROUND = 1_000  # what a clock of microseconds counts by, in nanoseconds
_NO_TIME = 2**62  # nanoseconds after the year 2116: a hash, of which float64 keeps thousands
_ROUNDER = 1_000_000_000
# of a member, alone or the first of an array, also as a float; not in JSON that is quoted within a text
_LARGE = re.compile(rb'":(?<!\\":)\s*+\[?\s*+(-?\d{16,20}(?:\.0*+)?|-?\d\.\d{1,20}[eE]\+?1[5-9])(?=[\s,}\]])')


class RoundedNumbers:
    """Looks at the large integers of a text until one shows that they are exact.

    Attributes
    ----------
    open_ends
        How many values stand for 2^63-1 and are beyond it: only rounding makes them.
    examples
        Some different values, beyond 2^53, that float64 holds and no clock makes.
    exact
        A value was there that float64 cannot hold.
    """

    def __init__(self) -> None:
        self.open_ends = 0
        self.examples: set[int] = set()
        self.exact = False

    def look(self, text: bytes) -> None:
        """Look at a text of documents; it costs nothing after an exact value."""
        if self.exact:
            return
        for number in _LARGE.findall(text):
            value = int(Decimal(number.decode()))
            if abs(value) <= _EXACT:
                continue
            if value > _LARGEST:
                self.open_ends += float(value) == 2.0**63
            elif value not in (int(float(value)), int(Decimal(repr(float(value))))):
                self.exact = True
                return
            elif value % (_ROUND if abs(value) < _NO_TIME else _ROUNDER) and len(self.examples) < _SURE:
                self.examples.add(value)

    @property
    def is_sure(self) -> bool:
        """Whether the numbers were rounded beyond doubt."""
        return not self.exact and (self.open_ends > 0 or len(self.examples) >= _SURE)

    def __str__(self) -> str:
        """What was found, for a message."""
        ends = f"{self.open_ends:,} open ends are beyond 2^63-1, as 9223372036854776000 is" if self.open_ends else ""
        values = ", ".join(map(str, sorted(self.examples)))
        others = f"no integer beyond 2^53 has more digits than float64 keeps ({values})" if values else ""
        return "; ".join(filter(None, (ends, others)))
