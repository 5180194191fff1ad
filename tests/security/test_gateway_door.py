"""Every route of the model door, called by nobody, by somebody with a wrong token and by somebody without rights."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator

import pytest

from insjo.web.openai.door import ROUTES, ModelRoute
from tests.support.gateway import OUTSIDE, Installation, installation, served

BODY = json.dumps({"model": OUTSIDE, "messages": [{"role": "user", "content": "hello"}], "input": "hello"}).encode()


BODIES = {
    "/responses": json.dumps({"model": OUTSIDE, "input": "hello"}).encode(),
    "/messages": json.dumps({"model": OUTSIDE, "max_tokens": 5, "messages": [{"role": "user", "content": "hello"}]}).encode(),
}
"""Bodies of the wires that take no field of another's."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("sweep")) as found, served(found) as running:
        running.make_outside()
        yield running


def call(made: Installation, route: ModelRoute, token: str | None) -> tuple[int, bytes]:
    address = urllib.parse.urlsplit(made.url)
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    path = route.path.replace("{name}", OUTSIDE).replace("{model}", OUTSIDE)
    headers = {"content-type": "application/json"} | ({} if token is None else {"authorization": f"Bearer {token}"})
    body = next((found for end, found in BODIES.items() if path.endswith(end)), BODY)
    connection.request(route.method, path, body if route.method == "POST" else b"", headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_nobody_gets_in(made: Installation, route: ModelRoute) -> None:
    for token in (None, "insjo_" + "0" * 64, ""):
        status, content = call(made, route, token)
        assert status == 401
        assert OUTSIDE.encode() not in content
    assert not made.outside.requests


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_somebody_without_rights_learns_nothing(made: Installation, route: ModelRoute) -> None:
    status, content = call(made, route, made.token("stranger"))
    assert status in {200, 404, 501}
    if status == 200:
        listed = json.loads(content)["data"]
        assert [each["id"] for each in listed] == ["insjo-chat", "insjo-embed"]
    if status == 404:
        other = call(
            made,
            ModelRoute(route.method, route.path.replace("{name}", "q" * 7).replace("{model}", "q" * 7), route.call),
            made.token("stranger"),
        )
        there = content.replace(OUTSIDE.encode(), b"NAME")
        assert there == other[1].replace(b"q" * 7, b"NAME").replace(OUTSIDE.encode(), b"NAME"), (
            "an endpoint that is there looks like one that is not"
        )
    assert not made.outside.requests
