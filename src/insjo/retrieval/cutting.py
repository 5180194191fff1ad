"""Cut documents into passages: whole sentences, one section where it is long enough, some overlap where it is not the end of one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.retrieval.types import BlockKind, CutPassage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from insjo.retrieval.types import Block, ParsedDocument

WORDS_WANTED = 150
WORDS_MAX = 220
WORDS_SECTION_MIN = 30
WORDS_OVERLAP = 30
HEADING_CHARS_MAX = 300
PASSAGES_MAX = 50_000
HEADING_JOINT = " › "

_BOUNDARY = re.compile(r"(?<=[.!?…])([\"”’)\]]*)\s+(?=[\"“”(\[]*[A-ZÅÄÖÉÜ0-9•–-])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-ZÅÄÖ]|t\.?ex|bl\.?a|m\.?m|d\.?v\.?s|dvs|kl|nr|ca|resp|osv|m\.fl|s\.k|o\.s\.v|f\.d|e\.g|i\.e|etc|vs|Mr|Mrs|Ms|Dr|St|No|Fig|fig"
    r"|approx|pp?|sid|st|tel|kap|art|inkl|exkl|max|min)\.)$",
    re.IGNORECASE,
)


def sentences(text: str) -> list[str]:
    """Sentences of a text; the joined result is the text again, but for white space."""
    found: list[str] = []
    start = 0
    for match in _BOUNDARY.finditer(text):
        end = match.end(1)
        if _ABBREVIATION.search(text, max(start, end - 12), end):
            continue
        piece = text[start:end].strip()
        if piece:
            found.append(piece)
        start = match.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, or a line of a table or of code, with what ends it."""

    text: str
    words: int
    page: int
    joint: str
    heading: str


def cut(document: ParsedDocument) -> tuple[CutPassage, ...]:
    """Passages of a document, in order."""
    found: list[CutPassage] = []
    gathered: list[_Piece] = []
    fresh = 0

    def end(keep: int) -> None:
        nonlocal fresh
        if fresh and len(found) < PASSAGES_MAX:
            text = "".join(piece.text + piece.joint for piece in gathered).strip()
            found.append(CutPassage(len(found), gathered[0].page, _common_heading(gathered), text))
        del gathered[: len(gathered) - keep]
        fresh = 0

    for section in _sections(document.blocks):
        count = sum(piece.words for piece in gathered)
        if count >= WORDS_SECTION_MIN or (gathered and not fresh):
            end(0)
        elif gathered and section:
            # Too short for a passage of its own: its neighbour's heading becomes text, so that it is not lost.
            name = section[0].heading.rsplit(HEADING_JOINT, 1)[-1]
            if name:
                gathered.append(_Piece(f"{name}:", len(name.split()), section[0].page, " ", section[0].heading))
        for piece in section:
            words = sum(each.words for each in gathered)
            if gathered and words + piece.words > WORDS_MAX and fresh:
                end(_overlap(gathered))
            gathered.append(piece)
            fresh += 1
            if words + piece.words >= WORDS_WANTED and piece.joint == "\n":
                end(_overlap(gathered))
    end(0)
    return tuple(found)


def _overlap(gathered: Sequence[_Piece]) -> int:
    """How many of the last sentences are said again in the next passage."""
    words = 0
    for count, piece in enumerate(reversed(gathered)):
        words += piece.words
        if words > WORDS_OVERLAP:
            return count
    return 0


def _common_heading(pieces: Sequence[_Piece]) -> str:
    """The heading that all share; that of the first piece if there is no common one."""
    parts = [piece.heading.split(HEADING_JOINT) for piece in pieces]
    common: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return HEADING_JOINT.join(common) or pieces[0].heading


def _sections(blocks: Sequence[Block]) -> Iterator[list[_Piece]]:
    """The pieces under one heading after the other."""
    stack: list[tuple[int, str]] = []
    pieces: list[_Piece] = []
    for block in blocks:
        if block.kind is not BlockKind.HEADING:
            pieces.extend(_pieces(block, _heading(stack)))
            continue
        if pieces:
            yield pieces
            pieces = []
        while stack and stack[-1][0] >= block.level:
            stack.pop()
        stack.append((block.level, block.text[:HEADING_CHARS_MAX]))
    if pieces:
        yield pieces


def _heading(stack: Sequence[tuple[int, str]]) -> str:
    """The headings above, as one text."""
    return HEADING_JOINT.join(text for _, text in stack)[:HEADING_CHARS_MAX]


def _pieces(block: Block, heading: str) -> Iterator[_Piece]:
    """Sentences of a paragraph, or lines of what has lines; nothing is longer than a passage."""
    lines = [line for line in block.text.split("\n") if line.strip()]
    for number, line in enumerate(lines):
        parts = [line] if len(lines) > 1 else sentences(line)
        for part_number, part in enumerate(parts):
            last = part_number == len(parts) - 1
            words = part.split()
            if len(words) <= WORDS_WANTED:
                yield _Piece(part, len(words), block.page, "\n" if last else " ", heading)
                continue
            for start in range(0, len(words), WORDS_WANTED):
                chunk = words[start : start + WORDS_WANTED]
                yield _Piece(" ".join(chunk), len(chunk), block.page, "\n" if last and number == len(lines) - 1 else " ", heading)
