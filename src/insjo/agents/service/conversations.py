"""Conversations: each belongs to one person, and for everybody else, admins too, it does not exist."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from insjo.access.types import Label, Origin, Provenance, provenance_of
from insjo.agents import store
from insjo.agents.errors import ConversationBusy, ConversationNotFound, MessageInvalid, TooManyConversations
from insjo.agents.types import AttachedText, Conversation, Message, Source
from insjo.kernel.ids import new_id
from insjo.kernel.paging import Page, foreign_token, page_of
from insjo.retrieval.types import Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy as sa

    from insjo.access.service.facade import Access
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.kernel.paging import PageRequest

CONVERSATIONS_MAX: Final = 5_000
"""Conversations that one person keeps."""

MESSAGES_MAX: Final = 2_000
"""Messages of one conversation."""

MESSAGES_SHOWN_MAX: Final = 200
TITLE_CHARS_MAX: Final = 120
TITLE_FIRST_CHARS: Final = 60
ORIGINS_KEPT_MAX: Final = 5_000
RECALLED_MAX: Final = 60
"""Messages before the question that are looked at; older ones are not sent any more."""

TEXTS_RECALLED_MAX: Final = 10
CLAIM_S: Final = 45
"""How long a running answer holds its conversation unless it says that it still runs."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PRIVATE: Final = "It may have been deleted, or it belongs to somebody else: conversations are private."


@dataclass(frozen=True, slots=True)
class Opening:
    """What somebody says, as it is kept before anything is asked."""

    text: str
    files: tuple[str, ...]
    endpoint: str
    indexes: tuple[str, ...]
    agent: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A conversation in which an answer runs, and the message to answer; `number` is the message's place."""

    conversation: Conversation
    message: Message
    number: int
    claim: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """What was said before, oldest first, and the texts that came with it, the last first.

    Only what was answered counts: a question that failed was asked again, or given up.
    """

    turns: tuple[Turn, ...]
    texts: tuple[AttachedText, ...]


class Conversations:
    """The conversations of whoever asks."""

    def __init__(self, *, database: Database, clock: Clock, access: Access) -> None:
        """Keep what rows are made of."""
        self._database = database
        self._clock = clock
        self._access = access

    # ------------------------------------------------------------------------------------------------------- for the person

    def list(self, ctx: RequestContext, page: PageRequest) -> Page[Conversation]:
        """The caller's conversations, the last used first."""
        before = _place_of(page.after())
        with self._database.read() as reading:
            rows = store.fetch_conversations(reading, ctx.principal.id, before, page.size + 1)
        return page_of([_conversation_of(row) for row in rows], page.size, _sort_key)

    def get(self, ctx: RequestContext, conversation_id: str) -> Conversation:
        """One of the caller's conversations; raises ConversationNotFound."""
        with self._database.read() as reading:
            return self._own(reading, ctx, conversation_id)

    def messages(
        self, ctx: RequestContext, conversation_id: str, *, limit: int = MESSAGES_SHOWN_MAX, before: int | None = None
    ) -> Sequence[Message]:
        """The last messages, or the last before the one with this number, oldest first; raises ConversationNotFound."""
        with self._database.read() as reading:
            self._own(reading, ctx, conversation_id)
            rows = store.fetch_messages(reading, conversation_id, min(limit, MESSAGES_MAX), before)
        return [_message_of(row) for row in rows]

    def rename(self, ctx: RequestContext, conversation_id: str, title: str) -> Conversation:
        """Give a conversation another title.

        Raises:
            ConversationNotFound: There is none.
            MessageInvalid: The title is empty or too long.
        """
        words = one_line(title)
        if not words or len(words) > TITLE_CHARS_MAX:
            raise MessageInvalid(f"A title has 1 to {TITLE_CHARS_MAX} characters, and this one has {len(words)}.")
        with self._database.write() as writing:
            if not store.update_conversation(writing, conversation_id, ctx.principal.id, {"title": words}):
                raise _not_found(conversation_id)
            return self._own(writing, ctx, conversation_id)

    def delete(self, ctx: RequestContext, conversation_id: str) -> None:
        """Remove a conversation with all that was said in it; an answer that runs in it ends.  Raises ConversationNotFound."""
        with self._database.write() as writing:
            if not store.delete_conversation(writing, conversation_id, ctx.principal.id):
                raise _not_found(conversation_id)

    # ---------------------------------------------------------------------------------------------------------- for the chat

    def begin(self, ctx: RequestContext, conversation_id: str | None, opening: Opening) -> Begun:
        """Keep what somebody says, and claim the conversation for one answer; None makes a new conversation.

        Raises:
            ConversationNotFound: There is none.
            ConversationBusy: An answer is running in it.
            TooManyConversations: A limit is reached.
        """
        typed = self._access.fingerprints.label_text(opening.text)
        now = self._clock.now()
        claim, until = new_id(), now + timedelta(seconds=CLAIM_S)
        targets = {"endpoint": opening.endpoint, "indexes": list(opening.indexes), "agent": opening.agent}
        message = Message(new_id(), "user", opening.text, typed, now, files=opening.files)
        with self._database.write() as writing:
            if conversation_id is None:
                if store.count_conversations(writing, ctx.principal.id) >= CONVERSATIONS_MAX:
                    raise TooManyConversations(
                        f"You keep {CONVERSATIONS_MAX} conversations, and that is the limit.", hint="Delete those that you no longer need."
                    )
                conversation_id = new_id()
                title = title_of(opening.text, opening.files)
                whose = {"id": conversation_id, "owner_id": ctx.principal.id, "title": title, "created_at": now}
                store.insert_conversation(writing, {**whose, **targets, "updated_at": now, "answering": claim, "answering_until": until})
            else:
                self._own(writing, ctx, conversation_id)
                if not store.claim_conversation(writing, conversation_id, claim, now, until):
                    raise ConversationBusy(
                        "An answer is still running in this conversation.", hint="Wait until it is complete, or stop it, and send again."
                    )
                store.update_conversation(writing, conversation_id, ctx.principal.id, {**targets, "updated_at": now})
            number = store.append_message(writing, conversation_id, _row_of(message))
            if number >= MESSAGES_MAX:
                raise TooManyConversations(
                    f"This conversation has {MESSAGES_MAX} messages, and that is the limit.", hint="Begin a new conversation."
                )
            return Begun(self._own(writing, ctx, conversation_id), message, number, claim)

    def attach(self, begun: Begun, texts: Sequence[AttachedText]) -> Begun:
        """Keep the texts that came with the message; from now on its label holds theirs."""
        message = replace(begun.message, provenance=provenance_of([begun.message.provenance, *(each.provenance for each in texts)]))
        with self._database.write() as writing:
            store.update_message(writing, message.id, _provenance_row(message.provenance))
            rows = [{"name": each.name, "text": each.text, **_provenance_row(each.provenance)} for each in texts]
            store.insert_attached(writing, message.id, rows)
        return replace(begun, message=message)

    def recall(self, begun: Begun) -> Recalled:
        """What was said before the message, with labels that are at least those that its origins have now."""
        with self._database.read() as reading:
            rows = store.fetch_messages(reading, begun.conversation.id, RECALLED_MAX, begun.number)
            attached = store.fetch_attached(reading, begun.conversation.id, TEXTS_RECALLED_MAX)
        turns = _answered([_message_of(row) for row in rows])
        texts = [AttachedText(row["name"], row["text"], _provenance_of(row)) for row in attached]
        live = self._live([each.provenance for each in turns] + [each.provenance for each in texts])
        turns = [replace(each, provenance=provenance) for each, provenance in zip(turns, live, strict=False)]
        texts = [replace(each, provenance=provenance) for each, provenance in zip(texts, live[len(turns) :], strict=True)]
        return Recalled(tuple(turns), tuple(texts))

    def renew(self, begun: Begun) -> bool:
        """Say that the answer still runs; False when the conversation is gone, or was claimed by another answer."""
        until = self._clock.now() + timedelta(seconds=CLAIM_S)
        with self._database.write() as writing:
            return store.renew_claim(writing, begun.conversation.id, begun.claim, until)

    def finish(self, ctx: RequestContext, begun: Begun, answer: Message) -> tuple[Conversation, Message]:
        """Keep the answer, and let the next one run; gives both as they are kept.

        Raises:
            ConversationNotFound: The conversation was deleted meanwhile.
        """
        with self._database.write() as writing:
            if not store.update_conversation(writing, begun.conversation.id, ctx.principal.id, {"updated_at": answer.created_at}):
                raise _not_found(begun.conversation.id)
            number = store.append_message(writing, begun.conversation.id, _row_of(answer))
            store.release_claim(writing, begun.conversation.id, begun.claim)
            return self._own(writing, ctx, begun.conversation.id), replace(answer, number=number)

    # --------------------------------------------------------------------------------------------------------------- details

    @staticmethod
    def _own(connection: sa.Connection, ctx: RequestContext, conversation_id: str) -> Conversation:
        row = store.fetch_conversation(connection, conversation_id, ctx.principal.id)
        if row is None:
            raise _not_found(conversation_id)
        return _conversation_of(row)

    def _live(self, kept: Sequence[Provenance]) -> Sequence[Provenance]:
        """Each joined with what its origins are labelled now: a label that was raised later holds for what was said before."""
        ids = {origin.securable_id for each in kept for origin in each.origins if origin.securable_id}
        labels = self._access.labels.effective_sets(ids)
        found = []
        for each in kept:
            label = each.label
            for origin in each.origins:
                if origin.securable_id:
                    label = label.join(labels[origin.securable_id].of(origin.column or ""))
            found.append(Provenance(label, each.origins))
        return found


def title_of(text: str, files: Sequence[str] = ()) -> str:
    """The first words of a first message; no model is asked."""
    words = one_line(re.sub(r"^[#>*\-\s]+", "", text)) or (one_line(files[0]) if files else "")
    if len(words) <= TITLE_FIRST_CHARS:
        return words or "…"
    begun = words[:TITLE_FIRST_CHARS].rsplit(" ", 1)[0].rstrip(" ,;:.–-")
    return f"{begun or words[:TITLE_FIRST_CHARS]}…"


def one_line(text: str) -> str:
    """The text without line breaks, control characters, and white space that says nothing."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _answered(messages: Iterable[Message]) -> list[Turn]:
    """Questions with their answers."""
    turns: list[Turn] = []
    asked: Message | None = None
    for message in messages:
        if message.role == "user":
            asked = message
        elif asked is not None and message.text:
            turns.append(Turn("user", _said(asked), asked.provenance))
            turns.append(Turn("assistant", message.text, message.provenance))
            asked = None
    return turns


def _said(message: Message) -> str:
    """A message as it is remembered: files by name."""
    names = ", ".join(message.files)
    return f"{message.text}\n[{names}]".strip() if names else message.text


def _not_found(conversation_id: str) -> ConversationNotFound:
    return ConversationNotFound(f"The conversation `{conversation_id[:64]}` does not exist.", hint=_PRIVATE)


def _sort_key(conversation: Conversation) -> str:
    micros = (conversation.updated_at - _EPOCH) // timedelta(microseconds=1)
    return f"{micros}:{conversation.id}"


def _place_of(key: str) -> tuple[datetime, str] | None:
    """Where a page begins; None for the first."""
    if not key:
        return None
    micros, _, last = key.partition(":")
    try:
        return _EPOCH + timedelta(microseconds=int(micros)), last
    except (ValueError, OverflowError) as error:
        raise foreign_token() from error


def _conversation_of(row: Mapping[str, Any]) -> Conversation:
    return Conversation(
        id=row["id"],
        title=row["title"],
        endpoint=row["endpoint"],
        indexes=tuple(row["indexes"]),
        agent=row["agent"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _message_of(row: Mapping[str, Any]) -> Message:
    return Message(
        id=row["id"],
        role=row["role"],
        text=row["text"],
        provenance=_provenance_of(row),
        created_at=row["created_at"],
        number=row["number"],
        files=tuple(row["files"]),
        sources=tuple(Source(**each) for each in row["sources"]),
        notices=tuple(row["notices"]),
        model=row["model"],
        sql=row["sql"],
        partial=row["partial"],
    )


def _row_of(message: Message) -> dict[str, object]:
    sources = [
        {"number": each.number, "title": each.title, "place": each.place, "href": each.href, "quote": each.quote}
        for each in message.sources
    ]
    return {
        "id": message.id,
        "role": message.role,
        "text": message.text,
        "files": list(message.files),
        "sources": sources,
        "notices": list(message.notices),
        "model": message.model,
        "sql": message.sql,
        "partial": message.partial,
        "created_at": message.created_at,
        **_provenance_row(message.provenance),
    }


def _provenance_row(provenance: Provenance) -> dict[str, object]:
    origins = [[each.object, each.version, each.column, each.securable_id] for each in provenance.origins[:ORIGINS_KEPT_MAX]]
    return {"label": provenance.label.as_json(), "origins": origins}


def _provenance_of(row: Mapping[str, Any]) -> Provenance:
    return Provenance(Label.from_json(row["label"]), tuple(Origin(*each) for each in row["origins"]))
