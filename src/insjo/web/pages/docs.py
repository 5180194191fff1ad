"""Page `/docs`: the documentation that comes with the product."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import TYPE_CHECKING

from markupsafe import Markup

from insjo.web.errors import RouteNotFound
from insjo.web.pages.markdown import render_markdown
from insjo.web.pages.render import page
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from starlette.responses import Response

NAME = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)?")
HEADING = re.compile(r"^# +(.+)$", re.MULTILINE)
LINK = re.compile(r'href="(?!https?:|mailto:|#|/)([^"]+?)\.md(#[^"]*)?"')
FOR_DEVELOPERS = frozenset({"web-components.md"})
SECTIONS = ("tutorial", "how-to", "reference")


@functools.cache
def contents() -> dict[str, str]:
    """Name of each page of the documentation and its title, in reading order; decisions are for developers and left out."""
    root = resources.files("insjo") / "docs_content"
    found = {"index": _title(root / "index.md")}
    for section in SECTIONS:
        for file in sorted((root / section).iterdir(), key=lambda entry: entry.name):
            if file.name.endswith(".md") and file.name not in FOR_DEVELOPERS:
                found[f"{section}/{file.name[:-3]}"] = _title(file)
    found["glossary"] = _title(root / "glossary.md")
    return found


def _title(file: Traversable) -> str:
    """First heading of a page."""
    match = HEADING.search(file.read_text(encoding="utf-8"))
    return match[1] if match else file.name


@functools.cache
def article(name: str) -> Markup:
    """One page as HTML; links between pages lead to `/docs`."""
    text = resources.files("insjo").joinpath("docs_content", *f"{name}.md".split("/")).read_text(encoding="utf-8")
    folder = name.rpartition("/")[0]

    def absolute(match: re.Match[str]) -> str:
        parts: list[str] = [part for part in folder.split("/") if part]
        for part in match[1].split("/"):
            if part == "..":
                parts = parts[:-1]
            else:
                parts.append(part)
        return f'href="/docs/{"/".join(parts)}{match[2] or ""}"'

    return Markup(LINK.sub(absolute, str(render_markdown(text))))  # noqa: S704  # The renderer cleaned it; only our own paths were put in.


async def show(call: Call) -> Response:
    """One page with the table of contents beside it."""
    name = str(call.request.path_params.get("name", "index")).strip("/") or "index"
    if not NAME.fullmatch(name) or name not in contents():
        raise RouteNotFound(f"The documentation has no page `{name[:80]}`.", hint="Its contents are at `/docs`.")
    groups = [(section, [(path, title) for path, title in contents().items() if path.startswith(f"{section}/")]) for section in SECTIONS]
    return await page(call, "pages/docs.html", name=name, article=article(name), groups=groups, title=contents()[name])


ROUTES = (
    DoorRoute("GET", "/docs", show, "page"),
    DoorRoute("GET", "/docs/{name:path}", show, "page"),
)
