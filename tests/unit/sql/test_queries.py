from __future__ import annotations

import pyarrow as pa
import pytest

from insjo.sql.errors import UnboundParameter, UnresolvedColumn, UnsupportedFeature
from insjo.sql.types import Parameter
from tests.support.desk import Desk
from tests.support.lake import append

pytestmark = pytest.mark.slow


def test_rows_come_with_names_and_types(desk: Desk) -> None:
    result = desk.run("SELECT 1 AS a, 'x' AS b, CAST(1.5 AS DECIMAL(10, 2)) AS c, count(*) FROM VALUES (1), (2)")
    shown = [(column.name, column.type_text, column.type_name, column.precision, column.scale) for column in result.statement.columns]
    assert shown == [
        ("a", "int", "INT", None, None),
        ("b", "string", "STRING", None, None),
        ("c", "decimal(10,2)", "DECIMAL", 10, 2),
        ("count(1)", "bigint", "LONG", None, None),
    ]
    assert result.statement.kind == "SELECT"


def test_a_missing_column_is_compared_with_those_that_are_there(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT, name STRING)")
    error = desk.error("SELECT naem FROM t")
    assert isinstance(error, UnresolvedColumn)
    assert "name" in error.hint


def test_all_missing_tables_are_told_at_once(desk: Desk) -> None:
    desk.run("CREATE TABLE orders (id INT)")
    error = desk.error("SELECT * FROM ordres JOIN nope ON true")
    assert error.code == "TABLE_OR_VIEW_NOT_FOUND"
    assert "`main.desk.ordres`" in error.message
    assert "`main.desk.nope`" in error.message
    assert "orders" in error.hint


def test_names_are_found_from_every_length(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    desk.run("INSERT INTO t VALUES (7)")
    for text in ("SELECT id FROM t", "SELECT t.id FROM desk.t", "SELECT main.desk.t.id FROM main.desk.t", "SELECT ID FROM T"):
        assert desk.rows(text) == [(7,)]


def test_two_tables_of_the_same_name_are_told_apart(desk: Desk) -> None:
    desk.run("CREATE SCHEMA other")
    desk.run("CREATE TABLE t (id INT)")
    desk.run("CREATE TABLE other.t (id INT)")
    desk.run("INSERT INTO t VALUES (1), (2)")
    desk.run("INSERT INTO other.t VALUES (2), (3)")
    assert desk.rows("SELECT desk.t.id FROM desk.t JOIN other.t ON desk.t.id = other.t.id") == [(2,)]


def test_a_cte_hides_a_table_only_where_it_stands(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    desk.run("INSERT INTO t VALUES (1)")
    assert desk.rows("WITH t AS (SELECT 5 AS id) SELECT id FROM t") == [(5,)]
    assert desk.rows("SELECT (SELECT id FROM (WITH t AS (SELECT 5 AS id) SELECT id FROM t)), id FROM t") == [(5, 1)]
    assert desk.rows("WITH t AS (SELECT id + 1 AS id FROM t) SELECT id FROM t") == [(2,)]
    assert desk.rows("WITH t AS (SELECT 5 AS id) SELECT id FROM main.desk.t") == [(1,)]


def test_recursive_ctes(desk: Desk) -> None:
    text = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT sum(i) FROM n"
    assert desk.value(text) == 10


def test_parameters_in_every_form(desk: Desk) -> None:
    assert desk.rows("SELECT :a + 1, :b", parameters={"a": 1, "b": "it's"}) == [(2, "it's")]
    typed = (Parameter("d", "2026-01-31", "DATE"), Parameter("n", None, "INT"), Parameter("x", "1.50", "DECIMAL(5,2)"))
    from insjo.sql.types import StatementSpec

    result = desk.room.statements.run(desk.ctx, StatementSpec("SELECT year(:d), :n IS NULL, :x * 2", parameters=typed))
    assert [column.to_pylist()[0] for column in result.table.columns][:2] == [2026, True]
    marks = (Parameter(None, 1), Parameter(None, 2), Parameter(None, 3))
    found = desk.room.statements.run(desk.ctx, StatementSpec("WITH x AS (SELECT ? AS a) SELECT a, ? FROM x WHERE a < ?", parameters=marks))
    assert [column.to_pylist() for column in found.table.columns] == [[1], [2]]
    assert desk.rows("SELECT id FROM VALUES (1), (2), (3) AS v(id) ORDER BY id LIMIT :n", parameters={"n": 2}) == [(1,), (2,)]
    assert isinstance(desk.error("SELECT :missing"), UnboundParameter)


def test_a_parameter_is_a_value_and_never_text_of_the_statement(desk: Desk) -> None:
    desk.run("CREATE TABLE t (name STRING)")
    desk.run("INSERT INTO t VALUES ('a')")
    assert desk.rows("SELECT * FROM t WHERE name = :n", parameters={"n": "x' OR '1' = '1"}) == []
    error = desk.error("SELECT * FROM IDENTIFIER(:t)", parameters={"t": "t; DROP TABLE t"})
    assert error.code == "PARSE_SYNTAX_ERROR"
    assert desk.value("SELECT count(*) FROM IDENTIFIER(:t)", parameters={"t": "main.desk.t"}) == 1


def test_a_statement_in_a_text(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT, name STRING)")
    desk.run("EXECUTE IMMEDIATE 'INSERT INTO t VALUES (?, :name)' USING 1, 'a' AS name")
    assert desk.rows("EXECUTE IMMEDIATE 'SELECT id FROM t WHERE name = ?' USING (lower('A'))") == [(1,)]
    assert desk.rows("EXECUTE IMMEDIATE :text", parameters={"text": "SELECT count(*) FROM t"}) == [(1,)]
    assert desk.run("EXECUTE IMMEDIATE 'SELECT ?' USING DATE '2020-01-02'").statement.columns[0].type_text == "date"
    own = desk.in_session()
    own.run("DECLARE VARIABLE text = 'SELECT name FROM t'")
    own.run("DECLARE VARIABLE wanted = 1")
    assert own.rows("EXECUTE IMMEDIATE text || ' WHERE id = ?' USING wanted") == [("a",)]
    assert desk.error("EXECUTE IMMEDIATE 'EXECUTE IMMEDIATE ''SELECT 1'''").code == "UNSUPPORTED_FEATURE"
    assert desk.error("EXECUTE IMMEDIATE (SELECT name FROM t)").code == "UNSUPPORTED_FEATURE"
    assert desk.error("EXECUTE IMMEDIATE 'SELECT 1; SELECT 2'").code == "PARSE_SYNTAX_ERROR"
    assert desk.error("EXECUTE IMMEDIATE 'SELECT ?'").code == "UNBOUND_SQL_PARAMETER"
    assert desk.error("EXECUTE IMMEDIATE 1").kind == "INVALID_ARGUMENT"


def test_time_travel(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    for value in (1, 2, 3):
        desk.run(f"INSERT INTO t VALUES ({value})")
    assert desk.value("SELECT count(*) FROM t VERSION AS OF 1") == 1
    assert desk.value("SELECT count(*) FROM t@v2") == 2
    assert desk.error("SELECT count(*) FROM t TIMESTAMP AS OF current_timestamp()").code == "DELTA_TIMESTAMP_GREATER_THAN_COMMIT"
    assert desk.error("SELECT count(*) FROM t TIMESTAMP AS OF '2020-01-01'").code == "DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION"
    assert isinstance(desk.error("SELECT count(*) FROM t TIMESTAMP AS OF (SELECT max(id) FROM t)"), UnsupportedFeature)
    assert desk.rows("SELECT n.id FROM t n LEFT ANTI JOIN t VERSION AS OF 2 o ON n.id = o.id") == [(3,)]
    assert desk.error("SELECT * FROM t VERSION AS OF 99").code == "DELTA_VERSION_NOT_FOUND"


def test_a_table_that_grew_gives_null_for_what_older_files_lack(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT, name STRING)")
    desk.run("INSERT INTO t VALUES (1, 'a')")
    desk.run("ALTER TABLE t ADD COLUMNS (extra STRUCT<x: INT>, mid INT COMMENT 'm' AFTER id)")
    assert desk.rows("SELECT * FROM t") == [(1, None, "a", None)]
    assert desk.rows("SELECT mid FROM t") == [(None,)]
    desk.run("INSERT INTO t (id, mid, extra) VALUES (2, 5, named_struct('x', 9))")
    assert desk.rows("SELECT id, mid, extra.x FROM t ORDER BY id") == [(1, None, None), (2, 5, 9)]
    assert desk.rows("SELECT mid FROM t VERSION AS OF 3 WHERE mid IS NOT NULL") == [(5,)]
    assert desk.error("SELECT mid FROM t VERSION AS OF 1").code == "UNRESOLVED_COLUMN"


def test_files_of_other_writers_are_read_in_the_declared_types(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id BIGINT, at TIMESTAMP_NTZ)")
    append(desk.lake, desk.ctx, "main.desk.t", pa.table({"id": pa.array([1], pa.int32()), "at": pa.array([0], pa.timestamp("ms"))}))
    result = desk.run("SELECT id, at FROM t")
    assert [column.type_text for column in result.statement.columns] == ["bigint", "timestamp_ntz"]
    assert result.table.num_rows == 1


@pytest.mark.parametrize("partitions", [3, 260])
def test_partitioned_tables(desk: Desk, partitions: int) -> None:
    desk.run("CREATE TABLE t (id INT, part STRING, day DATE) PARTITIONED BY (part, day)")
    desk.run(
        f"INSERT INTO t SELECT id, CASE WHEN id = 0 THEN NULL ELSE concat('p=', id % {partitions}, '/', '''') END, DATE'2026-01-31' "
        f"FROM range({partitions * 2}) AS r(id)",
    )
    assert desk.value("SELECT count(*) FROM t") == partitions * 2
    assert desk.rows("SELECT id, day FROM t WHERE part = 'p=1/'''  ORDER BY id") == [(1, _day()), (partitions + 1, _day())]
    assert desk.rows("SELECT id FROM t WHERE part IS NULL") == [(0,)]
    assert desk.value("SELECT count(DISTINCT part) FROM t") == partitions
    assert desk.run("SELECT * FROM t LIMIT 1").table.column_names == ["id", "part", "day"]


def _day() -> object:
    from datetime import date

    return date(2026, 1, 31)


def test_files_that_cannot_hold_a_wanted_row_are_left_out(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT, name STRING)")
    for start in range(0, 50, 10):
        desk.run(f"INSERT INTO t SELECT id + {start}, concat('n', id + {start}) FROM range(10) AS r(id)")
    everything = desk.rows("SELECT id FROM t")
    for condition in (
        "id = 25",
        "id IN (3, 44)",
        "id > 37 AND name IS NOT NULL",
        "5 >= id",
        "name = 'n12'",
        "id < -5",
        "id = 25 OR id = 1",
    ):
        wanted = desk.rows(f"SELECT id FROM (SELECT * FROM t ORDER BY id LIMIT 1000) WHERE {condition} ORDER BY id")
        assert desk.rows(f"SELECT id FROM t WHERE {condition} ORDER BY id") == wanted, condition
    assert len(everything) == 50


def test_names_in_capitals_name_the_same(desk: Desk) -> None:
    desk.run("CREATE TABLE Mixed (Id INT, Namn STRING)")
    desk.run("INSERT INTO MIXED (NAMN, ID) VALUES ('å', 1)")
    result = desk.run("SELECT * FROM mixed WHERE iD = 1")
    assert result.table.to_pylist() == [{"Id": 1, "Namn": "å"}]


def test_information_schema(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT NOT NULL, name STRING COMMENT 'n')")
    desk.run("CREATE VIEW v AS SELECT id FROM t")
    assert desk.rows("SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'desk' ORDER BY 1") == [
        ("t", "MANAGED"),
        ("v", "VIEW"),
    ]
    columns = desk.rows(
        "SELECT column_name, is_nullable, full_data_type FROM main.information_schema.columns WHERE table_name = 't' ORDER BY 1"
    )
    assert columns == [("id", "NO", "int"), ("name", "YES", "string")]
    assert ("main",) in desk.rows("SELECT catalog_name FROM system.information_schema.catalogs")
    assert desk.rows("SELECT volume_name FROM information_schema.volumes") == [("files",)]
    assert desk.error("SELECT * FROM information_schema.tabels").hint == "Did you mean `tables`?"
    desk.run("GRANT SELECT ON TABLE t TO `account users`")
    granted = desk.rows("SELECT grantee, privilege_type FROM information_schema.table_privileges WHERE table_name = 't'")
    assert ("account users", "SELECT") in granted


def test_explain_tells_what_is_read(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    text = desk.value("EXPLAIN SELECT id FROM t")
    assert "main.desk.t@0" in text
    assert "id int" in text
    assert isinstance(desk.error("EXPLAIN DELETE FROM t"), UnsupportedFeature)


def test_the_same_plan_sees_new_rows_new_columns_and_new_views(desk: Desk) -> None:
    desk.run("CREATE TABLE t (id INT)")
    desk.run("CREATE VIEW v AS SELECT id FROM t")
    text = "SELECT * FROM t JOIN v USING (id)"
    assert desk.rows(text) == []
    desk.run("INSERT INTO t VALUES (1)")
    assert desk.rows(text) == [(1,)]
    desk.run("ALTER TABLE t ADD COLUMNS (b STRING)")
    assert desk.rows(text) == [(1, None)]
    desk.run("CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE id > 1")
    assert desk.rows(text) == []
    desk.run("DROP VIEW v")
    assert desk.error(text).code == "TABLE_OR_VIEW_NOT_FOUND"
    desk.run("CREATE VIEW v AS SELECT id, id AS more FROM t")
    assert desk.rows(text) == [(1, None, 1)]


def test_whole_numbers_bound_decimals_in_files_and_behind_filters(desk: Desk) -> None:
    """Files are left out by their statistics; numbers that the type cannot hold, or with a fraction, leave nothing out wrongly."""
    desk.run("CREATE TABLE prices (id INT, price DECIMAL(5,2))")
    for values in ("(1, 1.00), (2, 39.99)", "(3, 40.00), (4, 40.01)", "(5, -7.50), (6, 999.99)", "(7, NULL)"):
        desk.run(f"INSERT INTO prices VALUES {values}")
    wanted = {
        "price < 40": [1, 2, 5],
        "price <= 40": [1, 2, 3, 5],
        "40 < price": [4, 6],
        "price = 40": [3],
        "price >= -7": [1, 2, 3, 4, 6],
        "price IN (1, 40)": [1, 3],
        "price < 100000": [1, 2, 3, 4, 5, 6],
        "price > -100000": [1, 2, 3, 4, 5, 6],
        "price < 39.995": [1, 2, 5],
    }
    for condition, ids in wanted.items():
        assert [row[0] for row in desk.rows(f"SELECT id FROM prices WHERE {condition} ORDER BY id")] == ids, condition
    desk.lake.person("ulla")
    for text in (
        "CREATE FUNCTION even(n INT) RETURNS BOOLEAN RETURN n % 2 = 0",
        "ALTER TABLE prices SET ROW FILTER even ON (id)",
        "GRANT USE CATALOG ON CATALOG main TO ulla",
        "GRANT USE SCHEMA ON SCHEMA desk TO ulla",
        "GRANT SELECT ON TABLE prices TO ulla",
    ):
        desk.run(text)
    ulla = desk.as_("ulla")
    for condition, ids in wanted.items():
        found = [row[0] for row in ulla.rows(f"SELECT id FROM prices WHERE {condition} ORDER BY id")]
        assert found == [number for number in ids if number % 2 == 0], condition
