"""SQL on passwords, tokens, sessions and sign-in links; secrets arrive here as hashes only."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from insjo.access.store.principals import principal_columns, principal_of
from insjo.access.store.tables import attempts, client_secrets, passwords, principals, sessions, signin_links, tokens
from insjo.access.types import ClientSecret, Token
from insjo.kernel.database import NameTaken, unique

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from insjo.access.types import Principal

_TOKEN = (tokens.c.id, tokens.c.principal_id, tokens.c.comment, tokens.c.created_at, tokens.c.expires_at, tokens.c.last_used_at)
_PRINCIPAL = principal_columns()
_CLIENT_SECRET = (client_secrets.c.id, client_secrets.c.principal_id, client_secrets.c.created_at, client_secrets.c.expires_at)


def insert_token(connection: sa.Connection, token: Token, value_hash: str) -> None:
    """New token."""
    connection.execute(
        sa.insert(tokens).values(
            id=token.id,
            principal_id=token.principal_id,
            hash=value_hash,
            comment=token.comment,
            created_at=token.created_at,
            expires_at=token.expires_at,
        ),
    )


def fetch_token_owner(connection: sa.Connection, value_hash: str, now: datetime) -> tuple[Principal, Token] | None:
    """Active owner of a token that has not expired, and the token."""
    query = (
        sa.select(*_PRINCIPAL, *_TOKEN)
        .join(tokens, tokens.c.principal_id == principals.c.id)
        .where(
            tokens.c.hash == value_hash,
            principals.c.active.is_(sa.true()),
            sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
        )
    )
    row = connection.execute(query).first()
    return (principal_of(row[: len(_PRINCIPAL)]), _token_of(row[len(_PRINCIPAL) :])) if row else None


def _token_of(row: Sequence[Any]) -> Token:
    """Token from the columns of `_TOKEN`."""
    return Token(*row)


def touch_token(connection: sa.Connection, token_id: str, now: datetime) -> None:
    """Remember the last use of a token."""
    connection.execute(sa.update(tokens).where(tokens.c.id == token_id).values(last_used_at=now))


def fetch_token(connection: sa.Connection, token_id: str) -> Token | None:
    """Token by identifier."""
    row = connection.execute(sa.select(*_TOKEN).where(tokens.c.id == token_id)).first()
    return Token(*row) if row else None


def fetch_tokens(connection: sa.Connection, principal_id: str | None, after: str, limit: int) -> list[Token]:
    """Tokens of one principal, or of all, in order of creation."""
    query = sa.select(*_TOKEN).where(tokens.c.id > after)
    if principal_id is not None:
        query = query.where(tokens.c.principal_id == principal_id)
    return [Token(*row) for row in connection.execute(query.order_by(tokens.c.id).limit(limit))]


def count_tokens(connection: sa.Connection, principal_id: str) -> int:
    """How many tokens a principal holds."""
    return int(connection.execute(sa.select(sa.func.count()).where(tokens.c.principal_id == principal_id)).scalar_one())


def delete_token(connection: sa.Connection, token_id: str) -> None:
    """End a token."""
    connection.execute(sa.delete(tokens).where(tokens.c.id == token_id))


def delete_expired(connection: sa.Connection, now: datetime) -> None:
    """Drop what has expired: sessions, links, tokens and secrets of programs."""
    for table in (sessions, signin_links, tokens, client_secrets):
        connection.execute(sa.delete(table).where(table.c.expires_at <= now))


def insert_client_secret(connection: sa.Connection, secret: ClientSecret, value_hash: str) -> None:
    """New secret of a program."""
    values = {"id": secret.id, "principal_id": secret.principal_id, "created_at": secret.created_at, "expires_at": secret.expires_at}
    connection.execute(sa.insert(client_secrets).values(hash=value_hash, **values))


def fetch_client_secrets(connection: sa.Connection, principal_id: str, limit: int) -> list[ClientSecret]:
    """Secrets of a service principal in order of creation."""
    query = sa.select(*_CLIENT_SECRET).where(client_secrets.c.principal_id == principal_id)
    return [ClientSecret(*row) for row in connection.execute(query.order_by(client_secrets.c.id).limit(limit))]


def fetch_client(
    connection: sa.Connection, now: datetime, *, value_hash: str = "", secret_id: str = ""
) -> tuple[Principal, ClientSecret] | None:
    """Active service principal of a secret that has not expired, by the secret's hash or identifier, and the secret."""
    one = client_secrets.c.hash == value_hash if value_hash else client_secrets.c.id == secret_id
    query = (
        sa.select(*_PRINCIPAL, *_CLIENT_SECRET)
        .join(client_secrets, client_secrets.c.principal_id == principals.c.id)
        .where(one, client_secrets.c.expires_at > now, principals.c.active.is_(sa.true()))
    )
    row: Any = connection.execute(query).first()
    width = len(_CLIENT_SECRET)
    return (principal_of(row[:-width]), ClientSecret(*row[-width:])) if row else None


def delete_client_secret(connection: sa.Connection, principal_id: str, secret_id: str) -> bool:
    """End a secret; whether there was one."""
    gone = sa.delete(client_secrets).where(client_secrets.c.id == secret_id, client_secrets.c.principal_id == principal_id)
    return connection.execute(gone).rowcount > 0


def insert_session(connection: sa.Connection, value_hash: str, principal_id: str, now: datetime, expires_at: datetime) -> None:
    """New session."""
    connection.execute(sa.insert(sessions).values(hash=value_hash, principal_id=principal_id, created_at=now, expires_at=expires_at))


def fetch_session_owner(connection: sa.Connection, value_hash: str, now: datetime) -> Principal | None:
    """Active owner of a session that has not expired."""
    query = (
        sa.select(*_PRINCIPAL)
        .join(sessions, sessions.c.principal_id == principals.c.id)
        .where(sessions.c.hash == value_hash, sessions.c.expires_at > now, principals.c.active.is_(sa.true()))
    )
    row = connection.execute(query).first()
    return principal_of(row) if row else None


def delete_session(connection: sa.Connection, value_hash: str) -> None:
    """End one session."""
    connection.execute(sa.delete(sessions).where(sessions.c.hash == value_hash))


def delete_sessions(connection: sa.Connection, principal_id: str) -> None:
    """End all sessions of a principal."""
    connection.execute(sa.delete(sessions).where(sessions.c.principal_id == principal_id))


def insert_link(connection: sa.Connection, value_hash: str, principal_id: str, now: datetime, expires_at: datetime) -> None:
    """New sign-in link."""
    connection.execute(sa.insert(signin_links).values(hash=value_hash, principal_id=principal_id, created_at=now, expires_at=expires_at))


def use_link(connection: sa.Connection, value_hash: str, now: datetime) -> Principal | None:
    """Use up a link and give its active owner; None when it is unknown, used or expired.

    The update itself is the check, so that of two who redeem it at once only one succeeds.
    """
    used = connection.execute(
        sa.update(signin_links)
        .where(signin_links.c.hash == value_hash, signin_links.c.used_at.is_(None), signin_links.c.expires_at > now)
        .values(used_at=now),
    )
    if used.rowcount != 1:
        return None
    query = (
        sa.select(*_PRINCIPAL)
        .join(signin_links, signin_links.c.principal_id == principals.c.id)
        .where(signin_links.c.hash == value_hash, principals.c.active.is_(sa.true()))
    )
    row = connection.execute(query).first()
    return principal_of(row) if row else None


def put_password(connection: sa.Connection, principal_id: str, value_hash: str, now: datetime) -> None:
    """Set or replace a password."""
    changed = connection.execute(
        sa.update(passwords).where(passwords.c.principal_id == principal_id).values(hash=value_hash, changed_at=now),
    )
    if changed.rowcount == 0:
        connection.execute(sa.insert(passwords).values(principal_id=principal_id, hash=value_hash, changed_at=now))


def fetch_password(connection: sa.Connection, name: str) -> tuple[Principal, str] | None:
    """Active principal with this name and the hash of its password."""
    query = (
        sa.select(*_PRINCIPAL, passwords.c.hash)
        .join(passwords, passwords.c.principal_id == principals.c.id)
        .where(principals.c.name == name, principals.c.active.is_(sa.true()))
    )
    row = connection.execute(query).first()
    return (principal_of(row[:-1]), str(row[-1])) if row else None


def has_password(connection: sa.Connection, principal_id: str) -> bool:
    """Whether a principal has a password."""
    return connection.execute(sa.select(passwords.c.principal_id).where(passwords.c.principal_id == principal_id)).first() is not None


def lock_attempts(connection: sa.Connection, name_hash: str, now: datetime) -> tuple[int, datetime, datetime]:
    """Failures in a row for a name, when the last attempt was, and until when new ones are refused; others wait for this transaction."""
    here = attempts.c.name_hash == name_hash
    if connection.execute(sa.select(attempts.c.failures).where(here)).first() is None:
        # Somebody else may insert it at the same time; then theirs is as good.
        with contextlib.suppress(NameTaken), unique(connection):
            connection.execute(sa.insert(attempts).values(name_hash=name_hash, failures=0, last_at=now, blocked_until=now))
    columns = (attempts.c.failures, attempts.c.last_at, attempts.c.blocked_until)
    row = connection.execute(sa.select(*columns).where(here).with_for_update()).one_or_none()
    return (int(row[0]), row[1], row[2]) if row else (0, now, now)


def put_attempts(connection: sa.Connection, name_hash: str, failures: int, now: datetime, blocked_until: datetime) -> None:
    """Remember the attempts for a name."""
    values = {"failures": failures, "last_at": now, "blocked_until": blocked_until}
    connection.execute(sa.update(attempts).where(attempts.c.name_hash == name_hash).values(**values))


def delete_attempts(connection: sa.Connection, name_hash: str, older_than: datetime) -> None:
    """Forget the attempts for a name, and all that are old."""
    connection.execute(sa.delete(attempts).where(sa.or_(attempts.c.name_hash == name_hash, attempts.c.last_at < older_than)))
