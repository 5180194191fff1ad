"""What somebody gets from the whole lake is what a lake without all that they may not read gives: rows, counts, lists, errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from insjo.access.types import Label, Level, SecurableKind
from insjo.kernel.errors import InsjoError
from tests.support.desk import Desk, open_desk, open_engine

SECRET = "hemlig7f3a9c"

HIDDEN = (
    "CREATE SCHEMA secret",
    "CREATE TABLE secret.pay (id INT, salary INT) COMMENT 'hemlig7f3a9c'",
    "INSERT INTO secret.pay VALUES (1, 100)",
    "ALTER TABLE secret.pay ALTER COLUMN id SET NOT NULL",
    "ALTER TABLE secret.pay ADD CONSTRAINT hemlig7f3a9c PRIMARY KEY (id)",
    "ALTER TABLE secret.pay ADD CONSTRAINT hemlig7f3a9c_check CHECK (salary > 0)",
    "CREATE TABLE secret.child (pay_id INT DEFAULT 7, CONSTRAINT hemlig7f3a9c_fk FOREIGN KEY (pay_id) REFERENCES secret.pay)",
    "CREATE TABLE orders_hemlig7f3a9c (id INT)",
    "CREATE TABLE peple (id INT)",
    "CREATE VIEW hidden_view AS SELECT * FROM secret.pay",
    "CREATE VOLUME hidden_files",
    "CREATE FUNCTION hidden_function(x INT) RETURNS INT RETURN x",
    "CREATE CATALOG hemlig7f3a9c",
    "GRANT SELECT ON TABLE secret.pay TO `admins`",
)
"""Made only in one of the two lakes; nothing of it may show."""

SEEN = (
    "CREATE TABLE people (id INT, name STRING, pay INT)",
    "INSERT INTO people VALUES (1, 'a', 10), (2, 'b', 20), (3, 'hemlig7f3a9c', 30)",
    "CREATE VIEW names AS SELECT id, name FROM people WHERE id < 3",
    "CREATE TABLE orders (id INT, amount INT)",
    "INSERT INTO orders VALUES (1, 5), (2, 6)",
    "CREATE FUNCTION plus(x INT) RETURNS INT RETURN x + 1",
    "CREATE FUNCTION count_people() RETURNS BIGINT RETURN (SELECT count(*) FROM people)",
    "GRANT USE CATALOG ON CATALOG main TO ulla",
    "GRANT USE SCHEMA ON SCHEMA desk TO ulla",
    "GRANT SELECT ON TABLE names TO ulla",
    "GRANT SELECT, MODIFY ON TABLE orders TO ulla",
    "GRANT EXECUTE ON FUNCTION plus TO ulla",
    "GRANT EXECUTE ON FUNCTION count_people TO ulla",
    "GRANT READ VOLUME ON VOLUME files TO ulla",
)
"""Made in both; of `people` ulla sees what `names` shows, no more."""

ASKED = (
    "SHOW CATALOGS",
    "SHOW SCHEMAS IN main",
    "SHOW TABLES",
    "SHOW TABLES IN main.desk",
    "SHOW TABLES IN main.secret",
    "SHOW TABLES IN ALL CATALOGS",
    "SHOW TABLE EXTENDED IN main.desk LIKE '*'",
    "SHOW TABLE EXTENDED IN main.secret LIKE '*'",
    "SHOW KEYS IN CATALOG main",
    "SHOW FOREIGN KEYS IN CATALOG main",
    "SHOW CREATE TABLE orders",
    "SHOW CREATE TABLE secret.pay",
    "SELECT * FROM main.information_schema.table_constraints",
    "SELECT * FROM system.information_schema.key_column_usage",
    "SELECT * FROM system.information_schema.referential_constraints",
    "SELECT * FROM main.information_schema.constraint_column_usage",
    "SELECT * FROM main.information_schema.constraint_table_usage",
    "ALTER TABLE orders ADD CONSTRAINT c CHECK (id IN (SELECT id FROM secret.pay))",
    "ALTER TABLE orders ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES secret.pay",
    "ALTER TABLE orders ALTER COLUMN id SET DEFAULT (SELECT max(id) FROM secret.pay)",
    "ALTER TABLE secret.pay ADD CONSTRAINT c CHECK (id > 1)",
    "ALTER TABLE secret.pay DROP CONSTRAINT hemlig7f3a9c",
    "ALTER TABLE secret.pay DROP COLUMN salary",
    "ALTER TABLE secret.pay RENAME COLUMN salary TO s",
    "ALTER TABLE secret.pay ALTER COLUMN salary TYPE BIGINT",
    "ALTER TABLE secret.pay CLUSTER BY (id)",
    "VACUUM secret.pay DRY RUN",
    "OPTIMIZE secret.pay ZORDER BY (id)",
    "INSERT INTO secret.pay REPLACE USING (id) SELECT 1, 2",
    "INSERT INTO orders REPLACE USING (id) SELECT id, salary FROM secret.pay",
    "INSERT WITH SCHEMA EVOLUTION INTO orders BY NAME SELECT id, salary FROM secret.pay",
    "MERGE WITH SCHEMA EVOLUTION INTO orders o USING secret.pay p ON o.id = p.id WHEN MATCHED THEN UPDATE SET *",
    "CREATE TABLE k SHALLOW CLONE secret.pay",
    "SHOW TABLES IN CATALOG main",
    "SHOW COLUMNS IN CATALOG main",
    "SHOW VIEWS",
    "SHOW VOLUMES",
    "SHOW USER FUNCTIONS",
    "SHOW GRANTS ON TABLE names",
    "SHOW GRANTS ON TABLE secret.pay",
    "SHOW GRANTS ON SCHEMA secret",
    "SHOW CREATE TABLE secret.pay",
    "SHOW CREATE TABLE names",
    "SHOW TBLPROPERTIES secret.pay",
    "SHOW PARTITIONS secret.pay",
    "SHOW COLUMNS IN secret.pay",
    "DESCRIBE secret.pay",
    "DESCRIBE SCHEMA secret",
    "DESCRIBE CATALOG hemlig7f3a9c",
    "DESCRIBE HISTORY secret.pay",
    "DESCRIBE DETAIL secret.pay",
    "DESCRIBE VOLUME hidden_files",
    "DESCRIBE FUNCTION hidden_function",
    "DESCRIBE names",
    "DESCRIBE people",
    "USE CATALOG hemlig7f3a9c",
    "USE SCHEMA secret",
    "SELECT * FROM secret.pay",
    "SELECT * FROM secret.payy",
    "SELECT * FROM people",
    "SELECT * FROM peple",
    "SELECT * FROM peeple",
    "SELECT * FROM orders_hemlig7f3a9",
    "SELECT * FROM orderss",
    "SELECT * FROM hidden_view",
    "SELECT * FROM main.secret.pay VERSION AS OF 0",
    "SELECT * FROM names, secret.pay, nothing",
    "SELECT hidden_function(1)",
    "SELECT desk.hidden_function(1)",
    "SELECT plus(1), count_people()",
    "SELECT * FROM names ORDER BY id",
    "SELECT pay FROM names",
    "SELECT names.nme FROM names",
    "SELECT * FROM names WHERE CAST(name AS INT) > 0 OR id > 0",
    "SELECT count(*) FROM names WHERE id = 3",
    "SELECT id FROM names WHERE 1 / (id - 3) < 0 ORDER BY id",
    "EXPLAIN SELECT * FROM names",
    "SELECT * FROM information_schema.tables",
    "SELECT table_name FROM main.information_schema.tables ORDER BY 1",
    "SELECT table_name, column_name FROM main.information_schema.columns WHERE table_schema = 'desk' ORDER BY 1, 2",
    "SELECT table_name, view_definition FROM information_schema.views",
    "SELECT schema_name FROM information_schema.schemata ORDER BY 1",
    "SELECT catalog_name FROM system.information_schema.catalogs ORDER BY 1",
    "SELECT volume_name FROM information_schema.volumes ORDER BY 1",
    "SELECT grantee, privilege_type, table_name FROM information_schema.table_privileges ORDER BY 1, 2, 3",
    "SELECT * FROM hemlig7f3a9c.information_schema.tables",
    "SELECT * FROM system.query.history",
    "SELECT * FROM system.access.audit",
    "LIST '/Volumes/main/desk/hidden_files'",
    "LIST '/Volumes/main/desk/hiden_files'",
    "SELECT * FROM csv.`/Volumes/main/desk/hidden_files/a.csv`",
    "COPY INTO orders FROM '/Volumes/main/desk/hidden_files' FILEFORMAT = CSV",
    "COPY INTO people FROM '/Volumes/main/desk/files' FILEFORMAT = CSV",
    "INSERT INTO people VALUES (1, 'x', 1)",
    "INSERT INTO names VALUES (1, 'x')",
    "INSERT INTO secret.pay VALUES (1, 1)",
    "INSERT INTO orders SELECT id, salary FROM secret.pay",
    "UPDATE people SET pay = 1",
    "DELETE FROM secret.pay",
    "TRUNCATE TABLE secret.pay",
    "MERGE INTO secret.pay t USING names s ON t.id = s.id WHEN MATCHED THEN DELETE",
    "MERGE INTO orders t USING secret.pay s ON t.id = s.id WHEN MATCHED THEN DELETE",
    "CREATE TABLE stolen AS SELECT * FROM secret.pay",
    "CREATE TABLE stolen DEEP CLONE secret.pay",
    "CREATE TABLE stolen CLONE people",
    "CREATE TABLE stolen CLONE names",
    "EXECUTE IMMEDIATE 'SELECT * FROM secret.pay'",
    "EXECUTE IMMEDIATE 'SELECT id FROM names WHERE id = ?' USING 1",
    "CREATE VIEW stolen AS SELECT * FROM people",
    "CREATE TABLE secret.mine (id INT)",
    "CREATE SCHEMA hemlig7f3a9c.mine",
    "DROP TABLE secret.pay",
    "DROP TABLE IF EXISTS secret.pay",
    "DROP SCHEMA secret CASCADE",
    "DROP CATALOG hemlig7f3a9c",
    "DROP FUNCTION hidden_function",
    "DROP VOLUME hidden_files",
    "ALTER TABLE secret.pay RENAME TO mine",
    "ALTER TABLE secret.pay ADD COLUMNS (x INT)",
    "ALTER TABLE secret.pay OWNER TO ulla",
    "GRANT SELECT ON TABLE secret.pay TO ulla",
    "GRANT ALL PRIVILEGES ON CATALOG hemlig7f3a9c TO ulla",
    "REVOKE SELECT ON TABLE secret.pay FROM ulla",
    "COMMENT ON TABLE secret.pay IS 'x'",
    "RESTORE TABLE secret.pay TO VERSION AS OF 0",
    "OPTIMIZE secret.pay",
    "REFRESH TABLE secret.pay",
    "ANALYZE TABLE secret.pay COMPUTE STATISTICS",
)


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Desk]]:
    """The whole lake and the lake without what is hidden, both with ulla at the desk."""
    root = tmp_path_factory.mktemp("two")
    with open_engine(root) as engine, open_desk(root / "a", engine) as whole, open_desk(root / "b", engine) as rest:
        for desk in (whole, rest):
            desk.lake.person("ulla")
            for text in SEEN:
                desk.run(text)
        for text in HIDDEN:
            whole.run(text)
        pay = whole.lake.access.securables.find(SecurableKind.TABLE, "main.secret.pay")
        assert pay
        whole.lake.access.labels.set(whole.ctx, pay.id, Label(Level.SECRET, frozenset({SECRET})))
        yield whole.as_("ulla"), rest.as_("ulla")


def _seen(desk: Desk, text: str) -> tuple[object, ...]:
    """Everything that a statement tells its caller."""
    try:
        result = desk.run(text)
    except InsjoError as error:
        return ("error", error.code, error.message, error.hint, error.details)
    statement = result.statement
    origins = [origin.object for origin in statement.shown_origins]
    return ("rows", result.table.column_names, result.table.to_pylist(), statement.provenance.label.text(), origins)


@pytest.mark.parametrize("text", ASKED)
def test_the_hidden_part_of_the_lake_makes_no_difference(desks: tuple[Desk, Desk], text: str) -> None:
    whole, rest = desks
    told = _seen(whole, text)
    if "information_schema.tables" in text and "table_name" not in text:
        assert _without_times(told) == _without_times(_seen(rest, text))
    else:
        assert told == _seen(rest, text)
    if SECRET not in text:
        assert SECRET not in repr(told)


def _without_times(told: tuple[object, ...]) -> object:
    """The names of columns: the rows hold moments that differ."""
    return told[:2]


def test_the_history_and_the_results_of_others_do_not_exist(desks: tuple[Desk, Desk]) -> None:
    whole, rest = desks
    for desk in desks:
        assert {entry.user_name for entry in desk.room.history.list(desk.ctx).items} == {"ulla"}
    assert SECRET not in repr([entry.origins for entry in whole.room.history.list(whole.ctx).items])
    offered = whole.room.completions(whole.ctx)
    assert offered == rest.room.completions(rest.ctx)
    assert SECRET not in repr(offered)


def test_a_condition_on_a_view_is_not_worked_out_on_rows_that_it_hides(desks: tuple[Desk, Desk]) -> None:
    """The error of a cast shows the value: it must never be that of a hidden row."""
    whole, _ = desks
    for text in (
        "SELECT id FROM names WHERE CAST(name AS DATE) IS NOT NULL",
        "SELECT id FROM names WHERE 10 / (id - 3) > 100",
        "SELECT n.id FROM names n JOIN orders o ON CAST(n.name AS INT) = o.id",
    ):
        assert SECRET not in repr(_seen(whole, text)), text
    assert _seen(whole, "SELECT id FROM names WHERE 10 / (id - 3) > 100")[0] == "rows"


def test_nothing_changed_by_all_that_was_tried(desks: tuple[Desk, Desk], tmp_path: Path) -> None:
    whole, _ = desks
    admin = whole.lake.admin
    from dataclasses import replace

    desk = replace(whole, ctx=admin)
    assert desk.rows("SELECT * FROM secret.pay") == [(1, 100)]
    assert desk.value("SELECT count(*) FROM people") == 3
    assert desk.rows("SELECT id FROM orders ORDER BY id") == [(1,), (2,)]
