"""Casts as Databricks does them in ANSI mode: a value that does not fit raises, a fraction is cut off, text is read strictly.

Source: "cast function" and "ANSI compliance" in the Databricks SQL language reference.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from insjo.sql.dialect.fragments import Constant, Fragment, attempt, made, name_of, null, string, text_of
from insjo.sql.dialect.types import STRING, VOID, Kind, Type
from insjo.sql.errors import DatatypeMismatch, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable

_FLOATING = (Kind.FLOAT, Kind.DOUBLE)
_INTEGRAL_BITS = {Kind.TINYINT: 8, Kind.SMALLINT: 16, Kind.INT: 32, Kind.BIGINT: 64}
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_ISO_TIMESTAMP = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)?")


def cast(source: Fragment, target: Type, *, safe: bool = False) -> Fragment:
    """A value as another type.

    Args:
        source: The value.
        target: The type.
        safe: As TRY_CAST: NULL in place of an error.

    Raises:
        DatatypeMismatch: Databricks knows no such cast.
        UnsupportedFeature: Databricks does, and we do not.
    """
    if source.type == target:
        return source.seen()
    if source.is_null:
        return null(target)
    literal = _literal(source, target, safe=safe)
    if literal is not None:
        return literal
    if safe:
        return attempt([source.seen()], lambda parts: made(convert(parts[0].sql, source.type, target), target, parts[0]))
    return made(convert(source.seen().sql, source.type, target), target, source)


def _literal(source: Fragment, target: Type, *, safe: bool) -> Fragment | None:
    """Constants that the engine can read as such, so that it can prune files by them."""
    text = source.text
    if text is not None and target.kind is Kind.DATE and _ISO_DATE.fullmatch(text) and _is_moment(text):
        return made(f"DATE {text_of(text)}", target)
    if text is not None and target.kind in {Kind.TIMESTAMP, Kind.TIMESTAMP_NTZ} and _ISO_TIMESTAMP.fullmatch(text) and _is_moment(text):
        word = "TIMESTAMPTZ" if target.kind is Kind.TIMESTAMP else "TIMESTAMP"
        return made(f"{word} {text_of(text)}", target)
    whole = source.whole
    bits = _INTEGRAL_BITS.get(target.kind)
    if whole is not None and bits is not None and -(1 << bits - 1) <= whole < 1 << bits - 1:
        sql = (str(whole) if whole >= 0 else f"({whole})") if target.kind is Kind.INT else f"CAST({whole} AS {target.engine})"
        return Fragment(sql, target, constant=Constant(whole))
    if whole is not None and target.kind is Kind.STRING:
        return string(str(whole))
    if whole is not None and target.kind in _FLOATING:
        return Fragment(f"CAST({whole} AS {target.engine})", target, constant=Constant(float(whole)))
    value = source.constant.value if source.constant is not None else None
    if isinstance(value, Decimal) and target.kind is Kind.DOUBLE and not safe:
        return Fragment(f"CAST({value} AS DOUBLE)", target, constant=Constant(float(value)))
    return None


def _is_moment(text: str) -> bool:
    """Whether the text is a moment that exists; the others go the long way and fail there."""
    try:
        dt.datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def convert(sql: str, source: Type, target: Type, depth: int = 0) -> str:
    """SQL that turns a value of one type into another; see `cast`."""
    if source == target:
        return sql
    if source.kind is Kind.VOID:
        return f"CAST(NULL AS {target.engine})"
    converter = _CONVERTERS.get(target.kind)
    found = converter(sql, source, target, depth) if converter else None
    if found is None:
        raise DatatypeMismatch(f"A value of type `{source.text}` cannot be cast to `{target.text}`.")
    return found


def _to_integral(sql: str, source: Type, target: Type, _: int) -> str | None:
    engine = target.engine
    if source.is_integral or source.kind is Kind.BOOLEAN:
        return f"CAST({sql} AS {engine})"
    if source.kind is Kind.DECIMAL or source.kind in _FLOATING:
        return f"CAST(trunc({sql}) AS {engine})"
    if source.kind is Kind.STRING:
        return f"CAST(insjo_text_to_whole({sql}, '{target.text.upper()}') AS {engine})"
    if source.kind is Kind.TIMESTAMP:
        return f"CAST(insjo_floor_div(epoch_us({sql}), 1000000) AS {engine})"
    if source.kind is Kind.VARIANT:
        return f"CAST(insjo_text_to_whole(insjo_variant_number({sql}), '{target.text.upper()}') AS {engine})"
    if source.kind is Kind.INTERVAL:
        return _interval_to_integral(sql, source, engine)
    return None


def _interval_to_integral(sql: str, source: Type, engine: str) -> str | None:
    """Number of the interval's only unit."""
    parts = {"year": "insjo_interval_months({0}) // 12", "month": "insjo_interval_months({0})"}
    lengths = {"day": 86_400_000_000, "hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000}
    if source.unit in parts:
        return f"CAST({parts[source.unit].format(sql)} AS {engine})"
    if source.unit in lengths:
        return f"CAST(insjo_interval_us({sql}) // {lengths[source.unit]} AS {engine})"
    return None


def _to_decimal(sql: str, source: Type, target: Type, _: int) -> str | None:
    engine = target.engine
    if source.is_integral or source.kind in {Kind.DECIMAL, Kind.BOOLEAN}:
        return f"CAST({sql} AS {engine})"
    if source.kind in _FLOATING:
        # Through the shortest text of the number, as Java does it: 1.005 becomes 1.01 and not 1.00.
        return f"CAST(CAST({sql} AS VARCHAR) AS {engine})"
    if source.kind is Kind.STRING:
        return f"CAST(insjo_number_text({sql}, '{target.text.upper()}') AS {engine})"
    if source.kind is Kind.VARIANT:
        return f"CAST(insjo_number_text(insjo_variant_number({sql}), '{target.text.upper()}') AS {engine})"
    if source.kind is Kind.TIMESTAMP:
        return f"CAST(insjo_micros_to_seconds(epoch_us({sql})) AS {engine})"
    return None


def _to_floating(sql: str, source: Type, target: Type, _: int) -> str | None:
    engine = target.engine
    if source.is_numeric or source.kind is Kind.BOOLEAN:
        return f"CAST({sql} AS {engine})"
    if source.kind is Kind.STRING:
        return f"CAST(insjo_text_to_double({sql}, '{target.text.upper()}') AS {engine})"
    if source.kind is Kind.VARIANT:
        return f"CAST(insjo_text_to_double(insjo_variant_number({sql}), '{target.text.upper()}') AS {engine})"
    if source.kind is Kind.TIMESTAMP:
        return f"CAST(epoch_us({sql}) / 1000000.0::DOUBLE AS {engine})"
    return None


def _to_boolean(sql: str, source: Type, _: Type, __: int) -> str | None:
    if source.is_numeric:
        return f"({sql} <> 0)"
    if source.kind is Kind.STRING:
        return f"insjo_text_to_boolean({sql})"
    if source.kind is Kind.VARIANT:
        return f"insjo_text_to_boolean(insjo_variant_text({sql}))"
    return None


def _to_string(sql: str, source: Type, _: Type, depth: int) -> str | None:
    if source.is_integral or source.kind in {Kind.DECIMAL, Kind.BOOLEAN, Kind.DATE, Kind.TIMESTAMP_NTZ}:
        return f"CAST({sql} AS VARCHAR)"
    if source.kind in _FLOATING:
        return f"insjo_float_text({sql})"
    if source.kind is Kind.TIMESTAMP:
        return f"insjo_timestamp_text({sql})"
    if source.kind is Kind.BINARY:
        return f"decode({sql})"
    if source.kind is Kind.VARIANT:
        return f"insjo_variant_text({sql})"
    if source.is_nested:
        return _nested_text(sql, source, depth)
    return _interval_text(sql, source)


def _item_text(sql: str, of_type: Type, depth: int) -> str:
    """Text of a part of something nested; NULL is written out."""
    return f"coalesce({convert(sql, of_type, STRING, depth)}, 'null')"


def _nested_text(sql: str, source: Type, depth: int) -> str:
    """`[1, 2]`, `{a -> 1}`, `{1, x}`."""
    item = f"e{depth}"
    if source.kind is Kind.ARRAY:
        body = _item_text(item, source.item, depth + 1)
        return f"('[' || array_to_string(list_transform({sql}, lambda {item}: {body}), ', ') || ']')"
    if source.kind is Kind.MAP:
        key = _item_text(f"{item}.key", source.key or VOID, depth + 1)
        value = _item_text(f"{item}.value", source.value or VOID, depth + 1)
        return f"('{{' || array_to_string(list_transform(map_entries({sql}), lambda {item}: {key} || ' -> ' || {value}), ', ') || '}}')"
    parts = [_item_text(f"struct_extract({sql}, {text_of(field.name)})", field.type, depth + 1) for field in source.fields]
    joined = " || ', ' || ".join(parts)
    return f"CASE WHEN {sql} IS NOT NULL THEN '{{' || {joined} || '}}' END"


def _interval_text(sql: str, source: Type) -> str | None:
    """`INTERVAL '1 02:00:00' DAY TO SECOND` and its kin."""
    if source.kind is not Kind.INTERVAL:
        return None
    if source.is_months:
        return f"insjo_months_text(insjo_interval_months({sql}), '{source.unit}')"
    return f"insjo_day_time_text(insjo_interval_us({sql}), '{source.unit}')"


def _to_binary(sql: str, source: Type, _: Type, __: int) -> str | None:
    if source.kind is Kind.STRING:
        return f"encode({sql})"
    if source.is_integral:
        raise UnsupportedFeature(f"`cast` of `{source.text}` to `binary` is not supported.")
    return None


def _to_date(sql: str, source: Type, _: Type, __: int) -> str | None:
    if source.kind is Kind.TIMESTAMP:
        return f"CAST(timezone('UTC', {sql}) AS DATE)"
    if source.kind is Kind.TIMESTAMP_NTZ:
        return f"CAST({sql} AS DATE)"
    if source.kind is Kind.STRING:
        return f"insjo_text_to_date({sql})"
    if source.kind is Kind.VARIANT:
        return f"insjo_text_to_date(insjo_variant_text({sql}))"
    return None


def _to_timestamp(sql: str, source: Type, _: Type, __: int) -> str | None:
    if source.kind in {Kind.DATE, Kind.TIMESTAMP_NTZ}:
        return f"CAST({sql} AS TIMESTAMPTZ)"
    if source.kind is Kind.STRING:
        return f"insjo_text_to_timestamp({sql})"
    if source.kind is Kind.VARIANT:
        return f"insjo_text_to_timestamp(insjo_variant_text({sql}))"
    if source.is_integral:
        return f"make_timestamptz(CAST(CAST({sql} AS HUGEINT) * 1000000 AS BIGINT))"
    if source.kind is Kind.DECIMAL:
        return f"make_timestamptz(CAST(trunc(CAST({sql} AS DECIMAL(38,9)) * 1000000) AS BIGINT))"
    if source.kind in _FLOATING:
        return f"make_timestamptz(CAST(trunc(CAST({sql} AS DOUBLE) * 1000000) AS BIGINT))"
    return None


def _to_ntz(sql: str, source: Type, _: Type, __: int) -> str | None:
    if source.kind is Kind.DATE:
        return f"CAST({sql} AS TIMESTAMP)"
    if source.kind is Kind.TIMESTAMP:
        return f"timezone('UTC', {sql})"
    if source.kind is Kind.STRING:
        return f"insjo_text_to_ntz({sql})"
    if source.kind is Kind.VARIANT:
        return f"insjo_text_to_ntz(insjo_variant_text({sql}))"
    return None


def _to_interval(sql: str, source: Type, target: Type, _: int) -> str | None:
    if source.kind is Kind.INTERVAL and source.is_months == target.is_months:
        return sql
    if source.is_integral:
        makers = {
            "year": "to_years",
            "month": "to_months",
            "day": "to_days",
            "hour": "to_hours",
            "minute": "to_minutes",
            "second": "to_seconds",
        }
        if target.unit in makers:
            return f"{makers[target.unit]}({sql})"
    raise UnsupportedFeature(f"`cast` of `{source.text}` to `{target.text}` is not supported.")


def _to_variant(sql: str, source: Type, _: Type, depth: int) -> str | None:
    if source.kind in {Kind.STRING, Kind.BOOLEAN} or source.is_numeric:
        return f"to_json({sql})"
    if source.kind in {Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_NTZ}:
        return f"to_json({convert(sql, source, STRING)})"
    if source.kind is Kind.ARRAY:
        item = f"e{depth}"
        return f"CAST(to_json(list_transform({sql}, lambda {item}: {convert(item, source.item, Type(Kind.VARIANT), depth + 1)})) AS JSON)"
    raise UnsupportedFeature(f"`cast` of `{source.text}` to `variant` is not supported.")


def _to_array(sql: str, source: Type, target: Type, depth: int) -> str | None:
    if source.kind is Kind.VARIANT:
        return f"CAST(json_transform_strict({sql}, {text_of(json_structure(target))}) AS {target.engine})"
    if source.kind is not Kind.ARRAY:
        return None
    if source.item.kind is Kind.VOID or _engine_casts_alike(source.item, target.item):
        return f"CAST({sql} AS {target.engine})"
    item = f"e{depth}"
    return f"list_transform({sql}, lambda {item}: {convert(item, source.item, target.item, depth + 1)})"


def _to_map(sql: str, source: Type, target: Type, depth: int) -> str | None:
    if source.kind is Kind.VARIANT:
        return f"CAST(json_transform_strict({sql}, {text_of(json_structure(target))}) AS {target.engine})"
    if source.kind is not Kind.MAP:
        return None
    from_key, from_value = source.key or VOID, source.value or VOID
    to_key, to_value = target.key or VOID, target.value or VOID
    if from_key.kind is Kind.VOID or (_engine_casts_alike(from_key, to_key) and _engine_casts_alike(from_value, to_value)):
        return f"CAST({sql} AS {target.engine})"
    item = f"e{depth}"
    key = convert(f"{item}.key", from_key, to_key, depth + 1)
    value = convert(f"{item}.value", from_value, to_value, depth + 1)
    return f"map_from_entries(list_transform(map_entries({sql}), lambda {item}: struct_pack(key := {key}, value := {value})))"


def _to_struct(sql: str, source: Type, target: Type, depth: int) -> str | None:
    if source.kind is Kind.VARIANT:
        return f"CAST(json_transform_strict({sql}, {text_of(json_structure(target))}) AS {target.engine})"
    if source.kind is not Kind.STRUCT or len(source.fields) != len(target.fields):
        return None
    pairs = zip(source.fields, target.fields, strict=True)
    parts = [
        f"{name_of(new.name)} := {convert(f'struct_extract({sql}, {text_of(old.name)})', old.type, new.type, depth + 1)}"
        for old, new in pairs
    ]
    return f"CASE WHEN {sql} IS NOT NULL THEN struct_pack({', '.join(parts)}) END"


def _engine_casts_alike(source: Type, target: Type) -> bool:
    """Whether the engine's own cast does the same, so that a whole array can be cast at once."""
    if source == target or source.kind is Kind.VOID:
        return True
    if source.is_integral and target.is_numeric:
        return True
    if source.kind is Kind.DECIMAL and target.kind in {Kind.DECIMAL, Kind.DOUBLE}:
        return True
    return source.kind is Kind.FLOAT and target.kind is Kind.DOUBLE


def json_structure(of_type: Type) -> str:
    """The engine's description of a type for reading JSON."""
    import json

    return json.dumps(_structure(of_type))


def _structure(of_type: Type) -> object:
    if of_type.kind is Kind.ARRAY:
        return [_structure(of_type.item)]
    if of_type.kind is Kind.STRUCT:
        return {field.name: _structure(field.type) for field in of_type.fields}
    if of_type.kind is Kind.MAP:
        return f"MAP(VARCHAR, {(of_type.value or VOID).engine})"
    return of_type.engine


_CONVERTERS: dict[Kind, Callable[[str, Type, Type, int], str | None]] = {
    Kind.BOOLEAN: _to_boolean,
    Kind.TINYINT: _to_integral,
    Kind.SMALLINT: _to_integral,
    Kind.INT: _to_integral,
    Kind.BIGINT: _to_integral,
    Kind.FLOAT: _to_floating,
    Kind.DOUBLE: _to_floating,
    Kind.DECIMAL: _to_decimal,
    Kind.STRING: _to_string,
    Kind.BINARY: _to_binary,
    Kind.DATE: _to_date,
    Kind.TIMESTAMP: _to_timestamp,
    Kind.TIMESTAMP_NTZ: _to_ntz,
    Kind.INTERVAL: _to_interval,
    Kind.VARIANT: _to_variant,
    Kind.ARRAY: _to_array,
    Kind.MAP: _to_map,
    Kind.STRUCT: _to_struct,
}
