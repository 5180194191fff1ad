"""One SQL worker for the whole suite, and the road from a text to a result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from sqlglot import exp

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.sql.dialect.grammar import DatabricksGrammar
from insjo.sql.dialect.translate import Translation, bind_table, translate

Columns = list[tuple[str, str]]


def as_json(value: Any) -> Any:  # noqa: ANN401  # Any value of any type.
    """A value as the files of this folder write it: see the README of the conformance data."""
    if isinstance(value, datetime):
        fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
        return {"timestamp": value.strftime("%Y-%m-%d %H:%M:%S") + fraction}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, bytes):
        return {"binary": value.hex()}
    if isinstance(value, dict):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, list) and value and all(isinstance(each, tuple) for each in value):
        return {"map": {str(key): as_json(each) for key, each in value}}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def same(got: Any, want: Any) -> bool:  # noqa: ANN401  # As above.
    """Whether a result is the one that is wanted; doubles may differ in their last digits."""
    if isinstance(want, dict) and "any" in want:
        return any(same(got, each) for each in want["any"])
    if isinstance(want, bool) or isinstance(got, bool) or want is None or got is None:
        return got is want
    if isinstance(got, dict) and set(got) == {"decimal"} and isinstance(want, int | float):
        return float(got["decimal"]) == want
    if isinstance(got, int | float) and isinstance(want, int | float):
        return math.isclose(got, want, rel_tol=1e-9)
    if isinstance(got, list) and isinstance(want, list):
        return len(got) == len(want) and all(same(one, other) for one, other in zip(got, want, strict=True))
    return bool(got == want)


@dataclass
class Runner:
    """Compiles and runs one query."""

    engine: DuckDbEngine
    tables: dict[str, tuple[bytes, Columns]]

    def translate(self, text: str, target: Columns | None = None) -> Translation:
        tree = DatabricksGrammar().parse(text)[0]
        assert tree is not None
        for table in tree.find_all(exp.Table):
            if table.name.lower() in self.tables:
                bind_table(table, table.name.lower(), self.tables[table.name.lower()][1])
        return translate(tree, target=target)

    def run(self, text: str) -> tuple[pa.Table, Translation]:
        translation = self.translate(text)
        with self.engine.query(translation.sql, tables={name: body for name, (body, _) in self.tables.items()}) as rows:
            return rows.read_all(), translation

    def rows(self, text: str) -> list[list[Any]]:
        table, _ = self.run(text)
        plain = table.rename_columns([str(index) for index in range(table.num_columns)])
        return [[as_json(value) for value in row.values()] for row in plain.to_pylist()]

    def value(self, text: str) -> tuple[Any, str]:
        table, translation = self.run(text)
        type_text = translation.columns[0].type_text
        value = table.column(0)[0].as_py()
        return ({"map": {}} if type_text.startswith("map") and value == [] else as_json(value)), type_text


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("conformance")
    engine = DuckDbEngine(root=folder / "lake", spill=folder / "spill", workers=1, memory_mb=500, threads=1).start()
    yield Runner(engine, {})
    engine.close()
