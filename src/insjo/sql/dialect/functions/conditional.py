"""Choices, NULLs, casts by name, errors, and facts about the session."""

from __future__ import annotations

from insjo.sql.dialect import operators
from insjo.sql.dialect.casts import cast
from insjo.sql.dialect.coercion import unified
from insjo.sql.dialect.fragments import VOLATILE, Fragment, fail, fill, integer, made, null, string, text_of
from insjo.sql.dialect.functions.registry import MANY, Call, Definition, scalar, template
from insjo.sql.dialect.types import BOOLEAN, DOUBLE, STRING, Kind, decimal, parse_type
from insjo.sql.errors import ArgumentInvalid


@scalar("coalesce", 1, MANY)
def coalesce(call: Call) -> Fragment:
    """The first that is not NULL."""
    values, common = call.unified()
    return made(f"coalesce({', '.join(value.sql for value in values)})", common, *values) if len(values) > 1 else values[0]


@scalar("ifnull nvl", 2)
def ifnull(call: Call) -> Fragment:
    """The second in place of NULL."""
    return coalesce.compile(call)


@scalar("nvl2", 3)
def nvl2(call: Call) -> Fragment:
    """The second if the first is not NULL, else the third."""
    (yes, no), common = unified([call.arg(1), call.arg(2)], call.label)
    return made(f"CASE WHEN {call.arg(0).sql} IS NOT NULL THEN {yes.sql} ELSE {no.sql} END", common, call.arg(0), yes, no)


@scalar("iff", 3)
def iff(call: Call) -> Fragment:
    """As `if`."""
    condition = call.take(0, BOOLEAN)
    (yes, no), common = unified([call.arg(1), call.arg(2)], call.label)
    return made(f"CASE WHEN {condition.sql} THEN {yes.sql} ELSE {no.sql} END", common, condition, yes, no)


@scalar("nullif", 2)
def nullif(call: Call) -> Fragment:
    """NULL if both are equal, else the first."""
    first = call.arg(0).seen()
    equal = operators.compare("=", first, call.arg(1))
    if first.is_null:
        return null()
    return made(f"CASE WHEN {equal.sql} THEN NULL ELSE {first.sql} END", first.type, equal, first)


@scalar("nullifzero zeroifnull", 1)
def zero_null(call: Call) -> Fragment:
    """NULL for 0, or 0 for NULL."""
    value = call.arg(0).seen()
    if value.type.kind is Kind.STRING:
        value = cast(value, DOUBLE)
    if call.name == "nullifzero":
        return fill("nullif({0}, 0)", value.type, value)
    if value.is_null:
        return integer(0)
    return fill(f"coalesce({{0}}, CAST(0 AS {value.type.engine}))", value.type, value)


@scalar("isnull isnotnull", 1)
def is_null(call: Call) -> Fragment:
    """Tests as functions."""
    return fill("({0} IS NULL)" if call.name == "isnull" else "({0} IS NOT NULL)", BOOLEAN, call.arg(0))


@scalar("equal_null", 2)
def equal_null(call: Call) -> Fragment:
    """As `<=>`."""
    return operators.compare("IS NOT DISTINCT FROM", call.arg(0), call.arg(1))


@scalar("isnan", 1)
def isnan(call: Call) -> Fragment:
    """Whether a double is no number; false for NULL."""
    return fill("coalesce(isnan({0}), FALSE)", BOOLEAN, call.take(0, DOUBLE))


@scalar("nanvl", 2)
def nanvl(call: Call) -> Fragment:
    """The second in place of a double that is no number."""
    return fill("CASE WHEN isnan({0}) THEN {1} ELSE {0} END", DOUBLE, call.take(0, DOUBLE), call.take(1, DOUBLE))


@scalar("decode", 2, MANY)
def decode(call: Call) -> Fragment:
    """With two arguments bytes as text of a character set; with more a search among pairs, where NULL finds NULL."""
    if len(call) == 2:  # noqa: PLR2004  # Bytes and a character set.
        charset = call.constant_text(1, "character set").lower()
        if charset not in {"utf-8", "utf8", "us-ascii"}:
            raise ArgumentInvalid(f"{call.label} with the character set `{charset}` is not supported.")
        source = call.arg(0)
        return source if source.type.kind is Kind.STRING else fill("decode({0})", STRING, source)
    subject = call.arg(0)
    pairs = (len(call) - 1) // 2
    default = call.arg(len(call) - 1) if len(call) % 2 == 0 else None
    results, common = unified([call.arg(2 + 2 * index) for index in range(pairs)] + ([default] if default else []), call.label)
    tests = [operators.compare("IS NOT DISTINCT FROM", subject, call.arg(1 + 2 * index)) for index in range(pairs)]
    arms = " ".join(f"WHEN {test.sql} THEN {result.sql}" for test, result in zip(tests, results, strict=False))
    last = f" ELSE {results[-1].sql}" if default else ""
    return made(f"CASE {arms}{last} END", common, *tests, *results)


_CASTS = "bigint binary boolean date double float int smallint string timestamp tinyint"


@scalar(_CASTS, 1)
def cast_by_name(call: Call) -> Fragment:
    """`int(x)` and its kin are casts."""
    return cast(call.arg(0), parse_type(call.name))


@scalar("decimal", 1)
def cast_to_decimal(call: Call) -> Fragment:
    """A cast to DECIMAL(10,0)."""
    return cast(call.arg(0), decimal(10, 0))


@scalar("typeof", 1)
def typeof(call: Call) -> Fragment:
    """Name of the type."""
    return string(call.arg(0).type.text)


@scalar("raise_error", 1)
def raise_error(call: Call) -> Fragment:
    """Always an error, with the caller's words."""
    text = call.take(0, STRING)
    return made(fail("USER_RAISED_EXCEPTION", "", STRING, tail=text.sql), STRING, text)


@scalar("assert_true", 1, 2)
def assert_true(call: Call) -> Fragment:
    """NULL, or an error if the condition does not hold."""
    condition = call.take(0, BOOLEAN)
    if len(call) > 1:
        words = call.take(1, STRING)
        raised = fail("USER_RAISED_EXCEPTION", "", STRING, tail=words.sql)
        return made(f"CASE WHEN {condition.sql} THEN NULL ELSE {raised} END", STRING, condition, words)
    raised = fail("USER_RAISED_EXCEPTION", "The condition is not true.", STRING)
    return made(f"CASE WHEN {condition.sql} THEN NULL ELSE {raised} END", STRING, condition)


@scalar("__insjo_try", 1)
def tried(call: Call) -> Fragment:
    """NULL in place of an error: for row filters and masks, whose errors would show hidden values.  No statement can name it."""
    value = call.arg(0).seen()
    return made(f"TRY({value.sql})", value.type, value)


# ------------------------------------------------------------------------------------------------ session


@scalar("current_user user session_user", 0)
def current_user(call: Call) -> Fragment:
    """Name of the principal."""
    return string(call.compiler.session.user)


@scalar("current_catalog", 0)
def current_catalog(call: Call) -> Fragment:
    """Catalog in which names without one are looked up."""
    return string(call.compiler.session.catalog)


@scalar("current_schema current_database", 0)
def current_schema(call: Call) -> Fragment:
    """Schema in which names without one are looked up."""
    return string(call.compiler.session.schema)


@scalar("current_metastore", 0)
def current_metastore(_: Call) -> Fragment:
    """There is one."""
    return string("insjo")


@scalar("version", 0)
def version(call: Call) -> Fragment:
    """Version of Insjö."""
    return string(call.compiler.session.version or "insjo")


@scalar("is_account_group_member is_member", 1)
def is_member(call: Call) -> Fragment:
    """Whether the principal is in a group."""
    groups = call.compiler.session.groups
    name = call.take(0, STRING)
    if name.text is not None:
        return made("TRUE" if name.text.lower() in groups else "FALSE", BOOLEAN)
    listed = ", ".join(text_of(group) for group in sorted(groups)) or "NULL"
    return made(f"coalesce(lower({name.sql}) IN ({listed}), FALSE)", BOOLEAN, name)


DEFINITIONS: tuple[Definition, ...] = (
    coalesce,
    ifnull,
    nvl2,
    iff,
    nullif,
    zero_null,
    is_null,
    equal_null,
    isnan,
    nanvl,
    decode,
    cast_by_name,
    cast_to_decimal,
    typeof,
    raise_error,
    assert_true,
    tried,
    current_user,
    current_catalog,
    current_schema,
    current_metastore,
    version,
    is_member,
    template("uuid", "", STRING, "CAST(uuid() AS VARCHAR)", flags=(VOLATILE,)),
)
