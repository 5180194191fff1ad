"""What every installation has besides its people: a catalog to begin with, a warehouse, endpoints over the packaged models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.access.types import EVERYBODY_ID, Privilege, SecurableKind
from insjo.bootstrap.people import PEOPLE, ensure_person
from insjo.kernel.context import system_context

if TYPE_CHECKING:
    from insjo.web.types import Services

ADMIN = "admin"
CATALOG = "main"
SCHEMA = "main.default"


@dataclass(frozen=True, slots=True)
class NewLink:
    """A sign-in link that was just made."""

    user: str
    secret: str
    role: str = ""


def ensure_defaults(services: Services) -> None:
    """Make what is missing; nothing that is there is changed."""
    ctx = system_context()
    access, catalog = services.access, services.catalog
    if access.securables.find(SecurableKind.CATALOG, CATALOG) is None:
        made = catalog.catalogs.create(ctx, CATALOG, "The catalog to begin with")
        everybody = access.principals.get(ctx, EVERYBODY_ID).name
        access.grants.grant(ctx, made.id, everybody, (Privilege.USE_CATALOG,))
        admin = access.principals.find(ctx, ADMIN)
        if admin is not None:
            access.securables.set_owner(ctx, made.id, admin.id)
    if access.securables.find(SecurableKind.SCHEMA, SCHEMA) is None:
        catalog.schemas.create(ctx, SCHEMA, "The schema to begin with")
    services.gateway.bootstrap()


def first_links(services: Services, *, with_demo: bool) -> list[NewLink]:
    """Sign-in links to print: for the admin until a password is set, and with the sample data for its people."""
    links: list[NewLink] = []
    ctx = system_context()
    ttl_s = services.settings.signin_link_ttl_s
    if with_demo:
        for person in PEOPLE:
            user = ensure_person(services, person)
            links.append(NewLink(person.name, services.access.signin_links.create(user.id, ttl_s), person.role))
        return links
    admin = services.access.principals.find(ctx, ADMIN)
    if admin is not None and admin.active and not services.access.passwords.exists(admin.id):
        links.append(NewLink(ADMIN, services.access.signin_links.create(admin.id, ttl_s), "metastore admin"))
    return links
