"""Who was granted what, where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from insjo.access.errors import UnknownPrivilege
from insjo.access.store import principals as principal_store
from insjo.access.store import securables as store
from insjo.access.types import GRANTABLE, EffectiveGrant, Grant, Privilege, SecurableKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

    from insjo.access.service.audit import Audit
    from insjo.access.service.authority import Authority
    from insjo.access.service.principals import Principals
    from insjo.access.store.changes import Changes
    from insjo.access.store.securables import PlacedGrant
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

GRANTS_MAX: Final = 10_000
"""Grants that one answer shows."""


class Grants:
    """Grants and revokes; needs MANAGE on the securable, ownership of it or of something above it, or a metastore admin."""

    def __init__(self, *, clock: Clock, changes: Changes, audit: Audit, authority: Authority, principals: Principals) -> None:
        """Everything by keyword."""
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._authority = authority
        self._principals = principals

    def grant(
        self,
        ctx: RequestContext,
        securable_id: str,
        principal_name: str,
        privileges: Iterable[Privilege],
        *,
        connection: sa.Connection | None = None,
    ) -> None:
        """Grant privileges to a principal; those it holds already stay.

        Raises:
            UnknownPrivilege: When one cannot be granted on this kind of object; then none is granted.
            PrincipalNotFound: With the nearest name.
        """
        with self._changes.writing(connection) as writing:
            securable_kind, full_name = self._managed(ctx, securable_id, writing)
            self._changes.bump(writing)
            wanted = tuple(dict.fromkeys(privileges))
            for privilege in wanted:
                if privilege not in GRANTABLE[securable_kind]:
                    message = f"{privilege.words} cannot be granted on a {securable_kind.noun}."
                    raise UnknownPrivilege(message, hint=f"Grantable: {', '.join(sorted(p.words for p in GRANTABLE[securable_kind]))}.")
            principal = self._principals.by_name(principal_name, connection=writing)
            new = store.insert_grants(writing, securable_id, principal.id, wanted, ctx.principal.id, self._clock.now())
            if new:
                reason = f"{', '.join(privilege.words for privilege in new)} to `{principal.name}`"
                self._record(ctx, "grant.add", full_name, securable_id, reason, writing)

    def revoke(
        self,
        ctx: RequestContext,
        securable_id: str,
        principal_name: str,
        privileges: Iterable[Privilege],
        *,
        connection: sa.Connection | None = None,
    ) -> None:
        """Take back what was granted on this securable directly; what is inherited stays.  Nothing changes when it was not granted."""
        with self._changes.writing(connection) as writing:
            _, full_name = self._managed(ctx, securable_id, writing)
            self._changes.bump(writing)
            wanted = tuple(dict.fromkeys(privileges))
            principal = self._principals.by_name(principal_name, connection=writing)
            if store.delete_grants(writing, securable_id, principal.id, wanted):
                reason = f"{', '.join(privilege.words for privilege in wanted)} from `{principal.name}`"
                self._record(ctx, "grant.remove", full_name, securable_id, reason, writing)

    def change(
        self,
        ctx: RequestContext,
        securable_id: str,
        changes: Iterable[tuple[str, Iterable[Privilege], Iterable[Privilege]]],
    ) -> None:
        """Grant and revoke for several principals, all of it or nothing; each change is (principal, granted, revoked).

        Raises:
            UnknownPrivilege, PrincipalNotFound: As `grant`; then nothing has changed.
        """
        with self._changes.writing() as writing:
            for principal_name, granted, revoked in changes:
                self.grant(ctx, securable_id, principal_name, granted, connection=writing)
                self.revoke(ctx, securable_id, principal_name, revoked, connection=writing)

    def list(self, ctx: RequestContext, securable_id: str, principal: str | None = None) -> tuple[Grant, ...]:
        """Direct grants by principal.  Whoever may not manage the object sees only the grants that reach itself."""
        by_principal: dict[str, list[Privilege]] = {}
        for row in self._fetch(ctx, securable_id, principal):
            if row.securable_id == securable_id:
                by_principal.setdefault(row.principal, []).append(Privilege(row.privilege))
        return tuple(Grant(name, tuple(privileges)) for name, privileges in sorted(by_principal.items()))

    def effective(self, ctx: RequestContext, securable_id: str, principal: str | None = None) -> tuple[EffectiveGrant, ...]:
        """Direct and inherited grants that mean something on this securable; with a principal, also those of its groups."""
        kind, _ = self._authority.place(ctx, securable_id)
        return tuple(
            EffectiveGrant(
                principal=row.principal,
                privilege=Privilege(row.privilege),
                inherited_from_kind=SecurableKind(row.kind),
                inherited_from_name=row.full_name,
                inherited=row.securable_id != securable_id,
            )
            for row in self._fetch(ctx, securable_id, principal, groups=True)
            if row.securable_id == securable_id or row.privilege in GRANTABLE[kind]
        )

    def _fetch(self, ctx: RequestContext, securable_id: str, principal: str | None, *, groups: bool = False) -> tuple[PlacedGrant, ...]:
        """Grants on the way to the root as far as the caller may see them."""
        self._authority.authorize(ctx, Privilege.BROWSE, securable_id)
        manages = self._authority.decide(ctx, Privilege.MANAGE, securable_id).allowed
        with self._changes.reading() as reading:
            limits: tuple[sa.Select[tuple[str]], ...] = () if manages else (principal_store.effective_select(ctx.principal.id),)
            if principal is not None:
                somebody = self._principals.by_name(principal, connection=reading)
                limits = (*limits, principal_store.effective_select(somebody.id, alone=not groups))
            return tuple(store.fetch_grants(reading, securable_id, limits, GRANTS_MAX))

    def _managed(self, ctx: RequestContext, securable_id: str, connection: sa.Connection) -> tuple[SecurableKind, str]:
        """Kind and name, when the caller may manage the securable."""
        self._authority.authorize(ctx, Privilege.MANAGE, securable_id, connection=connection)
        return self._authority.place(ctx, securable_id, connection=connection)

    def _record(self, ctx: RequestContext, action: str, name: str, securable_id: str, reason: str, connection: sa.Connection) -> None:
        """Row of the audit in the same transaction."""
        self._audit.record(ctx, action, outcome="changed", object=name, securable_id=securable_id, reason=reason, connection=connection)
