"""Statements on a warehouse whose engine is a Spark Connect server: the same answers, or a refusal that names what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from insjo.access.types import ALL, Clearance, Label, Level, Privilege, SecurableKind
from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.adapters.spark.engine import SparkEngine, SparkRows
from insjo.kernel.errors import PermissionDenied
from insjo.sql.errors import OutOfMemory, UnsupportedFeature, WarehouseInvalid
from insjo.sql.types import WarehouseEngine
from tests.support.desk import Desk, open_desk
from tests.support.sail import sail


class Counted(SparkEngine):
    """Keeps what it was asked."""

    asked: ClassVar[list[str]] = []

    def query(self, sql: str, **options: Any) -> SparkRows:  # noqa: ANN401  # Passed on as they are.
        self.asked.append(sql)
        return super().query(sql, **options)


@dataclass
class Both:
    desk: Desk
    big: str
    url: str

    def same(self, text: str, parameters: dict[str, Any] | None = None) -> list[tuple[object, ...]]:
        here = self.desk.run(text, parameters=parameters)
        there = self.desk.run(text, warehouse_id=self.big, parameters=parameters)
        assert there.table.equals(here.table), text
        assert [column.type_text for column in there.statement.columns] == [column.type_text for column in here.statement.columns]
        assert there.statement.provenance == here.statement.provenance
        return self.desk.rows(text, warehouse_id=self.big, parameters=parameters)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    root = tmp_path_factory.mktemp("lake")
    engine = DuckDbEngine(root=root, spill=tmp_path_factory.mktemp("spill"), workers=1, memory_mb=512, threads=1).start()
    with sail() as url, open_desk(root / "lake", engine, spark=lambda url: Counted(url, root=root / "lake")) as desk:
        big = desk.room.warehouses.create(desk.ctx, "big", engine=WarehouseEngine.SPARK, url=url)
        desk.run("CREATE TABLE orders (id INT, region STRING, amount DECIMAL(10,2), day DATE) PARTITIONED BY (region)")
        desk.run(
            """INSERT INTO orders
               SELECT CAST(id AS INT), CASE id % 3 WHEN 0 THEN NULL WHEN 1 THEN 'north' ELSE 'å/ö =%' END,
               CAST(id AS DECIMAL(10,2)) / 4, date_add(DATE '2026-01-01', CAST(id % 30 AS INT))
               FROM range(1000)"""
        )
        desk.run("CREATE TABLE names (id INT, name STRING)")
        desk.run("INSERT INTO names VALUES (1, 'it''s'), (2, 'back\\\\slash'), (3, NULL)")
        yield Both(desk, big.id, url)
    engine.close()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(*), sum(id), min(amount), max(day), sum(amount) FROM orders",
        "SELECT region, count(*) AS n, sum(amount) AS total FROM orders GROUP BY region ORDER BY region NULLS FIRST",
        "SELECT o.id, n.name, o.amount * 2 AS twice FROM orders o JOIN names n ON o.id = n.id ORDER BY o.id",
        "SELECT id, row_number() OVER (PARTITION BY region ORDER BY id DESC) AS r FROM orders QUALIFY r = 1 ORDER BY id",
        "WITH top AS (SELECT region, sum(amount) AS s FROM orders GROUP BY ALL) SELECT region FROM top WHERE s > 9 ORDER BY s DESC",
        "SELECT name || '!' AS loud FROM names WHERE name LIKE '%s%' ORDER BY 1",
        "SELECT * FROM names ORDER BY id",
        "SELECT id FROM orders WHERE day BETWEEN DATE '2026-01-03' AND DATE '2026-01-04' AND id IN (SELECT id + 1 FROM names) ORDER BY id",
        "SELECT current_user() AS who, typeof(amount) AS kind FROM orders LIMIT 1",
        "SELECT count(*) FROM orders WHERE region = 'north'",
        "SELECT count(*) FROM orders WHERE region = 'nowhere'",
        "SELECT id FROM names WHERE id > 100",
        "SELECT DISTINCT year(day) AS y, month(day) AS m FROM orders",
        "SELECT 1 AS a UNION ALL SELECT 2 ORDER BY a",
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'desk' AND table_name = 'orders'",
    ],
)
def test_both_engines_give_the_same(both: Both, text: str) -> None:
    both.same(text)


def test_versions_views_and_parameters(both: Both) -> None:
    desk = both.desk
    desk.run("CREATE VIEW big_orders AS SELECT id, amount FROM orders WHERE amount > 100")
    assert both.same("SELECT count(*) AS n FROM big_orders WHERE amount < :most", parameters={"most": 200})
    desk.run("DELETE FROM names WHERE id = 3")
    assert both.same("SELECT count(*) AS n FROM names") == [(2,)]
    assert both.same("SELECT count(*) AS n FROM names VERSION AS OF 1") == [(3,)]


def test_rows_that_are_written_are_computed_there_and_written_here(both: Both) -> None:
    desk, before = both.desk, len(Counted.asked)
    desk.run("CREATE TABLE copied AS SELECT region, count(*) AS n FROM orders GROUP BY region", warehouse_id=both.big)
    desk.run("INSERT INTO copied SELECT 'some', sum(id) FROM orders WHERE id < 5", warehouse_id=both.big)
    merge = """MERGE INTO copied AS c USING (SELECT region, max(id) AS top FROM orders GROUP BY region) AS s ON c.region = s.region
               WHEN MATCHED THEN UPDATE SET n = s.top"""
    desk.run(merge, warehouse_id=both.big)
    assert len(Counted.asked) == before + 3
    desk.run("INSERT INTO copied VALUES ('more', 1)", warehouse_id=both.big)
    desk.run("UPDATE copied SET n = n + 1 WHERE region = 'more'", warehouse_id=both.big)
    assert len(Counted.asked) == before + 3  # These read no other table, so nothing is to be computed elsewhere.
    expected = [(None, 334), ("more", 2), ("north", 997), ("some", 10), ("å/ö =%", 998)]
    assert both.same("SELECT region, n FROM copied ORDER BY region") == expected
    assert desk.label("SELECT * FROM copied") == desk.label("SELECT * FROM orders")


def test_a_table_that_tells_its_changes_is_changed_here_and_read_here(both: Both) -> None:
    desk = both.desk
    desk.run(
        "CREATE TABLE fed TBLPROPERTIES (delta.enableChangeDataFeed = true) AS SELECT id FROM orders WHERE id < 3", warehouse_id=both.big
    )
    desk.run("UPDATE fed SET id = id + 10 WHERE id IN (SELECT max(id) FROM fed)", warehouse_id=both.big)
    feed = "SELECT _change_type, id FROM table_changes('fed', 1) ORDER BY id"
    assert desk.rows(feed) == [("update_preimage", 2), ("update_postimage", 12)]
    refused = desk.error(feed, warehouse_id=both.big)
    assert (refused.code, refused.details["feature"]) == ("UNSUPPORTED_FEATURE", "table_changes on Spark")
    own = desk.in_session()
    own.run("DECLARE VARIABLE top INT")
    own.run("EXECUTE IMMEDIATE 'SELECT max(id) FROM orders WHERE id < ?' INTO top USING 7", warehouse_id=both.big)
    assert own.value("SELECT top") == 6


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id FROM names WHERE initcap(name) = 'A'",
        "SELECT regexp_extract(name, '(a+)$', 1) AS r, count(*) FROM names GROUP BY r",
        "SELECT DISTINCT CAST(CAST(id AS DOUBLE) AS STRING) FROM names",
        "SELECT sum(amount / 3) FROM orders",
        "SELECT id FROM names ORDER BY initcap(name)",
        "SELECT initcap(name) AS name FROM names ORDER BY name",
        "SELECT *, initcap(name) AS loud FROM names ORDER BY 1",
        "SELECT id FROM orders TABLESAMPLE (10 PERCENT) REPEATABLE (7)",
        "SELECT * FROM orders, read_files('/Volumes/main/desk/files/', format => 'csv')",
        "SELECT name FROM names WHERE to_json(named_struct('a', 1.5D)) = name",
    ],
)
def test_what_may_differ_is_refused_by_name(both: Both, text: str) -> None:
    both.desk.put("a.csv", "a\n1\n")
    error = both.desk.error(text, warehouse_id=both.big)
    assert isinstance(error, UnsupportedFeature)
    assert error.details["feature"]
    assert error.hint


@pytest.mark.parametrize(
    "text",
    [
        "SELECT initcap('a b') AS a, CAST('2026-02-30' AS STRING) AS b, parse_json('{\"a\":1}'):a::int AS c",
        "SELECT percentile_approx(x, 0.5) AS p FROM (VALUES (1), (2), (3)) AS t(x)",
        "SELECT sum(id) AS s FROM range(10)",
        "SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'desk'",
        "SELECT a FROM read_files('/Volumes/main/desk/files/b.csv', format => 'csv', header => true)",
        "EXPLAIN SELECT 1",
    ],
)
def test_what_reads_no_table_is_answered_here(both: Both, text: str) -> None:
    both.desk.put("b.csv", "a\n1\n")
    asked = len(Counted.asked)
    both.same(text)
    assert len(Counted.asked) == asked


@pytest.mark.parametrize(
    "text",
    [
        "SELECT id, initcap(name) AS loud FROM names ORDER BY id",
        "SELECT initcap(name) AS loud, id FROM names ORDER BY 2 DESC LIMIT 2",
        "SELECT length(initcap(name)) AS n, *, initcap(name) AS loud FROM names ORDER BY id",
        "SELECT o.*, initcap(region) AS loud FROM orders AS o WHERE id < 7 ORDER BY o.id",
        "SELECT *, format_number(amount, 1) AS f FROM orders JOIN names ON orders.id = names.id ORDER BY orders.id",
        "SELECT amount / 3 AS third, CAST(CAST(id AS DOUBLE) AS STRING) AS t FROM orders WHERE id < 10 ORDER BY id",
        "SELECT region, format_number(sum(amount), 2) AS total FROM orders GROUP BY region ORDER BY region NULLS FIRST",
        "SELECT format_string('%s:%d', max(region), count(*)) AS f FROM orders",
        "SELECT format_string('%d/%d', id, row_number() OVER (ORDER BY id DESC)) AS f FROM names ORDER BY id",
        "SELECT initcap(upper(region)) AS r, count(*) AS n FROM orders GROUP BY upper(region) ORDER BY n, upper(region) NULLS FIRST",
        "SELECT zip_with(array(id), array(id), (id, b) -> id + b) AS z FROM names ORDER BY id",
        "SELECT format_number((SELECT sum(id) FROM names), 1) AS f FROM names LIMIT 1",
        "SELECT initcap(name) AS loud FROM names WHERE id > 100",
        "WITH o AS (SELECT id, region AS r FROM orders) SELECT initcap(r) AS loud FROM o WHERE id = 4",
        "SELECT parse_json('{\"a\": 1}'):a::int + id AS a FROM names ORDER BY id",
    ],
)
def test_outputs_that_differ_there_are_computed_here(both: Both, text: str) -> None:
    asked = len(Counted.asked)
    both.same(text)
    assert len(Counted.asked) > asked


def test_rows_that_are_written_may_be_finished_here(both: Both) -> None:
    both.desk.run("CREATE TABLE finished AS SELECT id, initcap(name) AS loud FROM names", warehouse_id=both.big)
    assert both.same("SELECT loud FROM finished ORDER BY id")
    error = both.desk.error("SELECT CAST(initcap(region) AS INT) AS n FROM orders WHERE id = 1", warehouse_id=both.big)
    assert error.code == "CAST_INVALID_INPUT"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT id + 2147483647 FROM names WHERE id = 1", "CAST_OVERFLOW"),
        ("SELECT sum(9223372036854775807 - id + id) FROM names", "CAST_OVERFLOW"),
        ("SELECT 1 / (id - id) FROM names", "DIVIDE_BY_ZERO"),
        ("SELECT nothing FROM names", "UNRESOLVED_COLUMN"),
        ("SELECT * FROM main.desk.nothing", "TABLE_OR_VIEW_NOT_FOUND"),
    ],
)
def test_wrong_values_are_told(both: Both, text: str, code: str) -> None:
    assert both.desk.error(text, warehouse_id=both.big).code.startswith(code)


def test_rights_are_those_of_the_caller(both: Both) -> None:
    desk, ada = both.desk, both.desk.as_("ada")
    assert ada.error("SELECT 1", warehouse_id=both.big).kind in {"NOT_FOUND", "PERMISSION_DENIED"}
    desk.lake.access.grants.grant(desk.ctx, both.big, "ada", [Privilege.EXECUTE])
    assert ada.rows("SELECT 1 AS a", warehouse_id=both.big) == [(1,)]
    assert ada.error("SELECT * FROM orders", warehouse_id=both.big).kind in {"NOT_FOUND", "PERMISSION_DENIED"}
    desk.run("CREATE FUNCTION only_north(r STRING) RETURNS BOOLEAN RETURN r = 'north'")
    desk.run("CREATE TABLE kept AS SELECT id, region FROM orders")
    desk.run("ALTER TABLE kept SET ROW FILTER only_north ON (region)")
    error = desk.error("SELECT count(*) FROM kept", warehouse_id=both.big)
    assert isinstance(error, UnsupportedFeature)
    desk.lake.access.grants.grant(desk.ctx, desk.lake.access.securables.metastore().id, "ada", [Privilege.CREATE_WAREHOUSE])
    with pytest.raises(PermissionDenied):
        desk.room.warehouses.create(ada.ctx, "mine", engine=WarehouseEngine.SPARK, url=both.url)


@pytest.mark.parametrize("url", ["", "http://host", "sc://host:1/;token=secret", "sc://ho st"])
def test_an_address_is_looked_at(both: Both, url: str) -> None:
    with pytest.raises(WarehouseInvalid):
        both.desk.room.warehouses.create(both.desk.ctx, "wrong", engine=WarehouseEngine.SPARK, url=url)


def test_a_statement_that_does_not_fit_is_shown_the_way_to_the_larger_warehouse(both: Both) -> None:
    error = both.desk.error("SELECT array_size(array_agg(repeat('x', 4000) || id)) AS n FROM range(3000000)")
    assert isinstance(error, OutOfMemory)
    assert error.details["warehouse"] == "big"
    assert "`big`" in error.hint


def test_warehouses_on_spark_are_securables(both: Both) -> None:
    assert both.desk.lake.access.securables.find(SecurableKind.WAREHOUSE, "big") is not None


def test_what_a_statement_reads_must_be_cleared_for_the_server(both: Both) -> None:
    desk, access = both.desk, both.desk.lake.access
    destination = f"warehouse:{both.big}"
    before = access.clearances.get(destination)
    assert (before.level, before.zone) == (Level.SECRET, "local")
    desk.run("CREATE TABLE pay (who STRING, kronor INT)")
    desk.run("INSERT INTO pay VALUES ('a', 1)")
    found = access.securables.resolve(desk.ctx, SecurableKind.TABLE, "main.desk.pay", None)
    access.labels.set(desk.ctx, found.id, Label(Level.CONFIDENTIAL, frozenset({"salary"})))
    assert desk.rows("SELECT kronor FROM pay", warehouse_id=both.big) == [(1,)]
    access.clearances.set(desk.ctx, Clearance(destination, level=Level.INTERNAL, categories=ALL, zone="local", keeps=False))
    try:
        asked = len(Counted.asked)
        for text in (
            "SELECT kronor FROM pay",
            "SELECT 1 FROM orders WHERE id IN (SELECT kronor FROM pay)",
            "CREATE TABLE copied AS SELECT * FROM pay",
        ):
            assert desk.error(text, warehouse_id=both.big).code == "FLOW_BLOCKED"
        # Those of tables are refreshed in the background, so these are kept for something that is none.
        kept = access.securables.resolve(desk.ctx, SecurableKind.SCHEMA, "main.desk", None)
        access.fingerprints.replace(kept.id, Label(Level.CONFIDENTIAL), ["SE-7741-XK-0032"])
        assert desk.error("SELECT 'SE-7741-XK-0032' AS pasted FROM orders", warehouse_id=both.big).code == "FLOW_BLOCKED"
        assert len(Counted.asked) == asked, "nothing was sent"
        assert desk.rows("SELECT count(*) FROM orders", warehouse_id=both.big) == [(1000,)]
        assert desk.rows("SELECT kronor FROM pay") == [(1,)], "the workers of this machine are no destination"
    finally:
        access.clearances.set(desk.ctx, before)


def test_a_server_elsewhere_receives_public_content_until_it_is_cleared(both: Both) -> None:
    desk, warehouses = both.desk, both.desk.room.warehouses
    away = warehouses.create(desk.ctx, "away", engine=WarehouseEngine.SPARK, url="sc://spark.example.com:15002")
    asked = len(Counted.asked)
    assert desk.error("SELECT count(*) FROM orders", warehouse_id=away.id).code == "FLOW_BLOCKED"
    assert len(Counted.asked) == asked
    warehouses.delete(desk.ctx, away.id)
    warehouses.delete(desk.ctx, (here := warehouses.create(desk.ctx, "here", engine=WarehouseEngine.SPARK, url="sc://localhost:1")).id)
    assert f"warehouse:{here.id}" not in [each.destination for each in desk.lake.access.clearances.fetch_all()]
