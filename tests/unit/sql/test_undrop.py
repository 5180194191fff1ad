"""Dropped tables: who sees them, and that one comes back as it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from insjo.access.types import Label, Level, SecurableKind
from insjo.catalog import store
from tests.support.desk import Desk


@pytest.fixture
def pay(desk: Desk) -> Desk:
    """A table with a label, a mask, a filter, grants, tags and a history, and somebody who may read it."""
    desk.lake.person("ulla")
    for text in (
        "CREATE TABLE pay (id INT, name STRING, amount INT DEFAULT 5) COMMENT 'who gets what' TBLPROPERTIES ('k' = 'v')",
        "INSERT INTO pay VALUES (1, 'anna', 10), (2, 'bo', 20), (3, 'eva', 30)",
        "DELETE FROM pay WHERE id = 3",
        "CREATE FUNCTION hide(v STRING) RETURNS STRING RETURN IF(is_account_group_member('admins'), v, '*')",
        "CREATE FUNCTION first(v INT) RETURNS BOOLEAN RETURN is_account_group_member('admins') OR v = 1",
        "ALTER TABLE pay ALTER COLUMN name SET MASK hide",
        "ALTER TABLE pay SET ROW FILTER first ON (id)",
        "ALTER TABLE pay SET TAGS ('team' = 'hr')",
        "GRANT USE CATALOG ON CATALOG main TO ulla",
        "GRANT USE SCHEMA ON SCHEMA desk TO ulla",
        "GRANT SELECT ON TABLE pay TO ulla",
    ):
        desk.run(text)
    table = desk.lake.access.securables.find(SecurableKind.TABLE, "main.desk.pay")
    assert table
    desk.lake.access.labels.set(desk.ctx, table.id, Label(Level.SECRET, frozenset({"salary"})), "amount")
    return desk


def test_a_table_comes_back_as_it_was(pay: Desk) -> None:
    ulla = pay.as_("ulla")
    questions = ("SELECT * FROM pay ORDER BY id", "SELECT * FROM pay VERSION AS OF 1 ORDER BY id", "SHOW TBLPROPERTIES pay",
                 "SHOW GRANTS ON TABLE pay", "SELECT * FROM information_schema.table_tags", "DESCRIBE TABLE pay")  # fmt: skip
    before = [[desk.rows(text) for text in questions] for desk in (pay, ulla)]
    labels = [desk.label("SELECT amount FROM pay") for desk in (pay, ulla)]
    assert labels[0] == "secret · salary"
    pay.run("DROP TABLE pay")
    for desk in (pay, ulla):
        assert desk.error("SELECT * FROM pay").code == "TABLE_OR_VIEW_NOT_FOUND"
        assert "pay" not in [row[1] for row in desk.rows("SHOW TABLES")]
        assert desk.rows("SELECT * FROM information_schema.tables WHERE table_name LIKE 'pay%'") == []
        assert desk.rows("SELECT * FROM information_schema.table_privileges WHERE table_name LIKE 'pay%'") == []
        assert desk.rows("SELECT * FROM information_schema.column_masks") == []
        assert desk.rows("SELECT * FROM information_schema.table_tags") == []
    pay.run("UNDROP TABLE pay")
    assert [[desk.rows(text) for text in questions] for desk in (pay, ulla)] == before
    assert [desk.label("SELECT amount FROM pay") for desk in (pay, ulla)] == labels
    pay.run("INSERT INTO pay (id, name) VALUES (4, 'new')")
    assert pay.value("SELECT amount FROM pay WHERE id = 4") == 5
    assert pay.rows("SHOW TABLES DROPPED") == []


def test_what_was_dropped_is_shown_to_those_who_manage_it(pay: Desk) -> None:
    pay.run("DROP TABLE pay")
    told = pay.run("SHOW TABLES DROPPED IN main.desk").table.to_pylist()
    assert [(row["tableName"], row["tableType"], row["comment"], row["owner"]) for row in told] == [
        ("pay", "MANAGED", "who gets what", pay.ctx.principal.name)
    ]
    ulla = pay.as_("ulla")
    assert ulla.rows("SHOW TABLES DROPPED IN main.desk") == []
    hidden, missing = ulla.error("UNDROP TABLE pay"), ulla.error("UNDROP TABLE pax")
    assert hidden.code == missing.code == "TABLE_OR_VIEW_NOT_FOUND"
    assert hidden.message.replace("pay", "pax") == missing.message
    by_id = ulla.error(f"UNDROP TABLE WITH ID '{told[0]['tableId']}'")
    assert by_id.message.replace(told[0]["tableId"], "x") == ulla.error("UNDROP TABLE WITH ID 'x'").message
    for name in ("GRANT SELECT ON DROPPED TABLE x TO ulla", f"SELECT * FROM main.desk.`pay#{told[0]['tableId']}`"):
        assert pay.error(name).kind in {"INVALID_ARGUMENT", "NOT_FOUND"}


def test_names_that_are_taken_and_several_of_one_name(desk: Desk) -> None:
    for value in (1, 2):
        desk.run(f"CREATE TABLE t AS SELECT {value} AS a")
        desk.run("DROP TABLE t")
    desk.run("CREATE TABLE t AS SELECT 3 AS a")
    assert desk.error("UNDROP TABLE t").code == "TABLE_OR_VIEW_ALREADY_EXISTS"
    desk.run("ALTER TABLE t RENAME TO kept")
    desk.run("UNDROP TABLE main.desk.t")
    assert desk.value("SELECT a FROM t") == 2, "the one that was dropped last"
    desk.run("DROP TABLE t PURGE")
    ((name, table_id),) = [(row[2], row[3]) for row in desk.rows("SHOW TABLES DROPPED LIMIT 5")]
    desk.run(f"UNDROP TABLE WITH ID '{table_id}'")
    assert (name, desk.value("SELECT a FROM t")) == ("t", 1)
    assert desk.error("UNDROP TABLE t").code == "TABLE_OR_VIEW_NOT_FOUND"
    desk.run("CREATE VIEW v AS SELECT 1 AS a")
    desk.run("DROP VIEW v")
    assert desk.error("UNDROP TABLE v").code == "TABLE_OR_VIEW_NOT_FOUND"


def test_after_a_week_the_files_are_gone(desk: Desk) -> None:
    desk.run("CREATE TABLE old AS SELECT 1 AS a")
    location = Path(desk.lake.room.tables.get(desk.ctx, "main.desk.old").location)
    desk.run("DROP TABLE old")
    assert location.is_dir()
    with desk.lake.database.write() as connection:
        aged = store.dropped_tables.c.dropped_at
        (moment,) = connection.execute(sa.select(aged)).scalars().all()
        connection.execute(sa.update(store.dropped_tables).values(dropped_at=moment - timedelta(days=8)))
    assert desk.rows("SHOW TABLES DROPPED") == []
    assert desk.error("UNDROP TABLE old").code == "TABLE_OR_VIEW_NOT_FOUND"
    desk.run("CREATE TABLE other (a INT)")
    desk.run("DROP TABLE other PURGE")
    assert not location.exists()
    with desk.lake.database.read() as connection:
        assert store.list_expired(connection, moment + timedelta(days=1), 10) == []


def test_a_schema_goes_with_its_dropped_tables(desk: Desk) -> None:
    desk.run("CREATE SCHEMA main.gone")
    desk.run("CREATE TABLE main.gone.t AS SELECT 1 AS a")
    location = Path(desk.lake.room.tables.get(desk.ctx, "main.gone.t").location)
    desk.run("DROP TABLE main.gone.t")
    desk.run("CREATE TABLE main.gone.u AS SELECT 1 AS a")
    assert desk.error("DROP SCHEMA main.gone").code == "SCHEMA_NOT_EMPTY"
    assert [row[2] for row in desk.rows("SHOW TABLES DROPPED IN main.gone")] == ["t"], "a refused drop takes nothing away"
    desk.run("DROP TABLE main.gone.u")
    desk.run("ALTER SCHEMA main.gone RENAME TO main.soon")
    desk.run("UNDROP TABLE main.soon.u")
    assert desk.value("SELECT a FROM main.soon.u") == 1
    desk.run("DROP TABLE main.soon.u")
    desk.run("DROP SCHEMA main.soon")
    assert not location.exists()
