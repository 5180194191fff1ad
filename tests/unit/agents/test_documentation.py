"""The documentation is found by words, in both languages."""

from __future__ import annotations

import pytest

from insjo.agents.documentation import cut, defined_word, error_meanings, glossary, passages, plain, quote_of, search
from insjo.agents.finding import Findable, find
from insjo.agents.language import language_of
from insjo.agents.pages import PAGES


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("how do I share a table", "how-to/share-a-table"),
        ("hur delar jag en tabell", "how-to/share-a-table"),
        ("how can I restore a table", "how-to/look-back"),
        ("hur återställer jag en gammal version av en tabell", "how-to/look-back"),
        ("how do I back up the server", "how-to/run-insjo"),
        ("hur laddar jag in en csv", "how-to/load-a-file"),
        ("how do labels work", "how-to/label-and-clear"),
        ("hur ansluter jag en egen modell", "how-to/connect-a-model"),
    ],
)
def test_the_right_page_comes_first(question: str, page: str) -> None:
    hits = search(question)
    assert hits[0].passage.page == page
    assert hits[0].coverage >= 0.6
    assert quote_of(hits[0].passage, question)


@pytest.mark.parametrize("question", ["skriv en dikt om våren", "vem är kung i Sverige", "who won the cup final"])
def test_other_questions_find_nothing(question: str) -> None:
    assert search(question)[0].coverage < 0.6


def test_pages_for_developers_are_left_out() -> None:
    assert not [passage for passage in passages() if passage.page.startswith(("decisions", "reference/web-components"))]
    assert {passage.page for passage in passages()} >= {"index", "glossary", "reference/law"}


def test_a_page_is_cut_at_its_headings() -> None:
    found = list(cut("x", "# Title\nOne.\n\n## Part\nTwo.\n```\n# no heading\n```\n"))
    assert [(each.title, each.heading) for each in found] == [("Title", ""), ("Title", "Part")]
    assert "# no heading" in found[1].text


def test_tables_and_links_become_plain_lines() -> None:
    assert plain("| a | b |\n|---|---|\n| [c](d.md) | e |") == "a: b\nc: e"


def test_words_and_error_codes_are_known() -> None:
    assert "clearance" in glossary()
    assert defined_word("what is a clearance?") == ("clearance", glossary()["clearance"])
    assert defined_word("vad är en klarering?") == ("clearance", glossary()["clearance"])
    assert defined_word("set a clearance") is None
    assert "TABLE_OR_VIEW_NOT_FOUND" in error_meanings()


def test_things_are_found_by_name_column_and_comment() -> None:
    things = [
        Findable("table", "main.hr.pay", "Monthly pay", ("name", "monthly_salary")),
        Findable("table", "main.crm.customers", "", ("id", "email")),
        Findable("volume", "main.docs.manuals", "Handbooks of our products"),
    ]
    assert [each.thing.full_name for each in find("where is the table with salaries", things)] == ["main.hr.pay"]
    assert [each.thing.full_name for each in find("var finns våra kunder", things)] == ["main.crm.customers"]
    assert [each.thing.full_name for each in find("find the handbooks", things)] == ["main.docs.manuals"]
    assert find("where is the moon", things) == []
    assert find("where is the table", things) == []


@pytest.mark.parametrize(
    ("text", "language"), [("skapa en token", "sv"), ("create a token", "en"), ("vem har läst det", "sv"), ("xyz", "sv")]
)
def test_the_language_of_a_question_is_told(text: str, language: str) -> None:
    assert language_of(text, "sv") == language


def test_nearly_every_example_question_is_in_its_language() -> None:
    wrong = [
        question
        for page in PAGES
        for language in ("en", "sv")
        for question in page.questions[language]
        if len(question.split()) > 2 and language_of(question, "en" if language == "sv" else "sv") != language
    ]
    assert len(wrong) <= 10, wrong
