"""Answers with sources: find passages, let a model word them or quote them, and say where everything stands.

What a very small model writes is shown only when the passage bears it out, below the quote; what a bigger one writes carries the numbers
of its sources, and numbers that do not exist are taken out.  Without any model the answer consists of quotes.
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from insjo.access.service.flow import may_flow
from insjo.access.types import PUBLIC, Provenance, provenance_of
from insjo.gateway.types import TOLD, Message, Route, ServedKind, TokenUsage
from insjo.kernel.errors import Cancelled, DeadlineExceeded, FailedPrecondition, InsjoError, ResourceExhausted, Unavailable, UpstreamFailed
from insjo.retrieval import prompting, quoting
from insjo.retrieval.service.means import matrix_of
from insjo.retrieval.types import Citation, Cited, Delta, Finished, Notice, Retrieved
from insjo.retrieval.wording import language_of, say

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from insjo.gateway.types import Endpoint, ServedModel
    from insjo.kernel.context import RequestContext
    from insjo.retrieval.service.parts import Parts
    from insjo.retrieval.service.search import Search
    from insjo.retrieval.types import AnswerEvent, AnswerSpec, Hit
    from insjo.retrieval.wording import Language

FOUND_MIN = 0.33
"""Score of the best passage from which on it counts as an answer (tests/unit/retrieval/test_quality.py measures it)."""

NEAR_MIN = 0.22
QUOTES_MAX = 3
QUOTE_SHARE = 0.8
NEAREST_MAX = 3
SMALL_BYTES_MAX = 700 * 1024 * 1024
LOCAL_PASSAGES_MAX = 3
RELEVANT_SHARE = 0.5
ANSWER_TOKENS_MAX = 500
SHORT_TOKENS_MAX = 48
WORDS_FOR_A_QUESTION = 4
HISTORY_TURNS_MAX = 6
HISTORY_CHARS_MAX = 600
WEAK_OVERLAP = 0.25
SENTENCES_EMBEDDED_MAX = 12
FENCE_BYTES = 6
FLOW_BLOCKED = "FLOW_BLOCKED"

FAILURES = (Unavailable, UpstreamFailed, ResourceExhausted, DeadlineExceeded, FailedPrecondition, Cancelled)
"""What may befall a model without being the caller's mistake: quotes still answer."""


@dataclass(slots=True)
class _Draft:
    """An answer in the making."""

    spec: AnswerSpec
    language: Language
    hits: tuple[Hit, ...]
    question: Provenance
    text: str = ""
    route: Route | None = None
    given: tuple[Provenance, ...] = ()


class Answers:
    """Answers questions from documents."""

    def __init__(self, parts: Parts, search: Search) -> None:
        self._parts = parts
        self._search = search

    async def create(self, ctx: RequestContext, spec: AnswerSpec) -> AsyncGenerator[AnswerEvent, None]:
        """The events of one answer: `Retrieved` first, `Finished` last.

        Raises:
            QuestionInvalid, IndexNotFound, EndpointNotFound, AccessDenied: As they say; before the first event, if at all.
        """
        endpoint = None
        if spec.endpoint:
            endpoint = await self._parts.threads.run(self._parts.gateway.endpoints.get, ctx, spec.endpoint)
        typed = spec.question_provenance or self._parts.access.fingerprints.label_text(spec.question)
        hits = await self._search.search(
            ctx, spec.indexes, _query(spec), spec.k, within=spec.within, provenance=_query_provenance(spec, typed)
        )
        draft = _Draft(spec, language_of(spec.question), tuple(hits), typed)
        yield Retrieved(draft.hits)
        best = hits[0].score if hits else 0.0
        if best < NEAR_MIN:
            yield self._not_found(draft)
            return
        served, small = await self._parts.threads.run(self._expected, ctx, endpoint, draft)
        if served is not None and not small:
            events = self._worded(ctx, draft, served)
        elif best >= FOUND_MIN:
            events = self._quoted(ctx, draft, wants_model=served is not None)
        else:
            yield self._not_found(draft)
            return
        async with contextlib.aclosing(events):
            async for event in events:
                yield event

    # -------------------------------------------------------------------------------------------------------- bigger models

    async def _worded(self, ctx: RequestContext, draft: _Draft, served: ServedModel) -> AsyncGenerator[AnswerEvent, None]:
        """An answer in the model's words."""
        given = self._given(draft, served)
        messages = _messages(draft, given)
        draft.given = tuple(message.provenance for message in messages if message.provenance is not None)
        failure: InsjoError | None = None
        pending = ""
        asked = self._parts.gateway.completions.stream_text(
            ctx, draft.spec.endpoint, messages, max_tokens=ANSWER_TOKENS_MAX, temperature=0.0
        )
        try:
            async with contextlib.aclosing(cast("AsyncGenerator[str | Route | TokenUsage, None]", asked)) as stream:
                async for piece in stream:
                    if isinstance(piece, Route):
                        draft.route = piece
                        if piece.outcome in TOLD:
                            yield Notice(say("rerouted", draft.language, model=piece.served_model, reason=piece.reason))
                    elif not isinstance(piece, TokenUsage):
                        draft.text += piece
                        pending += piece
                        # Held back until it is certain that this is no "not found".
                        if not prompting.NOT_FOUND.startswith(draft.text.strip()[: len(prompting.NOT_FOUND)]):
                            yield Delta(pending)
                            pending = ""
        except InsjoError as error:
            failure = _survivable(error)
        settled = self._settled(ctx, draft, given, pending, failure)
        async with contextlib.aclosing(settled):
            async for event in settled:
                yield event

    def _given(self, draft: _Draft, served: ServedModel) -> tuple[Hit, ...]:
        """The passages that a model is sent: a model on this machine reads slowly, so it gets the best ones alone."""
        least = RELEVANT_SHARE * draft.hits[0].score
        chosen = [hit for hit in draft.hits if hit.score >= least]
        if served.kind is ServedKind.LOCAL:
            chosen = chosen[:LOCAL_PASSAGES_MAX]
        return tuple(chosen[: prompting.fitting(chosen, served.profile.context_tokens)])

    async def _settled(
        self, ctx: RequestContext, draft: _Draft, given: Sequence[Hit], pending: str, failure: InsjoError | None
    ) -> AsyncGenerator[AnswerEvent, None]:
        """The end of a worded answer: check it, or put quotes in its place."""
        text = draft.text.strip()
        if failure is not None and not text:
            yield Notice(say("model_away", draft.language, reason=str(failure)))
            quoted = self._quoted(ctx, draft, wants_model=False)
            async with contextlib.aclosing(quoted):
                async for event in quoted:
                    yield event
            return
        if failure is not None:
            yield Notice(say("broken_off", draft.language, reason=str(failure)))
        if not text or text.startswith(prompting.NOT_FOUND):
            yield self._not_found(draft)
            return
        if pending:
            yield Delta(pending)
        clean = quoting.without_wrong_citations(text, len(given))
        if clean != text and set(quoting.cited_numbers(text)) - set(range(1, len(given) + 1)):
            yield Notice(say("wrong_citation", draft.language))
        numbers = [number for number in quoting.cited_numbers(clean) if 1 <= number <= len(given)]
        if not numbers:
            number = self._supporting(clean, given)
            if number is None:
                yield Notice(say("unsupported", draft.language))
            else:
                numbers = [number]
                clean += f" [{number}]"
                yield Delta(f" [{number}]")
        citations = tuple(Citation(number, given[number - 1], self._lexical_quote(clean, given[number - 1])) for number in numbers)
        yield Cited(citations)
        yield Finished(clean, citations, found=True, worded_by="model", route=draft.route, provenance=self._provenance(draft, citations))

    def _supporting(self, text: str, hits: Sequence[Hit]) -> int | None:
        """Number of the first passage that bears the whole text out."""
        for number, hit in enumerate(hits, start=1):
            if quoting.is_supported(text, hit.text, self._parts.word_indexes.terms):
                return number
        return None

    # ----------------------------------------------------------------------------------------------------------- quotes

    async def _quoted(self, ctx: RequestContext, draft: _Draft, *, wants_model: bool) -> AsyncGenerator[AnswerEvent, None]:
        """Quotes at once; then, if there is a small model and the passage bears it out, its sentence."""
        best = draft.hits[0]
        chosen = [hit for hit in draft.hits if hit.score >= max(FOUND_MIN, QUOTE_SHARE * best.score)][:QUOTES_MAX] or [best]
        if wants_model:
            chosen = chosen[:1]
        citations = []
        for number, hit in enumerate(chosen, start=1):
            quote = await self._quote(ctx, draft, hit)
            citations.append(Citation(number, hit, quote))
            piece = ("\n\n" if draft.text else "") + f"> {quote} [{number}]"
            draft.text += piece
            yield Delta(piece)
        sentence = ""
        if wants_model:
            try:
                sentence = await self._sentence(ctx, draft, citations[0])
            except InsjoError as error:
                yield Notice(say("model_away", draft.language, reason=str(_survivable(error))))
        if sentence:
            piece = f"\n\n{say('in_short', draft.language)} {sentence} [1]"
            draft.text += piece
            yield Delta(piece)
        if draft.route is not None and draft.route.outcome in TOLD:
            yield Notice(say("rerouted", draft.language, model=draft.route.served_model, reason=draft.route.reason))
        cited = tuple(citations)
        yield Cited(cited)
        yield Finished(
            draft.text,
            cited,
            found=True,
            worded_by="model" if sentence else "quotes",
            route=draft.route,
            provenance=self._provenance(draft, cited),
        )

    async def _sentence(self, ctx: RequestContext, draft: _Draft, citation: Citation) -> str:
        """One sentence of a very small model, or nothing when the quote does not bear it out."""
        provenance = provenance_of((citation.hit.provenance, draft.question))
        draft.given = (provenance,)
        message = Message("user", prompting.short(draft.spec.question, citation.hit), provenance)
        answer = await self._parts.gateway.completions.complete_text(
            ctx, draft.spec.endpoint, [message], max_tokens=SHORT_TOKENS_MAX, temperature=0.0, stop=["\n"]
        )
        draft.route = answer.route
        found = quoting.sentences_of(answer.text.strip())
        sentence = found[0] if found else ""
        terms = self._parts.word_indexes.terms
        good = quoting.adds_something(sentence, citation.quote, draft.spec.question, terms)
        return sentence if good and quoting.is_supported(sentence, citation.quote, terms) else ""

    async def _quote(self, ctx: RequestContext, draft: _Draft, hit: Hit) -> str:
        """The sentence of a passage that answers the question; by meaning where words do not tell, as across languages."""
        candidates = quoting.sentences_of(hit.text)
        terms = self._parts.word_indexes.terms
        number, strength = quoting.best_sentence(terms(draft.spec.question), candidates, terms)
        if strength < WEAK_OVERLAP and 1 < len(candidates) <= SENTENCES_EMBEDDED_MAX:
            # If that fails the quote is the best that words could find: an answer must not fail for want of a better one.
            with contextlib.suppress(InsjoError):
                number = await self._nearest_sentence(ctx, draft, hit, candidates)
        return quoting.quote_at(candidates, number)

    async def _nearest_sentence(self, ctx: RequestContext, draft: _Draft, hit: Hit, candidates: Sequence[str]) -> int:
        """Number of the sentence whose vector is nearest to the question's."""
        index = await self._parts.threads.run(self._search.embedding_endpoint, ctx, hit.index)
        embeddings = self._parts.gateway.embeddings
        asked = await embeddings.embed(ctx, index, [draft.spec.question], "query", draft.question)
        said = await embeddings.embed(ctx, index, candidates, "passage", hit.provenance)
        return int(np.argmax(matrix_of(said) @ matrix_of(asked)[0]))

    def _lexical_quote(self, text: str, hit: Hit) -> str:
        """The sentence of a passage that shares most with an answer."""
        candidates = quoting.sentences_of(hit.text)
        terms = self._parts.word_indexes.terms
        return quoting.quote_at(candidates, quoting.best_sentence(terms(text), candidates, terms)[0])

    # -------------------------------------------------------------------------------------------------------------- details

    def _not_found(self, draft: _Draft) -> Finished:
        """The honest answer; with the nearest places if there are any near."""
        near = [hit for hit in draft.hits if hit.score >= NEAR_MIN][:NEAREST_MAX]
        citations = tuple(Citation(number, hit, self._lexical_quote(draft.spec.question, hit)) for number, hit in enumerate(near, start=1))
        text = say("nearest" if near else "not_found", draft.language)
        lines = [f"\n> {each.quote} [{each.number}]" for each in citations]
        provenance = self._provenance(draft, citations)
        return Finished("\n".join([text, *lines]), citations, found=False, worded_by="quotes", route=draft.route, provenance=provenance)

    def _provenance(self, draft: _Draft, citations: Sequence[Citation]) -> Provenance:
        """Join of all that was given to a model, whether or not it quotes it, of all that is quoted, and of the question."""
        return provenance_of((draft.question, *draft.given, *(each.hit.provenance for each in citations)))

    def _expected(self, ctx: RequestContext, endpoint: Endpoint | None, draft: _Draft) -> tuple[ServedModel | None, bool]:
        """The served model that will answer, as far as labels decide it, and whether it is a small one: the prompt is made for it."""
        if endpoint is None:
            return None, False
        label = provenance_of((draft.question, *(hit.provenance for hit in draft.hits))).label
        candidates = list(endpoint.served)
        if endpoint.policy.fallback:
            with contextlib.suppress(InsjoError):
                candidates += self._parts.gateway.endpoints.get(ctx, endpoint.policy.fallback).served
        allowed = [each for each in candidates if each.clearance is None or may_flow(label, each.clearance).allowed]
        served = next(iter(allowed or candidates), None)
        return served, served is not None and self._is_small(ctx, served)

    def _is_small(self, ctx: RequestContext, served: ServedModel) -> bool:
        """Whether a model is so small that what it writes has to be checked against the passage."""
        if served.kind is not ServedKind.LOCAL:
            return False
        sizes = {each.name: each.size_bytes for each in self._parts.gateway.endpoints.local_models(ctx)}
        return 0 < sizes.get(served.model, 0) <= SMALL_BYTES_MAX


def _survivable(error: InsjoError) -> InsjoError:
    """The error, if quotes can still answer; raises it again when it is the caller's to know."""
    if isinstance(error, FAILURES) or error.code == FLOW_BLOCKED:
        return error
    raise error


def _query(spec: AnswerSpec) -> str:
    """What is searched for: a question that is too short to stand alone is read together with the one before it."""
    asked = [turn.text for turn in spec.history if turn.role == "user"]
    if asked and len(spec.question.split()) < WORDS_FOR_A_QUESTION:
        return f"{asked[-1][:HISTORY_CHARS_MAX]} {spec.question}"
    return spec.question


def _query_provenance(spec: AnswerSpec, typed: Provenance) -> Provenance:
    """Provenance of what is searched for."""
    asked = [turn for turn in spec.history if turn.role == "user"]
    return typed if _query(spec) == spec.question else typed.join(asked[-1].provenance)


def _messages(draft: _Draft, given: Sequence[Hit]) -> list[Message]:
    """What a bigger model is sent, each message with its provenance."""
    fence = secrets.token_hex(FENCE_BYTES)
    messages = [Message("system", prompting.rules(fence), Provenance(PUBLIC))]
    messages += [
        Message(turn.role, turn.text[:HISTORY_CHARS_MAX], turn.provenance)
        for turn in draft.spec.history[-HISTORY_TURNS_MAX:]
        if turn.text.strip()
    ]
    provenance = provenance_of((draft.question, *(hit.provenance for hit in given)))
    messages.append(Message("user", prompting.question_with_passages(draft.spec.question, given, fence), provenance))
    return messages
