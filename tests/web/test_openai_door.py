"""The official client of OpenAI against the door, over a real HTTP server."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import socket
import struct
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx2
import openai
import pytest

from insjo.access.types import ALL, Clearance, Level, Privilege
from insjo.gateway.types import LimitSpec
from insjo.kernel.context import system_context
from insjo.kernel.limits import BODY_BYTES_MAX
from insjo.testing.models import DIMENSIONS
from insjo.testing.recorder import Fault, Script
from insjo.web.openai.door import NOT_BUILT
from tests.support.gateway import OUTSIDE, Installation, installation, served, until

SECRET_TEXT = "Kalle Svensson earns 98765 kronor a month and lives at Storgatan 17 in Lund"
HELLO: Any = [{"role": "user", "content": "hello lake"}]


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("gateway")) as found, served(found) as running:
        running.make_outside(fallback="insjo-chat")
        running.grant("anna", OUTSIDE)
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The same for tests that change nothing."""
    with installation(tmp_path_factory.mktemp("shared")) as found, served(found) as running:
        running.make_outside(fallback="insjo-chat")
        running.grant("anna", OUTSIDE)
        yield running


@pytest.fixture
def client(made: Installation) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{made.url}/v1", api_key=made.token("anna"), max_retries=0) as found:
        yield found


def call(made: Installation, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """A request with headers of its own; `authorization=""` sends none."""
    address = urllib.parse.urlsplit(made.url)
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    sent = {"authorization": f"Bearer {made.token('anna')}", "content-type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {name: value for name, value in sent.items() if value})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content


def chat_body(said: str = "hello lake", **fields: object) -> bytes:
    return json.dumps({"model": OUTSIDE, "messages": [{"role": "user", "content": said}], **fields}).encode()


def error_of(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content)["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


# What works


def test_models_are_those_that_the_caller_may_use(made: Installation, client: openai.OpenAI) -> None:
    assert [each.id for each in client.models.list()] == ["insjo-chat", "insjo-embed", OUTSIDE]
    assert client.models.retrieve(OUTSIDE).owned_by == "insjo"
    with openai.OpenAI(base_url=f"{made.url}/v1", api_key=made.token("bo"), max_retries=0) as other:
        assert [each.id for each in other.models.list()] == ["insjo-chat", "insjo-embed"]
        with pytest.raises(openai.NotFoundError):
            other.models.retrieve(OUTSIDE)


def test_a_whole_answer(client: openai.OpenAI) -> None:
    found = client.chat.completions.with_raw_response.create(model=OUTSIDE, messages=HELLO)
    answer = found.parse()
    assert answer.choices[0].message.content == "Echo: hello lake"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5
    assert found.headers["x-insjo-route"] == 'direct; endpoint="outside"; served="paid"; label="internal"'
    assert "set-cookie" not in found.headers


def test_a_stream(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model=OUTSIDE, messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Echo: hello lake"
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_with_its_tokens(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    *_, last = client.chat.completions.create(model=OUTSIDE, messages=HELLO, stream=True, stream_options=options)
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens == 3


def test_the_asynchronous_client(made: Installation) -> None:
    async def work() -> tuple[str | None, str]:
        async with openai.AsyncOpenAI(base_url=f"{made.url}/v1", api_key=made.token("anna"), max_retries=0) as client:
            whole = await client.chat.completions.create(model="insjo-chat", messages=HELLO)
            stream = await client.chat.completions.create(model="insjo-chat", messages=HELLO, stream=True)
            return whole.choices[0].message.content, "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert asyncio.run(work()) == ("Echo: hello lake", "Echo: hello lake")


def test_embeddings_in_the_clients_own_form(client: openai.OpenAI) -> None:
    found = client.embeddings.create(model="insjo-embed", input=["one two", "three"])
    assert [len(each.embedding) for each in found.data] == [DIMENSIONS, DIMENSIONS]
    plain = client.embeddings.create(model="insjo-embed", input=["one two", "three"], encoding_format="float")
    for left, right in zip(found.data, plain.data, strict=True):
        assert left.embedding == pytest.approx(right.embedding)
    raw = client.embeddings.with_raw_response.create(model="insjo-embed", input="x", encoding_format="base64").http_response.json()
    assert len(struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(raw["data"][0]["embedding"]))) == DIMENSIONS


@pytest.mark.parametrize("base", ["/serving-endpoints", "/ai-gateway/mlflow/v1", "/ai-gateway/openai/v1"])
def test_other_places_where_clients_look(shared: Installation, base: str) -> None:
    with openai.OpenAI(base_url=f"{shared.url}{base}", api_key=shared.token("anna"), max_retries=0) as client:
        assert client.chat.completions.create(model=OUTSIDE, messages=HELLO).choices[0].message.content == "Echo: hello lake"
        assert client.embeddings.create(model="insjo-embed", input="x").data[0].embedding


def test_invocations_of_one_endpoint(made: Installation) -> None:
    status, _, content = call(made, "POST", f"/serving-endpoints/{OUTSIDE}/invocations", json.dumps({"messages": HELLO}).encode())
    assert (status, json.loads(content)["choices"][0]["message"]["content"]) == (200, "Echo: hello lake")
    assert made.outside.requests[-1].json()["model"] == "recorder-1"
    status, _, content = call(made, "POST", "/serving-endpoints/insjo-embed/invocations", b'{"input":["a"]}')
    assert (status, len(json.loads(content)["data"])) == (200, 1)
    status, _, content = call(made, "POST", "/serving-endpoints/outsid/invocations", b'{"messages":[{"role":"user","content":"x"}]}')
    found = json.loads(content)
    assert (status, found["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    assert "`outside`" in found["message"]


def test_tools_and_results_pass_through(made: Installation, client: openai.OpenAI) -> None:
    tools: Any = [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"model": {"type": "string"}}}}}
    ]
    said: Any = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"role": "user", "content": [{"type": "text", "text": "and now?"}]},
    ]
    client.chat.completions.create(model=OUTSIDE, messages=said, tools=tools, seed=7)
    sent = made.outside.requests[-1].json()
    assert (sent["tools"], sent["messages"], sent["seed"], sent["model"]) == (tools, said, 7, "recorder-1")


def test_other_paths_go_to_the_application_inside(shared: Installation) -> None:
    for method, path in (("GET", "/"), ("GET", "/v2/models"), ("GET", "/serving-endpoints/x"), ("POST", "/api/2.0/serving-endpoints")):
        assert call(shared, method, path)[0] == 418


def test_the_route_is_told_to_those_who_ask(made: Installation) -> None:
    assert "insjo" not in json.loads(call(made, "POST", "/v1/chat/completions", chat_body())[2])
    told = json.loads(call(made, "POST", "/v1/chat/completions", chat_body(), x_insjo_include="route")[2])["insjo"]
    assert told == {
        "outcome": "direct",
        "endpoint": OUTSIDE,
        "served_by": OUTSIDE,
        "served_model": "paid",
        "label": {"level": "internal", "categories": [], "zone": "any"},
        "reason": "",
    }


# The law


def test_pasted_content_is_rerouted_and_the_answer_says_so(made: Installation, client: openai.OpenAI) -> None:
    made.protect(SECRET_TEXT)
    for stream in (False, True):
        found = client.chat.completions.with_raw_response.create(
            model=OUTSIDE, messages=[{"role": "user", "content": f"Polish this: {SECRET_TEXT}"}], stream=stream
        )
        assert found.headers["x-insjo-route"].startswith(
            'rerouted; endpoint="insjo-chat"; served="recorded-local"; label="confidential, salary"'
        )
        found.http_response.read()
    assert not made.outside.requests
    assert made.inside.holds(SECRET_TEXT)


def test_content_that_may_go_nowhere_is_blocked(made: Installation, client: openai.OpenAI) -> None:
    made.make_outside("strict")
    made.grant("anna", "strict")
    made.protect(SECRET_TEXT)
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model="strict", messages=[{"role": "user", "content": SECRET_TEXT}])
    assert caught.value.code == "flow_blocked"
    assert "confidential" in caught.value.message
    assert not made.outside.requests


def test_a_header_raises_the_label_and_never_lowers_it(made: Installation) -> None:
    for value, outcome in (("confidential", "rerouted"), ("health; zone=local", "rerouted"), ("internal", "direct"), ("public", "direct")):
        _, headers, _ = call(made, "POST", "/v1/chat/completions", chat_body(), x_insjo_label=value)
        assert headers["x-insjo-route"].startswith(outcome), value
    made.protect(SECRET_TEXT)
    sent = len(made.outside.requests)
    _, headers, _ = call(made, "POST", "/v1/chat/completions", chat_body(SECRET_TEXT), x_insjo_label="public")
    assert headers["x-insjo-route"].startswith("rerouted")
    assert len(made.outside.requests) == sent
    status, _, content = call(made, "POST", "/v1/chat/completions", chat_body(), x_insjo_label="zone=moon")
    assert (status, error_of(content)["code"]) == (400, "invalid_request")


def test_usage_of_every_request_is_written_down(made: Installation, client: openai.OpenAI) -> None:
    client.chat.completions.create(model=OUTSIDE, messages=HELLO)
    list(client.chat.completions.create(model=OUTSIDE, messages=HELLO, stream=True))
    client.embeddings.create(model="insjo-embed", input="x")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="nothing", messages=HELLO)
    rows = made.gateway.usage.list(made.person("anna")).items
    assert [(row.task, row.streamed, row.door, row.status) for row in rows] == [
        ("embeddings", False, "openai", "ok"),
        ("chat", True, "openai", "ok"),
        ("chat", False, "openai", "ok"),
    ]
    assert [(row.input_tokens, row.output_tokens) for row in rows[1:]] == [(2, 3), (2, 3)]


def test_a_token_that_is_deleted_ends_a_running_answer(made: Installation) -> None:
    created = made.access.tokens.create(made.person("anna"), comment="short")
    made.outside.default = Script(text="word " * 3000, event_delay_s=0.005)
    with openai.OpenAI(base_url=f"{made.url}/v1", api_key=created.value, max_retries=0) as client:
        stream = client.chat.completions.create(model=OUTSIDE, messages=HELLO, stream=True)
        next(stream)
        made.access.tokens.delete(made.person("anna"), created.token_id)
        with pytest.raises(openai.APIError):
            list(stream)
        with pytest.raises(openai.AuthenticationError):
            client.models.list()


def test_a_withdrawn_grant_ends_a_running_answer(made: Installation, client: openai.OpenAI) -> None:
    made.outside.default = Script(text="word " * 3000, event_delay_s=0.005)
    stream = client.chat.completions.create(model=OUTSIDE, messages=HELLO, stream=True)
    next(stream)
    made.access.grants.revoke(made.admin, made.id_of(OUTSIDE), "anna", [Privilege.EXECUTE])
    with pytest.raises(openai.APIError, match="withdrawn"):
        list(stream)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=OUTSIDE, messages=HELLO)


# Errors


def test_wrong_tokens(shared: Installation) -> None:
    for token in ("insjo_wrong", "x"):
        with openai.OpenAI(base_url=f"{shared.url}/v1", api_key=token, max_retries=0) as client, pytest.raises(openai.AuthenticationError):
            client.models.list()
    for value in ("", "Bearer", "Bearer ", "Bearer \xe5\xe5", "Bearer " + "x" * 5000, "Basic !", "Digest x"):
        status, headers, content = call(shared, "GET", "/v1/models", authorization=value)
        assert (status, headers["www-authenticate"], error_of(content)["type"]) == (401, "Bearer", "authentication_error"), value


def test_an_expired_token_is_wrong(shared: Installation) -> None:
    token = shared.token("anna", lifetime_s=1)
    until(lambda: call(shared, "GET", "/v1/models", authorization=f"Bearer {token}")[0] == 401)


def test_an_unknown_model_gets_a_hint(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="Did you mean `outside`") as caught:
        client.chat.completions.create(model="outsider", messages=HELLO)
    assert caught.value.code == "endpoint_not_found"
    with pytest.raises(openai.BadRequestError, match="is for embeddings"):
        client.chat.completions.create(model="insjo-embed", messages=HELLO)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b'{"model":"outside"}', "messages"),
        (b'{"model":"outside","messages":[]}', "messages"),
        (b'{"model":"outside","messages":"hi"}', "messages"),
        (b'{"model":7,"messages":[{"role":"user","content":"x"}]}', "model"),
        (b'{"model":"outside","stream":"yes","messages":[{"role":"user","content":"x"}]}', "stream"),
        (b'{"model":"outside","model":"insjo-chat","messages":[{"role":"user","content":"x"}]}', "model"),
        (b'{"model":"outside","messages":' + b"[" * 50_000, None),
    ],
)
def test_wrong_bodies(shared: Installation, body: bytes, param: str | None) -> None:
    before = len(shared.outside.requests)
    status, _, content = call(shared, "POST", "/v1/chat/completions", body)
    found = error_of(content)
    assert (status, found["type"], found["param"]) == (400, "invalid_request_error", param)
    assert len(shared.outside.requests) == before


def test_a_missing_model_is_named(shared: Installation) -> None:
    status, _, content = call(shared, "POST", "/v1/chat/completions", b'{"messages":[{"role":"user","content":"x"}]}')
    assert status == 404
    assert "insjo-chat" in error_of(content)["message"]


def test_bodies_over_the_limit_are_refused_before_they_are_read(shared: Installation) -> None:
    address = urllib.parse.urlsplit(shared.url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {shared.token('anna')}\r\n"
        connection.sendall(f"{head}content-length: {BODY_BYTES_MAX + 1}\r\n\r\n".encode())
        assert connection.recv(1000).split(b" ", 2)[1] == b"413"


def test_the_callers_fault_comes_in_the_providers_words(made: Installation, client: openai.OpenAI) -> None:
    made.outside.default = Script(fault=Fault.STATUS, status=422)
    with pytest.raises(openai.UnprocessableEntityError, match="told to answer 422") as caught:
        client.chat.completions.create(model=OUTSIDE, messages=HELLO)
    assert caught.value.code == "scripted"


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (Script(fault=Fault.RESET), 502, "provider_unreachable"),
        (Script(fault=Fault.GARBAGE), 502, "provider_garbled"),
        (Script(fault=Fault.NO_JSON), 502, "provider_garbled"),
        (Script(fault=Fault.REDIRECT), 502, "provider_failed"),
        (Script(fault=Fault.STATUS, status=500), 502, "provider_failed"),
        (Script(fault=Fault.STATUS, status=401), 502, "provider_failed"),
        (Script(fault=Fault.STATUS, status=429), 429, "provider_busy"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_failures_of_the_provider(made: Installation, script: Script, status: int, code: str, stream: bool) -> None:
    made.make_outside("alone")
    made.grant("anna", "alone")
    made.outside.default = script
    found, headers, content = call(made, "POST", "/v1/chat/completions", chat_body(model="alone", stream=stream))
    assert (found, error_of(content)["code"]) == (status, code)
    assert headers["content-type"] == "application/json"
    if status == 429:
        assert headers["retry-after"] == "7"


def test_a_model_that_loads_says_when_to_come_back(made: Installation) -> None:
    made.runtime.loading = True
    status, headers, content = call(made, "POST", "/v1/chat/completions", chat_body(model="insjo-chat"))
    assert (status, headers["retry-after"], error_of(content)["code"]) == (503, "3", "model_not_loaded")


@pytest.mark.parametrize("fault", [Fault.RESET_MID_STREAM, Fault.NO_DONE, Fault.SPLIT])
def test_every_stream_ends_with_done(made: Installation, client: openai.OpenAI, fault: Fault) -> None:
    made.outside.default = Script(text="word " * 30, fault=fault, event_delay_s=0.001)
    status, _, content = call(made, "POST", "/v1/chat/completions", chat_body(stream=True))
    assert status == 200
    assert content.endswith(b"data: [DONE]\n\n")
    assert content.count(b"data: [DONE]") == 1
    stream = client.chat.completions.create(model=OUTSIDE, messages=HELLO, stream=True)
    if fault is Fault.RESET_MID_STREAM:
        with pytest.raises(openai.APIError, match="cut its answer off"):
            list(stream)
    else:
        assert "word word" in "".join(chunk.choices[0].delta.content or "" for chunk in stream)


@pytest.mark.parametrize("name", sorted(NOT_BUILT))
def test_what_is_not_there_is_named(shared: Installation, name: str) -> None:
    status, _, content = call(shared, "POST", f"/v1/{name}", b"{}")
    assert (status, error_of(content)["code"]) == (501, "not_implemented")
    assert NOT_BUILT[name] in error_of(content)["message"]
    assert call(shared, "POST", f"/v1/{name}", b"{}", authorization="")[0] == 401


def test_paths_that_openai_does_not_have(shared: Installation) -> None:
    assert call(shared, "GET", "/v1/nothing")[0] == 404
    assert call(shared, "GET", "/v1/chat/completions")[0] in {400, 405}
    assert call(shared, "DELETE", f"/v1/models/{OUTSIDE}")[0] in {400, 405}


# People who go away, and many at once


def test_a_caller_that_hangs_up_ends_the_call_of_the_provider(made: Installation) -> None:
    made.outside.default = Script(text="word " * 5000, event_delay_s=0.01)
    with httpx2.Client() as http_client:
        head = {"authorization": f"Bearer {made.token('anna')}"}
        with http_client.stream("POST", f"{made.url}/v1/chat/completions", content=chat_body(stream=True), headers=head) as answer:
            next(answer.iter_bytes())
    until(lambda: made.outside.cut_by_client == 1)
    until(lambda: bool(made.gateway.usage.list(made.admin).items))
    assert made.gateway.usage.list(made.admin).items[0].status == "cancelled"


def test_a_caller_that_hangs_up_before_the_answer_ends_the_call_too(made: Installation) -> None:
    made.outside.default = Script(delay_s=1.0, text="word " * 5000, event_delay_s=0.01)
    head = {"authorization": f"Bearer {made.token('anna')}"}
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{made.url}/v1/chat/completions", content=chat_body(stream=True), headers=head, timeout=0.4)
    until(lambda: made.outside.cut_by_client == 1)
    until(lambda: bool(made.gateway.usage.list(made.admin).items))
    assert made.gateway.usage.list(made.admin).items[0].status == "cancelled"


def test_fifty_callers_at_once_each_get_their_own_answer(made: Installation) -> None:
    with openai.OpenAI(base_url=f"{made.url}/v1", api_key=made.token("anna"), max_retries=0) as client, ThreadPoolExecutor(50) as pool:

        def one(number: int) -> bool:
            said: Any = [{"role": "user", "content": f"caller {number}"}]
            if number % 2:
                whole = client.chat.completions.create(model=OUTSIDE, messages=said)
                return whole.choices[0].message.content == f"Echo: caller {number}"
            stream = client.chat.completions.create(model=OUTSIDE, messages=said, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in stream) == f"Echo: caller {number}"

        assert all(pool.map(one, range(300)))
    assert sum(row["requests"] for row in made.gateway.usage.aggregate(made.admin, "endpoint")) == 300


def test_a_used_up_limit_is_a_rate_limit_error_that_tells_when_to_ask_again(made: Installation, client: openai.OpenAI) -> None:
    spec = LimitSpec("each", "requests", "month", 1)
    set_limit = made.gateway.limits.create(made.admin, spec)
    assert client.chat.completions.create(model=OUTSIDE, messages=HELLO).choices
    with pytest.raises(openai.RateLimitError, match="The limit of 1 requests a month for each caller is used up") as refused:
        client.with_options(max_retries=0).chat.completions.create(model=OUTSIDE, messages=HELLO)
    assert int(refused.value.response.headers["retry-after"]) > 0
    made.gateway.limits.delete(made.admin, set_limit.id)
    warning = made.gateway.limits.create(made.admin, replace(spec, action="warn"))
    raw = client.chat.completions.with_raw_response
    answers = [raw.create(model=OUTSIDE, messages=HELLO, stream=number == 2) for number in range(3)]
    assert ["x-insjo-warning" in each.headers for each in answers] == [False, True, True]
    made.gateway.limits.delete(made.admin, warning.id)


def test_a_change_in_another_process_is_noticed(made: Installation, client: openai.OpenAI) -> None:
    client.chat.completions.create(model=OUTSIDE, messages=HELLO)
    with installation_beside(made) as other:
        clearance = Clearance("served_model:outside/paid", level=Level.PUBLIC, categories=ALL, keeps=False)
        other.clearances.set(system_context(), clearance)
        raw = client.chat.completions.with_raw_response

        def rerouted() -> bool:
            return raw.create(model=OUTSIDE, messages=HELLO).headers["x-insjo-route"].startswith("rerouted")

        until(rerouted)


def installation_beside(made: Installation) -> Any:  # noqa: ANN401  # A context manager.
    """Access over the same database, as another process has it."""
    import contextlib

    from insjo.access.service.facade import Access
    from insjo.kernel.clock import SystemClock
    from insjo.kernel.database import Database
    from insjo.kernel.settings import Settings
    from tests.support.gateway import KEY

    @contextlib.contextmanager
    def opened() -> Iterator[Access]:
        database = Database(made.database.url)
        access = Access(database=database, clock=SystemClock(), settings=Settings(), key=KEY)
        try:
            yield access
        finally:
            access.close()
            database.close()

    return opened()
