"""Nouns of the agents room: agents, conversations and their messages, the events of an answer, and what the assistant says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from insjo.access.types import PUBLIC, Provenance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from insjo.access.types import Label
    from insjo.agents.pages import Language, Page
    from insjo.gateway.types import Route
    from insjo.kernel.errors import InsjoError

Role = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Example:
    """A question and the statement that answers it, checked by whoever wrote it down."""

    question: str
    sql: str


@dataclass(frozen=True, slots=True)
class Agent:
    """Instructions, an endpoint and what it may use; a securable of kind `AGENT`, run with `EXECUTE`.

    Tables, indexes and examples are those that the caller may see: an agent tells nobody what exists beyond that; `hides` says only that
    there is more.
    """

    id: str
    full_name: str
    instructions: str
    endpoint: str
    tables: tuple[str, ...]
    indexes: tuple[str, ...]
    examples: tuple[Example, ...]
    comment: str
    owner: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    hides: bool = False

    @property
    def name(self) -> str:
        """Last part of the full name."""
        return self.full_name.rsplit(".", 1)[-1]


@dataclass(frozen=True, slots=True)
class Source:
    """What a statement in an answer stands on: a passage of a document, or a page of the documentation."""

    number: int
    title: str
    place: str
    href: str
    quote: str = ""


@dataclass(frozen=True, slots=True)
class ResultTable:
    """Rows of a result as texts; NULL is None.  `row_count` counts all rows, also those that are not here."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    row_count: int
    truncated: bool = False


# --------------------------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Documents were searched; `count` passages came near."""

    count: int


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A tool begins: `sql`, or `search`."""

    name: str
    sql: str = ""


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool ended; the summary is for people, and the label is that of what it gave."""

    name: str
    summary: str
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """Something that the text relies on."""

    source: Source


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the reader must know, for example that another model answered."""

    text: str
    kind: Literal["notice", "rerouted", "minimised", "blocked"] = "notice"


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or not all of it; the last event then.  `error` is the same for whoever raises it."""

    code: str
    message: str
    hint: str = ""
    error: InsjoError | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """The whole answer; the last event otherwise.

    Attributes:
        text: Markdown.
        sql: The statement that was run, or empty.
        table: Its rows.
        provenance: Join of all that the answer was made from, the question included.
        answered: False when the honest answer was that there is none.
        worded_by: `model`; or `rules` when every word comes from Insjö, the documents and the tables.
        conversation_id: Where the answer was kept; empty when it was not.
    """

    text: str
    provenance: Provenance
    sources: tuple[Source, ...] = ()
    sql: str = ""
    table: ResultTable | None = None
    route: Route | None = None
    answered: bool = True
    worded_by: Literal["model", "rules"] = "rules"
    conversation_id: str = ""
    title: str = ""


ChatEvent = Retrieved | ToolCalled | ToolReturned | Delta | Cited | Notice | Failed | Finished


# --------------------------------------------------------------------------------------------------------------- conversations


@dataclass(frozen=True, slots=True)
class Conversation:
    """A person's own conversation; nobody else can open it.

    Attributes:
        endpoint: The chat endpoint that was asked last; empty when an agent was.
        indexes: The indexes from whose documents the last answer was to come.
        agent: Full name of the agent that was asked last, or empty.
    """

    id: str
    title: str
    endpoint: str
    indexes: tuple[str, ...]
    agent: str
    created_at: datetime
    updated_at: datetime

    @property
    def index(self) -> str:
        """The first of the indexes, or an empty text: what a page with one choice shows."""
        return self.indexes[0] if self.indexes else ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was kept.

    Attributes:
        number: Its place in the conversation, counted from 1; 0 before it is kept.
        files: Names of what was attached.
        provenance: Label and origins of the text and what is attached to it, or of all that an answer was made from.
        model: Served model that answered, or empty.
        sql: The statement behind an answer, or empty.
        partial: The answer was stopped, or broke off; the notices say why.
    """

    id: str
    role: Role
    text: str
    provenance: Provenance
    created_at: datetime
    number: int = 0
    files: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    notices: tuple[str, ...] = ()
    model: str = ""
    sql: str = ""
    partial: bool = False


@dataclass(frozen=True, slots=True)
class AttachedText:
    """The text of a file that came with a message; its label is its own."""

    name: str
    text: str = field(repr=False)
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Began:
    """The message is kept; the first event of a conversation's answer."""

    conversation: Conversation


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing happened for some seconds; whoever listens is still being answered."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer is kept; the last event of a conversation's answer, unless it failed."""

    conversation: Conversation
    message: Message


ConversationEvent = Began | Waiting | Retrieved | ToolCalled | ToolReturned | Delta | Cited | Notice | Failed | Answered


# -------------------------------------------------------------------------------------------------------------------- assistant


@dataclass(frozen=True, slots=True)
class AssistantQuestion:
    """What somebody typed beside a page.

    Attributes:
        language: Of the pages; the answer is in the language of the question when that can be told.
        page: Path of the page.
        context: What stands on it: `table`, `statement`, `error` (`{code, message}`), `title` ...
    """

    text: str
    language: Language = "en"
    page: str = "/"
    context: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """A button.  A link leads somewhere; a confirm changes something, and `describes` says exactly what."""

    kind: Literal["link", "confirm"]
    label: str
    href: str = ""
    id: str = ""
    describes: str = ""


@dataclass(frozen=True, slots=True)
class AssistantAnswer:
    """What the assistant says.

    Attributes:
        text: Markdown.
        page: The page that fits best; `alternatives` are the next ones.
        used_model: Whether a language model took part.
    """

    text: str
    page: Page | None = None
    alternatives: tuple[Page, ...] = ()
    actions: tuple[Action, ...] = ()
    sources: tuple[Source, ...] = ()
    used_model: bool = False
    sql: str = ""
    provenance: Provenance = field(default_factory=lambda: Provenance(PUBLIC))


@dataclass(frozen=True, slots=True)
class Done:
    """A confirmed action was carried out.

    Attributes:
        secret: Something that is shown this once, such as the value of a new token.
    """

    message: str
    href: str = ""
    secret: str = field(default="", repr=False)
