"""Secrets in scopes: sealed at rest, and shown only to those who may read the scope."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from insjo.access.errors import SecurableExists, SecurableNotFound
from insjo.access.types import EVERYBODY_ID, METASTORE_ID, Privilege, SecurableKind
from insjo.kernel.context import SYSTEM
from insjo.kernel.vault import Unsealable, Vault
from insjo.workspace import store
from insjo.workspace.errors import InvalidPermissionLevel, InvalidSecret, PathTaken, SecretNotFound, SecretUnreadable, TooManySecrets
from insjo.workspace.types import SecretKey, SecretScope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from insjo.access.types import Securable
    from insjo.kernel.context import RequestContext
    from insjo.workspace.service.tree import Tree

FILE_NAME: Final = "secrets.key"
SCOPES_MAX: Final = 1000
SECRETS_MAX: Final = 1000
"""Scopes of the installation and secrets of a scope (Databricks has the same limits)."""

VALUE_BYTES_MAX: Final = 128 * 1024
OWN_PREFIX: Final = "insjo."
"""Beginning of the names of scopes that Insjö keeps for itself: nobody reads them by their name."""

_NAME: Final = re.compile(r"[\w.@-]{1,128}", re.ASCII)

LEVELS: Final[Mapping[str, frozenset[Privilege]]] = {
    "READ": frozenset({Privilege.SELECT}),
    "WRITE": frozenset({Privilege.SELECT, Privilege.MODIFY}),
    "MANAGE": frozenset({Privilege.SELECT, Privilege.MODIFY, Privilege.MANAGE}),
}
"""Words of the secrets API, from the lowest to the highest; whoever may write may read, as there."""


class Secrets:
    """Scopes, secrets and who may read, write and manage them."""

    def __init__(self, tree: Tree, keys: Path) -> None:
        """`keys` is the folder of the installation's keys."""
        self._tree = tree
        self._access = tree.access
        self._vault = Vault(keys / FILE_NAME)

    def create_scope(self, ctx: RequestContext, scope: str, *, everybody_manages: bool = False) -> SecretScope:
        """A new scope, which its maker manages; needs CREATE SECRET SCOPE on the metastore.

        Raises:
            PathTaken: There is a scope of this name, whoever may see it.
            TooManySecrets: There are as many scopes as there may be.
        """
        name = _checked(scope, "scope").lower()
        if name.startswith(OWN_PREFIX) and ctx.principal != SYSTEM:
            message = f"Scopes whose names begin with `{OWN_PREFIX}` are kept by Insjö."
            raise InvalidSecret(message, hint="Choose another name.")
        try:
            with self._tree.database.write() as connection:
                made = self._access.securables.register(ctx, SecurableKind.SECRET_SCOPE, name, connection=connection)
                if len(self._access.securables.below(METASTORE_ID, SecurableKind.SECRET_SCOPE)) >= SCOPES_MAX:
                    message = f"There are {SCOPES_MAX} scopes, which is the most."
                    raise TooManySecrets(message)
                if everybody_manages:
                    everybody = self._access.principals.get(ctx, EVERYBODY_ID).name
                    self._access.grants.grant(ctx, made.id, everybody, LEVELS["MANAGE"], connection=connection)
        except SecurableExists as error:
            message = f"The scope `{name}` exists already."
            raise PathTaken(message) from error
        return SecretScope(name)

    def list_scopes(self, ctx: RequestContext) -> tuple[SecretScope, ...]:
        """Scopes that the caller may see, by name."""
        names = self._access.authority.visible_names(ctx, SecurableKind.SECRET_SCOPE, SCOPES_MAX)
        return tuple(SecretScope(name) for name in names if not name.startswith(OWN_PREFIX))

    def delete_scope(self, ctx: RequestContext, scope: str) -> None:
        """Delete a scope with all its secrets; needs MANAGE."""
        found = self._scope(ctx, scope, Privilege.MANAGE)
        with self._tree.database.write() as connection:
            self._access.securables.remove(ctx, found.id, connection=connection)
            store.delete_secrets(connection, found.id)

    def put(self, ctx: RequestContext, scope: str, key: str, value: bytes) -> None:
        """Keep a secret in place of the one that has its name; needs MODIFY.

        Raises:
            InvalidSecret: The name or value is wrong.
            TooManySecrets: The scope holds as many as it may.
        """
        found = self._scope(ctx, scope, Privilege.MODIFY)
        name = _checked(key, "key")
        if len(value) > VALUE_BYTES_MAX:
            message = f"A secret has at most {VALUE_BYTES_MAX} bytes."
            raise InvalidSecret(message)
        sealed = self._vault.seal(value, f"{found.id}/{name}")
        now = self._tree.clock.now()
        with self._tree.database.write() as connection:
            store.put_secret(
                connection, {"scope_id": found.id, "key": name, "sealed": sealed, "updated_at": now, "updated_by": ctx.principal.id}
            )
            if store.count_secrets(connection, found.id) > SECRETS_MAX:
                message = f"The scope `{found.full_name}` holds {SECRETS_MAX} secrets, which is the most."
                raise TooManySecrets(message)
            self._access.audit.record(
                ctx, "secret.put", outcome="changed", object=f"{found.full_name}/{name}", securable_id=found.id, connection=connection
            )

    def get(self, ctx: RequestContext, scope: str, key: str) -> bytes:
        """The value of a secret; needs SELECT, and is recorded.

        Raises:
            SecretNotFound: No such scope or secret for this caller.
            SecretUnreadable: The key file of the installation was lost or exchanged.
        """
        found = self._scope(ctx, scope, Privilege.SELECT)
        with self._tree.database.read() as connection:
            sealed = store.fetch_secret(connection, found.id, key[:128])
        if sealed is None:
            raise _missing(f"The secret `{key[:128]}`")
        self._access.audit.record(
            ctx, "secret.get", outcome="allowed", object=f"{found.full_name}/{key}", securable_id=found.id, reason="read by its door"
        )
        try:
            return self._vault.open(sealed, f"{found.id}/{key}")
        except Unsealable as error:
            message = f"The secret `{key}` cannot be read with the key file of this installation."
            raise SecretUnreadable(message, hint="Restore the key file from a backup, or put the secret again.") from error

    def list(self, ctx: RequestContext, scope: str) -> list[SecretKey]:
        """Names of the secrets of a scope, without values; needs SELECT."""
        found = self._scope(ctx, scope, Privilege.SELECT)
        with self._tree.database.read() as connection:
            return store.list_secrets(connection, found.id, SECRETS_MAX)

    def delete(self, ctx: RequestContext, scope: str, key: str) -> None:
        """Forget a secret; needs MODIFY."""
        found = self._scope(ctx, scope, Privilege.MODIFY)
        with self._tree.database.write() as connection:
            if not store.delete_secrets(connection, found.id, key[:128]):
                raise _missing(f"The secret `{key[:128]}`")
            self._access.audit.record(
                ctx, "secret.delete", outcome="changed", object=f"{found.full_name}/{key}", securable_id=found.id, connection=connection
            )

    def levels(self, ctx: RequestContext, scope: str) -> dict[str, str]:
        """The highest level of each principal that holds one; needs MANAGE."""
        found = self._scope(ctx, scope, Privilege.MANAGE)
        held = {self._access.authority.owners([found.id])[found.id]: "MANAGE"}
        for grant in self._access.grants.list(ctx, found.id):
            level = next((name for name, needed in reversed(list(LEVELS.items())) if needed <= set(grant.privileges)), "")
            if level:
                held.setdefault(grant.principal, level)
        return held

    def put_level(self, ctx: RequestContext, scope: str, principal: str, level: str) -> None:
        """Give a principal this level in place of the one that it holds; needs MANAGE."""
        found = self._scope(ctx, scope, Privilege.MANAGE)
        granted = LEVELS.get(level)
        if granted is None:
            message = f"`{level[:40]}` is no permission of secrets."
            raise InvalidPermissionLevel(message, hint=f"Use one of {', '.join(LEVELS)}.")
        self._access.grants.change(ctx, found.id, [(principal, sorted(granted), sorted(LEVELS["MANAGE"] - granted))])

    def delete_level(self, ctx: RequestContext, scope: str, principal: str) -> None:
        """Take all from a principal; needs MANAGE.

        Raises:
            SecretNotFound: It holds nothing.
        """
        found = self._scope(ctx, scope, Privilege.MANAGE)
        name = self._access.principals.by_name(principal).name
        if name not in {each.principal for each in self._access.grants.list(ctx, found.id)}:
            raise _missing(f"A permission of `{name}`")
        self._access.grants.change(ctx, found.id, [(name, (), sorted(LEVELS["MANAGE"]))])

    def _scope(self, ctx: RequestContext, scope: str, privilege: Privilege) -> Securable:
        """A scope by name, if the caller may do this."""
        if scope.lower().startswith(OWN_PREFIX) and ctx.principal != SYSTEM:
            raise _missing(f"The scope `{scope[:128]}`")
        try:
            return self._access.securables.resolve(ctx, SecurableKind.SECRET_SCOPE, scope.lower()[:128], privilege)
        except SecurableNotFound as error:
            raise _missing(f"The scope `{scope[:128]}`") from error


def _checked(name: str, what: str) -> str:
    """A name of a scope or secret."""
    if not _NAME.fullmatch(name):
        message = f"`{name[:128]}` is no name of a {what}."
        raise InvalidSecret(message, hint="Use at most 128 letters, digits and `_.@-`.")
    return name


def _missing(named: str) -> SecretNotFound:
    """The error for what is not there, and for what the caller may not see."""
    message = f"{named} does not exist."
    return SecretNotFound(message)
