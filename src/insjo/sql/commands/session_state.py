"""USE, SET, RESET and session variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.commands.execution import Outcome, nothing, table_outcome
from insjo.sql.commands.writing import SOURCE, as_source, cast, source_table
from insjo.sql.dialect.types import parse_type
from insjo.sql.errors import AssignmentArity, DuplicateAssignment, RowsTooMany, SettingUnknown, TemporaryViewExists, UnsupportedFeature
from insjo.sql.parsing.constants import ValueSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.sql.binding.bound import BoundQuery
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import AssignVariables, DeclareVariable, DropVariable, ResetSetting, SetSetting, SetVariable, Use

FIXED = {
    "ansi_mode": "true",
    "timezone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timezone": "UTC",
    "legacy_time_parser_policy": "EXCEPTION",
    "max_file_partition_bytes": "128m",
    "read_only_external_metastore": "false",
    "use_cached_result": "true",
    "statement_timeout": "172800",
    "enable_photon": "true",
    "query_tags": "",
    "spark.sql.caseSensitive".lower(): "false",
    "spark.sql.thriftserver.metadata.table.singleschema": "true",
}
"""Settings that clients send and their only meaning here."""

_FREE = frozenset({"use_cached_result", "statement_timeout", "enable_photon", "max_file_partition_bytes", "query_tags"})
"""Settings that change no rows: any value will do."""


def use(x: Execution, command: Use) -> Outcome:
    """Change the current catalog and schema; they must exist for the caller."""
    if command.kind == "CATALOG":
        catalog = x.tools.catalog.catalogs.get(x.ctx, command.name[0])
        x.session.use(catalog.name, "default")
        return nothing()
    catalog_name, schema_name = x.names.schema_name(command.name)
    if schema_name == "information_schema":
        x.tools.catalog.catalogs.get(x.ctx, catalog_name)
        x.session.use(catalog_name, schema_name)
        return nothing()
    schema = x.tools.catalog.schemas.get(x.ctx, f"{catalog_name}.{schema_name}")
    x.session.use(schema.catalog_name, schema.name)
    return nothing()


def set_setting(x: Execution, command: SetSetting) -> Outcome:
    """Change a setting of the session, or show one or all."""
    shown = {**FIXED, **x.session.settings()}
    shape = [("key", "string"), ("value", "string")]
    if not command.key:
        return table_outcome(shape, sorted(shown.items()))
    key = command.key.lower()
    if command.value is None:
        return table_outcome(shape, [(key, shown.get(key, "<undefined>"))])
    check_setting(key, command.value)
    x.session.put_setting(key, command.value)
    return table_outcome(shape, [(key, command.value)])


def check_setting(key: str, value: str) -> None:
    """Refuse settings that would change rows, and those that nobody knows."""
    key = key.lower()
    if key in _FREE or key.startswith(("spark.databricks.", "spark.sql.optimizer", "spark.sql.adaptive", "spark.sql.shuffle")):
        return
    if key not in FIXED:
        message = f"`{key}` is not a setting of a session."
        raise SettingUnknown(message, hint=did_you_mean(key, FIXED))
    same = {"timezone", "spark.sql.session.timezone"}
    accepted = {"utc", "etc/utc", "gmt", "z", "+00:00"} if key in same else {FIXED[key].lower()}
    if value.strip("'\"").lower() not in accepted:
        message = f"The setting `{key}` can only be `{FIXED[key]}`."
        raise UnsupportedFeature(message, details={"feature": f"SET {key}"})


def reset_setting(x: Execution, command: ResetSetting) -> Outcome:
    """Take back settings of the session."""
    for key in [command.key] if command.key else list(x.session.settings()):
        x.session.put_setting(key, None)
    return nothing()


def declare_variable(x: Execution, command: DeclareVariable) -> Outcome:
    """A variable of the session with its first value."""
    name = command.name.lower()
    if name in x.names.variables and not command.or_replace:
        message = f"This session has a variable `{name}`."
        raise TemporaryViewExists(message, hint="Use `DECLARE OR REPLACE VARIABLE`.")
    value = command.default if command.default is not None else exp.Null()
    type_text = parse_type(command.type_text).text if command.type_text else ""
    _evaluate(x, name, type_text, value)
    return nothing()


def set_variable(x: Execution, command: SetVariable) -> Outcome:
    """A new value of a variable, in its type."""
    name = command.name.lower()
    _evaluate(x, name, _type_of(x, name), command.value)
    return nothing()


def assign_variables(x: Execution, command: AssignVariables) -> Outcome:
    """New values of several variables, from one row."""
    put_row(x, command.names, x.tools.binder.bind(x.ctx, command.tree, x.names, x.parameters))
    return nothing()


def put_row(x: Execution, names: Sequence[str], bound: BoundQuery) -> None:
    """Give variables the values of the only row of a query, each in its type; NULL when there is no row.

    Raises:
        AssignmentArity, DuplicateAssignment, RowsTooMany: The row does not fit.
    """
    names = [name.lower() for name in names]
    kinds = [_type_of(x, name) for name in names]
    if len(set(names)) != len(names):
        message = "A variable is named twice."
        raise DuplicateAssignment(message)
    if len(names) != len(bound.columns):
        message = f"{len(names)} variables cannot take a row of {len(bound.columns)} columns."
        raise AssignmentArity(message)
    for kind in kinds:
        _refuse_nested(kind)
    outputs = [exp.alias_(cast(exp.column(f"c{at}", table="s", quoted=True), kind), f"v{at}") for at, kind in enumerate(kinds)]
    two = exp.Limit(expression=exp.Literal.number(2))
    query = exp.Select(expressions=list(outputs), from_=exp.From(this=source_table("s")), limit=two)
    fitted = x.tools.binder.bind(x.ctx, query, x.names, given={SOURCE: as_source(bound)}).resting_on(bound)
    rows = x.rows(fitted.sql, fitted.tables)
    if len(rows) > 1:
        message = "The query gives more than one row, and variables take one."
        raise RowsTooMany(message, hint="Add `LIMIT 1`, or aggregate.")
    source = source_of(bound)
    for at, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        x.session.put_variable(name, kind, rows[0][f"v{at}"] if rows else None, source)


def _type_of(x: Execution, name: str) -> str:
    """Type of a variable that is there."""
    present = x.names.variables.get(name)
    if present is None:
        message = f"This session has no variable `{name}`."
        raise InvalidArgument(message, hint=did_you_mean(name, x.names.variables))
    return parse_type(present.to.sql(dialect="databricks").lower()).text if isinstance(present, exp.Cast) else "string"


def _evaluate(x: Execution, name: str, type_text: str, value: exp.Expr) -> None:
    """Work out a value and keep it."""
    shown = cast(value.copy(), type_text) if type_text else value.copy()
    found = constant_value(x, shown)
    x.session.put_variable(name, type_text or found.kind, found.value, found.source)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that was worked out; `source` is None unless it comes from a table."""

    value: object
    kind: str
    source: ValueSource | None = None


def constant_value(x: Execution, expression: exp.Expr) -> Constant:
    """An expression worked out; what it reads from tables gives the value its label, also when it is used later."""
    query = exp.Select(expressions=[exp.Alias(this=expression, alias=exp.to_identifier("v"))])
    bound = x.tools.binder.bind(x.ctx, query, x.names, x.parameters)
    kind = bound.columns[0][1]
    _refuse_nested(kind)
    rows = x.rows(bound.sql, bound.tables)
    return Constant(rows[0]["v"] if rows else None, kind, source_of(bound))


def source_of(bound: BoundQuery) -> ValueSource | None:
    """Where the values of a query come from, if it reads anything that has a label."""
    return ValueSource(bound.provenance, openly=not bound.hidden) if bound.provenance.origins else None


def _refuse_nested(kind: str) -> None:
    if parse_type(kind).is_nested:
        message = f"A variable of the type `{kind}` is not supported."
        raise UnsupportedFeature(message, details={"feature": "variable of a nested type"})


def drop_variable(x: Execution, command: DropVariable) -> Outcome:
    """Forget a variable."""
    if not x.session.drop_variable(command.name.lower()) and not command.if_exists:
        message = f"This session has no variable `{command.name}`."
        raise InvalidArgument(message)
    return nothing()
