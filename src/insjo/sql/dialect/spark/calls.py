"""Calls of functions, written so that Spark Connect computes what Databricks computes; all others are refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.dialect.expressions import NODE_TYPE
from insjo.sql.dialect.spark.casts import checked_cast
from insjo.sql.dialect.spark.functions import AGGREGATES_OF_NUMBERS, ALLOWED, RANKS, SAME_TYPE, WITH_DECIMAL_CONSTANTS
from insjo.sql.dialect.spark.moments import MOMENTS, unix_timestamp
from insjo.sql.dialect.spark.percentiles import CHOSEN, EXACT, ORDERED, percentile
from insjo.sql.dialect.spark.readings import read
from insjo.sql.dialect.spark.typed import WIDE, cast, data_type, refused, shared_type, type_of
from insjo.sql.dialect.types import BIGINT, DATE, DOUBLE, STRING, TIMESTAMP, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Callable

    from insjo.sql.dialect.session import SessionFacts

_PLAIN_DATES = re.compile(r"(yyyy|MMM|MM|dd|d|EEEE|HH|mm|ss|[-/.:, ])+")
_PLAIN_PATTERN = re.compile(r"\^?([A-Za-z0-9 _,:@#/-]|\[[A-Za-z0-9 _-]+\]|[()+|])+")
_PLAIN_PATH = re.compile(r"\$(\.[A-Za-z_][A-Za-z0-9_]*|\[[0-9]+\])+")
_ZONE = re.compile(r"[A-Z][A-Za-z]+(/[A-Z][A-Za-z_]+)*|UTC")
_CASTS = frozenset({"int", "bigint", "smallint", "tinyint", "double", "float", "string", "boolean", "date", "timestamp", "binary"})
"""Functions that are casts."""


def rewritten_call(node: exp.Anonymous, session: SessionFacts) -> exp.Expr:
    """A call in a form that is right, or UnsupportedFeature with the function's name."""
    name = str(node.this).lower()
    answer = _answered(node, name, session)
    if answer is not None:
        return answer
    if name in _CASTS and len(node.expressions) == 1:
        return _as_cast(node)
    change = _CHANGES.get(name)
    if change is not None:
        return change(node)
    if name not in ALLOWED | RANKS:
        raise refused(node, f"the function `{name}`")
    decimals = [each for each in node.expressions if (type_of(each) or STRING).kind is Kind.DECIMAL]
    if name == "array" and isinstance(node.parent, exp.Anonymous) and str(node.parent.this).lower() in EXACT | CHOSEN:
        return node
    if name in WITH_DECIMAL_CONSTANTS:
        decimals = [each for each in decimals if not isinstance(each, exp.Literal)]
    if decimals and name not in AGGREGATES_OF_NUMBERS:
        raise refused(node, f"the function `{name}` on decimals")
    return node


def _answered(node: exp.Anonymous, name: str, session: SessionFacts) -> exp.Expr | None:
    """What is known without any engine."""
    constants = {
        "current_user": session.user, "session_user": session.user, "user": session.user, "current_catalog": session.catalog,
        "current_schema": session.schema, "current_database": session.schema,
    }  # fmt: skip
    if name == "version" and not node.expressions:
        return exp.Literal.string(session.version)
    if name in constants and not node.expressions:
        return exp.Literal.string(constants[name])
    if len(node.expressions) != 1:
        return None
    if name in {"is_account_group_member", "is_member"} and isinstance(node.expressions[0], exp.Literal):
        return exp.Boolean(this=str(node.expressions[0].this).lower() in session.groups)
    found = type_of(node.expressions[0])
    return exp.Literal.string(found.text) if name == "typeof" and found is not None else None


def _as_cast(node: exp.Anonymous) -> exp.Expr:
    kind = type_of(node)
    if kind is None:
        raise refused(node)
    made = exp.Cast(this=node.expressions[0].copy(), to=data_type(kind))
    made.meta[NODE_TYPE] = kind
    return checked_cast(made)


def _patterned(node: exp.Anonymous) -> exp.Expr:
    """Dates read and written by a pattern of the plainest letters, or read without one."""
    if len(node.expressions) == 1 and str(node.this).lower() in {"to_date", "to_timestamp", "from_unixtime", "unix_timestamp"}:
        source = node.expressions[0]
        if (type_of(source) or STRING).kind is Kind.STRING and not isinstance(source, exp.Literal):
            kind = {"to_date": DATE, "to_timestamp": TIMESTAMP}.get(str(node.this).lower())
            if kind is None:
                raise refused(node, f"the function `{str(node.this).lower()}` on texts of a column")
            return read(source, kind, safe=False)
        return unix_timestamp(node) if str(node.this).lower() == "unix_timestamp" else node
    pattern = node.expressions[1] if len(node.expressions) == 2 else None  # noqa: PLR2004  # The value and the pattern.
    if not isinstance(pattern, exp.Literal) or not _PLAIN_DATES.fullmatch(str(pattern.this)):
        raise refused(node, f"the function `{str(node.this).lower()}` with this pattern")
    return node


def _searched(node: exp.Anonymous) -> exp.Expr:
    """Functions of regular expressions, with patterns that every engine reads alike."""
    pattern = node.expressions[1] if len(node.expressions) > 1 else None
    rest = node.expressions[2:]
    if not isinstance(pattern, exp.Literal) or not _PLAIN_PATTERN.fullmatch(str(pattern.this)):
        raise refused(node, "a regular expression")
    if any(isinstance(each, exp.Literal) and each.is_string and set(str(each.this)) & set("\\$") for each in rest):
        raise refused(node, "a regular expression")
    return node


def _in_zone(node: exp.Anonymous) -> exp.Expr:
    """Moments in zones that are written by their names; a text is read as a moment first."""
    if len(node.expressions) != 2 or not isinstance(node.expressions[1], exp.Literal):  # noqa: PLR2004  # The moment and its zone.
        raise refused(node, f"the function `{str(node.this).lower()}` in this form")
    if not _ZONE.fullmatch(str(node.expressions[1].this)):
        raise refused(node, "a time zone that has no name")
    return node


def _as_json(node: exp.Anonymous) -> exp.Expr:
    """Whole numbers, texts and booleans are written alike everywhere."""
    kind = type_of(node.expressions[0]) if len(node.expressions) == 1 else None
    if kind is None or not _is_plain(kind):
        raise refused(node, "the function `to_json` on these values")
    return node


def _is_plain(kind: Type) -> bool:
    if kind.kind is Kind.ARRAY:
        return _is_plain(kind.item)
    if kind.kind is Kind.MAP:
        return kind.key == STRING and kind.value is not None and _is_plain(kind.value)
    if kind.kind is Kind.STRUCT:
        return all(_is_plain(each.type) for each in kind.fields)
    return kind.is_integral or kind.kind in {Kind.STRING, Kind.BOOLEAN}


def _contains(node: exp.Anonymous) -> exp.Expr:
    """NULL where it is not known, because the array holds NULL and not the value."""
    if len(node.expressions) != 2:  # noqa: PLR2004  # The array and the value.
        raise refused(node)
    array, value = node.expressions
    kind = type_of(array)
    if kind is None or type_of(value) != kind.item or kind.item.is_nested:
        raise refused(node, "the function `array_contains` on values of several types")
    name = exp.to_identifier("insjo_x")
    is_null = exp.Lambda(this=exp.Is(this=exp.column("insjo_x"), expression=exp.Null()), expressions=[name])
    unknown = exp.Or(
        this=exp.Is(this=array.copy(), expression=exp.Null()),
        expression=exp.Is(this=value.copy(), expression=exp.Null()),
    )
    branches = [
        exp.If(this=unknown, true=exp.Null()),
        exp.If(this=node.copy(), true=exp.Boolean(this=True)),
        exp.If(this=exp.Anonymous(this="exists", expressions=[array.copy(), is_null]), true=exp.Null()),
    ]
    return exp.Case(ifs=branches, default=exp.Boolean(this=False))


def _from_json(node: exp.Anonymous) -> exp.Expr:
    """A document read as whole numbers, texts and booleans."""
    kind = type_of(node)
    if len(node.expressions) != 2 or kind is None or kind.kind is not Kind.STRUCT or not _is_plain(kind):  # noqa: PLR2004  # No options.
        raise refused(node, "the function `from_json` with this schema")
    return node


def _json_array_length(node: exp.Anonymous) -> exp.Expr:
    """NULL for what is no array."""
    if len(node.expressions) != 1:
        raise refused(node)
    begins = exp.Like(this=exp.Anonymous(this="ltrim", expressions=[node.expressions[0].copy()]), expression=exp.Literal.string("[%"))
    return exp.Case(ifs=[exp.If(this=begins, true=node.copy())])


def _factorial(node: exp.Anonymous) -> exp.Expr:
    """NULL outside of 0 to 20."""
    if len(node.expressions) != 1 or not (type_of(node.expressions[0]) or STRING).is_integral:
        raise refused(node)
    number = node.expressions[0]
    within = exp.Between(this=number.copy(), low=exp.Literal.number(0), high=exp.Literal.number(20))
    return exp.Case(ifs=[exp.If(this=within, true=node.copy())])


def _converted(node: exp.Anonymous) -> exp.Expr:
    """From one named zone to another."""
    zones = node.expressions[:-1]
    if len(zones) != 2 or not all(isinstance(each, exp.Literal) and _ZONE.fullmatch(str(each.this)) for each in zones):  # noqa: PLR2004  # From and to.
        raise refused(node, "the function `convert_timezone` in this form")
    return node


def _transform_values(node: exp.Anonymous) -> exp.Expr:
    """Over the keys, with the value at the same position: not every server knows the function itself."""
    function = node.expressions[1] if len(node.expressions) == 2 else None  # noqa: PLR2004  # The map and the function.
    if not isinstance(function, exp.Lambda) or len(function.expressions) != 2:  # noqa: PLR2004  # Key and value.
        raise refused(node, "the function `transform_values` in this form")
    source, value = node.expressions[0], function.expressions[1].name.lower()
    keys = exp.Anonymous(this="map_keys", expressions=[source.copy()])
    position = exp.Add(this=exp.column("insjo_i"), expression=exp.Literal.number(1))
    element = exp.Anonymous(this="element_at", expressions=[exp.Anonymous(this="map_values", expressions=[source.copy()]), position])
    holder = exp.Paren(this=function.this.copy())
    for each in list(holder.walk()):
        is_name = isinstance(each, exp.Column) or (isinstance(each, exp.Identifier) and not isinstance(each.parent, exp.Column))
        if is_name and each.name.lower() == value:
            each.replace(element.copy())
    body = exp.Lambda(this=holder, expressions=[function.expressions[0].copy(), exp.to_identifier("insjo_i")])
    values = exp.Anonymous(this="transform", expressions=[keys.copy(), body])
    return exp.Anonymous(this="map_from_arrays", expressions=[keys, values])


def _at_path(node: exp.Anonymous) -> exp.Expr:
    """A text at a path of plain names and positions."""
    path = node.expressions[1] if len(node.expressions) == 2 else None  # noqa: PLR2004  # The document and the path.
    if not isinstance(path, exp.Literal) or not _PLAIN_PATH.fullmatch(str(path.this)):
        raise refused(node, "the function `get_json_object` with this path")
    return node


def _of_texts(node: exp.Anonymous) -> exp.Expr:
    """Functions that write their arguments as texts: only what is written alike everywhere."""
    written: list[exp.Expr] = []
    for each in node.expressions:
        kind = type_of(each)
        if kind is None or not (kind.kind in {Kind.STRING, Kind.BOOLEAN, Kind.DATE, Kind.VOID} or kind.is_integral):
            raise refused(node, f"the function `{str(node.this).lower()}` on these values")
        written.append(cast(each, STRING))
    return exp.Anonymous(this=node.this, expressions=written)


def _rounded(node: exp.Anonymous) -> exp.Expr:
    """`round` of exact numbers; `left` and `right` with a count that is not negative."""
    name = str(node.this).lower()
    source, digits = type_of(node.expressions[0]) if node.expressions else None, node.expressions[1:]
    if source is None or not all(isinstance(each, exp.Literal) and not each.is_string for each in digits):
        raise refused(node, f"the function `{name}`")
    if name == "round" and source.kind is not Kind.DECIMAL:
        raise refused(node, f"the function `round` on values of type `{source.text}`")
    if name != "round" and source.kind is not Kind.STRING:
        raise refused(node, f"the function `{name}`")
    kind = type_of(node)
    return cast(exp.Anonymous(this=node.this, expressions=[each.copy() for each in node.expressions]), kind) if kind else node


def _decoded(node: exp.Anonymous) -> exp.Expr:
    """`decode(x, a, b, ..., otherwise)` as the CASE that it stands for; NULL equals NULL there."""
    if len(node.expressions) <= 2:  # noqa: PLR2004  # Bytes in a character set.
        raise refused(node, "the function `decode` on bytes")
    subject, *rest = node.expressions
    kind = type_of(node)
    keys, values = rest[0 : len(rest) // 2 * 2 : 2], rest[1::2]
    common = shared_type([subject, *keys])
    if kind is None or common is None:
        raise refused(node, "the function `decode` on values of several types")
    pairs = zip(keys, values, strict=True)
    branches = [
        exp.If(this=exp.NullSafeEQ(this=cast(subject, common), expression=cast(key, common)), true=cast(value, kind))
        for key, value in pairs
    ]
    return exp.Case(ifs=branches, default=cast(rest[-1], kind) if len(rest) % 2 else exp.Null())


def _same_types(node: exp.Anonymous) -> exp.Expr:
    """Functions that choose among their arguments: each in the type of the result."""
    name = str(node.this).lower()
    kind = type_of(node) or shared_type(node.expressions[1:] if name in {"if", "iff"} else node.expressions)
    if kind is None or kind.is_nested:
        raise refused(node, f"the function `{name}` on values of several types")
    arguments = [each.copy() if name in {"if", "iff"} and not at else cast(each, kind) for at, each in enumerate(node.expressions)]
    return exp.Anonymous(this="if" if name == "iff" else node.this, expressions=arguments)


def _drawn(node: exp.Anonymous) -> exp.Expr:
    """A random number; with a seed each server draws others."""
    if node.expressions:
        raise refused(node, f"the function `{str(node.this).lower()}` with a seed")
    return exp.Anonymous(this="rand", expressions=[])


def _number_of(node: exp.Anonymous) -> exp.Expr:
    """A sum or an absolute value that raises where it does not fit."""
    name, kind = str(node.this).lower(), type_of(node)
    if len(node.expressions) != 1:
        raise refused(node, f"the function `{name}`")
    argument = node.expressions[0]
    inner = argument.expressions[0] if isinstance(argument, exp.Distinct) and argument.expressions else argument
    source = type_of(inner)
    if source is None or not source.is_numeric:
        raise refused(node, f"the function `{name}`")
    if not source.is_integral:
        return node
    wide = cast(inner, WIDE)
    wide = exp.Distinct(expressions=[wide]) if isinstance(argument, exp.Distinct) else wide
    return cast(exp.Anonymous(this=node.this, expressions=[wide]), kind if kind is not None and kind.is_integral else BIGINT)


def _log1p(node: exp.Anonymous) -> exp.Expr:
    """Near zero by its series: servers add the one first, and so lose digits."""
    if len(node.expressions) != 1 or not (type_of(node.expressions[0]) or STRING).is_numeric:
        raise refused(node)
    x = cast(node.expressions[0], DOUBLE)
    near: exp.Expr = exp.maybe_parse(f"x * (1.0D - x * (0.5D - x * ({1 / 3!r}D - x * 0.25D)))", dialect="databricks")
    for each in list(near.find_all(exp.Column)):
        each.replace(x.copy())
    small = exp.LT(this=exp.Anonymous(this="abs", expressions=[x.copy()]), expression=cast(exp.Literal.number("0.0001"), DOUBLE))
    return exp.Case(ifs=[exp.If(this=small, true=near)], default=exp.Anonymous(this="log1p", expressions=[x.copy()]))


def _half_even(node: exp.Anonymous) -> exp.Expr:
    """Whole numbers one size up: what does not fit raises on the way back."""
    kind = type_of(node.expressions[0]) if node.expressions else None
    if kind is None or not kind.is_integral or kind.kind is Kind.BIGINT:
        raise refused(node, f"the function `{str(node.this).lower()}` on these values")
    rest = [each.copy() for each in node.expressions[1:]]
    return cast(exp.Anonymous(this="bround", expressions=[cast(node.expressions[0], BIGINT), *rest]), kind)


def _null_in_null_out(node: exp.Anonymous) -> exp.Expr:
    """NULL for NULL."""
    unknown = exp.Is(this=node.expressions[0].copy(), expression=exp.Null())
    return exp.Case(ifs=[exp.If(this=exp.Not(this=unknown), true=node.copy())])


def _array_join(node: exp.Anonymous) -> exp.Expr:
    """Of texts: other values are written differently."""
    kind = type_of(node.expressions[0]) if node.expressions else None
    if kind is None or kind.kind is not Kind.ARRAY or kind.item != STRING or len(node.expressions) > 3:  # noqa: PLR2004  # Array, separator, for NULL.
        raise refused(node, "the function `array_join` on these values")
    return node


def _slice(node: exp.Anonymous) -> exp.Expr:
    """From a place that is counted from the beginning."""
    bounds = node.expressions[1:]
    if len(bounds) != 2 or not all(isinstance(each, exp.Literal) and not each.is_string for each in bounds):  # noqa: PLR2004  # Start and length.
        raise refused(node, "the function `slice` in this form")
    if int(str(bounds[0].this)) < 1:
        raise refused(node, "the function `slice` from the place 0")
    return node


def _isnan(node: exp.Anonymous) -> exp.Expr:
    """False for NULL."""
    if len(node.expressions) != 1 or not (type_of(node.expressions[0]) or STRING).is_numeric:
        raise refused(node, "the function `isnan` on these values")
    return exp.Anonymous(
        this="coalesce", expressions=[exp.Anonymous(this="isnan", expressions=[cast(node.expressions[0], DOUBLE)]), exp.false()]
    )


def _hashed(node: exp.Anonymous) -> exp.Expr:
    """Of whole numbers, texts and dates, whose bytes are the same everywhere."""
    for each in node.expressions:
        kind = type_of(each)
        if kind is None or not (kind.is_integral or kind.kind in {Kind.STRING, Kind.DATE}):
            raise refused(node, f"the function `{str(node.this).lower()}` on these values")
    return node


def _signum(node: exp.Anonymous) -> exp.Expr:
    if len(node.expressions) != 1 or not (type_of(node.expressions[0]) or STRING).is_numeric:
        raise refused(node)
    return exp.Anonymous(this="signum", expressions=[cast(node.expressions[0], DOUBLE)])


def _tried(node: exp.Anonymous) -> exp.Expr:
    """A quotient, and NULL where the divisor is 0."""
    kinds = [type_of(each) or STRING for each in node.expressions]
    if len(kinds) != 2 or any(each.kind is Kind.DECIMAL for each in kinds):  # noqa: PLR2004  # Both sides.
        raise refused(node, "the function `try_divide` on decimals")
    if not all(each.is_numeric for each in kinds):
        return node
    left, right = (cast(each, DOUBLE) for each in node.expressions)
    divisor = exp.Anonymous(this="nullif", expressions=[right.copy(), cast(exp.Literal.number(0), DOUBLE)])
    return exp.Paren(this=exp.Div(this=left.copy(), expression=divisor, typed=False, safe=False))


_CHANGES: dict[str, Callable[[exp.Anonymous], exp.Expr]] = {
    "try_divide": _tried,
    "array_join": _array_join,
    "slice": _slice,
    "isnan": _isnan,
    "signum": _signum,
    **dict.fromkeys(("hash", "xxhash64"), _hashed),
    **MOMENTS,
    "log1p": _log1p,
    "bround": _half_even,
    "is_valid_utf8": _null_in_null_out,
    **dict.fromkeys(SAME_TYPE, _same_types),
    **dict.fromkeys(("sum", "abs"), _number_of),
    **dict.fromkeys(("round", "left", "right"), _rounded),
    **dict.fromkeys(("date_format", "to_date", "to_timestamp", "from_unixtime", "unix_timestamp"), _patterned),
    **dict.fromkeys(("from_utc_timestamp", "to_utc_timestamp"), _in_zone),
    "to_json": _as_json,
    "from_json": _from_json,
    "json_array_length": _json_array_length,
    "factorial": _factorial,
    "convert_timezone": _converted,
    "transform_values": _transform_values,
    "array_contains": _contains,
    **dict.fromkeys(("regexp_extract", "regexp_extract_all", "regexp_replace", "regexp_like", "regexp_count", "split"), _searched),
    **dict.fromkeys(("concat_ws",), _of_texts),
    **dict.fromkeys(EXACT | CHOSEN | ORDERED, percentile),
    **dict.fromkeys(("rand", "random"), _drawn),
    "get_json_object": _at_path,
    "decode": _decoded,
}
"""Functions that are right in some forms only."""
