"""Answers as HTML: rendered and cleaned like all output of models, with the numbers of their sources as links."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

import nh3
from markupsafe import Markup

from insjo.web.pages.markdown import ATTRIBUTES, SCHEMES, TAGS, render_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.agents.types import Source

MARKER: Final = re.compile(r"\[\s*(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\s*\]")
LEFT_ALONE: Final = frozenset({"a", "code", "pre"})
"""Inside these a number in brackets is no citation."""


def render_answer(text: str, sources: Sequence[Source]) -> Markup:
    """An answer's Markdown as safe HTML; `[1]` leads to the source of that number, if there is one and it is a page of ours."""
    html = render_markdown(text)
    links = {each.number: each.href for each in sources if each.href.startswith("/") and not each.href.startswith(("//", "/\\"))}
    if not links:
        return html
    linker = _Linker(links)
    linker.feed(str(html))
    linker.close()
    # Cleaned once more: whatever the linker made of it, nothing but the allow-list and these links comes out.
    cleaned = nh3.clean(
        "".join(linker.parts),
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        allowed_classes={"a": {"cite"}},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(cleaned)  # noqa: S704  # Cleaned by the allow-list in the line above.


class _Linker(HTMLParser):
    """Passes clean HTML on as it is, but for the numbers of sources in its text."""

    def __init__(self, links: Mapping[int, str]) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._links = links
        self._inside = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        del attrs
        self.parts.append(self.get_starttag_text() or "")
        self._inside += tag in LEFT_ALONE

    def handle_endtag(self, tag: str) -> None:
        """A tag ends."""
        self.parts.append(f"</{tag}>")
        self._inside -= tag in LEFT_ALONE

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        self.parts.append(data if self._inside > 0 else MARKER.sub(self._linked, data))

    def handle_entityref(self, name: str) -> None:
        """A character by name."""
        self.parts.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """A character by number."""
        self.parts.append(f"&#{name};")

    def _linked(self, marker: re.Match[str]) -> str:
        """Links in place of the numbers, when all of them exist."""
        numbers = [int(number) for number in re.findall(r"\d+", marker[1])]
        if any(number not in self._links for number in numbers):
            return marker[0]
        return "".join(f'<a class="cite" href="{escape(self._links[number])}">{number}</a>' for number in numbers)
