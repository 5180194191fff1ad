"""People and objects for tests of rights and labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from insjo.access.service.facade import Access
from insjo.access.types import Principal, Privilege, Securable, SecurableKind
from insjo.kernel.context import RequestContext

KEY = b"a key for tests, thirty-two bytes"


@dataclass
class Turnable:
    """A clock that stands until it is turned."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))

    def now(self) -> datetime:
        """Where it stands."""
        return self.at

    def monotonic_s(self) -> float:
        """The same in seconds."""
        return self.at.timestamp()

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.at += timedelta(seconds=seconds)


def ctx_of(principal: Principal, door: str = "rest") -> RequestContext:
    """Context of somebody who comes in by a door."""
    return RequestContext(principal=principal.ref(), door=door)


class Lake:
    """`main.sales.orders`, `main.hr.pay`, a volume, a warehouse and an endpoint, owned by the admin; Anna is an analyst, Bo is nobody."""

    def __init__(self, access: Access, admin: RequestContext) -> None:
        """Make it."""
        self.access = access
        self.admin = admin
        register = access.securables.register
        self.main = register(admin, SecurableKind.CATALOG, "main")
        self.sales = register(admin, SecurableKind.SCHEMA, "main.sales", self.main.id)
        self.hr = register(admin, SecurableKind.SCHEMA, "main.hr", self.main.id)
        self.orders = register(admin, SecurableKind.TABLE, "main.sales.orders", self.sales.id)
        self.pay = register(admin, SecurableKind.TABLE, "main.hr.pay", self.hr.id)
        self.files = register(admin, SecurableKind.VOLUME, "main.sales.files", self.sales.id)
        self.warehouse = register(admin, SecurableKind.WAREHOUSE, "starter")
        self.endpoint = register(admin, SecurableKind.ENDPOINT, "chat")
        self.analysts = access.principals.create_group(admin, "analysts")
        self.anna = ctx_of(self.user("anna"))
        self.bo = ctx_of(self.user("bo"))
        access.principals.add_member(admin, self.analysts.id, self.anna.principal.id)

    def user(self, name: str) -> Principal:
        """New user."""
        return self.access.principals.create_user(self.admin, name, name.title())

    def grant(self, where: Securable, to: str, *privileges: Privilege) -> None:
        """Grant as the admin."""
        self.access.grants.grant(self.admin, where.id, to, privileges)

    def revoke(self, where: Securable, of: str, *privileges: Privilege) -> None:
        """Revoke as the admin."""
        self.access.grants.revoke(self.admin, where.id, of, privileges)

    def may(self, who: RequestContext, privilege: Privilege, where: Securable) -> bool:
        """Whether somebody may do it."""
        return self.access.authority.decide(who, privilege, where.id).allowed
