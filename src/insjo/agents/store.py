"""Rows of the agents room in the metadata database: agents, conversations, messages, and actions that wait for a confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from insjo.kernel.database import UtcDateTime, metadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

Row: TypeAlias = "Mapping[str, Any]"

agents = sa.Table(
    "agents_agents",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("instructions", sa.Text, nullable=False),
    sa.Column("endpoint", sa.String(255), nullable=False),
    sa.Column("tables", sa.JSON, nullable=False),
    sa.Column("indexes", sa.JSON, nullable=False),
    sa.Column("examples", sa.JSON, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("created_by", sa.String(255), nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("updated_by", sa.String(255), nullable=False),
)

conversations = sa.Table(
    "agents_conversations",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("owner_id", sa.String(64), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("endpoint", sa.String(255), nullable=False),
    sa.Column("indexes", sa.JSON, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    # Who answers just now, and until when that holds unless it is renewed: a killed server leaves no conversation locked.
    sa.Column("answering", sa.String(64), nullable=False),
    sa.Column("answering_until", UtcDateTime, nullable=True),
    sa.Index("ix_agents_conversations_owner_id_updated_at", "owner_id", "updated_at"),
)

messages = sa.Table(
    "agents_messages",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("conversation_id", sa.String(64), sa.ForeignKey("agents_conversations.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("origins", sa.JSON, nullable=False),
    sa.Column("sources", sa.JSON, nullable=False),
    sa.Column("notices", sa.JSON, nullable=False),
    sa.Column("model", sa.String(512), nullable=False),
    sa.Column("sql", sa.Text, nullable=False),
    sa.Column("partial", sa.Boolean, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("conversation_id", "number"),
)

attached_texts = sa.Table(
    "agents_attached_texts",
    metadata,
    sa.Column("message_id", sa.String(64), sa.ForeignKey("agents_messages.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("label", sa.JSON, nullable=False),
    sa.Column("origins", sa.JSON, nullable=False),
)

actions = sa.Table(
    "agents_actions",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("owner_id", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("arguments", sa.JSON, nullable=False),
    sa.Column("describes", sa.Text, nullable=False),
    sa.Column("language", sa.String(8), nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False, index=True),
)


# --------------------------------------------------------------------------------------------------------------------- agents


def insert_agent(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """New agent."""
    connection.execute(sa.insert(agents).values(**values))


def update_agent(connection: sa.Connection, agent_id: str, values: Mapping[str, object]) -> None:
    """Change some columns of an agent."""
    connection.execute(sa.update(agents).where(agents.c.id == agent_id).values(**values))


def delete_agent(connection: sa.Connection, agent_id: str) -> None:
    """Remove an agent."""
    connection.execute(sa.delete(agents).where(agents.c.id == agent_id))


def fetch_agent(connection: sa.Connection, agent_id: str) -> Row | None:
    """One agent."""
    row = connection.execute(sa.select(agents).where(agents.c.id == agent_id)).mappings().first()
    return dict(row) if row else None


def fetch_agents(connection: sa.Connection, visible: sa.Select[tuple[str]], limit: int) -> Sequence[Row]:
    """The agents among those visible."""
    query = sa.select(agents).where(agents.c.id.in_(visible)).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def fetch_agent_ids(connection: sa.Connection) -> list[str]:
    """Identifiers of all agents."""
    return [str(row[0]) for row in connection.execute(sa.select(agents.c.id))]


# -------------------------------------------------------------------------------------------------------------- conversations


def insert_conversation(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """New conversation."""
    connection.execute(sa.insert(conversations).values(**values))


def update_conversation(connection: sa.Connection, conversation_id: str, owner_id: str, values: Mapping[str, object]) -> bool:
    """Change some columns of a conversation of its owner; False when there is none."""
    own = sa.update(conversations).where(conversations.c.id == conversation_id, conversations.c.owner_id == owner_id)
    return connection.execute(own.values(**values)).rowcount > 0


def claim_conversation(connection: sa.Connection, conversation_id: str, answering: str, now: datetime, until: datetime) -> bool:
    """Let one answer run in a conversation; False when another one does."""
    free = sa.or_(conversations.c.answering == "", conversations.c.answering_until < now)
    claim = sa.update(conversations).where(conversations.c.id == conversation_id, free)
    return connection.execute(claim.values(answering=answering, answering_until=until)).rowcount > 0


def renew_claim(connection: sa.Connection, conversation_id: str, answering: str, until: datetime) -> bool:
    """Hold a claim for longer; False when it was lost, or the conversation is gone."""
    held = sa.update(conversations).where(conversations.c.id == conversation_id, conversations.c.answering == answering)
    return connection.execute(held.values(answering_until=until)).rowcount > 0


def release_claim(connection: sa.Connection, conversation_id: str, answering: str) -> None:
    """Let the next answer run."""
    held = sa.update(conversations).where(conversations.c.id == conversation_id, conversations.c.answering == answering)
    connection.execute(held.values(answering="", answering_until=None))


def fetch_conversation(connection: sa.Connection, conversation_id: str, owner_id: str) -> Row | None:
    """One conversation of its owner."""
    query = sa.select(conversations).where(conversations.c.id == conversation_id, conversations.c.owner_id == owner_id)
    row = connection.execute(query).mappings().first()
    return dict(row) if row else None


def fetch_conversations(connection: sa.Connection, owner_id: str, before: tuple[datetime, str] | None, limit: int) -> Sequence[Row]:
    """Conversations of one owner, the last used first, that come after the one with this moment and identifier."""
    query = sa.select(conversations).where(conversations.c.owner_id == owner_id)
    if before is not None:
        moment, last = before
        same = sa.and_(conversations.c.updated_at == moment, conversations.c.id < last)
        query = query.where(sa.or_(conversations.c.updated_at < moment, same))
    query = query.order_by(conversations.c.updated_at.desc(), conversations.c.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def count_conversations(connection: sa.Connection, owner_id: str) -> int:
    """How many conversations somebody keeps."""
    query = sa.select(sa.func.count()).select_from(conversations).where(conversations.c.owner_id == owner_id)
    return int(connection.execute(query).scalar_one())


def delete_conversation(connection: sa.Connection, conversation_id: str, owner_id: str) -> bool:
    """Remove a conversation of its owner with all its messages; False when there is none."""
    own = sa.delete(conversations).where(conversations.c.id == conversation_id, conversations.c.owner_id == owner_id)
    return connection.execute(own).rowcount > 0


def append_message(connection: sa.Connection, conversation_id: str, values: Mapping[str, object]) -> int:
    """New message at the end of a conversation; gives its number, counted from 1."""
    query = sa.select(sa.func.max(messages.c.number)).where(messages.c.conversation_id == conversation_id)
    number = int(connection.execute(query).scalar() or 0) + 1
    connection.execute(sa.insert(messages).values(conversation_id=conversation_id, number=number, **values))
    return number


def update_message(connection: sa.Connection, message_id: str, values: Mapping[str, object]) -> None:
    """Change some columns of a message."""
    connection.execute(sa.update(messages).where(messages.c.id == message_id).values(**values))


def fetch_messages(connection: sa.Connection, conversation_id: str, limit: int, before: int | None = None) -> Sequence[Row]:
    """The last messages of a conversation, or the last before a number, oldest first."""
    query = sa.select(messages).where(messages.c.conversation_id == conversation_id)
    if before is not None:
        query = query.where(messages.c.number < before)
    query = query.order_by(messages.c.number.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()][::-1]


def insert_attached(connection: sa.Connection, message_id: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Texts of the files that came with a message."""
    connection.execute(sa.insert(attached_texts), [{"message_id": message_id, "number": at, **row} for at, row in enumerate(rows)])


def fetch_attached(connection: sa.Connection, conversation_id: str, limit: int) -> Sequence[Row]:
    """Texts of the files that came last into a conversation, the last first."""
    joined = attached_texts.join(messages, messages.c.id == attached_texts.c.message_id)
    query = sa.select(attached_texts).select_from(joined).where(messages.c.conversation_id == conversation_id)
    query = query.order_by(messages.c.number.desc(), attached_texts.c.number).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


# -------------------------------------------------------------------------------------------------------------------- actions


def insert_actions(connection: sa.Connection, rows: Iterable[Mapping[str, object]]) -> None:
    """New actions that wait."""
    connection.execute(sa.insert(actions), [dict(row) for row in rows])


def take_action(connection: sa.Connection, action_id: str, owner_id: str, now: datetime) -> Row | None:
    """Remove a waiting action and give it: whoever comes second finds nothing."""
    query = sa.select(actions).where(actions.c.id == action_id, actions.c.owner_id == owner_id, actions.c.expires_at > now)
    row = connection.execute(query).mappings().first()
    if row is None or not connection.execute(sa.delete(actions).where(actions.c.id == action_id)).rowcount:
        return None
    return dict(row)


def delete_expired_actions(connection: sa.Connection, now: datetime) -> None:
    """Forget what nobody confirmed in time."""
    connection.execute(sa.delete(actions).where(actions.c.expires_at <= now))


def delete_oldest_actions(connection: sa.Connection, owner_id: str, kept: int) -> None:
    """Leave somebody only the newest waiting actions."""
    latest = (actions.c.expires_at.desc(), actions.c.id.desc())
    newest = sa.select(actions.c.id).where(actions.c.owner_id == owner_id).order_by(*latest).limit(kept)
    connection.execute(sa.delete(actions).where(actions.c.owner_id == owner_id, actions.c.id.not_in(newest)))
