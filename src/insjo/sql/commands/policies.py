"""Tags and policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.errors import PolicyNotFound
from insjo.access.policies import MatchColumn, Policy, PolicyKind
from insjo.access.types import Privilege, SecurableKind
from insjo.kernel.errors import InvalidArgument
from insjo.sql.commands.execution import Outcome, nothing, table_outcome
from insjo.sql.commands.guards import column_of, function_of
from insjo.sql.commands.objects import full_name_of
from insjo.sql.dialect.types import Kind, parse_type
from insjo.sql.errors import FunctionArguments

if TYPE_CHECKING:
    from insjo.access.types import Securable
    from insjo.sql.binding.functions import SqlFunction
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.guard_nodes import AlterTags, CreatePolicy, DropPolicy, NamePath, ShowPolicies

_SHAPE = [
    (name, "string")
    for name in ("name", "policy_type", "catalog", "schema", "table", "function", "to_principals", "except_principals", "comment")
]


def alter_tags(x: Execution, command: AlterTags) -> Outcome:
    """SET TAGS and UNSET TAGS; a view's columns have tags too."""
    securable = _securable(x, command.kind, command.name)
    if command.column:
        table = x.tools.catalog.tables.get(x.ctx, x.names.table(command.name))
        column_of(table.columns, command.column, table.full_name)
    x.tools.access.tags.change(x.ctx, securable.id, command.changes, command.column)
    return nothing()


def create_policy(x: Execution, command: CreatePolicy) -> Outcome:
    """CREATE POLICY."""
    securable = _securable(x, command.kind, command.on)
    masks = bool(command.on_column)
    function = function_of(x, command.application.function)
    check_function(function, len(command.application.arguments) + masks, boolean=not masks)
    policy = Policy(
        name=command.name,
        kind=PolicyKind.COLUMN_MASK if masks else PolicyKind.ROW_FILTER,
        securable_id=securable.id,
        function_id=function.id,
        to=command.to,
        exempt=command.exempt,
        when=command.when,
        columns=tuple(MatchColumn(alias, condition) for condition, alias in command.columns),
        arguments=command.application.arguments,
        on_column=command.on_column,
        comment=command.comment,
    )
    x.tools.access.policies.put(x.ctx, policy, replaces=command.or_replace)
    return nothing()


def check_function(function: SqlFunction, given: int, *, boolean: bool) -> None:
    """Raise FunctionArguments unless the function takes so many arguments, and gives a boolean where one is needed."""
    least = sum(not parameter.default for parameter in function.parameters)
    if function.is_table or not least <= given <= len(function.parameters):
        message = f"`{function.name.full_name}` takes {len(function.parameters)} arguments, and the policy gives {given}."
        raise FunctionArguments(message)
    if boolean and parse_type(function.returns).kind is not Kind.BOOLEAN:
        message = f"`{function.name.full_name}` gives {function.returns.upper()}, and BOOLEAN is needed."
        raise FunctionArguments(message)


def drop_policy(x: Execution, command: DropPolicy) -> Outcome:
    """DROP POLICY."""
    securable = _securable(x, command.kind, command.on)
    try:
        x.tools.access.policies.drop(x.ctx, securable.id, command.name)
    except PolicyNotFound:
        if not command.if_exists:
            raise
    return nothing()


def show_policies(x: Execution, command: ShowPolicies) -> Outcome:
    """SHOW POLICIES and DESCRIBE POLICY."""
    securable = _securable(x, command.kind, command.on)
    policies = x.tools.access.policies
    if command.name:
        return _described(policies.get(x.ctx, securable.id, command.name))
    rows = []
    for policy in policies.list(x.ctx, securable.id, inherited=command.inherited):
        catalog, schema, table = (*policy.on_name.split("."), None, None)[:3]
        people = (", ".join(policy.to), ", ".join(policy.exempt) or None)
        rows.append((policy.name, policy.kind.value, catalog, schema, table, policy.function_name, *people, policy.comment or None))
    return table_outcome(_SHAPE, rows)


def _described(policy: Policy) -> Outcome:
    """One policy as pairs."""
    pairs = [
        ("Name", policy.name),
        ("On Securable Type", policy.on_kind),
        ("On Securable", policy.on_name),
        ("Policy Type", policy.kind.value),
        ("Function", policy.function_name),
        ("To Principals", ", ".join(policy.to)),
        ("Except Principals", ", ".join(policy.exempt)),
        ("When Condition", policy.when),
        ("Match Columns", ", ".join(f"{each.condition} AS {each.alias}" for each in policy.columns)),
        ("On Column", policy.on_column),
        ("Using Columns", ", ".join(each.text() for each in policy.arguments)),
        ("Comment", policy.comment),
        ("Created By", policy.created_by),
    ]
    return table_outcome([("info_name", "string"), ("info_value", "string")], [pair for pair in pairs if pair[1]])


def _securable(x: Execution, kind_text: str, path: NamePath) -> Securable:
    """The object that a statement names."""
    kind = SecurableKind.parse(kind_text)
    if kind is SecurableKind.METASTORE:
        message = "The metastore has no tags and no policies."
        raise InvalidArgument(message)
    return x.tools.access.securables.resolve(x.ctx, kind, full_name_of(x, kind, path), Privilege.BROWSE)
