"""The sets of conformance on Spark Connect: never wrong; what is not right is refused, and how much is right may only grow."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlglot import exp

from insjo.adapters.spark.engine import SparkEngine
from insjo.kernel.errors import InsjoError
from insjo.sql.dialect.grammar import DatabricksGrammar
from insjo.sql.dialect.spark.render import bind_relation, render
from insjo.sql.dialect.spark.results import fitted, fitted_schema
from insjo.sql.dialect.translate import bind_table, translate
from insjo.sql.dialect.types import parse_type
from insjo.sql.errors import StatementFailed, UnsupportedFeature
from tests.conformance.conftest import Columns, Runner, as_json, same
from tests.support.sail import sail

FOLDER = Path(__file__).parent
ROWS = " FROM (VALUES (1, 'a', CAST(NULL AS INT)), (2, 'a', 5), (3, 'b', CAST(NULL AS INT))) AS q(x, y, n)"
REFUSED = {"refused": True}
RIGHT = {"sql_functions.jsonl": 122, "sql_functions_own.jsonl": 767, "sql_queries.jsonl": 24, "sql_queries_own.jsonl": 77}
"""How many cases of each set are right on Sail; these numbers may only grow."""


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkEngine]:
    with sail() as url:
        engine = SparkEngine(url, root=tmp_path_factory.mktemp("lake"))
        yield engine
        engine.close()


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines() if line]


def run(spark: SparkEngine, text: str, tables: dict[str, tuple[bytes, Columns]]) -> tuple[pa.Table, list[tuple[str, str]]]:
    tree = DatabricksGrammar().parse(text)[0]
    assert tree is not None
    for table in tree.find_all(exp.Table):
        if table.name.lower() in tables:
            bind_table(table, table.name.lower(), tables[table.name.lower()][1])
            bind_relation(table, f"SELECT * FROM {table.name.lower()}")
    columns = [(column.name, column.type_text) for column in translate(tree).columns]
    with spark.query(render(tree), tables={name: body for name, (body, _) in tables.items()}) as rows:
        schema = fitted_schema([(str(at), kind) for at, (_, kind) in enumerate(columns)], rows.schema)
        return pa.Table.from_batches([fitted(batch, schema) for batch in rows], schema=schema), columns


def judge(spark: SparkEngine, case: dict[str, Any], text: str, tables: dict[str, tuple[bytes, Columns]]) -> str:
    """`right`, `refused`, or what is wrong."""
    single = "expr" in case
    try:
        table, columns = run(spark, text, tables)
    except UnsupportedFeature:
        return "right" if case.get("want") in ({"error": True}, REFUSED) or "error" in case else "refused"
    except InsjoError as error:
        expected = case.get("want") == {"error": True} or "error" in case
        return "right" if expected else "refused" if type(error) is StatementFailed else f"{text}: {error.code}"
    found: Any = [[as_json(value) for value in row.values()] for row in table.to_pylist()]
    if single:
        found = {"map": {}} if columns[0][1].startswith("map") and table.column(0)[0].as_py() == [] else found[0][0]
    if "error" in case or case["want"] in ({"error": True}, REFUSED):
        return f"{text}: gives {found} in place of an error"
    ok = same(found, case["want"]) if single else found == case["want"]
    if ok and single and "type" in case and columns[0][1] != case["type"]:
        return f"{text}: type {columns[0][1]}"
    return "right" if ok else f"{text}: gives {found}"


def check(name: str, results: list[str]) -> None:
    counts = Counter(each if each in {"right", "refused"} else "wrong" for each in results)
    wrong = [each for each in results if each not in {"right", "refused"}]
    assert not wrong, "\n".join(wrong)
    assert counts["right"] >= RIGHT[name], counts
    print(f"{name} on Spark: {counts['right']} of {len(results)} right, the rest refused")  # noqa: T201  # The figure.


@pytest.mark.parametrize("name", ["sql_functions.jsonl", "sql_functions_own.jsonl"])
def test_expressions_are_right_or_refused(spark: SparkEngine, name: str) -> None:
    results = [judge(spark, case, f"SELECT {case['expr']}" + (ROWS if case["kind"] == "aggregate" else ""), {}) for case in cases(name)]
    check(name, results)


@pytest.fixture(scope="module")
def tables(runner: Runner) -> dict[str, tuple[bytes, Columns]]:
    """The tables of `sql_setup.sql` as Arrow streams; DuckDB computes them."""
    found: dict[str, tuple[bytes, Columns]] = {}
    columns: dict[str, Columns] = {}
    for line in (FOLDER / "sql_setup.sql").read_text(encoding="utf-8").splitlines():
        if created := re.match(r"CREATE TABLE (\w+) \((.*)\);", line):
            columns[created[1]] = [(field.name, field.type.text) for field in parse_type(f"struct<{created[2]}>").fields]
        elif inserted := re.match(r"INSERT INTO (\w+) (.*);", line):
            table = runner.engine.query(runner.translate(inserted[2], columns[inserted[1]]).sql).read_all()
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            found[inserted[1]] = (sink.getvalue().to_pybytes(), columns[inserted[1]])
    return found


@pytest.mark.parametrize("name", ["sql_queries.jsonl", "sql_queries_own.jsonl"])
def test_queries_are_right_or_refused(spark: SparkEngine, tables: dict[str, tuple[bytes, Columns]], name: str) -> None:
    results = []
    for case in cases(name):
        text = case["sql"]
        for parameter, value in case.get("params", {}).items():
            text = re.sub(rf":{parameter}\b", repr(value), text)
        results.append(judge(spark, case, text, tables))
    check(name, results)
