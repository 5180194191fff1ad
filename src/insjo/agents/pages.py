"""The registry of pages: menu, command palette, documentation and assistant all read this one list.

Example questions lie beside it, one a line, in `questions/<language>/<key>.txt`; more and more varied lines make the assistant
find the page more often, so whoever adds a page writes at least twenty-five in each language.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["en", "sv"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "sv")
"""Languages of the pages; the first is the one to fall back to."""

Section = Literal["start", "data", "ai", "govern", "you"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the product.

    Attributes:
        path: Fixed for ever: bookmarks and documents point there.
        key: Name of the page in templates and file names.
        title: By language, as the menu shows it; `summary` likewise is one sentence on what the page is for.
        icon: Name of a Lucide icon.
        keywords: Words by language that stand for the page.  A question that holds one leans towards it.
        ready: False when this version does not have the page yet; it then answers 501 and says so.
        needs_admin: Only metastore admins can do something there.
    """

    path: str
    key: str
    title: Mapping[str, str]
    summary: Mapping[str, str]
    section: Section
    icon: str
    keywords: Mapping[str, tuple[str, ...]]
    ready: bool = True
    needs_admin: bool = False

    @property
    def questions(self) -> Mapping[str, tuple[str, ...]]:
        """By language, what people type who look for this page."""
        return {language: example_questions(self.key, language) for language in LANGUAGES}


@functools.cache
def example_questions(key: str, language: Language) -> tuple[str, ...]:
    """The example questions of one page in one language, read once."""
    file = resources.files("insjo.agents") / "questions" / language / f"{key}.txt"
    return tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())


def _both(en: str, sv: str) -> dict[str, str]:
    """A text in both languages."""
    return {"en": en, "sv": sv}


def _words(en: str, sv: str) -> dict[str, tuple[str, ...]]:
    """Keywords in both languages, from texts with commas."""
    return {"en": tuple(en.split(", ")), "sv": tuple(sv.split(", "))}


SECTIONS: Final[Mapping[Section, Mapping[str, str]]] = {
    "start": _both("Start", "Start"),
    "data": _both("Data", "Data"),
    "ai": _both("AI", "AI"),
    "govern": _both("Govern", "Styra"),
    "you": _both("You", "Du"),
}
"""Sections of the menu in their order, with their titles."""

PAGES: Final[tuple[Page, ...]] = (
    Page(
        path="/",
        key="home",
        title=_both("Home", "Hem"),
        summary=_both("Where you left off, and the way to everything.", "Där du slutade senast, och vägen till allt."),
        section="start",
        icon="house",
        keywords=_words("home, start page, overview", "hem, startsida, översikt"),
    ),
    Page(
        path="/chat",
        key="chat",
        title=_both("Chat", "Chatt"),
        summary=_both(
            "A private conversation with a model, with your documents and tables beside it.",
            "Ett privat samtal med en modell, med dina dokument och tabeller bredvid.",
        ),
        section="start",
        icon="message-circle",
        keywords=_words("chat, conversation, conversations, talk", "chatt, chatta, samtal, samtala, prata, konversation"),
    ),
    Page(
        path="/sql",
        key="sql",
        title=_both("SQL", "SQL"),
        summary=_both("Write and run queries, and look at the result.", "Skriv och kör frågor, och titta på resultatet."),
        section="data",
        icon="square-terminal",
        keywords=_words("sql, query, queries, statement, select", "sql, select, sql-fråga, sats"),
    ),
    Page(
        path="/dashboards",
        key="dashboards",
        title=_both("Dashboards", "Instrumentpaneler"),
        summary=_both("Charts and key figures that refresh themselves.", "Diagram och nyckeltal som håller sig färska."),
        section="data",
        icon="layout-dashboard",
        keywords=_words(
            "dashboard, dashboards, chart, charts, graph, graphs, plot, diagram, visualise",
            "instrumentpanel, dashboard, diagram, graf, grafer, nyckeltal, visualisera",
        ),
    ),
    Page(
        path="/catalog",
        key="catalog",
        title=_both("Catalog", "Katalog"),
        summary=_both(
            "Every table, view and file: columns, sample, history, permissions and label.",
            "Varje tabell, vy och fil: kolumner, exempel, historik, behörigheter och etikett.",
        ),
        section="data",
        icon="library",
        keywords=_words(
            "catalog, table, tables, schema, column, columns, lineage, permissions, history, restore, volume",
            "katalog, tabell, tabeller, schema, kolumn, kolumner, härkomst, behörigheter, historik, återställ, volym",
        ),
    ),
    Page(
        path="/ingest",
        key="ingest",
        title=_both("Add data", "Lägg till data"),
        summary=_both("Drop a file and get a table.", "Släpp en fil och få en tabell."),
        section="data",
        icon="upload",
        keywords=_words(
            "upload, csv, excel, xlsx, spreadsheet, parquet, json, ingest, import, load",
            "ladda upp, läs in, csv, excel, xlsx, kalkylark, parquet, json, importera, inläsning",
        ),
    ),
    Page(
        path="/jobs",
        key="jobs",
        title=_both("Jobs", "Jobb"),
        summary=_both("What runs in the background, now and on a schedule.", "Det som körs i bakgrunden, nu och enligt schema."),
        section="data",
        icon="timer",
        keywords=_words(
            "job, jobs, schedule, scheduled, nightly, cron, run, runs, pipeline, recurring",
            "jobb, schemalägg, schemalagd, nattlig, cron, körning, körningar, flöde, återkommande",
        ),
    ),
    Page(
        path="/models",
        key="models",
        title=_both("Models", "Modeller"),
        summary=_both("The models of the house and their versions; import your own.", "Husets modeller och deras versioner; ta in egna."),
        section="ai",
        icon="box",
        keywords=_words(
            "model registry, gguf, onnx, weights, hugging face, import model", "modellregister, gguf, onnx, vikter, hugging face"
        ),
    ),
    Page(
        path="/tune",
        key="tune",
        title=_both("Tune", "Anpassa"),
        summary=_both("Repurpose an open model with your own examples.", "Anpassa en öppen modell med egna exempel."),
        section="ai",
        icon="sliders-horizontal",
        keywords=_words(
            "tune, fine-tune, fine-tuning, train, training, lora, adapt, teach",
            "finjustera, finjustering, träna, träning, lora, anpassa, lär",
        ),
        ready=False,
    ),
    Page(
        path="/endpoints",
        key="endpoints",
        title=_both("Endpoints", "Slutpunkter"),
        summary=_both("The doors to every model, on this machine or elsewhere.", "Dörrarna till varje modell, här eller någon annanstans."),
        section="ai",
        icon="plug",
        keywords=_words(
            "endpoint, endpoints, serve, serving, deploy, deployment, provider, production, fallback",
            "slutpunkt, slutpunkter, endpoint, driftsätt, drift, servera, leverantör, produktion",
        ),
    ),
    Page(
        path="/playground",
        key="playground",
        title=_both("Playground", "Lekplats"),
        summary=_both("One prompt, several models, side by side.", "En prompt, flera modeller, sida vid sida."),
        section="ai",
        icon="flask-conical",
        keywords=_words(
            "playground, compare, side by side, prompt, prompts, try",
            "lekplats, jämför, sida vid sida, prompt, prova, testa",
        ),
    ),
    Page(
        path="/knowledge",
        key="knowledge",
        title=_both("Knowledge", "Kunskap"),
        summary=_both(
            "Documents made searchable, so that answers can quote them.", "Dokument som blir sökbara, så att svar kan citera dem."
        ),
        section="ai",
        icon="book-open-text",
        keywords=_words(
            "knowledge, index, indexed, searchable, documents, vector, embeddings, rag",
            "kunskap, kunskapsbas, index, indexera, sökbar, sökbara, dokument, vektor, rag",
        ),
    ),
    Page(
        path="/apps",
        key="apps",
        title=_both("Apps", "Appar"),
        summary=_both(
            "AI apps on your own tables and documents: build, try, share.",
            "AI-appar på egna tabeller och dokument: bygg, prova, dela.",
        ),
        section="ai",
        icon="bot",
        keywords=_words(
            "app, apps, agent, agents, bot, chatbot, evaluate, feedback", "app, appar, agent, agenter, bot, chattbot, utvärdera"
        ),
    ),
    Page(
        path="/usage",
        key="usage",
        title=_both("Usage", "Användning"),
        summary=_both("What is used, by whom, and what it costs.", "Vad som används, av vem, och vad det kostar."),
        section="govern",
        icon="chart-no-axes-column",
        keywords=_words(
            "usage, cost, costs, spend, spending, spent, pay, paid, bill, expensive, consumption",
            "användning, kostnad, kostnader, kostar, betalar, betalat, utgifter, förbrukning, dyr, dyrast",
        ),
    ),
    Page(
        path="/admin/people",
        key="admin_people",
        title=_both("People", "Personer"),
        summary=_both("Users, groups and how they sign in.", "Användare, grupper och hur de loggar in."),
        section="govern",
        icon="users",
        keywords=_words(
            "user, users, group, groups, people, invite, account, member, members, sso, scim, administrator",
            "användare, grupp, grupper, personer, bjud in, konto, medlem, medlemmar, sso, scim, administratör",
        ),
        needs_admin=True,
    ),
    Page(
        path="/admin/policies",
        key="admin_policies",
        title=_both("Policies", "Regler"),
        summary=_both(
            "Labels, clearances, budgets and limits: what may go where.",
            "Etiketter, klareringar, budgetar och gränser: vad som får gå vart.",
        ),
        section="govern",
        icon="shield-check",
        keywords=_words(
            "policy, policies, clearance, clearances, cleared, budget, budgets, limit, limits, quota, leave, allowed",
            "regel, regler, policy, klarering, klarerad, budget, gräns, gränser, kvot, lämna, tillåtet, får",
        ),
        needs_admin=True,
    ),
    Page(
        path="/admin/audit",
        key="admin_audit",
        title=_both("Audit", "Granskning"),
        summary=_both(
            "Who did what, and what was refused; nobody can change it.", "Vem som gjorde vad och vad som nekades; ingen kan ändra det."
        ),
        section="govern",
        icon="scroll-text",
        keywords=_words(
            "audit, log, who, accessed, denied, blocked, auditor, trail",
            "granskning, granskningslogg, logg, vem, nekade, blockerade, revisor, spår",
        ),
        needs_admin=True,
    ),
    Page(
        path="/settings/tokens",
        key="settings_tokens",
        title=_both("Access tokens", "Åtkomsttoken"),
        summary=_both("Keys with which your programs sign in as you.", "Nycklar med vilka dina program loggar in som du."),
        section="you",
        icon="key-round",
        keywords=_words(
            "token, tokens, access token, api key, key, keys, credential, credentials",
            "token, tokens, åtkomsttoken, api-nyckel, nyckel, nycklar, åtkomstnyckel",
        ),
    ),
    Page(
        path="/docs",
        key="docs",
        title=_both("Documentation", "Dokumentation"),
        summary=_both("How everything works, with examples.", "Hur allting fungerar, med exempel."),
        section="you",
        icon="book-marked",
        keywords=_words(
            "documentation, docs, manual, tutorial, guide, reference, glossary, help, explain",
            "dokumentation, manual, handledning, guide, referens, ordlista, hjälp, förklara",
        ),
    ),
)
"""All pages in the order of the menu."""


@functools.cache
def pages_by_path() -> Mapping[str, Page]:
    """The pages by path."""
    return {page.path: page for page in PAGES}


@functools.cache
def pages_by_key() -> Mapping[str, Page]:
    """The pages by key."""
    return {page.key: page for page in PAGES}
