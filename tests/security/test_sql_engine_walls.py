"""Nothing but what was authorised reaches the engine: no file, no setting, no other statement, however it is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.desk import Desk, open_desk, open_engine

SECRET = "the secret beside the lake 7f3a9c"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    root = tmp_path_factory.mktemp("walls")
    (root / "outside.txt").write_text(SECRET, encoding="utf-8")
    with open_engine(root) as engine, open_desk(root / "lake", engine) as desk:
        (desk.lake.root / "inside.csv").write_text(f"{SECRET}\n", encoding="utf-8")
        desk.run("CREATE TABLE t (id INT, name STRING)")
        desk.run("INSERT INTO t VALUES (1, 'a')")
        yield desk


def _attacks(root: Path) -> list[str]:
    inside, outside = root / "inside.csv", root.parent / "outside.txt"
    files = [f"'{inside}'", f"'{outside}'", f"'{root}/insjo.db'", "'/etc/passwd'", f"'{root}/tables/*/*.parquet'"]
    calls = ("read_csv", "read_csv_auto", "read_text", "read_blob", "read_json", "read_parquet", "parquet_scan", "glob", "sniff_csv",
             "sqlite_scan", "delta_scan", "parquet_metadata", "parquet_schema", "query", "query_table", "duckdb_settings",
             "pragma_table_info", "duckdb_tables", "duckdb_functions", "getenv", "which_secret", "iceberg_scan")  # fmt: skip
    attacks = [f"SELECT * FROM {call}({file})" for call in calls for file in files[:3]]
    attacks += [f"SELECT {call}({file})" for call in calls for file in files[:3]]
    attacks += [f"SELECT * FROM {file}" for file in files]
    attacks += [f"SELECT * FROM `{file.strip(chr(39))}`" for file in files]
    attacks += [f"WITH x AS (SELECT * FROM {file}) SELECT * FROM x" for file in files]
    attacks += [f"SELECT * FROM t WHERE EXISTS (SELECT 1 FROM read_text({file}))" for file in files]
    attacks += [f"SELECT * FROM csv.`{file.strip(chr(39))}`" for file in files]
    attacks += [f"SELECT * FROM read_files({file}, format => 'csv')" for file in files]
    return attacks


STATEMENTS = [
    "EXECUTE IMMEDIATE 'COPY (SELECT 1) TO ''{root}/evil.csv'''",
    "EXECUTE IMMEDIATE 'SELECT * FROM read_text(''{root}/inside.csv'')'",
    "EXECUTE IMMEDIATE 'SELECT * FROM IDENTIFIER(?)' USING '{root}/inside.csv'",
    "COPY (SELECT 1) TO '{root}/evil.csv'",
    "COPY t FROM '{root}/inside.csv'",
    "COPY t TO '{root}/evil.csv' (FORMAT csv)",
    "ATTACH '{root}/evil.db' AS evil",
    "ATTACH DATABASE '{root}/insjo.db' AS x (TYPE sqlite)",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "EXPORT DATABASE '{root}/evil'",
    "IMPORT DATABASE '{root}/evil'",
    "CHECKPOINT",
    "CREATE MACRO f(a) AS a",
    "CREATE SECRET x (TYPE s3)",
    "CREATE TEMP TABLE x AS SELECT 1",
    "SELECT 1; COPY (SELECT 1) TO '{root}/evil.csv'",
    "WITH x AS (INSERT INTO t VALUES (9, 'x') RETURNING id) SELECT * FROM x",
    "WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x",
    "SELECT * FROM (COPY (SELECT 1) TO '{root}/evil.csv')",
    "SELECT 1 INTO evil FROM t",
    "SELECT * FROM t FOR UPDATE",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/evil.csv'",
    "DESCRIBE QUERY COPY (SELECT 1) TO '{root}/evil.csv'",
    "CREATE TABLE evil USING CSV LOCATION '{root}' AS SELECT 1",
    "INSERT OVERWRITE DIRECTORY '{root}' SELECT 1",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM information_schema.duckdb_settings",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM main.pg_class",
    "SELECT * FROM system.main.duckdb_settings",
    "SELECT * FROM temp.information_schema.tables",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "SELECT * FROM __insjo_r0",
    "SELECT __insjo_file FROM t",
    "SELECT filename FROM t",
    "SELECT file_row_number FROM t",
    "SELECT rowid FROM t",
    "SELECT t FROM t",
    "SELECT COLUMNS('.*') FROM t",
    "SELECT * FROM t AT (VERSION => 1)",
    "SELECT @@version",
    "SELECT ${{x}}",
    "SELECT nextval('x')",
    "SELECT error('x')",
    "SELECT * FROM stream(t)",
    "SELECT TRANSFORM (id) USING 'cat' FROM t",
]


def test_no_function_or_name_reads_a_file(desk: Desk) -> None:
    for attack in _attacks(desk.lake.root):
        error = desk.error(attack)
        assert SECRET not in str(error), attack
        assert error.kind in {"INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"}, f"{attack}: {error!r}"
        assert not error.code.startswith("INTERNAL"), attack


@pytest.mark.parametrize("text", STATEMENTS)
def test_other_statements_and_names_of_the_engine_are_refused(desk: Desk, text: str) -> None:
    error = desk.error(text.format(root=desk.lake.root))
    assert error.kind in {"INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "FAILED_PRECONDITION"}, repr(error)
    assert error.code != "STATEMENT_FAILED", f"this reached the engine: {error!r}"
    assert desk.rows("SELECT id, name FROM t") == [(1, "a")]
    assert not list(desk.lake.root.rglob("evil*"))


def test_texts_cannot_leave_their_quotes(desk: Desk) -> None:
    nasty = [
        "'",
        "''",
        "\\'",
        '"',
        '""',
        "\\",
        "\n",
        "--",
        "/*",
        "*/",
        ";",
        "$$",
        "\x01",
        "é",
        "'; DROP TABLE t; --",
        '" OR 1=1 --',
        "{0}",
        "%s",
    ]
    for value in nasty:
        assert desk.value("SELECT :v", parameters={"v": value}) == value
        assert desk.rows("SELECT name FROM t WHERE name = :v", parameters={"v": value}) == []
        name = value.replace("`", "``")
        result = desk.run(f"SELECT 1 AS `{name}`")
        assert result.table.column_names == [value]
    desk.run("CREATE TABLE odd (`a\"b` INT, `c'd` STRING)")
    desk.run("INSERT INTO odd VALUES (1, 'x')")
    assert desk.rows("SELECT `a\"b`, `c'd` FROM odd WHERE `c'd` = 'x'") == [(1, "x")]
    desk.run('UPDATE odd SET `a"b` = `a"b` + 1')
    assert desk.rows("SELECT * FROM odd") == [(2, "x")]
    assert desk.rows("SELECT id, name FROM t") == [(1, "a")]
