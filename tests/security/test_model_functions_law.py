"""The law where SQL asks models: what somebody may not see is never sent for them, and what is sent carries the label of what it rests on.

Every value of the lake holds a token of its own, and two recorders keep every byte: one stands for a provider elsewhere, one for this
machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from insjo.access.types import Label, Level, SecurableKind
from insjo.kernel.context import RequestContext
from insjo.kernel.errors import InsjoError
from tests.support.law import LawLake, law_lake

REGIONS = ("north", "south")
COUNT = 12
SECRET = Label(Level.CONFIDENTIAL, frozenset({"health"}))
STEPS = 60


@dataclass
class Ward:
    """People of whom `uma` sees those of the north, without their diagnosis as it stands."""

    lake: LawLake
    uma: RequestContext
    owner: RequestContext

    def sent(self, token: str) -> bool:
        return self.lake.made.outside.holds(token) or self.lake.made.inside.holds(token)

    def attempt(self, ctx: RequestContext, text: str) -> str:
        """Code of the error, or nothing."""
        try:
            self.lake.run(ctx, text)
        except InsjoError as error:
            return error.code
        return ""


def name(number: int) -> str:
    return f"knr-{number:05d}n"


def diagnosis(number: int) -> str:
    return f"dia-{number:04d}77{number:02d}a-{number:03d}"


def note(number: int) -> str:
    return f"not-{number:05d}x"


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with law_lake(tmp_path_factory.mktemp("ward")) as lake:
        made = lake.made
        values = ", ".join(f"({at}, '{name(at)}', '{diagnosis(at)}', '{note(at)}', '{REGIONS[at % 2]}')" for at in range(COUNT))
        lake.must(
            "CREATE CATALOG main",
            "CREATE SCHEMA main.ward",
            f"CREATE TABLE main.ward.people AS SELECT * FROM (VALUES {values}) AS t(id, name, diagnosis, note, region)",
            f"CREATE TABLE main.ward.marked AS SELECT * FROM (VALUES {values}) AS t(id, name, diagnosis, note, region)",
            "CREATE FUNCTION main.ward.mine(r STRING) RETURNS BOOLEAN RETURN is_account_group_member('admins') OR r = 'north'",
            "CREATE FUNCTION main.ward.veil(v STRING) RETURNS STRING RETURN IF(is_account_group_member('admins'), v, 'veiled')",
            "ALTER TABLE main.ward.people SET ROW FILTER main.ward.mine ON (region)",
            "ALTER TABLE main.ward.people ALTER COLUMN diagnosis SET MASK main.ward.veil",
        )
        uma, owner = made.person("uma"), made.person("olof")
        lake.must(
            "GRANT USE CATALOG ON CATALOG main TO `uma`",
            "GRANT USE SCHEMA, CREATE TABLE ON SCHEMA main.ward TO `uma`",
            "GRANT SELECT ON TABLE main.ward.people TO `uma`",
            "GRANT SELECT ON TABLE main.ward.marked TO `uma`",
            "GRANT USE CATALOG, USE SCHEMA, SELECT, CREATE TABLE ON CATALOG main TO `olof`",
        )
        found = made.access.securables.find(SecurableKind.TABLE, "main.ward.marked")
        assert found
        made.access.labels.set(made.admin, found.id, SECRET, "diagnosis")
        made.make_outside("outside")
        made.make_outside("routed", more=(made.local(),))
        for endpoint in ("outside", "routed"):
            made.grant("uma", endpoint)
            made.grant("olof", endpoint)
        lake.recognised()
        yield Ward(lake, uma, owner)


@pytest.fixture(autouse=True)
def _forget(ward: Ward) -> None:
    ward.lake.made.outside.clear()
    ward.lake.made.inside.clear()


PLACES = (
    "SELECT id, ai_query('{e}', {v}) AS a FROM main.ward.people",
    "SELECT * FROM main.ward.people WHERE ai_query('{e}', {v}) LIKE '%a%'",
    "SELECT ai_classify({v}, array('a', 'b'), endpoint => '{e}') AS c, count(*) FROM main.ward.people GROUP BY c",
    "SELECT region, ai_summarize(concat_ws(' ', collect_list({v})), endpoint => '{e}') AS s FROM main.ward.people GROUP BY region",
    "WITH w AS (SELECT *, {v} AS x FROM main.ward.people) SELECT ai_gen(x, endpoint => '{e}') AS g FROM w ORDER BY id LIMIT 4",
    "CREATE OR REPLACE TABLE main.ward.made AS SELECT ai_translate({v}, 'sv', endpoint => '{e}') AS t FROM main.ward.people",
    "SELECT ai_similarity({v}, name) AS s FROM main.ward.people",
    "SELECT (SELECT max(ai_query('{e}', {v})) FROM main.ward.people) AS m",
    "SELECT ai_query('{e}', ai_query('{e}', {v}, failOnError => false).result) AS a FROM main.ward.people LIMIT 3",
)
VALUES = ("name", "diagnosis", "upper(diagnosis)", "concat(name, ':', diagnosis, region)", "to_json(struct(diagnosis, name))")


def test_masks_and_row_filters_hold_before_a_model_is_asked(ward: Ward) -> None:
    draw = random.Random(7)
    codes = {
        ward.attempt(ward.uma, draw.choice(PLACES).format(e=draw.choice(("outside", "routed")), v=draw.choice(VALUES)))
        for _ in range(STEPS)
    }
    assert "" in codes
    assert [at for at in range(COUNT) if ward.sent(diagnosis(at)) or ward.sent(diagnosis(at).upper())] == []
    assert [at for at in range(COUNT) if ward.sent(name(at)) and REGIONS[at % 2] != "north"] == []
    assert any(ward.sent(name(at)) for at in range(COUNT)), "what may be sent arrives"


def test_a_labelled_column_is_sent_to_cleared_models_only(ward: Ward) -> None:
    assert ward.attempt(ward.uma, "SELECT ai_query('outside', diagnosis) AS a FROM main.ward.marked") == "FLOW_BLOCKED"
    assert (
        ward.attempt(ward.uma, "SELECT ai_query('outside', note) AS a FROM main.ward.marked WHERE diagnosis LIKE 'dia%'") == "FLOW_BLOCKED"
    )
    assert ward.attempt(ward.uma, "SELECT ai_query('outside', max(note)) AS a FROM main.ward.marked GROUP BY diagnosis") == "FLOW_BLOCKED"
    blocked = "SELECT ai_query('outside', (SELECT max(diagnosis) FROM main.ward.marked)) AS a"
    assert ward.attempt(ward.uma, blocked) == "FLOW_BLOCKED"
    assert not ward.lake.made.outside.requests
    result = ward.lake.run(ward.uma, "SELECT ai_query('routed', diagnosis) AS a FROM main.ward.marked")
    assert not ward.lake.made.outside.requests
    assert ward.lake.made.inside.holds(diagnosis(1))
    assert result.statement.provenance.label.covers(SECRET)


def test_a_column_beside_the_question_is_no_part_of_it(ward: Ward) -> None:
    result = ward.lake.run(ward.uma, "SELECT diagnosis, ai_query('outside', name) AS a FROM main.ward.marked WHERE id < 3 ORDER BY id")
    assert result.table.column("a").to_pylist() == [f"Echo: {name(at)}" for at in range(3)]
    assert not any(ward.sent(diagnosis(at)) for at in range(COUNT))
    assert result.statement.provenance.label.covers(SECRET)


def test_answers_that_are_written_keep_the_label_of_what_was_asked(ward: Ward) -> None:
    made = ward.lake.made
    ward.lake.run(ward.uma, "CREATE TABLE main.ward.answers AS SELECT ai_query('routed', diagnosis) AS a FROM main.ward.marked")
    found = made.access.securables.find(SecurableKind.TABLE, "main.ward.answers")
    assert found
    assert made.access.labels.effective_sets([found.id])[found.id].of("a").covers(SECRET)
    assert ward.attempt(ward.uma, "SELECT ai_query('outside', a) AS b FROM main.ward.answers") == "FLOW_BLOCKED"
    nested = "SELECT ai_query('outside', ai_query('routed', diagnosis)) AS b FROM main.ward.marked"
    assert ward.attempt(ward.uma, nested) == "FLOW_BLOCKED"
    assert not made.outside.requests


def test_a_value_of_a_labelled_table_that_is_typed_is_recognised(ward: Ward) -> None:
    text = f"SELECT ai_query('outside', 'What is {diagnosis(1)} and {diagnosis(2)}?') AS a"
    assert ward.attempt(ward.uma, text) == "FLOW_BLOCKED"
    assert not ward.lake.made.outside.requests


def test_a_view_asks_as_its_reader_about_what_its_owner_reads(ward: Ward) -> None:
    ward.lake.run(ward.owner, "CREATE VIEW main.ward.asking AS SELECT id, ai_query('outside', note) AS a FROM main.ward.people")
    nora = ward.lake.made.person("nora")
    ward.lake.must(
        "GRANT USE CATALOG ON CATALOG main TO `nora`",
        "GRANT USE SCHEMA ON SCHEMA main.ward TO `nora`",
        "GRANT SELECT ON VIEW main.ward.asking TO `nora`",
    )
    assert ward.attempt(nora, "SELECT * FROM main.ward.asking") == "ENDPOINT_NOT_FOUND"
    assert not ward.lake.made.outside.requests
    ward.lake.made.grant("nora", "outside")
    assert ward.lake.run(nora, "SELECT * FROM main.ward.asking").table.num_rows == COUNT // 2
    assert not any(ward.sent(note(at)) for at in range(1, COUNT, 2)), "the filter of the table holds for the reader of the view"


def test_no_model_is_asked_by_what_protects_a_table(ward: Ward) -> None:
    ward.lake.must(
        "CREATE TABLE main.ward.guarded AS SELECT 'x' AS v",
        "CREATE FUNCTION main.ward.ask_all(v STRING) RETURNS STRING RETURN ai_query('outside', v)",
        "ALTER TABLE main.ward.guarded ALTER COLUMN v SET MASK main.ward.ask_all",
    )
    assert ward.attempt(ward.lake.made.admin, "SELECT v FROM main.ward.guarded") == "ROW_COLUMN_ACCESS_UNUSABLE"
    assert not ward.lake.made.outside.requests
