"""Functions over columns whose values lie at the edges of their types: a warehouse on Spark and one on DuckDB agree, or Spark refuses.

`spark_edges.txt` has an expression or a query over the table `e` in each line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from insjo.adapters.spark.engine import SparkEngine
from insjo.kernel.errors import InsjoError
from insjo.sql.types import WarehouseEngine
from tests.support.desk import Desk, open_desk, open_engine
from tests.support.sail import sail

LINES = [line for line in (Path(__file__).parent / "spark_edges.txt").read_text(encoding="utf-8").splitlines() if line]
RIGHT_MIN = 505
COLUMNS = """k INT, i INT, b BIGINT, d DOUBLE, m DECIMAL(10,2), s STRING, u STRING, dt DATE, ts TIMESTAMP, bo BOOLEAN, a ARRAY<INT>,
    `as` ARRAY<STRING>, mp MAP<STRING,INT>, bi BINARY, st STRING, sd STRING, sn STRING, j STRING"""
ROWS = [
    "0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    """1, 0, 0, 0.0D, 0.00, '', '', DATE'1969-12-31', TIMESTAMP'1969-12-31 23:59:59.5', true, CAST(array() AS ARRAY<INT>),
       CAST(array() AS ARRAY<STRING>), CAST(map() AS MAP<STRING,INT>), X'', '1969-12-31 23:59:59.5', '1969-12-31', '0', '{}'""",
    """2, -7, -9223372036854775807, -2.5D, -1.25, 'abc', 'ÅÄÖ åäö', DATE'2026-03-29', TIMESTAMP'2026-03-29 01:30:00', false,
       array(3, NULL, 1), array('b', NULL, ''), map('k', 1, 'l', NULL), X'00FF',
       '2026-03-29 01:30:00', '2026-03-29', '-7', '{"a":1,"b":[1,2]}'""",
    """3, 5, 5000000000, 1.5D, 1.25, 'a,b,c', '€𝄞x', DATE'2024-02-29', TIMESTAMP'2024-02-29 12:34:56.789', true,
       array(1, 2, 3), array('x', 'y'), map('k', -1), X'616263', ' 2024-02-29 12:34:56 ', ' 2024-02-29 ', '+5', '{"a":"x"}'""",
    """4, 2147483647, 7, 1e20D, 99999999.99, '  Hello World ', 'straße', DATE'0001-01-01', TIMESTAMP'1900-01-01 00:00:00', NULL, array(-5),
       array('ö'), map('', 0), X'41', '1900-01-01', '0001-01-01', '2147483647', '[1,2]'""",
    r"""5, -2147483648, -1, 1e-5D, 0.01, 'A\'B%_\\', 'Ⅷ', DATE'9999-12-31', TIMESTAMP'2026-10-25 02:30:00.000001', true, array(2, 2, 0),
        array('a', 'a'), map('z', 9), X'FE', '2026-10-25T02:30:00', '2026-1-5', ' 7 ', '{"a":null}'""",
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    root = tmp_path_factory.mktemp("edges")
    with (
        sail() as url,
        open_engine(root) as engine,
        open_desk(root / "lake", engine, spark=lambda url: SparkEngine(url, root=root / "lake")) as desk,
    ):
        desk.room.warehouses.create(desk.ctx, "big", engine=WarehouseEngine.SPARK, url=url)
        desk.run(f"CREATE TABLE e ({COLUMNS})")
        for row in ROWS:
            desk.run(f"INSERT INTO e VALUES ({row})")
        yield desk


def near(value: Any) -> Any:  # noqa: ANN401  # Any value of any type.
    """A value without the last digits of its doubles."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else float(f"{value:.12g}") + 0.0
    if isinstance(value, dict):
        return {key: near(each) for key, each in value.items()}
    return [near(each) for each in value] if isinstance(value, list | tuple) else value


def ask(desk: Desk, text: str, warehouse_id: str = "") -> tuple[Any, str]:
    """Values and type, or the word `error` and its code."""
    try:
        found = desk.run(text, warehouse_id=warehouse_id) if warehouse_id else desk.run(text)
    except InsjoError as error:
        return "error", error.code
    column = found.table.column(0)
    try:
        values = column.to_pylist()
    except (OverflowError, ValueError):  # Dates beyond those of Python.
        values = column.cast("string").to_pylist()
    return near(values), found.statement.columns[0].type_text


def compared(desk: Desk, big: str, line: str) -> str:
    """`right`, `refused`, or what is wrong."""
    whole = line if line.startswith("SELECT") else f"SELECT {line} AS r FROM e ORDER BY k"
    there = ask(desk, whole, big)
    if there == ("error", "UNSUPPORTED_FEATURE"):
        return "refused"
    here = ask(desk, whole)
    if here == there or (here[0] == "error" and there[0] == "error"):
        return "right"
    if (here[0] == "error" or there[0] == "error") and not line.startswith("SELECT"):
        # One row may raise where the others do not, so each is asked alone.
        pairs = [[ask(desk, f"SELECT {line} AS r FROM e WHERE k = {row}", each) for each in ("", big)] for row in range(len(ROWS))]
        if all(one == other or other[0] == "error" for one, other in pairs):
            return "refused"
    return f"{line}: here {here}, there {there}"


def test_values_at_the_edges_are_the_same_on_both_engines(desk: Desk) -> None:
    (big,) = [each.id for each in desk.room.warehouses.list(desk.ctx) if each.name == "big"]
    results = {line: compared(desk, big, line) for line in LINES}
    wrong = [each for each in results.values() if each not in {"right", "refused"}]
    assert not wrong, "\n".join(wrong)
    right = sum(each == "right" for each in results.values())
    refused = [line for line, each in results.items() if each == "refused"]
    assert right >= RIGHT_MIN, refused
    print(f"at the edges on Spark: {right} of {len(results)} agree, the rest refused: {refused}")  # noqa: T201  # The figure.
