"""One answer while it runs: what was asked, what came so far, and the queue to whoever listens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from insjo.access.types import PUBLIC, Provenance
from insjo.agents.types import Cited, Delta, Notice, Waiting

if TYPE_CHECKING:
    from insjo.agents.pages import Language
    from insjo.agents.service.conversations import Begun, Opening
    from insjo.agents.types import AttachedText, ConversationEvent, Source
    from insjo.gateway.types import Route
    from insjo.kernel.context import RequestContext

EVENTS_MAX: Final = 256
STALLED_S: Final = 60.0
"""A listener that takes nothing for so long counts as gone: a model must not wait for it."""

ANSWER_CHARS_MAX: Final = 200_000


class ListenerGone(Exception):  # No error: nobody takes the events any more.
    """Nobody listens."""


@dataclass(slots=True)
class Draft:
    """What came so far.

    Attributes:
        provenance: Of everything that the answer is known to be made from.
        provisional: Of everything that it may be made from, until it is whole and tells exactly.
        whole: The answer ended by itself.
    """

    text: str = ""
    sources: dict[int, Source] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    model: str = ""
    sql: str = ""
    provenance: Provenance = field(default_factory=lambda: Provenance(PUBLIC))
    provisional: Provenance = field(default_factory=lambda: Provenance(PUBLIC))
    whole: bool = False

    def add(self, provenance: Provenance) -> None:
        """The answer is made from this too."""
        self.provenance = self.provenance.join(provenance)

    def presume(self, provenance: Provenance) -> None:
        """The answer may be made from this too."""
        self.provisional = self.provisional.join(provenance)

    def answered_by(self, route: Route | None) -> None:
        """Which model answers."""
        if route is not None and route.served_model:
            away = route.served_by != route.endpoint
            self.model = f"{route.served_by}/{route.served_model}" if away else route.served_model

    def complete(self, provenance: Provenance, text: str | None = None) -> None:
        """The answer is whole, and this is exactly what it was made from."""
        self.add(provenance)
        self.provisional = Provenance(PUBLIC)
        self.text = self.text if text is None else text[:ANSWER_CHARS_MAX]
        self.whole = True


class RunningAnswer:
    """One answer while it runs.

    Attributes:
        begun: Set before anything is asked.
        texts: Of the files that came with the message.
        stop: Set to stop the answer.
    """

    def __init__(self, ctx: RequestContext, conversation_id: str | None, asked: Opening, files: tuple[tuple[str, bytes], ...]) -> None:
        """Begin with an empty draft."""
        self.ctx = ctx
        self.conversation_id = conversation_id
        self.asked = asked
        self.files = files
        self.begun: Begun
        self.texts: tuple[AttachedText, ...] = ()
        self.language: Language = "en"
        self.draft = Draft()
        self.stop = asyncio.Event()
        self._left = False
        self._events: asyncio.Queue[ConversationEvent | Exception | None] = asyncio.Queue(EVENTS_MAX)

    async def next(self, waiting_s: float) -> ConversationEvent | Exception | None:
        """The next event, `Waiting` when none came for so long, None at the end; an exception is to be raised."""
        try:
            return await asyncio.wait_for(self._events.get(), waiting_s)
        except TimeoutError:
            return Waiting()

    def leave(self) -> None:
        """Nobody takes the events any more, so the answer stops."""
        self._left = True
        self.stop.set()
        # Whoever waits for room in the queue goes on at once.
        while not self._events.empty():
            self._events.get_nowait()

    async def tell(self, event: ConversationEvent) -> None:
        """Hand an event to the listener; raises ListenerGone when it takes none."""
        if self._left:
            return
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            try:
                await asyncio.wait_for(self._events.put(event), STALLED_S)
            except TimeoutError:
                self.leave()
                raise ListenerGone from None

    async def note(self, notice: Notice) -> None:
        """Tell the reader something, and keep it with the answer."""
        self.draft.notices.append(notice.text)
        await self.tell(notice)

    async def say(self, piece: str) -> bool:
        """A piece of the answer's text; False when the answer is as long as it may be."""
        room = ANSWER_CHARS_MAX - len(self.draft.text)
        self.draft.text += piece[:room]
        await self.tell(Delta(piece[:room]))
        return len(piece) < room

    async def cite(self, source: Source) -> None:
        """A source on which the text relies."""
        if source.number not in self.draft.sources:
            self.draft.sources[source.number] = source
            await self.tell(Cited(source))

    def refuse(self, error: Exception) -> None:
        """Nothing was begun: the listener gets the error."""
        if not self._left:
            self._events.put_nowait(error)

    async def end(self) -> None:
        """No event comes any more."""
        if self._left:
            return
        try:
            await asyncio.wait_for(self._events.put(None), STALLED_S)
        except TimeoutError:
            self.leave()
