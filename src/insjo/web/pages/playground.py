"""Page `/playground`: the same question to two endpoints, side by side."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.gateway.types import Message, TextAnswer
from insjo.kernel.errors import InsjoError
from insjo.web.pages.render import page
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

TOKENS_DEFAULT = 256
TOKENS_MAX = 2048
QUESTION_CHARS_MAX = 40_000


@dataclass(frozen=True, slots=True)
class Tried:
    """What one endpoint made of the question."""

    endpoint: str
    answer: TextAnswer | None
    error: InsjoError | None
    seconds: float


async def show(call: Call) -> Response:
    """The form."""
    return await _render(call, {"left": call.query("left"), "right": call.query("right")}, ())


async def compare(call: Call) -> Response:
    """Ask both endpoints at once."""
    form = await form_of(call)
    names = [form.get(side, "") for side in ("left", "right") if form.get(side)]
    tried = await asyncio.gather(*(_ask(call, name, form) for name in names))
    return await _render(call, form, tuple(tried))


async def _ask(call: Call, endpoint: str, form: dict[str, str]) -> Tried:
    """Ask one endpoint; its error is an answer too."""
    messages = [Message("system", form["system"])] if form.get("system") else []
    messages.append(Message("user", form.get("question", "")[:QUESTION_CHARS_MAX]))
    began_s = call.services.clock.monotonic_s()
    answer, error = None, None
    try:
        answer = await call.services.gateway.completions.complete_text(
            call.ctx, endpoint, messages, max_tokens=_tokens(form), temperature=_temperature(form)
        )
    except InsjoError as failure:
        error = failure
    return Tried(endpoint, answer, error, call.services.clock.monotonic_s() - began_s)


def _tokens(form: dict[str, str]) -> int:
    """Longest answer, in tokens."""
    text = form.get("max_tokens", "")
    return min(int(text), TOKENS_MAX) if text.isdigit() and int(text) else TOKENS_DEFAULT


def _temperature(form: dict[str, str]) -> float:
    """How much chance there is in the answer, 0 to 2."""
    try:
        return min(max(float(form.get("temperature", "0.2").replace(",", ".")), 0.0), 2.0)
    except ValueError:
        return 0.2


async def _render(call: Call, form: dict[str, str], tried: tuple[Tried, ...]) -> Response:
    """The page."""
    endpoints = await call.run(call.services.gateway.endpoints.list, call.ctx)
    chat = [each.name for each in endpoints if each.task.value == "chat"]
    return await page(call, "pages/playground.html", endpoints=chat, form=form, tried=tried, tokens=TOKENS_DEFAULT)


ROUTES = (
    DoorRoute("GET", "/playground", show, "page"),
    DoorRoute("POST", "/playground", compare, "page"),
)
