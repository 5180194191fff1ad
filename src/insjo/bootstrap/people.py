"""People whom the installation itself sets up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.access.types import ADMINS_ID
from insjo.kernel.context import system_context

if TYPE_CHECKING:
    from insjo.access.types import Principal
    from insjo.web.types import Services


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the sample data describes them."""

    name: str
    display_name: str
    role: str
    admin: bool = False


PEOPLE = (
    Person("steward", "Stina Steward", "looks after people, labels and rights; may see everything", admin=True),
    Person("analyst", "Anders Analyst", "works with the flights; may not see salaries"),
    Person("staff", "Maja Medarbetare", "chats and asks the documentation"),
)


def ensure_person(services: Services, person: Person) -> Principal:
    """The person's user, made if it is not there yet."""
    ctx = system_context()
    principals = services.access.principals
    found = principals.find(ctx, person.name)
    if found is not None:
        return found
    created = principals.create_user(ctx, person.name, display_name=person.display_name)
    if person.admin:
        principals.add_member(ctx, ADMINS_ID, created.id)
    return created
