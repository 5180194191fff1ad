"""The change data feed: what every statement tells of its changes, who may read it, and that another reader reads the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from insjo.access.types import Label, Level, SecurableKind
from tests.support.desk import Desk

pytestmark = pytest.mark.slow

FEED = "TBLPROPERTIES (delta.enableChangeDataFeed = true)"


def _changes(desk: Desk, version: int, columns: str = "id, name", table: str = "fed") -> list[tuple[Any, ...]]:
    """What one version changed."""
    return desk.rows(f"SELECT _change_type, {columns} FROM table_changes('{table}', {version}, {version}) ORDER BY ALL")


def _version(desk: Desk, table: str = "fed") -> int:
    return int(desk.rows(f"DESCRIBE HISTORY {table}")[0][0])


def _by_others(desk: Desk, first: int = 0, table: str = "fed", columns: tuple[str, ...] = ("id", "name")) -> list[tuple[Any, ...]]:
    """The same feed as deltalake reads it."""
    import pyarrow as pa
    from deltalake import DeltaTable

    location = desk.lake.room.tables.get(desk.ctx, f"main.desk.{table}").location
    found = pa.table(DeltaTable(location).load_cdf(starting_version=first))
    return sorted((row["_commit_version"], row["_change_type"], *(row[each] for each in columns)) for row in found.to_pylist())


def _by_us(desk: Desk, first: int = 0, table: str = "fed", columns: tuple[str, ...] = ("id", "name")) -> list[tuple[Any, ...]]:
    return sorted(desk.rows(f"SELECT _commit_version, _change_type, {', '.join(columns)} FROM table_changes('{table}', {first})"))


@pytest.fixture(params=["", "PARTITIONED BY (name)"], ids=["whole", "partitioned"])
def fed(desk: Desk, request: pytest.FixtureRequest) -> Desk:
    """A table `fed` that tells its changes, in two versions."""
    desk.run(f"CREATE TABLE fed (id INT, name STRING) {request.param} {FEED}")
    desk.run("INSERT INTO fed VALUES (1, 'a'), (2, 'bb'), (3, 'c')")
    return desk


def test_each_statement_tells_its_changes(fed: Desk) -> None:
    assert _changes(fed, 1) == [("insert", 1, "a"), ("insert", 2, "bb"), ("insert", 3, "c")]
    fed.run("UPDATE fed SET name = concat(name, 'x') WHERE id < 3")
    assert _changes(fed, 2) == [
        ("update_postimage", 1, "ax"), ("update_postimage", 2, "bbx"), ("update_preimage", 1, "a"), ("update_preimage", 2, "bb"),
    ]  # fmt: skip
    fed.run("DELETE FROM fed WHERE id = 2")
    assert _changes(fed, 3) == [("delete", 2, "bbx")]
    fed.run("INSERT INTO fed VALUES (4, NULL)")
    fed.run("""MERGE INTO fed USING (SELECT * FROM VALUES (1, 'one'), (3, 'gone'), (9, 'new') AS v(k, n)) s ON fed.id = s.k
               WHEN MATCHED AND s.n = 'gone' THEN DELETE WHEN MATCHED THEN UPDATE SET name = s.n
               WHEN NOT MATCHED THEN INSERT (id, name) VALUES (k, n)""")
    assert _changes(fed, 5) == [
        ("delete", 3, "c"), ("insert", 9, "new"), ("update_postimage", 1, "one"), ("update_preimage", 1, "ax"),
    ]  # fmt: skip
    fed.run("INSERT INTO fed REPLACE WHERE id = 9 SELECT 9, 'nine'")
    assert _changes(fed, 6) == [("delete", 9, "new"), ("insert", 9, "nine")]
    fed.run("INSERT INTO fed REPLACE USING (id) SELECT 4, 'four'")
    assert _changes(fed, 7) == [("delete", 4, None), ("insert", 4, "four")]
    fed.run("INSERT OVERWRITE fed SELECT 5, 'five'")
    assert _changes(fed, 8) == [
        ("delete", 1, "one"), ("delete", 4, "four"), ("delete", 9, "nine"), ("insert", 5, "five"),
    ]  # fmt: skip
    fed.run("RESTORE TABLE fed TO VERSION AS OF 7")
    assert _changes(fed, 9) == [
        ("delete", 5, "five"), ("insert", 1, "one"), ("insert", 4, "four"), ("insert", 9, "nine"),
    ]  # fmt: skip
    fed.run("OPTIMIZE fed")
    fed.run("DELETE FROM fed")
    assert _changes(fed, _version(fed)) == [("delete", 1, "one"), ("delete", 4, "four"), ("delete", 9, "nine")]
    assert fed.rows("SELECT * FROM fed") == []
    assert _by_us(fed) == _by_others(fed)


def test_the_feed_played_back_gives_the_table(fed: Desk) -> None:
    for text in (
        "INSERT INTO fed SELECT id + 10, 'x' FROM range(50)",
        "UPDATE fed SET id = id + 1000 WHERE id % 3 = 0",
        (
            "MERGE INTO fed t USING (SELECT id + 20 AS k FROM range(60)) s ON t.id = s.k WHEN MATCHED THEN UPDATE SET name = 'm' "
            "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (k, 'n') WHEN NOT MATCHED BY SOURCE AND id > 1030 THEN DELETE"
        ),
        "DELETE FROM fed WHERE id IN (SELECT id FROM fed WHERE id % 5 = 0)",
        "INSERT INTO fed REPLACE ON (fed.id = s.id) (SELECT 21 AS id, 'r' AS name UNION ALL SELECT 5000, 'r') AS s",
    ):
        fed.run(text)
    held: dict[int, str] = {}
    for version in range(1, _version(fed) + 1):
        changes = _changes(fed, version)
        for kind, key, name in changes:
            if kind in {"delete", "update_preimage"}:
                assert held.pop(key) == name
        for kind, key, name in changes:
            if kind in {"insert", "update_postimage"}:
                assert key not in held
                held[key] = name
        assert sorted(held.items()) == fed.rows(f"SELECT id, name FROM fed VERSION AS OF {version} ORDER BY id")
    assert _by_us(fed) == _by_others(fed)


def test_a_value_that_differs_each_time_is_the_same_in_feed_and_table(desk: Desk) -> None:
    desk.run(f"CREATE TABLE fed (id INT, name STRING, x DOUBLE) {FEED}")
    desk.run("INSERT INTO fed SELECT id, 'a', 0 FROM range(20)")
    desk.run("UPDATE fed SET x = rand(), name = uuid() WHERE id > 4")
    now = desk.rows("SELECT id, name, x FROM fed WHERE id > 4 ORDER BY id")
    assert desk.rows("SELECT id, name, x FROM table_changes('fed', 2) WHERE _change_type = 'update_postimage' ORDER BY id") == now
    assert len({row[1] for row in now}) == 15
    location = Path(desk.lake.room.tables.get(desk.ctx, "main.desk.fed").location)
    actions = [json.loads(line) for line in (location / "_delta_log" / f"{2:020d}.json").read_text().splitlines()]
    told = {str(location / each["cdc"]["path"]) for each in actions if "cdc" in each}
    assert {str(path) for path in (location / "_change_data").rglob("*.parquet")} == told, "what was staged is gone"


def test_partition_values_that_a_path_must_escape(desk: Desk) -> None:
    desk.run(f"CREATE TABLE fed (id INT, name STRING) PARTITIONED BY (name) {FEED}")
    values = ["a b", "å/ä", "50%", "x=y", ""]
    for at, value in enumerate(values):
        desk.run("INSERT INTO fed VALUES (:id, :name)", parameters={"id": str(at), "name": value})
    desk.run("UPDATE fed SET id = id + 10")
    kept = [value or None for value in values]  # Delta keeps no empty text as a partition value.
    assert desk.rows("SELECT id, name FROM table_changes('fed', 6) WHERE _change_type = 'update_postimage' ORDER BY id") == [
        (at + 10, value) for at, value in enumerate(kept)
    ]
    assert desk.rows("SELECT id, name FROM table_changes('fed', 1, 5) ORDER BY id") == list(enumerate(kept))


def test_a_row_that_several_source_rows_delete_is_told_once(fed: Desk) -> None:
    fed.run("MERGE INTO fed USING (SELECT explode(array(1, 1, 1)) AS k) s ON fed.id = s.k WHEN MATCHED THEN DELETE")
    assert _changes(fed, 2) == [("delete", 1, "a")]


def test_merge_that_adds_a_column(fed: Desk) -> None:
    fed.run("MERGE WITH SCHEMA EVOLUTION INTO fed USING (SELECT 1 AS id, 'z' AS name, 7 AS more UNION ALL SELECT 8, 'y', 6) s "
            "ON fed.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")  # fmt: skip
    assert _changes(fed, 2, "id, name, more") == [
        ("insert", 8, "y", 6), ("update_postimage", 1, "z", 7), ("update_preimage", 1, "a", None),
    ]  # fmt: skip
    assert _changes(fed, 1, "id, more") == [("insert", 1, None), ("insert", 2, None), ("insert", 3, None)]


def test_ranges_by_version_and_moment(fed: Desk) -> None:
    fed.run("DELETE FROM fed WHERE id = 1")
    fed.run("DELETE FROM fed WHERE id = 2")
    moments = {row[0]: row[1] for row in fed.rows("DESCRIBE HISTORY fed")}
    at = {version: moment.isoformat() for version, moment in moments.items()}
    count = "SELECT count(*) FROM table_changes('fed', "
    assert fed.value(f"{count}1)") == 5
    assert fed.value(f"{count}2, 2)") == 1
    assert fed.value(f"{count}2, 900)") == 2
    assert fed.value(f"{count}'{at[2]}')") == 2
    assert fed.value(f"{count}TIMESTAMP '{at[1]}', '{at[2]}')") == 4
    assert fed.value(f"{count}'2020-01-01')") == 5
    assert fed.value("SELECT count(*) FROM table_changes(:t, CAST(:v AS INT))", parameters={"t": "main.desk.fed", "v": "3"}) == 1
    told = fed.rows("SELECT DISTINCT _commit_version, _commit_timestamp FROM table_changes('main.desk.fed', 1) ORDER BY 1")
    assert [(version, moment.astimezone(UTC)) for version, moment in told] == [
        (version, moments[version].astimezone(UTC)) for version in (1, 2, 3)
    ]
    assert isinstance(told[0][1], datetime)
    for arguments, code in (
        ("3, 1", "DELTA_INVALID_CDC_RANGE"),
        ("4", "DELTA_CDC_START_VERSION_AFTER_LATEST"),
        ("'2999-01-01'", "DELTA_TIMESTAMP_GREATER_THAN_COMMIT"),
        ("1, '2999-01-01'", "DELTA_TIMESTAMP_GREATER_THAN_COMMIT"),
        ("1, '2001-01-01'", "DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION"),
        ("NULL", "DELTA_CDC_READ_NULL_RANGE_BOUNDARY"),
        ("-1", "INVALID_ROUTINE_CALL"),
        ("1.5", "INVALID_ROUTINE_CALL"),
        ("1, 2, 3", "INVALID_ROUTINE_CALL"),
    ):
        assert fed.error(f"SELECT * FROM table_changes('fed', {arguments})").code == code, arguments


def test_what_was_not_recorded_is_told(desk: Desk) -> None:
    desk.run("CREATE TABLE plain (id INT)")
    desk.run("INSERT INTO plain VALUES (1), (2)")
    assert desk.error("SELECT * FROM table_changes('plain', 0)").code == "DELTA_MISSING_CHANGE_DATA"
    desk.run("ALTER TABLE plain SET TBLPROPERTIES (delta.enableChangeDataFeed = true)")
    desk.run("UPDATE plain SET id = 5 WHERE id = 1")
    assert desk.error("SELECT * FROM table_changes('plain', 1)").code == "DELTA_MISSING_CHANGE_DATA"
    assert _changes(desk, 3, "id", "plain") == [("update_postimage", 5), ("update_preimage", 1)]
    desk.run("ALTER TABLE plain UNSET TBLPROPERTIES (delta.enableChangeDataFeed)")
    desk.run("DELETE FROM plain WHERE id = 5")
    assert desk.error("SELECT * FROM table_changes('plain', 2)").code == "DELTA_MISSING_CHANGE_DATA"
    assert desk.value("SELECT count(*) FROM table_changes('plain', 2, 3)") == 2
    desk.run("CREATE VIEW v AS SELECT 1 AS a")
    assert desk.error("SELECT * FROM table_changes('v', 0)").code == "WRONG_COMMAND_FOR_OBJECT_TYPE"
    assert desk.error("SELECT * FROM table_changes('nothing', 0)").code == "TABLE_OR_VIEW_NOT_FOUND"
    assert desk.error(f"CREATE TABLE bad (_change_type INT) {FEED}").code == "RESERVED_CDC_COLUMNS_ON_WRITE"
    assert desk.error("CREATE TABLE bad (a INT) TBLPROPERTIES (delta.enableChangeDataFeed = 'maybe')").code == "DELTA_UNSUPPORTED_FEATURES"


def test_columns_that_went_and_files_that_are_gone(desk: Desk) -> None:
    desk.run(f"CREATE TABLE fed (id INT, name STRING) {FEED}")
    desk.run("INSERT INTO fed VALUES (1, 'a')")
    desk.run("ALTER TABLE fed RENAME COLUMN name TO title")
    assert desk.error("SELECT * FROM table_changes('fed', 1)").code == "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE"
    desk.run("UPDATE fed SET title = 'b'")
    assert _changes(desk, _version(desk), "id, title") == [("update_postimage", 1, "b"), ("update_preimage", 1, "a")]
    for file in (Path(desk.lake.room.tables.get(desk.ctx, "main.desk.fed").location) / "_change_data").rglob("*.parquet"):
        file.unlink()
    assert desk.error(f"SELECT * FROM table_changes('fed', {_version(desk)})").code == "DELTA_CHANGE_DATA_FILE_NOT_FOUND"


def test_a_replaced_table_and_a_failed_statement(fed: Desk) -> None:
    before = sorted((Path(fed.lake.room.tables.get(fed.ctx, "main.desk.fed").location)).rglob("*.parquet"))
    fed.run("ALTER TABLE fed ADD CONSTRAINT small CHECK (id < 100)")
    assert fed.error("UPDATE fed SET id = 500 WHERE id = 1").code == "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES"
    assert fed.error("MERGE INTO fed USING (SELECT 1 AS k) s ON id = k WHEN MATCHED THEN UPDATE SET id = 500").code == (
        "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES"
    )
    assert fed.error("INSERT INTO fed REPLACE WHERE id = 1 SELECT 2, 'x'").code == "INVALID_PARAMETER_VALUE"
    assert sorted((Path(fed.lake.room.tables.get(fed.ctx, "main.desk.fed").location)).rglob("*.parquet")) == before
    fed.run(f"CREATE OR REPLACE TABLE fed {FEED} AS SELECT 7 AS id, 'seven' AS name")
    assert _changes(fed, _version(fed)) == [("delete", 1, "a"), ("delete", 2, "bb"), ("delete", 3, "c"), ("insert", 7, "seven")]


def test_vacuum_keeps_what_the_feed_needs(fed: Desk) -> None:
    fed.run("UPDATE fed SET name = 'z' WHERE id = 1")
    location = Path(fed.lake.room.tables.get(fed.ctx, "main.desk.fed").location)
    told = list((location / "_change_data").rglob("*.parquet"))
    fed.run("VACUUM fed")
    assert told
    assert all(path.is_file() for path in told)


def test_rights_labels_masks_and_views(desk: Desk) -> None:
    desk.lake.person("ulla")
    desk.run(f"CREATE TABLE fed (id INT, name STRING) {FEED}")
    desk.run("INSERT INTO fed VALUES (1, 'canary'), (2, 'b')")
    desk.run("UPDATE fed SET name = 'canary2' WHERE id = 1")
    table = desk.lake.access.securables.find(SecurableKind.TABLE, "main.desk.fed")
    assert table
    desk.lake.access.labels.set(desk.ctx, table.id, Label(Level.SECRET, frozenset({"health"})), "name")
    ulla = desk.as_("ulla")
    text = "SELECT * FROM table_changes('main.desk.fed', 1)"
    missing = ulla.error(text.replace("fed", "no_such_table"))
    hidden = ulla.error(text)
    assert (hidden.code, hidden.message.replace("fed", "no_such_table")) == (missing.code, missing.message)
    assert desk.label(text) == "secret · health"
    assert desk.label("SELECT id, _change_type FROM table_changes('fed', 1)") == "internal"
    desk.run("CREATE VIEW shown AS SELECT id, _change_type AS kind, _commit_version AS version FROM table_changes('fed', 1)")
    for grant in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA desk", "SELECT ON VIEW shown"):
        desk.run(f"GRANT {grant} TO ulla")
    assert len(ulla.rows("SELECT * FROM shown")) == 4
    assert ulla.error(text).code == hidden.code
    desk.run("CREATE TABLE kept AS SELECT * FROM table_changes('fed', 2)")
    assert desk.label("SELECT name FROM kept") == "secret · health"
    desk.run("GRANT SELECT ON TABLE fed TO ulla")
    assert "canary" in repr(ulla.rows(text))
    desk.run("CREATE FUNCTION hide(v STRING) RETURNS STRING RETURN '*'")
    desk.run("ALTER TABLE fed ALTER COLUMN name SET MASK hide")
    assert {row[1] for row in ulla.rows(text)} == {"*"}
    assert ulla.rows("SELECT id FROM table_changes('fed', 1) WHERE name LIKE 'canary%'") == []
    desk.run("CREATE FUNCTION second(v INT) RETURNS BOOLEAN RETURN v = 2")
    desk.run("ALTER TABLE fed SET ROW FILTER second ON (id)")
    assert ulla.rows("SELECT id, _change_type FROM table_changes('fed', 0)") == [(2, "insert")]
    assert ulla.value("SELECT count(*) FROM table_changes('fed', 2)") == 0
