-- Functions that make the engine mean what Databricks means.  Each worker runs this file once, before it is locked.
-- A macro's arguments are pasted into it wherever they stand, so none of these is called with anything volatile.
-- Errors are raised by casts that cannot succeed: `[CODE] message` in the text is read by `insjo.adapters.duckdb.failures`.

-- ---------------------------------------------------------------------------------------------------------------- errors
CREATE MACRO insjo_fail(message) AS CAST(message AS BIGINT);
CREATE MACRO insjo_fail_text(message) AS CAST(CAST(message AS BIGINT) AS VARCHAR);
CREATE MACRO insjo_bad_cast(s, target) AS insjo_fail('[CAST_INVALID_INPUT] The value `' || s || '` cannot be cast to ' || target || '.');

-- ------------------------------------------------------------------------------------------------------- text to something
CREATE MACRO insjo_trim(s) AS trim(s, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(0) || chr(28) || chr(29) || chr(30) || chr(31));
-- Whole number: what stands behind the point is cut off.
CREATE MACRO insjo_text_to_whole(s, target) AS
    CASE
        WHEN regexp_full_match(s, '[+-]?[0-9]+') THEN CAST(s AS BIGINT)
        WHEN regexp_full_match(insjo_trim(s), '[+-]?[0-9]+(\.[0-9]*)?') THEN CAST(regexp_extract(insjo_trim(s), '^[+-]?[0-9]+') AS BIGINT)
        WHEN regexp_full_match(insjo_trim(s), '[+-]?\.[0-9]+') THEN 0
        WHEN s IS NOT NULL THEN insjo_bad_cast(s, target)
    END;
-- As an operand a text has to be a whole number altogether.
CREATE MACRO insjo_text_to_integer(s) AS
    CASE WHEN regexp_full_match(insjo_trim(s), '[+-]?[0-9]+') THEN CAST(insjo_trim(s) AS BIGINT) WHEN s IS NOT NULL THEN insjo_bad_cast(s, 'BIGINT') END;
-- The text of a number, checked; the engine alone would also read `1_000` and `0x1A`.
CREATE MACRO insjo_number_text(s, target) AS
    CASE
        WHEN regexp_full_match(s, '[+-]?[0-9]+(\.[0-9]+)?') THEN s
        WHEN regexp_full_match(insjo_trim(s), '[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?') THEN insjo_trim(s)
        WHEN s IS NOT NULL THEN CAST(insjo_bad_cast(s, target) AS VARCHAR)
    END;
CREATE MACRO insjo_text_to_double(s, target) AS
    CASE
        WHEN regexp_full_match(s, '[+-]?[0-9]+(\.[0-9]+)?') THEN CAST(s AS DOUBLE)
        WHEN regexp_full_match(insjo_trim(s), '[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?')
            THEN CAST(rtrim(insjo_trim(s), 'dDfF') AS DOUBLE)
        WHEN regexp_full_match(lower(insjo_trim(s)), '[+]?(inf|infinity)') THEN CAST('inf' AS DOUBLE)
        WHEN regexp_full_match(lower(insjo_trim(s)), '-(inf|infinity)') THEN CAST('-inf' AS DOUBLE)
        WHEN lower(insjo_trim(s)) = 'nan' THEN CAST('nan' AS DOUBLE)
        WHEN s IS NOT NULL THEN insjo_bad_cast(s, target)
    END;
CREATE MACRO insjo_text_to_boolean(s) AS
    CASE
        WHEN lower(insjo_trim(s)) IN ('t', 'true', 'y', 'yes', '1') THEN TRUE
        WHEN lower(insjo_trim(s)) IN ('f', 'false', 'n', 'no', '0') THEN FALSE
        WHEN s IS NOT NULL THEN CAST(insjo_bad_cast(s, 'BOOLEAN') AS BOOLEAN)
    END;
-- `yyyy`, `yyyy-[m]m`, `yyyy-[m]m-[d]d`, the last one with anything after a blank or a `T`.
CREATE MACRO insjo_text_to_date(s) AS
    CASE
        WHEN regexp_full_match(s, '[0-9]{4}-[0-9]{2}-[0-9]{2}') THEN CAST(s AS DATE)
        WHEN regexp_full_match(insjo_trim(s), '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T].*)?') THEN CAST(regexp_extract(insjo_trim(s), '^[0-9-]+') AS DATE)
        WHEN regexp_full_match(insjo_trim(s), '[0-9]{4}-[0-9]{1,2}') THEN CAST(insjo_trim(s) || '-01' AS DATE)
        WHEN regexp_full_match(insjo_trim(s), '[0-9]{4}') THEN CAST(insjo_trim(s) || '-01-01' AS DATE)
        WHEN s IS NOT NULL THEN CAST(CAST(insjo_bad_cast(s, 'DATE') AS VARCHAR) AS DATE)
    END;
CREATE MACRO insjo_timestamp_parts(s) AS
    regexp_extract(
        s,
        '^([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})(?:[ T]([0-9]{1,2})(?::([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]{0,9}))?)?)?)?)?)? ?(Z|[+-][0-9]{1,2}(?::?[0-9]{2})?(?::[0-9]{2})?|(?:UTC|GMT|UT)(?:[+-][0-9]{1,2}(?::?[0-9]{2})?)?|[A-Za-z]+(?:/[A-Za-z0-9_+-]+)+|[A-Z]{3}[A-Z0-9]*)?$',
        ['y', 'mo', 'd', 'h', 'mi', 's', 'f', 'z']
    );
CREATE MACRO insjo_parts_to_ntz(p, s) AS
    CASE
        WHEN p.y = '' THEN CAST(CAST(insjo_bad_cast(s, 'TIMESTAMP') AS VARCHAR) AS TIMESTAMP)
        WHEN p.s <> '' AND CAST(p.s AS INTEGER) > 59 THEN CAST(CAST(insjo_bad_cast(s, 'TIMESTAMP') AS VARCHAR) AS TIMESTAMP)
        ELSE CAST(
            p.y || '-' || coalesce(nullif(p.mo, ''), '01') || '-' || coalesce(nullif(p.d, ''), '01') || ' '
            || lpad(p.h, 2, '0') || ':' || lpad(p.mi, 2, '0') || ':' || lpad(p.s, 2, '0')
            || CASE WHEN p.f = '' THEN '' ELSE '.' || left(p.f, 6) END AS TIMESTAMP)
    END;
-- Seconds east of Greenwich of `+hh`, `+hh:mm`, `+hhmm`, `UTC+h`.
CREATE MACRO insjo_offset_seconds(z) AS
    CASE WHEN regexp_extract(z, '([+-])', 1) = '-' THEN -1 ELSE 1 END
    * (CAST(regexp_extract(z, '[+-]([0-9]{1,2})', 1) AS INTEGER) * 3600
       + CAST(coalesce(nullif(regexp_extract(z, '[+-][0-9]{1,2}:?([0-9]{2})', 1), ''), '0') AS INTEGER) * 60
       + CAST(coalesce(nullif(regexp_extract(z, ':[0-9]{2}:([0-9]{2})$', 1), ''), '0') AS INTEGER));
CREATE MACRO insjo_is_offset(z) AS regexp_full_match(z, '(?:UTC|GMT|UT)?[+-][0-9]{1,2}(?::?[0-9]{2})?(?::[0-9]{2})?');
CREATE MACRO insjo_known_zone(z) AS
    CASE
        WHEN z IN ('Z', 'UT') THEN 'UTC'
        WHEN z IN ('EST', 'MST', 'HST') THEN 'Etc/GMT+' || CASE z WHEN 'EST' THEN '5' WHEN 'MST' THEN '7' ELSE '10' END
        ELSE z
    END;
-- A wall clock in a zone becomes an instant; the other way round below.  Where clocks are put back a time comes twice: Java takes the
-- first of the two (mostly an hour earlier, half an hour on Lord Howe), the engine the second.
CREATE MACRO insjo_first_instant(instant, ntz, z) AS
    CASE
        WHEN timezone(z, instant - INTERVAL 1 HOUR) = ntz THEN instant - INTERVAL 1 HOUR
        WHEN timezone(z, instant - INTERVAL 30 MINUTE) = ntz THEN instant - INTERVAL 30 MINUTE
        ELSE instant
    END;
CREATE MACRO insjo_to_instant(ntz, z) AS
    CASE
        WHEN insjo_is_offset(z) THEN timezone('UTC', ntz - to_seconds(insjo_offset_seconds(z)))
        WHEN insjo_known_zone(z) = 'UTC' THEN timezone('UTC', ntz)
        ELSE insjo_first_instant(timezone(insjo_known_zone(z), ntz), ntz, insjo_known_zone(z))
    END;
CREATE MACRO insjo_to_wall(ts, z) AS
    CASE
        WHEN insjo_is_offset(z) THEN timezone('UTC', ts) + to_seconds(insjo_offset_seconds(z))
        ELSE timezone(insjo_known_zone(z), ts)
    END;
CREATE MACRO insjo_plain_timestamp(s) AS regexp_full_match(s, '[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?');
CREATE MACRO insjo_text_to_ntz(s) AS
    CASE
        WHEN s IS NULL THEN NULL
        WHEN insjo_plain_timestamp(s) THEN CAST(s AS TIMESTAMP)
        ELSE insjo_parts_to_ntz(insjo_timestamp_parts(insjo_trim(s)), s)
    END;
CREATE MACRO insjo_text_to_timestamp(s) AS
    CASE
        WHEN s IS NULL THEN NULL
        WHEN insjo_plain_timestamp(s) THEN CAST(CAST(s AS TIMESTAMP) AS TIMESTAMPTZ)
        WHEN insjo_timestamp_parts(insjo_trim(s)).z = '' THEN CAST(insjo_parts_to_ntz(insjo_timestamp_parts(insjo_trim(s)), s) AS TIMESTAMPTZ)
        ELSE insjo_to_instant(insjo_parts_to_ntz(insjo_timestamp_parts(insjo_trim(s)), s), insjo_timestamp_parts(insjo_trim(s)).z)
    END;

-- ------------------------------------------------------------------------------------------------------- something to text
-- Doubles as Java prints them: 1.0, 1.0E7, 1.0E-4, NaN, Infinity.
CREATE MACRO insjo_digits(t) AS rtrim(ltrim(regexp_replace(split_part(t, 'e', 1), '[-.]', '', 'g'), '0'), '0');
CREATE MACRO insjo_exponent(t) AS
    CASE
        WHEN contains(t, 'e') THEN CAST(split_part(t, 'e', 2) AS INTEGER)
        WHEN regexp_matches(t, '^-?0\.') THEN -1 - length(regexp_extract(t, '^-?0\.(0*)', 1))
        ELSE length(regexp_extract(t, '^-?([0-9]+)', 1)) - 1
    END;
CREATE MACRO insjo_float_text(x) AS
    CASE
        WHEN isnan(x) THEN 'NaN'
        WHEN isinf(x) THEN CASE WHEN x > 0 THEN 'Infinity' ELSE '-Infinity' END
        WHEN x = 0 THEN CASE WHEN starts_with(CAST(x AS VARCHAR), '-') THEN '-0.0' ELSE '0.0' END
        WHEN abs(x) >= 0.001 AND abs(x) < 10000000 THEN CAST(x AS VARCHAR)
        ELSE CASE WHEN x < 0 THEN '-' ELSE '' END || left(insjo_digits(CAST(x AS VARCHAR)), 1) || '.'
             || CASE WHEN length(insjo_digits(CAST(x AS VARCHAR))) > 1 THEN substr(insjo_digits(CAST(x AS VARCHAR)), 2) ELSE '0' END
             || 'E' || insjo_exponent(CAST(x AS VARCHAR))
    END;
CREATE MACRO insjo_timestamp_text(ts) AS CAST(timezone('UTC', ts) AS VARCHAR);

-- ------------------------------------------------------------------------------------------------------------- numbers
-- Whole division of 128-bit numbers: down, up, half away from zero, half to even.
CREATE MACRO insjo_floor_div(a, b) AS a // b - CASE WHEN a % b <> 0 AND ((a < 0) <> (b < 0)) THEN 1 ELSE 0 END;
CREATE MACRO insjo_ceil_div(a, b) AS a // b + CASE WHEN a % b <> 0 AND ((a < 0) = (b < 0)) THEN 1 ELSE 0 END;
CREATE MACRO insjo_divide_half_up(a, b) AS
    a // b + CASE WHEN abs(a % b) >= abs(b) - abs(a % b) AND a % b <> 0 THEN CASE WHEN (a < 0) = (b < 0) THEN 1 ELSE -1 END ELSE 0 END;
CREATE MACRO insjo_round_even(a, b) AS
    a // b + CASE
        WHEN abs(a % b) > abs(b) - abs(a % b) OR (abs(a % b) = abs(b) - abs(a % b) AND (a // b) % 2 <> 0) THEN CASE WHEN (a < 0) = (b < 0) THEN 1 ELSE -1 END
        ELSE 0
    END;
-- Digits with the point put in.
CREATE MACRO insjo_point_text(n, power, scale) AS
    CASE WHEN n < 0 THEN '-' ELSE '' END || CAST(abs(n) // power AS VARCHAR) || '.' || lpad(CAST(abs(n) % power AS VARCHAR), scale, '0');
CREATE MACRO insjo_micros_to_seconds(us) AS CAST(us AS DECIMAL(25,0)) * CAST('0.000001' AS DECIMAL(6,6));
-- Doubles are rounded on their shortest decimal digits, as Java's BigDecimal does; the quick way is taken where both agree.
CREATE MACRO insjo_exact_digits(x) AS CAST(CAST(x AS VARCHAR) AS DECIMAL(38,20));
CREATE MACRO insjo_tie(y) AS abs(abs(y - trunc(y)) - 0.5) < 0.0001;
CREATE MACRO insjo_round_double(x, digits) AS
    CASE
        WHEN x IS NULL THEN NULL
        WHEN NOT isfinite(x) OR x = 0 THEN x
        WHEN digits >= 0 AND abs(x) * pow(10, digits) >= 4503599627370496 THEN x
        WHEN digits < 0 THEN round(x / pow(10, -digits)) * pow(10, -digits)
        WHEN digits = 0 THEN round(x)
        WHEN insjo_tie(x * pow(10, digits)) AND abs(x) < 1e17 AND digits < 20 THEN CAST(round(insjo_exact_digits(x), CAST(least(greatest(digits, 0), 19) AS INTEGER)) AS DOUBLE)
        ELSE round(x * pow(10, digits)) / pow(10, digits)
    END;
CREATE MACRO insjo_bround_double(x, digits) AS
    CASE
        WHEN x IS NULL THEN NULL
        WHEN NOT isfinite(x) OR x = 0 THEN x
        WHEN digits >= 0 AND abs(x) * pow(10, digits) >= 4503599627370496 THEN x
        WHEN insjo_tie(x * pow(10, digits)) AND abs(x) < 1e17 AND digits BETWEEN -15 AND 15 THEN
            CAST(insjo_round_even(CAST(replace(CAST(insjo_exact_digits(x) AS VARCHAR), '.', '') AS HUGEINT), CAST(pow(10, 20 - digits) AS HUGEINT)) AS DOUBLE) / pow(10, digits)
        ELSE round(x * pow(10, digits)) / pow(10, digits)
    END;
CREATE MACRO insjo_rint(x) AS CASE WHEN isfinite(x) THEN round_even(x, 0) ELSE x END;
CREATE MACRO insjo_round_half_up(x) AS round(x);
CREATE MACRO insjo_width_bucket(v, low, high, n) AS
    CASE
        WHEN v IS NULL OR low IS NULL OR high IS NULL OR n IS NULL OR n <= 0 OR low = high OR isnan(v) OR NOT isfinite(low) OR NOT isfinite(high) THEN NULL
        WHEN low < high THEN CASE WHEN v < low THEN 0 WHEN v >= high THEN n + 1 ELSE CAST(floor(n * (v - low) / (high - low)) AS BIGINT) + 1 END
        ELSE CASE WHEN v > low THEN 0 WHEN v <= high THEN n + 1 ELSE CAST(floor(n * (low - v) / (low - high)) AS BIGINT) + 1 END
    END;
CREATE MACRO insjo_ln(x) AS CASE WHEN x > 0 THEN ln(x) END;
CREATE MACRO insjo_log1p(x) AS
    CASE
        WHEN x <= -1 THEN NULL
        WHEN isnan(x) OR NOT isfinite(x) THEN x
        WHEN 1 + x = 1 THEN x
        ELSE ln(1 + x) * x / ((1 + x) - 1)
    END;
CREATE MACRO insjo_expm1(x) AS
    CASE
        WHEN isnan(x) OR NOT isfinite(x) THEN CASE WHEN x < 0 THEN -1 ELSE x END
        WHEN exp(x) = 1 THEN x
        WHEN exp(x) - 1 = -1 THEN -1
        WHEN NOT isfinite(exp(x)) THEN exp(x)
        ELSE (exp(x) - 1) * x / ln(exp(x))
    END;
CREATE MACRO insjo_pow(x, y) AS CASE WHEN x < 0 AND y <> trunc(y) AND isfinite(x) AND isfinite(y) THEN CAST('nan' AS DOUBLE) ELSE pow(x, y) END;
CREATE MACRO insjo_atanh(x) AS
    CASE WHEN abs(x) > 1 OR isnan(x) THEN CASE WHEN x IS NOT NULL THEN CAST('nan' AS DOUBLE) END WHEN x = 1 THEN CAST('inf' AS DOUBLE) WHEN x = -1 THEN CAST('-inf' AS DOUBLE) ELSE atanh(x) END;
CREATE MACRO insjo_bin(n) AS bin(CAST(n AS BIGINT));
-- Two's complement of so many bits.
CREATE MACRO insjo_wrapped(n, bits) AS
    ((n + (CAST(1 AS HUGEINT) << (bits - 1))) % (CAST(1 AS HUGEINT) << bits) + (CAST(1 AS HUGEINT) << bits)) % (CAST(1 AS HUGEINT) << bits) - (CAST(1 AS HUGEINT) << (bits - 1));
CREATE MACRO insjo_places(count, bits) AS ((count % bits) + bits) % bits;
CREATE MACRO insjo_shift_left(x, count, bits) AS insjo_wrapped(CAST(x AS HUGEINT) * (CAST(1 AS HUGEINT) << insjo_places(count, bits)), bits);
CREATE MACRO insjo_shift_right(x, count, bits) AS insjo_floor_div(CAST(x AS HUGEINT), CAST(1 AS HUGEINT) << insjo_places(count, bits));
CREATE MACRO insjo_shift_right_unsigned(x, count, bits) AS
    insjo_wrapped(CASE WHEN x < 0 THEN CAST(x AS HUGEINT) + (CAST(1 AS HUGEINT) << bits) ELSE CAST(x AS HUGEINT) END // (CAST(1 AS HUGEINT) << insjo_places(count, bits)), bits);
-- Numbers with a comma after every three digits.
CREATE MACRO insjo_group_digits(t) AS
    format('{:,}', CAST(split_part(t, '.', 1) AS HUGEINT)) || CASE WHEN contains(t, '.') THEN '.' || split_part(t, '.', 2) ELSE '' END;
CREATE MACRO insjo_format_double(x, pattern) AS
    CASE
        WHEN isnan(x) THEN 'NaN'
        WHEN isinf(x) THEN CASE WHEN x > 0 THEN '∞' ELSE '-∞' END
        ELSE format(pattern, x)
    END;
CREATE MACRO insjo_format_digits(n, power, scale, places) AS
    CASE WHEN n < 0 THEN '-' ELSE '' END || format('{:,}', abs(n) // power)
    || CASE WHEN places > 0 THEN '.' || rpad(CASE WHEN scale > 0 THEN lpad(CAST(abs(n) % power AS VARCHAR), scale, '0') ELSE '' END, places, '0') ELSE '' END;
-- Exactly so many digits behind the point.
CREATE MACRO insjo_fixed_text(t, places) AS
    CASE
        WHEN places = 0 THEN split_part(t, '.', 1)
        ELSE split_part(t, '.', 1) || '.' || rpad(split_part(t, '.', 2), CAST(greatest(places, length(split_part(t, '.', 2))) AS INTEGER), '0')
    END;

-- --------------------------------------------------------------------------------------------------- dates and intervals
CREATE MACRO insjo_in_range(n, low, high) AS
    CASE WHEN n BETWEEN low AND high THEN n WHEN n IS NOT NULL THEN insjo_fail('[CANNOT_PARSE_TIMESTAMP] A part of the time is out of range: ' || n) END;
CREATE MACRO insjo_time_us(h, mi, s, us) AS
    insjo_in_range(h, 0, 23) * 3600000000 + insjo_in_range(mi, 0, 59) * 60000000 + insjo_in_range(s, 0, 59) * 1000000 + us;
CREATE MACRO insjo_date_add(d, n) AS d + CAST(n AS INTEGER);
CREATE MACRO insjo_interval_us(i) AS epoch_us(i);
CREATE MACRO insjo_interval_months(i) AS CAST(datepart('year', i) * 12 + datepart('month', i) AS BIGINT);
CREATE MACRO insjo_day_us(t) AS (day(t) - 1) * 86400000000 + (epoch_us(t) - epoch_us(date_trunc('day', t)));
CREATE MACRO insjo_month_number(t) AS year(t) * 12 + month(t);
-- Whole months between two moments, as java.time counts them.
CREATE MACRO insjo_whole_months(a, b) AS
    insjo_month_number(b) - insjo_month_number(a)
    + CASE
        WHEN insjo_month_number(b) > insjo_month_number(a) AND insjo_day_us(b) < insjo_day_us(a) THEN -1
        WHEN insjo_month_number(b) < insjo_month_number(a) AND insjo_day_us(b) > insjo_day_us(a) THEN 1
        ELSE 0
    END;
CREATE MACRO insjo_months_between(a, b) AS
    CASE
        WHEN day(a) = day(b) OR (CAST(a AS DATE) = last_day(CAST(a AS DATE)) AND CAST(b AS DATE) = last_day(CAST(b AS DATE)))
            THEN CAST(insjo_month_number(a) - insjo_month_number(b) AS DOUBLE)
        ELSE insjo_month_number(a) - insjo_month_number(b)
             + ((day(a) - day(b)) * 86400 + (epoch_us(a) - epoch_us(date_trunc('day', a))) // 1000000
                - (epoch_us(b) - epoch_us(date_trunc('day', b))) // 1000000) / 2678400.0::DOUBLE
    END;
CREATE MACRO insjo_weekday_number(name) AS
    CASE
        WHEN upper(name) IN ('MO', 'MON', 'MONDAY') THEN 1
        WHEN upper(name) IN ('TU', 'TUE', 'TUESDAY') THEN 2
        WHEN upper(name) IN ('WE', 'WED', 'WEDNESDAY') THEN 3
        WHEN upper(name) IN ('TH', 'THU', 'THURSDAY') THEN 4
        WHEN upper(name) IN ('FR', 'FRI', 'FRIDAY') THEN 5
        WHEN upper(name) IN ('SA', 'SAT', 'SATURDAY') THEN 6
        WHEN upper(name) IN ('SU', 'SUN', 'SUNDAY') THEN 7
        WHEN name IS NOT NULL THEN CAST(insjo_fail('[ILLEGAL_DAY_OF_WEEK] There is no day of the week called `' || name || '`.') AS INTEGER)
    END;
CREATE MACRO insjo_next_day(d, name) AS d + CAST((insjo_weekday_number(name) - isodow(d) + 6) % 7 + 1 AS INTEGER);
CREATE MACRO insjo_months_text(n, unit) AS
    CASE unit
        WHEN 'year' THEN 'INTERVAL ''' || CAST(n // 12 AS VARCHAR) || ''' YEAR'
        WHEN 'month' THEN 'INTERVAL ''' || CAST(n AS VARCHAR) || ''' MONTH'
        ELSE 'INTERVAL ''' || CASE WHEN n < 0 THEN '-' ELSE '' END || CAST(abs(n) // 12 AS VARCHAR) || '-' || CAST(abs(n) % 12 AS VARCHAR) || ''' YEAR TO MONTH'
    END;
CREATE MACRO insjo_two(n) AS lpad(CAST(n AS VARCHAR), 2, '0');
CREATE MACRO insjo_second_text(us) AS
    insjo_two(us // 1000000) || CASE WHEN us % 1000000 = 0 THEN '' ELSE '.' || rtrim(lpad(CAST(us % 1000000 AS VARCHAR), 6, '0'), '0') END;
CREATE MACRO insjo_plain_second_text(us) AS
    CAST(us // 1000000 AS VARCHAR) || CASE WHEN us % 1000000 = 0 THEN '' ELSE '.' || rtrim(lpad(CAST(us % 1000000 AS VARCHAR), 6, '0'), '0') END;
CREATE MACRO insjo_day_time_text(us, unit) AS
    'INTERVAL ''' || CASE WHEN us < 0 THEN '-' ELSE '' END
    || CASE unit
        WHEN 'day' THEN CAST(abs(us) // 86400000000 AS VARCHAR)
        WHEN 'hour' THEN insjo_two(abs(us) // 3600000000)
        WHEN 'minute' THEN insjo_two(abs(us) // 60000000)
        WHEN 'second' THEN insjo_second_text(abs(us))
        WHEN 'hour to minute' THEN insjo_two(abs(us) // 3600000000) || ':' || insjo_two(abs(us) // 60000000 % 60)
        WHEN 'hour to second' THEN insjo_two(abs(us) // 3600000000) || ':' || insjo_two(abs(us) // 60000000 % 60) || ':' || insjo_second_text(abs(us) % 60000000)
        WHEN 'minute to second' THEN insjo_two(abs(us) // 60000000) || ':' || insjo_second_text(abs(us) % 60000000)
        WHEN 'day to hour' THEN CAST(abs(us) // 86400000000 AS VARCHAR) || ' ' || insjo_two(abs(us) // 3600000000 % 24)
        WHEN 'day to minute' THEN CAST(abs(us) // 86400000000 AS VARCHAR) || ' ' || insjo_two(abs(us) // 3600000000 % 24) || ':' || insjo_two(abs(us) // 60000000 % 60)
        ELSE CAST(abs(us) // 86400000000 AS VARCHAR) || ' ' || insjo_two(abs(us) // 3600000000 % 24) || ':' || insjo_two(abs(us) // 60000000 % 60) || ':' || insjo_second_text(abs(us) % 60000000)
    END || ''' ' || upper(unit);
CREATE MACRO insjo_sequence(a, b, step) AS
    CASE
        WHEN a IS NULL OR b IS NULL OR step IS NULL THEN NULL
        WHEN (step = 0 AND a <> b) OR (step > 0 AND a > b) OR (step < 0 AND a < b) THEN CAST(insjo_fail_text('[ILLEGAL_SEQUENCE_BOUNDARIES] The sequence never ends.') AS BIGINT[])
        WHEN a = b THEN [CAST(a AS BIGINT)]
        ELSE generate_series(CAST(a AS BIGINT), CAST(b AS BIGINT), CAST(step AS BIGINT))
    END;
CREATE MACRO insjo_sequence_micros(a, b, us) AS
    list_transform(insjo_sequence(epoch_us(a), epoch_us(b), us), lambda insjo_m: make_timestamp(insjo_m));
-- Every step counts from the start, so that a month's last days do not wear off.
CREATE MACRO insjo_sequence_months(a, b, months) AS
    CASE
        WHEN a IS NULL OR b IS NULL OR months IS NULL THEN NULL
        WHEN (months = 0 AND a <> b) OR (months > 0 AND a > b) OR (months < 0 AND a < b) THEN CAST(insjo_fail_text('[ILLEGAL_SEQUENCE_BOUNDARIES] The sequence never ends.') AS TIMESTAMP[])
        ELSE list_filter(
            list_transform(range(CAST(abs((insjo_month_number(b) - insjo_month_number(a)) // months) + 2 AS BIGINT)), lambda insjo_n: a + to_months(CAST(insjo_n * months AS INTEGER))),
            lambda insjo_t: CASE WHEN months > 0 THEN insjo_t <= b ELSE insjo_t >= b END)
    END;

-- ----------------------------------------------------------------------------------------------------------------- text
CREATE MACRO insjo_substring_from(s, p) AS
    CASE WHEN p > 0 THEN substr(s, p) WHEN p = 0 OR length(s) + p < 0 THEN s ELSE substr(s, length(s) + p + 1) END;
-- The piece between two places counted from 0, cut to the text.
CREATE MACRO insjo_piece(s, a, b) AS CASE WHEN b <= greatest(a, 0) THEN CASE WHEN s IS NOT NULL THEN '' END ELSE substr(s, greatest(a, 0) + 1, b - greatest(a, 0)) END;
CREATE MACRO insjo_substring(s, p, n) AS
    CASE
        WHEN s IS NULL OR p IS NULL OR n IS NULL THEN NULL
        ELSE insjo_piece(s, CASE WHEN p > 0 THEN p - 1 WHEN p < 0 THEN length(s) + p ELSE 0 END, CASE WHEN p > 0 THEN p - 1 WHEN p < 0 THEN length(s) + p ELSE 0 END + CAST(n AS BIGINT))
    END;
CREATE MACRO insjo_locate(sub, s, p) AS
    CASE
        WHEN sub IS NULL OR s IS NULL THEN NULL
        WHEN p IS NULL OR p < 1 THEN 0
        WHEN sub = '' THEN CASE WHEN p <= length(s) + 1 THEN p ELSE 0 END
        WHEN instr(substr(s, p), sub) = 0 THEN 0
        ELSE instr(substr(s, p), sub) + p - 1
    END;
CREATE MACRO insjo_lpad(s, n, p) AS
    CASE WHEN s IS NULL OR n IS NULL OR p IS NULL THEN NULL WHEN n <= 0 THEN '' WHEN p = '' OR length(s) >= n THEN left(s, n) ELSE lpad(s, n, p) END;
CREATE MACRO insjo_rpad(s, n, p) AS
    CASE WHEN s IS NULL OR n IS NULL OR p IS NULL THEN NULL WHEN n <= 0 THEN '' WHEN p = '' OR length(s) >= n THEN left(s, n) ELSE rpad(s, n, p) END;
CREATE MACRO insjo_overlay(s, r, p, n) AS
    insjo_substring(s, 1, p - 1) || r || insjo_substring_from(s, CASE WHEN n >= 0 THEN p + n ELSE p + length(r) END);
CREATE MACRO insjo_characters(s) AS CASE WHEN s IS NOT NULL THEN regexp_extract_all(s, '(?s).') END;
CREATE MACRO insjo_characters_limited(s, n) AS
    CASE WHEN length(s) <= n THEN insjo_characters(s) ELSE insjo_characters(left(s, n - 1)) || [substr(s, n)] END;
-- The engine counts bytes, which is the same for ASCII only.
CREATE MACRO insjo_levenshtein(a, b) AS
    CASE WHEN strlen(a) = length(a) AND strlen(b) = length(b) THEN CAST(levenshtein(a, b) AS INTEGER) ELSE insjo_py_levenshtein(a, b) END;
CREATE MACRO insjo_reverse(s) AS array_to_string(list_reverse(insjo_characters(s)), '');
CREATE MACRO insjo_upper(s) AS CASE WHEN contains(s, 'ß') THEN upper(replace(s, 'ß', 'SS')) ELSE upper(s) END;
CREATE MACRO insjo_initcap(s) AS
    array_to_string(list_transform(string_split(lower(s), ' '), lambda insjo_w: insjo_upper(left(insjo_w, 1)) || substr(insjo_w, 2)), ' ');
CREATE MACRO insjo_split_limited(parts, delimiter, n) AS
    CASE WHEN len(parts) <= n THEN parts ELSE list_slice(parts, 1, n - 1) || [array_to_string(list_slice(parts, n, len(parts)), delimiter)] END;
CREATE MACRO insjo_substring_index(s, d, n) AS
    CASE
        WHEN s IS NULL OR d IS NULL OR n IS NULL THEN NULL
        WHEN n = 0 OR d = '' THEN ''
        WHEN n > 0 THEN array_to_string(list_slice(string_split(s, d), 1, n), d)
        ELSE array_to_string(list_slice(string_split(s, d), greatest(len(string_split(s, d)) + n, 0) + 1, len(string_split(s, d))), d)
    END;
CREATE MACRO insjo_find_in_set(s, listed) AS
    CASE WHEN s IS NULL OR listed IS NULL THEN NULL WHEN contains(s, ',') THEN 0 ELSE CAST(coalesce(list_position(string_split(listed, ','), s), 0) AS INTEGER) END;
CREATE MACRO insjo_mask_one(c, upper_char, lower_char, digit_char, other_char) AS
    CASE
        WHEN regexp_matches(c, '\p{Lu}') THEN coalesce(upper_char, c)
        WHEN regexp_matches(c, '\p{Ll}') THEN coalesce(lower_char, c)
        WHEN regexp_matches(c, '\p{Nd}') THEN coalesce(digit_char, c)
        ELSE coalesce(other_char, c)
    END;
CREATE MACRO insjo_mask(s, upper_char, lower_char, digit_char, other_char) AS
    array_to_string(list_transform(insjo_characters(s), lambda insjo_c: insjo_mask_one(insjo_c, upper_char, lower_char, digit_char, other_char)), '');
CREATE MACRO insjo_hex_padded(s) AS CASE WHEN length(s) % 2 = 1 THEN '0' || s ELSE s END;
CREATE MACRO insjo_unhex(s) AS CASE WHEN regexp_full_match(s, '[0-9A-Fa-f]*') THEN unhex(insjo_hex_padded(s)) END;
CREATE MACRO insjo_unhex_strict(s) AS
    CASE WHEN regexp_full_match(s, '[0-9A-Fa-f]*') THEN unhex(insjo_hex_padded(s)) WHEN s IS NOT NULL THEN CAST(insjo_fail_text('[CONVERSION_INVALID_INPUT] The text is not hexadecimal.') AS BLOB) END;
CREATE MACRO insjo_unbase64(s) AS from_base64(regexp_replace(s, '[\s]', '', 'g'));
-- As java.net.URLEncoder: blanks become `+`, and `*` stays.
CREATE MACRO insjo_url_encode(s) AS replace(replace(replace(url_encode(s), '%20', '+'), '%2A', '*'), '~', '%7E');
CREATE MACRO insjo_url_decode(s) AS
    CASE
        WHEN contains(regexp_replace(s, '%[0-9A-Fa-f]{2}', '', 'g'), '%') THEN insjo_fail_text('[CANNOT_DECODE_URL] The text is no URL encoding: ' || s)
        ELSE url_decode(replace(s, '+', ' '))
    END;
CREATE MACRO insjo_csv_cell(s) AS
    CASE WHEN regexp_matches(s, '[",\n\r]') OR s <> trim(s, ' ') THEN '"' || replace(s, '"', '\"') || '"' ELSE s END;
-- Patterns that are known only when the statement runs: what RE2 would read otherwise than Java is an error.
CREATE MACRO insjo_computed_pattern(p) AS
    CASE
        WHEN contains(p, '&&') OR regexp_matches(p, '\[[^\]]*\[') OR regexp_matches(p, '\\[spPkGRXZhHvV]') THEN insjo_fail_text('[UNSUPPORTED_FEATURE] This pattern is supported only if it stands literally in the statement: ' || p)
        ELSE replace(p, '(?<', '(?P<')
    END;
CREATE MACRO insjo_computed_replacement(r) AS
    CASE WHEN contains(r, '$') OR contains(r, '\') THEN insjo_fail_text('[UNSUPPORTED_FEATURE] A computed replacement must not hold `$` or a backslash.') ELSE r END;
CREATE MACRO insjo_text_to_map(s, pairs, separator) AS
    map_from_entries(list_transform(string_split(s, pairs), lambda insjo_p: struct_pack(
        key := split_part(insjo_p, separator, 1),
        value := CASE WHEN contains(insjo_p, separator) THEN substr(insjo_p, instr(insjo_p, separator) + length(separator)) END)));

-- ---------------------------------------------------------------------------------------------------------------- arrays
CREATE MACRO insjo_has(xs, x) AS coalesce(list_position(xs, x), 0) > 0;
CREATE MACRO insjo_has_null(xs) AS len(list_filter(xs, lambda insjo_x: insjo_x IS NULL)) > 0;
CREATE MACRO insjo_distinct(xs) AS list_filter(xs, lambda insjo_x, insjo_i: list_position(xs, insjo_x) = insjo_i);
CREATE MACRO insjo_contains(xs, x) AS
    CASE WHEN xs IS NULL OR x IS NULL THEN NULL WHEN list_contains(xs, x) THEN TRUE WHEN insjo_has_null(xs) THEN NULL ELSE FALSE END;
CREATE MACRO insjo_overlap(a, b) AS
    CASE
        WHEN a IS NULL OR b IS NULL THEN NULL
        WHEN list_has_any(list_filter(a, lambda insjo_x: insjo_x IS NOT NULL), list_filter(b, lambda insjo_x: insjo_x IS NOT NULL)) THEN TRUE
        WHEN len(a) > 0 AND len(b) > 0 AND (insjo_has_null(a) OR insjo_has_null(b)) THEN NULL
        ELSE FALSE
    END;
-- Over the outcomes of a test: open where a NULL could decide.
CREATE MACRO insjo_exists(outcomes) AS
    CASE WHEN outcomes IS NULL THEN NULL WHEN list_contains(outcomes, TRUE) THEN TRUE WHEN insjo_has_null(outcomes) THEN NULL ELSE FALSE END;
CREATE MACRO insjo_forall(outcomes) AS
    CASE WHEN outcomes IS NULL THEN NULL WHEN list_contains(outcomes, FALSE) THEN FALSE WHEN insjo_has_null(outcomes) THEN NULL ELSE TRUE END;

-- ------------------------------------------------------------------------------------------------------------------ JSON
CREATE MACRO insjo_lenient_json(s) AS CASE WHEN json_valid(s) THEN json(s) END;
CREATE MACRO insjo_variant_text(j) AS json_extract_string(j, '$');
-- Text of a number, a truth value or a text; anything else is no number.
CREATE MACRO insjo_variant_number(j) AS
    CASE json_type(j) WHEN 'BOOLEAN' THEN CASE json_extract_string(j, '$') WHEN 'true' THEN '1' ELSE '0' END ELSE json_extract_string(j, '$') END;
CREATE MACRO insjo_key_path(k) AS '$."' || replace(replace(k, '\', '\\'), '"', '\"') || '"';
-- A field by its name; by its name in other letters where that one is not there.
CREATE MACRO insjo_json_field(j, k, path) AS
    CASE
        WHEN json_exists(j, path) THEN json_extract(j, path)
        ELSE json_extract(j, insjo_key_path(list_extract(list_filter(json_keys(j), lambda insjo_k: lower(insjo_k) = lower(k)), 1)))
    END;
CREATE MACRO insjo_json_array_length(s) AS
    CASE WHEN json_valid(s) AND json_type(insjo_lenient_json(s)) = 'ARRAY' THEN CAST(json_array_length(insjo_lenient_json(s)) AS INTEGER) END;
CREATE MACRO insjo_json_object_keys(s) AS
    CASE WHEN json_valid(s) AND json_type(insjo_lenient_json(s)) = 'OBJECT' THEN json_keys(insjo_lenient_json(s)) END;
