-- Functions of Spark SQL as macros of DuckDB, each under the name that it has in Spark. A name that begins with _ is a
-- helper of these, or an operator or a CAST of Spark.
--
-- All statements can use them, so a statement keeps its text. A function is here if DuckDB has none of that name, or if
-- DuckDB's own gives other results. Where a macro cannot give Spark's result for some values, it raises an error for
-- these values. DuckDB knows typeof() before it reads rows, so a CASE on it costs nothing.

CREATE MACRO _only_spark(what) AS
  error(what || ': DuckDB does not answer this as Spark does. Write it otherwise, or open the logs with engine="spark"');

-- Aggregates

CREATE MACRO count_if(condition) AS count(*) FILTER (WHERE condition);

CREATE MACRO median(x) AS quantile_cont(CAST(x AS DOUBLE), 0.5);

-- The pairs are sorted and hold a value v and how many times n it counts. Places are numbered from 0. Pairs are not
-- expanded, so memory does not grow with n.
CREATE MACRO _value_at(pairs, place) AS
  list_reduce(pairs, lambda a, b: CASE WHEN a.n > place THEN a ELSE {'v': b.v, 'n': a.n + b.n} END).v;
CREATE MACRO _between_values(pairs, place) AS
  CASE WHEN floor(place) = place THEN _value_at(pairs, place)
       ELSE (ceil(place) - place) * _value_at(pairs, floor(place))
            + (place - floor(place)) * _value_at(pairs, ceil(place)) END;
CREATE MACRO _how_often(times) AS
  CASE WHEN times < 0 THEN error('A percentile with a weight below zero') ELSE CAST(times AS BIGINT) END;

-- With times, shares is a list.
CREATE MACRO percentile(x, share) AS quantile_cont(CAST(x AS DOUBLE), share),
  (x, shares, times) AS
    CASE WHEN count(x) FILTER (WHERE times <> 0) > 0 THEN list_transform(shares, lambda share: _between_values(
      list_sort(list({'v': CAST(x AS DOUBLE), 'n': _how_often(times)}) FILTER (WHERE x IS NOT NULL AND times <> 0)),
      (CAST(sum(times) FILTER (WHERE x IS NOT NULL) AS BIGINT) - 1) * CAST(share AS DOUBLE))) END;

-- DuckDB's sums of whole numbers have 128 bits, and so has what is computed from them; Spark's have 64.
CREATE MACRO _of_64_bits(x) AS
  CASE WHEN typeof(x) = 'HUGEINT' AND x IS NOT NULL AND TRY_CAST(CAST(x AS VARCHAR) AS BIGINT) IS NULL
       THEN error('A whole number has over 64 bits') ELSE x END;

-- Numbers

CREATE MACRO _division_by_zero() AS error('Division by zero');
CREATE MACRO pmod(a, b) AS
  CASE WHEN b = 0 AND a IS NOT NULL THEN _division_by_zero() WHEN a % b < 0 THEN ((a % b) + b) % b ELSE a % b END;
CREATE MACRO mod(a, b) AS CASE WHEN b = 0 AND a IS NOT NULL THEN _division_by_zero() ELSE a % b END;
CREATE MACRO _divide(a, b) AS
  CASE WHEN b = 0 AND a IS NOT NULL THEN _division_by_zero() ELSE CAST(a AS DOUBLE) / CAST(b AS DOUBLE) END;
CREATE MACRO _whole_divide(a, b) AS
  CASE WHEN b = 0 AND a IS NOT NULL THEN _division_by_zero() ELSE CAST(CAST(a AS HUGEINT) // CAST(b AS HUGEINT) AS BIGINT) END;
CREATE MACRO div(a, b) AS _whole_divide(a, b);
CREATE MACRO _subtract(a, b) AS
  CASE WHEN typeof(a) = 'DATE' AND typeof(b) = 'DATE' THEN _only_spark('A difference of dates; datediff gives the days')
       ELSE a - b END;
CREATE MACRO shiftright(a, bits) AS
  CASE WHEN bits BETWEEN 0 AND CASE typeof(a) WHEN 'INTEGER' THEN 31 ELSE 63 END
       THEN CAST(a AS BIGINT) >> CAST(bits AS BIGINT)
       WHEN bits IS NOT NULL THEN _only_spark('A shift by less than 0 bits or by all') END;

CREATE MACRO floor(x) AS
  CASE WHEN typeof(x) = 'DOUBLE' THEN CAST(system.main.floor(CAST(x AS DOUBLE)) AS BIGINT)
       WHEN typeof(x) IN ('BIGINT', 'INTEGER', 'HUGEINT', '"NULL"') THEN CAST(x AS BIGINT)
       ELSE _only_spark('floor of something else than a number') END;
CREATE MACRO ceil(x) AS
  CASE WHEN typeof(x) = 'DOUBLE' THEN CAST(system.main.ceil(CAST(x AS DOUBLE)) AS BIGINT)
       WHEN typeof(x) IN ('BIGINT', 'INTEGER', 'HUGEINT', '"NULL"') THEN CAST(x AS BIGINT)
       ELSE _only_spark('ceil of something else than a number') END;
CREATE MACRO ceiling(x) AS ceil(x);
CREATE MACRO sqrt(x) AS CASE WHEN x < 0 THEN CAST('NaN' AS DOUBLE) ELSE system.main.sqrt(CAST(x AS DOUBLE)) END;
CREATE MACRO power(x, y) AS system.main.pow(CAST(x AS DOUBLE), CAST(y AS DOUBLE));
CREATE MACRO pow(x, y) AS power(x, y);
CREATE MACRO ln(x) AS CASE WHEN x > 0 THEN system.main.ln(CAST(x AS DOUBLE)) END;
CREATE MACRO log2(x) AS CASE WHEN x > 0 THEN system.main.log2(CAST(x AS DOUBLE)) END;
CREATE MACRO log10(x) AS CASE WHEN x > 0 THEN system.main.log10(CAST(x AS DOUBLE)) END;

-- Spark and DuckDB have different hash functions, so hashes can be compared within a statement only.
CREATE MACRO xxhash64(a) AS CAST(hash(a) >> 1 AS BIGINT), (a, b) AS CAST(hash(a, b) >> 1 AS BIGINT),
  (a, b, c) AS CAST(hash(a, b, c) >> 1 AS BIGINT), (a, b, c, d) AS CAST(hash(a, b, c, d) >> 1 AS BIGINT),
  (a, b, c, d, e) AS CAST(hash(a, b, c, d, e) >> 1 AS BIGINT);

-- Conditions

-- Null if the value is not there, but a null is.
CREATE MACRO array_contains(list, x) AS
  CASE WHEN x IS NULL OR list IS NULL THEN NULL WHEN list_contains(list, x) THEN true
       WHEN list_count(list) < len(list) THEN NULL ELSE false END;
CREATE MACRO nvl(x, y) AS coalesce(x, y);

-- Conversions: CAST of Spark

CREATE MACRO _cast_to_bigint(x) AS
  CASE WHEN typeof(x) = 'DOUBLE' THEN CAST(trunc(CAST(x AS DOUBLE)) AS BIGINT)
       WHEN typeof(x) LIKE 'TIMESTAMP%' THEN _only_spark('A time as a number; unix_seconds gives it')
       WHEN typeof(x) <> 'VARCHAR' OR x IS NULL
            OR regexp_full_match(CAST(x AS VARCHAR), '\s*[+-]?[0-9]+\s*') THEN CAST(x AS BIGINT)
       ELSE error('A text that is not a whole number as a number') END;
CREATE MACRO _cast_to_int(x) AS CAST(_cast_to_bigint(x) AS INTEGER);
CREATE MACRO _cast_to_double(x) AS
  CASE WHEN typeof(x) LIKE 'TIMESTAMP%' THEN _only_spark('A time as a number; unix_seconds gives it')
       WHEN typeof(x) <> 'VARCHAR' OR x IS NULL
            OR regexp_full_match(CAST(x AS VARCHAR), '\s*[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?\s*')
       THEN CAST(x AS DOUBLE)
       ELSE _only_spark('A text that is not a number as a number') END;
CREATE MACRO _cast_to_string(x) AS
  CASE WHEN typeof(x) IN ('BIGINT', 'INTEGER', 'HUGEINT', 'VARCHAR', 'BOOLEAN', 'DATE', '"NULL"')
       THEN CAST(x AS VARCHAR)
       ELSE _only_spark('A text of a time, a fraction or a list') END;
CREATE MACRO _cast_to_date(x) AS
  CASE WHEN typeof(x) IN ('DATE', 'TIMESTAMP WITH TIME ZONE') OR x IS NULL
            OR regexp_full_match(CAST(x AS VARCHAR), '[0-9]{4}-[0-9]{2}-[0-9]{2}') THEN CAST(x AS DATE)
       ELSE _only_spark('A text other than 2026-10-01 as a date') END;
CREATE MACRO _cast_to_timestamp(x) AS
  CASE WHEN typeof(x) IN ('DATE', 'TIMESTAMP WITH TIME ZONE') OR x IS NULL
            OR regexp_full_match(CAST(x AS VARCHAR),
              '[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]([01][0-9]|2[0-3]):[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?'
              '(Z|[+-]((0[0-9]|1[0-7]):[0-5][0-9]|18:00))?)?')
       THEN CAST(x AS TIMESTAMPTZ)
       ELSE _only_spark('A text other than 2026-10-01 12:00:00 as a time; timestamp_seconds takes numbers') END;

-- Times, in UTC

-- DuckDB's // rounds towards zero, so the division is of microseconds since the year 1, which are above zero.
CREATE MACRO unix_millis(t) AS (epoch_us(t) + 62135596800000000) // 1000 - 62135596800000;
CREATE MACRO unix_micros(t) AS epoch_us(t);
CREATE MACRO unix_seconds(t) AS (epoch_us(t) + 62135596800000000) // 1000000 - 62135596800;
CREATE MACRO timestamp_millis(n) AS make_timestamptz(CAST(n AS BIGINT) * 1000);
CREATE MACRO timestamp_micros(n) AS make_timestamptz(CAST(n AS BIGINT));
CREATE MACRO timestamp_seconds(n) AS
  CASE WHEN typeof(n) = 'DOUBLE' THEN _only_spark('timestamp_seconds of a fraction')
       ELSE make_timestamptz(CAST(n AS BIGINT) * 1000000) END;
CREATE MACRO date_trunc(unit, t) AS
  CASE WHEN system.main.lower(unit) IN ('year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second')
       THEN system.main.date_trunc(system.main.lower(unit), CAST(t AS TIMESTAMPTZ))
       ELSE _only_spark('date_trunc to another unit than year, quarter, month, week, day, hour, minute or second') END;
CREATE MACRO to_date(t) AS _cast_to_date(t);
CREATE MACRO date(t) AS _cast_to_date(t);
CREATE MACRO datediff(later, earlier) AS CAST(_cast_to_date(later) - _cast_to_date(earlier) AS INTEGER);
CREATE MACRO year(t) AS CAST(system.main.year(CAST(t AS TIMESTAMPTZ)) AS INTEGER);
CREATE MACRO quarter(t) AS CAST(system.main.quarter(CAST(t AS TIMESTAMPTZ)) AS INTEGER);
CREATE MACRO month(t) AS CAST(system.main.month(CAST(t AS TIMESTAMPTZ)) AS INTEGER);
CREATE MACRO day(t) AS CAST(system.main.day(CAST(t AS TIMESTAMPTZ)) AS INTEGER);
CREATE MACRO dayofmonth(t) AS day(t);
CREATE MACRO dayofyear(t) AS CAST(system.main.dayofyear(CAST(t AS TIMESTAMPTZ)) AS INTEGER);
CREATE MACRO weekofyear(t) AS CAST(system.main.weekofyear(CAST(t AS TIMESTAMPTZ)) AS INTEGER);
CREATE MACRO dayofweek(t) AS CAST(system.main.dayofweek(CAST(t AS TIMESTAMPTZ)) + 1 AS INTEGER);
CREATE MACRO weekday(t) AS CAST(system.main.isodow(CAST(t AS TIMESTAMPTZ)) - 1 AS INTEGER);
CREATE MACRO hour(t) AS CAST(system.main.hour(CAST(t AS TIMESTAMPTZ)) AS INTEGER);
CREATE MACRO minute(t) AS CAST(system.main.minute(CAST(t AS TIMESTAMPTZ)) AS INTEGER);
CREATE MACRO second(t) AS CAST(system.main.second(CAST(t AS TIMESTAMPTZ)) AS INTEGER);

-- Texts

CREATE MACRO concat(a) AS _cast_to_string(a), (a, b) AS _cast_to_string(a) || _cast_to_string(b),
  (a, b, c) AS concat(a, b) || _cast_to_string(c), (a, b, c, d) AS concat(a, b) || concat(c, d),
  (a, b, c, d, e) AS concat(a, b) || concat(c, d, e);
CREATE MACRO length(s) AS CAST(system.main.length(_cast_to_string(s)) AS INTEGER);
CREATE MACRO char_length(s) AS length(s);
-- The engines change the case of some letters differently.
CREATE MACRO lower(s) AS
  CASE WHEN system.main.length(s) = strlen(s) THEN system.main.lower(s)
       WHEN s IS NOT NULL THEN _only_spark('lower of a text with other letters than those of ASCII') END;
CREATE MACRO upper(s) AS
  CASE WHEN system.main.length(s) = strlen(s) THEN system.main.upper(s)
       WHEN s IS NOT NULL THEN _only_spark('upper of a text with other letters than those of ASCII') END;
CREATE MACRO trim(s) AS system.main.trim(s, ' ');
CREATE MACRO ltrim(s) AS system.main.ltrim(s, ' ');
CREATE MACRO rtrim(s) AS system.main.rtrim(s, ' ');
-- A start below zero counts from the end, and 0 is 1; the length includes what lies before the text.
CREATE MACRO _characters_before(s, start) AS
  CASE WHEN start > 0 THEN start - 1 WHEN start < 0 THEN system.main.length(s) + start WHEN start = 0 THEN 0 END;
-- greatest() passes over nulls.
CREATE MACRO _not_below_zero(n) AS CASE WHEN n IS NOT NULL THEN greatest(n, 0) END;
CREATE MACRO substring(s, start) AS system.main.substring(s, _not_below_zero(_characters_before(s, start)) + 1),
  (s, start, size) AS system.main.substring(s, _not_below_zero(_characters_before(s, start)) + 1, _not_below_zero(
    _characters_before(s, start) + _not_below_zero(size) - _not_below_zero(_characters_before(s, start))));
CREATE MACRO substr(s, start) AS substring(s, start), (s, start, size) AS substring(s, start, size);
CREATE MACRO "left"(s, n) AS system.main.left(s, _not_below_zero(n));
CREATE MACRO "right"(s, n) AS system.main.right(s, _not_below_zero(n));
CREATE MACRO instr(s, part) AS CAST(system.main.instr(s, part) AS INTEGER);
CREATE MACRO locate(part, s) AS instr(s, part);
CREATE MACRO startswith(s, part) AS starts_with(s, part);
CREATE MACRO endswith(s, part) AS suffix(s, part);
CREATE MACRO contains(s, part) AS system.main.contains(CAST(s AS VARCHAR), CAST(part AS VARCHAR));
CREATE MACRO replace(s, part, other) AS
  CASE WHEN part = '' THEN s ELSE system.main.replace(s, part, other) END;
