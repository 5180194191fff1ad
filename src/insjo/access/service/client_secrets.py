"""OAuth for programs: long-lived secrets of service principals, and the short-lived tokens that they are exchanged for (RFC 6749, 4.4).

A token is signed, so that fetching one writes nothing; it names its secret, which is looked up at each use, so that a token ends
at once when its secret is deleted or its principal deactivated.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from insjo.access.errors import TokenNotFound, TooManyTokens, WrongCredential
from insjo.access.store import credentials as store
from insjo.access.store import principals as principal_store
from insjo.access.types import ClientSecret, ClientToken, CreatedToken
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.ids import new_id, new_secret

if TYPE_CHECKING:
    from insjo.access.service.audit import Audit
    from insjo.access.service.principals import Principals
    from insjo.access.store.changes import Changes
    from insjo.access.types import Principal
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

SECRET_PREFIX: Final = "insjo_client_"  # noqa: S105  # A prefix, no password.
TOKEN_PREFIX: Final = "insjo_oauth_"  # noqa: S105  # As above.
SECRETS_MAX: Final = 5
"""Secrets of one service principal (Databricks has the same limit)."""

SECRET_LIFE_MAX: Final = timedelta(days=730)
TOKEN_LIFE: Final = timedelta(hours=1)
CHARS_MAX: Final = 256
_TOKEN = re.compile(TOKEN_PREFIX + r"([0-9a-f-]{36})_([0-9a-f]{1,12})_([0-9a-f]{64})")


class ClientSecrets:
    """Makes, lists and deletes secrets of service principals, and gives tokens for them."""

    def __init__(self, *, database: Database, clock: Clock, changes: Changes, audit: Audit, principals: Principals, key: bytes) -> None:
        """Everything by keyword; `key` signs the tokens."""
        self._database = database
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._principals = principals
        self._key = key

    def create(self, ctx: RequestContext, principal_id: str, lifetime_s: int | None = None) -> CreatedToken:
        """New secret of a service principal, for metastore admins; its value is in the answer and nowhere else.

        Raises:
            TooManyTokens: When it has as many as one may have.
        """
        self._principals.require_admin(ctx, "create secrets of service principals")
        life = SECRET_LIFE_MAX if lifetime_s is None else timedelta(seconds=min(lifetime_s, int(SECRET_LIFE_MAX.total_seconds())))
        if life <= timedelta(0):
            message = "The lifetime of a secret must be positive."
            raise InvalidArgument(message)
        now = self._clock.now()
        value = new_secret(SECRET_PREFIX)
        made = ClientSecret(new_id(), principal_id, now, now + life)
        with self._database.write() as connection:
            self._changes.bump(connection)
            owner = principal_store.fetch(connection, principal_id)
            if owner is None or owner.kind != "service_principal":
                message = f"The service principal `{principal_id[:64]}` does not exist."
                raise TokenNotFound(message)
            store.delete_expired(connection, now)
            if len(store.fetch_client_secrets(connection, principal_id, SECRETS_MAX)) >= SECRETS_MAX:
                message = f"`{owner.name}` has {SECRETS_MAX} secrets, which is the most that one may have."
                raise TooManyTokens(message, hint="Delete one that is not used.")
            store.insert_client_secret(connection, made, _hash(value))
            self._audit.record(ctx, "client_secret.create", outcome="changed", object=owner.name, connection=connection)
        return CreatedToken(value=value, token_id=made.id, comment="", created_at=now, expires_at=made.expires_at)

    def list(self, ctx: RequestContext, principal_id: str) -> tuple[ClientSecret, ...]:
        """Secrets of a service principal, without their values; for metastore admins and the principal itself."""
        if ctx.principal.id != principal_id:
            self._principals.require_admin(ctx, "see the secrets of service principals")
        with self._database.read() as connection:
            return tuple(store.fetch_client_secrets(connection, principal_id, SECRETS_MAX))

    def delete(self, ctx: RequestContext, principal_id: str, secret_id: str) -> None:
        """End a secret and all tokens that it was exchanged for, at once.  Raises TokenNotFound."""
        self._principals.require_admin(ctx, "delete secrets of service principals")
        with self._database.write() as connection:
            self._changes.bump(connection)
            if not store.delete_client_secret(connection, principal_id, secret_id):
                message = f"The secret `{secret_id[:64]}` does not exist."
                raise TokenNotFound(message)
            self._audit.record(ctx, "client_secret.delete", outcome="changed", object=principal_id, connection=connection)

    def exchange(self, ctx: RequestContext, client_id: str, secret: str) -> ClientToken:
        """A token for an hour.

        Raises:
            WrongCredential: When the secret is wrong or expired, or not one of this client.
        """
        now = self._clock.now()
        found = None
        if secret.startswith(SECRET_PREFIX) and len(secret) <= CHARS_MAX and len(client_id) <= CHARS_MAX:
            with self._database.read() as connection:
                found = store.fetch_client(connection, now, value_hash=_hash(secret))
        if found is None or found[0].id != client_id:
            self._audit.record(ctx, "client_secret.exchange", outcome="denied", object=client_id[:64], reason="wrong or expired")
            message = "The client or its secret is wrong or expired."
            raise WrongCredential(message, hint="Ask a metastore admin for a new secret.")
        principal, kept = found
        expires_at = min(now + TOKEN_LIFE, kept.expires_at)
        ends = f"{int(expires_at.timestamp()):x}"
        value = f"{TOKEN_PREFIX}{kept.id}_{ends}_{self._sign(kept.id, ends)}"
        return ClientToken(value, int((expires_at - now).total_seconds()), principal)

    def authenticate(self, value: str) -> Principal:
        """Whose token this is; raises WrongCredential when it is forged or expired, or its secret is gone."""
        parts = _TOKEN.fullmatch(value)
        found = None
        now = self._clock.now()
        if parts and hmac.compare_digest(self._sign(parts[1], parts[2]), parts[3]) and int(parts[2], 16) > now.timestamp():
            with self._database.read() as connection:
                found = store.fetch_client(connection, now, secret_id=parts[1])
        if found is None:
            message = "The access token is wrong or expired."
            raise WrongCredential(message, hint="Exchange the client's secret for a new one.")
        return found[0]

    def _sign(self, secret_id: str, ends: str) -> str:
        """Signature of a token."""
        return hmac.new(self._key, f"{secret_id}\n{ends}".encode(), hashlib.sha256).hexdigest()


def _hash(secret: str) -> str:
    """SHA-256 of a secret; enough because it is random and long."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
