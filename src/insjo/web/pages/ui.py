"""What every template is given as `ui`: language, person, navigation, nonce, and addresses of static files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from insjo.agents.pages import PAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from insjo.web.pages.texts import Language, Texts

THEME_COOKIE = "insjo_theme"
THEMES = frozenset({"auto", "light", "dark"})


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in."""

    id: str
    name: str
    display_name: str
    is_admin: bool


@dataclass(frozen=True, slots=True)
class Ui:
    """One rendering's surroundings; the contract is written in docs/reference/web-components.md."""

    lang: Language
    nonce: str
    path: str
    theme: str
    version: str
    texts: Texts = field(repr=False)
    static: Callable[[str], str] = field(repr=False)
    user: Person | None = None

    def t(self, key: str, **values: object) -> str:
        """A text in the person's language."""
        return self.texts.get(self.lang, key, **values)

    @property
    def nav(self) -> list[dict[str, object]]:
        """Sections of the navigation with the pages that this person may open."""
        sections: dict[str, list[dict[str, object]]] = {}
        for page in PAGES:
            if page.needs_admin and not (self.user and self.user.is_admin):
                continue
            active = self.path == page.path or (page.path != "/" and self.path.startswith(f"{page.path}/"))
            item: dict[str, object] = {"path": page.path, "title": page.title[self.lang], "icon": page.icon, "active": active}
            sections.setdefault(page.section, []).append(item)
        return [{"title": self.t(f"section.{section}"), "items": items} for section, items in sections.items()]
