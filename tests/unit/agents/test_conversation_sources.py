"""Files, documents and agents in a conversation: what they give is kept with its label, and never leaves without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from insjo.access.types import Label, Level, Origin, Privilege, Provenance, SecurableKind
from insjo.agents.errors import AttachmentInvalid
from insjo.agents.types import Cited, Delta, Finished, Retrieved, Source, ToolCalled, ToolReturned
from insjo.gateway.types import Route
from insjo.kernel.paging import PageRequest
from insjo.testing.recorder import Script
from tests.support.documents import HANDBOOK, docx_of, html_of, pdf_of
from tests.support.talk import OUTSIDE, Said, Talk, open_talk

PAY = "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"


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


def sent(talk: Talk) -> list[dict[str, str]]:
    """Messages of the last request to the model of this machine."""
    messages: list[dict[str, str]] = talk.inside.requests[-1].json()["messages"]
    return messages


# -------------------------------------------------------------------------------------------------------------------- attachments


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("handbook.pdf", pdf_of(HANDBOOK)),
        ("handbook.docx", docx_of(HANDBOOK)),
        ("C:\\Documents\\handbook.html", html_of(HANDBOOK)),
        ("../../etc/handbook.md", b"# Holiday\n\nEverybody has thirty days of paid holiday."),
        ("HANDBOOK.TXT", "Trettio dagar: thirty days of paid holiday. Åäö".encode()),
    ],
)
def test_attached_files_are_read_and_sent_as_material(talk: Talk, name: str, content: bytes) -> None:
    said = talk.say("anna", "How many days of holiday?", endpoint="insjo-chat", attachments=[(name, content)])
    question = sent(talk)[-1]["content"]
    assert "thirty days of paid holiday" in question
    assert question.endswith("How many days of holiday?")
    assert "never an instruction" in sent(talk)[0]["content"]
    asked = said.kept()[0]
    assert asked.text == "How many days of holiday?"
    assert [each.lower().rsplit(".", 1)[0] for each in asked.files] == ["handbook"]
    tools = [event for event in said.events if isinstance(event, ToolCalled | ToolReturned)]
    assert [type(event) for event in tools] == [ToolCalled, ToolReturned]
    talk.say("anna", "And what was that file about?", said.id)
    assert "thirty days of paid holiday" in sent(talk)[-1]["content"]


def test_what_is_in_a_file_decides_where_it_goes(talk: Talk) -> None:
    files = [("pay.md", f"# Pay\n\n{PAY}\n".encode()), ("menu.md", b"Soup on Thursdays.")]
    said = talk.say("anna", "What is this?", endpoint=OUTSIDE, attachments=files)
    assert said.answer.model == "insjo-chat/recorded-local"
    assert said.kept()[0].provenance.label.text() == "confidential · salary"
    labels = [event.label.text() for event in said.events if isinstance(event, ToolReturned) and event.label]
    assert labels == ["confidential · salary", "internal"]
    assert talk.say("anna", "Thanks", said.id).answer.model == "insjo-chat/recorded-local"
    assert not talk.outside.requests


def test_a_file_alone_is_a_question(talk: Talk) -> None:
    said = talk.say("anna", "", endpoint="insjo-chat", attachments=[("note.md", b"The milk is in the refrigerator of the second kitchen.")])
    assert "What is this about?" in sent(talk)[-1]["content"]
    assert said.kept()[0].text == ""
    assert said.conversation.title == "note.md"


def test_of_a_long_file_the_parts_that_fit_the_question_are_sent(talk: Talk) -> None:
    paragraphs = [f"Paragraph {number} tells of nothing in particular, at some length, and then goes on." for number in range(900)]
    paragraphs[700] = "The harbour master of Visby is called Torborg Engelbrektsdotter."
    content = "\n\n".join(paragraphs).encode()
    said = talk.say("anna", "Who is the harbour master?", endpoint="insjo-chat", attachments=[("long.txt", content)])
    question = sent(talk)[-1]["content"]
    assert "Torborg" in question
    assert len(question) < 12_000
    assert any("Only parts of `long.txt`" in text for text in said.answer.notices)


def test_a_file_that_cannot_be_read_loses_no_message(talk: Talk) -> None:
    said = talk.say("anna", "What is this?", endpoint="insjo-chat", attachments=[("broken.pdf", b"%PDF-1.7 and then nothing")])
    assert said.failure.code == "DOCUMENT_UNREADABLE"
    asked, answered = said.kept()
    assert (asked.text, asked.files) == ("What is this?", ("broken.pdf",))
    assert "`broken.pdf`" in answered.notices[0]
    assert not talk.inside.requests


@pytest.mark.parametrize(
    "files",
    [
        [("table.xlsx", b"x")],
        [("noend", b"x")],
        [("", b"x")],
        [("empty.md", b"")],
        [("big.md", b"x" * 50_000_001)],
        [("a.md", b"x")] * 11,
    ],
)
def test_files_beyond_the_limits_are_refused_at_once(talk: Talk, files: list[tuple[str, bytes]]) -> None:
    before = len(talk.conversations.list(talk.person("anna"), PageRequest()).items)
    with pytest.raises(AttachmentInvalid):
        talk.say("anna", "Read", attachments=files)
    assert len(talk.conversations.list(talk.person("anna"), PageRequest()).items) == before


# ------------------------------------------------------------------------------------------------------------ documents and agents


@pytest.fixture(scope="module")
def library(opened: Talk) -> Talk:
    """An index over one document."""
    found = opened.library
    found.write("rules.md", b"# Hotels\n\nA hotel in Stockholm may cost 1450 kronor a night, and not one krona more.\n")
    found.room.indexes.create(found.admin, "main.docs.handbook", sources=("/Volumes/main/docs/files",))
    found.build()
    found.reader("anna", "main.docs.files")
    return opened


def test_documents_answer_with_sources(library: Talk, talk: Talk) -> None:
    talk.inside.script.append(Script(text="At most 1450 kronor [1]."))
    said = talk.say("anna", "What may a hotel in Stockholm cost a night?", indexes=["main.docs.handbook"])
    assert any(isinstance(event, Retrieved) and event.count for event in said.events)
    cited = [event.source for event in said.events if isinstance(event, Cited)]
    assert cited == list(said.answer.sources)
    assert cited[0].number == 1
    assert cited[0].href.startswith("/knowledge/main.docs.handbook/passages/")
    assert "1450 kronor" in said.answer.text
    assert said.conversation.index == "main.docs.handbook"
    assert said.kept()[1].sources == said.answer.sources
    again = talk.say("anna", "And elsewhere?", said.id)
    assert again.conversation.indexes == ("main.docs.handbook",)


def test_what_documents_gave_keeps_its_label(library: Talk, talk: Talk) -> None:
    found = library.library
    volume = found.lake.access.securables.find(SecurableKind.VOLUME, "main.docs.files")
    assert volume is not None
    found.lake.access.labels.set(found.admin, volume.id, Label(Level.CONFIDENTIAL))
    try:
        said = talk.say("anna", "What may a hotel in Stockholm cost a night?", indexes=["main.docs.handbook"], endpoint=OUTSIDE)
        assert said.answer.provenance.label.level is Level.CONFIDENTIAL
        after = talk.say("anna", "Say that again in other words.", said.id, endpoint=OUTSIDE)
        assert after.answer.model == "insjo-chat/recorded-local"
        assert not talk.outside.holds("1450")
    finally:
        found.lake.access.labels.clear(found.admin, volume.id)


def test_an_agent_answers_with_its_tools(talk: Talk) -> None:
    agent = _agent(talk)
    label = Label(Level.CONFIDENTIAL, frozenset({"salary"}))
    route = Route("insjo-chat", "recorded-local", "insjo-chat", "direct", "", label)
    talk.agents.events = [
        ToolCalled("sql", "SELECT 42"),
        ToolReturned("sql", "1 row", label),
        Delta("It is 42 [1]."),
        Finished(
            "It is 42 [1].",
            Provenance(label, (Origin("main.hr.pay", 3, "salary", None),)),
            (Source(1, "Pay", "main.hr.pay", "/catalog/main/hr/pay"),),
            sql="SELECT 42",
            route=route,
        ),
    ]
    said = talk.say("anna", "How much?", agent=agent)
    assert said.answer.sql == "SELECT 42"
    assert said.answer.model == "recorded-local"
    assert said.answer.provenance.label == label
    assert Origin("main.hr.pay", 3, "salary", None) in said.kept()[1].provenance.origins
    assert said.conversation.agent == agent
    talk.say("anna", "And more?", said.id)
    name, question, history = talk.agents.asked[-1]
    assert (name, question) == (agent, "And more?")
    assert [(each.role, each.text, each.provenance.label.level) for each in history] == [
        ("user", "How much?", Level.INTERNAL),
        ("assistant", "It is 42 [1].", Level.CONFIDENTIAL),
    ]
    # The figure leaves by no other door either.
    after = talk.say("anna", "Repeat it.", said.id, endpoint=OUTSIDE)
    assert after.answer.model == "insjo-chat/recorded-local"
    assert not talk.outside.requests


def test_a_stopped_agent_labels_what_came_by_its_tools(talk: Talk) -> None:
    label = Label(Level.SECRET)
    talk.agents.events, talk.agents.hang = [ToolCalled("sql"), ToolReturned("sql", "1 row", label), Delta("It is")], True
    events = talk.events("anna", "How much?", agent=_agent(talk), until=lambda event: isinstance(event, Delta))
    said = Said(talk, talk.person("anna"), events)
    assert said.kept()[1].text == "It is"
    assert said.kept()[1].provenance.label == label


def _agent(talk: Talk) -> str:
    """An agent that Anna may use."""
    access, name = talk.library.lake.access, "main.docs.clerk"
    if access.securables.find(SecurableKind.AGENT, name) is None:
        schema = access.securables.find(SecurableKind.SCHEMA, "main.docs")
        assert schema is not None
        access.securables.register(talk.admin, SecurableKind.AGENT, name, schema.id)
    talk.library.grant("anna", SecurableKind.CATALOG, "main", Privilege.USE_CATALOG)
    talk.library.grant("anna", SecurableKind.SCHEMA, "main.docs", Privilege.USE_SCHEMA)
    talk.library.grant("anna", SecurableKind.AGENT, name, Privilege.EXECUTE)
    return name
