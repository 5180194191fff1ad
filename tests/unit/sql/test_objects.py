from __future__ import annotations

import pytest

from insjo.sql.errors import SettingUnknown, TemporaryViewExists, UnsupportedFeature, ViewRecursive
from tests.support.desk import Desk


def test_catalogs_schemas_and_volumes(desk: Desk) -> None:
    desk.run("CREATE CATALOG lab COMMENT 'for trying'")
    desk.run("CREATE CATALOG IF NOT EXISTS lab")
    assert desk.error("CREATE CATALOG lab").code == "CATALOG_ALREADY_EXISTS"
    desk.run("CREATE SCHEMA lab.a COMMENT 'x' WITH DBPROPERTIES ('k' = 'v')")
    desk.run("CREATE DATABASE IF NOT EXISTS lab.a")
    desk.run("CREATE VOLUME lab.a.v COMMENT 'files'")
    assert desk.rows("SHOW CATALOGS LIKE 'la*'") == [("lab",)]
    assert desk.rows("SHOW SCHEMAS IN lab") == [("a",), ("default",), ("information_schema",)]
    assert desk.rows("SHOW VOLUMES IN lab.a") == [("a", "v")]
    assert dict(desk.rows("DESCRIBE CATALOG EXTENDED lab"))["Comment"] == "for trying"
    assert ("Comment", "x") in desk.rows("DESCRIBE SCHEMA lab.a")
    assert desk.rows("DESCRIBE VOLUME lab.a.v")[0][:3] == ("v", "lab", "a")
    assert desk.error("DROP SCHEMA lab.a").code == "SCHEMA_NOT_EMPTY"
    desk.run("DROP SCHEMA lab.a CASCADE")
    desk.run("DROP CATALOG lab")
    assert desk.error("DROP CATALOG lab").code == "CATALOG_DOES_NOT_EXIST"
    desk.run("DROP CATALOG IF EXISTS lab")


def test_tables_are_described_in_every_form(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT NOT NULL, name STRING COMMENT 'the name') PARTITIONED BY (name) COMMENT 'c' TBLPROPERTIES ('k' = 'v')")
    assert desk.rows("DESCRIBE t")[:2] == [("id", "int", None), ("name", "string", "the name")]
    assert ("# Partition Information", "", "") in desk.rows("DESC TABLE t")
    extended = {row[0]: row[1] for row in desk.rows("DESCRIBE EXTENDED t")}
    assert extended["Type"] == "MANAGED"
    assert extended["Comment"] == "c"
    assert extended["Provider"] == "delta"
    import json

    told = json.loads(desk.value("DESCRIBE TABLE EXTENDED t AS JSON"))
    assert told["columns"][1] == {
        "name": "name",
        "type": {"name": "string", "collation": "UTF8_BINARY"},
        "nullable": True,
        "comment": "the name",
    }
    assert desk.rows("DESCRIBE t name") == [("col_name", "name"), ("data_type", "string"), ("comment", "the name")]
    assert desk.error("DESCRIBE t nam").hint == "Did you mean `name`?"
    assert desk.rows("SHOW TBLPROPERTIES t") == [("k", "v")]
    detail = desk.run("DESCRIBE DETAIL t").table.to_pylist()[0]
    assert (detail["format"], detail["numFiles"], detail["partitionColumns"]) == ("delta", 0, ["name"])
    history = desk.run("DESCRIBE HISTORY t").table.to_pylist()
    assert [(entry["version"], entry["operation"]) for entry in history] == [(0, "CREATE TABLE")]
    assert desk.rows("SHOW COLUMNS IN t") == [("id",), ("name",)]
    text = desk.value("SHOW CREATE TABLE t")
    desk.run("DROP TABLE t")
    desk.run(text)
    assert desk.value("SHOW CREATE TABLE t") == text
    desk.run("INSERT INTO t VALUES (1, 'a'), (2, NULL)")
    assert desk.rows("SHOW PARTITIONS t") == [(None,), ("a",)]


def test_clones(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT NOT NULL COMMENT 'key', g STRING) PARTITIONED BY (g) COMMENT 'c' TBLPROPERTIES ('k' = 'v')")
    desk.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    desk.run("CREATE TABLE copy DEEP CLONE t")
    desk.run("DELETE FROM t")
    assert desk.rows("SELECT * FROM copy ORDER BY id") == [(1, "a"), (2, "b")]
    assert desk.value("SHOW CREATE TABLE copy") == desk.value("SHOW CREATE TABLE t").replace("desk.t ", "desk.copy ")
    assert desk.error("INSERT INTO copy VALUES (NULL, 'x')").code == "DELTA_NOT_NULL_CONSTRAINT_VIOLATED"
    desk.run("CREATE OR REPLACE TABLE copy CLONE t VERSION AS OF 0 TBLPROPERTIES ('k' = 'w')")
    assert desk.value("SELECT count(*) FROM copy") == 0
    assert ("k", "w") in desk.rows("SHOW TBLPROPERTIES copy")
    desk.run("CREATE TABLE third CLONE t@v1")
    assert desk.value("SELECT count(*) FROM third") == 2
    desk.run("CREATE VIEW v AS SELECT 1 AS a")
    assert desk.error("CREATE TABLE x CLONE v").code == "WRONG_COMMAND_FOR_OBJECT_TYPE"
    desk.run("CREATE TABLE shallow SHALLOW CLONE t@v1")
    assert desk.value("SELECT count(*) FROM shallow") == 2
    assert desk.error("CREATE TABLE x CLONE t WHERE id = 1").code == "PARSE_SYNTAX_ERROR"


def test_the_drivers_forms(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT, pay DECIMAL(10, 2) NOT NULL) COMMENT 'c'")
    result = desk.run("SHOW TABLES IN CATALOG main SCHEMA LIKE 'de%' LIKE '*'")
    assert result.table.column_names == ["namespace", "tableName", "isTemporary", "information", "catalogName", "tableType", "remarks"]
    assert result.table.to_pylist() == [
        {
            "namespace": "desk",
            "tableName": "t",
            "isTemporary": False,
            "information": None,
            "catalogName": "main",
            "tableType": "TABLE",
            "remarks": "c",
        },
    ]
    columns = desk.run("SHOW COLUMNS IN CATALOG main TABLE LIKE 't'").table.to_pylist()
    assert [(each["col_name"], each["columnType"], each["decimalDigits"], each["isNullable"]) for each in columns] == [
        ("id", "INT", 0, "true"),
        ("pay", "DECIMAL(10,2)", 2, "false"),
    ]
    assert desk.rows("SHOW SCHEMAS IN ALL CATALOGS LIKE 'desk'") == [("desk", "main")]
    assert desk.rows("SHOW KEYS IN CATALOG main") == []


def test_altering_tables(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    desk.run("ALTER TABLE t SET TBLPROPERTIES ('a' = '1', b.c = 2)")
    desk.run("ALTER TABLE t UNSET TBLPROPERTIES ('a')")
    assert desk.rows("SHOW TBLPROPERTIES t") == [("b.c", "2")]
    desk.run("ALTER TABLE t ADD COLUMNS (name STRING FIRST, z INT COMMENT 'zz' AFTER id)")
    desk.run("ALTER TABLE t ADD COLUMN IF NOT EXISTS z INT")
    assert [row[0] for row in desk.rows("DESCRIBE t")] == ["name", "id", "z"]
    assert desk.error("ALTER TABLE t ADD COLUMNS (z INT FIRST)").code == "FIELD_ALREADY_EXISTS"
    assert desk.error("ALTER TABLE t ADD COLUMNS (q INT AFTER nope)").code == "INVALID_PARAMETER_VALUE"
    desk.run("COMMENT ON TABLE t IS 'hello'")
    desk.run("COMMENT ON COLUMN t.id IS 'the id'")
    desk.run("ALTER TABLE t ALTER COLUMN name COMMENT 'the name'")
    assert ("id", "int", "the id") in desk.rows("DESCRIBE t")
    desk.run("ALTER TABLE t RENAME TO u")
    assert desk.error("SELECT * FROM t").code == "TABLE_OR_VIEW_NOT_FOUND"
    assert desk.rows("SELECT id FROM u") == []
    assert isinstance(desk.error("ALTER TABLE u RENAME TO main.default.u"), UnsupportedFeature)
    desk.lake.person("ulla")
    desk.run("ALTER TABLE u OWNER TO ulla")
    assert desk.lake.room.tables.get(desk.ctx, "main.desk.u").owner == "ulla"


def test_dropping_asks_for_the_right_kind(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    desk.run("CREATE VIEW v AS SELECT 1 AS a")
    assert desk.error("DROP VIEW t").code == "WRONG_COMMAND_FOR_OBJECT_TYPE"
    assert desk.error("DROP TABLE v").code == "WRONG_COMMAND_FOR_OBJECT_TYPE"
    desk.run("DROP VIEW v")
    desk.run("DROP TABLE t")
    desk.run("DROP TABLE IF EXISTS t")
    assert desk.error("DROP TABLE t").code == "TABLE_OR_VIEW_NOT_FOUND"


def test_views(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT, name STRING)")
    desk.run("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    desk.run("CREATE VIEW v (n COMMENT 'x', k) COMMENT 'c' TBLPROPERTIES ('p' = 'q') AS SELECT name, id AS n FROM t")
    assert desk.rows("SELECT n, k FROM v ORDER BY k") == [("a", 1), ("b", 2)]
    assert desk.rows("DESCRIBE v") == [("n", "string", "x"), ("k", "int", None)]
    desk.run("CREATE VIEW w AS SELECT *, count(*) OVER () FROM v")
    desk.run("ALTER TABLE t ADD COLUMNS (more INT FIRST)")
    assert desk.rows("SELECT * FROM w ORDER BY k") == [("a", 1, 2), ("b", 2, 2)]
    assert desk.error("CREATE VIEW w AS SELECT 1").code == "TABLE_OR_VIEW_ALREADY_EXISTS"
    desk.run("CREATE OR REPLACE VIEW w AS SELECT 1 AS one")
    assert desk.rows("SELECT * FROM w") == [(1,)]
    desk.run("ALTER VIEW w AS SELECT 2 AS two")
    assert desk.rows("SELECT two FROM w") == [(2,)]
    assert desk.error("CREATE VIEW x AS SELECT nope FROM t").code == "UNRESOLVED_COLUMN"
    assert desk.error("CREATE VIEW x (a) AS SELECT 1, 2").code == "INSERT_COLUMN_ARITY_MISMATCH"
    assert isinstance(desk.error("CREATE VIEW x AS SELECT :p", parameters={"p": 1}), UnsupportedFeature)
    desk.run("DROP TABLE t")
    assert desk.error("SELECT * FROM v").code == "TABLE_OR_VIEW_NOT_FOUND"


def test_a_view_finds_its_names_where_it_was_made(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    desk.run("INSERT INTO t VALUES (1)")
    desk.run("CREATE VIEW v AS SELECT * FROM t")
    assert desk.rows("SELECT * FROM main.desk.v", catalog="main", schema="default") == [(1,)]
    assert desk.rows("WITH t AS (SELECT 99 AS id) SELECT v.id FROM v, t") == [(1,)]


def test_views_cannot_read_themselves(desk: Desk) -> None:
    desk.run("CREATE VIEW a AS SELECT 1 AS x")
    desk.run("CREATE VIEW b AS SELECT x FROM a")
    desk.run("CREATE OR REPLACE VIEW a AS SELECT x FROM b")
    assert isinstance(desk.error("SELECT * FROM a"), ViewRecursive)


def test_sessions_keep_views_variables_and_where_one_is(desk: Desk) -> None:
    mine, other = desk.in_session(), desk.in_session()
    mine.run("CREATE TABLE t (id INT)")
    mine.run("INSERT INTO t VALUES (1), (5)")
    mine.run("CREATE TEMPORARY VIEW big AS SELECT id FROM t WHERE id > 2")
    assert mine.rows("SELECT * FROM big") == [(5,)]
    assert ("", "big", True) in mine.rows("SHOW TABLES")
    assert other.error("SELECT * FROM big").code == "TABLE_OR_VIEW_NOT_FOUND"
    assert isinstance(mine.error("CREATE TEMP VIEW big AS SELECT 1"), TemporaryViewExists)
    assert mine.error("CREATE VIEW kept AS SELECT * FROM big").code == "INVALID_PARAMETER_VALUE"
    mine.run("DECLARE VARIABLE low INT DEFAULT 3")
    mine.run("SET VAR low = low - 2")
    assert mine.rows("SELECT low, session.low + 1") == [(1, 2)]
    assert mine.rows("SELECT id FROM t WHERE id > session.low") == [(5,)]
    assert other.error("SELECT low").code == "UNRESOLVED_COLUMN"
    mine.run("DROP TEMPORARY VARIABLE low")
    mine.run("USE SCHEMA default")
    assert mine.rows("SELECT current_catalog(), current_schema()") == [("main", "default")]
    assert other.rows("SELECT current_schema()") == [("desk",)]
    assert mine.error("USE SCHEMA nope").code == "SCHEMA_DOES_NOT_EXIST"
    mine.run("USE CATALOG system")
    mine.run("USE main.desk")
    mine.run("DROP VIEW big")
    assert mine.error("SELECT * FROM big").code == "TABLE_OR_VIEW_NOT_FOUND"


def test_settings_mean_what_they_say_or_are_refused(desk: Desk) -> None:
    mine = desk.in_session()
    mine.run("SET timezone = 'UTC'")
    mine.run("SET ansi_mode = true")
    mine.run("SET statement_timeout = 5")
    assert mine.rows("SET statement_timeout") == [("statement_timeout", "5")]
    mine.run("RESET statement_timeout")
    assert isinstance(mine.error("SET timezone = 'Europe/Stockholm'"), UnsupportedFeature)
    assert isinstance(mine.error("SET ansi_mode = false"), UnsupportedFeature)
    assert isinstance(mine.error("SET statement_timeot = 5"), SettingUnknown)
    assert len(mine.rows("SET")) > 3


def test_a_session_is_its_owners(desk: Desk) -> None:
    mine = desk.in_session()
    assert mine.session
    desk.lake.person("ulla")
    from insjo.sql.errors import SessionNotFound

    with pytest.raises(SessionNotFound):
        desk.room.sessions.get(desk.as_("ulla").ctx, mine.session.id)
    desk.room.sessions.close(desk.ctx, mine.session.id)
    assert isinstance(mine.error("SELECT 1"), SessionNotFound)


def test_functions_in_sql(desk: Desk) -> None:
    desk.run("CREATE FUNCTION plus(x INT, y INT DEFAULT 10) RETURNS BIGINT COMMENT 'adds' RETURN x + y")
    assert desk.rows("SELECT plus(1), plus(1, 2), desk.plus(y => 5, x => 1), main.desk.plus(id) FROM VALUES (7) AS v(id)") == [
        (11, 3, 6, 17)
    ]
    assert desk.run("SELECT plus(1)").statement.columns[0].type_text == "bigint"
    desk.run("CREATE FUNCTION twice(x INT) RETURNS INT RETURN plus(x, x)")
    assert desk.value("SELECT twice(4)") == 8
    desk.run("CREATE TABLE t (id INT)")
    desk.run("INSERT INTO t VALUES (1), (2), (3)")
    desk.run("CREATE FUNCTION below(n INT) RETURNS TABLE (a BIGINT) RETURN SELECT id FROM t WHERE id < n")
    assert desk.rows("SELECT a FROM below(3) AS b ORDER BY a") == [(1,), (2,)]
    assert desk.rows("WITH t AS (SELECT 0 AS id) SELECT count(*) FROM below(3)") == [(2,)]
    desk.run("CREATE FUNCTION biggest() RETURNS INT RETURN (SELECT max(id) FROM t)")
    assert desk.rows("SELECT biggest(), id FROM t WHERE id = biggest()") == [(3, 3)]
    assert [row[0] for row in desk.rows("SHOW USER FUNCTIONS")] == [
        "main.desk.below",
        "main.desk.biggest",
        "main.desk.plus",
        "main.desk.twice",
    ]
    assert any("adds" in row[0] for row in desk.rows("DESCRIBE FUNCTION EXTENDED plus"))
    assert desk.error("SELECT plus()").code == "INVALID_ROUTINE_CALL"
    assert desk.error("SELECT plus(1, 2, 3)").code == "INVALID_ROUTINE_CALL"
    assert desk.error("SELECT * FROM plus(1)").code == "INVALID_ROUTINE_CALL"
    assert desk.error("CREATE FUNCTION plus(x INT) RETURNS INT RETURN x").code == "ROUTINE_ALREADY_EXISTS"
    assert isinstance(desk.error("CREATE FUNCTION f(id INT) RETURNS TABLE RETURN SELECT id FROM t"), UnsupportedFeature)
    assert desk.error("CREATE FUNCTION f(x INT) RETURNS INT RETURN nope + x").code == "UNRESOLVED_COLUMN"
    assert isinstance(desk.error("CREATE FUNCTION f(x INT) RETURNS INT LANGUAGE PYTHON RETURN x"), UnsupportedFeature)
    desk.run("DROP FUNCTION plus")
    assert desk.error("SELECT plus(1)").code in {"UNRESOLVED_ROUTINE", "UNSUPPORTED_FEATURE"}


def test_grants_are_shown(desk: Desk) -> None:
    desk.lake.person("ulla")
    desk.run("CREATE TABLE t (id INT)")
    desk.run("GRANT SELECT, MODIFY ON TABLE t TO ulla")
    desk.run("GRANT USE SCHEMA ON SCHEMA desk TO `account users`")
    assert ("ulla", "SELECT", "TABLE", "main.desk.t") in desk.rows("SHOW GRANTS ON TABLE t")
    assert ("account users", "USE SCHEMA", "SCHEMA", "main.desk") in desk.rows("SHOW GRANTS ON SCHEMA desk")
    desk.run("REVOKE MODIFY ON TABLE t FROM ulla")
    assert desk.rows("SHOW GRANTS ulla ON TABLE t") == [("ulla", "SELECT", "TABLE", "main.desk.t")]
    assert desk.error("GRANT FLY ON TABLE t TO ulla").code == "INVALID_PRIVILEGE"
    assert desk.error("GRANT SELECT ON TABLE t TO ulle").hint == "Did you mean `ulla`?"
