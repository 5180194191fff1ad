"""The chat: keeps what is said, asks a model, documents or an agent, and keeps what came, whatever happens on the way.

An answer runs in a task of its own and hands its events over through a bounded queue.  Whoever closes the generator stops the answer:
the call to the model ends, and what had come so far is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from insjo.access.types import Privilege, SecurableKind, provenance_of
from insjo.agents.chat_wording import say
from insjo.agents.errors import ConversationNotFound, MessageInvalid, TooManyAnswers
from insjo.agents.language import language_of
from insjo.agents.service.answering import Answering
from insjo.agents.service.attachments import Attachments
from insjo.agents.service.conversations import CLAIM_S, Opening
from insjo.agents.service.running_answer import ListenerGone, RunningAnswer
from insjo.agents.types import Answered, Began, Failed, Message, Notice, ToolCalled, ToolReturned
from insjo.kernel.errors import InsjoError, InvalidArgument, Unavailable
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from insjo.access.service.facade import Access
    from insjo.agents.service.answering import Agents
    from insjo.agents.service.conversations import Begun, Conversations
    from insjo.agents.types import Conversation, ConversationEvent
    from insjo.gateway.service.room import GatewayRoom
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads
    from insjo.retrieval.ports import DocumentParser
    from insjo.retrieval.service.room import RetrievalRoom

TEXT_CHARS_MAX: Final = 100_000
INDEXES_MAX: Final = 10
RUNNING_MAX: Final = 256
RUNNING_EACH_MAX: Final = 8
"""Answers that run at once for one person."""

WAITING_S: Final = 15.0
"""After so long without an event `Waiting` is sent, so that proxies keep the connection."""

RENEW_S: Final = CLAIM_S / 3
CLOSED_WITHIN_S: Final = 20.0
ENDPOINT_DEFAULT: Final = "insjo-chat"

_log = logging.getLogger(__name__)


class Chat:
    """Sends messages and streams answers."""

    def __init__(
        self,
        *,
        conversations: Conversations,
        access: Access,
        gateway: GatewayRoom,
        retrieval: RetrievalRoom,
        agents: Agents,
        parser: DocumentParser,
        threads: Threads,
        clock: Clock,
        waiting_s: float = WAITING_S,
        renew_s: float = RENEW_S,
    ) -> None:
        """Put together what answers; nothing runs yet."""
        self._conversations = conversations
        self._access = access
        self._gateway = gateway
        self._threads = threads
        self._clock = clock
        self._waiting_s = waiting_s
        self._renew_s = renew_s
        self._attachments = Attachments(access=access, parser=parser, threads=threads)
        self._answering = Answering(gateway=gateway, retrieval=retrieval, agents=agents, threads=threads)
        self._running: dict[asyncio.Task[None], RunningAnswer] = {}
        self._closing = False

    async def send(
        self,
        ctx: RequestContext,
        conversation_id: str | None,
        text: str,
        *,
        endpoint: str = "",
        agent: str = "",
        indexes: Sequence[str] = (),
        attachments: Sequence[tuple[str, bytes]] = (),
    ) -> AsyncGenerator[ConversationEvent, None]:
        """Say something and get the events of the answer: `Began` first, `Answered` or `Failed` last.

        Closing the generator stops the answer; what had come is kept.

        Args:
            ctx: Who says it.
            conversation_id: Where; None begins a new conversation.
            text: What is said; may be empty when there are attachments.
            endpoint: Chat endpoint.
            agent: Full name of an agent, in place of an endpoint.
            indexes: Indexes from whose documents the answer shall come.  When neither endpoint nor agent nor index is named, those of
                the last message hold.
            attachments: Names and contents of files.

        Raises:
            ConversationNotFound, ConversationBusy, MessageInvalid, AttachmentInvalid, TooManyConversations, TooManyAnswers: Before the
                first event; nothing was kept.
            SecurableNotFound, AccessDenied: Likewise, when a new conversation names something that the caller may not use.
        """
        asked = Opening(text.strip(), (), endpoint.lower(), tuple(dict.fromkeys(each.lower() for each in indexes if each)), agent.lower())
        files = self._checked(asked, attachments)
        self._admit(ctx)
        run = RunningAnswer(ctx, conversation_id, asked, files)
        task = asyncio.create_task(self._serve(run))
        self._running[task] = run
        task.add_done_callback(lambda done: self._running.pop(done, None))
        try:
            while (event := await run.next(self._waiting_s)) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            # First without waiting: whoever is cancelled may not get to wait.
            run.leave()
            await asyncio.shield(asyncio.wait({task}, timeout=CLOSED_WITHIN_S))

    async def close(self) -> None:
        """Stop all answers and wait until what came of them is kept."""
        self._closing = True
        for run in self._running.values():
            run.stop.set()
        if self._running:
            await asyncio.wait(set(self._running), timeout=CLOSED_WITHIN_S)

    # ------------------------------------------------------------------------------------------------------------ what is asked

    def _checked(self, asked: Opening, attachments: Sequence[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
        """The files, when everything is within its limits."""
        if not asked.text and not attachments:
            raise MessageInvalid("The message is empty.", hint="Write something, or attach a file.")
        if len(asked.text) > TEXT_CHARS_MAX:
            raise MessageInvalid(
                f"A message has at most {TEXT_CHARS_MAX:,} characters, and this one has {len(asked.text):,}.", hint="Attach it as a file."
            )
        if len(asked.indexes) > INDEXES_MAX:
            raise InvalidArgument(f"At most {INDEXES_MAX} indexes can be asked at once.")
        if asked.agent and (asked.indexes or asked.endpoint):
            raise InvalidArgument("An agent has an endpoint and indexes of its own.", hint="Name either an agent or an endpoint.")
        return self._attachments.check(attachments)

    def _admit(self, ctx: RequestContext) -> None:
        """Refuse when too much runs already."""
        if self._closing:
            raise Unavailable("The server is stopping.", hint="Try again in a moment.")
        own = sum(run.ctx.principal.id == ctx.principal.id for run in self._running.values())
        if own >= RUNNING_EACH_MAX or len(self._running) >= RUNNING_MAX:
            raise TooManyAnswers("Too many answers are running at once.", hint="Wait until one of them is complete.")

    def _begin(self, run: RunningAnswer) -> Begun:
        """Keep the message.  A new conversation is begun only with what can be asked."""
        asked = run.asked
        if run.conversation_id is None:
            asked = self._with_default(run.ctx, asked)
            self._check_rights(run.ctx, asked)
        elif not (asked.endpoint or asked.agent or asked.indexes):
            last = self._conversations.get(run.ctx, run.conversation_id)
            asked = self._with_default(run.ctx, _as_last_time(asked, last))
        else:
            asked = self._with_default(run.ctx, asked)
        names = tuple(name for name, _ in run.files)
        opening = Opening(asked.text, names, asked.endpoint, asked.indexes, asked.agent)
        return self._conversations.begin(run.ctx, run.conversation_id, opening)

    def _with_default(self, ctx: RequestContext, asked: Opening) -> Opening:
        """The endpoint of the house, if none is named; documents can be asked without any."""
        if asked.endpoint or asked.agent:
            return asked
        if asked.indexes:
            decided = self._access.authority.decide_by_name(ctx, SecurableKind.ENDPOINT, ENDPOINT_DEFAULT, Privilege.EXECUTE)
            if not decided.allowed:
                return asked
        return Opening(asked.text, asked.files, ENDPOINT_DEFAULT, asked.indexes, asked.agent)

    def _check_rights(self, ctx: RequestContext, asked: Opening) -> None:
        """Raise for what does not exist for the caller, or may not be used by them."""
        resolve = self._access.securables.resolve
        if asked.endpoint:
            resolve(ctx, SecurableKind.ENDPOINT, asked.endpoint, Privilege.EXECUTE)
        if asked.agent:
            resolve(ctx, SecurableKind.AGENT, asked.agent, Privilege.EXECUTE)
        for index in asked.indexes:
            resolve(ctx, SecurableKind.INDEX, index, Privilege.SELECT)

    # --------------------------------------------------------------------------------------------------------------- one answer

    async def _serve(self, run: RunningAnswer) -> None:
        """One answer from beginning to end; never raises, and always ends the queue."""
        try:
            try:
                begun = await self._threads.run(self._begin, run)
            except Exception as error:  # noqa: BLE001  # Whoever listens gets it.
                run.refuse(error)
                return
            run.begun, run.language = begun, language_of(run.asked.text)
            run.draft.add(begun.message.provenance)
            await run.tell(Began(begun.conversation))
            answer = asyncio.create_task(self._answer(run))
            await self._watch(run, answer)
            await self._keep(run, _outcome(run, answer))
        except ListenerGone:
            pass
        except Exception as error:  # noqa: BLE001  # The last line: the database may be away.
            with contextlib.suppress(ListenerGone):
                await run.tell(_failed(_shown(error, run.ctx)))
        finally:
            await run.end()

    async def _watch(self, run: RunningAnswer, answer: asyncio.Task[None]) -> None:
        """Hold the conversation while the answer runs; end the answer when somebody stops it or the conversation is gone."""
        stopping = asyncio.create_task(run.stop.wait())
        try:
            while not answer.done() and not run.stop.is_set():
                done, _ = await asyncio.wait({answer, stopping}, timeout=self._renew_s, return_when=asyncio.FIRST_COMPLETED)
                if not done and not await self._threads.run(self._conversations.renew, run.begun):
                    run.stop.set()
        finally:
            stopping.cancel()
            if not answer.done():
                answer.cancel()
                await asyncio.wait({answer}, timeout=CLOSED_WITHIN_S)

    async def _answer(self, run: RunningAnswer) -> None:
        """Read the files, remember what was said, and ask."""
        await self._read_files(run)
        begun = run.begun
        if run.conversation_id is not None:
            opened = begun.conversation
            asked = Opening(run.asked.text, (), opened.endpoint, opened.indexes, opened.agent)
            await self._threads.run(self._check_rights, run.ctx, asked)
        recalled = await self._threads.run(self._conversations.recall, begun)
        await self._answering.answer(run, recalled)

    async def _read_files(self, run: RunningAnswer) -> None:
        """Read what is attached, and keep its text with the message."""
        if not run.files:
            return
        texts = []
        for name, content in run.files:
            await run.tell(ToolCalled(name))
            text, whole = await self._attachments.read(name, content)
            texts.append(text)
            await run.tell(ToolReturned(name, "", text.provenance.label))
            if not whole:
                await run.note(Notice(say("file_cut", run.language, name=f"`{name}`")))
        run.begun = await self._threads.run(self._conversations.attach, run.begun, texts)
        run.texts = tuple(texts)
        run.draft.add(run.begun.message.provenance)
        if not run.asked.text:
            run.language = language_of(texts[0].text[:2_000])

    async def _keep(self, run: RunningAnswer, failure: InsjoError | None) -> None:
        """Keep what came, and tell how it ended."""
        draft, stopped = run.draft, run.stop.is_set() and not run.draft.whole
        text = draft.text.strip()
        if stopped:
            draft.notices.append(say("stopped", run.language))
        elif failure is not None:
            draft.notices.append(say("failed" if text else "unanswered", run.language, error=str(failure)))
        elif not text:
            with contextlib.suppress(ListenerGone):
                await run.note(Notice(say("empty", run.language)))
        made_from = [draft.provenance, draft.provisional]
        if text:
            made_from.append(await self._threads.run(self._access.fingerprints.label_text, text))
        message = Message(
            id=new_id(),
            role="assistant",
            text=text,
            provenance=provenance_of(made_from),
            created_at=self._clock.now(),
            sources=tuple(draft.sources.values()),
            notices=tuple(dict.fromkeys(draft.notices)),
            model=draft.model,
            sql=draft.sql,
            partial=stopped or failure is not None,
        )
        try:
            conversation, message = await self._threads.run(self._conversations.finish, run.ctx, run.begun, message)
        except ConversationNotFound as gone:
            await run.tell(_failed(failure or gone))
            return
        await run.tell(_failed(failure) if failure is not None else Answered(conversation, message))


def _as_last_time(asked: Opening, last: Conversation) -> Opening:
    """What the last message asked."""
    return Opening(asked.text, asked.files, last.endpoint, last.indexes, last.agent)


def _outcome(run: RunningAnswer, answer: asyncio.Task[None]) -> InsjoError | None:
    """Why an answer failed; None when it is whole or was stopped."""
    if not answer.done() or answer.cancelled():
        run.stop.set()
        return None
    error = answer.exception()
    if error is None or isinstance(error, ListenerGone):
        return None
    return _shown(error, run.ctx)


def _shown(error: BaseException, ctx: RequestContext) -> InsjoError:
    """The error as it may be shown."""
    if isinstance(error, InsjoError):
        return error
    _log.error("request %s failed", ctx.request_id, exc_info=error)
    return InsjoError("Something went wrong inside Insjö.", hint=f"The log of the server has the details under request `{ctx.request_id}`.")


def _failed(error: InsjoError) -> Failed:
    return Failed(error.code, error.message, error.hint, error)
