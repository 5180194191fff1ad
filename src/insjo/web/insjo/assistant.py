"""The assistant beside every page, and the command palette; their wire is in docs/reference/web-components.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.agents.finding import Findable, find
from insjo.agents.pages import PAGES
from insjo.agents.types import AssistantQuestion
from insjo.web.insjo.governance import PREFIX
from insjo.web.pages.docs import contents
from insjo.web.pages.markdown import render_markdown
from insjo.web.pages.texts import LANGUAGE_COOKIE, preferred_language
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.agents.pages import Language, Page
    from insjo.agents.types import Action, AssistantAnswer
    from insjo.sql.types import Completions

CONTEXT_KEYS_MAX = 40
PALETTE_MAX = 30
PALETTE_SEARCHED_CHARS_MIN = 2


class AskBody(msgspec.Struct):
    """A question beside a page."""

    question: str
    page: str = "/"
    context: dict[str, object] = {}
    lang: str = ""


def language_of(call: Call, wanted: str = "") -> Language:
    """Language of the person's pages."""
    if wanted in {"en", "sv"}:
        return "sv" if wanted == "sv" else "en"
    request = call.request
    return preferred_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))


async def ask(call: Call) -> Response:
    """An answer with its buttons; nothing is changed."""
    body = await call.json(AskBody)
    context = dict(list(body.context.items())[:CONTEXT_KEYS_MAX])
    question = AssistantQuestion(body.question, language_of(call, body.lang), body.page[:200], context)
    answer = await call.services.agents.assistant.ask(call.ctx.through("assistant"), question)
    return JSONResponse(answer_body(answer))


def answer_body(answer: AssistantAnswer) -> dict[str, object]:
    """An answer as JSON."""
    return {
        "html": str(render_markdown(answer.text)),
        "text": answer.text,
        "actions": [action_body(each) for each in answer.actions],
        "page": answer.page.path if answer.page else None,
        "alternatives": [each.path for each in answer.alternatives],
        "sources": [{"number": each.number, "title": each.title, "place": each.place, "href": each.href} for each in answer.sources],
        "sql": answer.sql,
        "used_model": answer.used_model,
    }


def action_body(action: Action) -> dict[str, object]:
    """A button as JSON."""
    if action.kind == "link":
        return {"kind": "link", "label": action.label, "href": action.href}
    return {"kind": "confirm", "label": action.label, "action_id": action.id, "changes": action.describes.replace("`", "")}


async def confirm(call: Call) -> Response:
    """Carry out an action that was offered, once."""
    done = await call.run(call.services.agents.assistant.confirm, call.ctx, call.path("id"))
    return JSONResponse({"message": done.message.replace("`", ""), "href": done.href, "secret": done.secret})


async def palette(call: Call) -> Response:
    """Pages, tables and documents by a few letters; without letters the pages."""
    query = " ".join(call.query("q").split())[:200]
    language = language_of(call)
    admin = await call.run(call.services.access.principals.is_admin, call.ctx.principal.id)
    named, meant = await _pages(call, query)
    entries = [page_entry(page, language) for page in named if admin or not page.needs_admin]
    if len(query) >= PALETTE_SEARCHED_CHARS_MIN:
        names = await call.run(call.services.sql.completions, call.ctx)
        entries += await call.run(table_entries, names, query)
        entries += document_entries(query)
    # A page that the words only mean stands behind everything that has their letters.
    entries += [page_entry(page, language) for page in meant if admin or not page.needs_admin]
    return JSONResponse(entries[:PALETTE_MAX])


async def _pages(call: Call, query: str) -> tuple[list[Page], list[Page]]:
    """Pages whose title has the letters, and further ones that the words mean."""
    if not query:
        return list(PAGES), []
    folded = query.casefold()
    named = [page for page in PAGES if any(folded in title.casefold() for title in page.title.values()) or folded in page.path]
    if len(query) <= PALETTE_SEARCHED_CHARS_MIN:
        return named, []
    ranked = await call.services.agents.assistant.rank(call.ctx.through("assistant"), query)
    known = {page.key for page in named}
    return named, [each.page for each in ranked[:3] if each.page.key not in known]


def page_entry(page: Page, language: Language) -> dict[str, object]:
    """A page as the palette shows it."""
    return {"title": page.title[language], "path": page.path, "kind": "page", "icon": page.icon, "note": page.summary[language]}


def table_entries(names: Completions, query: str) -> list[dict[str, object]]:
    """Tables whose name has the letters, or whose columns the words mean."""
    folded = query.casefold()
    tables = [each for each in names.tables if ".information_schema." not in each.full_name]
    found = [each.full_name for each in tables if folded in each.full_name]
    things = [Findable("table", each.full_name, "", tuple(name for name, _ in each.columns)) for each in tables]
    found += [each.thing.full_name for each in find(query, things, 8)]
    return [
        {"title": name.rsplit(".", 1)[-1], "path": "/catalog/" + "/".join(name.split(".")), "kind": "table", "note": name}
        for name in list(dict.fromkeys(found))[:12]
    ]


def document_entries(query: str) -> list[dict[str, object]]:
    """Pages of the documentation whose title has the letters."""
    folded = query.casefold()
    found = [(name, title) for name, title in contents().items() if folded in title.casefold()]
    return [{"title": title, "path": f"/docs/{name}", "kind": "document", "note": name} for name, title in found[:8]]


ROUTES = (
    DoorRoute("POST", "/ui/assistant", ask, "insjo"),
    DoorRoute("POST", "/ui/assistant/actions/{id}", confirm, "insjo"),
    DoorRoute("GET", "/ui/palette", palette, "insjo"),
    DoorRoute("POST", f"{PREFIX}/assistant", ask, "insjo"),
    DoorRoute("POST", f"{PREFIX}/assistant/actions/{{id}}", confirm, "insjo"),
)
