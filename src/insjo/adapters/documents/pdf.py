"""PDF: the text of each page; headings by the size of their letters."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeAlias

from insjo.adapters.documents.limits import PAGES_MAX, Empty, TooHeavy, Unreadable
from insjo.retrieval.types import Block, BlockKind, ParsedDocument

PdfFile: TypeAlias = Any
"""A document of pypdfium2, which brings no types."""

_HEADER_BYTES = 1024
_LARGER = 1.12
_HEADING_WORDS_MAX = 16
_HEADING_LEVELS = 3
_REPEATED_SHARE = 0.6
_REPEATED_PAGES_MIN = 3
_EDGE_LINES = 2
_SHORT_LINE = 0.75
_NUMBER_ONLY = re.compile(r"[\W\d]*(?:page|sida|sid|s\.)?[\W\d]*", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_ENDS_SENTENCE = re.compile(r"[.!?:;][\"”’)]?$")
_STARTS_ITEM = re.compile(r"(?:[•▪–\-*]|\d{1,3}[.)])\s")


@dataclass(frozen=True, slots=True)
class _Line:
    """One line with the size of its letters in points."""

    text: str
    size: float
    page: int


def parse(content: bytes) -> ParsedDocument:
    """Text with page numbers, headings where letters are larger."""
    if b"%PDF-" not in content[:_HEADER_BYTES]:
        raise Unreadable("It is not a PDF document.")
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unreadable("It is protected by a password.") from error
        raise Unreadable("It is a damaged PDF document.") from error
    try:
        if len(document) > PAGES_MAX:
            raise TooHeavy(f"It has {len(document)} pages, and {PAGES_MAX} are read at most.")
        pages = [_lines(document, number) for number in range(len(document))]
        title = _title(document)
        count = len(document)
    finally:
        document.close()
    lines = _without_running_heads(pages)
    if not lines:
        raise Empty("It holds no text; it may be a scan. Text has to be recognised in it first (OCR).")
    blocks = _blocks(lines)
    return ParsedDocument(title or next((each.text for each in blocks if each.kind is BlockKind.HEADING), ""), tuple(blocks), count)


def _title(document: PdfFile) -> str:
    """The title in the document's properties, if somebody wrote a real one."""
    title = " ".join(str(document.get_metadata_dict().get("Title") or "").split())
    return (
        ""
        if title.lower() in {"untitled", "unspecified", "(anonymous)", "anonymous"} or title.lower().startswith("microsoft word")
        else title
    )


def _lines(document: PdfFile, number: int) -> list[_Line]:
    """Lines of one page; a page that cannot be read is skipped, the others are not."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        page = document[number]
        textpage = page.get_textpage()
        text = textpage.get_text_range()
    except pypdfium2.PdfiumError:
        return []
    lines: list[_Line] = []
    at = 0
    for piece in re.split(r"(\r\n|\r|\n)", text):
        clean = " ".join(piece.replace("\ufffe", "\xad").replace("\x02", "\xad").split())
        if clean:
            offset = at + len(piece) - len(piece.lstrip())
            lines.append(_Line(clean, round(float(raw.FPDFText_GetFontSize(textpage.raw, offset)), 1), number + 1))
        at += len(piece)
    textpage.close()
    page.close()
    return lines


def _without_running_heads(pages: list[list[_Line]]) -> list[_Line]:
    """All lines but page numbers, and but what stands at the top or bottom of most pages."""
    filled = [page for page in pages if page]
    edges: Counter[str] = Counter()
    for page in filled:
        edges.update({_DIGITS.sub("#", line.text) for line in page[:_EDGE_LINES] + page[-_EDGE_LINES:]})
    repeated = {text for text, count in edges.items() if len(filled) >= _REPEATED_PAGES_MIN and count >= _REPEATED_SHARE * len(filled)}
    kept: list[_Line] = []
    for page in filled:
        last = len(page) - 1
        for number, line in enumerate(page):
            at_edge = number < _EDGE_LINES or number > last - _EDGE_LINES
            if at_edge and len(page) > 1 and (_DIGITS.sub("#", line.text) in repeated or _NUMBER_ONLY.fullmatch(line.text)):
                continue
            kept.append(line)
    return kept


def _blocks(lines: list[_Line]) -> list[Block]:
    """Lines joined to paragraphs, and headings where letters are larger than in most of the text."""
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    body = sizes.most_common(1)[0][0]
    larger = sorted((size for size in sizes if size > body * _LARGER), reverse=True)[:_HEADING_LEVELS]
    levels = {size: level for level, size in enumerate(larger, start=1)}
    width = max((len(line.text) for line in lines if line.size == body), default=0)
    blocks: list[Block] = []
    gathered: list[_Line] = []

    def end() -> None:
        if gathered:
            blocks.append(Block(BlockKind.TEXT, _joined(gathered), page=gathered[0].page))
            gathered.clear()

    for line in lines:
        level = levels.get(line.size, 0) if len(line.text.split()) <= _HEADING_WORDS_MAX else 0
        if level:
            end()
            last = blocks[-1] if blocks else None
            if last and last.kind is BlockKind.HEADING and last.level == level and last.page == line.page and not line.text[0].isdigit():
                # A heading over two lines.
                blocks[-1] = Block(BlockKind.HEADING, f"{last.text} {line.text}", level=level, page=line.page)
            else:
                blocks.append(Block(BlockKind.HEADING, line.text, level=level, page=line.page))
            continue
        if gathered and _paragraph_ended(gathered[-1], line, width):
            end()
        gathered.append(line)
    end()
    return blocks


def _paragraph_ended(last: _Line, line: _Line, width: int) -> bool:
    """Whether a new paragraph begins with this line; over the end of a page only when the sentence ended."""
    if _STARTS_ITEM.match(line.text):
        return True
    ended = bool(_ENDS_SENTENCE.search(last.text))
    return ended and (last.page != line.page or len(last.text) < _SHORT_LINE * width)


def _joined(lines: list[_Line]) -> str:
    """Lines as running text; a word that was divided at the end of a line is put together."""
    text = ""
    for line in lines:
        divided = text.endswith("-") and line.text[:1].islower() and text[-2:-1].isalpha()
        before = text[:-1] if divided or text.endswith("\xad") else f"{text} "
        text = before + line.text
    return text.replace("\xad", "").strip()
