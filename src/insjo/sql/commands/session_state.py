"""USE, SET, RESET and session variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.kernel.errors import InvalidArgument, did_you_mean
from insjo.sql.commands.execution import Outcome, nothing, table_outcome
from insjo.sql.commands.writing import cast
from insjo.sql.dialect.types import parse_type
from insjo.sql.errors import SettingUnknown, TemporaryViewExists, UnsupportedFeature

if TYPE_CHECKING:
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import DeclareVariable, DropVariable, ResetSetting, SetSetting, SetVariable, Use

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
    present = x.names.variables.get(name)
    if present is None:
        message = f"This session has no variable `{name}`."
        raise InvalidArgument(message, hint=did_you_mean(name, x.names.variables))
    kind = present.to.sql(dialect="databricks").lower() if isinstance(present, exp.Cast) else ""
    _evaluate(x, name, parse_type(kind).text if kind else "", command.value)
    return nothing()


def _evaluate(x: Execution, name: str, type_text: str, value: exp.Expr) -> None:
    """Work out a value and keep it."""
    shown = cast(value.copy(), type_text) if type_text else value.copy()
    found, kind = constant_value(x, shown)
    x.session.put_variable(name, type_text or kind, found)


def constant_value(x: Execution, expression: exp.Expr) -> tuple[object, str]:
    """Value and type of an expression that reads no table: what is kept outside of a result has no label."""
    query = exp.Select(expressions=[exp.alias_(expression, "v")])
    bound = x.tools.binder.bind(x.ctx, query, x.names, x.parameters)
    if bound.provenance.origins:
        message = "A variable that is filled from a table is not supported."
        raise UnsupportedFeature(message, hint="Use a subquery where the value is needed.", details={"feature": "variable from a table"})
    kind = bound.columns[0][1]
    if parse_type(kind).is_nested:
        message = f"A variable of the type `{kind}` is not supported."
        raise UnsupportedFeature(message, details={"feature": "variable of a nested type"})
    rows = x.rows(bound.sql, bound.tables)
    return (rows[0]["v"] if rows else None), kind


def drop_variable(x: Execution, command: DropVariable) -> Outcome:
    """Forget a variable."""
    if not x.session.drop_variable(command.name.lower()) and not command.if_exists:
        message = f"This session has no variable `{command.name}`."
        raise InvalidArgument(message)
    return nothing()
