"""Higher-order functions: `transform(xs, x -> x + 1)` and its kin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import common_type, implicit
from insjo.sql.dialect.fragments import SUBQUERY, Fragment, made
from insjo.sql.dialect.functions.arrays import array_argument, map_argument
from insjo.sql.dialect.functions.registry import Call, Definition, scalar
from insjo.sql.dialect.types import BOOLEAN, INT, Kind, Type, array_of, map_of
from insjo.sql.errors import DatatypeMismatch, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Sequence


def _lambda(call: Call, index: int, values: Sequence[Fragment], *, optional: int = 0) -> Fragment:
    """Body of a lambda among the arguments, its parameters standing for the values; the last ones may be left out."""
    node = call.nodes[index]
    if not isinstance(node, exp.Lambda):
        raise DatatypeMismatch(f"{call.label} takes a lambda such as `x -> x + 1` as argument {index + 1}.")
    names = [parameter.name for parameter in node.expressions]
    if not len(values) - optional <= len(names) <= len(values):
        raise DatatypeMismatch(f"{call.label} takes a lambda with {len(values)} parameters, and this one has {len(names)}.")
    with call.compiler.parameters(names, values[: len(names)]):
        body = call.compiler.compile(node.this)
    if SUBQUERY in body.flags:
        raise UnsupportedFeature(f"A query inside the lambda of {call.label} is not supported.")
    return body


def _element_and_place(call: Call, item: Type) -> tuple[str, str, list[Fragment]]:
    """Engine's names of an element and its place (from 1, a BIGINT), and what the caller sees of them (from 0, an INT)."""
    element, place = call.compiler.fresh("v"), call.compiler.fresh("n")
    return element, place, [Fragment(element, item), Fragment(f"CAST({place} - 1 AS INTEGER)", INT)]


@scalar("transform", 2)
def transform(call: Call) -> Fragment:
    """Every element; the second parameter counts from 0."""
    values = array_argument(call, 0).seen()
    element, place, parameters = _element_and_place(call, values.type.item)
    body = _lambda(call, 1, parameters, optional=1).seen()
    return made(f"list_transform({values.sql}, lambda {element}, {place}: {body.sql})", array_of(body.type), values, body)


@scalar("filter", 2)
def filter_array(call: Call) -> Fragment:
    """Elements for which it is true."""
    values = array_argument(call, 0).seen()
    element, place, parameters = _element_and_place(call, values.type.item)
    test = implicit(_lambda(call, 1, parameters, optional=1), BOOLEAN, call.label)
    return made(f"list_filter({values.sql}, lambda {element}, {place}: {test.sql})", values.type, values, test)


@scalar("exists forall", 2)
def quantified(call: Call) -> Fragment:
    """Whether it is true for one, or for all; NULL where that is open."""
    values = array_argument(call, 0).seen()
    element = call.compiler.fresh("v")
    test = implicit(_lambda(call, 1, [Fragment(element, values.type.item)]), BOOLEAN, call.label)
    outcomes = f"list_transform({values.sql}, lambda {element}: {test.sql})"
    return made(f"insjo_{call.name}({outcomes})", BOOLEAN, values, test)


@scalar("aggregate reduce", 3, 4)
def reduce_array(call: Call) -> Fragment:
    """From a start value over all elements, and a last step."""
    values, start = array_argument(call, 0).seen(), call.arg(1).seen()
    accumulator, item = start.type, values.type.item
    # The engine wants the accumulator to be of the elements' type, so both travel in one struct: a, the state, and x, the element.
    left, right = call.compiler.fresh("a"), call.compiler.fresh("x")
    body = _lambda(call, 2, [Fragment(f"{left}.a", accumulator), Fragment(f"{right}.x", item)])
    if body.type != accumulator:
        wider = common_type(accumulator, body.type)
        if wider is None:
            raise DatatypeMismatch(f"{call.label} starts with `{accumulator.text}`, and its lambda gives `{body.type.text}`.")
        accumulator, start = wider, cast(start, wider)
        body = _lambda(call, 2, [Fragment(f"{left}.a", accumulator), Fragment(f"{right}.x", item)])
    body = cast(body, accumulator)
    state = f"STRUCT(a {accumulator.engine}, x {item.engine if item.kind is not Kind.VOID else 'INTEGER'})"
    steps = f"list_transform({values.sql}, lambda s_: CAST(struct_pack(a := NULL, x := s_) AS {state}))"
    first = f"CAST(struct_pack(a := {start.sql}, x := NULL) AS {state})"
    step = f"CAST(struct_pack(a := {body.sql}, x := NULL) AS {state})"
    sql = f"CASE WHEN {values.sql} IS NULL THEN NULL ELSE list_reduce({steps}, lambda {left}, {right}: {step}, {first}).a END"
    result = made(sql, accumulator, values, start, body)
    if len(call) == 3:  # noqa: PLR2004  # Without a last step.
        return result
    end = call.compiler.fresh("v")
    finish = _lambda(call, 3, [Fragment(end, accumulator)]).seen()
    return made(f"list_extract(list_transform([{result.sql}], lambda {end}: {finish.sql}), 1)", finish.type, result, finish)


@scalar("zip_with", 3)
def zip_with(call: Call) -> Fragment:
    """Elements at the same places; NULL where one array is shorter."""
    left, right = array_argument(call, 0).seen(), array_argument(call, 1).seen()
    place = call.compiler.fresh("i")
    pair = [Fragment(f"list_extract({each.sql}, {place})", each.type.item) for each in (left, right)]
    body = _lambda(call, 2, pair).seen()
    places = f"range(1, greatest(len({left.sql}), len({right.sql})) + 1)"
    whole = f"CASE WHEN {left.sql} IS NULL OR {right.sql} IS NULL THEN NULL ELSE list_transform({places}, lambda {place}: {body.sql}) END"
    return made(whole, array_of(body.type), left, right, body)


@scalar("array_sort", 1, 2)
def array_sort(call: Call) -> Fragment:
    """Upwards with NULLs last; with a comparing lambda an insertion sort: elements not greater, the new one, the rest."""
    values = array_argument(call, 0).seen()
    if len(call) == 1:
        return made(f"list_sort({values.sql}, 'ASC', 'NULLS LAST')", values.type, values)
    done, new, old = (call.compiler.fresh(letter) for letter in "abv")
    item = values.type.item
    order = implicit(_lambda(call, 1, [Fragment(old, item), Fragment(f"list_extract({new}, 1)", item)]), INT, call.label)
    # Each element becomes a list of one, so that lists are what is reduced.
    kept = f"list_filter({done}, lambda {old}: {order.sql} <= 0)"
    rest = f"list_filter({done}, lambda {old}: {order.sql} > 0)"
    singles = f"list_transform({values.sql}, lambda o_: [o_])"
    reduced = f"list_reduce({singles}, lambda {done}, {new}: {kept} || {new} || {rest}, CAST([] AS {values.type.engine}))"
    return made(f"CASE WHEN {values.sql} IS NOT NULL THEN {reduced} END", values.type, values, order)


# ------------------------------------------------------------------------------------------------ maps


def _entry_lambda(call: Call, key: Type, value: Type) -> tuple[str, Fragment]:
    """Engine's name of an entry of a map, and the body of a lambda over key and value in terms of it."""
    entry = call.compiler.fresh("e")
    return entry, _lambda(call, 1, [Fragment(f"{entry}.key", key), Fragment(f"{entry}.value", value)]).seen()


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
    own = call.compiler.fresh("k")
    found = [Fragment(own, key), Fragment(f"({left.sql})[{own}]", left_value), Fragment(f"({right.sql})[{own}]", right_value)]
    body = _lambda(call, 2, found).seen()
    keys = f"insjo_distinct(map_keys({left.sql}) || map_keys({right.sql}))"
    entries = f"map_from_entries(list_transform({keys}, lambda {own}: struct_pack(key := {own}, value := {body.sql})))"
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
