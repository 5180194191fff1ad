"""Passwords, access tokens, sessions and sign-in links.  Only hashes of secrets are kept."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from insjo.access.errors import (
    AccessDenied,
    PrincipalNotFound,
    TokenNotFound,
    TooManyAttempts,
    TooManyTokens,
    WeakPassword,
    WrongCredential,
)
from insjo.access.service.client_secrets import TOKEN_PREFIX as CLIENT_TOKEN_PREFIX
from insjo.access.store import credentials as store
from insjo.access.store import principals as principal_store
from insjo.access.store.changes import DatabaseError
from insjo.access.types import CreatedToken, Token
from insjo.kernel.context import SYSTEM
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.ids import new_id, new_secret
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa
    from argon2 import PasswordHasher

    from insjo.access.service.audit import Audit
    from insjo.access.service.client_secrets import ClientSecrets
    from insjo.access.service.principals import Principals
    from insjo.access.store.changes import Changes
    from insjo.access.types import Principal
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

TOKEN_PREFIX: Final = "insjo_"  # noqa: S105  # A prefix, no password.
TOKENS_MAX: Final = 600
"""Tokens that one principal may hold (Databricks has the same limit)."""

SECRET_CHARS_MAX: Final = 256
TOUCH_EVERY: Final = timedelta(minutes=1)
PASSWORD_CHARS: Final = (10, 1024)
FREE_ATTEMPTS: Final = 5
BLOCK_MAX_S: Final = 300
FORGET_AFTER: Final = timedelta(days=1)
HASHES_AT_ONCE: Final = 2
"""Each argon2 hash takes 64 MiB: more at once would let a flood of sign-ins take the memory."""


KNOWN_MAX: Final = 20_000
"""Tokens that are remembered; all are forgotten when there are more."""


@dataclass(slots=True)
class _Known:
    """A token and its owner as they were under a count of changes; `used_at` is when its use was last written down."""

    principal: Principal
    token: Token
    revision: int
    used_at: datetime | None

    def holds(self, revision: int, now: datetime) -> bool:
        """Whether it would be found again."""
        return self.revision == revision and (self.token.expires_at is None or self.token.expires_at > now)


def _hash(secret: str) -> str:
    """SHA-256 of a secret; enough because the secrets hashed so are random and long."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Tokens:
    """Personal access tokens; the value is shown once, at creation."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        changes: Changes,
        audit: Audit,
        principals: Principals,
        ttl_s: int,
        clients: ClientSecrets,
    ) -> None:
        """Everything by keyword; `ttl_s` is the lifetime of a token that asks for none, `clients` knows the tokens of programs."""
        self._clients = clients
        self._database = database
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._principals = principals
        self._ttl_s = ttl_s
        self._known: dict[str, _Known] = {}

    def create(self, ctx: RequestContext, user_id: str | None = None, comment: str = "", lifetime_s: int | None = None) -> CreatedToken:
        """New token for the caller, or for somebody else when a metastore admin asks.

        Args:
            ctx: Who asks.
            user_id: None means the caller.
            comment: What it is for.
            lifetime_s: None means the default of the installation; 0 means that it never expires, which only admins may ask for.

        Raises:
            TooManyTokens: When the principal holds as many as one may.
        """
        owner_id = user_id or ctx.principal.id
        if owner_id != ctx.principal.id or lifetime_s == 0:
            self._principals.require_admin(ctx, "create tokens for others or without an end")
        if lifetime_s is not None and lifetime_s < 0:
            message = f"A token cannot live for {lifetime_s} seconds."
            raise InvalidArgument(message)
        now = self._clock.now()
        seconds = self._ttl_s if lifetime_s is None else lifetime_s
        expires_at = now + timedelta(seconds=min(seconds, 100 * 365 * 86_400)) if seconds else None
        value = new_secret(TOKEN_PREFIX)
        token = Token(new_id(), owner_id, comment[:1000], now, expires_at, None)
        with self._database.write() as connection:
            self._changes.bump(connection)
            owner = _owner(connection, owner_id)
            store.delete_expired(connection, now)
            if store.count_tokens(connection, owner_id) >= TOKENS_MAX:
                message = f"`{owner.name}` holds {TOKENS_MAX} tokens, which is the most that one may hold."
                raise TooManyTokens(message, hint="Delete one that is not used.")
            store.insert_token(connection, token, _hash(value))
            self._audit.record(ctx, "token.create", outcome="changed", object=owner.name, reason=comment, connection=connection)
        return CreatedToken(value=value, token_id=token.id, comment=token.comment, created_at=now, expires_at=expires_at)

    def authenticate(self, value: str) -> Principal:
        """Whose token this is; remembers the use at most once a minute.

        What was found holds until it expires or anything changes in access, here or in another process, which is looked up each time.

        Raises:
            WrongCredential: When it is unknown or expired, or its owner deactivated.
        """
        if value.startswith(CLIENT_TOKEN_PREFIX):
            return self._clients.authenticate(value)
        now, key = self._clock.now(), _hash(value[: SECRET_CHARS_MAX + 1])
        revision = self._changes.refresh()
        known = self._known.get(key)
        if known is None or not known.holds(revision, now):
            self._known.pop(key, None)
            known = self._looked_up(value, key, revision, now)
        last_used_at = known.used_at
        if (last_used_at is None or now - last_used_at >= TOUCH_EVERY) and not self._changes.in_write():
            known.used_at = now
            with contextlib.suppress(DatabaseError), self._database.write() as connection:  # A full disk keeps nobody out.
                store.touch_token(connection, known.token.id, now)
        return known.principal

    def recognise(self, value: str) -> Principal | None:
        """Whose token this was when it was used last, from memory alone; None when that must be looked up.

        Only for those who let `authenticate` answer before they do anything.
        """
        known = self._known.get(_hash(value[: SECRET_CHARS_MAX + 1]))
        return known.principal if known is not None and known.holds(self._changes.value, self._clock.now()) else None

    def _looked_up(self, value: str, key: str, revision: int, now: datetime) -> _Known:
        """A token from the database, remembered under the count of changes that was seen before."""
        found = None
        if value.startswith(TOKEN_PREFIX) and len(value) <= SECRET_CHARS_MAX:
            with self._database.read() as connection:
                found = store.fetch_token_owner(connection, key, now)
        if found is None:
            message = "The access token is wrong or expired."
            raise WrongCredential(message, hint="Create one under `/settings/tokens`.")
        principal, token = found
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        known = self._known[key] = _Known(principal, token, revision, token.last_used_at)
        return known

    def list(self, ctx: RequestContext, principal_id: str | None = None, page: PageRequest | None = None) -> Page[Token]:
        """Tokens of the caller; a metastore admin may name somebody else, or `*` for all."""
        owner: str | None = principal_id or ctx.principal.id
        if owner != ctx.principal.id:
            self._principals.require_admin(ctx, "see the tokens of others")
        wanted = page or PageRequest()
        with self._database.read() as connection:
            rows = store.fetch_tokens(connection, None if owner == "*" else owner, wanted.after(), wanted.size + 1)
        return page_of(rows, wanted.size, lambda row: row.id)

    def delete(self, ctx: RequestContext, token_id: str) -> None:
        """End a token of one's own; a metastore admin may end any.  Raises TokenNotFound."""
        with self._database.write() as connection:
            found = store.fetch_token(connection, token_id)
            own = found is not None and found.principal_id == ctx.principal.id
            if found is None or not (own or self._principals.is_admin(ctx.principal.id, connection=connection)):
                message = f"The token `{token_id[:64]}` does not exist."
                raise TokenNotFound(message)
            store.delete_token(connection, token_id)
            self._changes.bump(connection)
            self._audit.record(ctx, "token.delete", outcome="changed", object=found.principal_id, connection=connection)


class Sessions:
    """Sign-ins of people in a browser."""

    def __init__(self, *, database: Database, clock: Clock, ttl_s: int) -> None:
        """Everything by keyword; `ttl_s` is how long a sign-in lasts."""
        self._database = database
        self._clock = clock
        self.ttl_s = ttl_s

    def create(self, principal_id: str) -> str:
        """Value of the cookie for a new session."""
        value = new_secret("s_")
        now = self._clock.now()
        with self._database.write() as connection:
            _owner(connection, principal_id)
            store.delete_expired(connection, now)
            store.insert_session(connection, _hash(value), principal_id, now, now + timedelta(seconds=self.ttl_s))
        return value

    def authenticate(self, value: str) -> Principal:
        """Whose session this is; raises WrongCredential when it ended."""
        with self._database.read() as connection:
            found = store.fetch_session_owner(connection, _hash(value[:SECRET_CHARS_MAX]), self._clock.now())
        if found is None:
            message = "The session has ended."
            raise WrongCredential(message, hint="Sign in again.")
        return found

    def end(self, value: str) -> None:
        """Sign out; nothing happens when the session is unknown."""
        with self._database.write() as connection:
            store.delete_session(connection, _hash(value[:SECRET_CHARS_MAX]))

    def end_all(self, principal_id: str) -> None:
        """Sign a principal out everywhere."""
        with self._database.write() as connection:
            store.delete_sessions(connection, principal_id)


class SignInLinks:
    """Links that sign somebody in once."""

    def __init__(self, *, database: Database, clock: Clock, audit: Audit, ttl_s: int) -> None:
        """Everything by keyword; `ttl_s` is how long a link is good unless another time is asked for."""
        self._database = database
        self._clock = clock
        self._audit = audit
        self._ttl_s = ttl_s

    def create(self, principal_id: str, ttl_s: int | None = None) -> str:
        """Secret of a new link; the caller has checked who may make one."""
        secret = new_secret("l_")
        now = self._clock.now()
        with self._database.write() as connection:
            _owner(connection, principal_id)
            store.delete_expired(connection, now)
            store.insert_link(connection, _hash(secret), principal_id, now, now + timedelta(seconds=ttl_s or self._ttl_s))
        return secret

    def redeem(self, secret: str) -> Principal:
        """Whose link this is; it is used up now.  Raises WrongCredential when it is unknown, used or expired."""
        found = None
        if len(secret) <= SECRET_CHARS_MAX:
            with self._database.write() as connection:
                found = store.use_link(connection, _hash(secret), self._clock.now())
        if found is None:
            message = "The sign-in link is wrong, used or expired."
            raise WrongCredential(message, hint="Ask for a new one.")
        return found


class Passwords:
    """Passwords as argon2id hashes, with delays that grow after wrong ones."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        changes: Changes,
        audit: Audit,
        principals: Principals,
        key: bytes,
        hasher: PasswordHasher | None = None,
    ) -> None:
        """Everything by keyword; tests give a cheaper hasher."""
        self._database = database
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._principals = principals
        self._key = key
        self._hasher = hasher
        self._decoy = ""
        self._slots = threading.BoundedSemaphore(HASHES_AT_ONCE)
        self._making = threading.Lock()

    def set(self, ctx: RequestContext, principal_id: str, password: str) -> None:
        """Set one's own password; a metastore admin may set another's.  All sessions of the owner end.

        Raises:
            WeakPassword: When it is shorter than 10 characters, longer than 1024, or holds the owner's name.
        """
        if principal_id != ctx.principal.id:
            self._principals.require_admin(ctx, "set the passwords of others")
        with self._database.read() as connection:
            owner = _owner(connection, principal_id)
        if owner.kind != "user":
            message = f"`{owner.name}` is no user, and only users have passwords."
            raise InvalidArgument(message)
        shortest, longest = PASSWORD_CHARS
        if not shortest <= len(password) <= longest or owner.name in password.lower() or len(set(password)) < shortest // 2:
            message = f"A password has {shortest} to {longest} characters, is not one character repeated and does not hold the user's name."
            raise WeakPassword(message, hint="Three or four words that belong to no sentence are a good one.")
        with self._slots:
            value_hash = self._argon().hash(password)
        with self._database.write() as connection:
            store.put_password(connection, principal_id, value_hash, self._clock.now())
            store.delete_sessions(connection, principal_id)
            self._audit.record(ctx, "password.set", outcome="changed", object=owner.name, connection=connection)

    def exists(self, principal_id: str) -> bool:
        """Whether a principal has a password."""
        with self._database.read() as connection:
            return store.has_password(connection, principal_id)

    def verify(self, ctx: RequestContext, name: str, password: str) -> Principal:
        """Who signs in with this name and password.  An unknown name takes as much work as a known one.

        Each attempt counts before the password is looked at, so that many at once are no way around the delays.

        Raises:
            WrongCredential: When the name or the password is wrong.
            TooManyAttempts: After five wrong ones in a row, for a time that doubles up to five minutes.
        """
        name = " ".join(name.lower().replace("\0", "").encode("utf-8", "replace").decode().split())[:SECRET_CHARS_MAX]
        name_hash = hmac.new(self._key, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        with self._database.write() as connection:
            self._count_attempt(connection, name_hash)
            found = store.fetch_password(connection, name)
        with self._slots:
            given = password[: PASSWORD_CHARS[1] + 1].encode("utf-8", "surrogatepass")
            right = self._check(found[1] if found else self._decoy_hash(), given)
        if not (found and right):
            self._audit.record(ctx, "signin.password", outcome="denied", object=name, reason="wrong name or password")
            message = "The name or the password is wrong."
            raise WrongCredential(message)
        with self._database.write() as connection:
            store.delete_attempts(connection, name_hash, self._clock.now() - FORGET_AFTER)
            if self._argon().check_needs_rehash(found[1]):
                store.put_password(connection, found[0].id, self._argon().hash(password), self._clock.now())
        return found[0]

    def _count_attempt(self, connection: sa.Connection, name_hash: str) -> None:
        """Count one attempt as a failure until it turns out right, or refuse it."""
        now = self._clock.now()
        failures, last_at, blocked_until = store.lock_attempts(connection, name_hash, now)
        if now - last_at > FORGET_AFTER:
            failures = 0
        if blocked_until > now:
            wait_s = int((blocked_until - now).total_seconds()) + 1
            message = f"Too many wrong passwords; try again in {wait_s} seconds."
            raise TooManyAttempts(message, details={"retry_after_s": wait_s})
        failures += 1
        delay_s = min(BLOCK_MAX_S, 2 ** min(failures - FREE_ATTEMPTS, 30)) if failures >= FREE_ATTEMPTS else 0
        store.put_attempts(connection, name_hash, failures, now, now + timedelta(seconds=delay_s))

    def _argon(self) -> PasswordHasher:
        """The hasher, made at first use: its import loads a shared library."""
        if self._hasher is None:
            from argon2 import PasswordHasher

            self._hasher = PasswordHasher()
        return self._hasher

    def _decoy_hash(self) -> str:
        """Hash of a password that nobody has."""
        with self._making:
            if not self._decoy:
                self._decoy = self._argon().hash(new_secret(""))
            return self._decoy

    def _check(self, value_hash: str, password: bytes) -> bool:
        """Whether the password has this hash."""
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._argon().verify(value_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _owner(connection: sa.Connection, principal_id: str) -> Principal:
    """The active principal that shall own a credential."""
    found = principal_store.fetch(connection, principal_id)
    if found is None or principal_id == SYSTEM.id:
        message = f"The principal `{principal_id[:64]}` does not exist."
        raise PrincipalNotFound(message)
    if not found.active or found.kind == "group":
        message = f"`{found.name}` is deactivated or a group, so it cannot sign in."
        raise AccessDenied(message)
    return found
