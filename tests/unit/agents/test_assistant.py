"""The assistant: useful without a model, bound by rights, and changing nothing that was not confirmed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from insjo.access.errors import AccessDenied
from insjo.access.types import AuditFilter, Privilege, SecurableKind
from insjo.agents.errors import ActionNotFound, MessageInvalid
from insjo.agents.types import Action, AssistantAnswer, AssistantQuestion, Done
from insjo.kernel.context import RequestContext
from insjo.kernel.errors import InsjoError
from insjo.testing.recorder import Script
from tests.support.access import Turnable
from tests.support.house import House


def ask(house: House, ctx: RequestContext, text: str, **context: object) -> AssistantAnswer:
    """What the assistant says."""
    return asyncio.run(house.room.assistant.ask(ctx, AssistantQuestion(text, context=context)))


def confirmable(answer: AssistantAnswer) -> Action:
    """The only action that waits for a confirmation."""
    (action,) = [each for each in answer.actions if each.kind == "confirm"]
    return action


# ---------------------------------------------------------------------------------------------------------------------- ways


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("upload a csv", "/ingest"),
        ("skapa en graf", "/dashboards"),
        ("my api key leaked", "/settings/tokens"),
        ("vem har läst lönerna", "/admin/audit"),
    ],
)
def test_the_page_is_named_and_linked(house: House, question: str, page: str) -> None:
    answer = ask(house, house.admin, question)
    assert answer.page is not None
    assert answer.page.path == page
    assert page in [action.href for action in answer.actions]
    assert not answer.used_model


def test_a_page_that_is_not_there_yet_is_said_to_be_missing(house: House) -> None:
    assert "does not have that page yet" in ask(house, house.admin, "fine-tune a model").text


def test_the_documentation_is_quoted_with_its_page(house: House) -> None:
    answer = ask(house, house.admin, "How do I share a table?")
    assert answer.text.startswith("The documentation says:\n\n> ")
    assert answer.sources[0].href == "/docs/how-to/share-a-table"
    swedish = ask(house, house.admin, "Hur delar jag en tabell?")
    assert swedish.text.startswith("Dokumentationen")
    assert swedish.sources[0].href == "/docs/how-to/share-a-table"


def test_a_word_of_the_glossary_is_explained(house: House) -> None:
    assert "What a destination may receive" in ask(house, house.admin, "What is a clearance?").text


def test_tables_are_found_by_what_they_hold_and_only_if_one_may_see_them(house: House) -> None:
    answer = ask(house, house.admin, "Where is the table with salaries?")
    assert "main.hr.pay" in answer.text
    assert answer.actions[0].href == "/catalog/main/hr/pay"
    reader = house.reader("tora")
    assert "pay" not in ask(house, reader, "Where is the table with salaries?").text
    assert "main.air.flights" in ask(house, reader, "vilken tabell har flygningar och försening").text


def test_sql_is_written_but_not_run(house: House) -> None:
    answer = ask(house, house.admin, "average departure delay per carrier")
    assert "avg(dep_delay)" in answer.sql
    assert answer.page is not None
    assert answer.page.path == "/sql"
    assert answer.actions[0].href.startswith("/sql?statement=SELECT")
    stranger = house.person("nils")
    assert not ask(house, stranger, "average departure delay per carrier").sql


def test_a_big_model_writes_sql_that_was_explained_before_it_is_shown(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.made.make_outside("bigger")
    monkeypatch.setattr("insjo.agents.service.assistant.CHAT_ENDPOINT", "bigger")
    script = house.made.outside.script
    script.append(Script(text="SELECT count(*) FROM main.air.flights WHERE destination = 'ATL'"))
    script.append(Script(text="SELECT count(*) FROM main.air.flights WHERE dest = 'ATL'"))
    answer = ask(house, house.admin, "how many flights touched down in Atlanta")
    assert answer.used_model
    assert answer.sql.endswith("dest = 'ATL'")
    assert "destination" in house.made.outside.requests[-1].body.decode()  # The model was told what was wrong.
    for _ in range(3):
        script.append(Script(text="SELECT * FROM main.hr.pay"))
    reader = house.reader("ylva")
    house.grant(SecurableKind.ENDPOINT, "bigger", "ylva", Privilege.EXECUTE)
    assert not ask(house, reader, "how many flights touched down in Atlanta").sql
    script.clear()


def test_the_documentation_in_a_bigger_models_words(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.made.make_outside("worder")
    monkeypatch.setattr("insjo.agents.service.assistant.CHAT_ENDPOINT", "worder")
    house.made.outside.script.append(Script(text="Ge SELECT på tabellen."))
    answer = ask(house, house.admin, "Hur delar jag en tabell?")
    assert answer.used_model
    assert answer.text.startswith("Ge SELECT på tabellen.")
    house.made.outside.script.append(Script(text="NOT IN THE PASSAGES"))
    assert not ask(house, house.admin, "Hur delar jag en tabell?").used_model


def test_the_table_on_the_page_is_asked_first(house: House) -> None:
    answer = ask(house, house.admin, "how many rows", table="main.air.airlines")
    assert "FROM main.air.airlines" in answer.sql


def test_an_error_on_the_page_is_explained(house: House) -> None:
    error = {"code": "TABLE_OR_VIEW_NOT_FOUND", "message": "The table or view `a.b.c` does not exist.", "hint": "Did you mean `a.b.d`?"}
    answer = ask(house, house.admin, "Why does this fail?", error=error)
    assert "`a.b.c`" in answer.text
    assert "No such table or view" in answer.text
    assert "Did you mean `a.b.d`?" in answer.text
    told = ask(house, house.admin, "förklara felet", error="DIVIDE_BY_ZERO: Division by zero.")
    assert "try_divide" in told.text


def test_an_error_code_in_the_question_is_explained(house: House) -> None:
    assert "clearance" in ask(house, house.admin, "what does FLOW_BLOCKED mean").text


def test_an_empty_question_is_refused(house: House) -> None:
    for text in ("", "   ", "x" * 4001):
        with pytest.raises(MessageInvalid):
            ask(house, house.admin, text)


# ------------------------------------------------------------------------------------------------------------------- actions


def test_nothing_happens_before_the_confirmation_and_it_works_once(house: House) -> None:
    action = confirmable(ask(house, house.admin, "create a schema called main.offered"))
    assert action.describes == "Creates the schema `main.offered`. You become its owner."
    assert house.made.access.securables.find(SecurableKind.SCHEMA, "main.offered") is None
    done = house.room.assistant.confirm(house.admin, action.id)
    assert done.href == "/catalog/main/offered"
    assert house.made.access.securables.find(SecurableKind.SCHEMA, "main.offered") is not None
    with pytest.raises(ActionNotFound):
        house.room.assistant.confirm(house.admin, action.id)


def test_an_action_belongs_to_whoever_it_was_offered_to(house: House) -> None:
    action = confirmable(ask(house, house.admin, "create a schema called main.mine"))
    with pytest.raises(ActionNotFound):
        house.room.assistant.confirm(house.reader("petra"), action.id)
    assert isinstance(house.room.assistant.confirm(house.admin, action.id), Done)


def test_an_action_expires(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Turnable()
    monkeypatch.setattr(house.room.actions, "_clock", clock)
    action = confirmable(ask(house, house.admin, "create a schema called main.late"))
    clock.turn(601)
    with pytest.raises(ActionNotFound):
        house.room.assistant.confirm(house.admin, action.id)


def test_two_confirmations_at_once_do_it_once(house: House) -> None:
    action = confirmable(ask(house, house.admin, "create a schema called main.twice"))
    outcomes: list[object] = []
    barrier = threading.Barrier(4)

    def confirm() -> None:
        barrier.wait()
        try:
            outcomes.append(house.room.assistant.confirm(house.admin, action.id))
        except InsjoError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=confirm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(each, Done) for each in outcomes) == 1
    assert sum(isinstance(each, ActionNotFound) for each in outcomes) == 3


def test_rights_are_asked_again_when_it_is_confirmed(house: House) -> None:
    ctx = house.reader("vera")
    house.grant(SecurableKind.CATALOG, "main", "vera", Privilege.CREATE_SCHEMA)
    action = confirmable(ask(house, ctx, "create a schema called main.veras"))
    house.revoke(SecurableKind.CATALOG, "main", "vera", Privilege.CREATE_SCHEMA)
    with pytest.raises(AccessDenied):
        house.room.assistant.confirm(ctx, action.id)
    assert house.made.access.securables.find(SecurableKind.SCHEMA, "main.veras") is None
    with pytest.raises(ActionNotFound):
        house.room.assistant.confirm(ctx, action.id)


def test_what_one_may_not_do_is_not_offered(house: House) -> None:
    ctx = house.reader("wilma")
    for text in ("drop table main.air.flights", "create a schema called main.wilmas", "grant select on table main.air.flights to wilma"):
        answer = ask(house, ctx, text)
        assert not [action for action in answer.actions if action.kind == "confirm"], text
        assert "You may not do that" in answer.text
    hidden = ask(house, ctx, "drop table main.hr.pay")
    assert "does not exist" in hidden.text


def test_a_token_is_made_and_shown_once(house: House) -> None:
    action = confirmable(ask(house, house.admin, "skapa en token till dbt som gäller i 30 dagar"))
    assert "`boss`" in action.describes
    assert "30 dagar" in action.describes
    done = house.room.assistant.confirm(house.admin, action.id)
    assert house.made.access.tokens.authenticate(done.secret).name == "boss"
    kept = house.made.access.tokens.list(house.admin).items
    assert "dbt" in [token.comment for token in kept]
    assert done.secret not in done.message


def test_a_grant_says_every_privilege_that_it_gives(house: House) -> None:
    ctx = house.person("xena")
    action = confirmable(ask(house, house.admin, "grant select on table main.air.airlines to xena"))
    for line in ("USE CATALOG on the catalog `main`", "USE SCHEMA on the schema `main.air`", "SELECT on the table `main.air.airlines`"):
        assert line in action.describes
    house.room.assistant.confirm(house.admin, action.id)
    assert house.lake.run(ctx, "SELECT count(*) FROM main.air.airlines").table.num_rows == 1
    back = confirmable(ask(house, house.admin, "revoke select on table main.air.airlines from xena"))
    assert "USE CATALOG" not in back.describes
    house.room.assistant.confirm(house.admin, back.id)
    with pytest.raises(InsjoError):
        house.lake.run(ctx, "SELECT count(*) FROM main.air.airlines")


def test_a_table_is_dropped_with_what_is_lost_said_before(house: House) -> None:
    house.lake.must("CREATE TABLE main.air.doomed AS SELECT 1 AS one UNION ALL SELECT 2")
    action = confirmable(ask(house, house.admin, "drop this table", table="main.air.doomed"))
    assert "2 rows, 1 columns" in action.describes
    assert "brings it back within seven days" in action.describes
    house.room.assistant.confirm(house.admin, action.id)
    assert house.made.access.securables.find(SecurableKind.TABLE, "main.air.doomed") is None
    house.lake.must("UNDROP TABLE main.air.doomed")
    assert house.lake.run(house.admin, "SELECT one FROM main.air.doomed").table.num_rows == 2


def test_confirmations_are_in_the_audit(house: House) -> None:
    action = confirmable(ask(house, house.admin, "create a volume main.air.box"))
    house.room.assistant.confirm(house.admin, action.id)
    rows = house.made.access.audit.search(house.admin, AuditFilter(action="assistant.confirm")).items
    assert rows[0].outcome == "changed"
    assert "main.air.box" in rows[0].reason
    assert rows[0].door == "assistant"


def test_what_is_missing_is_asked_for(house: House) -> None:
    answer = ask(house, house.admin, "skapa ett schema")
    assert not [action for action in answer.actions if action.kind == "confirm"]
    assert "det fullständiga namnet" in answer.text


def test_waiting_actions_are_limited(house: House) -> None:
    ctx = house.reader("yngve")
    first = confirmable(ask(house, ctx, "create a token for number 0"))
    for number in range(1, 52):
        confirmable(ask(house, ctx, f"create a token for number {number}"))
    with pytest.raises(ActionNotFound):
        house.room.assistant.confirm(ctx, first.id)
