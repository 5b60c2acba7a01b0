"""An independent count of repeated queries: plain Python over rows."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["asks_for_an_iov", "known_tag", "repeats"]

Row = Mapping[str, Any]

REPEATED = ("queries", "different_queries", "cached", "repeats", "most_repeated", "dbtime_ms", "bytes", "asked")


def known_tag(row: Row) -> str:
    return "unknown" if row["tagname"] is None else row["tagname"]


def asks_for_an_iov(row: Row) -> bool:
    return row["since"] is not None and row["since"] >= 0


def repeats(asker: str) -> dict[str, Callable[[Sequence[Row]], int]]:
    """Return what is counted of the queries that are repeated by an asker, by name."""

    def one(name: str) -> Callable[[Sequence[Row]], int]:
        return lambda rows: _counted(rows, asker)[name]

    return {name: one(name) for name in REPEATED}


def _counted(rows: Sequence[Row], asker: str) -> dict[str, int]:
    found = dict.fromkeys(REPEATED, 0) | {"asked": len(rows)}
    equal: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in filter(_counts, rows):
        place = row[asker], row["db"], row["schema"], row["nodefullpath"], known_tag(row)
        equal[(*place, row["sqlhash"], *_iov(row))].append(row)
    for same in equal.values():
        full = [row for row in same if not row["cached"]]
        found["different_queries"] += 1
        found["queries"] += len(same)
        found["cached"] += len(same) - len(full)
        found["repeats"] += max(0, len(full) - 1)
        found["most_repeated"] = max(found["most_repeated"], len(full))
        for name, column in (("dbtime_ms", "dbtime"), ("bytes", "fsize")):
            values = [row[column] for row in full if row[column] is not None]
            found[name] += sum(values) - max(values, default=0)
    return found


def _counts(row: Row) -> bool:
    """Whether a query was served, and is known by its SQL text, or by its folder and IOV."""
    since, until = _iov(row)
    if row["disconn"] or row["rejected"] or row["procerror"]:
        return False
    if since < 0 or until < 0:
        return since < 0 and until < 0 and row["sqlhash"] is not None
    return since <= until and (row["sqlhash"] is not None or row["nodefullpath"] is not None)


def _iov(row: Row) -> tuple[int, int]:
    return tuple(-1 if row[limit] is None else row[limit] for limit in ("since", "until"))  # type: ignore[return-value]
