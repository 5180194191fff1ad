"""DOCX: paragraphs, headings and tables in the order of the document."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any, TypeAlias

from insjo.adapters.documents.limits import UNPACKED_BYTES_MAX, TooHeavy, Unreadable
from insjo.adapters.documents.markdown import table_text
from insjo.retrieval.types import Block, BlockKind, ParsedDocument

WordTable: TypeAlias = Any
"""A table of python-docx, which brings no types."""

_OLE = b"\xd0\xcf\x11\xe0"
_HEADING = re.compile(r"(?:heading|rubrik)\s*([1-9])", re.IGNORECASE)
_TITLES = frozenset({"title", "rubrik", "titel"})


def parse(content: bytes) -> ParsedDocument:
    """Headings, paragraphs and tables."""
    if content.startswith(_OLE):
        raise Unreadable("It is protected by a password, or of the Word format before 2007.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if "word/document.xml" not in archive.namelist():
                raise Unreadable("It is not a Word document.")
    except zipfile.BadZipFile as error:
        raise Unreadable("It is damaged, or not a Word document.") from error
    if size > UNPACKED_BYTES_MAX:
        raise TooHeavy(f"It unpacks to {size // 1024**2} MiB.")
    import docx
    from docx.table import Table

    try:
        document = docx.Document(io.BytesIO(content))
        blocks: list[Block] = []
        for item in document.iter_inner_content():
            if isinstance(item, Table):
                text = table_text(_rows(item))
                if text:
                    blocks.append(Block(BlockKind.TABLE, text))
            elif item.text.strip():
                blocks.append(_block(" ".join(item.text.split()), item.style.name if item.style else ""))
        title = (document.core_properties.title or "").strip()
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # python-docx raises whatever a broken part leads to.
        raise Unreadable("It is a damaged Word document.") from error
    first = next((block.text for block in blocks if block.kind is BlockKind.HEADING), "")
    return ParsedDocument(title if title.lower() != "word document" and title else first, tuple(blocks))


def _block(text: str, style: str) -> Block:
    """A paragraph, as a heading if its style says so; style names are English in the file, Swedish in some templates."""
    match = _HEADING.match(style or "")
    if match:
        return Block(BlockKind.HEADING, text, level=int(match.group(1)))
    if (style or "").lower() in _TITLES:
        return Block(BlockKind.HEADING, text, level=1)
    return Block(BlockKind.TEXT, text)


def _rows(table: WordTable) -> list[list[str]]:
    """Cells of a table; merged cells appear once."""
    rows = []
    for row in table.rows:
        cells: list[str] = []
        last = None
        for cell in row.cells:
            element = cell._tc  # noqa: SLF001  # The only way to tell a merged cell from two equal ones.
            if element is not last:
                cells.append(" ".join(cell.text.split()))
            last = element
        rows.append(cells)
    return rows
