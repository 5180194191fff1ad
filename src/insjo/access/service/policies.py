"""Policies on catalogs, schemas and tables: kept here, worked out by `Protections`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from insjo.access.errors import InvalidPolicy, PolicyExists, PolicyNotFound
from insjo.access.policies import checked
from insjo.access.store import tags as store
from insjo.access.types import Privilege, SecurableKind
from insjo.kernel.database import NameTaken, unique
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    import sqlalchemy as sa

    from insjo.access.policies import Policy
    from insjo.access.service.audit import Audit
    from insjo.access.service.authority import Authority
    from insjo.access.service.principals import Principals
    from insjo.access.store.changes import Changes
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

POLICIES_MAX: Final = 100
"""Policies on one object."""

NAME_CHARS_MAX: Final = 255
_HOLDERS: Final = frozenset({SecurableKind.CATALOG, SecurableKind.SCHEMA, SecurableKind.TABLE})


class Policies:
    """Creates, changes and removes policies; needs MANAGE or ownership of the object, and EXECUTE on the function."""

    def __init__(self, *, clock: Clock, changes: Changes, audit: Audit, authority: Authority, principals: Principals) -> None:
        """Everything by keyword."""
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._authority = authority
        self._principals = principals

    def put(self, ctx: RequestContext, policy: Policy, *, replaces: bool = False) -> Policy:
        """Keep a policy; with `replaces` in place of one that has its name.

        Raises:
            InvalidPolicy: Something in it is wrong.
            PolicyExists: The object has one of that name.
            PrincipalNotFound: A name in it is nobody's.
        """
        policy = checked(policy)
        if not policy.name or len(policy.name) > NAME_CHARS_MAX:
            message = f"`{policy.name[:100]}` is no name of a policy."
            raise InvalidPolicy(message)
        try:
            with self._changes.writing() as writing:
                kind = self._managed(ctx, policy.securable_id, writing)
                if kind not in _HOLDERS:
                    message = f"A {kind.noun} cannot have policies."
                    raise InvalidPolicy(message, hint="Set it on a catalog, a schema or a table.")
                self._authority.authorize(ctx, Privilege.EXECUTE, policy.function_id, connection=writing)
                for name in (*policy.to, *policy.exempt):
                    self._principals.by_name(name, connection=writing)
                self._changes.bump(writing)
                present = store.fetch_policies(writing, [policy.securable_id])
                same = next((each for each in present if each.name == policy.name.lower()), None)
                if same is None and len(present) >= POLICIES_MAX:
                    message = f"An object has at most {POLICIES_MAX} policies."
                    raise InvalidPolicy(message)
                if same is not None and not replaces:
                    raise _taken(policy.name)
                now = self._clock.now()
                made = replace(
                    policy,
                    id=same.id if same else new_id(),
                    name=policy.name.lower(),
                    created_at=now,
                    created_by=ctx.principal.id,
                    updated_at=now,
                    updated_by=ctx.principal.id,
                )
                with unique(writing):
                    store.put_policy(writing, made)
                self._record(ctx, "policy.set", made, writing)
        except NameTaken as error:
            raise _taken(policy.name) from error
        return self.get(ctx, policy.securable_id, policy.name)

    def drop(self, ctx: RequestContext, securable_id: str, name: str) -> None:
        """Remove a policy."""
        with self._changes.writing() as writing:
            self._managed(ctx, securable_id, writing)
            self._changes.bump(writing)
            found = _named(store.fetch_policies(writing, [securable_id]), name)
            store.delete_policy(writing, found.id)
            self._record(ctx, "policy.drop", found, writing)

    def get(self, ctx: RequestContext, securable_id: str, name: str) -> Policy:
        """One policy; needs MANAGE or ownership of the object."""
        return _named(self.list(ctx, securable_id), name)

    def list(self, ctx: RequestContext, securable_id: str, *, inherited: bool = False) -> list[Policy]:
        """Policies on an object, with `inherited` also those above it; needs MANAGE or ownership of the object."""
        self._authority.authorize(ctx, Privilege.MANAGE, securable_id)
        with self._changes.reading() as reading:
            wanted = store.fetch_ancestors(reading, securable_id) if inherited else [securable_id]
            found = store.fetch_policies(reading, wanted)
            people = {each.created_by for each in found} | {each.updated_by for each in found}
            names = self._authority.names(people, connection=reading)
        return [replace(each, created_by=names.get(each.created_by, ""), updated_by=names.get(each.updated_by, "")) for each in found]

    def _managed(self, ctx: RequestContext, securable_id: str, connection: sa.Connection) -> SecurableKind:
        """Kind of the object, when the caller may manage it."""
        self._authority.authorize(ctx, Privilege.MANAGE, securable_id, connection=connection)
        return self._authority.place(ctx, securable_id, connection=connection)[0]

    def _record(self, ctx: RequestContext, action: str, policy: Policy, connection: sa.Connection) -> None:
        """Row of the audit in the same transaction."""
        _, place = self._authority.place(ctx, policy.securable_id, connection=connection)
        self._audit.record(
            ctx,
            action,
            outcome="changed",
            object=f"{place}.{policy.name}",
            securable_id=policy.securable_id,
            reason=policy.kind.value,
            connection=connection,
        )


def _named(found: list[Policy], name: str) -> Policy:
    """The policy of a name."""
    for policy in found:
        if policy.name == name.lower():
            return policy
    message = f"There is no policy `{name[:100]}` here."
    raise PolicyNotFound(message)


def _taken(name: str) -> PolicyExists:
    """Error for a name that is used."""
    message = f"There is a policy `{name[:100]}` already."
    return PolicyExists(message)
