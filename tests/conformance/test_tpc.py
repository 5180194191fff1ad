"""TPC-H and TPC-DS through the whole room, asked by somebody with no more than SELECT: the answers are DuckDB's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from insjo.kernel.errors import InsjoError
from insjo.sql.types import StatementSpec
from tests.support.desk import Desk, open_desk, open_engine
from tests.support.tpc import QUERIES, Family, Reference, difference

SCALE = 0.03
CASES = [(family, number) for family, last in QUERIES.items() for number in range(1, last + 1)]


@dataclass(frozen=True)
class Both:
    """The same data twice."""

    desk: Desk
    reference: Reference

    def rows(self, family: Family, text: str) -> list[tuple[object, ...]]:
        spec = StatementSpec(text, catalog="main", schema=family)
        table = self.desk.room.statements.run(self.desk.ctx, spec, 120.0).table
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else []


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    root = tmp_path_factory.mktemp("tpc")
    reference = Reference(SCALE)
    with open_engine(root) as engine, open_desk(root / "lake", engine) as desk:
        for family in QUERIES:
            desk.run(f"CREATE SCHEMA {family}")
            for table in reference.tables(family):
                file = root / f"{table}.parquet"
                reference.write(family, table, file)
                volume = desk.put(f"{family}/{table}.parquet", file.read_bytes())
                desk.run(f"CREATE TABLE main.{family}.{table} AS SELECT * FROM parquet.`{volume}`")
        analyst = desk.as_("analyst")
        desk.run("GRANT USE CATALOG ON CATALOG main TO analyst")
        for family in QUERIES:
            desk.run(f"GRANT USE SCHEMA, SELECT ON SCHEMA main.{family} TO analyst")
        yield Both(analyst, reference)
    reference.close()


@pytest.mark.parametrize(("family", "number"), CASES, ids=str)
def test_a_query_of_the_benchmark_has_the_answer_of_the_engine_itself(both: Both, family: Family, number: int) -> None:
    text = both.reference.text(family, number)
    assert not difference(both.rows(family, text), both.reference.rows(family, text))


def test_most_queries_of_the_benchmarks_have_rows_to_compare(both: Both) -> None:
    answers = [both.reference.rows(family, both.reference.text(family, number)) for family, number in CASES]
    assert sum(1 for rows in answers if rows) >= 95


def test_a_difference_is_seen() -> None:
    assert difference([(1, "a")], [(1, "b")])
    assert difference([(1,)], [(1,), (1,)])
    assert difference([(1.0,)], [(1.001,)])
    assert difference([(None,)], [(0,)])
    assert not difference([(1,), (2,)], [(2.0,), (1,)])


def test_the_data_of_the_benchmark_are_not_for_everybody(both: Both) -> None:
    stranger = Both(both.desk.as_("stranger"), both.reference)
    with pytest.raises(InsjoError) as caught:
        stranger.rows("tpch", both.reference.text("tpch", 1))
    assert caught.value.code.endswith("NOT_FOUND")
