"""JSON in texts, and VARIANT, which travels as JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from insjo.sql.dialect.casts import cast, convert
from insjo.sql.dialect.fragments import Fragment, fail, fill, made, name_of, string, text_of
from insjo.sql.dialect.functions.registry import Call, Definition, scalar, template
from insjo.sql.dialect.types import BOOLEAN, INT, STRING, VARIANT, VOID, Kind, Type, array_of, is_plain_field, parse_fields, parse_type
from insjo.sql.errors import ArgumentInvalid, DatatypeMismatch, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\[\s*'((?:[^'\\]|\\.)*)'\s*\]|\[\s*\"((?:[^\"\\]|\\.)*)\"\s*\]|(\[\*\])")

Step = str | int | None
"""A key, an index, or None for all elements."""


def steps_of(path: str) -> list[Step]:
    """Steps of a path such as `$.a[0]['b c']`; raises ArgumentInvalid."""
    if not path.startswith("$"):
        raise ArgumentInvalid(f"`{path}` is no JSON path: it begins with `$`.")
    steps: list[Step] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ArgumentInvalid(f"`{path}` is no JSON path.")
        if found[5]:
            steps.append(None)
        elif found[2] is not None:
            steps.append(int(found[2]))
        else:
            steps.append(next(each for each in (found[1], found[3], found[4]) if each is not None))
        at = found.end()
    return steps


def _key_path(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


def follow(json_sql: str, steps: Sequence[tuple[Step, bool]], depth: int = 0) -> str:
    """JSON at the end of a path; the flag of a step says that its key is compared without regard to case."""
    sql = json_sql
    for index, (step, loose) in enumerate(steps):
        if step is None:
            item = f"w{depth}"
            rest = follow(item, steps[index + 1 :], depth + 1)
            found = f"list_filter(list_transform(json_extract({sql}, '$[*]'), lambda {item}: {rest}), lambda {item}: {item} IS NOT NULL)"
            return f"CAST(to_json({found}) AS JSON)"
        if isinstance(step, int):
            sql = f"json_extract({sql}, '$[{step}]')"
        elif loose:
            sql = f"insjo_json_field({sql}, {text_of(step)}, {text_of(_key_path(step))})"
        else:
            sql = f"json_extract({sql}, {text_of(_key_path(step))})"
    return sql


def extract_path(source: Fragment, path: exp.Expr) -> Fragment:
    """`value:a.b[0]`: of a text a text, of a variant a variant."""
    steps: list[tuple[Step, bool]] = []
    loose = source.type.kind is Kind.STRING
    for part in path.expressions:
        if isinstance(part, exp.JSONPathRoot):
            continue
        if isinstance(part, exp.JSONPathKey) and isinstance(part.this, str):
            steps.append((part.this, loose and not part.args.get("quoted")))
        elif isinstance(part, exp.JSONPathSubscript) and isinstance(part.this, int | str):
            steps.append((part.this, False))
        elif isinstance(part, exp.JSONPathSubscript) and isinstance(part.this, exp.JSONPathWildcard):
            steps.append((None, False))
        else:
            message = "This part of a path after `:` is not supported."
            raise UnsupportedFeature(message)
    if source.type.kind is Kind.VARIANT:
        return made(follow(source.sql, steps), VARIANT, source)
    if source.type.kind is not Kind.STRING:
        raise DatatypeMismatch(f"`:` takes a text with JSON or a variant, and not `{source.type.text}`.")
    return made(f"insjo_variant_text({follow(f'insjo_lenient_json({source.sql})', steps)})", STRING, source)


def variant_at(source: Fragment, path: str) -> Fragment:
    """Part of a variant at a constant path."""
    return made(follow(source.sql, [(step, False) for step in steps_of(path)]), VARIANT, source)


@scalar("get_json_object", 2)
def get_json_object(call: Call) -> Fragment:
    """Text at a path; NULL for text that is no JSON."""
    steps = [(step, False) for step in steps_of(call.constant_text(1, "path"))]
    text = call.take(0, STRING)
    return made(f"insjo_variant_text({follow(f'insjo_lenient_json({text.sql})', steps)})", STRING, text)


@scalar("parse_json try_parse_json", 1)
def parse_json(call: Call) -> Fragment:
    """Variant from a text."""
    text = call.take(0, STRING)
    if call.name == "try_parse_json":
        return fill("insjo_lenient_json({0})", VARIANT, text)
    raised = fail("MALFORMED_RECORD_IN_PARSING", "The text is no JSON: ", VARIANT, tail=f"left({text.sql}, 100)")
    return made(
        f"CASE WHEN {text.sql} IS NULL THEN NULL WHEN json_valid({text.sql}) THEN json({text.sql}) ELSE {raised} END", VARIANT, text
    )


@scalar("variant_get try_variant_get", 2, 3)
def variant_get(call: Call) -> Fragment:
    """Part of a variant as a type."""
    source = call.arg(0)
    if source.type.kind is not Kind.VARIANT:
        raise DatatypeMismatch(f"{call.label} takes a variant, and not `{source.type.text}`.", hint="`parse_json` makes one.")
    part = variant_at(source, call.constant_text(1, "path"))
    target = parse_type(call.constant_text(2, "type")) if len(call) > 2 else VARIANT  # noqa: PLR2004  # The type.
    return cast(part, target, safe=call.name.startswith("try_"))


@scalar("is_variant_null", 1)
def is_variant_null(call: Call) -> Fragment:
    """Whether a variant is the `null` of JSON."""
    return fill("CASE WHEN {0} IS NULL THEN FALSE ELSE json_type({0}) = 'NULL' END", BOOLEAN, call.arg(0))


@scalar("to_variant_object", 1)
def to_variant_object(call: Call) -> Fragment:
    """Variant from structs, maps and arrays."""
    value = call.arg(0).seen()
    return made(f"CAST({json_text(value.sql, value.type, keep_nulls=True)} AS JSON)", VARIANT, value)


# ------------------------------------------------------------------------------------------------ to_json


def json_text(sql: str, of_type: Type, *, keep_nulls: bool = False, depth: int = 0) -> str:
    """Text of a value as JSON in Spark's form; NULL gives NULL.  Fields of structs that are NULL are left out."""
    kind = of_type.kind
    if kind is Kind.STRUCT:
        return _struct_text(sql, of_type, keep_nulls, depth)
    if kind is Kind.ARRAY:
        item = f"a{depth}"
        body = json_text(item, of_type.item, keep_nulls=keep_nulls, depth=depth + 1)
        return f"('[' || array_to_string(list_transform({sql}, lambda {item}: coalesce({body}, 'null')), ',') || ']')"
    if kind is Kind.MAP:
        entry = f"m{depth}"
        key = convert(f"{entry}.key", of_type.key or VOID, STRING)
        body = json_text(f"{entry}.value", of_type.value or VOID, keep_nulls=keep_nulls, depth=depth + 1)
        pair = f"CAST(to_json({key}) AS VARCHAR) || ':' || coalesce({body}, 'null')"
        return f"('{{' || array_to_string(list_transform(map_entries({sql}), lambda {entry}: {pair}), ',') || '}}')"
    if kind in {Kind.STRING, Kind.DATE}:
        return f"CAST(to_json({convert(sql, of_type, STRING)}) AS VARCHAR)"
    if kind in {Kind.TIMESTAMP, Kind.TIMESTAMP_NTZ}:
        wall = f"timezone('UTC', {sql})" if kind is Kind.TIMESTAMP else sql
        zone = "Z" if kind is Kind.TIMESTAMP else ""
        return f"""('"' || strftime({wall}, '%Y-%m-%dT%H:%M:%S.%g{zone}') || '"')"""
    if kind in {Kind.FLOAT, Kind.DOUBLE}:
        text = convert(sql, of_type, STRING)
        return f"""CASE WHEN isfinite({sql}) THEN {text} WHEN {sql} IS NOT NULL THEN '"' || {text} || '"' END"""
    if kind is Kind.INTERVAL:
        message = "`to_json` of an interval is not supported."
        raise UnsupportedFeature(message)
    return f"""('"' || base64({sql}) || '"')""" if kind is Kind.BINARY else f"CAST({sql} AS VARCHAR)"


def _struct_text(sql: str, of_type: Type, keep_nulls: bool, depth: int) -> str:  # Passed on from a keyword.
    parts = []
    for field in of_type.fields:
        body = json_text(f"struct_extract({sql}, {text_of(field.name)})", field.type, keep_nulls=keep_nulls, depth=depth)
        label = text_of(json.dumps(field.name, ensure_ascii=False) + ":")
        parts.append(f"{label} || coalesce({body}, 'null')" if keep_nulls else f"{label} || {body}")
    whole = f"'{{' || array_to_string(list_filter([{', '.join(parts)}], lambda f_: f_ IS NOT NULL), ',') || '}}'"
    return f"CASE WHEN {sql} IS NOT NULL THEN {whole} END"


@scalar("to_json", 1, 2)
def to_json(call: Call) -> Fragment:
    """Text of a struct, a map, an array or a variant."""
    value = call.arg(0).seen()
    if not (value.type.is_nested or value.type.kind is Kind.VARIANT):
        raise DatatypeMismatch(f"{call.label} takes a struct, a map, an array or a variant, and not `{value.type.text}`.")
    if len(call) > 1 and _options(call, 1):
        raise UnsupportedFeature(f"Options of {call.label} are not supported.")
    return made(json_text(value.sql, value.type), STRING, value)


def _options(call: Call, index: int) -> bool:
    """Whether options are given at all; `map()` gives none."""
    node = call.nodes[index]
    return bool(node.expressions)


# ------------------------------------------------------------------------------------------------ from_json


@scalar("from_json", 2, 3)
def from_json(call: Call) -> Fragment:
    """Value of a type from a text; what does not fit becomes NULL."""
    schema = _schema_argument(call)
    if len(call) > 2 and _options(call, 2):  # noqa: PLR2004  # Options.
        raise UnsupportedFeature(f"Options of {call.label} are not supported.")
    text = call.take(0, STRING)
    if schema.kind is Kind.VARIANT:
        return fill("insjo_lenient_json({0})", VARIANT, text)
    read = from_json_value(f"insjo_lenient_json({text.sql})", schema)
    if schema.kind is Kind.STRUCT:
        nulls = ", ".join(f"{name_of(field.name)} := CAST(NULL AS {field.type.engine})" for field in schema.fields)
        read = f"CASE WHEN {text.sql} IS NOT NULL THEN coalesce({read}, struct_pack({nulls})) END"
    return made(f"CAST({read} AS {schema.engine})", schema, text)


def _schema_argument(call: Call) -> Type:
    node = call.nodes[1]
    if isinstance(node, exp.Anonymous) and node.name.lower() == "schema_of_json":
        sample = node.expressions[0]
        return parse_type(schema_text(json.loads(str(sample.this))))
    return parse_fields(call.constant_text(1, "schema"))


def from_json_value(sql: str, of_type: Type, depth: int = 0) -> str:
    """A JSON value as a type, NULL if it is another."""
    kind = of_type.kind
    if kind is Kind.STRUCT:
        fields = ", ".join(
            f"{name_of(field.name)} := {from_json_value(f'json_extract({sql}, {text_of(_key_path(field.name))})', field.type, depth)}"
            for field in of_type.fields
        )
        return f"CASE WHEN json_type({sql}) = 'OBJECT' THEN struct_pack({fields}) END"
    if kind is Kind.ARRAY:
        item = f"j{depth}"
        body = from_json_value(item, of_type.item, depth + 1)
        return f"CASE WHEN json_type({sql}) = 'ARRAY' THEN list_transform(json_extract({sql}, '$[*]'), lambda {item}: {body}) END"
    if kind is Kind.MAP:
        key_type, value_type = of_type.key or VOID, of_type.value or VOID
        if key_type.kind is not Kind.STRING:
            message = "`from_json` reads maps with texts as keys only."
            raise UnsupportedFeature(message)
        key = f"y{depth}"
        body = from_json_value(f"json_extract({sql}, insjo_key_path({key}))", value_type, depth + 1)
        entries = f"list_transform(json_keys({sql}), lambda {key}: struct_pack(key := {key}, value := {body}))"
        return f"CASE WHEN json_type({sql}) = 'OBJECT' THEN map_from_entries({entries}) END"
    return _scalar_from_json(sql, of_type)


_NUMBER_TYPES = "('BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE')"
_WHOLE_TYPES = "('BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT')"


def _scalar_from_json(sql: str, of_type: Type) -> str:
    kind = of_type.kind
    text = f"json_extract_string({sql}, '$')"
    if kind is Kind.STRING:
        return f"insjo_variant_text({sql})"
    if of_type.is_integral:
        return f"CASE WHEN json_type({sql}) IN {_WHOLE_TYPES} THEN TRY_CAST({text} AS {of_type.engine}) END"
    if kind in {Kind.FLOAT, Kind.DOUBLE}:
        special = f"{text} IN ('NaN', 'Infinity', '-Infinity', 'INF', '+INF', '-INF', '+Infinity')"
        fits = f"json_type({sql}) IN {_NUMBER_TYPES} OR (json_type({sql}) = 'VARCHAR' AND {special})"
        return f"CASE WHEN {fits} THEN TRY_CAST({text} AS {of_type.engine}) END"
    if kind is Kind.DECIMAL:
        return (
            f"CASE WHEN json_type({sql}) IN {_NUMBER_TYPES} OR json_type({sql}) = 'VARCHAR' THEN TRY_CAST({text} AS {of_type.engine}) END"
        )
    if kind is Kind.BOOLEAN:
        return f"CASE WHEN json_type({sql}) = 'BOOLEAN' THEN {text} = 'true' END"
    if kind in {Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_NTZ}:
        return f"CASE WHEN json_type({sql}) = 'VARCHAR' THEN TRY({convert(text, STRING, of_type)}) END"
    if kind is Kind.BINARY:
        return f"CASE WHEN json_type({sql}) = 'VARCHAR' THEN TRY(from_base64({text})) END"
    if kind is Kind.VARIANT:
        return sql
    raise UnsupportedFeature(f"`from_json` of `{of_type.text}` is not supported.")


# ------------------------------------------------------------------------------------------------ schema


@scalar("schema_of_json", 1, 2)
def schema_of_json(call: Call) -> Fragment:
    """Schema of a constant text."""
    text = call.constant_text(0, "JSON")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ArgumentInvalid(f"{call.label} takes JSON, and this is none: {error.msg}.") from error
    return string(schema_text(value))


def schema_text(value: object) -> str:
    """Schema of a JSON value as Databricks writes it: `STRUCT<a: BIGINT>`."""
    return _schema_words(_infer(value))


def _infer(value: object) -> Any:  # noqa: ANN401  # A small tree: word, ("array", item) or ("struct", fields).
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "BIGINT" if -(2**63) <= value < 2**63 else f"DECIMAL({len(str(abs(value)))},0)"
    if isinstance(value, float):
        return "DOUBLE"
    if isinstance(value, str):
        return "STRING"
    if isinstance(value, list):
        item: Any = "NULL"
        for each in value:
            item = _merge(item, _infer(each))
        return ("array", item)
    if isinstance(value, dict):
        return ("struct", {key: _infer(each) for key, each in sorted(value.items())})
    return "STRING"


def _merge(left: Any, right: Any) -> Any:  # noqa: ANN401  # As `_infer`.
    if right in (left, "NULL"):
        return left
    if left == "NULL":
        return right
    if isinstance(left, tuple) and isinstance(right, tuple) and left[0] == right[0]:
        if left[0] == "array":
            return ("array", _merge(left[1], right[1]))
        keys = sorted({*left[1], *right[1]})
        return ("struct", {key: _merge(left[1].get(key, "NULL"), right[1].get(key, "NULL")) for key in keys})
    if {left, right} == {"BIGINT", "DOUBLE"}:
        return "DOUBLE"
    return "STRING"


def _schema_words(tree: Any) -> str:  # noqa: ANN401  # As `_infer`.
    if isinstance(tree, str):
        return "STRING" if tree == "NULL" else tree
    if tree[0] == "array":
        return f"ARRAY<{_schema_words(tree[1])}>"
    return f"STRUCT<{', '.join(f'{_field_word(key)}: {_schema_words(each)}' for key, each in tree[1].items())}>"


def _field_word(name: str) -> str:
    return name if is_plain_field(name) else "`" + name.replace("`", "``") + "`"


DEFINITIONS: tuple[Definition, ...] = (
    get_json_object,
    parse_json,
    variant_get,
    is_variant_null,
    to_variant_object,
    to_json,
    from_json,
    schema_of_json,
    template("json_array_length", "s", INT, "insjo_json_array_length({0})"),
    template("json_object_keys", "s", array_of(STRING), "insjo_json_object_keys({0})"),
    template("schema_of_variant", "v", STRING, "insjo_py_schema_of_variant(CAST({0} AS VARCHAR))"),
)
