"""The sentences that retrieval itself puts into an answer, in English and Swedish."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "sv"]

_SWEDISH_WORDS = (
    "och att det som är på för med den till av om har hur vad när var vem vilken vilka vilket kan ska skall inte jag du vi ni han hon "
    "man en ett min mitt mina din ditt varför får måste finns gör blir från efter vid ofta många mycket eller men så här där"
)
_ENGLISH_WORDS = (
    "the and that is are of to in for with what how when where who which why can do does my your we they from after often many much or "
    "but not this there have has will should must may it be at on by an if i you"
)
_SWEDISH = frozenset(_SWEDISH_WORDS.split())
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_SWEDISH_LETTERS = re.compile("[åäöÅÄÖ]")

_TEXTS: dict[str, dict[Language, str]] = {
    "not_found": {
        "en": "The documents do not answer this.",
        "sv": "Dokumenten svarar inte på det här.",
    },
    "nearest": {
        "en": "I found no clear answer. These places come nearest:",
        "sv": "Jag hittade inget tydligt svar. De här ställena ligger närmast:",
    },
    "in_short": {"en": "In short:", "sv": "Kort sagt:"},
    "model_away": {
        "en": "No model could word the answer, so these are quotes. {reason}",
        "sv": "Ingen modell kunde formulera svaret, så här är citat. {reason}",
    },
    "broken_off": {"en": "The answer broke off: {reason}", "sv": "Svaret avbröts: {reason}"},
    "wrong_citation": {
        "en": "The model named sources that do not exist; they were taken out.",
        "sv": "Modellen angav källor som inte finns; de har tagits bort.",
    },
    "unsupported": {
        "en": "Check this answer against the passages: they do not clearly bear it out.",
        "sv": "Kontrollera svaret mot källorna: de ger inget tydligt stöd för det.",
    },
    "rerouted": {"en": "Answered by `{model}`. {reason}", "sv": "Besvarat av `{model}`. {reason}"},
}


def language_of(text: str) -> Language:
    """Language in which to speak to somebody who wrote this."""
    words = re.findall(r"[^\W\d_]+", text.lower())
    swedish = sum(word in _SWEDISH for word in words)
    english = sum(word in _ENGLISH for word in words)
    if swedish != english:
        return "sv" if swedish > english else "en"
    return "sv" if _SWEDISH_LETTERS.search(text) else "en"


def say(key: str, language: Language, **values: str) -> str:
    """One of the sentences."""
    return _TEXTS[key][language].format(**values).strip()
