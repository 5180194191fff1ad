"""`insjo user`, `insjo token`, `insjo why`, `insjo audit`: work on the people and rights of a data folder."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

from insjo.cli.checks import settings_of
from insjo.cli.output import print_json, print_table
from insjo.kernel.context import system_context
from insjo.kernel.errors import NotFound, did_you_mean
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from insjo.access.service.facade import Access
    from insjo.access.types import Principal
    from insjo.cli.output import JsonValue
    from insjo.kernel.settings import Settings


def _open(words: argparse.Namespace) -> AbstractContextManager[Access]:
    """The access room of the data folder, set up first if the folder is empty."""
    from insjo.bootstrap.compose import open_access

    return open_access(settings_of(words).settings)


def _user(access: Access, name: str) -> Principal:
    """A user by name."""
    found = access.principals.find(system_context("cli"), name)
    if found is None:
        names = [each.name for each in _users(access)]
        raise UserNotFound(f"There is no user `{name}`.", hint=did_you_mean(name, names) or "`insjo user list` shows who there is.")
    return found


def _users(access: Access) -> Iterator[Principal]:
    """All users, page by page."""
    token = ""
    while True:
        page = access.principals.list(system_context("cli"), "user", PageRequest.of(0, token))
        yield from page.items
        token = page.next_token
        if not token:
            return


class UserNotFound(NotFound):
    """No user of that name."""

    code = "USER_NOT_FOUND"


def user_create(words: argparse.Namespace) -> int:
    """Create a user and print a sign-in link."""
    settings = settings_of(words).settings
    ctx = system_context("cli")
    with _open(words) as access:
        created = access.principals.create_user(ctx, words.name, display_name=words.display_name)
        if words.admin:
            from insjo.access.types import ADMINS_ID

            access.principals.add_member(ctx, ADMINS_ID, created.id)
        link = _link(access, settings, created)
    if words.json:
        print_json({"id": created.id, "name": created.name, "signin_link": link})
    else:
        print(f"Created `{created.name}`. Sign-in link, good once:\n{link}")
    return 0


def _link(access: Access, settings: Settings, user: Principal) -> str:
    """A new sign-in link."""
    from insjo.bootstrap.folders import Folders, advertised

    secret = access.signin_links.create(user.id, settings.signin_link_ttl_s)
    return f"{advertised(Folders.under(settings.root), settings.base_url)}/sign-in/{secret}"


def user_link(words: argparse.Namespace) -> int:
    """Print a new sign-in link."""
    with _open(words) as access:
        link = _link(access, settings_of(words).settings, _user(access, words.name))
    if words.json:
        print_json({"name": words.name, "signin_link": link})
    else:
        print(link)
    return 0


def user_list(words: argparse.Namespace) -> int:
    """List the users."""
    with _open(words) as access:
        users = list(_users(access))
    if words.json:
        print_json([{"id": each.id, "name": each.name, "display_name": each.display_name, "active": each.active} for each in users])
    else:
        print_table(("name", "display name", "active"), [(each.name, each.display_name, "yes" if each.active else "no") for each in users])
    return 0


def user_password(words: argparse.Namespace) -> int:
    """Set a password; from the terminal without echo, or one line of standard input."""
    with _open(words) as access:
        user = _user(access, words.name)
        password = getpass.getpass("New password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        access.passwords.set(system_context("cli"), user.id, password)
    if words.json:
        print_json({"name": user.name, "password": "set"})
    else:
        print(f"The password of `{user.name}` is set.")
    return 0


def user_delete(words: argparse.Namespace) -> int:
    """Deactivate a user."""
    with _open(words) as access:
        user = _user(access, words.name)
        access.principals.delete(system_context("cli"), user.id)
    if words.json:
        print_json({"name": user.name, "active": False})
    else:
        print(f"`{user.name}` is deactivated; sessions and tokens have ended.")
    return 0


def token_create(words: argparse.Namespace) -> int:
    """Create a token and print its value, once."""
    with _open(words) as access:
        user = _user(access, words.user)
        created = access.tokens.create(system_context("cli"), user.id, words.comment or "created on the command line", words.lifetime_s)
    if words.json:
        print_json(
            {
                "token_value": created.value,
                "token_id": created.token_id,
                "user": user.name,
                "expires_at": created.expires_at.isoformat() if created.expires_at else None,
            }
        )
    else:
        print(created.value)
    return 0


def token_list(words: argparse.Namespace) -> int:
    """List a user's tokens; values are never shown again."""
    with _open(words) as access:
        tokens = access.tokens.list(system_context("cli"), _user(access, words.user).id, PageRequest(PAGE_SIZE_MAX)).items
    columns = ("id", "comment", "created_at", "expires_at", "last_used_at")
    rows = [tuple(str(getattr(each, name) or "") for name in columns) for each in tokens]
    if words.json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)
    return 0


def token_delete(words: argparse.Namespace) -> int:
    """Delete a token."""
    with _open(words) as access:
        access.tokens.delete(system_context("cli"), words.token_id)
    if words.json:
        print_json({"token_id": words.token_id, "deleted": True})
    else:
        print("The token is deleted.")
    return 0


def why(words: argparse.Namespace) -> int:
    """Explain one decision, and for tables what of them the user does not see."""
    from insjo.access.types import Privilege, SecurableKind
    from insjo.kernel.context import RequestContext

    kind, _, name = words.object.rpartition(":")
    wanted = SecurableKind.parse(kind or "table")
    with _open(words) as access:
        ctx = system_context("cli")
        decision = access.authority.explain(ctx, words.user, Privilege.parse(words.privilege), wanted, name)
        hidden: list[str] = []
        if wanted is SecurableKind.TABLE and decision.securable_id:
            somebody = access.principals.by_name(words.user).ref()
            hidden = access.protections.explain(RequestContext(principal=somebody, door="cli"), decision.securable_id)
    if words.json:
        told: dict[str, JsonValue] = {
            "allowed": decision.allowed,
            "reason": decision.reason,
            "via": decision.via,
            "missing": [*decision.missing],
            "hint": decision.hint,
            "hidden_by": [*hidden],
        }
        print_json(told)
        return 0
    print(f"{'Yes' if decision.allowed else 'No'}: {decision.reason}")
    for line in ([decision.hint] if decision.hint and not decision.allowed else []) + (hidden if decision.allowed else []):
        print(line)
    return 0


def audit_verify(words: argparse.Namespace) -> int:
    """Check the chain of the audit."""
    with _open(words) as access:
        report = access.audit.verify()
    if words.json:
        print_json({"intact": report.intact, "rows": report.rows, "problem": report.problem})
    else:
        print(f"{'The chain is whole' if report.intact else 'The chain is broken'}: {report.rows} rows. {report.problem}".rstrip())
    return 0 if report.intact else 1
