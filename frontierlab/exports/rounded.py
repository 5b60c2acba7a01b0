"""Find out whether the program that wrote a file rounded its large integers.

JavaScript, jq before 1.7 and other programs that read JSON numbers as float64 keep 53 bits: intervals of validity in
nanoseconds, open ends and hashes silently lose their last digits. One value that float64 cannot represent proves that
a file was not rounded. A value that float64 can represent proves nothing: whole microseconds are an example.
"""

from __future__ import annotations

import re
from decimal import Decimal

__all__ = ["RoundedNumbers"]

_EXACT = 2**53  # float64 represents every integer up to this one
_LARGEST = 2**63 - 1
_SURE = 3  # different values that only rounding explains
_ROUND = 1_000  # nanoseconds in a tick of a clock that counts microseconds
_NO_TIME = 2**62  # as nanoseconds this is the year 2116: larger values are hashes; float64 rounds them to about 1,000
_ROUNDER = 1_000_000_000
# the value of a member, or the first of its array, also as a float; not within JSON that is quoted in a string
_LARGE = re.compile(rb'":(?<!\\":)\s*+\[?\s*+(-?\d{16,20}(?:\.0*+)?|-?\d\.\d{1,20}[eE]\+?1[5-9])(?=[\s,}\]])')


class RoundedNumbers:
    """Checks the large integers of a text until one proves that they are exact.

    Attributes
    ----------
    open_ends
        Number of values that are 2^63-1 rounded up: only rounding makes them.
    examples
        Some different values beyond 2^53 that float64 represents and that are not whole ticks of a clock.
    exact
        Whether a value was found that float64 cannot represent.
    """

    def __init__(self) -> None:
        self.open_ends = 0
        self.examples: set[int] = set()
        self.exact = False

    def look(self, text: bytes) -> None:
        """Check the text of some documents; does nothing after an exact value was found."""
        if self.exact:
            return
        for found in _LARGE.finditer(text):  # mostly, the first one is exact
            value = int(Decimal(found[1].decode()))
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
        """Describe the rounded values, for a message."""
        ends = (
            f"{self.open_ends:,} open ends are larger than 2^63-1, such as 9223372036854776000"
            if self.open_ends
            else ""
        )
        values = ", ".join(map(str, sorted(self.examples)))
        others = f"no integer beyond 2^53 has more digits than float64 keeps ({values})" if values else ""
        return "; ".join(filter(None, (ends, others)))
