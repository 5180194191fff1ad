"""Answers from attached files when only a very small model is there: it makes up what it did not understand, quotes do not."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

from insjo.access.types import provenance_of
from insjo.agents.chat_wording import say
from insjo.agents.context import passages_of
from insjo.agents.types import Notice
from insjo.gateway.service.endpoints import EMBED_DEFAULT
from insjo.gateway.types import Message
from insjo.kernel.errors import InsjoError
from insjo.retrieval import quoting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from insjo.access.types import Provenance
    from insjo.agents.context import Passage
    from insjo.agents.service.running_answer import RunningAnswer
    from insjo.agents.types import AttachedText
    from insjo.gateway.service.room import GatewayRoom
    from insjo.kernel.threads import Threads
    from insjo.retrieval.types import Terms, Turn

CLEAR: Final = 0.25
"""Share of the question's words from which on they tell the place; below it the meaning is asked."""

ALSO: Final = 0.85
"""A second place is quoted when it is nearly as good as the first."""

QUOTES_MAX: Final = 2
EMBEDDED_MAX: Final = 48
SENTENCE_TOKENS_MAX: Final = 48
PASSAGE_CHARS_MAX: Final = 1_100
PARTS_MAX: Final = 8
PART_CHARS_MAX: Final = 240

_SUMMARY: Final = re.compile(
    r"\b(summar\w*|sum up|overview|outline|main points?|what does (?:it|this|the file) say"
    r"|what is (?:it|this|that)(?: file| text| document)? about"
    r"|sammanfatt\w*|översikt|huvuddrag\w*|vad handlar|vad står det i)\b",
    re.IGNORECASE,
)


class FileQuotes:
    """Finds in attached files what answers a question, and quotes it."""

    def __init__(self, *, gateway: GatewayRoom, terms: Callable[[str], Terms], threads: Threads) -> None:
        """Tell words apart with `terms`."""
        self._gateway = gateway
        self._terms = terms
        self._threads = threads

    async def answer(self, run: RunningAnswer, endpoint: str, question: Turn, texts: Sequence[AttachedText]) -> bool:
        """Answer with quotes; False when the question is not about the files.

        Files that came with the message itself are what it is about; of older ones that is so only when their words tell.
        """
        if run.texts and (not run.asked.text or _SUMMARY.search(run.asked.text)):
            await self._outline(run, question, run.texts)
            return True
        passages, strengths = await self._threads.run(self._rank, question.text, texts)
        best = strengths[0] if strengths else 0.0
        provenance = provenance_of([question.provenance, *(each.provenance for each in texts)])
        if best < CLEAR:
            if not run.texts:
                return False
            nearest = await self._nearest(run, question.text, [each.text for each in passages[:EMBEDDED_MAX]], provenance)
            if nearest is None and best <= 0:
                await self._nothing(run, question)
                return True
            chosen = [passages[nearest or 0]]
        else:
            chosen = [each for each, strength in zip(passages, strengths, strict=True) if strength >= ALSO * best][:QUOTES_MAX]
        await run.note(Notice(say("quoted", run.language)))
        given = provenance_of([question.provenance, *(texts[each.text_number].provenance for each in chosen)])
        run.draft.presume(given)
        quotes = []
        for number, each in enumerate(chosen):
            quotes.append(await self._quote(run, question.text, each.text, given))
            name = texts[each.text_number].name
            await run.say(("\n\n" if number else "") + f"> {quotes[-1]}\n>\n> — `{name.replace('`', '')}`")
        with contextlib.suppress(InsjoError):
            # The quotes stand for themselves: without a model there is no sentence.
            await self._sentence(run, endpoint, question.text, chosen[0].text, quotes[0], given)
        run.draft.complete(given)
        return True

    async def _nothing(self, run: RunningAnswer, question: Turn) -> None:
        await run.say(say("not_in_files", run.language))
        run.draft.complete(question.provenance)

    async def _outline(self, run: RunningAnswer, question: Turn, texts: Sequence[AttachedText]) -> None:
        """The beginnings of the parts of files."""
        await run.note(Notice(say("outlined", run.language)))
        provenance = provenance_of([question.provenance, *(each.provenance for each in texts)])
        run.draft.presume(provenance)
        for number, each in enumerate(texts):
            lines = "\n".join(f"- {line}" for line in outline_of(each.text))
            await run.say(("\n\n" if number else "") + f"**{_plain(each.name)}**\n\n{lines}")
        run.draft.complete(provenance)

    def _rank(self, question: str, texts: Sequence[AttachedText]) -> tuple[list[Passage], list[float]]:
        """Passages with the share of the question's words that they have, best first."""
        asked = self._terms(question)
        passages = [passage for number, each in enumerate(texts) for passage in passages_of(number, each.text)]
        strengths = {id(each): quoting.overlap(asked, self._terms(each.text)) for each in passages}
        ranked = sorted(passages, key=lambda each: (-strengths[id(each)], each.text_number, each.position))
        return ranked, [strengths[id(each)] for each in ranked]

    async def _nearest(self, run: RunningAnswer, question: str, candidates: Sequence[str], provenance: Provenance) -> int | None:
        """Number of the text whose meaning is nearest to the question's; None when no model can tell."""
        if not candidates:
            return None
        embed = self._gateway.embeddings.embed
        try:
            asked = (await embed(run.ctx, EMBED_DEFAULT, [question], "query", provenance)).floats()[0]
            said = (await embed(run.ctx, EMBED_DEFAULT, candidates, "passage", provenance)).floats()
        except InsjoError:
            return None
        closeness = [sum(one * two for one, two in zip(asked, each, strict=True)) for each in said]
        return max(range(len(closeness)), key=closeness.__getitem__)

    async def _quote(self, run: RunningAnswer, question: str, passage: str, provenance: Provenance) -> str:
        """The sentence of a passage that answers the question."""
        candidates = [each for each in quoting.sentences_of(passage) if not each.startswith("#")] or [passage]
        number, strength = quoting.best_sentence(self._terms(question), candidates, self._terms)
        if strength < CLEAR and 1 < len(candidates) <= EMBEDDED_MAX:
            nearest = await self._nearest(run, question, candidates, provenance)
            number = number if nearest is None else nearest
        return quoting.quote_at(candidates, number)

    async def _sentence(self, run: RunningAnswer, endpoint: str, question: str, passage: str, quote: str, provenance: Provenance) -> None:
        """One sentence of the model, if the passage bears it out."""
        prompt = f"{passage[:PASSAGE_CHARS_MAX]}\n\nUsing only the text above, answer in one short sentence: {question}"
        answer = await self._gateway.completions.complete_text(
            run.ctx, endpoint, [Message("user", prompt, provenance)], max_tokens=SENTENCE_TOKENS_MAX, temperature=0.0, stop=["\n"]
        )
        found = quoting.sentences_of(answer.text.strip())
        if not found or not quoting.is_supported(found[0], passage, self._terms):
            return
        if quoting.adds_something(found[0], quote, question, self._terms):
            run.draft.answered_by(answer.route)
            if answer.route.outcome == "rerouted":
                await run.note(
                    Notice(say("rerouted", run.language, model=answer.route.served_model, reason=answer.route.reason), "rerouted")
                )
            await run.say("\n\n" + say("in_short", run.language, sentence=found[0]))


def outline_of(text: str) -> list[str]:
    """The headings with the first sentence below each; of a text without headings the first sentences of its paragraphs."""
    lines: list[str] = []
    heading = ""
    paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
    headed = any(each.startswith("#") for each in paragraphs)
    for each in paragraphs:
        if each.startswith("#"):
            heading = each.lstrip("# ")
        elif heading or not headed or not lines:
            first = next(iter(quoting.sentences_of(each)), "")[:PART_CHARS_MAX]
            lines.append(f"**{_plain(heading)}**: {_plain(first)}" if heading else _plain(first))
            heading = ""
    return lines[:PARTS_MAX]


def _plain(text: str) -> str:
    """A text on one line that Markdown leaves alone."""
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", " ".join(text.split()))
