"""Markdown: headings are kept, marks that only make things look are taken out."""

from __future__ import annotations

import re

from insjo.adapters.documents.text import decode
from insjo.retrieval.types import Block, BlockKind, ParsedDocument

_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")
_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*")
_SETEXT = re.compile(r"\s{0,3}(=+|-{2,})\s*")
_RULE = re.compile(r"\s{0,3}([-*_])(?:\s*\1){2,}\s*")
_TABLE_RULE = re.compile(r"\s*\|?(?:\s*:?-{2,}:?\s*\|)+(?:\s*:?-{2,}:?\s*)?")
_LIST = re.compile(r"\A\s*(?:[-*+]|\d{1,9}[.)])\s+")
_QUOTE = re.compile(r"\A\s{0,3}(?:>\s?)+")
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])")
_REFERENCE = re.compile(r"\s{0,3}\[[^\]]+\]:\s*\S+.*")
_MARKS = re.compile(r"(\*\*|__|~~|\*|(?<!\w)_|_(?!\w)|`+)")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!|-])")


def parse(content: bytes) -> ParsedDocument:
    """Headings, paragraphs and tables of a Markdown text."""
    text = _COMMENT.sub(" ", _FRONT_MATTER.sub("", decode(content)))
    reader = _Reader()
    for line in text.split("\n"):
        reader.take(line)
    reader.flush()
    title = next((block.text for block in reader.blocks if block.kind is BlockKind.HEADING and block.level == 1), "")
    return ParsedDocument(title, tuple(reader.blocks))


def plain(text: str) -> str:
    """Text of a line without marks."""
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    return " ".join(_ESCAPE.sub(r"\1", _MARKS.sub("", _TAG.sub(" ", text))).split())


class _Reader:
    """Gathers lines until a block ends."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._lines: list[str] = []
        self._rows: list[list[str]] = []
        self._fence = ""

    def take(self, line: str) -> None:
        """One line."""
        fence = _FENCE.match(line)
        if self._fence:
            if fence and fence.group(1).startswith(self._fence):
                self.flush()
                self._fence = ""
            else:
                self._lines.append(line.rstrip())
            return
        if fence:
            self.flush()
            self._fence = fence.group(1)
            return
        self._take_outside(line)

    def _take_outside(self, line: str) -> None:
        """One line that is no code."""
        heading = _HEADING.fullmatch(line)
        if heading:
            self.flush()
            self._add_heading(heading.group(2), len(heading.group(1)))
        elif not line.strip() or _REFERENCE.fullmatch(line):
            self.flush()
        elif self._lines and not self._rows and _SETEXT.fullmatch(line):
            last = self._lines.pop()
            self.flush()
            self._add_heading(last, 1 if "=" in line else 2)
        elif _RULE.fullmatch(line):
            self.flush()
        elif line.lstrip().startswith("|") or (self._rows and "|" in line):
            self._take_row(line)
        else:
            if self._rows or _LIST.match(line):
                self.flush()
            self._lines.append(plain(_LIST.sub("", _QUOTE.sub("", line), count=1)))

    def _take_row(self, line: str) -> None:
        """One row of a table."""
        if self._lines:
            self.flush()
        if not _TABLE_RULE.fullmatch(line):
            self._rows.append([plain(cell) for cell in line.strip().strip("|").split("|")])

    def _add_heading(self, text: str, level: int) -> None:
        """A heading, if it has any text."""
        if plain(text):
            self.blocks.append(Block(BlockKind.HEADING, plain(text), level=level))

    def flush(self) -> None:
        """End the block that is being gathered."""
        if self._rows:
            self.blocks.append(Block(BlockKind.TABLE, table_text(self._rows)))
        text = ("\n" if self._fence else " ").join(line for line in self._lines if line.strip())
        if text:
            self.blocks.append(Block(BlockKind.TEXT, text))
        self._lines = []
        self._rows = []


def table_text(rows: list[list[str]]) -> str:
    """A table as text in which each cell stands beside the name of its column, so that a row makes sense when it is read alone."""
    filled = [row for row in rows if any(cell.strip() for cell in row)]
    if len(filled) < 2:  # noqa: PLR2004  # A header without a row, or a row without a header.
        return "\n".join("; ".join(cell for cell in row if cell) for row in filled)
    header = filled[0]
    lines = []
    for row in filled[1:]:
        cells = [
            f"{header[number]}: {cell}" if number < len(header) and header[number] and number > 0 else cell
            for number, cell in enumerate(row)
            if cell
        ]
        lines.append("; ".join(cells) + ".")
    return "\n".join((" | ".join(cell for cell in header if cell), *lines))
