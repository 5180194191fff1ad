"""Row filters, masks, tags and policies in statements."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlglot import exp

from insjo.access.protection import Argument, Protection, RowFilter
from insjo.access.types import Label, Level, SecurableKind
from insjo.catalog.types import Column
from insjo.sql.binding.folding import fold, truth
from insjo.sql.binding.functions import parsed_body
from insjo.sql.binding.guards import TRY, Guards
from insjo.sql.dialect.session import SessionFacts
from tests.support.desk import Desk

pytestmark = pytest.mark.slow

PEOPLE = (
    "CREATE TABLE people (id INT, name STRING, pay INT, region STRING)",
    "INSERT INTO people VALUES (1, 'anna', 10, 'north'), (2, 'bo', 20, 'south'), (3, 'hidden', 30, 'secret')",
    "CREATE TABLE seen (who STRING, region STRING)",
    "INSERT INTO seen VALUES ('ulla', 'north'), ('ulla', 'south')",
    """CREATE FUNCTION may_see(place STRING) RETURNS BOOLEAN RETURN
       is_account_group_member('admins') OR EXISTS (SELECT 1 FROM seen s WHERE s.who = current_user() AND s.region = place)""",
    "CREATE FUNCTION hide(v INT) RETURNS INT RETURN CASE WHEN is_account_group_member('payroll') THEN v ELSE NULL END",
    "CREATE FUNCTION stars(v STRING, other STRING) RETURNS STRING RETURN concat(left(v, 1), '*', other)",
    "GRANT USE CATALOG ON CATALOG main TO ulla",
    "GRANT USE SCHEMA ON SCHEMA desk TO ulla",
    "GRANT SELECT, MODIFY ON TABLE people TO ulla",
)


@pytest.fixture
def ulla(desk: Desk) -> Desk:
    """Somebody who may read and change `people`, and neither sees the functions nor the table `seen`."""
    desk.lake.person("ulla")
    for text in PEOPLE:
        desk.run(text)
    return desk.as_("ulla")


def test_a_filter_reads_its_tables_with_the_rights_of_the_functions_owner(desk: Desk, ulla: Desk) -> None:
    desk.run("ALTER TABLE people SET ROW FILTER may_see ON (region)")
    assert ulla.rows("SELECT id FROM people ORDER BY id") == [(1,), (2,)]
    assert desk.value("SELECT count(*) FROM people") == 3
    assert (
        ulla.error("SELECT * FROM seen").code == "PERMISSION_DENIED" or ulla.error("SELECT * FROM seen").code == "TABLE_OR_VIEW_NOT_FOUND"
    )
    desk.run("DELETE FROM seen WHERE region = 'south'")
    assert ulla.rows("SELECT id FROM people") == [(1,)]


def test_the_owner_of_the_table_is_no_exception(desk: Desk, ulla: Desk) -> None:
    desk.run("CREATE FUNCTION nobody(v INT) RETURNS BOOLEAN RETURN v < 0")
    desk.run("ALTER TABLE people SET ROW FILTER nobody ON (id)")
    assert desk.rows("SELECT * FROM people") == []
    desk.run("ALTER TABLE people DROP ROW FILTER")
    assert desk.value("SELECT count(*) FROM people") == 3


def test_a_change_holds_at_the_next_statement(desk: Desk, ulla: Desk) -> None:
    text = "SELECT count(*), max(pay) FROM people"
    assert ulla.rows(text) == ulla.rows(text) == [(3, 30)]
    desk.run("ALTER TABLE people ALTER COLUMN pay SET MASK hide")
    assert ulla.rows(text) == [(3, None)]
    admin = desk.lake.admin
    principals = desk.lake.access.principals
    payroll, inner = principals.create_group(admin, "payroll"), principals.create_group(admin, "inner")
    principals.add_member(admin, payroll.id, inner.id)
    principals.add_member(admin, inner.id, ulla.ctx.principal.id)
    assert ulla.rows(text) == [(3, 30)]
    principals.remove_member(admin, inner.id, ulla.ctx.principal.id)
    assert ulla.rows(text) == [(3, None)]
    desk.run("CREATE OR REPLACE FUNCTION hide(v INT) RETURNS INT RETURN -v")
    assert ulla.rows(text) == [(3, -10)]


def test_masks_stand_where_columns_are_compared_and_sorted(desk: Desk, ulla: Desk) -> None:
    desk.run("ALTER TABLE people ALTER COLUMN pay SET MASK hide")
    desk.run("ALTER TABLE people ALTER COLUMN name SET MASK stars USING COLUMNS (region)")
    assert ulla.rows("SELECT name FROM people WHERE id = 1") == [("a*north",)]
    assert ulla.rows("SELECT id FROM people WHERE pay = 30") == []
    assert ulla.rows("SELECT id FROM people WHERE name = 'hidden'") == []
    assert ulla.rows("SELECT count(*) FROM people p JOIN people q ON p.pay = q.pay") == [(0,)]
    assert ulla.rows("SELECT id FROM people ORDER BY pay DESC, id") == [(1,), (2,), (3,)]


def test_a_view_shows_its_reader_what_the_reader_may_see(desk: Desk, ulla: Desk) -> None:
    desk.run("ALTER TABLE people SET ROW FILTER may_see ON (region)")
    desk.run("CREATE VIEW everybody AS SELECT id, pay FROM people")
    desk.run("GRANT SELECT ON TABLE everybody TO ulla")
    assert ulla.rows("SELECT id FROM everybody ORDER BY id") == [(1,), (2,)]
    desk.run("CREATE FUNCTION counted() RETURNS BIGINT RETURN (SELECT count(*) FROM people)")
    desk.run("GRANT EXECUTE ON FUNCTION counted TO ulla")
    assert ulla.value("SELECT counted()") == 2
    assert desk.value("SELECT counted()") == 3


def test_no_condition_reaches_a_hidden_row(desk: Desk, ulla: Desk) -> None:
    desk.run("ALTER TABLE people SET ROW FILTER may_see ON (region)")
    for condition in ("1 / (id - 3) <= 1", "CASE WHEN id = 3 THEN raise_error(name) END IS NULL", "id + 2147483644 > 0"):
        assert len(ulla.rows(f"SELECT id FROM people WHERE {condition}")) == 2, condition
    assert ulla.rows("SELECT a FROM (SELECT id, 1 / (id - 3) AS a FROM people) WHERE a < 1 ORDER BY id") == [(-0.5,), (-1.0,)]


def test_the_words_of_an_error_in_a_filter_or_mask_show_no_value(desk: Desk, ulla: Desk) -> None:
    desk.run("CREATE FUNCTION clumsy(v STRING) RETURNS BOOLEAN RETURN CAST(v AS INT) > 0")
    desk.run("CREATE FUNCTION clumsy_mask(v STRING) RETURNS STRING RETURN CAST(CAST(v AS INT) AS STRING)")
    desk.run("ALTER TABLE people SET ROW FILTER clumsy ON (name)")
    assert ulla.rows("SELECT * FROM people") == []
    desk.run("ALTER TABLE people DROP ROW FILTER")
    desk.run("ALTER TABLE people ALTER COLUMN name SET MASK clumsy_mask")
    assert ulla.rows("SELECT DISTINCT name FROM people") == [(None,)]


def test_a_filter_that_reads_a_table_shows_no_value_in_an_error_either(desk: Desk, ulla: Desk) -> None:
    desk.run("CREATE TABLE numbers AS SELECT 'ulla' AS who, 12 AS n")
    desk.run(
        "CREATE FUNCTION listed(v STRING) RETURNS BOOLEAN RETURN EXISTS (SELECT 1 FROM numbers s WHERE s.who = current_user() "
        "AND s.n = CAST(v AS INT) + 1)",
    )
    desk.run("INSERT INTO people VALUES (4, '11', 1, 'north')")
    desk.run("ALTER TABLE people SET ROW FILTER listed ON (name)")
    assert ulla.rows("SELECT id FROM people") == [(4,)]
    assert (
        desk.error("CREATE FUNCTION marked(v STRING) RETURNS STRING RETURN concat(v, :p)", parameters={"p": "x"}).code
        == "UNSUPPORTED_FEATURE"
    )


def test_what_cannot_be_worked_out_shows_nothing_and_says_why_only_to_who_manages(desk: Desk, ulla: Desk) -> None:
    desk.run("CREATE FUNCTION listed(place STRING) RETURNS BOOLEAN RETURN place IN (SELECT s.region FROM seen s)")
    desk.run("ALTER TABLE people SET ROW FILTER listed ON (region)")
    desk.run("DROP TABLE seen")
    error = ulla.error("SELECT id FROM people")
    assert error.code == "ROW_COLUMN_ACCESS_UNUSABLE"
    assert "seen" not in str(error)
    assert "seen" in str(desk.error("SELECT id FROM people"))
    assert ulla.error("DELETE FROM people WHERE id = 1").code == "ROW_COLUMN_ACCESS_UNUSABLE"
    assert desk.error("DROP FUNCTION listed").code == "ROUTINE_IN_USE"


def test_an_older_version_without_the_column_shows_nothing(desk: Desk, ulla: Desk) -> None:
    desk.run("ALTER TABLE people ADD COLUMNS (open BOOLEAN)")
    desk.run("CREATE FUNCTION is_open(v BOOLEAN) RETURNS BOOLEAN RETURN v")
    desk.run("ALTER TABLE people SET ROW FILTER is_open ON (open)")
    assert ulla.rows("SELECT * FROM people") == []
    assert ulla.error("SELECT * FROM people VERSION AS OF 1").code == "ROW_COLUMN_ACCESS_UNUSABLE"


def test_a_filter_that_reads_its_own_table_is_refused(desk: Desk, ulla: Desk) -> None:
    desk.run("CREATE FUNCTION loops(v INT) RETURNS BOOLEAN RETURN v IN (SELECT p.id FROM people p)")
    desk.run("ALTER TABLE people SET ROW FILTER loops ON (id)")
    assert ulla.error("SELECT * FROM people").code == "ROW_COLUMN_ACCESS_UNUSABLE"


def test_what_is_wrong_with_a_filter_is_said_when_it_is_set(desk: Desk, ulla: Desk) -> None:
    wrong = {
        "ALTER TABLE people SET ROW FILTER may_see ON (nope)": "UNRESOLVED_COLUMN",
        "ALTER TABLE people SET ROW FILTER may_see ON ()": "INVALID_ROUTINE_CALL",
        "ALTER TABLE people SET ROW FILTER stars ON (name, region)": "INVALID_ROUTINE_CALL",
        "ALTER TABLE people ALTER COLUMN pay SET MASK stars USING COLUMNS (name)": "INVALID_ROUTINE_CALL",
        "ALTER TABLE people SET ROW FILTER nothing ON (id)": "ROUTINE_NOT_FOUND",
        "ALTER TABLE people DROP ROW FILTER": "INVALID_PARAMETER_VALUE",
        "ALTER TABLE people ALTER COLUMN pay DROP MASK": "INVALID_PARAMETER_VALUE",
    }
    for text, code in wrong.items():
        assert desk.error(text).code == code, text
    desk.run("CREATE VIEW v AS SELECT * FROM people")
    assert "only tables" in desk.error("ALTER VIEW v SET ROW FILTER may_see ON (region)").message
    assert ulla.error("ALTER TABLE people SET ROW FILTER may_see ON (region)").code == "PERMISSION_DENIED"


def test_tables_are_made_with_what_protects_them(desk: Desk, ulla: Desk) -> None:
    desk.run("CREATE TABLE made (id INT, pay INT MASK hide, region STRING NOT NULL) WITH ROW FILTER may_see ON (region)")
    desk.run("INSERT INTO made VALUES (1, 5, 'north'), (2, 6, 'secret')")
    desk.run("CREATE TABLE copied WITH ROW FILTER may_see ON (region) AS SELECT * FROM people")
    desk.run("GRANT SELECT ON SCHEMA desk TO ulla")
    assert ulla.rows("SELECT * FROM made") == [(1, None, "north")]
    assert ulla.value("SELECT count(*) FROM copied") == 2
    assert desk.error("CREATE TABLE never (id INT) WITH ROW FILTER may_see ON (nope)").code == "UNRESOLVED_COLUMN"
    assert desk.error("SELECT * FROM never").code == "TABLE_OR_VIEW_NOT_FOUND"
    shown = desk.rows("SELECT table_name, filter_name, target_columns FROM information_schema.row_filters ORDER BY 1")
    assert shown == [("copied", "main.desk.may_see", "region"), ("made", "main.desk.may_see", "region")]
    assert desk.rows("SELECT column_name, mask_name FROM information_schema.column_masks") == [("pay", "main.desk.hide")]
    told = {name: value for name, value, _ in desk.rows("DESCRIBE EXTENDED made")}
    assert (told["Row Filter"], told["Column Mask"]) == ("main.desk.may_see ON (region)", "pay: main.desk.hide")
    assert "Row Filter" not in {name for name, _, _ in ulla.rows("DESCRIBE EXTENDED made")}


def test_a_masked_column_that_reads_as_a_constant_leaves_the_label(desk: Desk, ulla: Desk) -> None:
    table = desk.lake.access.securables.find(SecurableKind.TABLE, "main.desk.people")
    assert table
    desk.lake.access.labels.set(desk.ctx, table.id, Label(Level.SECRET), "pay")
    assert ulla.label("SELECT pay FROM people") == "secret"
    desk.run("ALTER TABLE people ALTER COLUMN pay SET MASK hide")
    assert ulla.label("SELECT pay FROM people WHERE pay IS NULL") == "internal"
    desk.run("CREATE OR REPLACE FUNCTION hide(v INT) RETURNS INT RETURN v % 10")
    assert ulla.label("SELECT pay FROM people") == "secret"
    desk.run("CREATE OR REPLACE FUNCTION may_see(place STRING) RETURNS BOOLEAN RETURN place <> 'secret'")
    desk.lake.access.labels.set(desk.ctx, table.id, Label(Level.CONFIDENTIAL), "region")
    desk.run("ALTER TABLE people SET ROW FILTER may_see ON (region)")
    assert ulla.label("SELECT id FROM people") == "confidential"


def test_policies_and_tags_in_sql(desk: Desk, ulla: Desk) -> None:
    desk.run("ALTER TABLE people ALTER COLUMN name SET TAGS ('pii' = 'name')")
    desk.run("SET TAG ON COLUMN people.region geo")
    desk.run("ALTER SCHEMA desk SET TAGS ('team' = 'hr')")
    desk.run("CREATE FUNCTION gone(v STRING) RETURNS STRING RETURN '***'")
    desk.run("CREATE FUNCTION not_secret(v STRING) RETURNS BOOLEAN RETURN v <> 'secret'")
    desk.run("CREATE POLICY names ON CATALOG main COLUMN MASK gone TO `account users` EXCEPT admins FOR TABLES "
             "MATCH COLUMNS has_tag_value('pii', 'name') AS n ON COLUMN n")  # fmt: skip
    desk.run("CREATE POLICY places ON SCHEMA desk COMMENT 'c' ROW FILTER not_secret TO ulla FOR TABLES "
             "WHEN has_tag_value('team', 'hr') MATCH COLUMNS has_tag('geo') AS g USING COLUMNS (g)")  # fmt: skip
    assert ulla.rows("SELECT id, name FROM people ORDER BY id") == [(1, "***"), (2, "***")]
    assert desk.rows("SELECT id, name FROM people WHERE id = 3") == [(3, "hidden")]
    assert [row[0] for row in desk.rows("SHOW EFFECTIVE POLICIES ON TABLE people")] == ["names", "places"]
    assert dict(desk.rows("DESCRIBE POLICY places ON SCHEMA desk"))["Function"] == "main.desk.not_secret"
    assert ulla.error("SHOW POLICIES ON SCHEMA desk").code == "PERMISSION_DENIED"
    desk.run("ALTER SCHEMA desk UNSET TAGS ('team')")
    assert ulla.value("SELECT count(*) FROM people") == 3
    desk.run("UNSET TAG ON COLUMN people.name pii")
    assert ulla.value("SELECT name FROM people WHERE id = 3") == "hidden"
    desk.run("DROP POLICY places ON SCHEMA desk")
    assert desk.error("DROP POLICY places ON SCHEMA desk").code == "POLICY_DOES_NOT_EXIST"
    desk.run("DROP POLICY IF EXISTS places ON SCHEMA desk")
    assert desk.rows("SELECT column_name, tag_name FROM information_schema.column_tags") == [("region", "geo")]


def test_functions_are_rows_of_information_schema(desk: Desk, ulla: Desk) -> None:
    desk.run("GRANT EXECUTE ON FUNCTION stars TO ulla")
    (row,) = ulla.rows("SELECT routine_name, data_type, routine_definition, routine_owner FROM information_schema.routines")
    assert row == ("stars", "STRING", None, "admin")
    names = ulla.rows("SELECT parameter_name, full_data_type FROM information_schema.parameters ORDER BY ordinal_position")
    assert names == [("v", "string"), ("other", "string")]


def test_lineage_goes_through_views_ctas_insert_and_merge(desk: Desk, ulla: Desk) -> None:
    desk.run("CREATE VIEW shown AS SELECT id, upper(name) AS n FROM people")
    query = "WITH w AS (SELECT id AS k, pay * 2 AS p FROM people) SELECT w.k, w.p + 1 AS q, s.n FROM w JOIN shown s ON w.k = s.id"
    desk.run(f"CREATE TABLE made AS {query}")
    desk.run("INSERT INTO made (q, k) SELECT pay, id FROM people UNION ALL SELECT id, 0 FROM shown")
    desk.run("CREATE TABLE merged (id INT, name STRING)")
    desk.run("MERGE INTO merged USING (SELECT id, name FROM people) s ON merged.id = s.id WHEN NOT MATCHED THEN INSERT *")
    edges = desk.rows("SELECT source_table_name, target_table_name FROM system.access.table_lineage ORDER BY 1, 2")
    assert edges == [("people", "made"), ("people", "merged"), ("people", "shown"), ("shown", "made")]
    columns = set(
        desk.rows("SELECT source_table_name, source_column_name, target_table_name, target_column_name FROM system.access.column_lineage")
    )
    assert ("people", "pay", "made", "q") in columns
    assert ("shown", "id", "made", "q") in columns
    assert ("shown", "n", "made", "n") in columns
    assert ("people", "name", "shown", "n") in columns
    assert ("people", "name", "merged", "name") in columns
    assert ("people", "pay", "made", "k") not in columns
    desk.run("GRANT SELECT ON TABLE system.access.table_lineage TO ulla")
    desk.run("GRANT USE CATALOG ON CATALOG system TO ulla")
    desk.run("GRANT USE SCHEMA ON SCHEMA system.access TO ulla")
    assert ulla.rows("SELECT * FROM system.access.table_lineage") == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("is_account_group_member('a') OR x = 1", "TRUE"),
        ("is_account_group_member('b') OR x = 1", "x = 1"),
        ("NOT is_member('A') AND x = 1", "FALSE"),
        ("CASE WHEN is_member('b') THEN x WHEN current_user() = 'me' THEN '*' ELSE x END", "'*'"),
        ("CASE WHEN x THEN 1 WHEN is_member('a') THEN 2 ELSE 3 END", "CASE WHEN x THEN 1 ELSE 2 END"),
        ("CASE current_user() WHEN 'you' THEN x ELSE 0 END", "0"),
        ("IF(session_user() IN ('me', 'you'), x, y)", "x"),
        ("IF(is_member('b'), x, NULL)", "NULL"),
        ("is_member(x)", "IS_MEMBER(x)"),
        ("(SELECT count(*) FROM t WHERE u = current_user()) > 0", "(SELECT COUNT(*) FROM t WHERE u = 'me') > 0"),
    ],
)
def test_what_is_known_is_worked_out_before(text: str, shown: str) -> None:
    facts = SessionFacts("me", groups=frozenset({"a"}))
    assert fold(parsed_body(text), facts).sql(dialect="databricks").upper() == shown.upper()


@pytest.mark.parametrize(
    ("text", "tried"),
    [
        ("s <> 'x' AND (i BETWEEN 1 AND 5 OR s IN ('a', 'b'))", False),
        ("CASE WHEN b THEN concat(left(s, 1), '*') ELSE NULL END", False),
        ("upper(concat(s, i))", False),
        ("CAST(i AS STRING)", False),
        ("i = s", True),
        ("s = 5", True),
        ("s AND b", True),
        ("left(s, s)", True),
        ("CASE WHEN b THEN s ELSE 0 END", True),
        ("CASE s WHEN 1 THEN i END", True),
        ("CAST(s AS INT) > 1", True),
        ("i + 1 > 0", True),
        ("d = 5.5", True),
    ],
)
def test_what_may_fail_is_tried(text: str, tried: bool) -> None:
    columns = [Column("s", "string"), Column("i", "int"), Column("b", "boolean"), Column("d", "decimal(10,2)")]

    def apply(_: str, given: Sequence[tuple[exp.Expr, str]]) -> exp.Expr:
        body = exp.Paren(this=parsed_body(text))
        for column in list(body.find_all(exp.Column)):
            column.replace(given["sibd".index(column.name)][0].copy())
        return body

    protection = Protection((RowFilter("f", tuple(Argument(column=column.name) for column in columns)),))
    guard = Guards(columns, apply, SessionFacts("me")).build(protection, columns[:1], "rows")
    assert (TRY in guard.tree.sql().lower()) is tried


def test_null_is_not_true() -> None:
    assert truth(parsed_body("NULL")) is False
    assert truth(parsed_body("(TRUE)")) is True
    assert truth(parsed_body("x")) is None


def test_partitions_are_those_of_the_rows_that_are_seen(desk: Desk, ulla: Desk) -> None:
    desk.run("CREATE TABLE parts (id INT, region STRING) PARTITIONED BY (region)")
    desk.run("INSERT INTO parts VALUES (1, 'north'), (2, 'secret'), (3, NULL)")
    desk.run("GRANT SELECT, MODIFY ON TABLE parts TO ulla")
    assert ulla.rows("SHOW PARTITIONS parts") == [(None,), ("north",), ("secret",)]
    desk.run("ALTER TABLE parts SET ROW FILTER may_see ON (region)")
    assert ulla.rows("SHOW PARTITIONS parts") == [("north",)]
    assert desk.rows("SHOW PARTITIONS parts") == [(None,), ("north",), ("secret",)]
    ulla.run("INSERT INTO parts REPLACE USING (id) SELECT id, 'south' FROM VALUES (1), (2) AS v(id)")
    assert desk.rows("SELECT id, region FROM parts ORDER BY ALL") == [(1, "south"), (2, "secret"), (2, "south"), (3, None)]
    desk.run("ALTER TABLE parts DROP ROW FILTER")
    desk.run("ALTER TABLE parts ALTER COLUMN region SET MASK stars USING COLUMNS ('x')")
    assert ulla.rows("SHOW PARTITIONS parts") == [(None,), ("s*x",)]
