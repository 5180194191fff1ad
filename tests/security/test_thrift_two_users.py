"""What drivers are told about the catalog is what a lake without all that somebody may not see would tell."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from insjo.access.types import SecurableKind
from insjo.web.thrift.messages import GetColumnsReq, GetTablesReq, NamedReq
from insjo.web.thrift.metadata import Question, catalogs, columns, functions, schemas, tables
from tests.security.test_sql_two_users import HIDDEN, SECRET, SEEN
from tests.support.desk import Desk, open_desk, open_engine

if TYPE_CHECKING:
    from insjo.web.types import Services

NAMES: tuple[dict[str, str], ...] = (
    {},
    {"catalog_name": "main"},
    {"catalog_name": SECRET},
    {"catalog_name": "main", "schema_name": "secret"},
    {"catalog_name": "main", "schema_name": "%s%"},
    {"schema_name": "desk", "object_name": "%e%"},
    {"schema_name": "information_schema", "object_name": "t%"},
    {"catalog_name": "main", "schema_name": "secret", "object_name": "pay"},
)


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Desk]]:
    """The whole lake and the lake without what is hidden, both with ulla at the desk."""
    root = tmp_path_factory.mktemp("told")
    with open_engine(root) as engine, open_desk(root / "a", engine) as whole, open_desk(root / "b", engine) as rest:
        for desk in (whole, rest):
            desk.lake.person("ulla")
            for text in SEEN:
                desk.run(text)
        for text in HIDDEN:
            whole.run(text)
        assert whole.lake.access.securables.find(SecurableKind.TABLE, "main.secret.pay")
        yield whole.as_("ulla"), rest.as_("ulla")


def told(desk: Desk, question: Question) -> list[dict[str, object]]:
    """Rows of an answer."""
    services = cast("Services", SimpleNamespace(catalog=desk.lake.room, sql=desk.room))
    rows: list[dict[str, object]] = question.answer(services, desk.ctx).to_pylist()
    return rows


@pytest.mark.parametrize("names", NAMES, ids=str)
def test_both_lakes_tell_the_same(desks: tuple[Desk, Desk], names: dict[str, str]) -> None:
    whole, rest = desks
    questions = (
        catalogs(),
        schemas(NamedReq(**names)),  # type: ignore[arg-type]  # Fields of the request.
        tables(GetTablesReq(**names)),  # type: ignore[arg-type]  # Fields of the request.
        columns(GetColumnsReq(**names)),  # type: ignore[arg-type]  # Fields of the request.
        functions(NamedReq(**names)),  # type: ignore[arg-type]  # Fields of the request.
    )
    for question in questions:
        found = told(whole, question)
        assert found == told(rest, question)
        assert SECRET not in repr(found)


def test_what_may_be_seen_is_told(desks: tuple[Desk, Desk]) -> None:
    whole, _ = desks
    assert {row["TABLE_NAME"] for row in told(whole, tables(GetTablesReq(schema_name="desk")))} >= {"names", "orders"}
    assert [row["COLUMN_NAME"] for row in told(whole, columns(GetColumnsReq(schema_name="desk", object_name="names")))] == ["id", "name"]
