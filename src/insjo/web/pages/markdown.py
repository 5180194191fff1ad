"""Model output and documentation as HTML: parsed on the server, cleaned by an allow-list; nothing is ever loaded from elsewhere."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Mapping

CHARS_MAX: Final = 400_000
TAGS: Final = frozenset(
    {"a", "blockquote", "br", "code", "del", "em", "hr", "li", "ol", "p", "pre", "s", "strong", "sub", "sup", "ul"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody", "td", "th", "thead", "tr"},
)
ATTRIBUTES: Final[Mapping[str, set[str]]] = {"a": {"href", "title"}, "code": {"class"}, "th": {"align"}, "td": {"align"}, "ol": {"start"}}
SCHEMES: Final = frozenset({"https", "http", "mailto"})
OUTSIDE: Final = ("http:", "https:", "mailto:", "//")
"""Beginnings of addresses that lead away, in small letters; `//host` leads away too."""


@functools.cache
def _parser() -> MarkdownIt:
    """CommonMark with tables; HTML in the source is text, and no bare address becomes a link."""
    return MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False}).enable(["table", "strikethrough"])


def render_markdown(text: str) -> Markup:
    """Markdown as safe HTML.

    Images become their alternative text, since loading one would tell its server what was asked.  A link to elsewhere shows its
    whole address after its words.
    """
    tokens = _parser().parse(text[:CHARS_MAX])
    for token in tokens:
        if token.children:
            token.children = _without_images(token.children)
    html = _parser().renderer.render(tokens, _parser().options, {})
    cleaned = nh3.clean(
        html,
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(cleaned)  # noqa: S704  # Cleaned by the allow-list in the line above.


def _without_images(children: list[Token]) -> list[Token]:
    """Inline tokens with images as text and with the address behind each outside link."""
    kept: list[Token] = []
    address = ""
    for child in children:
        if child.type == "image":
            kept.append(Token("text", "", 0, content=child.content))
            continue
        kept.append(child)
        if child.type == "link_open":
            address = str(child.attrGet("href") or "")
        elif child.type == "link_close" and address.lower().startswith(OUTSIDE):
            kept.append(Token("text", "", 0, content=f" ({address})"))
    return kept
