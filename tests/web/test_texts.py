"""Every text that a page asks for is there in both languages, and says the same placeholders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from insjo.web.pages.texts import PLACEHOLDER, Texts, preferred_language

TEMPLATES = Path(__file__).parents[2] / "src" / "insjo" / "web" / "templates"
ASKED = re.compile(r"""ui\.t\(\s*["']([a-z_.-]+)["']\s*[,)]""")
BUILT = re.compile(r"""ui\.t\(\s*["']([a-z_.-]+)["']\s*~""")


def test_both_languages_have_the_same_keys() -> None:
    texts = Texts()
    assert texts.keys("en") == texts.keys("sv")


def test_both_languages_fill_the_same_placeholders() -> None:
    texts = Texts()
    for key in texts.keys("en"):
        assert set(PLACEHOLDER.findall(texts.get("en", key))) == set(PLACEHOLDER.findall(texts.get("sv", key))), key


def test_every_key_that_a_template_names_exists() -> None:
    known = Texts().keys("en")
    missing = []
    for path in sorted(TEMPLATES.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        missing += [f"{path.name}: {key}" for key in ASKED.findall(text) if key not in known]
        missing += [f"{path.name}: {stem}*" for stem in BUILT.findall(text) if not any(key.startswith(stem) for key in known)]
    assert missing == []


def test_no_swedish_text_is_english_by_oversight() -> None:
    texts = Texts()
    same = {key for key in texts.keys("en") if len(texts.get("en", key)) > 25 and texts.get("en", key) == texts.get("sv", key)}
    assert same == set()


@pytest.mark.parametrize(
    ("cookie", "accept", "expected"),
    [
        ("sv", "en", "sv"),
        (None, "sv-SE,sv;q=0.9,en;q=0.8", "sv"),
        (None, "en;q=0.5,sv;q=0.9", "sv"),
        (None, "de-DE,de;q=0.9", "en"),
        ("xx", "", "en"),
        (None, "sv;q=broken,en", "en"),
    ],
)
def test_the_language_is_the_chosen_one_then_the_browsers(cookie: str | None, accept: str, expected: str) -> None:
    assert preferred_language(cookie, accept) == expected
