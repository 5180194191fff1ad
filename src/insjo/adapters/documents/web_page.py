"""HTML: what a reader of the page would see."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from insjo.adapters.documents.limits import Unreadable
from insjo.adapters.documents.markdown import table_text
from insjo.adapters.documents.text import decode
from insjo.retrieval.types import Block, BlockKind, ParsedDocument

Element: TypeAlias = Any
"""An element of lxml, which brings no types."""

_DECLARED = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([A-Za-z0-9_-]{2,30})""", re.IGNORECASE)
_XML = re.compile(r"\A\s*<\?xml[^>]*\?>")
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SKIPPED = frozenset(
    {
        "script",
        "style",
        "noscript",
        "template",
        "svg",
        "math",
        "iframe",
        "object",
        "embed",
        "canvas",
        "audio",
        "video",
        "select",
        "head",
        "nav",
        "button",
        "textarea",
    }
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_ENDS = frozenset(
    {
        "p",
        "div",
        "li",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "aside",
        "blockquote",
        "pre",
        "br",
        "figure",
        "figcaption",
        "address",
        "hr",
        "form",
        "fieldset",
        "tr",
        "caption",
        "body",
        "details",
        "summary",
    }
)
_PENDING_MAX = 100_000


def parse(content: bytes) -> ParsedDocument:
    """Headings, paragraphs and tables of a page; scripts, hidden parts and navigation are dropped."""
    from lxml import etree, html

    found = _DECLARED.search(content[:4096])
    text = _XML.sub("", decode(content, found.group(1).decode() if found else ""))
    if not text.strip():
        return ParsedDocument("", ())
    try:
        root = html.document_fromstring(text, parser=html.HTMLParser(remove_comments=True, remove_pis=True, huge_tree=False))
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise Unreadable("It is not a readable HTML page.") from error
    title = root.findtext(".//title") or ""
    walker = _Walker()
    walker.read(root)
    blocks = walker.blocks
    return ParsedDocument(_joined(title) or next((each.text for each in blocks if each.kind is BlockKind.HEADING), ""), tuple(blocks))


class _Walker:
    """Walks through the tree without recursion, since a hostile page is deep."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._text: list[str] = []

    def read(self, element: Element) -> None:
        """What is inside an element, to the end."""
        self._text.append(element.text or "")
        for child in element:
            self.walk(child)
        self.end()

    def walk(self, root: Element) -> None:
        """Everything below an element."""
        stack: list[tuple[Element, bool]] = [(root, False)]
        while stack:
            element, left = stack.pop()
            tag = element.tag if isinstance(element.tag, str) else ""
            if left:
                if tag in _ENDS or tag in _HEADINGS:
                    self.end(_HEADINGS.get(tag, 0))
                self._text.append(element.tail or "")
                continue
            if tag in _SKIPPED or _is_hidden(element) or len(stack) > _PENDING_MAX:
                self._text.append(element.tail or "")
                continue
            if tag == "table" and element.find(".//table") is None:
                self.end()
                self._table(element)
                self._text.append(element.tail or "")
                continue
            if tag in _ENDS or tag in _HEADINGS:
                self.end()
            self._text.append(element.text or "")
            stack.append((element, True))
            stack.extend((child, False) for child in reversed(element))

    def end(self, heading: int = 0) -> None:
        """End the block that is being gathered."""
        text = _joined("".join(self._text))
        self._text = []
        if text:
            self.blocks.append(Block(BlockKind.HEADING if heading else BlockKind.TEXT, text, level=heading))

    def _table(self, table: Element) -> None:
        """A table that holds no other table."""
        text = table_text([[_visible(cell) for cell in row if cell.tag in {"td", "th"}] for row in table.iter("tr")])
        if text:
            self.blocks.append(Block(BlockKind.TABLE, text))


def _visible(cell: Element) -> str:
    """Text of a cell without scripts and hidden parts."""
    inner = _Walker()
    inner.read(cell)
    return " ".join(block.text for block in inner.blocks)


def _is_hidden(element: Element) -> bool:
    """Whether a reader would not see it: a usual place for text that is meant for machines alone."""
    attributes = element.attrib
    return "hidden" in attributes or attributes.get("aria-hidden") == "true" or bool(_HIDDEN.search(attributes.get("style", "")))


def _joined(text: str) -> str:
    """The text with single spaces."""
    return " ".join(text.split())
