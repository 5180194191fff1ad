"""Statements with what Databricks answers: right, or refused with `UNSUPPORTED_FEATURE`; never silently wrong.

A statement with `want` that is refused must stand in `REFUSED`, so that what works once works on.  Without `want` it must run or be
refused in that way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from insjo.kernel.errors import InsjoError
from insjo.sql.types import Parameter, StatementSpec
from tests.support.desk import Desk, open_desk, open_engine

_FOLDER = Path(__file__).parent
_SETUP = (_FOLDER / "sql_setup.sql").read_text(encoding="utf-8")
_CHANGING = frozenset({"dml", "ddl", "func", "delta", "gov", "script", "meta"})

REFUSED = frozenset(
    {
        "CREATE MATERIALIZED VIEW mv AS SELECT grp,sum(v) s FROM t GROUP BY grp",
        "CREATE TABLE n4 (id INT, CONSTRAINT pk PRIMARY KEY(id) RELY) USING DELTA LOCATION 's3://b/p'",
        "BEGIN DECLARE a INT DEFAULT 1; SET a = a+1; SELECT a; END",
    },
)
"""Statements with a known answer that Insjö does not run yet.  The set may only shrink."""

OTHER_ERRORS = frozenset(
    {
        "SELECT count(*) FROM t TIMESTAMP AS OF '2026-01-01'",  # The table is younger than that.
        "REVOKE SELECT ON TABLE t FROM grp1",  # There is no such group.
        "SHOW PARTITIONS t",  # The table has none.
        "UNDROP TABLE t",  # It was not dropped.
        "SELECT * FROM table_changes('t', 0)",  # The table does not tell its changes.
        "ALTER TABLE t SET ROW FILTER cat.sch.rf ON (grp)",  # There is no such function, here and in the next two.
        "ALTER TABLE t ALTER COLUMN grp SET MASK cat.sch.maskfn",
        "CREATE POLICY p ON SCHEMA cat.sch COLUMN MASK cat.sch.m TO `users` FOR TABLES MATCH COLUMNS has_tag('pii') AS c ON COLUMN c",
        "DESCRIBE FUNCTION sum",  # Functions of the dialect are described in the documentation.
    },
)
"""Statements that are wrong in this lake, and must say so."""


def _cases() -> Iterator[dict[str, Any]]:
    for name in ("sql_statements.jsonl", "sql_statements_more.jsonl"):
        for line in (_FOLDER / name).read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield json.loads(line)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    root = tmp_path_factory.mktemp("conformance")
    with open_engine(root) as engine, open_desk(root / "lake", engine) as desk:
        desk.run("CREATE CATALOG cat")
        desk.run("CREATE CATALOG c")
        desk.run("CREATE SCHEMA c.s")
        desk.run("CREATE VOLUME c.s.v")
        desk.lake.room.files.write(desk.ctx, "/Volumes/c/s/v/x.csv", [b"id,grp\n41,f\n"])
        yield desk


_prepared = {"fresh": False}


@pytest.fixture(autouse=True)
def schema(desk: Desk, request: pytest.FixtureRequest) -> None:
    """The tables of the set-up: new ones after each case that may change them."""
    if not _prepared["fresh"]:
        desk.run("DROP SCHEMA IF EXISTS cat.sch CASCADE")
        desk.run("CREATE SCHEMA cat.sch")
        for text in filter(None, (each.strip() for each in _SETUP.split(";\n"))):
            desk.run(text.rstrip(";"), catalog="cat", schema="sch")
    _prepared["fresh"] = request.node.callspec.params["case"]["kind"] not in _CHANGING


def _run(desk: Desk, session_id: str, text: str, case: dict[str, Any]) -> list[list[object]]:
    given = [Parameter(name, value) for name, value in case.get("params", {}).items()]
    given += [Parameter(None, value) for value in case.get("positional", [])]
    spec = StatementSpec(text, session_id=session_id, parameters=tuple(given))
    table = desk.room.statements.run(desk.ctx, spec, timeout_s=60).table
    return [[_shown(column[row].as_py()) for column in table.columns] for row in range(table.num_rows)]


def _shown(value: object) -> object:
    """A value as the cases write it."""
    if isinstance(value, datetime):
        return {"timestamp": value.strftime("%Y-%m-%d %H:%M:%S")}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, bytes):
        return {"binary": value.hex()}
    if isinstance(value, list):
        return [_shown(each) for each in value]
    return value


def _answer(desk: Desk, case: dict[str, Any]) -> tuple[list[list[object]], InsjoError | None]:
    """Rows of the case, or what went wrong."""
    session = desk.room.sessions.create(desk.ctx, catalog="cat", schema="sch")
    try:
        rows = _run(desk, session.id, case["sql"], case)
        return (_run(desk, session.id, case["then"], {}) if "then" in case else rows), None
    except InsjoError as error:
        return [], error
    finally:
        desk.room.sessions.close(desk.ctx, session.id)


@pytest.mark.parametrize("case", list(_cases()), ids=lambda case: case["sql"][:60])
def test_statement(desk: Desk, case: dict[str, Any]) -> None:
    rows, error = _answer(desk, case)
    if error and case["sql"] in OTHER_ERRORS:
        assert error.kind in {"INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"}
        return
    if error:
        assert error.code == "UNSUPPORTED_FEATURE", repr(error)
        assert "want" not in case or case["sql"] in REFUSED, f"this has a known answer and is refused: {error}"
        return
    assert case["sql"] not in REFUSED, "this works now: take it out of REFUSED"
    if "want" in case:
        assert rows == case["want"]
