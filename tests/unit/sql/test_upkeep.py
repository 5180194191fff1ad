"""OPTIMIZE, clustering and VACUUM; and what a table tells of its keys, checks and files."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq

from insjo.catalog.types import TableName
from tests.support.desk import Desk


def _files(desk: Desk, table: str) -> set[str]:
    location = Path(desk.lake.room.tables.get(desk.ctx, TableName("main", "desk", table)).location)
    return {str(path.relative_to(location)) for path in location.rglob("*.parquet") if "_delta_log" not in path.parts}


def test_rows_are_sorted_by_what_a_table_is_clustered_by(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INT, b INT) CLUSTER BY (b)")
    assert ("clusteringColumns", '[["b"]]') in desk.rows("SHOW TBLPROPERTIES t")
    desk.run("INSERT INTO t SELECT id, 1000 - id FROM range(500)")
    desk.run("INSERT INTO t SELECT id, id * 7 % 1000 FROM range(500)")
    before = desk.rows("SELECT * FROM t ORDER BY a, b")
    desk.run("OPTIMIZE t")
    (new,) = desk.lake.room.tables.snapshot(desk.lake.room.tables.get(desk.ctx, TableName("main", "desk", "t")).id).files
    values = pq.read_table(new.path).column("b").to_pylist()
    assert values == sorted(values)
    assert desk.rows("SELECT * FROM t ORDER BY a, b") == before
    desk.run("OPTIMIZE t ZORDER BY (a)")
    (new,) = desk.lake.room.tables.snapshot(desk.lake.room.tables.get(desk.ctx, TableName("main", "desk", "t")).id).files
    values = pq.read_table(new.path).column("a").to_pylist()
    assert values == sorted(values)
    assert desk.error("OPTIMIZE t ZORDER BY (c)").code == "UNRESOLVED_COLUMN"
    assert desk.error("OPTIMIZE t WHERE a = 1").code == "INVALID_PARAMETER_VALUE"
    desk.run("ALTER TABLE t CLUSTER BY NONE")
    assert desk.rows("SHOW TBLPROPERTIES t") == []


def test_one_partition_is_put_together(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INT, p STRING) PARTITIONED BY (p)")
    for at in range(2):
        desk.run(f"INSERT INTO t VALUES ({at}, 'x'), ({at}, 'y')")
    desk.run("OPTIMIZE t WHERE p = 'x'")
    snapshot = desk.lake.room.tables.snapshot(desk.lake.room.tables.get(desk.ctx, TableName("main", "desk", "t")).id)
    assert sorted(str(file.partition_values["p"]) for file in snapshot.files) == ["x", "y", "y"]


def test_vacuum_deletes_only_what_nobody_can_need(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INT, p STRING) PARTITIONED BY (p)")
    desk.run("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    desk.run("UPDATE t SET a = 5 WHERE p = 'x'")
    name = TableName("main", "desk", "t")
    table = desk.lake.room.tables.get(desk.ctx, name)
    stray, young = Path(table.location) / "p=x" / "stray.parquet", Path(table.location) / "young.parquet"
    for path in (stray, young):
        path.write_bytes(b"not committed")
    os.utime(stray, (1, 1))
    every = _files(desk, "t")
    assert desk.rows("VACUUM t DRY RUN") == [("p=x/stray.parquet",)], "what a killed writer left, and nothing of the last week"
    desk.run("VACUUM t")
    assert _files(desk, "t") == every - {"p=x/stray.parquet"}
    assert desk.error("VACUUM t RETAIN 0 HOURS").code == "DELTA_VACUUM_RETENTION_PERIOD_TOO_SHORT"
    desk.run("ALTER TABLE t SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 0 hours')")
    assert desk.error("VACUUM t RETAIN 0 HOURS").code == "DELTA_VACUUM_RETENTION_PERIOD_TOO_SHORT", "statements may still be reading"
    for path in Path(table.location).rglob("*.parquet"):
        os.utime(path, (1, 1))
    gone = desk.lake.room.tables.vacuum(desk.ctx, name, retain_s=0, dry_run=False)
    assert len(gone) == 2, "the file before the update and the other stray one"
    assert desk.rows("SELECT * FROM t ORDER BY a") == [(2, "y"), (5, "x")]
    assert desk.error("SELECT * FROM t@v1").code == "DELTA_FILE_NOT_FOUND"
    assert desk.error("RESTORE TABLE t TO VERSION AS OF 1").code == "DELTA_FILE_NOT_FOUND"


def test_vacuum_needs_the_right_to_change_the_table(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INT)")
    bob = desk.as_("bob")
    assert bob.error("VACUUM t").code == "TABLE_OR_VIEW_NOT_FOUND"
    for grant in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.desk", "SELECT ON TABLE t"):
        desk.run(f"GRANT {grant} TO bob")
    assert bob.error("VACUUM t").kind == "PERMISSION_DENIED"


def test_what_a_table_tells_of_itself(desk: Desk) -> None:
    desk.run(
        "CREATE TABLE a (id BIGINT GENERATED ALWAYS AS IDENTITY, x DECIMAL(10, 2) DEFAULT 7, y STRING GENERATED ALWAYS AS (upper('k')) "
        "COMMENT 'c', CONSTRAINT pos CHECK (x > 0), CONSTRAINT apk PRIMARY KEY (id) RELY)",
    )
    desk.run("CREATE TABLE b (aid BIGINT, CONSTRAINT fk FOREIGN KEY (aid) REFERENCES a)")
    made = desk.value("SHOW CREATE TABLE a")
    desk.run(made.replace("main.desk.a", "main.desk.copy"))
    assert desk.value("SHOW CREATE TABLE copy") == made.replace("desk.a ", "desk.copy ")
    assert "CONSTRAINT fk FOREIGN KEY (aid) REFERENCES main.desk.a (id)" in desk.value("SHOW CREATE TABLE b")
    assert ("aid", "main", "desk", "b", 1, "fk") in desk.rows("SHOW FOREIGN KEYS IN CATALOG main")
    detail = desk.run("DESCRIBE DETAIL a").table.to_pylist()[0]
    assert detail["tableFeatures"] == ["allowColumnDefaults", "checkConstraints", "generatedColumns", "identityColumns"]
    assert ("delta.constraints.pos", "x > 0") in detail["properties"]
    told = desk.rows(
        "SELECT k.table_name, k.column_name, u.table_name FROM main.information_schema.key_column_usage k "
        "JOIN main.information_schema.referential_constraints r USING (constraint_catalog, constraint_schema, constraint_name) "
        "JOIN main.information_schema.key_column_usage u ON u.constraint_name = r.unique_constraint_name AND u.table_name = 'a'",
    )
    assert told == [("b", "aid", "a")]
    columns = desk.rows(
        "SELECT column_name, column_default, is_identity, generation_expression, numeric_precision, numeric_scale "
        "FROM system.information_schema.columns WHERE table_name = 'a' ORDER BY ordinal_position",
    )
    assert columns == [("id", None, "YES", None, 19, 0), ("x", "7", "NO", None, 10, 2), ("y", None, "NO", "upper('k')", None, None)]
    bob = desk.as_("bob")
    for grant in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.desk", "SELECT ON TABLE b"):
        desk.run(f"GRANT {grant} TO bob")
    assert "main.desk.a" not in bob.value("SHOW CREATE TABLE b"), "a key to a hidden table does not name it"
    assert bob.rows("SELECT * FROM main.information_schema.referential_constraints") == []
    assert bob.rows("SELECT position_in_unique_constraint FROM main.information_schema.key_column_usage") == [(None,)]


def test_a_computed_column_has_the_label_of_what_it_is_computed_from(desk: Desk) -> None:
    desk.run("CREATE TABLE p (pnr STRING, year STRING GENERATED ALWAYS AS (substr(pnr, 1, 4)), other INT)")
    desk.run("INSERT INTO p (pnr, other) VALUES ('197001010000', 1)")
    found = desk.lake.room.tables.get(desk.ctx, TableName("main", "desk", "p"))
    from insjo.access.types import Label, Level

    desk.lake.access.labels.set(desk.ctx, found.id, Label(Level.SECRET), "pnr")
    assert desk.label("SELECT year FROM p").startswith("secret")
    assert not desk.label("SELECT other FROM p").startswith("secret")
    desk.run("ALTER TABLE p ADD COLUMN plain STRING")
    desk.run("CREATE TABLE q (pnr STRING)")
    q = desk.lake.room.tables.get(desk.ctx, TableName("main", "desk", "q"))
    desk.lake.access.labels.set(desk.ctx, q.id, Label(Level.SECRET), "pnr")
    desk.run("INSERT INTO q VALUES ('1')")
    desk.run("ALTER TABLE q RENAME COLUMN pnr TO number")
    assert desk.label("SELECT number FROM q").startswith("secret")
    assert desk.label("SELECT pnr FROM q@v1").startswith("secret"), "older versions have the old name, and its label"
