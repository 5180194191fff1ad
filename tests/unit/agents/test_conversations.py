"""Conversations are private, keep every message with its label, and never let a label be lost on the way to a model."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from insjo.access.types import Label, Level
from insjo.agents.errors import (
    ConversationBusy,
    ConversationNotFound,
    MessageInvalid,
    TooManyAnswers,
)
from insjo.agents.service.chat import RUNNING_EACH_MAX
from insjo.agents.service.conversations import CLAIM_S, Conversations, Opening, title_of
from insjo.agents.types import (
    Answered,
    Began,
    ConversationEvent,
    Delta,
    Failed,
    Notice,
    Waiting,
)
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PageRequest
from insjo.testing.recorder import Fault, Script
from tests.support.gateway import until
from tests.support.talk import OUTSIDE, Said, Talk, open_talk

pytestmark = pytest.mark.slow

PAY = "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"
CANARY = "kanarie7f3a9c21"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with open_talk(tmp_path_factory.mktemp("talk"), waiting_s=0.3, renew_s=0.2) as talk:
        talk.endpoint(users=("anna", "bo"))
        talk.protect(PAY)
        yield talk


@pytest.fixture
def talk(opened: Talk) -> Talk:
    """The chat as it is between two tests: recorders empty, nobody told what to say."""
    opened.inside.clear()
    opened.outside.clear()
    opened.agents.events, opened.agents.asked, opened.agents.hang = [], [], False
    return opened


@dataclass
class Turnable:
    """A clock that stands until it is turned."""

    at: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.at.timestamp()


def opening(text: str) -> Opening:
    return Opening(text, (), "insjo-chat", (), "")


def sent(talk: Talk) -> list[dict[str, str]]:
    """Messages of the last request to the model of this machine."""
    messages: list[dict[str, str]] = talk.inside.requests[-1].json()["messages"]
    return messages


# ------------------------------------------------------------------------------------------------------- the list of conversations


def test_the_last_used_conversation_comes_first_page_by_page(talk: Talk) -> None:
    clock = Turnable()
    kept = Conversations(database=talk.library.lake.database, clock=clock, access=talk.library.lake.access)
    ctx = talk.person("lister")
    ids = []
    for number in range(5):
        clock.at += timedelta(seconds=1)
        ids.append(kept.begin(ctx, None, opening(f"question {number}")).conversation.id)
    clock.at += timedelta(seconds=CLAIM_S + 1)
    kept.begin(ctx, ids[1], opening("again"))
    expected = [ids[1], ids[4], ids[3], ids[2], ids[0]]
    found: list[str] = []
    page = PageRequest(size=2)
    while True:
        got = kept.list(ctx, page)
        found += [each.id for each in got.items]
        if not got.next_token:
            break
        page = PageRequest(size=2, token=got.next_token)
    assert found == expected
    with pytest.raises(InvalidArgument, match="page token"):
        kept.list(ctx, PageRequest(size=2, token="bm90IG9mIHVz"))


def test_nobody_else_can_do_anything_with_a_conversation(talk: Talk) -> None:
    said = talk.say("anna", f"my own {CANARY}", endpoint="insjo-chat")
    for other in (talk.person("bo"), talk.admin):
        kept = talk.conversations
        with pytest.raises(ConversationNotFound):
            kept.get(other, said.id)
        with pytest.raises(ConversationNotFound):
            kept.messages(other, said.id)
        with pytest.raises(ConversationNotFound):
            kept.rename(other, said.id, "mine")
        with pytest.raises(ConversationNotFound):
            kept.delete(other, said.id)
        with pytest.raises(ConversationNotFound):
            kept.begin(other, said.id, opening("let me in"))
        assert said.id not in {each.id for each in kept.list(other, PageRequest()).items}
    with pytest.raises(ConversationNotFound):
        talk.say("bo", "let me in", said.id)
    assert said.conversation.title == f"my own {CANARY}"
    assert len(said.kept()) == 2


def test_titles_are_the_first_words_and_can_be_changed(talk: Talk) -> None:
    assert title_of("  # How many\nflights  left in May?  ") == "How many flights left in May?"
    long = title_of("Vilka av våra avdelningar har fler än fem anställda som arbetar på distans?")
    assert long == "Vilka av våra avdelningar har fler än fem anställda som…"
    assert title_of("", ("handbook.pdf",)) == "handbook.pdf"
    assert len(title_of("x" * 500)) == 61
    assert title_of("a\x00b\u202ec") == "a b c"
    said = talk.say("anna", "hello", endpoint="insjo-chat")
    assert talk.conversations.rename(said.ctx, said.id, "  Another   title ").title == "Another title"
    for wrong in ("", "   ", "x" * 121):
        with pytest.raises(MessageInvalid):
            talk.conversations.rename(said.ctx, said.id, wrong)
    assert said.conversation.title == "Another title"


def test_a_deleted_conversation_is_gone_with_its_messages(talk: Talk) -> None:
    said = talk.say("anna", "hello", endpoint="insjo-chat", attachments=[("note.md", b"# Note\n\nRemember the milk.")])
    talk.conversations.delete(said.ctx, said.id)
    with pytest.raises(ConversationNotFound):
        said.kept()
    with pytest.raises(ConversationNotFound):
        talk.conversations.delete(said.ctx, said.id)


def test_one_answer_at_a_time_and_a_killed_server_locks_nothing_for_long(talk: Talk) -> None:
    clock = Turnable()
    kept = Conversations(database=talk.library.lake.database, clock=clock, access=talk.library.lake.access)
    ctx = talk.person("impatient")
    begun = kept.begin(ctx, None, opening("first"))
    with pytest.raises(ConversationBusy) as refused:
        kept.begin(ctx, begun.conversation.id, opening("second"))
    assert "stop it" in refused.value.hint
    clock.at += timedelta(seconds=CLAIM_S - 1)
    assert kept.renew(begun)
    clock.at += timedelta(seconds=CLAIM_S - 1)
    with pytest.raises(ConversationBusy):
        kept.begin(ctx, begun.conversation.id, opening("second"))
    clock.at += timedelta(seconds=2)
    again = kept.begin(ctx, begun.conversation.id, opening("second"))
    assert not kept.renew(begun)
    assert [each.text for each in kept.messages(ctx, again.conversation.id)] == ["first", "second"]


# --------------------------------------------------------------------------------------------------------------------- plain chat


def test_an_answer_is_streamed_and_kept(talk: Talk) -> None:
    talk.inside.script.append(Script(text="Lakes are deep and cold."))
    said = talk.say("anna", "What are lakes?", endpoint="insjo-chat")
    assert isinstance(said.events[0], Began)
    assert said.streamed == said.answer.text == "Lakes are deep and cold."
    assert said.answer.model == "recorded-local"
    assert said.answer.provenance.label == Label(Level.INTERNAL)
    assert not said.answer.partial
    asked, answered = said.kept()
    assert (asked.role, asked.text, asked.number) == ("user", "What are lakes?", 1)
    assert (answered.role, answered.text, answered.number) == ("assistant", "Lakes are deep and cold.", 2)
    assert answered.created_at >= asked.created_at
    assert said.conversation.endpoint == "insjo-chat"
    assert not said.conversation.indexes


def test_what_was_said_before_is_sent_in_order_and_failures_are_not(talk: Talk) -> None:
    talk.inside.script.extend([Script(text="one"), Script(fault=Fault.STATUS, status=500), Script(text="three")])
    said = talk.say("anna", "first", endpoint="insjo-chat")
    failed = talk.say("anna", "second", said.id)
    assert failed.failure.code == "PROVIDER_FAILED"
    talk.say("anna", "third", said.id)
    roles = [(each["role"], each["content"]) for each in sent(talk)]
    assert roles[0][0] == "system"
    assert roles[1:] == [("user", "first"), ("assistant", "one"), ("user", "third")]
    kept = said.kept()
    assert [each.text for each in kept] == ["first", "one", "second", "", "third", "three"]
    assert kept[3].partial
    assert "No answer came" in kept[3].notices[0]


def test_the_house_has_an_endpoint_and_a_conversation_keeps_its_own(talk: Talk) -> None:
    said = talk.say("anna", "hello")
    assert said.conversation.endpoint == "insjo-chat"
    talk.say("anna", "elsewhere", said.id, endpoint=OUTSIDE)
    again = talk.say("anna", "and again", said.id)
    assert again.conversation.endpoint == OUTSIDE
    assert again.answer.model == "paid"


def test_nothing_begins_with_what_may_not_be_used(talk: Talk) -> None:
    ctx = talk.person("stranger")
    before = talk.conversations.list(ctx, PageRequest()).items
    for options in ({"endpoint": OUTSIDE}, {"endpoint": "nowhere"}, {"indexes": ["main.docs.nothing"]}, {"agent": "main.docs.nobody"}):
        with pytest.raises(Exception, match="does not exist"):
            talk.say("stranger", "hello", **options)
    with pytest.raises(MessageInvalid):
        talk.say("stranger", "   ")
    with pytest.raises(MessageInvalid):
        talk.say("stranger", "x" * 100_001)
    with pytest.raises(InvalidArgument, match="agent"):
        talk.say("stranger", "hello", endpoint="insjo-chat", agent="main.docs.clerk")
    assert talk.conversations.list(ctx, PageRequest()).items == before


def test_a_right_that_is_gone_loses_no_message(talk: Talk) -> None:
    name = talk.endpoint("for-a-while", users=("anna",))
    said = talk.say("anna", "hello", endpoint=name)
    talk.library.gateway.endpoints.delete(talk.admin, name)
    after = talk.say("anna", "are you there?", said.id)
    assert after.failure.code == "ENDPOINT_NOT_FOUND"
    assert [each.text for each in said.kept()][2] == "are you there?"


# ------------------------------------------------------------------------------------------------------------------ the law at work


def test_a_labelled_message_goes_elsewhere_and_says_so(talk: Talk) -> None:
    said = talk.say("anna", "A harmless question", endpoint=OUTSIDE)
    assert said.answer.model == "paid"
    assert said.answer.provenance.label.level is Level.INTERNAL
    after = talk.say("anna", f"Summarise: {PAY}", said.id, endpoint=OUTSIDE)
    notices = [event for event in after.events if isinstance(event, Notice)]
    assert [each.kind for each in notices] == ["rerouted"]
    assert "`recorded-local`" in notices[0].text
    assert "`paid` may not receive" in notices[0].text
    assert after.answer.model == "insjo-chat/recorded-local"
    assert after.answer.notices == (notices[0].text,)
    labels = [each.provenance.label.text() for each in said.kept()]
    assert labels == ["internal", "internal", "confidential · salary", "confidential · salary"]
    assert {each.object for each in said.kept()[3].provenance.origins} >= {"hr0"}
    assert not talk.outside.holds("Svensson")


def test_history_launders_no_label(talk: Talk) -> None:
    """What a model made of labelled words holds none of them, and stays labelled all the same."""
    talk.inside.script.append(Script(text=f"In short: {CANARY}."))
    said = talk.say("anna", f"Shorten this: {PAY}", endpoint=OUTSIDE)
    assert said.answer.text == f"In short: {CANARY}."
    talk.outside.clear()
    for question in ("And shorter?", "Translate it to Swedish.", "Thank you!"):
        after = talk.say("anna", question, said.id, endpoint=OUTSIDE)
        assert after.answer.provenance.label.level is Level.CONFIDENTIAL
    assert CANARY in str(sent(talk))
    assert not talk.outside.requests
    # The words themselves become too old to be sent; what was made of them still is, with its label.
    small = talk.endpoint("small", context_tokens=700, users=("anna",))
    filler = "words that fill the little room that there is " * 14
    for _ in range(4):
        after = talk.say("anna", filler, said.id, endpoint=small)
        assert after.answer.provenance.label.level is Level.CONFIDENTIAL
    assert not talk.outside.requests
    assert not talk.outside.holds(CANARY)
    other = talk.say("anna", "A new conversation", endpoint=OUTSIDE)
    assert other.answer.model == "paid"
    assert other.answer.provenance.label.level is Level.INTERNAL


def test_a_policy_that_blocks_sends_nothing_and_loses_nothing(talk: Talk) -> None:
    name = talk.endpoint("strict", users=("anna",), on_conflict="block")
    said = talk.say("anna", f"Look: {PAY}", endpoint=name)
    assert said.failure.code == "FLOW_BLOCKED"
    assert said.failure.error is not None
    asked, answered = said.kept()
    assert asked.text == f"Look: {PAY}"
    assert asked.provenance.label.level is Level.CONFIDENTIAL
    assert (answered.text, answered.partial) == ("", True)
    assert "No answer came" in answered.notices[0]
    assert not talk.outside.requests
    # What was blocked is no part of the conversation that later questions carry along.
    after = talk.say("anna", "Something else", said.id, endpoint=name)
    assert after.answer.model == "paid"
    assert not talk.outside.holds("Svensson")


def test_an_answer_that_a_blocked_question_carries_along_names_the_way_out(talk: Talk) -> None:
    name = talk.endpoint("strict-too", users=("anna",), on_conflict="block")
    said = talk.say("anna", f"Shorten: {PAY}", endpoint="insjo-chat")
    after = talk.say("anna", "And shorter?", said.id, endpoint=name)
    assert after.failure.code == "FLOW_BLOCKED"
    assert "new conversation" in after.failure.hint
    assert not talk.outside.requests


def test_a_label_that_rises_later_holds_for_what_was_said_before(talk: Talk) -> None:
    text = (
        "Ingemar Wallenquist of the harbour office has looked after the lighthouse since the storm of January, writes the log by hand, "
        "keeps the spare lamps in the boathouse below the church, and hands the keys to nobody but the pilot from Slite."
    )
    holder = talk.protect(text, level=Level.INTERNAL)
    said = talk.say("anna", f"Note this: {text}", endpoint=OUTSIDE)
    assert said.answer.model == "paid"
    access = talk.library.lake.access
    access.fingerprints.forget(holder)
    access.labels.set(talk.admin, holder, Label(Level.SECRET))
    talk.outside.clear()
    after = talk.say("anna", "Go on.", said.id, endpoint=OUTSIDE)
    assert after.answer.model == "insjo-chat/recorded-local"
    assert after.answer.provenance.label.level is Level.SECRET
    assert not talk.outside.requests


def test_the_words_of_an_answer_are_judged_too(talk: Talk) -> None:
    """A model that says what is labelled, whoever taught it, gives a labelled answer."""
    talk.outside.script.append(Script(text=f"I happen to know: {PAY}"))
    said = talk.say("anna", "Whom do you know?", endpoint=OUTSIDE)
    assert said.answer.provenance.label.level is Level.CONFIDENTIAL
    assert said.kept()[0].provenance.label.level is Level.INTERNAL
    assert talk.say("anna", "Go on.", said.id, endpoint=OUTSIDE).answer.model == "insjo-chat/recorded-local"


# ------------------------------------------------------------------------------------------------------------ stops and failures


def test_a_stopped_answer_is_kept_and_the_model_stops(talk: Talk) -> None:
    words = " ".join(f"word{number}" for number in range(400))
    talk.inside.script.append(Script(text=words, event_delay_s=0.02))
    pieces = []

    def enough(event: object) -> bool:
        if isinstance(event, Delta):
            pieces.append(event.text)
        return len(pieces) >= 5

    events = talk.events("anna", "Count", endpoint="insjo-chat", until=enough)
    said = Said(talk, talk.person("anna"), events)
    asked, answered = said.kept()
    assert asked.text == "Count"
    assert answered.text.startswith("word0 word1 word2 word3")
    assert len(answered.text) < len(words)
    assert answered.partial
    assert answered.notices == ("Stopped.",)
    until(lambda: talk.inside.cut_by_client == 1)
    again = talk.say("anna", "Go on", said.id)
    assert again.answer.text.startswith("Echo")
    assert answered.text in str(sent(talk))


def test_a_stop_before_anything_came_keeps_the_question(talk: Talk) -> None:
    talk.inside.script.append(Script(fault=Fault.HANG))
    events = talk.events("anna", "Hello?", endpoint="insjo-chat", until=lambda event: isinstance(event, Waiting))
    said = Said(talk, talk.person("anna"), events)
    asked, answered = said.kept()
    assert (asked.text, answered.text, answered.notices, answered.partial) == ("Hello?", "", ("Stopped.",), True)


def test_whoever_waits_is_told_so(talk: Talk) -> None:
    talk.inside.script.append(Script(text="late", delay_s=1.0))
    said = talk.say("anna", "Hello?", endpoint="insjo-chat")
    assert any(isinstance(event, Waiting) for event in said.events)
    assert said.answer.text == "late"


def test_an_answer_that_breaks_off_keeps_what_came(talk: Talk) -> None:
    talk.inside.script.append(Script(text="one two three four five six seven eight", fault=Fault.RESET_MID_STREAM))
    said = talk.say("anna", "Count to eight", endpoint="insjo-chat")
    assert said.failure.code.startswith("PROVIDER_")
    asked, answered = said.kept()
    assert asked.text == "Count to eight"
    assert answered.text.startswith("one two")
    assert answered.partial
    assert "not complete" in answered.notices[0]


def test_an_empty_answer_is_no_silence(talk: Talk) -> None:
    talk.inside.script.append(Script(text=" "))
    said = talk.say("anna", "Say nothing", endpoint="insjo-chat")
    assert said.answer.notices == ("The model answered with nothing.",)


def test_swedish_is_answered_in_swedish(talk: Talk) -> None:
    talk.inside.script.append(Script(text=" "))
    said = talk.say("anna", "Vad är det som händer om jag inte säger någonting alls till dig?", endpoint="insjo-chat")
    assert said.answer.notices == ("Modellen svarade ingenting.",)


def test_a_second_message_must_wait(talk: Talk) -> None:
    talk.inside.script.append(Script(text="a b c", event_delay_s=0.2))

    async def both() -> tuple[ConversationEvent, ConversationEvent]:
        ctx = talk.person("anna")
        first = talk.chat.send(ctx, None, "one", endpoint="insjo-chat")
        began = await anext(first)
        assert isinstance(began, Began)
        second = talk.chat.send(ctx, began.conversation.id, "two")
        with pytest.raises(ConversationBusy):
            await anext(second)
        rest = [event async for event in first]
        third = [event async for event in talk.chat.send(ctx, began.conversation.id, "three")]
        return rest[-1], third[-1]

    for last in talk.library.run(both()):
        assert isinstance(last, Answered)


def test_one_person_cannot_take_all_answers(talk: Talk) -> None:
    talk.inside.default = Script(fault=Fault.HANG)

    async def many() -> None:
        ctx = talk.person("greedy")
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(RUNNING_EACH_MAX):
                events = await stack.enter_async_context(contextlib.aclosing(talk.chat.send(ctx, None, "hang")))
                await anext(events)
            with pytest.raises(TooManyAnswers):
                await anext(talk.chat.send(ctx, None, "one more"))
            talk.inside.default = Script()
            done = [event async for event in talk.chat.send(talk.person("anna"), None, "me too")]
            assert isinstance(done[-1], Answered)
        done = [event async for event in talk.chat.send(ctx, None, "now")]
        assert isinstance(done[-1], Answered)

    try:
        talk.library.run(many())
    finally:
        talk.inside.default = Script()


def test_deleting_a_conversation_ends_its_answer(talk: Talk) -> None:
    talk.inside.script.append(Script(text="a b c d e f", fault=Fault.HANG_MID_STREAM))
    ctx = talk.person("anna")

    async def work() -> ConversationEvent:
        events = talk.chat.send(ctx, None, "hello", endpoint="insjo-chat")
        last = began = await anext(events)
        assert isinstance(began, Began)
        async for event in events:
            if isinstance(event, Delta) and not isinstance(last, Delta):
                await asyncio.to_thread(talk.conversations.delete, ctx, began.conversation.id)
            last = event
        return last

    last = talk.library.run(work())
    assert isinstance(last, Failed)
    assert last.code == "CONVERSATION_DOES_NOT_EXIST"


def test_a_stopping_server_keeps_what_came(tmp_path: Path) -> None:
    with open_talk(tmp_path) as talk:
        talk.inside.script.append(Script(text="a b c d e f", fault=Fault.HANG_MID_STREAM))
        ctx = talk.person("anna")

        async def work() -> list[ConversationEvent]:
            found, closing = [], []
            async for event in talk.chat.send(ctx, None, "hello"):
                found.append(event)
                if isinstance(event, Delta) and "b" in event.text:
                    closing.append(asyncio.create_task(talk.chat.close()))
            await asyncio.gather(*closing)
            return found

        events = talk.library.run(work())
        assert isinstance(events[-1], Answered)
        assert events[-1].message.notices == ("Stopped.",)
        assert events[-1].message.text.startswith("a b")
        with pytest.raises(Exception, match="stopping"):
            talk.say("anna", "more")
