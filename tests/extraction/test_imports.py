"""Parquet files that were made elsewhere: every type and folder that other tools write is read right, or refused."""

from __future__ import annotations

import atexit
import os
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import frontierlab as fl
from frontierlab.documents.fast import DocumentReader
from frontierlab.errors import DatasetError, InvalidRequestError
from frontierlab.extraction import import_parquet as imports
from frontierlab.extraction.parquet_files import find_logs
from frontierlab.storage.losses import DocumentsLost, NothingKept, PartialSource
from frontierlab.storage.parts import SliceWriter
from tests.support.examples import examples
from tests.support.logs import START

READER = DocumentReader()
atexit.register(READER.close)  # Hypothesis keeps what its tests use beyond the end, and DuckDB reports that as leaks
DAY = pa.array([START], pa.timestamp("ms", "UTC"))
UNTIL = 2**63 - 1


@pytest.fixture
def settings(data_dir):
    return fl.Settings(data_dir=data_dir)


def make(settings, path, name="a"):
    return fl.datasets.import_parquet(path, name, settings, complete=False)


def table(**columns):
    """One row, or as many as a column has, with a time and a database."""
    rows = max((len(column) for column in columns.values()), default=1)
    return pa.table({"time": pa.array([START] * rows, DAY.type), "db": ["CONDBR2"] * rows, **columns})


def read(path):
    """What the rows of Parquet files become: the rows, and the reasons why there are none."""
    documents = [document for file in find_logs(path) for page in file.documents(3) for document in page]
    page = READER.read(documents)
    return page.rows.to_pylist(), [reason for reason, _ in page.malformed]


def value_of(folder, name, column):
    """What the only value of a column becomes, or the reason why its row is malformed."""
    pq.write_table(table(**{name: column}), folder / "a.parquet")
    rows, reasons = read(folder / "a.parquet")
    return rows[0][name] if rows else reasons[0]


# ---- names


def test_files_that_spark_wrote_from_opened_logs_keep_their_iov(tmp_path):
    columns = table(since=pa.array([5]), until=pa.array([7]))
    names = [
        "iov_since" if name == "since" else "iov_until" if name == "until" else name for name in columns.column_names
    ]
    pq.write_table(columns.rename_columns(names), tmp_path / "a.parquet")
    ((row,), reasons) = read(tmp_path / "a.parquet")
    assert (row["since"], row["until"], reasons) == (5, 7, [])


# ---- types


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("since", pa.array([None], pa.null()), -1),
        ("since", pa.array([2**63 - 1], pa.uint64()), UNTIL),
        ("since", pa.array([2**63], pa.uint64()), "sqlsin: beyond int64"),
        ("since", pa.array([1_790_812_800_123_456_789], pa.decimal128(38, 0)), 1_790_812_800_123_456_789),
        ("since", pa.array([Decimal("1790812800123456789.00")], pa.decimal256(60, 2)), 1_790_812_800_123_456_789),
        ("since", pa.array([10**37], pa.decimal128(38, 0)), "sqlsin: beyond int64"),
        ("until", pa.array([str(UNTIL)], pa.large_string()), UNTIL),
        ("until", pa.array([str(UNTIL)], pa.string_view()), UNTIL),
        ("until", pa.array([str(UNTIL).encode()]), UNTIL),
        ("until", pa.array([UNTIL]).dictionary_encode(), UNTIL),
        ("until", pa.array([[UNTIL]]), UNTIL),
        ("until", pa.array([[1, 2]]), "sqlunt: an array of several values"),
        ("fsize", pa.array([float("nan")]), None),
        ("fsize", pa.array([np.float16("nan")], pa.float16()), None),
        ("fsize", pa.array([None], pa.float16()), None),
        ("fsize", pa.array([np.float16(2047)], pa.float16()), 2047),
        ("fsize", pa.array([2.0**24 - 1], pa.float32()), 2**24 - 1),
        ("fsize", pa.array([1 - 2.0**53]), 1 - 2**53),
        ("fsize", pa.array([float("inf")]), "fsize: not an integer"),
        ("fsize", pa.array([True]), "fsize: not an integer"),
        ("fsize", pa.array([date(2026, 10, 1)]), "fsize: not an integer"),
        ("cached", pa.array([1], pa.uint8()), True),
        ("cached", pa.array([np.float16(1)], pa.float16()), True),
        ("cached", pa.array([0.0]), False),
        ("cached", pa.array([Decimal(1)], pa.decimal128(1, 0)), True),
        ("cached", pa.array(["True"]), True),
        ("cached", pa.array(["FALSE"]).dictionary_encode(), False),
        ("cached", pa.array([b"false"]), False),
        ("cached", pa.array([2]), "cached: not a flag"),
        ("cached", pa.array([b"\xff"]), "cached: an object"),
        ("taskname", pa.array([b"/A/\xc3\xa9"], pa.large_binary()), "/A/é"),
        ("taskname", pa.array([b"abc"], pa.binary(3)), "abc"),
        ("taskname", pa.array([b"\xff\xfe"]), "taskname: an object"),
        ("taskname", pa.array([5.0]), "5"),
        ("taskname", pa.array([float("nan")]), None),
        ("taskname", pa.array([True]), "taskname: not a name"),
    ],
)
def test_values_of_any_type(tmp_path, name, column, expected):
    assert value_of(tmp_path, name, column) == expected


def test_text_that_is_not_utf_8_is_malformed(tmp_path):
    bad = pa.array([b"\xff"]).view(pa.string())  # as Hive writes what it is given
    assert value_of(tmp_path, "taskname", bad) == "taskname: an object"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([START], pa.timestamp("ms", "+02:00")), START),
        (pa.array([START * 1_000_000 + 999_999], pa.timestamp("ns")), START),
        (pa.array([0], pa.timestamp("s")), 0),
        (pa.array([-1], pa.timestamp("us")), "@timestamp: not a time"),
        (pa.array([9_214_646_399], pa.timestamp("s")), 9_214_646_399_000),
        (pa.array([9_214_646_400], pa.timestamp("s")), "@timestamp: not a time"),
        (pa.array([2**62], pa.timestamp("us", "UTC")), "@timestamp: not a time"),
        (pa.array([None], pa.timestamp("us", "UTC")), "@timestamp: missing"),
        (pa.array([None], pa.null()), "@timestamp: missing"),
        (pa.array([date(2026, 10, 1)]), "@timestamp: a date without a time of day"),
        (pa.array([date(2026, 10, 1)], pa.date64()), "@timestamp: a date without a time of day"),
        (pa.array([time(12)]), "@timestamp: not a time"),
        (pa.array([START]), START),
        (pa.array([float(START)]), START),
        (pa.array([Decimal(START)]), START),
        (pa.array([b"2026-10-01T00:00:00.000Z"]), START),
        (pa.array(["2026-10-01 00:00:00"]).dictionary_encode(), START),
    ],
)
def test_times_of_any_type(tmp_path, column, expected):
    pq.write_table(pa.table({"@timestamp": column, "db": ["CONDBR2"]}), tmp_path / "a.parquet", store_schema=False)
    rows, reasons = read(tmp_path / "a.parquet")
    found = [int(row["time"].timestamp() * 1_000) for row in rows] + reasons
    assert found == [expected]


@pytest.mark.parametrize("day", ["1970-01-01", "2026-10-01", "2261-12-31", "1582-10-04", "2500-01-01", "9999-12-31"])
def test_times_of_spark_and_impala_do_not_overflow(tmp_path, day):
    moment = datetime.fromisoformat(f"{day}T12:34:56.789").replace(tzinfo=UTC)
    column = pa.array([moment], pa.timestamp("us"))
    pq.write_table(
        pa.table({"time": column, "db": ["CONDBR2"]}), tmp_path / "a.parquet", use_deprecated_int96_timestamps=True
    )
    rows, reasons = read(tmp_path / "a.parquet")
    if 1970 <= moment.year < 2262:
        assert rows[0]["time"] == moment
    else:
        assert reasons == ["@timestamp: not a time"]


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        (
            "since",
            pa.array([{"a": 1}]),
            "column since is of type struct<a: int64>. Write it as an integer",
        ),
        ("since", pa.array([[(1, 2)]], pa.map_(pa.int64(), pa.int64())), "column since is of type map<int64, int64"),
        ("since", pa.array([[{"a": 1}]]), "column since is of type list<"),
        ("dbtime", pa.array([timedelta(seconds=1)]), r"column dbtime is of type duration\[us\]"),
        ("cached", pa.array([{"a": 1}]), "Write it as a boolean, or leave it out"),
        ("since", pa.array([2.0**54]), r"column since holds integers as floats, up to 1.80144e\+16. From 9,007,199,"),
        ("since", pa.array([float(2**53 + 1)]), r"column since holds .* From 9,007,199,254,740,992 on"),
        ("until", pa.array([2.0**24], pa.float32()), r"column until holds .* From 16,777,216 on"),
        ("since", pa.array([np.float16(4096)], pa.float16()), "column since holds integers as floats.*From 2,048 on"),
    ],
)
def test_column_of_an_unusable_type_is_refused_and_named(settings, tmp_path, name, column, message):
    pq.write_table(table(**{name: column}), tmp_path / "a.parquet")
    with pytest.raises(InvalidRequestError, match=message):
        make(settings, tmp_path / "a.parquet")
    assert not list((settings.data_dir / "datasets").glob("[!.]*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sql", "name", "expected"),
    [
        ("'ATLAS'::ENUM('ATLAS', 'CMS')", "schema", "ATLAS"),
        ("'5d1c5d8e-0000-4000-8000-00000000ffff'::UUID", "taskname", "5d1c5d8e-0000-4000-8000-00000000ffff"),
        ("9223372036854775807::DECIMAL(38, 0)", "until", UNTIL),
        ("5::HUGEINT", "until", 5),
        ("200::UTINYINT", "fsize", 200),
        ("1.5::FLOAT", "taskname", "taskname: not a name"),
        ("'x'::BLOB", "taskname", "x"),
        ("TRUE", "cached", True),
        ("TIME '12:00:00'", "taskname", "12:00:00.000000"),
    ],
)
def test_values_written_by_duckdb(tmp_path, sql, name, expected):
    path = tmp_path / "a.parquet"
    select = f"SELECT TIMESTAMPTZ '2026-10-01 00:00:00+00' AS time, 'CONDBR2' AS db, {sql} AS \"{name}\""
    with duckdb.connect() as connection:
        connection.sql(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    rows, reasons = read(path)
    assert [row[name] for row in rows] + reasons == [expected]


def test_interval_written_by_duckdb_is_refused(tmp_path):
    with duckdb.connect() as connection:
        select = "SELECT now() AS time, 'CONDBR2' AS db, INTERVAL 1 DAY AS taskname"
        connection.sql(f"COPY ({select}) TO '{tmp_path / 'a.parquet'}' (FORMAT parquet)")
    with pytest.raises(InvalidRequestError, match=r"column taskname is of type interval. Write it as text"):
        find_logs(tmp_path / "a.parquet")


INTEGERS = st.lists(
    st.none() | st.integers(0, 100) | st.integers(-(2**53), 2**53) | st.integers(-1, UNTIL), min_size=4, max_size=4
)
FLAGS = st.lists(st.none() | st.booleans(), min_size=4, max_size=4)
NAMES = st.lists(st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6))
NAMES = NAMES.map(lambda names: [*names, None, "/A/b", None, "é"][:4])
TIMES = st.lists(st.integers(0, 9_214_646_399_999) | st.just(START), min_size=4, max_size=4)


@st.composite
def integers(draw):
    """Integers, and a column that holds them."""
    values = draw(INTEGERS)
    largest = max((abs(value) for value in values if value is not None), default=0)
    types = [pa.int64(), pa.decimal128(38, 0), pa.decimal256(50, 3), pa.string(), pa.large_string()]
    types += [pa.binary(), pa.dictionary(pa.int32(), pa.int64()), pa.dictionary(pa.int8(), pa.string())]
    types += [type_ for type_, most in [(pa.int8(), 127), (pa.int16(), 2**15 - 1)] if largest <= most]
    if all(value is None or value >= 0 for value in values):
        types += [pa.uint64()] + [pa.uint8()] * (largest < 256) + [pa.uint32()] * (largest < 2**32)
    types += [t for t, most in [(pa.float64(), 2**53), (pa.float32(), 2**24), (pa.float16(), 2**11)] if largest < most]
    return values, _column(values, draw(st.sampled_from(types)))


@st.composite
def flags(draw):
    values = draw(FLAGS)
    types = [pa.bool_(), pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.decimal128(1, 0), pa.string()]
    types += [pa.binary(), pa.dictionary(pa.int16(), pa.string())]
    type_ = draw(st.sampled_from(types))
    if type_ == pa.bool_():
        return values, pa.array(values, type_)
    if not (pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)):
        texts = [value if value is None else draw(st.sampled_from([str, repr]))(value) for value in values]
        return values, _column(texts, type_)
    return values, _column([value if value is None else int(value) for value in values], type_)


@st.composite
def names(draw):
    values = draw(NAMES)
    types = [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary()]
    return values, _column(values, draw(st.sampled_from([*types, pa.dictionary(pa.int8(), pa.string())])))


@st.composite
def times(draw):
    values = draw(TIMES)
    zone = draw(st.sampled_from([None, "UTC", "America/New_York", "+05:30"]))
    unit = draw(st.sampled_from(["s", "ms", "us", "ns", "text", "digits"]))
    if unit == "digits":
        values = [max(value, 10**11) for value in values]
        return values, _column(values, draw(st.sampled_from([pa.int64(), pa.float64(), pa.decimal128(20, 0)])))
    if unit == "s":
        values = [value // 1_000 * 1_000 for value in values]
    moments = pa.array(values, pa.timestamp("ms", "UTC"))
    if unit == "text":
        return values, pa.array([moment.isoformat() for moment in moments.to_pylist()])
    return values, moments.cast(pa.timestamp(unit, "UTC")).cast(pa.timestamp(unit, zone))


def _column(values, type_):
    if pa.types.is_dictionary(type_):
        return _column(values, type_.value_type).dictionary_encode()
    if pa.types.is_decimal(type_):
        return pa.array([value if value is None else Decimal(value) for value in values], type_)
    if pa.types.is_floating(type_):
        return pa.array([None if value is None else float(value) for value in values]).cast(type_)
    texts = [value if value is None else str(value) for value in values]
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return pa.array([text if text is None else text.encode() for text in texts], type_)
    return pa.array(values if pa.types.is_integer(type_) else texts, type_)


def _written(path, columns, how, draw):
    """Write columns with one of the tools that people have."""
    if how == "pandas":
        columns.to_pandas(types_mapper=pd.ArrowDtype).to_parquet(path, index=draw(st.booleans()))
    elif how == "duckdb":
        with duckdb.connect() as connection:
            connection.register("logs", columns)
            connection.sql(f"COPY (SELECT * FROM logs) TO '{path}' (FORMAT parquet)")
    else:
        pq.write_table(
            columns,
            path,
            row_group_size=draw(st.integers(1, 5)),
            use_dictionary=draw(st.booleans()),
            store_schema=draw(st.booleans()),
            data_page_version=draw(st.sampled_from(["1.0", "2.0"])),
            compression=draw(st.sampled_from(["snappy", "gzip", "none"])),
            use_deprecated_int96_timestamps=how == "spark",
        )


@pytest.mark.slow
@hypothesis_settings(max_examples=examples(80), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_same_rows_written_by_any_tool_are_read_alike(tmp_path, data):
    drawn = {
        "time": data.draw(times(), "time"),
        "since": data.draw(integers(), "since"),
        "until": data.draw(integers(), "until"),
        "fsize": data.draw(integers(), "fsize"),
        "cached": data.draw(flags(), "cached"),
        "rejected": data.draw(flags(), "rejected"),
        "taskname": data.draw(names(), "taskname"),
    }
    columns = pa.table({"db": ["CONDBR2"] * 4} | {name: column for name, (_, column) in drawn.items()})
    how = data.draw(st.sampled_from(["pyarrow", "spark", "pandas", "duckdb"]), "how")
    few = ("halffloat", "decimal256", "string_view")
    if any(str(column.type).startswith(few) for column in columns.columns):  # which others do not take from Arrow
        how = "pyarrow"
    _written(tmp_path / "a.parquet", columns, how, data.draw)
    rows, reasons = read(tmp_path / "a.parquet")
    assert reasons == []
    found = sorted(_plain(row) for row in rows)
    values = {name: values for name, (values, _) in drawn.items()}
    for name in ("since", "until"):
        values[name] = [-1 if value is None else value for value in values[name]]
    assert found == sorted(_plain(dict(zip(values, row, strict=True))) for row in zip(*values.values(), strict=True))


def _plain(row):
    moment = row["time"]
    since_1970 = moment - datetime.fromtimestamp(0, UTC) if isinstance(moment, datetime) else None
    milliseconds = moment if since_1970 is None else since_1970 // timedelta(milliseconds=1)
    others = [row[name] for name in ("since", "until", "fsize", "cached", "rejected", "taskname")]
    return repr([milliseconds, *others])


# ---- folders


def test_folder_written_by_spark_is_read(settings, tmp_path):
    folder = tmp_path / "logs.parquet"
    folder.mkdir()
    pq.write_table(table(since=pa.array([1, 2])), folder / "part-00000.snappy.parquet")
    pq.write_table(table(since=pa.array([3.0, None])), folder / "part-00001.snappy.parquet")
    for name in ("_SUCCESS", "_metadata", "_common_metadata", ".part-00000.snappy.parquet.crc", "x.crc"):
        (folder / name).write_bytes(b"not data")
    dataset = make(settings, folder)
    assert sorted(dataset.to_pandas()["since"]) == [-1, 1, 2, 3]
    assert "Columns of the file that were of another type: since (double)." in dataset.manifest.notes
    assert dataset.manifest.source == {"parquet": str(folder)}


def test_folders_of_partitions_are_columns(tmp_path):
    nested = tmp_path / "db=CONDBR2_RO" / "taskid=123456789012" / "nodefullpath=%2FPIXEL%2FA%3D1" / "_day=3"
    other = tmp_path / "db=OFLP200" / "taskid=__HIVE_DEFAULT_PARTITION__"
    staging = tmp_path / "_impala_insert_staging" / "db=CONDBR2"
    for folder in (nested, other, staging):
        folder.mkdir(parents=True)
        pq.write_table(table().drop_columns("db"), folder / "000000_0")  # as Hive names it
    rows, reasons = read(tmp_path)
    assert reasons == []
    assert [(row["db"], row["taskid"], row["nodefullpath"]) for row in rows] == [
        ("CONDBR2_RO", 123_456_789_012, "/PIXEL/A=1"),
        ("OFLP200", None, None),
    ]
    assert find_logs(tmp_path)[0].unknown == ["_day"]


def test_folders_partitioned_by_duckdb_are_read(tmp_path):
    with duckdb.connect() as connection:
        connection.register("logs", table(cached=pa.array([True, False, None]), taskid=pa.array([1, 1, None])))
        connection.sql(f"COPY logs TO '{tmp_path / 'out'}' (FORMAT parquet, PARTITION_BY (cached, taskid))")
    rows, _ = read(tmp_path / "out")
    found = {(row["cached"], row["taskid"]) for row in rows}
    assert found == {(True, 1), (False, 1), (None, None)}


@pytest.mark.spark
def test_folders_written_by_spark_itself_are_read(running, uncompiled, tmp_path):
    moments = ["1970-01-01 00:00:00", "2261-12-31 23:59:59.999", "2400-01-01 00:00:00"]
    rows = [f"(TIMESTAMP '{moment}', 'CONDBR2_RO', '/A/{i}', {i}L)" for i, moment in enumerate(moments)]
    logs = running.sql(f"SELECT * FROM VALUES {', '.join(rows)} AS logs(time, db, nodefullpath, taskid)").selectExpr(
        "*",
        "CAST(9223372036854775807 AS DECIMAL(38, 0)) AS until",
        "CAST(taskid AS TINYINT) AS dbtime",
        "CAST(NULL AS SMALLINT) AS querytime",
        "CAST('a task' AS BINARY) AS taskname",
        "array(taskid) AS pandaid",
        "CAST('NaN' AS DOUBLE) AS fsize",
        "taskid = 1 AS cached",
    )
    logs.coalesce(1).write.partitionBy("db", "nodefullpath").parquet(str(tmp_path / "logs"))
    stored = {str(file.metadata) for file in find_logs(tmp_path / "logs")}
    assert "org.apache.spark" in stored.pop()
    rows, reasons = read(tmp_path / "logs")
    assert reasons == ["@timestamp: not a time"]
    assert [row["time"].isoformat() for row in rows] == [
        "1970-01-01T00:00:00+00:00",
        "2261-12-31T23:59:59.999000+00:00",
    ]
    names = ("db", "nodefullpath", "taskid", "until", "dbtime", "querytime", "taskname", "pandaid", "fsize", "cached")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("CONDBR2_RO", f"/A/{i}", i, UNTIL, i, None, "a task", i, None, i == 1) for i in range(2)
    ]


def test_column_of_the_file_has_priority_over_the_folder_name(tmp_path):
    folder = tmp_path / "db=OTHER"
    folder.mkdir()
    pq.write_table(table(), folder / "a.parquet")
    assert read(tmp_path)[0][0]["db"] == "CONDBR2"


def test_files_may_differ_in_columns_and_order(tmp_path):
    pq.write_table(table(since=pa.array([1], pa.int32()), fsize=pa.array([5])), tmp_path / "a.parquet")
    pq.write_table(
        pa.table({"sqlsin": ["2"], "sqldb": [b"CONDBR2"], "@timestamp": ["2026-10-01T00:00:00"]}),
        tmp_path / "b.parquet",
    )
    rows, reasons = read(tmp_path)
    assert ([(row["since"], row["fsize"]) for row in rows], reasons) == ([(1, 5), (2, None)], [])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"The folder .*logs has no Parquet file"),
        ({"_SUCCESS": b""}, r"The folder .*logs has no Parquet file"),
        (
            {"_temporary/0/a": b""},
            "logs is incomplete: the folder _temporary in it shows",
        ),
        ({"README.txt": b"text"}, r"README.txt cannot be read as a Parquet file"),
        ({"empty.parquet": b""}, r"empty.parquet cannot be read as a Parquet file"),
        (
            {"manifest.json": b"{}"},
            r"logs is a dataset of frontierlab, which needs no import. Copy it into the folder datasets of data_dir",
        ),
    ],
)
def test_unusable_folder_is_refused_and_described(settings, tmp_path, files, message):
    folder = tmp_path / "logs"
    folder.mkdir()
    if "_SUCCESS" not in files and files:
        pq.write_table(table(), folder / "a.parquet")
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with pytest.raises(InvalidRequestError, match=message):
        make(settings, folder)
    assert not list((settings.data_dir / "datasets").glob("[!.]*"))
    with pytest.raises(InvalidRequestError, match=r"nowhere.* does not exist\. Give a Parquet file"):
        make(settings, tmp_path / "nowhere")


def test_a_damaged_file_in_the_middle_leaves_nothing_behind(settings, tmp_path, monkeypatch):
    folder = tmp_path / "logs"
    folder.mkdir()
    for number in range(3):
        column = pa.array([f"name {i}" for i in range(1_000)])
        pq.write_table(table(taskname=column), folder / f"{number}.parquet", compression="none", use_dictionary=False)
    damaged = folder / "1.parquet"
    content = damaged.read_bytes()
    place = content.index(b"name 5") - 500
    damaged.write_bytes(content[:place] + b"\xff" * 400 + content[place + 400 :])
    monkeypatch.setattr(imports, "_ROWS", 500)
    with pytest.raises(InvalidRequestError, match=r"logs/1.parquet"):
        make(settings, folder)
    assert not [file for file in (settings.data_dir / "datasets").iterdir() if file.is_dir()]


@pytest.mark.slow
def test_many_small_files_become_few_row_groups_in_flat_memory(settings, tmp_path, monkeypatch):
    folder = tmp_path / "logs"
    folder.mkdir()
    for number in range(20):
        pq.write_table(table(fsize=pa.array(range(1_000))), folder / f"{number}.parquet", row_group_size=100)
    monkeypatch.setattr(imports, "_ROWS", 2_500)
    sizes = []
    write = SliceWriter.write

    def watching(self, rows):
        sizes.append((rows.num_rows, pa.total_allocated_bytes()))
        write(self, rows)

    monkeypatch.setattr(SliceWriter, "write", watching)
    dataset = make(settings, folder)
    assert dataset.counts.kept == 20_000
    assert len(sizes) == 7
    assert max(rows for rows, _ in sizes) < 5_000
    assert sizes[-1][1] < 2 * sizes[1][1]  # what is held does not grow with the rows


# ---- what is said


def test_losses_of_an_import_give_a_warning(settings, tmp_path):
    pq.write_table(table(cached=pa.array(["maybe", "True", "False"])), tmp_path / "a.parquet")
    with pytest.warns(DocumentsLost, match=r"1 of 3 documents are malformed.* in a: cached: not a flag 1"):
        make(settings, tmp_path / "a.parquet")
    pq.write_table(pa.table({"time": DAY, "db": ["CMS"]}), tmp_path / "b.parquet")
    with pytest.warns(NothingKept, match="None of 1 documents became a row of b: another database 1"):
        make(settings, tmp_path / "b.parquet", "b")


def test_import_of_an_export_keeps_its_losses(settings, tmp_path):
    pq.write_table(table(), tmp_path / "a.parquet")
    dataset = make(settings, tmp_path / "a.parquet")
    dataset.manifest.partial = ["The cluster far did not answer."]
    dataset.manifest.write(dataset.path)
    file = fl.datasets.open_dataset("a", settings).export(tmp_path / "export.parquet")
    with pytest.warns(PartialSource, match="The cluster far did not answer"):
        make(settings, file, "b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b'{"format": 2, "frontierlab": "3.1"}',
            r"manifest in .*a.parquet was written by frontierlab 3.1",
        ),
        (b"{", r"The manifest in .*a.parquet is damaged: .* write the file again without its metadata"),
    ],
)
def test_damaged_manifest_in_a_file_is_an_error(settings, tmp_path, text, message):
    logs = table().replace_schema_metadata({"frontierlab.storage.manifest": text})
    pq.write_table(logs, tmp_path / "a.parquet")
    with pytest.raises(InvalidRequestError, match=message):
        make(settings, tmp_path / "a.parquet")


@pytest.mark.parametrize("place", ["write", "__exit__"])
def test_full_disk_leaves_no_files_of_an_import(settings, tmp_path, monkeypatch, place):
    pq.write_table(table(), tmp_path / "a.parquet")

    def full(self, *_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SliceWriter, place, full)
        with pytest.raises(DatasetError, match=r"a cannot be written: the disk of .* is full .*Its files were removed"):
            make(settings, tmp_path / "a.parquet")
    assert not [file for file in (settings.data_dir / "datasets").iterdir() if file.is_dir()]
    assert make(settings, tmp_path / "a.parquet").counts.kept == 1


def test_full_disk_does_not_change_an_older_export(settings, tmp_path, monkeypatch):
    pq.write_table(table(), tmp_path / "a.parquet")
    dataset = make(settings, tmp_path / "a.parquet")
    file = dataset.export(tmp_path / "b.csv")
    before = file.read_bytes()

    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fl.Dataset, "_write", full)
    with pytest.raises(DatasetError, match=r"b.csv cannot be written: the disk of .* is full .* The old file was not"):
        dataset.export(file, overwrite=True)
    with pytest.raises(DatasetError, match=r"c.csv cannot be written: .* No file is left\. When the cause"):
        dataset.export(tmp_path / "c.csv")
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("*.csv*")) == ["b.csv"]


def test_a_pipe_is_refused(tmp_path, data_dir):
    os.mkfifo(tmp_path / "logs.parquet")
    with pytest.raises(InvalidRequestError, match=r"is neither a file nor a folder\. Give a Parquet file"):
        fl.datasets.import_parquet(tmp_path / "logs.parquet", "piped", fl.sample.settings(data_dir=data_dir))
