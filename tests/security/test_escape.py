"""Hundreds of ways out, through every door, tried by somebody with a corner of their own: none leads anywhere, and the server lives.

What must not be told: a file outside the lake, a file of the lake itself, what somebody else keeps in it, and secrets of the server.
"""

from __future__ import annotations

from http import HTTPStatus
from itertools import product
from urllib.parse import quote

from tests.security.conftest import CANARY, FAILED, OUTSIDE, Answer, Prisoner, without

ATTEMPTS_MIN = 600


def targets_of(prisoner: Prisoner) -> list[str]:
    """Files worth reading, and ways to write them."""
    outside, data = str(prisoner.outside / "plain.csv"), str(prisoner.data)
    return [
        outside,
        f"file://{outside}",
        f"{prisoner.volume}/../../../../..{outside}",
        f"{prisoner.volume}/%2e%2e/%2e%2e{outside}",
        f"{data}/insjo.db",
        f"{data}/../outside/plain.csv",
        f"{data}/**/*.parquet",
        "/etc/passwd",
        "/proc/self/environ",
        "http://127.0.0.1:1/x.csv",
        "s3://bucket/x.csv",
        prisoner.guarded.ids["file"],
    ]


FUNCTIONS = tuple(
    """
    read_csv read_csv_auto read_text read_blob read_json read_json_auto read_ndjson read_parquet parquet_scan parquet_metadata
    parquet_schema parquet_file_metadata parquet_kv_metadata glob sniff_csv delta_scan iceberg_scan sqlite_scan postgres_scan
    mysql_scan arrow_scan query query_table getenv which_secret duckdb_secrets duckdb_settings duckdb_tables duckdb_columns
    duckdb_databases duckdb_functions duckdb_extensions duckdb_logs duckdb_memory duckdb_temporary_files pragma_database_list
    pragma_table_info pragma_storage_info pragma_version current_setting set_config getvariable read_duckdb load_aws_credentials
    checkpoint force_checkpoint enable_logging test_all_types repeat_row unnest in_search_path nextval txid_current write_log
    parse_path input_file_block_start java_method reflect reflect2 try_reflect secret http_request ai_query remote_query
    xpath_file st_read __internal_decompress_string add_parquet_key sql_auto_complete seq_scan icu_sort_key pandas_scan
    python_map_function
    """.split()  # noqa: SIM905  # Seventy names read better as words.
)


def test_no_function_of_the_engine_opens_a_file(prisoner: Prisoner) -> None:
    targets = targets_of(prisoner)
    for name, target in product(FUNCTIONS, targets[:1] + targets[4:5] + targets[7:8]):
        prisoner.refused(f"SELECT * FROM {name}('{target}')")
        state = prisoner.attempt(f"SELECT {name}('{target}')")
        assert state in FAILED, name


PLACES = (
    "SELECT * FROM '{0}'",
    "SELECT * FROM `{0}`",
    'SELECT * FROM "{0}"',
    "SELECT * FROM csv.`{0}`",
    "SELECT * FROM json.`{0}`",
    "SELECT * FROM parquet.`{0}`",
    "SELECT * FROM text.`{0}`",
    "SELECT * FROM binaryFile.`{0}`",
    "SELECT * FROM delta.`{0}`",
    "SELECT * FROM read_files('{0}', format => 'text')",
    "SELECT * FROM read_files('{0}', format => 'binaryFile')",
    "LIST '{0}'",
    "COPY INTO t FROM '{0}' FILEFORMAT = CSV",
    "COPY INTO t FROM (SELECT * FROM '{0}') FILEFORMAT = CSV",
    "CREATE TABLE stolen USING CSV LOCATION '{0}'",
    "CREATE TABLE stolen USING DELTA LOCATION '{0}'",
    "CREATE TABLE stolen USING PARQUET OPTIONS (path '{0}')",
    "CREATE EXTERNAL VOLUME stolen LOCATION '{0}'",
    "CREATE TEMPORARY VIEW stolen AS SELECT * FROM text.`{0}`",
    "INSERT INTO t SELECT * FROM text.`{0}`",
    "WITH x AS (SELECT * FROM text.`{0}`) SELECT * FROM x",
    "SELECT (SELECT max(value) FROM text.`{0}`)",
    "SELECT * FROM t JOIN text.`{0}` ON true",
    "EXECUTE IMMEDIATE 'SELECT * FROM text.`{0}`'",
    "SELECT * FROM IDENTIFIER('{0}')",
    "DESCRIBE HISTORY delta.`{0}`",
    "VACUUM delta.`{0}`",
    "OPTIMIZE delta.`{0}`",
    "RESTORE TABLE delta.`{0}` TO VERSION AS OF 0",
    "CONVERT TO DELTA parquet.`{0}`",
    "ANALYZE TABLE delta.`{0}` COMPUTE STATISTICS",
    "MSCK REPAIR TABLE `{0}`",
    "CREATE TABLE stolen DEEP CLONE delta.`{0}`",
    "CREATE TABLE stolen SHALLOW CLONE delta.`{0}`",
    "SELECT * FROM table_changes('{0}', 0)",
    "COPY (SELECT 1) TO '{0}'",
    "COPY t TO '{0}'",
    "INSERT OVERWRITE DIRECTORY '{0}' USING csv SELECT 1",
    "EXPORT DATABASE '{0}'",
    "IMPORT DATABASE '{0}'",
    "ATTACH '{0}' AS stolen",
    "ATTACH '{0}' (TYPE sqlite)",
    "LOAD '{0}'",
    "INSTALL '{0}'",
    "ADD JAR '{0}'",
    "ADD FILE '{0}'",
    "PUT '{0}' INTO '/Volumes/cell/own/box/x' OVERWRITE",
    "GET '{0}' TO '/away/x'",
    "REMOVE '{0}'",
    "SOURCE '{0}'",
    "CREATE FUNCTION stolen AS 'x' USING JAR '{0}'",
)


def test_no_place_in_a_statement_takes_a_path_out_of_the_lake(prisoner: Prisoner) -> None:
    for place, target in product(PLACES, targets_of(prisoner)):
        prisoner.refused(place.format(target))


STATEMENTS = (
    "PRAGMA database_list",
    "PRAGMA disable_checkpoint_on_shutdown",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL spatial FROM community",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET memory_limit = '1TB'",
    "SET temp_directory = '/tmp'",
    "SET allowed_directories = ['/']",
    "SET GLOBAL threads = 99",
    "SET custom_user_agent = 'x'",
    "CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')",
    "DROP SECRET s",
    "CREATE MACRO f(a) AS a",
    "CREATE TYPE x AS ENUM ('a')",
    "CREATE SEQUENCE s",
    "CREATE INDEX i ON t (id)",
    "DETACH memory",
    "USE memory",
    "USE system.main",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "VACUUM ANALYZE",
    "BEGIN TRANSACTION",
    "COMMIT",
    "ROLLBACK",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "SHOW ALL TABLES",
    "SUMMARIZE t",
    "PIVOT t ON id",
    "SELECT 1; SELECT 2",
    "SELECT 1;;DROP TABLE t",
    "SELECT 1 /* x */; COPY t TO '/away/x'",
    "SELECT 1\x00; DROP TABLE t",
    "SELECT 1 -- \n; DROP TABLE t",
    "SELECT /*+ HINT */ 1; DROP TABLE t",
    "EXPLAIN ANALYZE COPY t TO '/away/x'",
    "DESCRIBE COPY t TO '/away/x'",
    "SELECT * FROM (DELETE FROM t RETURNING *)",
    "EXECUTE IMMEDIATE 'SET x = 1; SELECT 1'",
    "EXECUTE IMMEDIATE 'EXECUTE IMMEDIATE ''PRAGMA version'''",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM duckdb_logs",
    "SELECT * FROM memory.main.sqlite_master",
    "SELECT * FROM temp.main.x",
    "SELECT * FROM __insjo_source",
    "SELECT * FROM __insjo_rows_0",
    "SELECT * FROM __insjo_v0",
    "SELECT __insjo_file FROM t",
    "SELECT filename FROM t",
    "SELECT rowid FROM t",
    "SELECT file_row_number FROM t",
    "SELECT COLUMNS('.*') FROM t",
    "SELECT * FROM t AT (VERSION => 0)",
    "SELECT TRANSFORM(id) USING 'cat /etc/passwd' FROM t",
    "CREATE FUNCTION f(x STRING) RETURNS STRING LANGUAGE PYTHON AS $$ import os; return open('/etc/passwd').read() $$",
    "CREATE FUNCTION f() RETURNS TABLE (a STRING) RETURN SELECT * FROM text.`/etc/passwd`",
    "SELECT ${env:HOME}",
    "SELECT ${system:user.dir}",
    "SET spark.sql.extensions = x",
    "SELECT * FROM read_files('/Volumes/cell/own/box', '' => '')",
    "SELECT * FROM t TABLESAMPLE (1 ROWS) REPEATABLE ((SELECT 1))",
    "SELECT java_method('java.lang.System', 'getenv')",
    "GRANT ALL PRIVILEGES ON METASTORE TO mallory",
    "GRANT SELECT ON CATALOG system TO mallory",
    "ALTER CATALOG cell OWNER TO mallory",
    "ALTER SCHEMA cell.own OWNER TO mallory",
    "REVOKE ALL PRIVILEGES ON CATALOG cell FROM admin",
    "CREATE CATALOG more",
    "DROP CATALOG cell CASCADE",
)


def test_no_statement_changes_settings_leaves_the_language_or_takes_rights(prisoner: Prisoner) -> None:
    done = [text for text in STATEMENTS if prisoner.attempt(text) not in FAILED]
    assert done == []
    prisoner.attempt("RESET lock_configuration")  # Takes back a setting of the session, which has none of that name.
    assert prisoner.door.must("SELECT * FROM cell.own.t")["result"]["data_array"] == [["1", "a"]]


def disguises_of(name: str, column: str) -> list[str]:
    """Ways to name a table that is not theirs."""
    short = name.rpartition(".")[2]
    quoted = ".".join(f"`{part}`" for part in name.split("."))
    return [
        f"SELECT * FROM {name}",
        f"SELECT * FROM {quoted}",
        f"SELECT * FROM {name.upper()}",
        f"SELECT * FROM {name} VERSION AS OF 0",
        f"SELECT * FROM {name}@v0",
        f"SELECT count(*) FROM {name}",
        f"SELECT 1 FROM {name} LIMIT 0",
        f"TABLE {name}",
        f"DESCRIBE {name}",
        f"DESCRIBE EXTENDED {name}",
        f"DESCRIBE HISTORY {name}",
        f"DESCRIBE DETAIL {name}",
        f"SHOW COLUMNS IN {name}",
        f"SHOW CREATE TABLE {name}",
        f"SHOW TBLPROPERTIES {name}",
        f"SHOW GRANTS ON TABLE {name}",
        f"SHOW PARTITIONS {name}",
        f"SELECT * FROM IDENTIFIER('{name}')",
        f"SELECT * FROM IDENTIFIER('{name.split('.', maxsplit=1)[0]}' || '.{name.split('.', 1)[1]}')",
        f"EXECUTE IMMEDIATE 'SELECT * FROM {name}'",
        f"CREATE VIEW cell.own.v AS SELECT * FROM {name}",
        f"CREATE TEMPORARY VIEW v AS SELECT * FROM {name}",
        f"CREATE TABLE cell.own.copied AS SELECT * FROM {name}",
        f"INSERT INTO t SELECT 1, {column} FROM {name}",
        f"MERGE INTO t USING {name} AS s ON false WHEN NOT MATCHED THEN INSERT (id, name) VALUES (1, s.{column})",
        f"UPDATE t SET name = (SELECT max({column}) FROM {name})",
        f"DELETE FROM t WHERE name IN (SELECT {column} FROM {name})",
        f"SELECT * FROM t WHERE EXISTS (SELECT 1 FROM {name} WHERE {column} LIKE 'k%')",
        f"SELECT (SELECT max({column}) FROM {name})",
        f"WITH {short} AS (SELECT * FROM {name}) SELECT * FROM {short}",
        f"SELECT * FROM t, LATERAL (SELECT * FROM {name}) AS l",
        f"SELECT * FROM {name} TABLESAMPLE (10 PERCENT)",
        f"SELECT * FROM table_changes('{name}', 0)",
        f"EXPLAIN SELECT * FROM {name}",
        f"CREATE TABLE cell.own.copied SHALLOW CLONE {name}",
        f"CREATE TABLE cell.own.copied DEEP CLONE {name}",
        f"CREATE TABLE cell.own.copied LIKE {name}",
        f"CREATE FUNCTION cell.own.f() RETURNS STRING RETURN (SELECT max({column}) FROM {name})",
        f"TRUNCATE TABLE {name}",
        f"DROP TABLE {name}",
        f"ALTER TABLE {name} ADD COLUMN x INT",
        f"ALTER TABLE {name} RENAME TO cell.own.taken",
        f"COMMENT ON TABLE {name} IS 'x'",
        f"OPTIMIZE {name}",
        f"VACUUM {name}",
        f"RESTORE TABLE {name} TO VERSION AS OF 0",
        f"ANALYZE TABLE {name} COMPUTE STATISTICS",
        f"REFRESH TABLE {name}",
        f"GRANT SELECT ON TABLE {name} TO mallory",
        f"ALTER TABLE {name} OWNER TO mallory",
        f"COPY INTO {name} FROM '/Volumes/cell/own/box' FILEFORMAT = CSV",
        f"SELECT * FROM cell.own.t UNION ALL SELECT 1, {column} FROM {name}",
        f"SELECT * FROM (VALUES (1)) AS v(x) WHERE x = (SELECT count(*) FROM {name})",
        f"SELECT max(name) OVER (ORDER BY (SELECT max({column}) FROM {name})) FROM t",
        f"DECLARE VARIABLE x STRING DEFAULT (SELECT max({column}) FROM {name})",
    ]


def test_nobody_elses_table_is_reached_by_any_name(prisoner: Prisoner) -> None:
    ids = prisoner.guarded.ids
    theirs = f"{ids['catalog']}.{ids['schema']}.{ids['table']}"
    for text in disguises_of(theirs, f"{CANARY}_col"):
        prisoner.refused(text)
    for text in disguises_of("system.access.audit", "reason")[:8]:
        prisoner.attempt(text)
    assert prisoner.guarded.admin.must(f"SELECT * FROM {theirs}")["result"]["data_array"] == [[CANARY, "1"]]


NASTY = (
    "'",
    "''",
    '"',
    "`",
    "\\",
    "\\'",
    "'; DROP TABLE t; --",
    "' UNION SELECT * FROM read_text('/etc/passwd') --",
    "') FROM read_text('/etc/passwd') --",
    "/*",
    "*/",
    "--",
    "$$",
    "$x$",
    ":v",
    "?",
    "{{x}}",
    "${x}",
    "%s",
    "\x01",
    "\u2028",
    "\u202e",
    "\ufeff",
    "\uff07",
    "\u02bc",
    "\uff07; DROP",
    "💥",
    "a" * 5000,
    "/*scan 0*/",
    "__insjo_source",
    "E'\\x27'",
    "U&'\\0027'",
    "x'27'",
    "\r\n",
    "\t",
    "1e309",
    "NaN",
    "NULL",
    "-- \n SELECT",
    "] , ['/etc/passwd'",
)


def test_no_value_leaves_its_quotes(prisoner: Prisoner) -> None:
    for value in NASTY:
        parameter = {"name": "v", "value": value, "type": "STRING"}
        body = {
            "statement": "SELECT :v, (SELECT count(*) FROM cell.own.t WHERE name = :v)",
            "parameters": [parameter],
            "wait_timeout": "50s",
        }
        answer = prisoner.door.call("POST", "/api/2.0/sql/statements", body)
        prisoner.told(answer, value)
        assert answer.json()["result"]["data_array"] == [[value, "0"]], value
        name = value.replace("`", "``")
        prisoner.attempt(f"SELECT 1 AS `{name}`")
        prisoner.attempt(f"SELECT * FROM `{name}`")
        prisoner.attempt(f"SELECT '{value}'")
        prisoner.attempt(f"SELECT 1 {value}")
        for row in ({"name": value, "value": "1", "type": "INT"}, {"name": "v", "value": value, "type": value}):
            prisoner.attempt("SELECT :v", parameters=[row])
        prisoner.attempt("SELECT 1", catalog=value, schema=value)
        prisoner.attempt("SELECT * FROM IDENTIFIER(:v)", parameters=[parameter])
    assert prisoner.door.must("SELECT * FROM cell.own.t")["result"]["data_array"] == [["1", "a"]]


def test_no_path_of_the_files_door_leaves_the_volume(prisoner: Prisoner) -> None:
    outside = str(prisoner.outside / "plain.txt")
    climbs = ["..", "%2e%2e", "..%2f", "%252e%252e", "....//", "..%5c", "..\\", "%c0%ae%c0%ae", ".%00.", "\uff0e\uff0e"]
    paths = [f"{prisoner.volume}/{'/'.join([climb] * 8)}{outside}" for climb in climbs]
    paths += [f"{prisoner.volume}/in.csv/{climb}/{climb}/{climb}/etc/passwd" for climb in climbs]
    paths += [
        outside,
        "/etc/passwd",
        "/proc/self/environ",
        f"{prisoner.data}/insjo.db",
        prisoner.guarded.ids["file"],
        "/Volumes",
        "/Volumes/..",
        "//etc/passwd",
    ]
    paths += [f"{prisoner.volume}\x00/../x", "/Workspace/../etc/passwd", "/dbfs/etc/passwd", "file:///etc/passwd"]
    for path in paths:
        for method, place in product(("GET", "PUT", "DELETE", "HEAD"), ("files", "directories")):
            url = f"/api/2.0/fs/{place}{path if path.startswith('/') else '/' + path}".replace("\x00", "%00").replace("\\", "%5c")
            answer = prisoner.door.call(method, quote(url, safe="/%"), raw=b"evil" if method == "PUT" else None)
            body = without(answer.body, path)  # The name of a volume that is asked for is said back.
            prisoner.told(Answer(answer.status, body, answer.headers), f"{method} {path}", path)
    assert (prisoner.outside / "plain.txt").read_text(encoding="utf-8").count(OUTSIDE) == 1
    assert prisoner.guarded.admin.call("GET", f"/api/2.0/fs/files{prisoner.guarded.ids['file']}").status == HTTPStatus.OK


def test_a_link_in_a_volume_leads_nowhere(prisoner: Prisoner) -> None:
    folders = [path.parent for path in prisoner.data.rglob("in.csv")]
    assert folders
    (folders[0] / "link.csv").symlink_to(prisoner.outside / "plain.csv")
    (folders[0] / "folder").symlink_to(prisoner.outside)
    for path in ("link.csv", "folder/plain.csv", "folder/plain.txt"):
        prisoner.told(prisoner.door.call("GET", f"/api/2.0/fs/files{prisoner.volume}/{path}"), path)
        for place in PLACES[3:14]:
            prisoner.attempt(place.format(f"{prisoner.volume}/{path}"))
    prisoner.told(prisoner.door.call("GET", f"/api/2.0/fs/directories{prisoner.volume}/folder"), "a linked folder")
    for pattern in ("*", "**", "*.csv", "{link,in}.csv", "[l]ink.csv", "folder/*"):
        for place in PLACES[3:14]:
            prisoner.attempt(place.format(f"{prisoner.volume}/{pattern}"))


def test_statements_and_links_of_others_do_not_exist(prisoner: Prisoner) -> None:
    admin, theirs = prisoner.guarded.admin, prisoner.guarded.ids["statement_id"]
    body = {"statement": "SELECT * FROM cell.own.t", "wait_timeout": "50s", "disposition": "EXTERNAL_LINKS", "format": "ARROW_STREAM"}
    link = admin.call("POST", "/api/2.0/sql/statements", body).json()["result"]["external_links"][0]["external_link"]
    path = link[link.index("/api/") :]
    for method, url in product(
        ("GET", "DELETE"), (f"/api/2.0/sql/statements/{theirs}", f"/api/2.0/sql/statements/{theirs}/result/chunks/0")
    ):
        answer = prisoner.door.call(method, url)
        assert answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.NOT_IMPLEMENTED}, url
    assert prisoner.door.call("POST", f"/api/2.0/sql/statements/{theirs}/cancel", {}).status == HTTPStatus.NOT_FOUND
    signature = path.partition("signature=")[2]
    forged = [
        path.replace(signature, word) for word in ("", "0" * len(signature), signature[:-1], signature + "0", signature.swapcase(), "é")
    ]
    forged += [
        path.replace("expires=", "expires=9"),
        path.replace("principal=", "principal=x"),
        path.replace("/0?", "/1?"),
        path.replace("/0?", "/-1?"),
    ]
    forged += [path.replace("ARROW_STREAM", "CSV"), path.split("?")[0], path.replace("&", ";"), path + "&expires=9999999999"]
    for url in forged:
        answer = prisoner.guarded.stranger.call("GET", quote(url, safe="/?&=%;-"))
        assert HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR or url == path, f"{url}: {answer.status}"
    assert admin.call("GET", f"/api/2.0/sql/statements/{theirs}").status == HTTPStatus.OK


def test_no_other_door_opens_a_place(prisoner: Prisoner) -> None:
    table = {
        "name": "stolen",
        "catalog_name": "cell",
        "schema_name": "own",
        "table_type": "EXTERNAL",
        "data_source_format": "DELTA",
        "columns": [],
    }
    volume = {"name": "stolen", "catalog_name": "cell", "schema_name": "own", "volume_type": "EXTERNAL"}
    for target in targets_of(prisoner):
        for url, body in (("tables", table), ("volumes", volume)):
            answer = prisoner.door.call("POST", f"/api/2.1/unity-catalog/{url}", body | {"storage_location": target})
            prisoner.told(answer, f"{url} {target}", target)
            assert answer.status >= HTTPStatus.BAD_REQUEST, f"{url} at {target}"
    for method, path in (
        ("GET", "/api/2.0/workspace/export?path=/../../etc/passwd"),
        ("GET", "/static/../../insjo.db"),
        ("GET", "/static/%2e%2e/%2e%2e/app.py"),
        ("GET", "/static//etc/passwd"),
        ("POST", "/sql/protocolv1/o/0/x"),
        ("GET", "/api/2.0/secrets/get?scope=x&key=y"),
    ):
        answer = prisoner.door.call(method, path, {} if method == "POST" else None)
        prisoner.told(answer, path)


def test_after_all_that_everything_stands(prisoner: Prisoner) -> None:
    assert prisoner.door.must("SELECT * FROM cell.own.t")["result"]["data_array"] == [["1", "a"]]
    assert not list(prisoner.data.parent.rglob("*evil*"))
    assert not list(prisoner.data.rglob("*stolen*"))
    assert "failed inside" not in prisoner.guarded.server.log
    log = prisoner.guarded.server.log
    assert "Traceback" not in log, log[log.index("Traceback") :][:2000]


def test_these_are_hundreds_of_attempts(prisoner: Prisoner) -> None:
    statements = (
        len(FUNCTIONS) * 6 + len(PLACES) * len(targets_of(prisoner)) + len(STATEMENTS) + len(disguises_of("a.b.c", "d")) + len(NASTY) * 8
    )
    assert statements >= ATTEMPTS_MIN
