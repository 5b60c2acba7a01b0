"""The order of payload rows, from whatever pieces they come."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from frontierlab.coolr.responses import PAYLOADS, in_order
from frontierlab.schema import OPEN_IOV

IOVS = st.one_of(st.integers(0, 3), st.sampled_from([-(2**63), OPEN_IOV - 1, OPEN_IOV]))
ROWS = st.lists(
    st.tuples(st.integers(0, 2), IOVS, IOVS, st.sampled_from(["", "a", "b", "\uffff", "\U0001f600"])), max_size=12
)


def table(rows: list[tuple[int, int, int, str]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(PAYLOADS.names, row, strict=True)) for row in rows], PAYLOADS)


@given(rows=ROWS, again=ROWS, is_sorted=st.booleans())
def test_rows_are_sorted_and_each_stands_once(rows, again, is_sorted):
    pieces = [sorted(rows), sorted(again)] if is_sorted else [rows, again]
    ordered = in_order(pa.concat_tables([table(piece) for piece in (*pieces, rows[:5])]))
    assert ordered.equals(table(sorted({*rows, *again})), check_metadata=True)
    assert in_order(ordered).equals(ordered)


@given(rows=ROWS)
def test_values_that_a_file_lacks_come_last(rows):
    lacking = pa.Table.from_pylist([{"channel": 0, "since": 0, "until": None, "content": None}], PAYLOADS)
    ordered = in_order(pa.concat_tables([lacking, table(rows), lacking]))
    known = sorted({*rows})
    place = sum(row[:2] <= (0, 0) for row in known)
    assert ordered.equals(pa.concat_tables([table(known[:place]), lacking, table(known[place:])]))
