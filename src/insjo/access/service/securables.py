"""The tree of everything that rights and labels sit on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from insjo.access.errors import SecurableExists
from insjo.access.service.authority import not_found
from insjo.access.store import principals as principal_store
from insjo.access.store import securables as store
from insjo.access.types import CREATE_PRIVILEGE, METASTORE_ID, PARENT_KIND, Privilege, Securable, SecurableKind
from insjo.kernel.context import SYSTEM
from insjo.kernel.database import NameTaken, unique
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    import sqlalchemy as sa

    from insjo.access.service.audit import Audit
    from insjo.access.service.authority import Authority
    from insjo.access.store.changes import Changes
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

FULL_NAME_CHARS_MAX: Final = 800


class Securables:
    """Registers, finds, renames and removes the nodes; the rooms above keep what else there is to know about each object."""

    def __init__(self, *, clock: Clock, changes: Changes, audit: Audit, authority: Authority) -> None:
        """Everything by keyword."""
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._authority = authority

    def register(
        self,
        ctx: RequestContext,
        kind: SecurableKind,
        full_name: str,
        parent_id: str | None = None,
        owner_id: str | None = None,
        *,
        connection: sa.Connection | None = None,
        securable_id: str | None = None,
    ) -> Securable:
        """New node; the caller needs `CREATE_<kind>` on the parent and becomes the owner.

        Args:
            ctx: Who creates it.
            kind: What it is.
            full_name: `catalog.schema.name`; kept in lower case.
            parent_id: None means the metastore.
            owner_id: In place of the caller; giving it needs MANAGE on the parent.
            connection: To stand or fall with the caller's transaction.
            securable_id: In place of a new identifier, for objects whose wire form of it is short.

        Raises:
            SecurableExists: When an object of this kind and name is there.
            AccessDenied, SecurableNotFound: When the caller may not create it, or does not see the parent.
        """
        name = full_name.lower()
        if kind is SecurableKind.METASTORE or not name or len(name) > FULL_NAME_CHARS_MAX:
            message = f"`{full_name[:100]}` cannot be registered as a {kind.noun}."
            raise InvalidArgument(message)
        parent_id = parent_id or METASTORE_ID
        try:
            with self._changes.writing(connection) as writing:
                parent = self.get(parent_id, connection=writing)
                topmost = kind is SecurableKind.FOLDER and parent.kind is SecurableKind.METASTORE
                if parent.kind is not PARENT_KIND[kind] and not topmost:
                    message = f"A {kind.noun} cannot stand under the {parent.kind.noun} `{parent.full_name}`."
                    raise InvalidArgument(message)
                self._authority.authorize(ctx, CREATE_PRIVILEGE[kind], parent_id, connection=writing)
                if owner_id not in {None, ctx.principal.id}:
                    self._authority.authorize(ctx, Privilege.MANAGE, parent_id, connection=writing)
                    self._require_principal(writing, str(owner_id))
                securable = Securable(
                    id=securable_id or new_id(),
                    kind=kind,
                    full_name=name,
                    parent_id=parent_id,
                    owner_id=owner_id or ctx.principal.id,
                    created_at=self._clock.now(),
                    created_by=ctx.principal.id,
                )
                with unique(writing):
                    store.insert(writing, securable)
                self._changes.bump(writing)
                self._record(ctx, f"{kind.value.lower()}.create", securable, "", writing)
        except NameTaken as error:
            raise _taken(kind, name) from error
        return securable

    def remove(self, ctx: RequestContext, securable_id: str, *, connection: sa.Connection | None = None) -> None:
        """Remove a node with all under it, their grants, labels and fingerprints; needs MANAGE or ownership."""
        with self._changes.writing(connection) as writing:
            securable = self._managed(ctx, securable_id, writing)
            store.delete(writing, securable_id)
            self._changes.bump(writing)
            self._record(ctx, f"{securable.kind.value.lower()}.delete", securable, "", writing)

    def set_aside(self, ctx: RequestContext, securable_id: str, *, connection: sa.Connection | None = None) -> None:
        """Take a table out of sight with its grants, labels and protection, so that it can be brought back; needs MANAGE or ownership."""
        with self._changes.writing(connection) as writing:
            securable = self._managed(ctx, securable_id, writing)
            # The identifier keeps tables apart that had one name after the other.
            name = f"{securable.full_name[: FULL_NAME_CHARS_MAX - len(securable_id) - 1]}#{securable_id}"
            store.set_kind(writing, securable_id, SecurableKind.DROPPED_TABLE, name)
            self._changes.bump(writing)
            self._record(ctx, "table.delete", securable, "", writing)

    def bring_back(self, ctx: RequestContext, securable_id: str, full_name: str, *, connection: sa.Connection | None = None) -> None:
        """Undo `set_aside`; needs MANAGE or ownership, and the right to create a table there.

        Raises:
            SecurableExists: Another table has the name now.
        """
        try:
            with self._changes.writing(connection) as writing:
                securable = self._managed(ctx, securable_id, writing)
                self._authority.authorize(ctx, Privilege.CREATE_TABLE, str(securable.parent_id), connection=writing)
                with unique(writing):
                    store.set_kind(writing, securable_id, SecurableKind.TABLE, full_name.lower())
                self._changes.bump(writing)
                self._record(ctx, "table.undrop", self.get(securable_id, connection=writing), "", writing)
        except NameTaken as error:
            raise _taken(SecurableKind.TABLE, full_name) from error

    def rename(self, ctx: RequestContext, securable_id: str, full_name: str, *, connection: sa.Connection | None = None) -> Securable:
        """New name for a node and new beginnings for the names under it; needs MANAGE or ownership.

        Raises:
            SecurableExists: When an object of this kind and name is there.
        """
        name = full_name.lower()
        if not name or len(name) > FULL_NAME_CHARS_MAX:
            message = f"`{full_name[:100]}` is no name."
            raise InvalidArgument(message)
        try:
            with self._changes.writing(connection) as writing:
                securable = self._managed(ctx, securable_id, writing)
                with unique(writing):
                    store.rename(writing, securable, name)
                self._changes.bump(writing)
                self._record(ctx, f"{securable.kind.value.lower()}.rename", securable, f"to `{name}`", writing)
                return self.get(securable_id, connection=writing)
        except NameTaken as error:
            raise _taken(None, name) from error

    def set_owner(self, ctx: RequestContext, securable_id: str, owner_id: str, *, connection: sa.Connection | None = None) -> Securable:
        """Hand a node to another principal; needs MANAGE or ownership."""
        with self._changes.writing(connection) as writing:
            securable = self._managed(ctx, securable_id, writing)
            self._require_principal(writing, owner_id)
            store.set_owner(writing, securable_id, owner_id)
            self._changes.bump(writing)
            self._record(ctx, f"{securable.kind.value.lower()}.set_owner", securable, f"to `{owner_id}`", writing)
            return self.get(securable_id, connection=writing)

    def find(self, kind: SecurableKind, full_name: str, *, connection: sa.Connection | None = None) -> Securable | None:
        """Node by kind and name, whoever may see it: for the rooms, never for a caller's words."""
        with self._changes.reading(connection) as reading:
            return store.fetch_by_name(reading, kind, full_name.lower())

    def get(self, securable_id: str, *, connection: sa.Connection | None = None) -> Securable:
        """Node by identifier, whoever may see it; raises SecurableNotFound."""
        with self._changes.reading(connection) as reading:
            found = store.fetch(reading, securable_id)
        if found is None:
            raise not_found(None, securable_id)
        return found

    def has_children(self, securable_id: str, *, connection: sa.Connection | None = None) -> bool:
        """Whether other nodes stand under this one."""
        with self._changes.reading(connection) as reading:
            return store.has_children(reading, securable_id)

    def below(self, securable_id: str, kind: SecurableKind) -> tuple[str, ...]:
        """Identifiers of the nodes of a kind that are this one or stand under it, whoever may see them."""
        with self._changes.reading() as reading:
            return tuple(store.fetch_below(reading, securable_id, kind))

    def metastore(self) -> Securable:
        """The root."""
        return self.get(METASTORE_ID)

    def resolve(
        self,
        ctx: RequestContext,
        kind: SecurableKind,
        full_name: str,
        privilege: Privilege | None = None,
        *,
        connection: sa.Connection | None = None,
    ) -> Securable:
        """Look up an object that the caller named, and authorise; None asks only whether the caller may see it.

        Raises:
            SecurableNotFound: The kind's own error, with the nearest visible name, when the object does not exist for the caller.
            AccessDenied: When the caller may see it, yet lacks the privilege.
        """
        name = full_name.lower()
        decision = self._authority.decide_by_name(ctx, kind, name, privilege or Privilege.BROWSE, connection=connection)
        if not decision.allowed:
            hint = "" if decision.visible else self._authority.suggest(ctx, kind, name)
            self._authority.refuse(ctx, decision, name=full_name, kind=kind, hint=hint)
        return self.get(decision.securable_id, connection=connection)

    def _managed(self, ctx: RequestContext, securable_id: str, connection: sa.Connection) -> Securable:
        """The node, when the caller may manage it and it is not the root."""
        self._authority.authorize(ctx, Privilege.MANAGE, securable_id, connection=connection)
        if securable_id == METASTORE_ID:
            message = "The metastore stays as it is."
            raise InvalidArgument(message)
        return self.get(securable_id, connection=connection)

    def _require_principal(self, connection: sa.Connection, principal_id: str) -> None:
        """Raise InvalidArgument unless somebody active has this identifier."""
        if principal_id == SYSTEM.id:
            return
        found = principal_store.fetch(connection, principal_id)
        if found is None or not found.active:
            message = f"The principal `{principal_id[:64]}` does not exist or is deactivated, so it cannot own anything."
            raise InvalidArgument(message)

    def _record(self, ctx: RequestContext, action: str, securable: Securable, reason: str, connection: sa.Connection) -> None:
        """Row of the audit in the same transaction."""
        self._audit.record(
            ctx,
            action,
            outcome="changed",
            object=securable.full_name,
            securable_id=securable.id,
            reason=reason,
            connection=connection,
        )


def _taken(kind: SecurableKind | None, name: str) -> SecurableExists:
    """Error for a name that another object has."""
    message = f"The {kind.noun if kind else 'name'} `{name}` exists already."
    return SecurableExists(message)
