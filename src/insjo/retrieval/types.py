"""Nouns of retrieval: documents, passages, vector indexes, hits, answers with their sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from insjo.access.types import Label, Provenance
    from insjo.gateway.types import Route


class BlockKind(StrEnum):
    """What a piece of a document is."""

    HEADING = "heading"
    TEXT = "text"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a document in reading order.

    Attributes:
        level: Of a heading, 1 is the highest; 0 for everything else.
        page: Number of the page, counted from 1; 0 when the format has no pages.
    """

    kind: BlockKind
    text: str
    level: int = 0
    page: int = 0


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document as a parser read it."""

    title: str
    blocks: tuple[Block, ...]
    pages: int = 0


@dataclass(frozen=True, slots=True)
class CutPassage:
    """A passage as it was cut out of a document, before it belongs to an index.

    Attributes:
        position: Number in its document, counted from 0.
        page: Page on which it begins; 0 when there are no pages.
        heading: The headings above it, from the highest, joined by ` › `.
    """

    position: int
    page: int
    heading: str
    text: str


class DocumentState(StrEnum):
    """What became of a document."""

    INDEXED = "INDEXED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Document:
    """A document of an index.

    Attributes:
        path: Its file, `/Volumes/...`.
        error: Why it could not be read; empty when it was.
        label: Of the file when it was indexed; what counts for a flow is looked up live.
    """

    path: str
    volume_id: str
    state: DocumentState
    error: str
    title: str
    pages: int
    passages: int
    size_bytes: int
    modified_at: datetime
    label: Label
    indexed_at: datetime

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.rsplit("/", 1)[-1]


class IndexState(StrEnum):
    """Whether an index can be asked."""

    EMPTY = "EMPTY"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Index:
    """A vector index; a securable of kind `INDEX`, asked with `SELECT`.

    Attributes:
        sources: Files and directories of volumes whose documents it holds.
        version: Of the Delta table of its passages; -1 before the first build.
        documents: Documents that the caller may read.
        passages: Passages of those documents.
        run_id: Of the last build, which tells its progress.
        state_reason: What went wrong in the last build; empty when nothing did.
    """

    id: str
    full_name: str
    sources: tuple[str, ...]
    embedding_endpoint: str
    comment: str
    owner: str
    version: int
    documents: int
    passages: int
    state: IndexState
    state_reason: str
    run_id: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    synced_at: datetime | None

    @property
    def name(self) -> str:
        """Last part of the full name."""
        return self.full_name.rsplit(".", 1)[-1]

    @property
    def schema_name(self) -> str:
        """`catalog.schema`."""
        return self.full_name.rsplit(".", 1)[0]


SearchMode = Literal["hybrid", "vectors", "words"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """How well a passage fits a question, each on a scale that does not depend on what else is in the index.

    Attributes:
        similarity: Cosine of the centred vectors, -1 to 1; 0 when no vectors were asked.
        coverage: Share of the question's words (the rare ones count more) that the passage has, 0 to 1.
    """

    similarity: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found."""

    index: str
    passage_id: str
    path: str
    page: int
    position: int
    title: str
    heading: str
    text: str
    score: float
    evidence: Evidence
    provenance: Provenance

    @property
    def link(self) -> str:
        """Address of the page that shows the passage."""
        return f"/knowledge/{self.index}/passages/{self.passage_id}"

    @property
    def place(self) -> str:
        """Where it stands, for people: `handbook.pdf, page 3`."""
        name = self.path.rsplit("/", 1)[-1]
        return f"{name}, page {self.page}" if self.page else name


@dataclass(frozen=True, slots=True)
class PassagePage:
    """A passage with its neighbours, for the page behind a citation.

    Attributes:
        before: Text of the passage before it in the document, or empty.
        after: Text of the passage after it, or empty.
    """

    index: str
    passage_id: str
    path: str
    title: str
    page: int
    position: int
    heading: str
    text: str
    before: str
    after: str
    provenance: Provenance
    previous_id: str = ""
    next_id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the conversation before the question."""

    role: Literal["user", "assistant"]
    text: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class AnswerSpec:
    """A question to documents.

    Attributes:
        endpoint: Chat endpoint that words the answer; empty means quotes only.
        history: Turns before the question, oldest first.
        k: Passages that are looked at.
        within: Only documents at or below these paths; empty means all of the indexes.
        question_provenance: Of the question; None means that the caller typed it.
    """

    indexes: tuple[str, ...]
    question: str
    endpoint: str = "insjo-chat"
    history: tuple[Turn, ...] = ()
    k: int = 6
    within: tuple[str, ...] = ()
    question_provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A number in the text of an answer, and the passage for which it stands; `quote` is the sentence that bears it out."""

    number: int
    hit: Hit
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages were found; the first event of every answer."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """The passages on which the text relies."""

    citations: tuple[Citation, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the reader must know: another model answered, no model did, a number of a source was wrong."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The whole answer; the last event.

    Attributes:
        found: False when the documents hold no answer.
        worded_by: `model`, or `quotes` when the text is taken from the passages word by word.
        route: Which model was asked; None when none was.
        provenance: Join of all that was given to the model, and of all that is quoted.
    """

    text: str
    citations: tuple[Citation, ...]
    found: bool
    worded_by: Literal["model", "quotes"]
    route: Route | None
    provenance: Provenance


AnswerEvent = Retrieved | Delta | Cited | Notice | Finished


@dataclass(frozen=True, slots=True)
class Terms:
    """A text as the index of words sees it: stems of its words, and short runs of letters for names, codes and compounds."""

    words: tuple[str, ...] = field(default=())
    grams: tuple[str, ...] = field(default=())
