"""Which language somebody writes, told by the runs of characters in the registry's example questions."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from insjo.agents.navigation import CountedRuns
from insjo.agents.pages import LANGUAGES, PAGES

if TYPE_CHECKING:
    from insjo.agents.pages import Language

MARGIN: Final = 0.5
"""Below this difference the language cannot be told, and that of the pages counts."""

MARGIN_OF_ONE_WORD: Final = 12.0
"""One word alone is often the name of something: `token`, `dashboard`."""


@functools.cache
def _counted() -> CountedRuns:
    """Runs of both languages."""
    return CountedRuns([[question for page in PAGES for question in page.questions[language]] for language in LANGUAGES])


def language_of(text: str, otherwise: Language = "en") -> Language:
    """The language of a text; `otherwise` when it cannot be told."""
    scores = _counted().scores(text)
    best = max(range(len(LANGUAGES)), key=scores.__getitem__)
    margin = MARGIN if len(text.split()) > 1 else MARGIN_OF_ONE_WORD
    return LANGUAGES[best] if scores[best] - min(scores) >= margin else otherwise
