"""Higher-order functions: `transform(xs, x -> x + 1)` and its kin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import common_type, implicit
from insjo.sql.dialect.fragments import Fragment, made
from insjo.sql.dialect.functions.arrays import array_argument, map_argument
from insjo.sql.dialect.functions.registry import Call, Definition, scalar
from insjo.sql.dialect.types import BOOLEAN, INT, Kind, Type, array_of, map_of
from insjo.sql.errors import DatatypeMismatch

if TYPE_CHECKING:
    from collections.abc import Sequence


def _lambda(call: Call, index: int, types: Sequence[Type], *, optional: int = 0) -> tuple[list[str], Fragment]:
    """Engine's names of the parameters and the body of a lambda among the arguments."""
    node = call.nodes[index]
    if not isinstance(node, exp.Lambda):
        raise DatatypeMismatch(f"{call.label} takes a lambda such as `x -> x + 1` as argument {index + 1}.")
    names = [parameter.name for parameter in node.expressions]
    if not len(types) - optional <= len(names) <= len(types):
        raise DatatypeMismatch(f"{call.label} takes a lambda with {len(types)} parameters, and this one has {len(names)}.")
    with call.compiler.parameters(names, types[: len(names)]) as fresh:
        return fresh, call.compiler.compile(node.this)


@scalar("transform", 2)
def transform(call: Call) -> Fragment:
    """Every element; the second parameter counts from 0."""
    values = array_argument(call, 0).seen()
    names, body = _lambda(call, 1, (values.type.item, INT), optional=1)
    body = body.seen()
    sql = body.sql
    if len(names) == 2:  # noqa: PLR2004  # With the index; the engine counts from 1.
        sql = _with_index(sql, names[1])
    return made(f"list_transform({values.sql}, lambda {', '.join(names)}: {sql})", array_of(body.type), values, body)


def _with_index(sql: str, name: str) -> str:
    """The engine's index counts from 1 and is a BIGINT: what stands for the caller's index counts from 0 and is an INT."""
    return re.sub(rf"\b{name}\b", f"CAST({name} - 1 AS INTEGER)", sql)


@scalar("filter", 2)
def filter_array(call: Call) -> Fragment:
    """Elements for which it is true."""
    values = array_argument(call, 0).seen()
    names, body = _lambda(call, 1, (values.type.item, INT), optional=1)
    test = implicit(body, BOOLEAN, call.label)
    sql = _with_index(test.sql, names[1]) if len(names) == 2 else test.sql  # noqa: PLR2004  # With the index.
    return made(f"list_filter({values.sql}, lambda {', '.join(names)}: {sql})", values.type, values, test)


@scalar("exists forall", 2)
def quantified(call: Call) -> Fragment:
    """Whether it is true for one, or for all; NULL where that is open."""
    values = array_argument(call, 0).seen()
    names, body = _lambda(call, 1, (values.type.item,))
    test = implicit(body, BOOLEAN, call.label)
    outcomes = f"list_transform({values.sql}, lambda {names[0]}: {test.sql})"
    return made(f"insjo_{call.name}({outcomes})", BOOLEAN, values, test)


@scalar("aggregate reduce", 3, 4)
def reduce_array(call: Call) -> Fragment:
    """From a start value over all elements, and a last step."""
    values, start = array_argument(call, 0).seen(), call.arg(1).seen()
    accumulator = start.type
    names, body = _lambda(call, 2, (accumulator, values.type.item))
    if body.type != accumulator:
        wider = common_type(accumulator, body.type)
        if wider is None:
            raise DatatypeMismatch(f"{call.label} starts with `{accumulator.text}`, and its lambda gives `{body.type.text}`.")
        accumulator, start = wider, cast(start, wider)
        names, body = _lambda(call, 2, (accumulator, values.type.item))
    body = cast(body, accumulator)
    # The engine wants the accumulator to be of the elements' type, so both travel in one struct.
    state = f"STRUCT(a {accumulator.engine}, x {values.type.item.engine if values.type.item.kind is not Kind.VOID else 'INTEGER'})"
    steps = f"list_transform({values.sql}, lambda s_: CAST(struct_pack(a := NULL, x := s_) AS {state}))"
    first = f"CAST(struct_pack(a := {start.sql}, x := NULL) AS {state})"
    left, right = names
    step = _renamed(_renamed(body.sql, left, f"{left}.a"), right, f"{right}.x")
    reduced = f"list_reduce({steps}, lambda {left}, {right}: CAST(struct_pack(a := {step}, x := NULL) AS {state}), {first}).a"
    sql = f"CASE WHEN {values.sql} IS NULL THEN NULL ELSE {reduced} END"
    result = made(sql, accumulator, values, start, body)
    if len(call) == 3:  # noqa: PLR2004  # Without a last step.
        return result
    last_names, finish = _lambda(call, 3, (accumulator,))
    finish = finish.seen()
    return made(f"list_extract(list_transform([{result.sql}], lambda {last_names[0]}: {finish.sql}), 1)", finish.type, result, finish)


def _renamed(sql: str, name: str, new: str) -> str:
    """Parameters have names that occur nowhere else, so plain replacement is safe."""
    return re.sub(rf"\b{name}\b", new, sql)


@scalar("zip_with", 3)
def zip_with(call: Call) -> Fragment:
    """Elements at the same places; NULL where one array is shorter."""
    left, right = array_argument(call, 0).seen(), array_argument(call, 1).seen()
    names, body = _lambda(call, 2, (left.type.item, right.type.item))
    body = body.seen()
    first, second = names
    place = call.compiler.fresh("i")
    sql = _renamed(_renamed(body.sql, first, f"list_extract({left.sql}, {place})"), second, f"list_extract({right.sql}, {place})")
    places = f"range(1, greatest(len({left.sql}), len({right.sql})) + 1)"
    whole = f"CASE WHEN {left.sql} IS NULL OR {right.sql} IS NULL THEN NULL ELSE list_transform({places}, lambda {place}: {sql}) END"
    return made(whole, array_of(body.type), left, right, body)


@scalar("array_sort", 1, 2)
def array_sort(call: Call) -> Fragment:
    """Upwards with NULLs last; with a comparing lambda an insertion sort: elements not greater, the new one, the rest."""
    values = array_argument(call, 0).seen()
    if len(call) == 1:
        return made(f"list_sort({values.sql}, 'ASC', 'NULLS LAST')", values.type, values)
    item = values.type.item
    names, body = _lambda(call, 1, (item, item))
    order = implicit(body, INT, call.label)
    left, right = names
    engine = values.type.engine
    # Each element becomes a list of one, so that lists are what is reduced.
    done, new = call.compiler.fresh("a"), call.compiler.fresh("b")
    compared = _renamed(order.sql, right, f"list_extract({new}, 1)")
    kept = f"list_filter({done}, lambda {left}: {compared} <= 0)"
    rest = f"list_filter({done}, lambda {left}: {compared} > 0)"
    singles = f"list_transform({values.sql}, lambda o_: [o_])"
    reduced = f"list_reduce({singles}, lambda {done}, {new}: {kept} || {new} || {rest}, CAST([] AS {engine}))"
    return made(f"CASE WHEN {values.sql} IS NOT NULL THEN {reduced} END", values.type, values, order)


# ------------------------------------------------------------------------------------------------ maps


def _entry_lambda(call: Call, key: Type, value: Type) -> tuple[str, Fragment]:
    """Engine's name of an entry of a map, and the body of a lambda over key and value in terms of it."""
    entry = call.compiler.fresh("e")
    names, body = _lambda(call, 1, (key, value))
    body = body.seen()
    sql = _renamed(_renamed(body.sql, names[0], f"{entry}.key"), names[1], f"{entry}.value")
    return entry, made(sql, body.type, body)


@scalar("map_filter", 2)
def map_filter(call: Call) -> Fragment:
    """Entries for which it is true."""
    owner, key, value = map_argument(call, 0)
    entry, body = _entry_lambda(call, key, value)
    body = implicit(body, BOOLEAN, call.label)
    sql = f"map_from_entries(list_filter(map_entries({owner.sql}), lambda {entry}: {body.sql}))"
    return made(f"CASE WHEN {owner.sql} IS NOT NULL THEN {sql} END", owner.type, owner, body)


@scalar("transform_keys transform_values", 2)
def transform_map(call: Call) -> Fragment:
    """Other keys, or other values."""
    owner, key, value = map_argument(call, 0)
    entry, body = _entry_lambda(call, key, value)
    new_key, new_value = (body.sql, f"{entry}.value") if call.name == "transform_keys" else (f"{entry}.key", body.sql)
    of_type = map_of(body.type, value) if call.name == "transform_keys" else map_of(key, body.type)
    sql = f"map_from_entries(list_transform(map_entries({owner.sql}), lambda {entry}: struct_pack(key := {new_key}, value := {new_value})))"
    return made(f"CASE WHEN {owner.sql} IS NOT NULL THEN {sql} END", of_type, owner, body)


@scalar("map_zip_with", 3)
def map_zip_with(call: Call) -> Fragment:
    """Values of the same key in two maps; NULL where one lacks it."""
    left, key, left_value = map_argument(call, 0)
    right, right_key, right_value = map_argument(call, 1)
    if key != right_key:
        raise DatatypeMismatch(f"{call.label} takes maps with the same type of keys.")
    names, body = _lambda(call, 2, (key, left_value, right_value))
    body = body.seen()
    sql = body.sql
    own = call.compiler.fresh("k")
    for name, new in zip(names, (own, f"({left.sql})[{own}]", f"({right.sql})[{own}]"), strict=True):
        sql = _renamed(sql, name, new)
    keys = f"insjo_distinct(map_keys({left.sql}) || map_keys({right.sql}))"
    entries = f"map_from_entries(list_transform({keys}, lambda {own}: struct_pack(key := {own}, value := {sql})))"
    whole = f"CASE WHEN {left.sql} IS NULL OR {right.sql} IS NULL THEN NULL ELSE {entries} END"
    return made(whole, map_of(key, body.type), left, right, body)


DEFINITIONS: tuple[Definition, ...] = (
    array_sort,
    transform,
    filter_array,
    quantified,
    reduce_array,
    zip_with,
    map_filter,
    transform_map,
    map_zip_with,
)
