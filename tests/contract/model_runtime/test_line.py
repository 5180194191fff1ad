"""The line in front of a local model, seen through the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from insjo.adapters.llama.line import Line, Turn
from insjo.gateway.service.completions import ChatResponse
from insjo.gateway.types import ChatRequest
from insjo.kernel.errors import InsjoError
from insjo.testing.models import LOCAL_MODEL, RecordedRuntime
from insjo.testing.recorder import Fault, Recorder, Script
from tests.support.library import Library, open_library

WITHIN_S = 30


class LinedRuntime(RecordedRuntime):
    """A runtime with the line of the real one: one answers, one waits."""

    line: Line

    async def admit(self, model: str) -> Turn:  # type: ignore[override]  # A turn of the real kind.
        return await self.line.enter()


@pytest.fixture
def lined(tmp_path: Path) -> Iterator[tuple[Library, Line, Recorder]]:
    with Recorder().running() as recorder:
        runtime = LinedRuntime(recorder)
        runtime.line = Line(LOCAL_MODEL, width=1, waiting_max=1)
        with open_library(tmp_path, runtime=runtime) as library:
            yield library, runtime.line, recorder


async def start(library: Library, *, stream: bool = True) -> ChatResponse:
    body = msgspec.json.encode({"model": "insjo-chat", "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
    return await library.gateway.completions.create(library.admin, ChatRequest(body))


def test_one_answers_one_waits_the_third_is_refused_and_a_caller_who_leaves_lets_the_next_in(lined: tuple[Library, Line, Recorder]) -> None:
    library, line, _ = lined

    async def scene() -> None:
        first = await start(library)
        second = asyncio.create_task(start(library))
        while line.waiting == 0:  # noqa: ASYNC110  # The line has no event to wait for.
            await asyncio.sleep(0.01)
        with pytest.raises(InsjoError) as caught:
            await start(library)
        assert caught.value.code == "MODEL_QUEUE_FULL"
        assert not second.done()
        await first.finish()
        answer = await asyncio.wait_for(second, WITHIN_S)
        assert line.active == 1
        async for _ in answer.body():
            pass
        assert (line.active, line.waiting) == (0, 0)

    library.run(scene())


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.RESET, Fault.STATUS, Fault.GARBAGE, Fault.NO_JSON, Fault.RESET_MID_STREAM])
@pytest.mark.parametrize("stream", [True, False])
def test_the_turn_comes_back_however_the_answer_ends(lined: tuple[Library, Line, Recorder], fault: Fault, stream: bool) -> None:
    library, line, recorder = lined
    recorder.default = Script(text="some words of an answer", fault=fault)

    async def scene() -> None:
        try:
            answer = await start(library, stream=stream)
            async for _ in answer.body():
                pass
        except InsjoError:
            pass

    library.run(scene())
    assert (line.active, line.waiting) == (0, 0)


def test_somebody_who_gives_up_waiting_leaves_the_line(lined: tuple[Library, Line, Recorder]) -> None:
    library, line, _ = lined

    async def scene() -> None:
        first = await start(library)
        second = asyncio.create_task(start(library))
        while line.waiting == 0:  # noqa: ASYNC110  # As above.
            await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert line.waiting == 0
        await first.finish()
        assert line.active == 0

    library.run(scene())
