"""Which command does what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from insjo.sql.commands import (
    changes,
    columns,
    constraints,
    copying,
    describes,
    functions,
    guards,
    inserts,
    merge,
    objects,
    policies,
    queries,
    rights,
    session_state,
    shows,
    tables,
    upkeep,
    views,
)
from insjo.sql.parsing import guard_nodes, nodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from insjo.sql.commands.execution import Execution, Outcome

COMMANDS: dict[type[Any], Callable[[Execution, Any], Outcome]] = {
    nodes.Explain: queries.explain,
    nodes.DescribeQuery: queries.describe_query,
    nodes.Insert: inserts.insert,
    nodes.Update: changes.update,
    nodes.Delete: changes.delete,
    nodes.Merge: merge.merge,
    nodes.Truncate: changes.truncate,
    nodes.CreateCatalog: objects.create_catalog,
    nodes.CreateSchema: objects.create_schema,
    nodes.CreateVolume: objects.create_volume,
    nodes.CreateTable: tables.create_table,
    nodes.CreateView: views.create_view,
    nodes.CreateFunction: functions.create_function,
    nodes.Drop: objects.drop,
    nodes.Undrop: objects.undrop,
    nodes.AlterOwner: objects.alter_owner,
    nodes.AlterName: objects.alter_name,
    nodes.AlterProperties: tables.alter_properties,
    nodes.AddColumns: tables.add_columns,
    nodes.DropColumns: columns.drop_columns,
    nodes.RenameColumn: columns.rename_column,
    nodes.AlterColumn: columns.alter_column,
    nodes.AddConstraint: constraints.add_constraint,
    nodes.DropConstraint: constraints.drop_constraint,
    nodes.ClusterBy: columns.cluster_by,
    nodes.AlterView: views.alter_view,
    nodes.CommentOn: objects.comment_on,
    nodes.GrantChange: rights.change_grant,
    nodes.ShowGrants: rights.show_grants,
    guard_nodes.CreateGuardedTable: guards.create_guarded_table,
    guard_nodes.AlterRowFilter: guards.alter_row_filter,
    guard_nodes.AlterMask: guards.alter_mask,
    guard_nodes.AlterTags: policies.alter_tags,
    guard_nodes.CreatePolicy: policies.create_policy,
    guard_nodes.DropPolicy: policies.drop_policy,
    guard_nodes.ShowPolicies: policies.show_policies,
    nodes.Show: shows.show,
    nodes.Describe: describes.describe,
    nodes.Use: session_state.use,
    nodes.SetSetting: session_state.set_setting,
    nodes.ResetSetting: session_state.reset_setting,
    nodes.DeclareVariable: session_state.declare_variable,
    nodes.SetVariable: session_state.set_variable,
    nodes.AssignVariables: session_state.assign_variables,
    nodes.DropVariable: session_state.drop_variable,
    nodes.CopyInto: copying.copy_into,
    nodes.ListFiles: copying.list_files,
    nodes.Restore: upkeep.restore,
    nodes.Optimize: upkeep.optimize,
    nodes.Vacuum: upkeep.vacuum,
    nodes.Refresh: upkeep.refresh,
}
"""Every kind of statement but the query, which the room runs itself because its plan is kept."""


def run(execution: Execution, command: nodes.Command) -> Outcome:
    """Run one command."""
    return COMMANDS[type(command)](execution, command)
