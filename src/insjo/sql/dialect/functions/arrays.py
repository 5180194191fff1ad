"""Arrays, maps and structs."""

from __future__ import annotations

from sqlglot import exp

from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import common_type, implicit, unified
from insjo.sql.dialect.fragments import VOLATILE, Fragment, fail, fill, made, name_of, null, string, text_of
from insjo.sql.dialect.functions.java_regex import plain_text
from insjo.sql.dialect.functions.registry import MANY, Call, Definition, scalar
from insjo.sql.dialect.types import (
    BIGINT,
    BOOLEAN,
    FLOAT,
    INT,
    STRING,
    TIMESTAMP,
    VOID,
    Kind,
    Type,
    array_of,
    interval_of,
    map_of,
    struct_of,
)
from insjo.sql.errors import ArgumentInvalid, DatatypeMismatch, UnsupportedFeature


def array_argument(call: Call, index: int) -> Fragment:
    """An argument that has to be an array."""
    fragment = call.arg(index)
    if fragment.is_null:
        return null(array_of(VOID))
    if fragment.type.kind is not Kind.ARRAY:
        raise DatatypeMismatch(f"{call.label} takes an array, and not `{fragment.type.text}`.")
    return fragment


def map_argument(call: Call, index: int) -> tuple[Fragment, Type, Type]:
    """An argument that has to be a map, with the types of its keys and values."""
    fragment = call.arg(index)
    if fragment.type.kind is not Kind.MAP or fragment.type.key is None or fragment.type.value is None:
        raise DatatypeMismatch(f"{call.label} takes a map, and not `{fragment.type.text}`.")
    return fragment, fragment.type.key, fragment.type.value


def _with_element(call: Call) -> tuple[Fragment, Fragment]:
    """Array and element, both of their least common type."""
    array, element = array_argument(call, 0), call.arg(1)
    item = common_type(array.type.item, element.type)
    if item is None:
        raise DatatypeMismatch(f"{call.label} takes an array and an element of it, and not `{array.type.text}` and `{element.type.text}`.")
    return cast(array, array_of(item)), cast(element, item) if not element.is_null else null(item)


def _two_arrays(call: Call) -> tuple[Fragment, Fragment, Type]:
    arrays, common = unified([array_argument(call, 0), array_argument(call, 1)], call.label)
    return arrays[0], arrays[1], common


@scalar("array", 0, MANY)
def array(call: Call) -> Fragment:
    """From its elements."""
    values, common = call.unified()
    if not values:
        return made("[]", array_of(VOID), exact=False)
    return made(f"[{', '.join(value.seen().sql for value in values)}]", array_of(common), *values, exact=common.kind is not Kind.VOID)


@scalar("array_append array_prepend", 2)
def array_extend(call: Call) -> Fragment:
    """With one more element at its end or beginning."""
    values, element = _with_element(call)
    joined = "{0} || [{1}]" if call.name == "array_append" else "[{1}] || {0}"
    return fill(f"CASE WHEN {{0}} IS NOT NULL THEN {joined} END", values.type, values, element)


@scalar("array_contains", 2)
def array_contains(call: Call) -> Fragment:
    """NULL when it is not found and there are NULLs."""
    values, element = _with_element(call)
    return fill("insjo_contains({0}, {1})", BOOLEAN, values, element)


@scalar("array_position", 2)
def array_position(call: Call) -> Fragment:
    """Counted from 1; 0 if it is not there."""
    values, element = _with_element(call)
    sql = "CASE WHEN {0} IS NULL OR {1} IS NULL THEN NULL ELSE CAST(coalesce(list_position({0}, {1}), 0) AS BIGINT) END"
    return fill(sql, BIGINT, values, element)


@scalar("array_remove", 2)
def array_remove(call: Call) -> Fragment:
    """Without all elements that are equal; NULLs stay."""
    values, element = _with_element(call)
    return fill("CASE WHEN {1} IS NOT NULL THEN list_filter({0}, lambda r_: r_ IS DISTINCT FROM {1}) END", values.type, values, element)


@scalar("array_distinct array_compact", 1)
def array_thin(call: Call) -> Fragment:
    """Without repetitions, or without NULLs; the order stays."""
    values = array_argument(call, 0).seen()
    return fill(
        "insjo_distinct({0})" if call.name == "array_distinct" else "list_filter({0}, lambda c_: c_ IS NOT NULL)", values.type, values
    )


@scalar("array_union array_intersect array_except", 2)
def array_sets(call: Call) -> Fragment:
    """As sets, in the order of the first appearance; NULL counts as a value."""
    left, right, common = _two_arrays(call)
    templates = {
        "array_union": "CASE WHEN {0} IS NULL OR {1} IS NULL THEN NULL ELSE insjo_distinct({0} || {1}) END",
        "array_intersect": "CASE WHEN {1} IS NULL THEN NULL ELSE list_filter(insjo_distinct({0}), lambda k_: insjo_has({1}, k_)) END",
        "array_except": "CASE WHEN {1} IS NULL THEN NULL ELSE list_filter(insjo_distinct({0}), lambda k_: NOT insjo_has({1}, k_)) END",
    }
    return fill(templates[call.name], common, left, right)


@scalar("arrays_overlap", 2)
def arrays_overlap(call: Call) -> Fragment:
    """Whether they share a value; NULL if only a NULL could be shared."""
    left, right, _ = _two_arrays(call)
    return fill("insjo_overlap({0}, {1})", BOOLEAN, left, right)


@scalar("array_join", 2, 3)
def array_join(call: Call) -> Fragment:
    """Elements as one text; NULLs are left out unless a text for them is given."""
    values, delimiter = array_argument(call, 0), call.take(1, STRING)
    texts = cast(values, array_of(STRING))
    if len(call) > 2:  # noqa: PLR2004  # Text for NULLs.
        texts = fill("list_transform({0}, lambda j_: coalesce(j_, {1}))", texts.type, texts, call.take(2, STRING))
    return fill("array_to_string({0}, {1})", STRING, texts, delimiter)


@scalar("array_max array_min", 1)
def array_extreme(call: Call) -> Fragment:
    """Largest or smallest element; NULLs do not count."""
    values = array_argument(call, 0).seen()
    return fill(f"list_aggregate({{0}}, '{call.name.removeprefix('array_')}')", values.type.item, values)


@scalar("array_repeat", 2)
def array_repeat(call: Call) -> Fragment:
    """One value several times."""
    value, count = call.arg(0).seen(), call.take(1, INT)
    sql = "CASE WHEN {1} IS NOT NULL THEN list_transform(range(greatest({1}, 0)), lambda n_: {0}) END"
    return fill(sql, array_of(value.type), value, count, exact=not value.is_null)


@scalar("array_size size cardinality", 1)
def size(call: Call) -> Fragment:
    """Number of elements of an array or a map."""
    value = call.arg(0)
    if value.type.kind is Kind.MAP and call.name != "array_size":
        return fill("CAST(cardinality({0}) AS INTEGER)", INT, value)
    return fill("CAST(len({0}) AS INTEGER)", INT, array_argument(call, 0))


@scalar("sort_array", 1, 2)
def sort_array(call: Call) -> Fragment:
    """Upwards with NULLs first, or downwards with NULLs last."""
    values = array_argument(call, 0).seen()
    upwards = call.constant_flag(1) if len(call) > 1 else True
    return fill("list_sort({0}, 'ASC', 'NULLS FIRST')" if upwards else "list_sort({0}, 'DESC', 'NULLS LAST')", values.type, values)


@scalar("slice", 3)
def slice_array(call: Call) -> Fragment:
    """From a position counted from 1, or from the end if negative, so many elements."""
    values, start, count = array_argument(call, 0), call.take(1, INT), call.take(2, INT)
    raised = fail("INVALID_PARAMETER_VALUE.START", "`slice` counts from 1, and its length is not negative.", values.type)
    xs, at, n = values.sql, start.sql, count.sql
    sql = (
        f"CASE WHEN {at} = 0 OR {n} < 0 THEN {raised} "
        f"WHEN {at} > 0 THEN list_slice({xs}, {at}, {at} + {n} - 1) "
        f"WHEN len({xs}) + {at} < 0 THEN list_slice({xs}, 1, 0) "
        f"ELSE list_slice({xs}, len({xs}) + {at} + 1, len({xs}) + {at} + {n}) END"
    )
    return made(sql, values.type, values, start, count)


@scalar("element_at try_element_at", 2)
def element_at(call: Call) -> Fragment:
    """Counted from 1, from the end if negative; of a map the value of a key, NULL if it is missing."""
    container = call.arg(0)
    if container.type.kind is Kind.MAP:
        owner, key_type, value_type = map_argument(call, 0)
        key = implicit(call.arg(1), key_type, call.label)
        return fill("({0})[{1}]", value_type, owner, key)
    values, place = array_argument(call, 0), call.take(1, INT)
    item = values.type.item
    raised = fail("INVALID_ARRAY_INDEX_IN_ELEMENT_AT", "The index is outside of the array: ", item, tail=f"CAST({place.sql} AS VARCHAR)")
    zero = fail("INVALID_INDEX_OF_ZERO", "Elements are counted from 1.", item)
    outside = f"WHEN abs({place.sql}) > len({values.sql}) THEN {raised} " if call.name == "element_at" else ""
    sql = f"CASE WHEN {place.sql} = 0 THEN {zero} {outside}ELSE list_extract({values.sql}, {place.sql}) END"
    return made(sql, item, values, place)


@scalar("get", 2)
def get(call: Call) -> Fragment:
    """Counted from 0; NULL outside."""
    values, place = array_argument(call, 0), call.take(1, INT)
    return fill("CASE WHEN {1} >= 0 THEN list_extract({0}, {1} + 1) END", values.type.item, values, place)


@scalar("flatten", 1)
def flatten(call: Call) -> Fragment:
    """Arrays of an array as one; NULL if one of them is."""
    values = array_argument(call, 0)
    if values.type.item.kind is not Kind.ARRAY:
        raise DatatypeMismatch(f"{call.label} takes an array of arrays, and not `{values.type.text}`.")
    sql = "CASE WHEN len(list_filter({0}, lambda f_: f_ IS NULL)) > 0 THEN NULL ELSE flatten({0}) END"
    return fill(sql, values.type.item, values)


@scalar("arrays_zip", 1, MANY)
def arrays_zip(call: Call) -> Fragment:
    """Structs of the elements at the same places; missing ones are NULL."""
    arrays = [array_argument(call, index).seen() for index in range(len(call))]
    names = [node.name if isinstance(node, exp.Column) else str(index) for index, node in enumerate(call.nodes)]
    fields = ", ".join(f"{name_of(name)} := list_extract({values.sql}, i_)" for name, values in zip(names, arrays, strict=True))
    of_type = array_of(struct_of(*((name, values.type.item) for name, values in zip(names, arrays, strict=True))))
    longest = f"greatest({', '.join(f'len({values.sql})' for values in arrays)})"
    nulls = " OR ".join(f"{values.sql} IS NULL" for values in arrays)
    sql = f"CASE WHEN {nulls} THEN NULL ELSE list_transform(range(1, {longest} + 1), lambda i_: struct_pack({fields})) END"
    return made(sql, of_type, *arrays)


@scalar("array_insert", 3)
def array_insert(call: Call) -> Fragment:
    """At a position counted from 1; NULLs fill a gap."""
    array_value, element = array_argument(call, 0), call.arg(2)
    item = common_type(array_value.type.item, element.type)
    place = call.arg(1).whole
    if item is None:
        raise DatatypeMismatch(f"{call.label} takes an array and an element of it.")
    if place is None or place < 1:
        raise UnsupportedFeature(f"{call.label} is supported with a constant position of 1 or more only.")
    values, new = cast(array_value, array_of(item)), cast(element, item)
    sql = (
        f"CASE WHEN {{0}} IS NULL THEN NULL WHEN len({{0}}) >= {place - 1} "
        f"THEN list_slice({{0}}, 1, {place - 1}) || [{{1}}] || list_slice({{0}}, {place}, len({{0}})) "
        f"ELSE list_resize({{0}}, {place - 1}) || [{{1}}] END"
    )
    return fill(sql, values.type, values, new)


@scalar("sequence", 2, 3)
def sequence(call: Call) -> Fragment:
    """From start to stop inclusive; numbers by a step, days and moments by an interval."""
    start, stop = call.arg(0), call.arg(1)
    if start.type.is_datetime or stop.type.is_datetime:
        return _moments(call, start, stop)
    values, common = unified(call.args(), call.label)
    if not common.is_integral:
        raise DatatypeMismatch(f"{call.label} takes whole numbers, dates or timestamps, and not `{common.text}`.")
    step = values[2].sql if len(values) > 2 else f"CASE WHEN {values[0].sql} <= {values[1].sql} THEN 1 ELSE -1 END"  # noqa: PLR2004  # A step.
    return made(f"CAST(insjo_sequence({values[0].sql}, {values[1].sql}, {step}) AS {common.engine}[])", array_of(common), *values)


def _moments(call: Call, start: Fragment, stop: Fragment) -> Fragment:
    (first, last), common = unified([start, stop], call.label)
    step = call.arg(2) if len(call) > 2 else made("to_days(1)", interval_of("day"))  # noqa: PLR2004  # A step.
    if step.type.kind is not Kind.INTERVAL:
        raise DatatypeMismatch(f"{call.label} of moments takes an interval as step, and not `{step.type.text}`.")
    if common.kind is Kind.DATE and not step.type.is_months and step.type.unit != "day":
        first, last, common = cast(first, TIMESTAMP), cast(last, TIMESTAMP), TIMESTAMP
    macro = "insjo_sequence_months" if step.type.is_months else "insjo_sequence_micros"
    amount = f"insjo_interval_months({step.sql})" if step.type.is_months else f"insjo_interval_us({step.sql})"
    backwards = ""
    if len(call) == 2:  # noqa: PLR2004  # Without a step the direction follows the ends.
        backwards = f" * CASE WHEN {first.sql} <= {last.sql} THEN 1 ELSE -1 END"
    walls = [f"CAST({each.sql} AS TIMESTAMP)" if common.kind is Kind.DATE else cast(each, common).sql for each in (first, last)]
    listed = f"{macro}({walls[0]}, {walls[1]}, {amount}{backwards})"
    return made(f"CAST({listed} AS {common.engine}[])", array_of(common), first, last, step)


@scalar("shuffle", 1)
def shuffle(call: Call) -> Fragment:
    """In an order of chance."""
    values = array_argument(call, 0).seen()
    drawn = f"list_sort(list_transform({values.sql}, lambda z_: struct_pack(o := random(), v := z_)))"
    return made(f"list_transform({drawn}, lambda z_: z_.v)", values.type, values, flags=(VOLATILE,))


@scalar("vector_cosine_similarity vector_inner_product vector_l2_distance", 2)
def vectors(call: Call) -> Fragment:
    """Of two arrays of FLOAT of the same length."""
    function = {
        "vector_cosine_similarity": "list_cosine_similarity",
        "vector_inner_product": "list_inner_product",
        "vector_l2_distance": "list_distance",
    }[call.name]
    left, right = (cast(array_argument(call, index), array_of(FLOAT)) for index in range(2))
    return fill(f"{function}({{0}}, {{1}})", FLOAT, left, right)


# ------------------------------------------------------------------------------------------------ structs


def _part_name(node: exp.Expr, index: int) -> str:
    if isinstance(node, exp.Alias):
        return node.alias
    if isinstance(node, exp.Column | exp.Identifier | exp.Dot) and node.name:
        return node.expression.name if isinstance(node, exp.Dot) else node.name
    return f"col{index}"


def packed(parts: list[tuple[str, Fragment]]) -> Fragment:
    """A struct of named values."""
    exact = [(name, value.seen()) for name, value in parts]
    fields = ", ".join(f"{name_of(name)} := {value.sql}" for name, value in exact)
    return made(f"struct_pack({fields})", struct_of(*((name, value.type) for name, value in exact)), *(value for _, value in exact))


@scalar("struct", 1, MANY)
def struct(call: Call) -> Fragment:
    """Fields are named after columns and aliases, else col1, col2 ..."""
    nodes = call.nodes
    names = [_part_name(node, index) for index, node in enumerate(nodes, 1)]
    return packed(
        [(name, call.compiler.compile(node.this if isinstance(node, exp.Alias) else node)) for name, node in zip(names, nodes, strict=True)]
    )


@scalar("named_struct", 2, MANY)
def named_struct(call: Call) -> Fragment:
    """Names and values in turn."""
    if len(call) % 2:
        raise ArgumentInvalid(f"{call.label} takes names and values in turn.")
    return packed([(call.constant_text(index, "name"), call.arg(index + 1)) for index in range(0, len(call), 2)])


# ------------------------------------------------------------------------------------------------ maps


@scalar("map", 0, MANY)
def make_map(call: Call) -> Fragment:
    """Keys and values in turn; a key twice is an error."""
    if len(call) % 2:
        raise ArgumentInvalid(f"{call.label} takes keys and values in turn.")
    if not len(call):
        return made("MAP([], [])", map_of(VOID, VOID), exact=False)
    keys, key_type = unified([call.arg(index) for index in range(0, len(call), 2)], call.label)
    values, value_type = unified([call.arg(index) for index in range(1, len(call), 2)], call.label)
    sql = f"MAP([{', '.join(key.sql for key in keys)}], [{', '.join(value.sql for value in values)}])"
    return made(sql, map_of(key_type, value_type), *keys, *values, exact=value_type.kind is not Kind.VOID)


@scalar("map_from_arrays", 2)
def map_from_arrays(call: Call) -> Fragment:
    """Of keys and of values, as many of each."""
    keys, values = array_argument(call, 0).seen(), array_argument(call, 1).seen()
    of_type = map_of(keys.type.item, values.type.item)
    return fill("CASE WHEN {0} IS NULL OR {1} IS NULL THEN NULL ELSE MAP({0}, {1}) END", of_type, keys, values)


@scalar("map_from_entries", 1)
def map_from_entries(call: Call) -> Fragment:
    """Of structs of two fields."""
    entries = array_argument(call, 0).seen()
    fields = entries.type.item.fields
    if len(fields) != 2:  # noqa: PLR2004  # Key and value.
        raise DatatypeMismatch(f"{call.label} takes an array of structs of two fields, and not `{entries.type.text}`.")
    key, value = (f"struct_extract(p_, {text_of(field.name)})" for field in fields)
    sql = f"map_from_entries(list_transform({entries.sql}, lambda p_: struct_pack(key := {key}, value := {value})))"
    return made(sql, map_of(fields[0].type, fields[1].type), entries)


@scalar("map_keys map_values map_entries", 1)
def map_parts(call: Call) -> Fragment:
    """Keys, values, or structs of both."""
    owner, key, value = map_argument(call, 0)
    item = {"map_keys": key, "map_values": value}.get(call.name) or struct_of(("key", key), ("value", value))
    return fill(f"{call.name}({{0}})", array_of(item), owner)


@scalar("map_contains_key", 2)
def map_contains_key(call: Call) -> Fragment:
    """Whether a key is there."""
    owner, key_type, _ = map_argument(call, 0)
    key = implicit(call.arg(1), key_type, call.label)
    return fill("CASE WHEN {1} IS NOT NULL THEN list_contains(map_keys({0}), {1}) END", BOOLEAN, owner, key)


@scalar("map_concat", 0, MANY)
def map_concat(call: Call) -> Fragment:
    """All entries; a key twice is an error."""
    maps, common = call.unified()
    if not maps or common.kind is not Kind.MAP:
        raise DatatypeMismatch(f"{call.label} takes maps.")
    nulls = " OR ".join(f"{each.sql} IS NULL" for each in maps)
    entries = " || ".join(f"map_entries({each.sql})" for each in maps)
    return made(f"CASE WHEN {nulls} THEN NULL ELSE map_from_entries({entries}) END", common, *maps)


@scalar("str_to_map", 1, 3)
def str_to_map(call: Call) -> Fragment:
    """Pairs of a text; a value may be missing."""
    delimiters = []
    for index, default in ((1, ","), (2, ":")):
        written = call.constant_text(index, "delimiter") if len(call) > index else default
        plain = plain_text(written)
        if plain is None:
            raise UnsupportedFeature(f"{call.label} with a pattern as delimiter is not supported.")
        delimiters.append(string(plain))
    text = call.take(0, STRING)
    return fill("insjo_text_to_map({0}, {1}, {2})", map_of(STRING, STRING), text, *delimiters)


DEFINITIONS: tuple[Definition, ...] = (
    array,
    array_extend,
    array_contains,
    array_position,
    array_remove,
    array_thin,
    array_sets,
    arrays_overlap,
    array_join,
    array_extreme,
    array_repeat,
    size,
    sort_array,
    slice_array,
    element_at,
    get,
    flatten,
    arrays_zip,
    array_insert,
    shuffle,
    vectors,
    sequence,
    struct,
    named_struct,
    make_map,
    map_from_arrays,
    map_from_entries,
    map_parts,
    map_contains_key,
    map_concat,
    str_to_map,
)
