"""The law through SQL: what somebody may not read might as well not be there, labels travel with the content, rights are live."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus

import pytest

from insjo.access.errors import SecurableNotFound
from insjo.access.types import Label, Level, Privilege, SecurableKind, join_all
from insjo.kernel.context import RequestContext
from insjo.kernel.errors import InsjoError
from insjo.sql.types import StatementSpec
from tests.support.law import TIMEOUT_S, LawLake, law_lake
from tests.support.models import chat

SHOWN = (
    "CREATE CATALOG main",
    "CREATE SCHEMA main.sales",
    "CREATE TABLE main.sales.orders AS SELECT id, 'order ' || id AS name, id * 1.5 AS price FROM (VALUES (1), (2), (3)) AS t(id)",
    "CREATE VOLUME main.sales.files",
    "GRANT USE CATALOG ON CATALOG main TO `uma`",
    "GRANT USE SCHEMA, CREATE TABLE ON SCHEMA main.sales TO `uma`",
    "GRANT SELECT ON TABLE main.sales.orders TO `uma`",
)
HIDDEN = (
    "CREATE TABLE main.sales.orders_secret AS SELECT 1 AS hidden_column",
    "CREATE VIEW main.sales.hidden_view AS SELECT * FROM main.sales.orders",
    "CREATE VOLUME main.sales.hidden_files",
    "CREATE SCHEMA main.hr",
    "CREATE TABLE main.hr.pay AS SELECT 'Anna' AS name, 45200 AS amount",
    "CREATE CATALOG vault",
    "CREATE SCHEMA vault.deep",
    "CREATE TABLE vault.deep.plans AS SELECT 'moon' AS target",
    "CREATE TABLE main.hr.copied AS SELECT * FROM main.sales.orders",
    "CREATE TABLE main.sales.dropped_secret TBLPROPERTIES (delta.enableChangeDataFeed = true) AS SELECT 1 AS hidden_column",
    "DROP TABLE main.sales.dropped_secret",
)
QUESTIONS = (
    "SHOW CATALOGS",
    "SHOW SCHEMAS IN main",
    "SHOW SCHEMAS IN vault",
    "SHOW TABLES IN main.sales",
    "SHOW TABLES IN main.hr",
    "SHOW VOLUMES IN main.sales",
    "SHOW VIEWS IN main.sales",
    "SHOW COLUMNS IN main.sales.orders",
    "SHOW COLUMNS IN main.hr.pay",
    "SHOW GRANTS ON TABLE main.sales.orders",
    "SHOW GRANTS ON TABLE main.hr.pay",
    "SHOW GRANTS ON SCHEMA main.hr",
    "SHOW CREATE TABLE main.hr.pay",
    "DESCRIBE TABLE main.sales.orders",
    "DESCRIBE TABLE main.sales.orders_secret",
    "DESCRIBE HISTORY main.hr.pay",
    "DESCRIBE SCHEMA main.hr",
    "DESCRIBE CATALOG vault",
    "USE CATALOG vault",
    "USE SCHEMA main.hr",
    "SELECT * FROM main.sales.orders ORDER BY id",
    "SELECT count(*) FROM main.sales.orders",
    "SELECT * FROM main.sales.orders_secret",
    "SELECT * FROM main.sales.orders_secre",
    "SELECT * FROM main.sales.order",
    "SELECT * FROM main.sales.hidden_view",
    "SELECT * FROM main.hr.pay",
    "SELECT * FROM main.hr.pax",
    "SELECT hidden_column FROM main.sales.orders_secret",
    "SELECT * FROM main.hr.pay VERSION AS OF 0",
    "SELECT * FROM main.sales.orders WHERE EXISTS (SELECT 1 FROM main.hr.pay WHERE amount > 40000)",
    "SELECT * FROM main.sales.orders o JOIN vault.deep.plans p ON o.name = p.target",
    "SELECT * FROM vault.deep.plans",
    "SELECT * FROM vaul.deep.plans",
    "SELECT catalog_name FROM system.information_schema.catalogs ORDER BY ALL",
    "SELECT catalog_name, schema_name FROM system.information_schema.schemata ORDER BY ALL",
    "SELECT table_catalog, table_schema, table_name, table_type FROM system.information_schema.tables ORDER BY ALL",
    "SELECT count(*) FROM system.information_schema.tables",
    "SELECT table_name, column_name FROM main.information_schema.columns ORDER BY ALL",
    "SELECT table_name FROM vault.information_schema.tables",
    "SELECT * FROM read_files('/Volumes/main/sales/hidden_files/x.csv', format => 'csv')",
    "SELECT * FROM read_files('/Volumes/vault/deep/files/x.csv', format => 'csv')",
    "LIST '/Volumes/main/sales/hidden_files'",
    "INSERT INTO main.hr.pay VALUES ('x', 1)",
    "UPDATE main.hr.pay SET amount = 0",
    "DELETE FROM main.sales.orders_secret",
    "DROP TABLE main.hr.pay",
    "DROP TABLE IF EXISTS main.hr.pay",
    "DROP SCHEMA main.hr CASCADE",
    "SHOW TABLES DROPPED IN main.sales",
    "SHOW TABLES DROPPED IN main.hr",
    "UNDROP TABLE main.sales.dropped_secret",
    "UNDROP TABLE main.hr.pay",
    "SELECT * FROM main.sales.dropped_secret",
    "SELECT * FROM table_changes('main.sales.dropped_secret', 0)",
    "SELECT * FROM table_changes('main.hr.pay', 0)",
    "EXECUTE IMMEDIATE 'SELECT name FROM main.hr.pay' INTO x",
    "DROP CATALOG vault CASCADE",
    "CREATE TABLE main.hr.mine AS SELECT 1 AS x",
    "CREATE VIEW main.sales.mine AS SELECT * FROM main.hr.pay",
    "CREATE SCHEMA vault.mine",
    "GRANT SELECT ON TABLE main.hr.pay TO `uma`",
    "REVOKE SELECT ON TABLE main.hr.pay FROM `uma`",
    "ALTER TABLE main.hr.pay ADD COLUMNS (x INT)",
    "SELECT * FROM system.access.audit",
    "SELECT * FROM system.ai.usage",
)


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LawLake, LawLake]]:
    """The whole lake, and one that never held what Uma may not read."""
    with law_lake(tmp_path_factory.mktemp("whole")) as whole, law_lake(tmp_path_factory.mktemp("part")) as part:
        for lake in (whole, part):
            lake.made.person("uma")
        whole.must(*SHOWN, *HIDDEN)
        part.must(*SHOWN)
        yield whole, part


@pytest.mark.parametrize("question", QUESTIONS)
def test_two_lakes_tell_the_same_to_somebody_who_may_read_only_what_both_hold(lakes: tuple[LawLake, LawLake], question: str) -> None:
    whole, part = (lake.told(lake.made.person("uma"), question) for lake in lakes)
    assert whole == part


def test_what_the_whole_lake_holds_is_still_there_afterwards(lakes: tuple[LawLake, LawLake]) -> None:
    whole, _ = lakes
    for table, rows in (("main.hr.pay", 1), ("vault.deep.plans", 1), ("main.sales.orders_secret", 1), ("main.sales.orders", 3)):
        assert whole.run(whole.made.admin, f"SELECT * FROM {table}").table.num_rows == rows


def test_completions_are_the_same_in_both_lakes(lakes: tuple[LawLake, LawLake]) -> None:
    whole, part = (lake.sql.completions(lake.made.person("uma"), "main", "sales") for lake in lakes)
    assert whole == part


@dataclass
class Labelled:
    """A lake with labels, an endpoint elsewhere, and somebody who may read all of it."""

    lake: LawLake
    reader: RequestContext
    token: str

    def table(self, name: str) -> str:
        """Identifier of a table."""
        found = self.lake.made.access.securables.find(SecurableKind.TABLE, name)
        assert found
        return found.id


SALARY = Label(Level.CONFIDENTIAL, frozenset({"salary"}), frozenset({"eu"}))
PERSONAL = Label(Level.CONFIDENTIAL, frozenset({"personal"}))
ROWS = [(f"knr-{number:04d}77{number:02d}a-{number:03d}", f"Given{number} Family{number}", 300_000 + number * 137) for number in range(40)]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Labelled]:
    with law_lake(tmp_path_factory.mktemp("labelled")) as lake:
        made = lake.made
        values = ", ".join(f"('{key}', '{name}', {amount}, {amount % 5})" for key, name, amount in ROWS)
        lake.must(
            "CREATE CATALOG main",
            "CREATE SCHEMA main.hr",
            f"CREATE TABLE main.hr.pay AS SELECT * FROM (VALUES {values}) AS t(id, name, amount, team)",
            "CREATE TABLE main.hr.teams AS SELECT * FROM (VALUES (0, 'north'), (1, 'south'), (2, 'east'), (3, 'west')) AS t(team, place)",
        )
        reader = made.person("rita")
        lake.must("GRANT USE CATALOG, USE SCHEMA, SELECT, CREATE TABLE ON CATALOG main TO `rita`")
        here = Labelled(lake, reader, made.token("rita"))
        labels = made.access.labels
        labels.set(made.admin, here.table("main.hr.pay"), PERSONAL, "id")
        labels.set(made.admin, here.table("main.hr.pay"), PERSONAL, "name")
        labels.set(made.admin, here.table("main.hr.pay"), SALARY, "amount")
        made.make_outside("routed", more=(made.local(),))
        made.grant("rita", "routed")
        lake.recognised()
        yield here


@pytest.mark.parametrize("columns", [list(each) for size in (1, 2, 3) for each in itertools.combinations(("id", "amount", "team"), size)])
@pytest.mark.parametrize(
    "shape",
    [
        "SELECT {columns} FROM main.hr.pay",
        "SELECT 1 FROM main.hr.pay WHERE ({columns}) IS NOT NULL",
        "SELECT count(*) FROM main.hr.pay GROUP BY {columns}",
        "SELECT place FROM main.hr.teams WHERE EXISTS (SELECT {columns} FROM main.hr.pay p WHERE p.team = teams.team)",
        "WITH w AS (SELECT {columns} FROM main.hr.pay) SELECT count(*) FROM w",
        "SELECT team FROM main.hr.pay ORDER BY {columns}",
    ],
)
def test_a_result_has_the_label_of_every_column_that_was_read(labelled: Labelled, columns: list[str], shape: str) -> None:
    if "IS NOT NULL" in shape:
        text = shape.replace("({columns}) IS NOT NULL", " AND ".join(f"{column} IS NOT NULL" for column in columns))
    else:
        text = shape.format(columns=", ".join(columns))
    own = {"id": PERSONAL, "amount": SALARY, "team": Label(Level.INTERNAL)}
    wanted = join_all(own[column] for column in columns)
    statement = labelled.lake.run(labelled.reader, text).statement
    assert statement.provenance.label.covers(wanted), statement.provenance.label.text()
    read = {origin.column for origin in statement.provenance.origins if origin.object.endswith("hr.pay")}
    assert set(columns) - {"team"} <= read, "columns with a label of their own are named"


def test_derived_tables_inherit_and_pasted_rows_of_them_are_recognised(labelled: Labelled) -> None:
    lake, made = labelled.lake, labelled.lake.made
    lake.run(labelled.reader, "CREATE TABLE main.hr.bonus AS SELECT upper(id) AS code, amount * 2 AS twice FROM main.hr.pay")
    effective = made.access.labels.effective_sets([labelled.table("main.hr.bonus")])[labelled.table("main.hr.bonus")]
    assert join_all([effective.of("code"), effective.of("twice")]).covers(PERSONAL.join(SALARY))
    lake.recognised()
    twice = [amount * 2 for _, _, amount in ROWS]
    pasted = "\n".join(str(number) for number in twice[:5])
    answer = chat(made.url, labelled.token, "routed", [{"role": "user", "content": f"Add these up:\n{pasted}"}])
    assert answer.headers["x-insjo-route"].startswith("rerouted")
    assert not any(made.outside.holds(str(number)) for number in twice)


def test_rows_of_a_labelled_table_never_reach_a_model_elsewhere(labelled: Labelled) -> None:
    lake, made = labelled.lake, labelled.lake.made
    made.outside.clear()
    rows = lake.run(labelled.reader, "SELECT id, name, amount FROM main.hr.pay ORDER BY id").table.to_pylist()
    for start in range(0, len(rows), 4):
        several = rows[start : start + 4]
        forms = [
            "\n".join(f"{row['id']};{row['name']};{row['amount']}" for row in several),
            ", ".join(str(row["name"]).upper() for row in several),
            str(several),
            "\t".join(str(row["id"]).removeprefix("knr-") for row in several),
        ]
        for form in forms:
            answer = chat(made.url, labelled.token, "routed", [{"role": "user", "content": f"Who are these people? {form}"}])
            assert answer.status == HTTPStatus.OK
            assert answer.headers["x-insjo-route"].startswith("rerouted"), form
    assert [name for key, name, _ in ROWS if made.outside.holds(name) or made.outside.holds(key)] == []
    free = chat(made.url, labelled.token, "routed", [{"role": "user", "content": "Which teams are there? north, south, east"}])
    assert free.headers["x-insjo-route"].startswith("direct")


def test_a_label_that_comes_later_holds_for_data_that_is_there(labelled: Labelled) -> None:
    lake, made = labelled.lake, labelled.lake.made
    lake.must("CREATE SCHEMA main.late", "CREATE TABLE main.late.codes AS SELECT 'late-5512a9-x77' AS code")
    message = [{"role": "user", "content": "What is late-5512a9-x77?"}]
    assert chat(made.url, labelled.token, "routed", message).headers["x-insjo-route"].startswith("direct")
    schema = made.access.securables.find(SecurableKind.SCHEMA, "main.late")
    assert schema
    made.access.labels.set(made.admin, schema.id, PERSONAL)
    lake.recognised()
    assert chat(made.url, labelled.token, "routed", message).headers["x-insjo-route"].startswith("rerouted")


def test_a_revoked_grant_ends_access_at_the_next_chunk(labelled: Labelled) -> None:
    lake = labelled.lake
    lake.must("CREATE TABLE main.hr.numbers AS SELECT id AS n FROM range(1000)")
    statements = lake.sql.statements
    statement = statements.submit(labelled.reader, StatementSpec("SELECT n FROM main.hr.numbers"))
    statement = statements.wait(labelled.reader, statement.id, TIMEOUT_S)
    assert statements.chunk(labelled.reader, statement.id, 0).row_count > 0
    lake.must("REVOKE SELECT ON CATALOG main FROM `rita`")
    try:
        with pytest.raises(InsjoError) as refused:
            statements.chunk(labelled.reader, statement.id, 0)
        assert refused.value.kind in {"NOT_FOUND", "PERMISSION_DENIED"}
        with pytest.raises(InsjoError):
            lake.run(labelled.reader, "SELECT n FROM main.hr.numbers")
    finally:
        lake.must("GRANT SELECT ON CATALOG main TO `rita`")
    assert statements.chunk(labelled.reader, statement.id, 0).row_count > 0


def test_another_persons_statement_does_not_exist(labelled: Labelled) -> None:
    statements = labelled.lake.sql.statements
    statement = statements.submit(labelled.reader, StatementSpec("SELECT 1"))
    statements.wait(labelled.reader, statement.id, TIMEOUT_S)
    stranger = labelled.lake.made.person("uma")
    for attempt in (statements.get, lambda ctx, each: statements.chunk(ctx, each, 0), statements.cancel, statements.close):
        with pytest.raises(InsjoError) as refused:
            attempt(stranger, statement.id)
        assert refused.value.kind == "NOT_FOUND"


def test_a_view_runs_with_the_rights_of_its_owner_and_keeps_the_label(labelled: Labelled) -> None:
    lake, made = labelled.lake, labelled.lake.made
    lake.must(
        "CREATE SCHEMA main.share", "CREATE VIEW main.share.teams_pay AS SELECT team, avg(amount) AS average FROM main.hr.pay GROUP BY team"
    )
    viewer = made.person("vera")
    lake.must("GRANT USE CATALOG ON CATALOG main TO `vera`", "GRANT USE SCHEMA, SELECT ON SCHEMA main.share TO `vera`")
    statement = lake.run(viewer, "SELECT * FROM main.share.teams_pay").statement
    assert statement.provenance.label.covers(SALARY)
    with pytest.raises(SecurableNotFound):
        lake.run(viewer, "SELECT * FROM main.hr.pay")
    assert not made.access.authority.decide(viewer, Privilege.SELECT, labelled.table("main.hr.pay")).visible
