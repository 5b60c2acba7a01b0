"""Random logs and random selections of them, for tests that compare two implementations.

The logs are made once per seed, so that an example only draws a selection. That takes a millisecond.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from frontierlab import Selection, filters, open_logs
from frontierlab.engines import Logs
from frontierlab.selection import QUERY_KINDS
from frontierlab.util.times import format_time
from tests.support import duck
from tests.support.logs import START, make_dataset, table
from tests.support.reference_filters import LISTED, Rows, complete, moment

NASTY = ["it's", 'a"b', "a;b -- c", "{logs}", ":db", "%_", "\\", "\\'", "", " ", "NULL", "日本 Åß", "a\nb\r\tc", "😀"]
"""Names that look like code, or are rare."""

HOURS = 7_200_000
LIMITS = [START + 300_000 * k + d for k in (1, 2, 12) for d in (-1, 0)]  # of five minutes and of an hour
COVERED = (START - 2 * 86_400_000, START + 2 * 86_400_000)
"""The time that the logs cover: more than any window that a test draws."""

WORLDS = 40

_QUERY = (
    *("db", "schema", "nodefullpath", "tagname", "sqlhash", "since", "until", "squid"),
    *("computingsite", "disconn", "rejected", "procerror"),
)  # what some queries have in common with an earlier one, so that queries repeat

_TABLES: set[int] = set()

KEYWORDS: dict[str, list[Any]] = {
    "top": [None, 1, 2, 3],
    "bin_seconds": [300, 1, 0.25, 86_400],
    "threshold_ms": [0, 999, 1000],
    "bin_ms": [100, 1, 10_000],
}


@dataclass(frozen=True)
class World:
    """Random logs: as rows, as a dataset with its logs, and as a table of `tests.support.duck`."""

    seed: int
    rows: Rows = field(repr=False)

    @functools.cached_property
    def logs(self) -> Logs:
        """The logs of a dataset, which is made when it is first asked for."""
        request = {name: format_time(moment(time)) for name, time in zip(("since", "until"), COVERED, strict=True)}
        return open_logs(make_dataset(_folder() / f"world-{self.seed}", self.rows, request=request))

    @property
    def table(self) -> str:
        """The name of the table."""
        if self.seed not in _TABLES:
            duck.create(f"world_{self.seed}", table(self.rows))
            _TABLES.add(self.seed)
        return f"world_{self.seed}"


@functools.cache
def world(seed: int) -> World:
    """Return the logs of a seed: none, one, or up to sixty queries of two hours."""
    draw = random.Random(seed)
    size = [0, 1, 2][seed] if seed < 3 else draw.randint(3, 60)
    few = [draw.choice([_name(draw), "x"]) for _ in range(4)]
    rows: Rows = []
    for row in complete(_row(draw, few) for _ in range(size)):
        earlier = draw.choice(rows) if rows and draw.random() < 0.3 else {}
        rows.append(row | {name: earlier[name] for name in _QUERY if earlier})
    return World(seed, rows)


@functools.cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _row(draw: random.Random, few: list[str]) -> dict[str, Any]:
    def maybe(value: Callable[[], Any]) -> Any:
        return None if draw.random() < 0.25 else value()

    def flag() -> Any:
        return draw.choice([None, True, False, False])

    def spent() -> Any:
        return draw.choice([-5, 0, 99, 100, 999, 1000, 9_999, 10_000, 2**40, draw.randint(0, 20_000)])

    return {
        "time": draw.choice([START + draw.randrange(HOURS), draw.choice(LIMITS)]),
        "db": draw.choice(["CONDBR2", "CONDBR2", "OFLP200", *few]),
        "schema": maybe(lambda: draw.choice(["A", "B", *few])),
        "nodefullpath": maybe(lambda: draw.choice(["/a", "/b", *few])),
        "taskid": maybe(lambda: draw.choice([0, 1, 2, 2**31, 2**53 + 1, 2**63 - 1, -1])),
        **{name: flag() for name in ("cached", "disconn", "rejected", "procerror")},
        **{name: maybe(spent) for name in ("querytime", "dbtime")},
        "fsize": maybe(lambda: draw.choice([0, 1, 999, 2**40, -3])),
        "since": maybe(lambda: draw.choice([-1, -1, 0, 5, 2**62])),
        "until": maybe(lambda: draw.choice([-1, 0, 5, 2**62, 2**63 - 1])),
        "sqlhash": maybe(lambda: draw.choice([1, 2, -(2**63)])),
        "initthreads": maybe(lambda: draw.choice([0, 7, 63, 400, 2**53 + 1, -1])),
        **{
            name: maybe(lambda: draw.choice(["s1", "s2", *few]))
            for name in ("tagname", "taskname", "frontierserver", "computingsite", "squid")
        },
    }


def _name(draw: random.Random) -> str:
    if draw.random() < 0.7:
        return draw.choice(NASTY)
    # pandas groups by texts up to their first NUL character; surrogates are not text
    return "".join(chr(draw.choice([draw.randint(1, 0xD7FF), draw.randint(0xE000, 0x10FFFF)])) for _ in range(3))


# Hypothesis draws one number for each question, and Python's generator the rest of it: to draw each value costs as much
# time as the statement.
numbers = st.integers(0, 2**64 - 1)


def _time(draw: random.Random) -> int:
    return draw.choice([draw.randint(START, START + HOURS), draw.choice(LIMITS)])


@functools.cache
def _values(seed: int, column: str) -> list[Any]:
    seen = dict.fromkeys(row[column] for row in world(seed).rows) or [None]
    return [*seen, *([7, 2**60] if column == "taskid" else ["elsewhere", *NASTY[:3]])]


def _selection(draw: random.Random, seed: int) -> Selection:
    where: dict[str, Any] = {}
    for column in draw.sample(LISTED, draw.randint(0, 2)):
        where[column] = draw.choices(_values(seed, column), k=draw.randint(1, 6))
    where["cached"] = draw.choice([None, None, None, True, False])
    if not where["cached"] and draw.random() < 0.2:
        where["kind"] = draw.choices(QUERY_KINDS, k=draw.randint(1, 3))
    where["min_querytime"] = draw.choice([None, None, None, 0, 1000])
    since, until = (draw.choice([None, _time(draw)]) for _ in range(2))
    if since is not None:
        where["since"] = moment(since)
    if until is not None and (since is None or since < until):
        where["until"] = moment(until)
    return Selection(**where)


@st.composite
def selections(draw: st.DrawFn, seed: int) -> Selection:
    """Draw a selection; most of its values occur in the logs of the seed."""
    return _selection(random.Random(draw(numbers)), seed)


@functools.cache
def _choices(name: str) -> dict[str, list[Any]]:
    """Return the values that are tried of each keyword of a filter."""
    asked: Any = getattr(filters, name)
    own = inspect.signature(asked).parameters
    types = get_type_hints(inspect.unwrap(asked))
    by = {keyword: [*get_args(types[keyword])] for keyword in ("by", "rank_by") if keyword in own}
    return {keyword: values for keyword, values in KEYWORDS.items() if keyword in own} | by


Asked = tuple[World, Selection, dict[str, Any]]


@st.composite
def questions(draw: st.DrawFn, name: str, logs: World | None = None) -> Asked:
    """Draw logs (unless they are given), a selection of them, and the filter's own keywords."""
    return _question(random.Random(draw(numbers)), name, logs)


@st.composite
def several_questions(draw: st.DrawFn, name: str, number: int) -> list[Asked]:
    """Draw some questions at once, for tests in which an example of Hypothesis takes longer than a question."""
    chance = random.Random(draw(numbers))
    return [_question(chance, name) for _ in range(number)]


def _question(chance: random.Random, name: str, logs: World | None = None) -> Asked:
    logs = logs or world(chance.randrange(WORLDS))
    keywords = {keyword: chance.choice(values) for keyword, values in _choices(name).items()}
    return logs, _selection(chance, logs.seed), keywords
