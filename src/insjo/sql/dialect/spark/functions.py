"""Functions that were seen to be right on Spark Connect: `tests/conformance/test_spark.py` runs every case of the sets on it."""

from __future__ import annotations

SAME_TYPE = frozenset({"coalesce", "nvl", "ifnull", "if", "iff", "greatest", "least", "nullif"})
"""Functions that give one of their arguments."""

AGGREGATES_OF_NUMBERS = frozenset({"sum", "min", "max", "count", "avg", "mean", "first", "last", "any_value", "abs", "count_if"})
"""Functions that take decimals as they are."""

WITH_DECIMAL_CONSTANTS = frozenset(
    {"percentile", "percentile_approx", "percentile_cont", "percentile_disc", "make_timestamp", "width_bucket"}
)
"""Functions to which a constant with a point may be given; they take it as a double anyway."""

RANKS = frozenset({"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "nth_value"})
"""Functions of windows."""

ALLOWED = frozenset(
    {
        "abs", "acos", "acosh", "add_months", "aggregate", "any_value", "approx_count_distinct", "array", "array_agg", "array_append",
        "array_compact", "array_distinct", "array_except", "array_insert", "array_intersect", "array_max", "array_min",
        "array_position", "array_prepend", "array_remove", "array_repeat", "array_size", "array_sort", "array_union", "arrays_overlap",
        "arrays_zip", "ascii", "asin", "asinh", "atan", "atan2", "atanh", "avg", "base64", "bin", "bit_and", "bit_count", "bit_get",
        "bit_length", "bit_or", "bit_xor", "bitmap_bit_position", "bitmap_bucket_number", "bool_and", "bool_or", "btrim",
        "cardinality", "cbrt", "ceil", "ceiling", "char", "char_length", "character_length", "chr", "coalesce", "collect_list",
        "collect_set", "concat", "contains", "corr", "cos", "cosh", "cot", "count", "count_if", "covar_pop", "covar_samp", "crc32",
        "csc", "current_date", "current_timestamp", "date_add", "date_from_unix_date", "date_sub",
        "dateadd", "day", "dayname", "dayofmonth", "dayofweek", "dayofyear", "degrees", "e", "element_at",
        "encode", "endswith", "equal_null", "every", "exists", "exp", "explode", "explode_outer", "expm1", "filter", "find_in_set",
        "first", "first_value", "flatten", "floor", "forall", "get", "getbit", "greatest", "grouping", "grouping_id", "hex", "hour",
        "hypot", "if", "ifnull", "inline", "inline_outer", "instr", "isnotnull", "isnull", "kurtosis", "last",
        "last_day", "last_value", "lcase", "least", "len", "length", "levenshtein", "listagg", "ln", "localtimestamp", "locate", "log",
        "log10", "log2", "lower", "lpad", "ltrim", "luhn_check", "make_date", "make_timestamp", "map", "map_concat",
        "map_contains_key", "map_entries", "map_filter", "map_from_arrays", "map_from_entries", "map_keys", "map_values", "max",
        "max_by", "md5", "mean", "median", "min", "min_by", "minute", "mod", "mode", "month", "monthname", "months_between",
        "named_struct", "negative", "next_day", "now", "nullif", "nullifzero", "nvl", "nvl2", "octet_length", "pi", "pmod",
        "posexplode", "posexplode_outer", "positive", "pow", "power", "quarter", "quote", "radians", "reduce", "regr_avgx", "regr_avgy",
        "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "repeat", "replace", "reverse",
        "right", "rpad", "rtrim", "sec", "second", "sequence", "sha", "sha1", "sha2", "shiftleft", "shiftright",
        "sign", "sin", "sinh", "size", "skewness", "some", "sort_array", "soundex", "space", "split_part", "sqrt", "stack",
        "startswith", "std", "stddev", "stddev_pop", "stddev_samp", "str_to_map", "string_agg", "struct", "substring_index", "sum",
        "tan", "tanh", "timestamp_micros", "timestamp_millis", "timestamp_seconds", "timestampadd", "to_binary",
        "transform", "translate", "try_add", "try_avg", "try_divide", "try_element_at", "try_mod", "try_multiply",
        "try_subtract", "try_sum", "try_to_binary", "try_to_timestamp", "ucase", "unbase64", "unhex", "uniform", "unix_date",
        "unix_micros", "unix_millis", "upper", "url_encode", "uuid", "var_pop", "var_samp", "variance",
        "weekofyear", "width_bucket", "window", "year", "zeroifnull",
    },
)  # fmt: skip
"""Functions that may be sent: those that were right in all cases, without patterns of dates, numbers and expressions in their arguments."""
