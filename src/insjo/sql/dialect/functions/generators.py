"""Functions that make rows: `explode` and its kin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.coercion import unified
from insjo.sql.dialect.fragments import Fragment, made, text_of
from insjo.sql.dialect.functions.arrays import array_argument
from insjo.sql.dialect.functions.json_values import follow
from insjo.sql.dialect.functions.registry import MANY, Call, Definition
from insjo.sql.dialect.types import INT, STRING, VARIANT, VOID, Kind, Type
from insjo.sql.errors import ArgumentInvalid, DatatypeMismatch, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable

    from insjo.sql.dialect.compiling import Compiler


@dataclass(frozen=True, slots=True)
class Generated:
    """Rows of one call.

    Attributes:
        items: A list; each of its elements becomes a row.
        columns: Name and type of each column.
        whole: Whether the element is the only column; else it is a struct with fields `f0`, `f1` ... for the columns.
    """

    items: Fragment
    columns: tuple[tuple[str, Type], ...]
    whole: bool = False


def is_generator(node: exp.Expr) -> bool:
    """Whether a node is a call that makes rows."""
    return isinstance(node, exp.Anonymous) and node.name.lower() in GENERATORS


def generate(compiler: Compiler, node: exp.Expr, *, outer: bool = False) -> Generated:
    """Rows of a call; with `outer` a row of NULLs where there are none."""
    name = node.name.lower()
    call = Call(compiler, name, list(node.expressions))
    generated = GENERATORS[name](call)
    if outer or name.endswith("_outer"):
        items = generated.items
        sql = f"CASE WHEN {items.sql} IS NULL OR len({items.sql}) = 0 THEN [NULL] ELSE {items.sql} END"
        generated = Generated(made(sql, items.type, items), generated.columns, generated.whole)
    return generated


def _struct(parts: list[str]) -> str:
    return f"struct_pack({', '.join(f'f{index} := {part}' for index, part in enumerate(parts))})"


def _explode(call: Call) -> Generated:
    value = call.arg(0).seen()
    if value.type.kind is Kind.MAP:
        key, item = value.type.key or VOID, value.type.value or VOID
        rows = made(f"list_transform(map_entries({value.sql}), lambda g_: {_struct(['g_.key', 'g_.value'])})", VOID, value)
        return Generated(rows, (("key", key), ("value", item)))
    values = array_argument(call, 0).seen()
    return Generated(values, (("col", values.type.item),), whole=True)


def _posexplode(call: Call) -> Generated:
    value = call.arg(0).seen()
    place = "CAST(n_ - 1 AS INTEGER)"
    if value.type.kind is Kind.MAP:
        key, item = value.type.key or VOID, value.type.value or VOID
        sql = f"list_transform(map_entries({value.sql}), lambda g_, n_: {_struct([place, 'g_.key', 'g_.value'])})"
        return Generated(made(sql, VOID, value), (("pos", INT), ("key", key), ("value", item)))
    values = array_argument(call, 0).seen()
    rows = made(f"list_transform({values.sql}, lambda g_, n_: {_struct([place, 'g_'])})", VOID, values)
    return Generated(rows, (("pos", INT), ("col", values.type.item)))


def _inline(call: Call) -> Generated:
    values = array_argument(call, 0).seen()
    if values.type.item.kind is not Kind.STRUCT:
        raise DatatypeMismatch(f"{call.label} takes an array of structs, and not `{values.type.text}`.")
    fields = values.type.item.fields
    parts = [f"struct_extract(g_, {text_of(field.name)})" for field in fields]
    rows = made(f"list_transform({values.sql}, lambda g_: {_struct(parts)})", VOID, values)
    return Generated(rows, tuple((field.name, field.type) for field in fields))


def _stack(call: Call) -> Generated:
    count = call.constant_whole(0, "number of rows")
    values = call.args(1)
    if count < 1 or not values:
        raise ArgumentInvalid(f"{call.label} takes a number of rows of 1 or more, and values.")
    width = -(-len(values) // count)
    columns = []
    for place in range(width):
        cells, common = unified([values[row * width + place] for row in range(count) if row * width + place < len(values)], call.label)
        cells += [made(f"CAST(NULL AS {common.engine})", common)] * (count - len(cells))
        columns.append((cells, common))
    rows = [_struct([cells[row].seen().sql for cells, _ in columns]) for row in range(count)]
    items = made(f"[{', '.join(rows)}]", VOID, *values)
    return Generated(items, tuple((f"col{place}", common) for place, (_, common) in enumerate(columns)))


def _json_tuple(call: Call) -> Generated:
    text = call.take(0, STRING)
    keys = [call.constant_text(index, "key") for index in range(1, len(call))]
    parts = [f"insjo_variant_text({follow(f'insjo_lenient_json({text.sql})', [(key, False)])})" for key in keys]
    return Generated(made(f"[{_struct(parts)}]", VOID, text), tuple((f"c{index}", STRING) for index in range(len(keys))))


def _variant_explode(call: Call) -> Generated:
    value = call.arg(0)
    if value.type.kind is not Kind.VARIANT:
        raise DatatypeMismatch(f"{call.label} takes a variant, and not `{value.type.text}`.")
    place = "CAST(n_ - 1 AS INTEGER)"
    of_array = f"list_transform(json_extract({value.sql}, '$[*]'), lambda g_, n_: {_struct([place, 'CAST(NULL AS VARCHAR)', 'g_'])})"
    of_object = (
        f"list_transform(json_keys({value.sql}), lambda g_, n_: "
        f"{_struct(['CAST(n_ - 1 AS INTEGER)', 'g_', f'json_extract({value.sql}, insjo_key_path(g_))'])})"
    )
    sql = f"CASE json_type({value.sql}) WHEN 'ARRAY' THEN {of_array} WHEN 'OBJECT' THEN {of_object} END"
    return Generated(made(sql, VOID, value), (("pos", INT), ("key", STRING), ("value", VARIANT)))


GENERATORS: dict[str, Callable[[Call], Generated]] = {
    "explode": _explode,
    "explode_outer": _explode,
    "posexplode": _posexplode,
    "posexplode_outer": _posexplode,
    "inline": _inline,
    "inline_outer": _inline,
    "stack": _stack,
    "json_tuple": _json_tuple,
    "variant_explode": _variant_explode,
    "variant_explode_outer": _variant_explode,
}


def _refuse(call: Call) -> Fragment:
    raise UnsupportedFeature(f"{call.label} makes rows: it can stand alone in a select list, in `LATERAL VIEW` and in `FROM` only.")


def cell(row: str, generated: Generated, index: int) -> Fragment:
    """One column of a row that a generator made."""
    of_type = generated.columns[index][1]
    return Fragment(row if generated.whole else f"struct_extract({row}, 'f{index}')", of_type)


DEFINITIONS: tuple[Definition, ...] = (Definition(tuple(GENERATORS), _refuse, 0, MANY, "generator"),)
