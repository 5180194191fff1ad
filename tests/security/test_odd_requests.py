"""Requests that nobody's client sends, at every route of the Databricks doors: each is answered, and none breaks anything inside.

The metadata lie in PostgreSQL, which refuses more than SQLite does.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from insjo.web.app import ROUTES
from tests.security.conftest import Door
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.server import RunningServer

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["postgres_server"]

LONG = "x" * 3000
PATHS = ("x", "%00", "%FF", "..", "9" * 40, "%F0%9F%92%A9", LONG)
PARAMETERS = (
    *("path", "scope", "key", "principal", "filter", "attributes", "session_token", "constraint_name", "expire_time", "signature"),
    *("startIndex", "count", "page_token", "page_size", "max_results", "offset", "length", "expires", "sortBy"),
)
TEXTS = ("path", "scope", "key", "string_value", "display_name", "principal", "userName", "displayName", "application_id", "comment")


def _document(text: str) -> bytes:
    """A body that has the fields of most calls, each with this text."""
    more = {
        "full_name_arg": text,
        "session_token": text,
        "query": {"display_name": text, "query_text": text},
        "update_mask": text,
        "Operations": [{"op": "replace", "path": text, "value": {text: text}}],
        "access_control_list": [{"user_name": text, "permission_level": "CAN_READ"}],
        "constraint": {"primary_key_constraint": {"name": text, "child_columns": [text]}},
        "permission": "READ",
        "statement": text,
        "name": text,
    }
    return json.dumps(dict.fromkeys(TEXTS, text) | more).encode()


BODIES = (b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"path": 1}', b'{"a":' * 5000, _document("\0"), _document(LONG), _document("å/`'\""))


@pytest.fixture(scope="module")
def admin(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    url = postgres_server.url(postgres_server.create_database())
    environment = {"INSJO_LOCAL_MODELS": "0", "INSJO_DATABASE_URL": url}
    with RunningServer(tmp_path_factory.mktemp("odd") / "data", environment=environment) as server:
        yield Door(server.url, server.token("admin"))


@pytest.mark.parametrize("method", sorted({each.method for each in ROUTES}))
def test_no_request_breaks_anything_inside(admin: Door, method: str) -> None:
    broken = []
    for route in ROUTES:
        if route.method != method or route.door not in {"databricks", "scim"}:
            continue
        for odd in PATHS:
            path = re.sub(r"\{\w+(:path)?\}", odd, route.path)
            query = "&".join(f"{name}={odd}" for name in PARAMETERS)
            bodies = [None] if method in {"GET", "HEAD", "DELETE"} else BODIES if odd == "x" else [b"{}"]
            for body in bodies:
                answer = admin.call(method, f"{path}?{query}" if odd != "x" else path, raw=body)
                if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
                    broken.append((path[:100], (body or b"")[:60], answer.text[:300]))
    assert not broken
    assert admin.call("GET", "/health").status == HTTPStatus.OK
