"""Runs inside the environment of the unmodified `databricks-sql-connector`: each check uses one connection of one kind.

Started by test_sql_connector.py with a JSON document of what to connect to; then each line of standard input names a check, and each
line of standard output tells whether it held.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from databricks import sql  # type: ignore[attr-defined]  # It lives in an environment of its own.
from databricks.sql.exc import DatabaseError, Error

CONFIG: dict[str, Any] = json.loads(sys.argv[1])
KIND: str = CONFIG["kind"]
NEVER_ENDING = "SELECT count(*) FROM range(1000000) AS a JOIN range(1000000) AS b ON sqrt(a.id + b.id) > 5 AND a.id * b.id % 7 = 3"


def connect(token: str = "", **more: object) -> Any:  # noqa: ANN401  # The connector has types of its own.
    """A connection of the wanted kind."""
    host, port, tls_port, path = CONFIG["host"], CONFIG["port"], CONFIG["tls_port"], CONFIG["path"]
    kinds: dict[str, dict[str, Any]] = {
        "thrift-http": {"server_hostname": host, "_connection_uri": f"http://{host}:{port}{path}"},
        "thrift-tls": {"server_hostname": host, "_port": tls_port, "_tls_trusted_ca_file": CONFIG["ca"]},
        "sea-http": {"server_hostname": f"http://{host}", "_port": port, "use_sea": True},
        "kernel-http": {"server_hostname": f"http://{host}:{port}", "use_kernel": True},
        "kernel-tls": {"server_hostname": f"https://{host}:{tls_port}", "use_kernel": True, "_tls_trusted_ca_file": CONFIG["ca"]},
    }
    asked = {"http_path": path, "access_token": token or CONFIG["token"], "enable_telemetry": False}
    return sql.connect(**{**asked, **kinds[KIND], **more})


CONNECTION = connect()


def rows(text: str, parameters: object = None) -> list[Any]:
    """Rows of a statement."""
    with CONNECTION.cursor() as cursor:
        cursor.execute(text, parameters)
        return [tuple(row) for row in cursor.fetchall()]


def failure(text: str, parameters: object = None) -> str:
    """Message of a statement that fails."""
    try:
        rows(text, parameters)
    except Error as error:
        return str(error)
    raise AssertionError(f"{text} did not fail")


def check_types() -> None:
    """Each type arrives as its own Python type, NULL too."""
    moment = dt.datetime(2024, 1, 31, 12, 30, 0, 500000, tzinfo=dt.UTC)
    cases: list[tuple[str, Any]] = [
        ("CAST(-7 AS TINYINT)", -7),
        ("CAST(-300 AS SMALLINT)", -300),
        ("2147483647", 2147483647),
        ("9223372036854775807L", 9223372036854775807),
        ("CAST('12345678901234567890.123456789' AS DECIMAL(38,9))", decimal.Decimal("12345678901234567890.123456789")),
        ("CAST(0.10 AS DECIMAL(3,2))", decimal.Decimal("0.10")),
        ("CAST(1.5 AS FLOAT)", 1.5),
        ("0.1D", 0.1),
        ("true", True),
        ("'åäö 🐟'", "åäö 🐟"),
        ("''", ""),
        ("X'00FF'", b"\x00\xff"),
        ("DATE'1582-10-15'", dt.date(1582, 10, 15)),
        ("TIMESTAMP'2024-01-31 12:30:00.5'", moment),
        ("TIMESTAMP_NTZ'2024-01-31 12:30:00.5'", moment.replace(tzinfo=None)),
        ("INTERVAL '1' DAY", "1 00:00:00.000000000"),
        ("INTERVAL '-14' MONTH", "-1-2"),
        ("NULL", None),
        ("CAST(NULL AS DECIMAL(5,1))", None),
        ("CAST(NULL AS TIMESTAMP)", None),
        ("CAST(NULL AS ARRAY<INT>)", None),
    ]
    got = rows("SELECT " + ", ".join(f"{text} AS c{at}" for at, (text, _) in enumerate(cases)))[0]
    for (text, wanted), found in zip(cases, got, strict=True):
        assert found == wanted, (text, wanted, found)
        assert type(found) is type(wanted), (text, type(found))


def check_nested_types() -> None:
    """Arrays, maps and structs arrive as such."""
    got = rows("SELECT array(1, NULL, 3) AS a, map('k', 1.5D) AS m, named_struct('x', 1, 'y', array('z')) AS s")[0]
    assert [None if each != each else int(each) for each in got[0]] == [1, None, 3], got[0]  # noqa: PLR0124  # NaN stands for NULL in numpy.
    assert dict(got[1]) == {"k": 1.5}, got[1]
    assert got[2]["x"] == 1, got[2]
    assert list(got[2]["y"]) == ["z"], got[2]


def check_description() -> None:
    """The description names columns and types; decimals have precision and scale, also when no row comes."""
    with CONNECTION.cursor() as cursor:
        cursor.execute("SELECT 1 AS a, CAST(1 AS DECIMAL(9,4)) AS d, 'x' AS s, DATE'2024-01-01' AS t WHERE false")
        assert cursor.fetchall() == []
        assert [(each[0], each[1]) for each in cursor.description] == [("a", "int"), ("d", "decimal"), ("s", "string"), ("t", "date")]
        assert cursor.description[1][4:6] == (9, 4)
        if KIND != "sea-http":  # That back end forgets the columns of a result without rows.
            assert len(cursor.fetchall_arrow().schema) == 4


def check_parameters() -> None:
    """By name and by position, each with its type; what looks like SQL stays text."""
    assert rows("SELECT :n + 1 AS n, :s AS s", {"n": 41, "s": "'; DROP TABLE t --"}) == [(42, "'; DROP TABLE t --")]
    day, number = dt.date(2024, 2, 29), decimal.Decimal("1.25")
    moment = dt.datetime(2024, 2, 29, 12, 0, tzinfo=dt.UTC)
    got = rows("SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e, ? AS f", [7, "hej", None, day, number, moment])
    assert got == [(7, "hej", None, day, number, moment)], got
    assert "UNBOUND_SQL_PARAMETER" in failure("SELECT :missing", {"other": 1})
    if KIND.startswith("thrift"):  # The other ways of the connector send single values only.
        several = {"a": [1, 2, 3], "m": {"x": decimal.Decimal("1.5")}}
        assert rows("SELECT size(:a) AS n, array_contains(:a, 2) AS two, :m['x'] AS x", several) == [(3, True, decimal.Decimal("1.5"))]


def check_large_results() -> None:
    """Many chunks arrive whole and in order, by Arrow and in parts."""
    with CONNECTION.cursor() as cursor:
        cursor.execute("SELECT id, id * 3 AS three, CAST(id AS STRING) AS s FROM range(700000) ORDER BY id")
        table = cursor.fetchall_arrow()
    assert table.num_rows == 700_000
    assert table.column("id").to_pylist() == list(range(700_000))
    assert table.column("three")[699_999].as_py() == 3 * 699_999
    assert table.column("s")[699_999].as_py() == "699999"
    with CONNECTION.cursor() as cursor:
        cursor.execute("SELECT id FROM range(250001) ORDER BY id")
        seen = 0
        while part := cursor.fetchmany(60_000):
            assert part[0][0] == seen
            seen += len(part)
        assert seen == 250_001


def check_changes() -> None:
    """DDL and DML tell how many rows they changed."""
    name = f"main.default.driver_{KIND.replace('-', '_')}"
    rows(f"CREATE OR REPLACE TABLE {name} (id INT, name STRING)")
    with CONNECTION.cursor() as cursor:
        cursor.execute(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b'), (3, NULL)")
        if KIND != "sea-http":  # That back end does not read the count.
            assert cursor.rowcount == 3
        cursor.execute(f"UPDATE {name} SET name = 'x' WHERE id < 3")
        cursor.execute(f"DELETE FROM {name} WHERE id = 1")
    assert rows(f"SELECT * FROM {name} ORDER BY id") == [(2, "x"), (3, None)]
    rows(f"DROP TABLE {name}")


def check_session() -> None:
    """Statements of a connection share the schema and temporary views; another connection has its own."""
    with connect(schema="information_schema", catalog="main") as other, other.cursor() as cursor:
        cursor.execute("SELECT current_catalog(), current_schema()")
        assert tuple(cursor.fetchone()) == ("main", "information_schema")
        cursor.execute("CREATE TEMPORARY VIEW seven AS SELECT 7 AS n")
        cursor.execute("SELECT n FROM seven")
        assert cursor.fetchone()[0] == 7
    assert "TABLE_OR_VIEW_NOT_FOUND" in failure("SELECT * FROM seven")


def check_errors() -> None:
    """Errors carry Databricks' classes, and the connection goes on."""
    for text, code in (
        ("SELECT * FROM main.default.no_such_table", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SELECT 1 / 0", "DIVIDE_BY_ZERO"),
        ("SELEC 1", "PARSE_SYNTAX_ERROR"),
        ("SELECT CAST('x' AS INT)", "CAST_INVALID_INPUT"),
        ("SELECT 1; SELECT 2", ""),
    ):
        assert f"[{code}" in failure(text), (text, failure(text))
    assert rows("SELECT 1") == [(1,)]
    told = ""
    try:
        connect(token="insjo_wrong")
    except Exception as error:  # noqa: BLE001  # The back ends raise classes of their own.
        told = str(error)
    assert told, "a wrong token opened a session"
    assert "insjo_wrong" not in told


def check_catalog_calls() -> None:
    """What tools ask about the catalog."""
    rows("CREATE TABLE IF NOT EXISTS main.default.driver_facts (id INT NOT NULL COMMENT 'key', price DECIMAL(10,2), tags ARRAY<STRING>)")
    rows("CREATE OR REPLACE VIEW main.default.driver_view AS SELECT id FROM main.default.driver_facts")
    with CONNECTION.cursor() as cursor:
        cursor.catalogs()
        assert "main" in {row[0] for row in cursor.fetchall()}
        cursor.schemas(catalog_name="main")
        assert {"default", "information_schema"} <= {row[0] for row in cursor.fetchall()}
        cursor.tables(catalog_name="main", schema_name="default", table_name="driver%")
        kinds = {row[2] if KIND != "sea-http" else row[1]: row[3] if KIND != "sea-http" else row[5] for row in cursor.fetchall()}
        assert kinds["driver_facts"] == "TABLE", kinds
        assert kinds["driver_view"] == "VIEW", kinds
        cursor.columns(catalog_name="main", schema_name="default", table_name="driver_facts")
        found = [tuple(row) for row in cursor.fetchall()]
        assert len(found) == 3, found
        assert "id" in found[0], found
        assert any("DECIMAL" in str(value).upper() for value in found[1]), found[1]


def check_cancel() -> None:
    """A statement ends soon after it was cancelled from another thread."""
    told: list[BaseException] = []
    cursor = CONNECTION.cursor()

    def run() -> None:
        try:
            cursor.execute(NEVER_ENDING)
        except Error as error:
            told.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    while thread.is_alive() and time.monotonic() < deadline:
        with contextlib.suppress(DatabaseError):  # Not begun, as far as this cursor knows.
            cursor.cancel()
        thread.join(0.3)
    assert not thread.is_alive(), "it still runs"
    assert told, "it gave a result"
    cursor.close()
    assert rows("SELECT 1") == [(1,)]


def check_asynchronous() -> None:
    """A statement that is asked for later."""
    with CONNECTION.cursor() as cursor:
        cursor.execute_async("SELECT count(*) AS n FROM range(1000)")
        cursor.get_async_execution_result()
        assert cursor.fetchone()[0] == 1000


CHECKS: dict[str, Callable[[], None]] = {name[6:]: value for name, value in dict(globals()).items() if name.startswith("check_")}


def tell(told: dict[str, Any]) -> None:
    """One line for the test."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the checks that are named."""
    tell({"ready": sorted(CHECKS)})
    for line in sys.stdin:
        try:
            CHECKS[line.strip()]()
            told = {"failed": ""}
        except BaseException:  # noqa: BLE001  # The test shows it.
            told = {"failed": traceback.format_exc()}
        tell(told)


if __name__ == "__main__":
    main()
