"""DuckDB and Spark give the same frames, for each function, operator and clause of a user's statement."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from frontierlab import open_logs, spark
from frontierlab.engines import duck
from frontierlab.engines.functions import HASHES, functions
from frontierlab.engines.tables import Table
from frontierlab.engines.translate import translate
from frontierlab.errors import StatementError
from frontierlab.storage.dataset import Dataset
from tests.support.logs import START, make_dataset
from tests.support.spark_options import for_once

BIG = 2**63 - 1

# numbers a and b, a fraction x, a text s, a moment t; the other engine's answer decides what is right
ROWS: list[dict[str, Any]] = [
    {"fsize": a, "dbtime": b, "x": x, "schema": s, "t": t, "cached": flag, "sqlhash": n, "time": START + n}
    for n, (a, b, x, s, t, flag) in enumerate(
        [
            (7, 2, 0.5, "ATLAS_COOLOFL_PIXEL", START, True),
            (-7, 2, -0.5, "  two words ", START + 1, False),
            (7, -2, 1.5, "/PIXEL/PixCalib", START - 1, None),
            (-7, -2, -1.5, "a%b_c", -1, True),
            (0, 3, 2.5, "", 0, False),
            (None, None, None, None, None, None),
            (5, 5, 1e300, 'it\'s "so" \\ ok', 951_782_400_123, True),  # 2000-02-29
            (BIG, 1, 1234567.891, "B", -62_135_596_800_000, False),  # the year 1
            (-BIG, 1000, 0.0, "b", 253_402_300_799_999, True),  # the year 9999
            (2**53 + 1, 1000, 99.99, "\tx\n", 1_774_745_999_999, False),
            (3_600_000, 60_000, 1e-9, "12", 1_798_761_599_999, None),
        ]
    )
]

SCALARS = {
    "plus": "dbtime + 5",
    "minus": "dbtime - 7",
    "times": "dbtime * -3",
    "divided": "fsize / dbtime",
    "divided_fraction": "x / 3",
    "whole_divided": "fsize DIV dbtime",
    "div": "div(fsize, dbtime)",
    "rest": "fsize % dbtime",
    "mod": "mod(fsize, dbtime)",
    "pmod": "pmod(fsize, dbtime)",
    "pmod_below": "pmod(fsize, -300)",
    "negative": "-dbtime",
    "abs": "abs(fsize)",
    "ands": "fsize & 12",
    "ors": "fsize | 12",
    "right": "fsize >> 3",
    "right_whole_number": "CAST(dbtime AS INT) >> 31",
    "bits_in_parentheses": "4 | ((fsize >> 1) & 2)",
    "shiftright": "shiftright(fsize, 32)",
    "floor": "floor(x / 1e290)",
    "floor_integer": "floor(fsize)",
    "ceil": "ceil(x / 1e290)",
    "ceiling": "ceiling(fsize)",
    "exp": "exp(x / 1e300)",
    "ln": "ln(x)",
    "log2": "log2(fsize)",
    "log10": "log10(x)",
    "sqrt": "sqrt(x)",
    "rounded": "floor(10 * (dbtime / 7) + 0.5D) / 10",
    "pow": "pow(dbtime, 2)",
    "power": "power(x / 1e300, 0.5D)",
    "greatest": "greatest(fsize, dbtime, 3)",
    "least": "least(fsize, dbtime, 3)",
    "greatest_text": "greatest(schema, 'a')",
    "coalesce": "coalesce(fsize, dbtime, 1)",
    "ifnull": "ifnull(fsize, 1)",
    "nvl": "nvl(schema, 'none')",
    "nullif": "nullif(fsize, 7)",
    "if": "if(cached, fsize, dbtime)",
    "if_null": "IF(fsize > 5, 'more', NULL)",
    "case": "CASE WHEN fsize > 5 THEN 'more' WHEN fsize < 0 THEN 'below' END",
    "case_value": "CASE schema WHEN 'B' THEN 1 WHEN 'b' THEN 2 ELSE 3 END",
    "equal": "fsize = dbtime",
    "same": "fsize <=> dbtime",
    "different": "fsize IS DISTINCT FROM dbtime",
    "more_than_a_half": "x > 0.5",
    "whole_more_than_a_half": "fsize >= 9007199254740992.5",
    "among": "fsize IN (7, 0)",
    "among_null": "fsize IN (7, NULL)",
    "not_among": "schema NOT IN ('B', 'b')",
    "between": "fsize BETWEEN -7 AND 7",
    "text_less": "schema < 'a'",
    "and_null": "cached AND fsize > 0",
    "or_null": "cached OR fsize > 0",
    "not_null": "NOT cached",
    "is_null": "schema IS NULL",
    "is_true": "cached IS TRUE",
    "like": "schema LIKE '%\\_%'",
    "like_percent": "schema LIKE 'a\\%b%'",
    "not_like": "schema NOT LIKE '%x%'",
    "length": "length(schema)",
    "length_of_number": "length(fsize)",
    "char_length": "char_length(schema)",
    "lower": "lower(schema)",
    "upper": "upper(schema)",
    "trim": "trim(schema)",
    "ltrim": "ltrim(schema)",
    "rtrim": "rtrim(schema)",
    "concat": "concat(schema, '/', sqlhash)",
    "concat_two": "concat(schema, cached)",
    "concat_many": "concat('a', 'b', schema, 'd', 'e')",
    "bars": "schema || dbtime",
    "substring": "substring(schema, 2, 3)",
    "substring_end": "substring(schema, -3)",
    "substring_before": "substring(schema, -5, 4)",
    "substring_zero": "substr(schema, 0, 2)",
    "substring_none": "substring(schema, 2, -1)",
    "substring_null": "substring(schema, dbtime)",
    "substring_size_null": "substring(schema, 2, dbtime)",
    "left": "left(schema, 3)",
    "left_none": "left(schema, -1)",
    "left_null": "left('text', dbtime)",
    "right_text": "right(schema, 3)",
    "right_null": "right('text', dbtime)",
    "instr": "instr(schema, '_')",
    "locate": "locate('COOL', schema)",
    "startswith": "startswith(schema, '/PIX')",
    "endswith": "endswith(schema, 'L')",
    "contains": "contains(schema, 'COOL')",
    "replace": "replace(schema, '_', '-')",
    "replace_none": "replace(schema, '', '-')",
    "quotes": "'it\\'s' = schema OR \"so\" = schema",
    "unix_millis": "unix_millis(t)",
    "unix_seconds": "unix_seconds(t)",
    "unix_micros": "unix_micros(t)",
    "timestamp_millis": "timestamp_millis(unix_millis(t) - pmod(unix_millis(t), 300000))",
    "timestamp_seconds": "timestamp_seconds(unix_seconds(t))",
    "timestamp_micros": "timestamp_micros(unix_micros(t))",
    "trunc_hour": "date_trunc('HOUR', t)",
    "trunc_day": "date_trunc('day', t)",
    "trunc_week": "date_trunc('week', t)",
    "trunc_month": "date_trunc('month', t)",
    "trunc_year": "date_trunc('year', t)",
    "to_date": "to_date(t)",
    "date": "date(t)",
    "datediff": "datediff(t, time)",
    "year": "year(t)",
    "quarter": "quarter(t)",
    "month": "month(t)",
    "day": "day(t)",
    "dayofmonth": "dayofmonth(t)",
    "dayofyear": "dayofyear(t)",
    "weekofyear": "weekofyear(t)",
    "dayofweek": "dayofweek(t)",
    "weekday": "weekday(t)",
    "hour": "hour(t)",
    "minute": "minute(t)",
    "second": "second(t)",
    "hour_later": "time + INTERVAL 1 HOUR",
    "week_earlier": "time - INTERVAL '1' WEEK",
    "longer": "time - t > INTERVAL 2 DAYS",
    "time_text": "t >= '2026-10-01'",
    "time_literal": "t < TIMESTAMP '2026-10-01 00:00:00.001'",
    "date_literal": "t < DATE '2026-10-01'",
    "time_parameter": "t >= :since",
    "to_bigint": "CAST(IF(x < 1e10, x, -2.9e0) AS BIGINT)",
    "flag_to_bigint": "CAST(cached AS BIGINT)",
    "text_to_bigint": "CAST(IF(schema = '12', schema, ' -3 ') AS BIGINT)",
    "to_int": "CAST(dbtime AS INT)",
    "to_double": "CAST(fsize AS DOUBLE)",
    "text_to_double": "CAST(IF(schema = '12', schema, '-1.5e3') AS DOUBLE)",
    "to_string": "CAST(fsize AS STRING)",
    "flag_to_string": "CAST(cached AS STRING)",
    "date_to_string": "CAST(date(t) AS STRING)",
    "to_date_text": "CAST('2026-10-01' AS DATE)",
    "to_timestamp": "CAST('2026-10-01 12:30:00.250+02:00' AS TIMESTAMP)",
    "to_timestamp_far": "CAST('2026-10-01T23:59:59-18:00' AS TIMESTAMP)",
    "list": "array(fsize, dbtime)",
    "array_contains": "array_contains(array(7, 0), fsize)",
    "array_contains_column": "array_contains(array(fsize, dbtime), 2)",
    "array_contains_text": "array_contains(array('B', ''), schema)",
}

AGGREGATES = {
    "count": "count(*)",
    "count_values": "count(fsize)",
    "count_distinct": "count(DISTINCT cached)",
    "count_distinct_two": "count(DISTINCT cached, dbtime)",
    "count_distinct_struct": "count(DISTINCT struct(cached, dbtime))",
    "count_if": "count_if(cached)",
    "count_if_filter": "count_if(cached) FILTER (WHERE dbtime > 1)",
    "sum": "sum(dbtime)",
    "sum_none": "sum(dbtime) FILTER (WHERE dbtime > 1e9)",
    "sum_filter": "sum(dbtime) FILTER (WHERE cached OR dbtime = 2)",
    "sum_fraction": "sum(x / 1e300)",
    "sum_distinct": "sum(DISTINCT dbtime)",
    "sum_per_count": "sum(dbtime) / count(dbtime)",
    "sum_more": "coalesce(sum(dbtime), 0) + 1",
    "avg": "avg(dbtime)",
    "mean": "mean(x / 1e300)",
    "min": "min(dbtime)",
    "max_text": "max(schema)",
    "max_flag": "max(schema = 'B')",
    "max_time": "max(t)",
    "bool_and": "bool_and(cached)",
    "bool_or": "bool_or(cached)",
    "some": "some(dbtime > 2)",
    "every": "every(dbtime > 2)",
    "median": "median(dbtime)",
    "percentile": "percentile(dbtime, 0.3)",
    "percentiles": "percentile(dbtime, array(0.0, 0.3, 0.95, 1.0))",
    "percentile_times": "percentile(dbtime, 0.3, sqlhash)",
    "percentiles_times": "percentile(dbtime, array(0.0D, 0.3D, 0.5D, 0.95D, 1.0D), sqlhash + 1)",
    "stddev": "stddev(dbtime)",
    "stddev_samp": "stddev_samp(dbtime)",
    "stddev_pop": "stddev_pop(dbtime)",
    "variance": "variance(dbtime)",
    "var_samp": "var_samp(dbtime)",
    "var_pop": "var_pop(dbtime)",
}

WINDOWS = {
    "row_number": "row_number() OVER (ORDER BY dbtime, sqlhash)",
    "row_number_desc": "row_number() OVER (ORDER BY dbtime DESC, sqlhash)",
    "rank": "rank() OVER (PARTITION BY cached ORDER BY dbtime)",
    "dense_rank": "dense_rank() OVER (PARTITION BY cached ORDER BY dbtime)",
    "lag": "lag(dbtime) OVER (ORDER BY sqlhash)",
    "lead": "lead(dbtime, 2, -1) OVER (ORDER BY sqlhash)",
    "sum_so_far": "sum(dbtime) OVER (ORDER BY sqlhash)",
    "sum_of_three": "sum(dbtime) OVER (ORDER BY sqlhash ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)",
    "count_if_over": "count_if(dbtime > 2) OVER (PARTITION BY cached)",
}

STATEMENTS = [
    "SELECT * FROM logs WHERE false",
    "SELECT Schema, count(*), sum(fsize) FROM logs WHERE fsize < 100 GROUP BY SCHEMA ORDER BY schema",
    "SELECT coalesce(schema, 'none') AS schema, count(*) AS n FROM logs GROUP BY schema ORDER BY schema, n",
    "SELECT dbtime, sqlhash FROM logs ORDER BY dbtime DESC NULLS FIRST, sqlhash DESC LIMIT 4 OFFSET 1",
    "SELECT dbtime, sqlhash FROM logs ORDER BY dbtime NULLS LAST, sqlhash",
    "SELECT cached, dbtime, count(*) AS n, grouping(cached) AS g FROM logs GROUP BY GROUPING SETS ((cached), (cached, "
    "dbtime), ()) ORDER BY g, cached, dbtime, n",
    "SELECT cached, count(*) AS n FROM logs GROUP BY CUBE (cached) HAVING n > 1 ORDER BY n, cached",
    "WITH a AS (SELECT sqlhash AS n, fsize FROM logs), b AS (SELECT n + 1 AS n, count(*) FROM a GROUP BY n) "
    "SELECT a.n, b.* FROM a LEFT JOIN b ON a.n = b.n ORDER BY a.n",
    "SELECT sqlhash FROM logs WHERE dbtime IN (SELECT dbtime FROM logs WHERE cached) UNION ALL SELECT -1 ORDER BY 1",
    "SELECT cached FROM logs UNION SELECT dbtime > 1 FROM logs ORDER BY cached",
    "SELECT l.sqlhash FROM logs l LEFT ANTI JOIN logs r ON l.dbtime = r.dbtime AND r.cached ORDER BY 1",
    "SELECT DISTINCT dbtime FROM logs WHERE EXISTS (SELECT 1 FROM logs WHERE fsize > 0) ORDER BY dbtime",
    "SELECT s.m, sqlhash FROM logs, (SELECT max(sqlhash) AS m FROM logs) s WHERE sqlhash > s.m - 3 ORDER BY sqlhash",
    "SELECT -dbtime AS dbtime, sqlhash FROM logs ORDER BY dbtime + 0, sqlhash LIMIT 3",
    "SELECT cached, count(*) AS n, sum(dbtime) AS s FROM logs GROUP BY cached ORDER BY s / n, cached",
    "SELECT sqlhash FROM logs WHERE fsize NOT IN (SELECT dbtime FROM logs WHERE dbtime > 2) OR cached ORDER BY 1",
    "SELECT a.j, b.* FROM (SELECT dbtime, sqlhash AS j FROM logs) a LEFT JOIN (SELECT dbtime, sqlhash AS k FROM logs "
    "WHERE cached) b USING (dbtime) ORDER BY j, k",
    "SELECT l.user, `desc` FROM (SELECT dbtime AS user, fsize AS `desc` FROM logs) l ORDER BY l.user, `desc`",
    "SELECT CASE WHEN dbtime > (SELECT avg(dbtime) FROM logs) THEN 'a\\\\b' ELSE 'it\\'s' END AS what, "
    "percentile(x, 0.5) AS p FROM logs WHERE x < 1e9 GROUP BY what ORDER BY what",
]

FAILING = {
    "division by zero": "SELECT fsize / (dbtime - dbtime) AS x FROM logs",
    "rest of division by zero": "SELECT fsize % 0 AS x FROM logs",
    "whole division by zero": "SELECT fsize DIV 0 AS x FROM logs",
    "pmod by zero": "SELECT pmod(fsize, 0) AS x FROM logs",
    "overflow of a sum": "SELECT sum(fsize) AS x FROM logs WHERE fsize > 0",
    "overflow of a sum inside": "SELECT schema FROM logs WHERE fsize > 0 GROUP BY schema, fsize > 0 "
    "HAVING sum(fsize) + sum(9223372036854775807) > 0",
    "overflow of +": "SELECT fsize + 1 AS x FROM logs",
    "overflow of -": "SELECT -2 - fsize AS x FROM logs",
    "a text that is no number": "SELECT CAST(schema AS BIGINT) AS x FROM logs",
    "a number too large for INT": "SELECT CAST(fsize AS INT) AS x FROM logs",
    "a fraction too large": "SELECT CAST(x AS BIGINT) AS x FROM logs",
    "a text that is no date": "SELECT CAST(schema AS DATE) AS x FROM logs",
    "a text that is no time": "SELECT CAST(schema AS TIMESTAMP) AS x FROM logs",
    "the hour 24": "SELECT CAST('2026-10-01 24:00:00' AS TIMESTAMP) AS x FROM logs",
    "19 hours from UTC": "SELECT CAST('2026-10-01 12:00:00+19:00' AS TIMESTAMP) AS x FROM logs",
    "several rows of a subquery": "SELECT (SELECT fsize FROM logs) AS x FROM logs",
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("engines") / "logs"
    return make_dataset(folder, ROWS[:6], [], ROWS[6:], extra={"x": "number", "t": "time"})


@pytest.fixture(scope="module")
def table(dataset: Dataset) -> Table:
    return Table.of(dataset)


@pytest.fixture(scope="module")
def logs(running: SparkSession, dataset: Dataset) -> Iterator[DataFrame]:
    logs = open_logs(dataset, session=running).to_spark()
    logs.createOrReplaceTempView("logs")
    # Before it first writes a text in small letters, Java goes through all of Unicode, for seconds. Ours are of ASCII,
    # and need none of that.
    assert all((row["schema"] or "").isascii() for row in ROWS)
    running.conf.set("spark.sql.icu.caseMappings.enabled", "false")
    yield logs
    running.conf.unset("spark.sql.icu.caseMappings.enabled")
    running.catalog.dropTempView("logs")  # other tests have the same session


@pytest.fixture
def once(running: SparkSession) -> Iterator[None]:
    """Spark interprets the statements of a test; those of all functions are compiled too."""
    with for_once(running):
        yield


def compare(logs: DataFrame, table: Table, statement: str, **args: Any) -> None:
    ours = duck.run({"logs": table}, translate(statement), args)
    theirs = spark.to_pandas(logs.sparkSession.sql(statement, args=args))
    pd.testing.assert_frame_equal(ours, theirs, check_exact=False, rtol=1e-12)


def listed(expressions: dict[str, str]) -> str:
    return ", ".join(f"{sql} AS `{name}`" for name, sql in expressions.items())


@pytest.mark.spark
def test_functions_of_a_row(logs: DataFrame, table: Table) -> None:
    since = datetime(2026, 10, 1, tzinfo=UTC)
    compare(logs, table, f"SELECT {listed(SCALARS)} FROM logs ORDER BY sqlhash", since=since)


@pytest.mark.spark
def test_functions_of_no_row(logs: DataFrame, table: Table, once: None) -> None:
    since = datetime(2026, 10, 1, tzinfo=UTC)
    compare(logs, table, f"SELECT {listed(SCALARS)} FROM logs WHERE false ORDER BY sqlhash", since=since)


@pytest.mark.spark
@pytest.mark.parametrize("rest", ["FROM logs", "FROM logs WHERE false"])
def test_aggregates_of_all_rows_and_of_no_row(logs: DataFrame, table: Table, once: None, rest: str) -> None:
    compare(logs, table, f"SELECT {listed(AGGREGATES)} {rest}")


@pytest.mark.spark
def test_aggregates_of_groups(logs: DataFrame, table: Table) -> None:
    compare(logs, table, f"SELECT cached, {listed(AGGREGATES)} FROM logs GROUP BY cached ORDER BY cached")


@pytest.mark.spark
def test_windows(logs: DataFrame, table: Table) -> None:
    compare(logs, table, f"SELECT {listed(WINDOWS)} FROM logs ORDER BY sqlhash")


@pytest.mark.spark
@pytest.mark.parametrize("statement", STATEMENTS)
def test_clauses(logs: DataFrame, table: Table, once: None, statement: str) -> None:
    compare(logs, table, statement)


@pytest.mark.spark
@pytest.mark.parametrize("statement", FAILING.values(), ids=FAILING)
def test_what_fails_in_spark_fails_in_duckdb(logs: DataFrame, table: Table, once: None, statement: str) -> None:
    with pytest.raises(StatementError, match="Spark failed"):
        spark.to_pandas(logs.sparkSession.sql(statement))
    with pytest.raises(StatementError, match=r"DuckDB failed at SELECT"):
        duck.run({"logs": table}, translate(statement))


def test_each_function_is_compared() -> None:
    compared = " ".join([*SCALARS.values(), *AGGREGATES.values(), *WINDOWS.values(), *STATEMENTS])
    assert {name for name in functions() - HASHES if not re.search(rf"\b{name}\(", compared, re.IGNORECASE)} == set()
