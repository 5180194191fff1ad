from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from insjo.access.errors import EndpointNotFound
from insjo.access.types import ALL, PUBLIC, Clearance, Label, Level, Provenance
from insjo.gateway.types import EndpointSpec, LocalModel, Policy, ServedKind, ServedModelSpec, Task
from insjo.kernel.context import system_context
from insjo.retrieval.errors import QuestionInvalid
from insjo.retrieval.types import AnswerEvent, AnswerSpec, Cited, Delta, Finished, Notice, Retrieved, Turn
from insjo.testing.models import LOCAL_MODEL, RecordedRuntime
from insjo.testing.recorder import Fault, Recorder, Script
from tests.support import documents as samples
from tests.support.library import INDEX, SCHEMA, VOLUME, Library, open_library

pytestmark = pytest.mark.slow

HOTEL = "How much may a hotel in Stockholm cost?"
PAY = f"{SCHEMA}.pay"


class SmallRuntime(RecordedRuntime):
    """A runtime whose model is as small as the packaged one."""

    def models(self) -> tuple[LocalModel, ...]:
        return tuple(replace(model, size_bytes=98_000_000) for model in super().models())


def fill(library: Library) -> None:
    for name, content in samples.library().items():
        library.write(name, content)
    library.room.indexes.create(library.admin, INDEX, sources=(VOLUME,))
    library.build()


@pytest.fixture
def filled(library: Library) -> Library:
    fill(library)
    return library


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Library]:
    with Recorder().running() as recorder, open_library(tmp_path, runtime=SmallRuntime(recorder)) as library:
        library.inside = recorder
        fill(library)
        yield library


def ask(library: Library, question: str = HOTEL, **more: object) -> list[AnswerEvent]:
    return library.ask(library.admin, AnswerSpec((INDEX,), question, **more))  # type: ignore[arg-type]  # As the fields.


def told(library: Library, text: str, question: str = HOTEL, **more: object) -> tuple[list[AnswerEvent], Finished]:
    library.inside.script.append(Script(text=text))
    events = ask(library, question, **more)
    return events, end(events)


def end(events: list[AnswerEvent]) -> Finished:
    last = events[-1]
    assert isinstance(last, Finished)
    assert isinstance(events[0], Retrieved)
    return last


def said(events: list[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def notices(events: list[AnswerEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice)]


def test_an_answer_names_its_sources_and_they_open(filled: Library) -> None:
    events, last = told(filled, "At most 1,450 kronor [1].")
    assert said(events) == last.text == "At most 1,450 kronor [1]."
    (citation,) = last.citations
    assert (citation.number, citation.hit.path.rsplit("/", 1)[-1], citation.hit.page) == (1, "handbook.pdf", 2)
    assert "1,450 kronor" in citation.quote
    assert filled.room.passages.get(filled.admin, INDEX, citation.hit.passage_id).text == citation.hit.text
    assert last.worded_by == "model"
    assert last.route is not None
    assert last.route.outcome == "direct"
    kinds = [type(event) for event in events]
    assert kinds.index(Cited) == len(kinds) - 2


def test_the_model_is_given_fenced_passages_and_the_conversation(filled: Library) -> None:
    history = (Turn("user", "Hello there", Provenance(PUBLIC)), Turn("assistant", "Hello.", Provenance(PUBLIC)))
    told(filled, "x [1]", history=history)
    messages = filled.inside.requests[-1].json()["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    fence = messages[0]["content"].split("fences marked ")[1].split()[0]
    assert f"<<{fence} passage 1: handbook.pdf, page 2" in messages[3]["content"]
    assert messages[3]["content"].endswith(f"Question: {HOTEL}")


def test_sources_that_do_not_exist_are_taken_out_and_told(filled: Library) -> None:
    events, last = told(filled, "At most 1,450 kronor [1, 99].")
    assert last.text == "At most 1,450 kronor [1]."
    assert len(last.citations) == 1
    assert "do not exist" in notices(events)[0]


def test_an_answer_without_numbers_gets_its_source_when_a_passage_bears_it_out(filled: Library) -> None:
    _, last = told(filled, "A night in a hotel may cost at most 1,450 kronor in Stockholm.")
    assert last.text.endswith("[1]")
    assert [citation.number for citation in last.citations] == [1]


def test_an_answer_that_no_passage_bears_out_is_marked(filled: Library) -> None:
    events, last = told(filled, "Elephants may cost nine thousand dollars in Paris.")
    assert last.citations == ()
    assert "Check this answer" in notices(events)[0]


def test_a_model_that_finds_nothing_is_believed_and_its_code_word_never_shown(filled: Library) -> None:
    events, last = told(filled, "NOT IN THE DOCUMENTS")
    assert not last.found
    assert said(events) == ""
    assert "NOT IN" not in last.text


@pytest.mark.parametrize(
    ("question", "text"),
    [("How old is the king?", "The documents do not answer this."), ("Vem är kungen?", "Dokumenten svarar inte på det här.")],
)
def test_when_nothing_is_found_no_model_is_asked_and_the_reader_is_told_in_their_language(
    filled: Library, question: str, text: str
) -> None:
    blind = filled.reader("olle")
    last = end(filled.ask(blind, AnswerSpec((INDEX,), question, endpoint="")))
    assert (last.text, last.found, last.citations) == (text, False, ())
    assert not filled.inside.requests


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.STATUS, Fault.GARBAGE])
def test_without_a_model_the_answer_is_quotes(filled: Library, fault: Fault) -> None:
    filled.inside.script.extend([Script(fault=fault)] * 3)
    events = ask(filled)
    last = end(events)
    assert last.worded_by == "quotes"
    assert "> A night in a hotel may cost at most 1,450 kronor in Stockholm" in last.text
    assert said(events) == last.text
    assert "these are quotes" in notices(events)[0]


def test_an_answer_that_breaks_off_is_kept_and_told(filled: Library) -> None:
    filled.inside.script.append(Script(text="At most 1,450 kronor in Stockholm, and less elsewhere [1].", fault=Fault.RESET_MID_STREAM))
    events = ask(filled)
    assert "broke off" in notices(events)[0]
    assert end(events).text


def test_quotes_alone_when_no_endpoint_is_asked(filled: Library) -> None:
    events = ask(filled, "När ska däcken bytas?", endpoint="")
    last = end(events)
    assert "> Däcken byts när mönsterdjupet är mindre än två millimeter" in last.text
    assert last.citations[0].hit.path.endswith("maintenance.docx")
    assert not filled.inside.requests
    assert last.route is None


def test_a_small_model_speaks_only_below_a_quote_that_bears_it_out(small: Library) -> None:
    events, last = told(small, "A hotel night in Stockholm may cost at most 1,450 kronor.\nAnd more.")
    assert last.text.startswith("> A night in a hotel may cost at most 1,450 kronor")
    assert last.text.endswith("In short: A hotel night in Stockholm may cost at most 1,450 kronor. [1]")
    assert last.worded_by == "model"
    assert said(events) == last.text
    (message,) = small.inside.requests[-1].json()["messages"]
    assert len(message["content"]) < 1500


@pytest.mark.parametrize("text", ["A hotel in Stockholm costs 9,999 kronor.", "I am a language model from the moon.", HOTEL, ""])
def test_what_a_small_model_makes_up_is_not_shown(small: Library, text: str) -> None:
    _, last = told(small, text or " ")
    assert last.worded_by == "quotes"
    assert "In short" not in last.text


def confidential(library: Library) -> None:
    """A second source whose file is confidential."""
    path = library.write("hotels.txt", b"The director sleeps in a hotel in Stockholm that may cost 9000 kronor.", volume=PAY)
    library.lake.room.files.set_label(library.admin, path, Label(Level.CONFIDENTIAL, frozenset({"salary"})))
    library.room.indexes.update(library.admin, INDEX, sources=(VOLUME, PAY))
    library.build()


def outside(library: Library, policy: Policy) -> None:
    """An endpoint with a model elsewhere that may see `internal`."""
    clearance = Clearance("", level=Level.INTERNAL, categories=ALL, zone="any", keeps=True)
    served = ServedModelSpec("paid", ServedKind.OPENAI, "recorder-1", library.outside.base_url, api_key="k", clearance=clearance)
    local = ServedModelSpec("here", ServedKind.LOCAL, LOCAL_MODEL)
    more = (local,) if policy.on_conflict == "reroute" else ()
    library.gateway.endpoints.create(system_context(), EndpointSpec("outside", Task.CHAT, (served, *more), policy))


def test_the_answer_has_the_label_of_all_that_was_given_whether_or_not_it_quotes_it(filled: Library) -> None:
    confidential(filled)
    _, last = told(filled, "Trains are preferred.")
    assert last.provenance.label.level is Level.CONFIDENTIAL
    assert last.provenance.label.categories == {"salary"}
    assert any(origin.object.endswith("hotels.txt") for origin in last.provenance.origins)


def test_confidential_passages_go_to_a_cleared_model_and_the_reader_is_told(filled: Library) -> None:
    confidential(filled)
    outside(filled, Policy("reroute"))
    events, last = told(filled, "At most 1,450 kronor [1].", endpoint="outside")
    assert last.route is not None
    assert last.route.outcome == "rerouted"
    assert "Answered by `here`" in notices(events)[0]
    assert not filled.outside.requests


def test_confidential_passages_are_quoted_to_their_reader_when_no_model_may_see_them(filled: Library) -> None:
    confidential(filled)
    outside(filled, Policy("block"))
    events = ask(filled, endpoint="outside")
    assert end(events).worded_by == "quotes"
    assert notices(events)
    assert not filled.outside.holds("9000")


def test_wrong_questions_and_endpoints_are_refused_before_the_first_event(filled: Library) -> None:
    for question in ("", "   ", "x" * 5000):
        with pytest.raises(QuestionInvalid):
            ask(filled, question)
    with pytest.raises(EndpointNotFound):
        ask(filled, endpoint="nowhere")
