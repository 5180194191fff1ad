"""GRANT, REVOKE and SHOW GRANTS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.types import METASTORE_ID, Privilege, SecurableKind
from insjo.sql.commands.execution import Outcome, nothing, table_outcome
from insjo.sql.commands.objects import full_name_of

if TYPE_CHECKING:
    from insjo.sql.commands.execution import Execution
    from insjo.sql.parsing.nodes import GrantChange, NamePath, ShowGrants


def change_grant(x: Execution, command: GrantChange) -> Outcome:
    """Give privileges to a principal, or take them back."""
    privileges = [Privilege.parse(each) for each in command.privileges]
    securable_id, _ = _securable(x, command.kind, command.name)
    grants = x.tools.access.grants
    if command.revoke:
        grants.revoke(x.ctx, securable_id, command.principal, privileges)
    else:
        grants.grant(x.ctx, securable_id, command.principal, privileges)
    return nothing()


def show_grants(x: Execution, command: ShowGrants) -> Outcome:
    """Direct and inherited grants on an object, of all principals or of one."""
    securable_id, _ = _securable(x, command.kind, command.name)
    found = x.tools.access.grants.effective(x.ctx, securable_id, command.principal or None)
    shape = [("Principal", "string"), ("ActionType", "string"), ("ObjectType", "string"), ("ObjectKey", "string")]
    rows = sorted((each.principal, each.privilege.words, each.inherited_from_kind.value, each.inherited_from_name) for each in found)
    return table_outcome(shape, rows)


def _securable(x: Execution, kind_text: str, path: NamePath) -> tuple[str, str]:
    """Identifier and name of what a statement names."""
    kind = SecurableKind.parse(kind_text)
    if kind is SecurableKind.METASTORE:
        return METASTORE_ID, "metastore"
    full_name = full_name_of(x, kind, path)
    found = x.tools.access.securables.resolve(x.ctx, kind, full_name)
    return found.id, found.full_name
