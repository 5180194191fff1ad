"""Queries over a few small tables give the rows that Databricks gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from insjo.kernel.errors import InsjoError
from insjo.sql.dialect.grammar import DatabricksGrammar
from insjo.sql.dialect.types import parse_type
from tests.conformance.conftest import Runner

FOLDER = Path(__file__).parent


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines() if line]


@pytest.fixture(scope="session")
def lake(runner: Runner) -> Runner:
    """The tables of `sql_setup.sql`, handed to each statement as Arrow streams."""
    columns: dict[str, list[tuple[str, str]]] = {}
    for line in (FOLDER / "sql_setup.sql").read_text(encoding="utf-8").splitlines():
        created = re.match(r"CREATE TABLE (\w+) \((.*)\);", line)
        if created:
            fields = parse_type(f"struct<{created[2]}>").fields
            columns[created[1]] = [(field.name, field.type.text) for field in fields]
            continue
        inserted = re.match(r"INSERT INTO (\w+) (.*);", line)
        assert inserted
        assert DatabricksGrammar().parse(inserted[2])
        table = runner.engine.query(runner.translate(inserted[2], columns[inserted[1]]).sql).read_all()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        runner.tables[inserted[1]] = (sink.getvalue().to_pybytes(), columns[inserted[1]])
    return runner


@pytest.mark.parametrize("case", lines("sql_queries.jsonl") + lines("sql_queries_own.jsonl"), ids=lambda case: str(case["sql"])[:70])
def test_a_query_gives_the_rows_that_it_gives_in_databricks(lake: Runner, case: dict[str, Any]) -> None:
    text = case["sql"]
    for name, value in case.get("params", {}).items():
        text = re.sub(rf":{name}\b", repr(value), text)
    if "error" in case:
        with pytest.raises(InsjoError) as caught:
            lake.rows(text)
        assert caught.value.code == case["error"]
        return
    rows = lake.rows(text)
    assert rows == case["want"]
    if "columns" in case:
        assert [[column.name, column.type_text] for column in lake.translate(text).columns] == case["columns"]
