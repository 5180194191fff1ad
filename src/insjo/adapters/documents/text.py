"""Plain text: find the encoding, refuse what is no text."""

from __future__ import annotations

import codecs
import re

from insjo.adapters.documents.limits import Unreadable
from insjo.retrieval.types import Block, BlockKind, ParsedDocument

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE_BYTES = 65536
_ZEROS_SHARE = 0.3
_CONTROLS_SHARE = 0.02
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_BLANK = re.compile(r"\n[ \t\f\v]*\n+")
_UNDERLINE = re.compile(r"[=\-~]{3,}\s*")


def decode(content: bytes, declared: str = "") -> str:
    """Text of unknown encoding: byte order mark, what the document declares, UTF-8, UTF-16 without mark, Windows-1252.

    Raises:
        Unreadable: It is no text in any of them.
    """
    for mark, name in _BOMS:
        if content.startswith(mark):
            return _strictly(content, name)
    for name in filter(None, (declared, "utf-8")):
        try:
            text = content.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" not in text:
            return _checked(text)
    sample = content[:_SAMPLE_BYTES]
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if sample and sample[start::2].count(0) > _ZEROS_SHARE * len(sample) / 2 > 0 == sample[1 - start :: 2].count(0):
            return _strictly(content, name)
    if 0 in sample:
        raise Unreadable("It is not text: it holds bytes of value zero.")
    # Windows-1252 leaves five bytes undefined; Latin-1 never fails and agrees with it on letters.
    try:
        return _checked(content.decode("cp1252"))
    except UnicodeDecodeError:
        return _checked(content.decode("latin-1"))


def _strictly(content: bytes, name: str) -> str:
    """Text in an encoding that is certain."""
    try:
        return _checked(content.decode(name))
    except UnicodeDecodeError as error:
        raise Unreadable(f"Its text is damaged: at byte {error.start} it is not {name}.") from error


def _checked(text: str) -> str:
    """The text with one kind of line end, unless it is full of control characters as no text is."""
    sample = text[:_SAMPLE_BYTES]
    if len(_CONTROLS.findall(sample)) > _CONTROLS_SHARE * len(sample):
        raise Unreadable("It is not text: it is full of control characters.")
    return _CONTROLS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


def parse(content: bytes) -> ParsedDocument:
    """Paragraphs of a plain text; an underlined line is a heading."""
    blocks: list[Block] = []
    for paragraph in _BLANK.split(decode(content)):
        lines = [line.strip() for line in paragraph.split("\n") if line.strip()]
        start = 0
        for number, line in enumerate(lines[1:], start=1):
            if _UNDERLINE.fullmatch(line):
                blocks.extend(_paragraph(lines[start : number - 1]))
                blocks.append(Block(BlockKind.HEADING, lines[number - 1], level=1 if line.startswith("=") else 2))
                start = number + 1
        blocks.extend(_paragraph(lines[start:]))
    title = next((block.text for block in blocks if block.kind is BlockKind.HEADING), "")
    return ParsedDocument(title, tuple(blocks))


def _paragraph(lines: list[str]) -> list[Block]:
    """A paragraph from its lines, if there are any."""
    return [Block(BlockKind.TEXT, " ".join(lines))] if lines else []
