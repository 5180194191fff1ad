"""Users, groups and service principals, and who is in which group."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from insjo.access.errors import (
    AccessDenied,
    BuiltInPrincipal,
    InvalidPrincipalName,
    LastAdmin,
    MembershipCircle,
    PrincipalExists,
    PrincipalNotFound,
)
from insjo.access.store import principals as store
from insjo.access.store import securables as securable_store
from insjo.access.types import ADMINS_ID, EVERYBODY_ID, Principal
from insjo.kernel.context import SYSTEM
from insjo.kernel.database import NameTaken, unique
from insjo.kernel.errors import did_you_mean
from insjo.kernel.ids import new_id
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from insjo.access.service.audit import Audit
    from insjo.access.store.changes import Changes
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import PrincipalKind, RequestContext
    from insjo.kernel.database import Database

BUILT_IN: Final = frozenset({ADMINS_ID, EVERYBODY_ID, SYSTEM.id})
SUGGESTIONS_MAX: Final = 2000
GROUPS_MAX: Final = 10_000
UUID_CHARS: Final = 36
_NAME = re.compile(
    r"[^\x00-\x20\x7f`\"'\\/,;<>\u200b-\u200f\u2028-\u202e\ufeff](?:[^\x00-\x1f\x7f`\"'\\/,;<>\u200b-\u200f\u2028-\u202e\ufeff]{0,254})"
)


def normal_name(name: str) -> str:
    """The one form of a principal's name: lower case, single spaces.

    Raises:
        InvalidPrincipalName: When it is empty, too long, or has quotes, slashes, invisible or control characters.
    """
    word = " ".join(name.lower().split())
    if not _NAME.fullmatch(word):
        message = f"`{name[:100]}` is no name for a user, group or service principal."
        raise InvalidPrincipalName(message, hint="Use at most 255 letters, digits, spaces and `.@_+-`.")
    return word


class Principals:
    """Creates, finds, changes and removes principals; only metastore admins change them."""

    def __init__(self, *, database: Database, clock: Clock, changes: Changes, audit: Audit) -> None:
        """Everything by keyword."""
        self._database = database
        self._clock = clock
        self._changes = changes
        self._audit = audit

    def create_user(self, ctx: RequestContext, name: str, display_name: str = "", email: str = "") -> Principal:
        """New user.

        Raises:
            PrincipalExists: When a user, group or service principal of that name is there.
            AccessDenied: When the caller is no metastore admin.
        """
        return self._create(ctx, "user", name, display_name, email)

    def create_group(self, ctx: RequestContext, name: str, display_name: str = "") -> Principal:
        """New group; raises as `create_user`."""
        return self._create(ctx, "group", name, display_name, "")

    def create_group_of(self, ctx: RequestContext, name: str, member_ids: Sequence[str]) -> Principal:
        """New group with its first members: all of it or nothing.  Raises as `create_user` and `change_members`."""
        return self._create(ctx, "group", name, "", "", member_ids)

    def create_service_principal(self, ctx: RequestContext, name: str, display_name: str = "") -> Principal:
        """New service principal; raises as `create_user`."""
        return self._create(ctx, "service_principal", name, display_name, "")

    def get(self, ctx: RequestContext, principal_id: str) -> Principal:
        """Principal by identifier, also a deactivated one; raises PrincipalNotFound."""
        del ctx
        with self._database.read() as connection:
            found = store.fetch(connection, principal_id)
        return found or _missing(principal_id)

    def find(self, ctx: RequestContext, name: str) -> Principal | None:
        """Principal by name in any case, or None."""
        del ctx
        with self._database.read() as connection:
            return store.fetch_by_name(connection, " ".join(name.lower().split()))

    def by_name(self, name: str, *, connection: sa.Connection | None = None) -> Principal:
        """Principal by name in any case, a service principal also by its identifier; raises PrincipalNotFound with the nearest name."""
        with self._changes.reading(connection) as reading:
            found = store.fetch_by_name(reading, " ".join(name.lower().split()))
            if found is None and len(name) == UUID_CHARS:  # Databricks calls service principals by their identifier.
                programs = store.fetch(reading, name.lower())
                found = programs if programs and programs.kind == "service_principal" and programs.active else None
            if found:
                return found
            names = [each.name for each in store.fetch_page(reading, None, "", SUGGESTIONS_MAX, "")]
        message = f"The principal `{name[:255]}` does not exist."
        raise PrincipalNotFound(message, hint=did_you_mean(name, names))

    def list(
        self,
        ctx: RequestContext,
        kind: PrincipalKind | None = None,
        page: PageRequest | None = None,
        filter: str = "",  # noqa: A002  # The word of SCIM, given by name.
    ) -> Page[Principal]:
        """Principals by name; `filter` is a part of the name, the shown name or the address.  Everybody may see who is there."""
        del ctx
        wanted = page or PageRequest()
        with self._database.read() as connection:
            rows = store.fetch_page(connection, kind, wanted.after(), wanted.size + 1, filter)
        return page_of(rows, wanted.size, lambda row: row.name)

    def count(self, kind: PrincipalKind) -> int:
        """How many there are of a kind."""
        with self._database.read() as connection:
            return store.count(connection, kind)

    def update(
        self,
        ctx: RequestContext,
        principal_id: str,
        *,
        name: str | None = None,
        display_name: str | None = None,
        email: str | None = None,
        active: bool | None = None,
    ) -> Principal:
        """Change some parts; deactivating ends sessions and tokens.  People may change their own shown name.

        Raises:
            LastAdmin: When no active metastore admin would be left.
            BuiltInPrincipal: When a built-in one would get another name or be deactivated.
        """
        given = {"name": normal_name(name) if name is not None else None, "display_name": display_name, "email": email, "active": active}
        values = {key: value for key, value in given.items() if value is not None}
        if not (ctx.principal.id == principal_id and set(values) <= {"display_name"}):
            self.require_admin(ctx, "change principals")
        try:
            with self._database.write() as connection:
                self._changes.bump(connection)
                before = store.fetch(connection, principal_id) or _missing(principal_id)
                if principal_id in BUILT_IN and set(values) - {"display_name"}:
                    _refuse_built_in(before)
                if values:
                    with unique(connection):
                        store.update(connection, principal_id, values)
                if active is False:
                    store.end_credentials(connection, principal_id)
                    self._require_an_admin(connection)
                self._record(ctx, "principal.update", before, ", ".join(sorted(values)), connection)
                after = store.fetch(connection, principal_id)
        except NameTaken as error:
            raise _taken(str(given["name"])) from error
        return after or _missing(principal_id)

    def delete(self, ctx: RequestContext, principal_id: str) -> None:
        """Take everything from a principal: membership, grants, sessions, tokens and its name.

        A user stays as a deactivated row, since the audit and what it owned refer to it; what a group owned goes to `admins`.
        """
        self.require_admin(ctx, "delete principals")
        with self._database.write() as connection:
            self._changes.bump(connection)
            found = store.fetch(connection, principal_id) or _missing(principal_id)
            if principal_id in BUILT_IN:
                _refuse_built_in(found)
            store.strip(connection, principal_id)
            store.end_credentials(connection, principal_id)
            if found.kind == "group":
                securable_store.hand_over(connection, principal_id, ADMINS_ID)
            gone = {"active": False, "deleted": True, "name": f"deleted:{principal_id}", "display_name": found.display_name or found.name}
            store.update(connection, principal_id, gone)
            self._require_an_admin(connection)
            self._record(ctx, "principal.delete", found, "", connection)

    def add_member(self, ctx: RequestContext, group_id: str, member_id: str) -> None:
        """Put a user, service principal or group into a group; nothing changes when it is there.

        Raises:
            MembershipCircle: When the group is within the member.
        """
        self.change_members(ctx, group_id, add=(member_id,))

    def remove_member(self, ctx: RequestContext, group_id: str, member_id: str) -> None:
        """Take a member out of a group; nothing changes when it is not there.  Raises LastAdmin."""
        self.change_members(ctx, group_id, remove=(member_id,))

    def change_members(self, ctx: RequestContext, group_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> None:
        """Put members into a group and take others out, all of it or nothing.

        Raises:
            MembershipCircle: When the group is within one that is added.
            LastAdmin: When no active metastore admin would be left.
        """
        self.require_admin(ctx, "change groups")
        with self._database.write() as connection:
            self._changes.bump(connection)
            for member_id in add:
                self._add(ctx, group_id, member_id, connection)
            for member_id in remove:
                group, member = self._group_and_member(connection, group_id, member_id)
                if store.delete_member(connection, group_id, member_id):
                    self._record(ctx, "group.remove_member", group, member.name, connection)
            if remove:
                self._require_an_admin(connection)

    def _add(self, ctx: RequestContext, group_id: str, member_id: str, connection: sa.Connection) -> None:
        """One more member within a transaction."""
        group, member = self._group_and_member(connection, group_id, member_id)
        if store.is_within(connection, group_id, member_id):
            message = f"The group `{group.name}` cannot contain `{member.name}`, since it is within it."
            raise MembershipCircle(message)
        if store.insert_member(connection, group_id, member_id):
            self._record(ctx, "group.add_member", group, member.name, connection)

    def members(self, ctx: RequestContext, group_id: str, page: PageRequest | None = None) -> Page[Principal]:
        """Direct members of a group by name; `account users` has everybody."""
        del ctx
        wanted = page or PageRequest()
        with self._database.read() as connection:
            if group_id == EVERYBODY_ID:
                rows = store.fetch_page(connection, None, wanted.after(), wanted.size + 1, "")
            else:
                rows = store.fetch_members(connection, group_id, wanted.after(), wanted.size + 1)
        return page_of(rows, wanted.size, lambda row: row.name)

    def groups_of(self, ctx: RequestContext, principal_id: str, *, nested: bool = False) -> tuple[Principal, ...]:
        """Groups that directly contain a principal, or every group by whatever way (then with `account users`)."""
        del ctx
        with self._database.read() as connection:
            return tuple(store.fetch_groups(connection, principal_id, nested=nested))

    def effective_ids(self, principal_id: str) -> sa.Select[tuple[str]]:
        """Query of the principal itself, every active group it is in by whatever way, and `account users`."""
        return store.effective_select(principal_id)

    def is_admin(self, principal_id: str, *, connection: sa.Connection | None = None) -> bool:
        """Whether a principal is a metastore admin; the system is one."""
        if principal_id == SYSTEM.id:
            return True
        with self._changes.reading(connection) as reading:
            return store.is_within(reading, principal_id, ADMINS_ID)

    def require_admin(self, ctx: RequestContext, doing: str, *, connection: sa.Connection | None = None) -> None:
        """Raise AccessDenied unless the caller is a metastore admin; `doing` completes "may ..."."""
        if not self.is_admin(ctx.principal.id, connection=connection):
            reason = f"Only metastore admins may {doing}, and `{ctx.principal.name}` is none."
            self._audit.record(ctx, "admin.require", outcome="denied", reason=reason)
            raise AccessDenied(reason, hint="Ask a member of the group `admins`.")

    def _create(
        self, ctx: RequestContext, kind: PrincipalKind, name: str, display_name: str, email: str, member_ids: Sequence[str] = ()
    ) -> Principal:
        """New principal of a kind; a group with members at once."""
        self.require_admin(ctx, "create principals")
        principal = Principal(
            id=new_id(),
            kind=kind,
            name=normal_name(name),
            display_name=display_name.strip()[:400],
            active=True,
            created_at=self._clock.now(),
            email=email.strip()[:400],
        )
        try:
            with self._database.write() as connection:
                with unique(connection):
                    store.insert(connection, principal)
                self._changes.bump(connection)
                self._record(ctx, "principal.create", principal, kind, connection)
                for member_id in member_ids:
                    self._add(ctx, principal.id, member_id, connection)
        except NameTaken as error:
            raise _taken(principal.name) from error
        return principal

    def _group_and_member(self, connection: sa.Connection, group_id: str, member_id: str) -> tuple[Principal, Principal]:
        """Both, or the reason why they cannot be put together."""
        group = store.fetch(connection, group_id) or _missing(group_id)
        member = store.fetch(connection, member_id) or _missing(member_id)
        if group.kind != "group":
            message = f"`{group.name}` is no group."
            raise InvalidPrincipalName(message)
        if group_id == EVERYBODY_ID or member_id in {EVERYBODY_ID, SYSTEM.id}:
            _refuse_built_in(group if group_id == EVERYBODY_ID else member)
        return group, member

    def _require_an_admin(self, connection: sa.Connection) -> None:
        """Undo the change when nobody could manage the metastore after it."""
        if store.count_admins(connection) == 0:
            message = "No active metastore admin would be left."
            raise LastAdmin(message, hint="Put somebody else into the group `admins` first.")

    def _record(self, ctx: RequestContext, action: str, principal: Principal, reason: str, connection: sa.Connection) -> None:
        """Row of the audit in the same transaction."""
        self._audit.record(ctx, action, outcome="changed", object=principal.name, reason=reason, connection=connection)


def _missing(principal_id: str) -> Principal:
    """Never gives a principal."""
    message = f"The principal `{principal_id[:64]}` does not exist."
    raise PrincipalNotFound(message)


def _taken(name: str) -> PrincipalExists:
    """Error for a name that somebody has."""
    message = f"A user, group or service principal `{name}` exists already."
    return PrincipalExists(message)


def _refuse_built_in(principal: Principal) -> None:
    """Raise BuiltInPrincipal."""
    message = f"`{principal.name}` is built in and stays as it is."
    raise BuiltInPrincipal(message)
