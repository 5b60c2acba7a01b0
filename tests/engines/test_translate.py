import re

import pytest

from frontierlab.engines.translate import translate
from frontierlab.errors import InvalidRequestError


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("approx_count_distinct(a)", "DuckDB has no function approx_count_distinct that gives the same results"),
        ("approx_count_distinct(a)", "It has: abs, .* median, .* year"),
        ("percentile_approx(a, 0.5)", r"no function percentile_approx .*\(percentile\(x, 0\.5\)\)"),
        ("collect_list(a)", "no function collect_list"),
        ("first(a)", "no function first"),
        ("now()", "no function now"),
        ("round(a, 2)", r"no function round .*otherwise \(floor\(10 \* x \+ 0\.5D\) / 10 rounds to one digit"),
        ("read_csv('/etc/passwd')", "no function read_csv"),
        ("_divide(a, b)", "no function _divide"),
        ("xxhash64(a)", "no function xxhash64"),
        ("4 | a & 2", r"4 \| a & 2 .*with more parentheses"),
        ("1 | a >> 1", "with more parentheses"),
        ("a || b + c", r"a \|\| b \+ c .*with more parentheses"),
        ("a = 7 IN (true)", r"a = 7 IN \(TRUE\) .*with more parentheses"),
        ("a = b BETWEEN c AND d", "with more parentheses"),
        ("current_user", "current_user .*as logs.current_user if it is a column"),
        ("user = 'a'", "user .*as logs.user if it is a column"),
        ("a = NOT b", "with more parentheses"),
        ("a IN (SELECT b FROM logs)", "with EXISTS"),
        ("CASE WHEN a NOT IN (SELECT b FROM logs) THEN 1 END", "with EXISTS"),
        ("a RLIKE 'x'", "does not answer a RLIKE 'x' as Spark does"),
        ("a ILIKE 'x'", "does not answer .*ILIKE"),
        ("a << 3", "SHIFTLEFT|<<"),
        ("a ^ 3", r"a \^ 3"),
        ("a[0]", r"a\[0\]"),
        ("a + 0.5", r"0\.5 .*as 0\.5D: 0\.5D is a DOUBLE"),
        ("a * 1.0", r"1\.0 .*as 1\.0D: 1\.0D is a DOUBLE"),
        ("99999999999999999999", "9{20}"),
        ("CAST(a AS DECIMAL(9, 2))", r"CAST to DECIMAL\(9, 2\) .*with BIGINT, INT, DOUBLE, STRING, DATE or TIMESTAMP"),
        ("CAST(a AS FLOAT)", "CAST to FLOAT"),
        ("try_cast(a AS INT)", "no function try_cast"),
        ("INTERVAL 2 MONTHS", "INTERVAL '2' MONTHS"),
        ("'a' 'b'", r"CONCAT\('a', 'b'\)"),
        ("?", r"a parameter without a name .*as :name"),
        ("median(a) FILTER (WHERE b)", "FILTER"),
        ("median(a) OVER (PARTITION BY b)", "OVER"),
        ("count_if(DISTINCT a)", "COUNT_IF|count_if"),
        (
            "extract(hour FROM time)",
            r"cannot be read as Spark SQL: .* If it is valid, open the logs with engine=\"spark\"",
        ),
    ],
)
def test_what_duckdb_would_answer_otherwise_is_refused_by_name(expression: str, named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named) as refused:
        translate(f"SELECT {expression} AS x FROM logs")
    assert 'engine="spark"' in str(refused.value)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("SELECT a FROM logs TABLESAMPLE (10 PERCENT)", "TABLESAMPLE"),
        ("SELECT a FROM logs SORT BY a", "SORT BY a"),
        ("SELECT a FROM logs DISTRIBUTE BY a", "DISTRIBUTE BY a"),
        ("SELECT a FROM logs LATERAL VIEW explode(b) t AS c", "LATERAL VIEW"),
        ("SELECT a FROM logs NATURAL JOIN logs", "NATURAL JOIN"),
        ("SELECT a FROM logs GROUP BY a WITH ROLLUP", "WITH ROLLUP"),
        ("SELECT a FROM logs ORDER BY ALL", "ALL"),
        ("SELECT * EXCEPT (a) FROM logs", "EXCEPT"),
        ("SELECT * FROM logs JOIN logs l USING (a)", "with the names of the columns"),
        ("SELECT a FROM (VALUES (1)) AS t(a)", "VALUES"),
        ("SELECT a FROM logs WHERE b LIKE 'x!%' ESCAPE '!'", "ESCAPE"),
        ("SELECT a FROM parquet.`/x`", "parquet"),
        (
            "SELECT a FROM elsewhere",
            r"There is no table elsewhere; DuckDB has logs\. Tables and views of a Spark session",
        ),
    ],
)
def test_a_clause_that_duckdb_would_take_otherwise_is_refused(statement: str, named: str) -> None:
    with pytest.raises(InvalidRequestError, match=named) as refused:
        translate(statement)
    assert 'engine="spark"' in str(refused.value)


@pytest.mark.parametrize(
    "statement", ["SELECT 1 AS a; SELECT 2 AS a", "DROP TABLE logs", "INSERT INTO logs SELECT 1", ""]
)
def test_anything_but_one_select_is_refused(statement: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"Give one SELECT statement|cannot be read"):
        translate(statement)


@pytest.mark.parametrize("expression", ["a + 1", "upper(a)", "count(*) + 1", "percentile(a, 0.5)", ":a", "'x'"])
def test_a_column_must_have_a_name_where_spark_would_make_one(expression: str) -> None:
    shown = re.escape(expression)
    with pytest.raises(InvalidRequestError, match=f"Give the column {shown} a name: {shown} AS name"):
        translate(f"SELECT {expression} FROM logs")
    assert translate(f"SELECT a AS b FROM logs WHERE a IN (SELECT {expression} FROM logs)")


def test_values_never_enter_the_text() -> None:
    statement = "SELECT a AS b FROM logs WHERE a = :a AND b LIKE ':a' AND c IN (:c_1, :c_2)"
    assert translate(statement) == (
        'SELECT "a" AS "b" FROM "logs" WHERE "a" = $a AND "b" LIKE \':a\' ESCAPE \'\\\' AND "c" IN ($c_1, $c_2)'
    )


def test_names_with_quotes_stay_names() -> None:
    assert translate('SELECT `a "b`, Schema FROM logs') == 'SELECT "a ""b" AS "a ""b", "Schema" AS "Schema" FROM "logs"'
    assert translate("SELECT logs.user FROM logs") == 'SELECT "logs"."user" AS "user" FROM "logs"'


@pytest.mark.slow
@pytest.mark.parametrize("statement", [f"SELECT {'+'.join(['1'] * 5000)} AS a", f"SELECT {'(' * 900}1{')' * 900} AS a"])
def test_a_statement_that_is_nested_too_deeply_is_refused(statement: str) -> None:
    with pytest.raises(InvalidRequestError, match=r'nested too deeply.*engine="spark"'):
        translate(statement)
