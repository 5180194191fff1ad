"""Texts of the pages in English and Swedish, from `templates/texts/*.<language>.json`."""

from __future__ import annotations

import json
import re
from importlib import resources
from typing import Final, Literal, get_args

Language = Literal["en", "sv"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
LANGUAGE_COOKIE = "insjo_lang"
PLACEHOLDER = re.compile(r"\{(\w+)\}")


class TextMissing(KeyError):
    """A page asks for a text that no file has; a test asks for every one, so that this never reaches a person."""


class Texts:
    """All texts of both languages, read once when the application is made."""

    def __init__(self) -> None:
        self._by_language = {language: _read(language) for language in LANGUAGES}

    def keys(self, language: Language) -> set[str]:
        """All keys of a language."""
        return set(self._by_language[language])

    def get(self, language: Language, key: str, **values: object) -> str:
        """A text with its `{placeholders}` filled; one without a value stays as it is, for the browser to fill."""
        texts = self._by_language[language]
        if key not in texts:
            raise TextMissing(key)
        if not values:
            return texts[key]
        return PLACEHOLDER.sub(lambda match: str(values.get(match[1], match[0])), texts[key])


def _read(language: Language) -> dict[str, str]:
    """Texts of one language."""
    folder = resources.files("insjo.web") / "templates" / "texts"
    texts: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(f".{language}.json"):
            texts.update(json.loads(file.read_text(encoding="utf-8")))
    return texts


def preferred_language(cookie: str | None, accept: str) -> Language:
    """The language that a person chose, else the first of the browser's that we have (RFC 9110, 12.5.4), else English."""
    if cookie in LANGUAGES:
        return "sv" if cookie == "sv" else "en"
    weighed: list[tuple[float, str]] = []
    for part in accept.split(",")[:20]:
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((float(weight or 1), tag.split("-")[0].lower()))
        except ValueError:
            continue
    for _, tag in sorted(weighed, key=lambda each: -each[0]):
        if tag == "sv":
            return "sv"
        if tag == "en":
            return "en"
    return "en"
