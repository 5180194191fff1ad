"""Agents: what they may use, whose rights count, and that they are never silently wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from insjo.access.errors import AccessDenied, SecurableNotFound
from insjo.access.types import UNLABELLED, Level, Privilege, Provenance, SecurableKind
from insjo.agents.errors import AgentExists, AgentInvalid
from insjo.agents.types import Agent, ChatEvent, Finished, Retrieved, ToolCalled, ToolReturned
from insjo.kernel.context import RequestContext
from insjo.retrieval.types import Turn
from insjo.testing.recorder import Script
from tests.support.house import House

TABLES = ("main.air.flights", "main.air.airlines")
EXAMPLES = (
    ("How many flights left from JFK?", "SELECT count(*) AS flights FROM main.air.flights WHERE origin = 'JFK'"),
    (
        "Which airline had the most flights?",
        (
            "SELECT a.name, count(*) AS flights FROM main.air.flights f JOIN main.air.airlines a ON f.carrier = a.carrier "
            "GROUP BY a.name ORDER BY flights DESC, a.name LIMIT 1"
        ),
    ),
)


def said(text: str) -> Script:
    """What the model elsewhere answers next."""
    return Script(text=text)


def collected(events: AsyncGenerator[ChatEvent, None]) -> list[ChatEvent]:
    """All events of a run."""

    async def collect() -> list[ChatEvent]:
        return [event async for event in events]

    return asyncio.run(collect())


def asked(house: House, ctx: RequestContext, name: str, question: str) -> Finished:
    """The last event of a run."""
    last = collected(house.room.agents.run(ctx, name, question))[-1]
    assert isinstance(last, Finished)
    return last


@pytest.fixture(scope="module")
def desk(house: House) -> Agent:
    """An agent on the flights and the travel rules."""
    return house.room.agents.create(
        house.admin,
        "main.air.desk",
        instructions="Answers questions about flights and travel rules.",
        tables=TABLES,
        indexes=("main.air.rules_index",),
        examples=EXAMPLES,
        comment="The flight desk",
    )


@pytest.fixture(scope="module")
def reader(house: House) -> RequestContext:
    return house.reader("rita")


def test_a_trusted_example_gives_its_figure_and_its_sql(house: House, desk: Agent, reader: RequestContext) -> None:
    events = collected(house.room.agents.run(reader, desk.full_name, "how many flights left from JFK"))
    called = next(event for event in events if isinstance(event, ToolCalled))
    assert called.sql == EXAMPLES[0][1]
    returned = next(event for event in events if isinstance(event, ToolReturned))
    assert returned.label is not None
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.text.startswith("**3**")
    assert finished.sql in finished.text
    assert finished.table is not None
    assert finished.table.rows == (("3",),)
    assert {origin.object for origin in finished.provenance.origins} >= {"main.air.flights"}


@pytest.mark.parametrize(
    ("question", "figure"),
    [
        ("How many flights left from LGA?", "**2**"),
        ("How many flights were there?", "**6**"),
        ("Hur många flygningar gick från JFK?", "**3**"),
        ("What is the average departure delay?", "**25.2**"),
        ("Vilken är den längsta sträckan?", "**2\N{NO-BREAK SPACE}475**"),
        ("How many flights had a departure delay of more than 20 minutes?", "**2**"),
        ("hur många flygningar var det i januari", "**2**"),
    ],
)
def test_plain_questions_are_answered_by_rules(house: House, desk: Agent, reader: RequestContext, question: str, figure: str) -> None:
    finished = asked(house, reader, desk.full_name, question)
    assert finished.text.startswith(figure), finished.text
    assert finished.worded_by == "rules"
    assert "```sql" in finished.text


def test_groups_come_as_a_table_with_a_sentence_that_says_what_was_done(house: House, desk: Agent, reader: RequestContext) -> None:
    finished = asked(house, reader, desk.full_name, "average departure delay per carrier")
    assert "| carrier | avg_dep_delay |" in finished.text
    assert "The average of `dep_delay` in `main.air.flights`, for each `carrier`." in finished.text


@pytest.mark.parametrize("question", ["How many flights were cancelled because of snow?", "Which pilot is the best?", "Hur mår du idag?"])
def test_what_is_not_understood_is_not_guessed(house: House, desk: Agent, reader: RequestContext, question: str) -> None:
    finished = asked(house, reader, desk.full_name, question)
    assert not finished.answered
    assert not finished.sql
    assert "JFK" in finished.text  # The nearest examples are offered.


def test_documents_answer_with_their_source(house: House, desk: Agent, reader: RequestContext) -> None:
    house.made.inside.script.append(said("At most 1,450 kronor a night [1]."))
    events = collected(house.room.agents.run(reader, desk.full_name, "What may a hotel cost in Stockholm?"))
    assert any(isinstance(event, Retrieved) for event in events)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.answered
    assert "1,450 kronor" in finished.text
    assert finished.sources[0].href.startswith("/knowledge/main.air.rules_index/passages/")


def test_a_question_that_only_exchanges_a_value_is_understood(house: House, desk: Agent, reader: RequestContext) -> None:
    before = Turn("user", "How many flights left from JFK?", Provenance(UNLABELLED))

    def follow(question: str) -> Finished:
        last = collected(house.room.agents.run(reader, desk.full_name, question, history=(before,)))[-1]
        assert isinstance(last, Finished)
        return last

    assert follow("and from LGA?").text.startswith("**2**")
    assert follow("Hur är det med EWR?").sql.endswith("origin = 'EWR'")
    assert not follow("and from LGA by night?").sql
    assert not follow("and to Atlanta?").sql


def test_an_agent_without_tools_is_a_model_with_instructions(house: House) -> None:
    agent = house.room.agents.create(house.admin, "main.air.parrot", instructions="Speak like a parrot.")
    house.made.inside.script.append(said("Squawk."))
    finished = asked(house, house.admin, agent.full_name, "Who are you?")
    assert finished.text == "Squawk."
    assert finished.worded_by == "model"
    assert house.made.inside.requests[-1].json()["messages"][0]["content"] == "Speak like a parrot."


def test_the_rights_are_those_of_the_person_who_asks(house: House, desk: Agent) -> None:
    stranger = house.person("sam")
    with pytest.raises(SecurableNotFound):
        asked(house, stranger, desk.full_name, "How many flights were there?")
    house.grant(SecurableKind.CATALOG, "main", "sam", Privilege.USE_CATALOG)
    house.grant(SecurableKind.SCHEMA, "main.air", "sam", Privilege.USE_SCHEMA)
    house.grant(SecurableKind.AGENT, desk.full_name, "sam", Privilege.EXECUTE)
    shown = house.room.agents.get(stranger, desk.full_name)
    assert shown.tables == shown.indexes == ()
    assert shown.examples == ()  # They would tell the names of tables.
    finished = asked(house, stranger, desk.full_name, "How many flights were there?")
    assert not finished.answered
    assert "main.air.flights" not in finished.text


def test_a_revoked_right_ends_the_next_answer(house: House, desk: Agent) -> None:
    ctx = house.reader("rolf")
    assert asked(house, ctx, desk.full_name, "How many flights were there?").answered
    house.revoke(SecurableKind.SCHEMA, "main.air", "rolf", Privilege.SELECT)
    assert not asked(house, ctx, desk.full_name, "How many flights were there?").answered
    house.revoke(SecurableKind.SCHEMA, "main.air", "rolf", Privilege.EXECUTE)
    with pytest.raises(SecurableNotFound):
        asked(house, ctx, desk.full_name, "How many flights were there?")


def test_the_label_of_the_rows_is_the_label_of_the_answer(house: House) -> None:
    agent = house.room.agents.create(house.admin, "main.hr.payroll", tables=("main.hr.pay",))
    finished = asked(house, house.admin, agent.full_name, "What is the average salary per department?")
    assert finished.answered, finished.text
    assert finished.provenance.label.level is Level.CONFIDENTIAL
    assert "salary" in finished.provenance.label.categories


def test_a_big_model_writes_a_statement_and_repairs_it(house: House) -> None:
    house.made.make_outside("writer")
    agent = house.room.agents.create(house.admin, "main.air.writer", endpoint="writer", tables=TABLES)
    house.made.outside.script.append(said("SELECT count(*) FROM main.air.flights WHERE destination = 'ATL'"))
    house.made.outside.script.append(said("```sql\nSELECT count(*) AS n FROM main.air.flights WHERE dest = 'ATL'\n```"))
    events = collected(house.room.agents.run(house.admin, agent.full_name, "How many times did somebody fly towards Atlanta?"))
    statements = [event.sql for event in events if isinstance(event, ToolCalled) and event.name == "sql"]
    assert len(statements) == 2
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.text.startswith("**2**")
    assert finished.worded_by == "model"
    assert finished.route is not None


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM main.hr.pay",
        "DROP TABLE main.air.flights",
        "SELECT * FROM main.air.flights WHERE carrier IN (SELECT name FROM main.hr.pay)",
        "SELECT * FROM read_files('/Volumes/main/air/rules/travel.md')",
    ],
)
def test_a_model_cannot_leave_the_tables_that_were_given(house: House, statement: str) -> None:
    name = f"main.air.fenced{abs(hash(statement))}"
    endpoint = f"fenced{abs(hash(statement))}"
    house.made.make_outside(endpoint)
    agent = house.room.agents.create(house.admin, name, endpoint=endpoint, tables=TABLES)
    for _ in range(3):
        house.made.outside.script.append(said(statement))
    finished = asked(house, house.admin, agent.full_name, "What is everybody's favourite colour of plane?")
    assert not finished.answered
    assert "Kanary" not in finished.text
    assert asked(house, house.admin, agent.full_name, "How many flights were there?").text.startswith("**6**")


def test_secret_words_in_a_question_are_rerouted(house: House) -> None:
    assert house.lake.sql.fingerprinting.wait_idle(60)
    house.made.make_outside("guarded", more=(house.made.local(),))
    agent = house.room.agents.create(house.admin, "main.air.guarded", endpoint="guarded", tables=TABLES)
    before = len(house.made.outside.requests)
    events = collected(
        house.room.agents.run(
            house.admin, agent.full_name, "Did Agneta Almqvist-Kanary, Birger Bergstrand-Kanary and Cecilia Dahlgren-Kanary fly?"
        )
    )
    assert len(house.made.outside.requests) == before
    assert isinstance(events[-1], Finished)
    assert not any("Kanary" in str(request.body) for request in house.made.outside.requests)


# --------------------------------------------------------------------------------------------------------------------- life


def test_an_agent_lives_and_ends(house: House) -> None:
    agents = house.room.agents
    made = agents.create(house.admin, "main.air.Short", instructions="For a while", tables=("MAIN.AIR.FLIGHTS",))
    assert made.full_name == "main.air.short"
    assert made.tables == ("main.air.flights",)
    assert made.endpoint == "insjo-chat"
    with pytest.raises(AgentExists):
        agents.create(house.admin, "main.air.short")
    changed = agents.update(house.admin, "main.air.short", comment="Shorter", tables=("main.air.airlines",))
    assert (changed.comment, changed.tables, changed.instructions) == ("Shorter", ("main.air.airlines",), "For a while")
    assert "main.air.short" in [each.full_name for each in agents.list(house.admin)]
    agents.delete(house.admin, "main.air.short")
    with pytest.raises(SecurableNotFound):
        agents.get(house.admin, "main.air.short")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("short", {}),
        ("main.air.x/y", {}),
        ("main.air.e1", {"examples": [("q", "DROP TABLE main.air.flights")]}),
        ("main.air.e2", {"examples": [("q", "SELECT * FROM main.hr.pay")], "tables": TABLES}),
        ("main.air.e3", {"examples": [("q", "SELEC 1")]}),
        ("main.air.e4", {"endpoint": "insjo-embed"}),
        ("main.air.e5", {"instructions": "x" * 20_001}),
    ],
)
def test_wrong_descriptions_are_refused(house: House, name: str, parts: dict[str, Any]) -> None:
    with pytest.raises(AgentInvalid):
        house.room.agents.create(house.admin, name, **parts)


def test_only_those_who_manage_it_change_an_agent(house: House, desk: Agent, reader: RequestContext) -> None:
    with pytest.raises(AccessDenied):
        house.room.agents.update(reader, desk.full_name, comment="mine")
    with pytest.raises(AccessDenied):
        house.room.agents.delete(reader, desk.full_name)
    with pytest.raises(AccessDenied):
        house.room.agents.create(reader, "main.air.mine")


def test_an_update_keeps_what_the_caller_cannot_see(house: House) -> None:
    agents = house.room.agents
    agents.create(house.admin, "main.air.shared", tables=("main.air.flights", "main.hr.pay"))
    ctx = house.reader("mona")
    house.grant(SecurableKind.AGENT, "main.air.shared", "mona", Privilege.MANAGE)
    assert agents.update(ctx, "main.air.shared", comment="hers").tables == ("main.air.flights",)
    assert set(agents.get(house.admin, "main.air.shared").tables) == {"main.air.flights", "main.hr.pay"}


def test_agents_of_a_dropped_schema_are_swept(house: House) -> None:
    house.lake.must("CREATE SCHEMA main.gone")
    house.room.agents.create(house.admin, "main.gone.agent")
    house.lake.must("DROP SCHEMA main.gone CASCADE")
    assert house.room.agents.sweep() == 1
    assert house.room.agents.sweep() == 0
