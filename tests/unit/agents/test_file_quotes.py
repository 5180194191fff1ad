"""With nothing but a very small model an attached file is quoted, and what the model makes up is not shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from insjo.access.types import Level
from insjo.agents.service.answering import repeated_from
from insjo.agents.service.file_quotes import outline_of
from insjo.testing.recorder import Script
from tests.support.documents import HANDBOOK, markdown_of, pdf_of
from tests.support.talk import OUTSIDE, Talk, open_talk

PAY = "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"
HOTEL = "How much may a hotel in Stockholm cost?"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with open_talk(tmp_path_factory.mktemp("talk"), small=True) as talk:
        talk.endpoint(users=("anna",))
        talk.protect(PAY)
        yield talk


@pytest.fixture
def talk(opened: Talk) -> Talk:
    opened.inside.clear()
    opened.outside.clear()
    return opened


def test_the_sentence_that_answers_is_quoted_with_its_file(talk: Talk) -> None:
    talk.inside.script.append(Script(text="It may cost at most 2,200 kronor in Paris."))
    said = talk.say("anna", HOTEL, endpoint="insjo-chat", attachments=[("handbook.pdf", pdf_of(HANDBOOK))])
    assert "> A night in a hotel may cost at most 1,450 kronor in Stockholm" in said.answer.text
    assert "`handbook.pdf`" in said.answer.text
    assert "2,200" not in said.answer.text
    assert "very small" in said.answer.notices[0]
    assert said.answer.model == ""
    assert said.streamed == said.answer.text


def test_what_the_passage_bears_out_is_said_below_the_quote(talk: Talk) -> None:
    talk.inside.script.append(Script(text="A night in a hotel in Stockholm may cost 1,450 kronor."))
    said = talk.say("anna", HOTEL, endpoint="insjo-chat", attachments=[("handbook.pdf", pdf_of(HANDBOOK))])
    assert said.answer.text.endswith("In short: A night in a hotel in Stockholm may cost 1,450 kronor.")
    assert said.answer.model == "recorded-local"


def test_later_questions_are_answered_from_the_file_when_they_are_about_it(talk: Talk) -> None:
    said = talk.say("anna", HOTEL, endpoint="insjo-chat", attachments=[("handbook.md", markdown_of(HANDBOOK))])
    talk.inside.clear()
    after = talk.say("anna", "How many characters do passwords have?", said.id)
    assert "sixteen characters" in after.answer.text
    talk.inside.clear()
    talk.inside.script.append(Script(text="You are welcome."))
    other = talk.say("anna", "Thank you, goodbye!", said.id)
    assert other.answer.text == "You are welcome."
    assert "sixteen characters and are kept" not in talk.inside.requests[-1].json()["messages"][-1]["content"]


@pytest.mark.parametrize("question", ["", "Please summarise this.", "Sammanfatta filen, tack"])
def test_a_summary_is_the_beginnings_of_the_parts(talk: Talk, question: str) -> None:
    said = talk.say("anna", question, endpoint="insjo-chat", attachments=[("handbook.md", markdown_of(HANDBOOK))])
    assert "- **Holiday and leave**: Every employee of Kustflyg is entitled" in said.answer.text
    assert "- **Remote work**: Staff may work from home" in said.answer.text
    assert not talk.inside.requests


def test_quotes_have_the_label_of_their_file(talk: Talk) -> None:
    content = f"# Pay\n\n{PAY}.\n\n# Lunch\n\nSoup is served on Thursdays.".encode()
    said = talk.say("anna", "What does Kalle Svensson earn a month?", endpoint=OUTSIDE, attachments=[("pay.md", content)])
    assert "98765" in said.answer.text
    assert said.answer.provenance.label.level is Level.CONFIDENTIAL
    assert not talk.outside.requests


def test_without_a_model_quotes_stand_for_themselves(talk: Talk) -> None:
    talk.inside.script.append(Script(text="x", status=500))
    said = talk.say("anna", HOTEL, endpoint="insjo-chat", attachments=[("handbook.md", markdown_of(HANDBOOK))])
    assert "1,450 kronor" in said.answer.text


def test_an_outline_has_headings_or_beginnings_and_no_markup_of_its_own() -> None:
    assert outline_of("# One\n\nFirst. Second.\n\nMore.\n\n## Two\n\n[x](y) here.") == ["**One**: First.", "**Two**: \\[x\\](y) here."]
    assert outline_of("First paragraph. More.\n\nSecond paragraph.") == ["First paragraph.", "Second paragraph."]
    assert outline_of("") == []


def test_a_model_that_repeats_itself_is_stopped(talk: Talk) -> None:
    line = "The company pays for a chair and a screen every fourth year."
    talk.inside.script.append(Script(text="It does. " + f"{line} " * 40))
    said = talk.say("anna", "What does the company pay for?", endpoint="insjo-chat")
    assert said.answer.text == f"It does. {line}"
    assert said.answer.notices == ("The model began to repeat itself and was stopped.",)


def test_repetition_is_told_from_style() -> None:
    piece = "One sentence that is long enough. "
    assert repeated_from("Begin. " + piece * 4) == len("Begin. " + piece)
    assert repeated_from("Begin. " + piece * 3) is None
    lines = "".join(f"{number}. The company pays for a chair and a screen.\n" for number in range(8, 12))
    at = repeated_from(f"List:\n{lines}12. The")
    assert at is not None
    assert f"List:\n{lines}"[:at] == "List:\n8. The company pays for a chair and a screen."
    assert repeated_from("| --- | --- | --- | --- | --- | --- |\n" * 6) is None
    assert repeated_from("na " * 50) is None
    assert repeated_from("Short.\n" * 10) is None
    assert repeated_from("") is None
