"""Texts that nobody would write: whatever is sent, nothing that was not authorised reaches the engine, and nothing breaks inside.

The engine is the real one, watched: each text that reaches it is read by the engine's own parser, and what it reads is compared with what
the caller may read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from insjo.adapters.duckdb.engine import DuckDbEngine
from insjo.catalog.types import TableName
from insjo.kernel.errors import InsjoError
from tests.support.desk import Desk, open_desk, open_engine

SEEDS = Path(__file__).parent.parent / "conformance"
TABLE_FUNCTIONS = {"read_parquet", "unnest", "range", "generate_series", "repeat"}
FORBIDDEN = re.compile(
    r"^(read_(?!parquet)|sniff_|glob$|getenv$|duckdb_|pragma_|current_setting$|query|which_secret|sqlite_|delta_|iceberg_)"
)
LOOK = settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class WatchedEngine:
    """Passes everything on to the engine and keeps the texts."""

    def __init__(self, engine: DuckDbEngine) -> None:
        self._engine = engine
        self.seen: list[tuple[str, frozenset[str]]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # Whatever the engine has.
        real = getattr(self._engine, name)
        if name not in {"query", "export", "bind", "sift"}:
            return real

        def watched(sql: str, *words: Any, **options: Any) -> Any:  # noqa: ANN401  # As above.
            streams = frozenset(options.get("tables") or ())
            self.seen.append((sql, streams))
            self.seen.extend((scan.load, streams) for scan in options.get("scans", ()) if scan.load)
            return real(sql, *words, **options)

        return watched


@dataclass
class Watched:
    """Bob, who may read one table and one view, and the reader of what reaches the engine."""

    desk: Desk
    engine: WatchedEngine
    may: tuple[str, ...]
    parser: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    ran: int = 0
    reached: int = 0

    def send(self, text: str) -> None:
        """One statement, and the inspection of all that it made the engine do."""
        self.engine.seen.clear()
        self.ran += 1
        broken: InsjoError | None = None
        try:
            self.desk.run(text)
        except InsjoError as error:
            broken = error if "INTERNAL" in error.kind + error.code else None
        assert broken is None, f"{text!r}: {broken!r}"
        for sql, streams in self.engine.seen:
            self.reached += 1
            self.inspect(text, sql, streams)

    def inspect(self, text: str, sql: str, streams: frozenset[str]) -> None:
        """Everything that a text of the engine reads is a file of a table that Bob may read, or a stream that was handed over."""
        row = self.parser.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        tree = json.loads(row[0]) if row else {}
        assert not tree.get("error"), f"{text!r} became {sql!r}: {tree}"
        assert len(tree["statements"]) == 1
        ctes: set[str] = set()
        nodes = list(_walk(tree))
        for node in nodes:
            ctes |= {entry["key"].lower() for entry in node.get("map", ()) if isinstance(entry, dict) and "key" in entry}
        for node in nodes:
            if node.get("type") == "BASE_TABLE":
                name = node["table_name"].lower()
                assert name in ctes | streams, f"{text!r} reads the table {name}"
                assert not node["catalog_name"], text
            if node.get("type") == "TABLE_FUNCTION":
                self._table_function(text, node["function"])
            if node.get("class") == "FUNCTION":
                assert not FORBIDDEN.match(node["function_name"]), f"{text!r} calls {node['function_name']}"

    def _table_function(self, text: str, call: dict[str, Any]) -> None:
        name = call["function_name"]
        assert name in TABLE_FUNCTIONS, f"{text!r} calls {name}"
        if name != "read_parquet":
            return
        paths = [
            node["value"]["value"]
            for node in _walk(call["children"][0])
            if isinstance(node.get("value"), dict) and "value" in node["value"]
        ]
        for path in (each for each in paths if isinstance(each, str)):
            assert path.startswith(self.may), f"{text!r} reads {path}"


def _walk(node: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  # Any JSON.
    if isinstance(node, dict):
        yield node
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _walk(each)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    root = tmp_path_factory.mktemp("fuzz")
    with open_engine(root) as engine:
        watch = WatchedEngine(engine)
        with open_desk(root / "lake", watch) as desk:  # type: ignore[arg-type]  # It has everything that the engine has.
            for name in ("open", "shut"):
                desk.run(f"CREATE TABLE {name} (id INT, name STRING, at TIMESTAMP, tags ARRAY<STRING>)")
                desk.run(f"INSERT INTO {name} VALUES (1, '{name}', TIMESTAMP '2026-01-01 00:00:00', array('x'))")
            desk.run("CREATE VIEW shown AS SELECT id, name FROM open WHERE id > 0")
            bob = desk.as_("bob")
            for text in ("USE CATALOG ON CATALOG main", "USE SCHEMA ON SCHEMA main.desk", "SELECT ON TABLE open", "SELECT ON VIEW shown"):
                desk.run(f"GRANT {text} TO bob")
            resolved = desk.lake.room.tables.resolve_many(desk.ctx, [TableName.parse("main.desk.open")])
            yield Watched(bob, watch, (resolved[0].table.location.rstrip("/") + "/",))


WORDS = """
    SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT OFFSET UNION ALL EXCEPT INTERSECT JOIN LEFT CROSS LATERAL VIEW explode ON USING
    AS WITH RECURSIVE VALUES TABLE DISTINCT CASE WHEN THEN ELSE END IN EXISTS BETWEEN LIKE RLIKE IS NULL NOT AND OR CAST ( ) , . :
    :: -> * + - / % = <> <=> < > || [ ] open shut shown main.desk.open main.desk.shut main.desk.shown id name at tags `name`
    "name" 'x' 'it''s' 1 2.5 1e9 0x1F :v ? @v0 ; VERSION TIMESTAMP OF OVER PARTITION ROWS RANGE UNBOUNDED PRECEDING QUALIFY PIVOT
    UNPIVOT FOR TABLESAMPLE PERCENT INTERVAL DATE count(*) sum(id) max(name) row_number() current_user() array(1,2) map('a',1)
    struct(id) named_struct('a',1) transform(tags,x->x) get_json_object read_csv('/etc/passwd') read_text('/etc/passwd')
    read_parquet('x') read_files('/Volumes/main/desk/files') glob('*') duckdb_settings() getenv('HOME') csv.`/etc/passwd`
    parquet.`/x` delta.`/x` system.access.audit information_schema.tables main.information_schema.columns sqlite_master INSERT
    INTO DELETE UPDATE SET MERGE MATCHED CREATE DROP ALTER GRANT REVOKE COPY ATTACH PRAGMA CALL INSTALL LOAD EXPLAIN DESCRIBE SHOW
    EXECUTE IMMEDIATE IDENTIFIER('shut') IDENTIFIER('main.desk.' EVERY /* */ -- $$ \\ ' " ` { } # ~ ^ & ! é 💥 __insjo_source
    __insjo_rows_0 COLUMNS(*) EXCLUDE
""".split()  # noqa: SIM905  # Words read better as words.


def _seeds() -> list[str]:
    texts = []
    for name in ("sql_queries.jsonl", "sql_queries_own.jsonl", "sql_statements.jsonl"):
        for line in (SEEDS / name).read_text(encoding="utf-8").splitlines():
            found = json.loads(line).get("sql") if line else None
            if isinstance(found, str):
                texts.append(re.sub(r"\bFROM \w+", "FROM open", found))
    return texts or ["SELECT 1"]


QUERIES = [
    "SELECT id, count(*) FROM {0} WHERE name LIKE 'o%' GROUP BY id HAVING count(*) > 0 ORDER BY id LIMIT 5",
    "WITH a AS (SELECT * FROM {0}) SELECT a.id, b.name FROM a JOIN {1} AS b ON a.id = b.id",
    "SELECT * FROM {0} WHERE id IN (SELECT id FROM {1}) AND EXISTS (SELECT 1 FROM {1} WHERE {1}.id = {0}.id)",
    "SELECT name, row_number() OVER (PARTITION BY name ORDER BY id) AS n FROM {0} QUALIFY n = 1",
    "SELECT t.id, e.tag FROM {0} AS t LATERAL VIEW explode(t.tags) e AS tag",
    "SELECT * FROM {0} VERSION AS OF 1 UNION ALL SELECT * FROM {1}",
    "SELECT (SELECT max(name) FROM {1}) AS x, transform(tags, t -> concat(t, name)) FROM {0} TABLESAMPLE (50 PERCENT)",
    "SELECT * FROM (SELECT id, name FROM {0}) PIVOT (max(name) FOR id IN (1, 2))",
    "EXECUTE IMMEDIATE 'SELECT * FROM {0}'",
    "DESCRIBE QUERY SELECT * FROM {0}",
    "CREATE TEMPORARY VIEW v AS SELECT * FROM {0}",
    "SELECT * FROM IDENTIFIER('{0}') AS i JOIN IDENTIFIER('main.desk.' || '{1}') AS j ON i.id = j.id",
]
NAMES = ["open", "shut", "shown", "main.desk.open", "main.desk.shut", "`shut`", "SHUT", "Main.Desk.Shown", "desk.shut"]


@LOOK
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=25))
def test_words_in_any_order(watched: Watched, words: list[str]) -> None:
    watched.send(" ".join(words))
    watched.send("SELECT " + " ".join(words))


@LOOK
@given(st.sampled_from(QUERIES), st.sampled_from(NAMES), st.sampled_from(NAMES), st.data())
def test_queries_with_a_part_exchanged(watched: Watched, query: str, one: str, other: str, data: st.DataObject) -> None:
    text = query.format(one, other)
    watched.send(text)
    parts = re.findall(r"\w+|\s+|[^\w\s]", text)
    at = data.draw(st.integers(0, len(parts) - 1))
    parts[at : at + data.draw(st.integers(0, 3))] = data.draw(st.lists(st.sampled_from(WORDS), max_size=3))
    watched.send(" ".join(parts))


@LOOK
@given(st.sampled_from(_seeds()), st.data())
def test_texts_of_the_conformance_with_a_part_exchanged(watched: Watched, text: str, data: st.DataObject) -> None:
    parts = re.findall(r"\w+|\s+|[^\w\s]", text)
    at = data.draw(st.integers(0, max(0, len(parts) - 1)))
    parts[at : at + data.draw(st.integers(0, 2))] = data.draw(st.lists(st.sampled_from(WORDS), max_size=2))
    watched.send("".join(parts))


@LOOK
@given(st.text(max_size=60))
def test_any_text_at_all(watched: Watched, text: str) -> None:
    watched.send(text)
    watched.send(f"SELECT {text}")
    watched.send(f"SELECT * FROM open WHERE name = '{text}'")
    watched.send(f"SELECT `{text}` FROM open -- {text}")


def test_the_watch_saw_what_it_should(watched: Watched) -> None:
    watched.send("SELECT * FROM open JOIN shown USING (id)")
    assert watched.engine.seen
    watched.engine.seen.clear()
    with pytest.raises(InsjoError):
        watched.desk.run("SELECT * FROM shut")
    assert watched.engine.seen == []
    stolen = watched.may[0].replace("tables", "elsewhere")
    for sql in (
        f"SELECT * FROM read_parquet(['{stolen}x.parquet'])",
        "SELECT * FROM read_text('x')",
        "SELECT * FROM shut",
        "SELECT getenv('HOME')",
    ):
        with pytest.raises(AssertionError):
            watched.inspect("", sql, frozenset())
