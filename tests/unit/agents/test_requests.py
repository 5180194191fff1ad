"""Requests for changes are read from plain words, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from insjo.access.types import Privilege, SecurableKind
from insjo.agents.requests import request_in


@pytest.mark.parametrize(
    ("text", "days", "comment"),
    [
        ("create a token", None, ""),
        ("Please create a personal access token.", None, ""),
        ("make me an API key for my notebook valid for 30 days", 30, "my notebook"),
        ("skapa en åtkomsttoken för dbt som gäller i 2 veckor", 14, "dbt"),
        ("create a token for 99999 days", 3650, ""),
    ],
)
def test_a_token(text: str, days: int | None, comment: str) -> None:
    request = request_in(text)
    assert request is not None
    assert (request.kind, request.days, request.name) == ("token.create", days, comment)


@pytest.mark.parametrize(
    ("text", "kind", "securable", "name", "privilege", "who"),
    [
        ("grant select on table a.b.c to analyst", "grant", "TABLE", "a.b.c", "SELECT", "analyst"),
        ("Grant SELECT on a.b to analysts", "grant", "SCHEMA", "a.b", "SELECT", "analysts"),
        ("give analysts read access to a.b.c", "grant", "TABLE", "a.b.c", "SELECT", "analysts"),
        ("let the group finance read a.b.c", "grant", "TABLE", "a.b.c", "SELECT", "finance"),
        ("låt gruppen ekonomi läsa tabellen a.b.c", "grant", "TABLE", "a.b.c", "SELECT", "ekonomi"),
        ("ge anna skrivrätt på volymen a.b.c", "grant", "VOLUME", "a.b.c", "WRITE_VOLUME", "anna"),
        ("give anna read access to the volume a.b.c", "grant", "VOLUME", "a.b.c", "READ_VOLUME", "anna"),
        ("let anna use the app a.b.c", "grant", "AGENT", "a.b.c", "EXECUTE", "anna"),
        ("revoke select on a.b.c from analyst", "revoke", "TABLE", "a.b.c", "SELECT", "analyst"),
        ("återkalla läsrätt på a.b.c från anna", "revoke", "TABLE", "a.b.c", "SELECT", "anna"),
    ],
)
def test_rights(text: str, kind: str, securable: str, name: str, privilege: str, who: str) -> None:
    request = request_in(text)
    assert request is not None
    assert (request.kind, request.securable, request.name) == (kind, SecurableKind(securable), name)
    assert (request.privilege, request.who) == (Privilege(privilege), who)


@pytest.mark.parametrize(
    ("text", "kind", "securable", "name", "missing"),
    [
        ("create a schema called main.sales", "create", "SCHEMA", "main.sales", ()),
        ("create schema sales in catalog main", "create", "SCHEMA", "main.sales", ()),
        ("skapa ett schema", "create", "SCHEMA", "", ("name",)),
        ("create a catalog finance", "create", "CATALOG", "finance", ()),
        ("ta bort tabellen a.b.c", "drop", "TABLE", "a.b.c", ()),
        ("delete the schema sales", "drop", "SCHEMA", "sales", ("name",)),
    ],
)
def test_objects(text: str, kind: str, securable: str, name: str, missing: tuple[str, ...]) -> None:
    request = request_in(text)
    assert request is not None
    assert (request.kind, request.securable, request.name, request.missing) == (kind, SecurableKind(securable), name, missing)


@pytest.mark.parametrize(
    "text",
    [
        "how do I create a token",
        "who created this token",
        "remove a person from a group",
        "let the finance group see a table",
        "drop everything",
        "explain GRANT SELECT ON TABLE a.b.c TO x",
        "delete rows from a.b.c",
        "create table a.b.c as select 1; drop table a.b.d",
        "",
    ],
)
def test_other_words_are_no_request(text: str) -> None:
    assert request_in(text) is None
