"""The meter around one request: whatever ends it, one usage record comes out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from insjo.gateway.types import TokenUsage, UsageRecord
from insjo.kernel.errors import InsjoError
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from insjo.gateway.service.limits import Reservation
    from insjo.gateway.service.snapshot import Candidate, EndpointView
    from insjo.gateway.service.usage import Usage
    from insjo.gateway.types import Outcome, Prices
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

TOKENS_OF_PRICE = 1_000_000


class Meter:
    """Counts one request; `settle` is called once, in a `finally`."""

    __slots__ = (
        "_clock",
        "_ctx",
        "_settled",
        "_started_s",
        "_usage",
        "_view",
        "cached",
        "candidate",
        "first_byte_s",
        "label_text",
        "outcome",
        "reservation",
        "streamed",
    )

    def __init__(self, ctx: RequestContext, view: EndpointView, usage: Usage, clock: Clock) -> None:
        """Start the clock."""
        self._ctx = ctx
        self._view = view
        self._usage = usage
        self._clock = clock
        self._settled = False
        self._started_s = time.perf_counter()
        self.first_byte_s = 0.0
        self.candidate: Candidate | None = None
        self.label_text = ""
        self.outcome: Outcome = "direct"
        self.streamed = False
        self.cached = False
        self.reservation: Reservation | None = None

    def first_byte(self) -> None:
        """The first byte of the answer is here."""
        if not self.first_byte_s:
            self.first_byte_s = time.perf_counter()

    def settle(
        self, status: Literal["ok", "error", "cancelled", "blocked"], tokens: TokenUsage, error: BaseException | None = None
    ) -> None:
        """Write the record; only the first call counts."""
        if self._settled:
            return
        self._settled = True
        now_s = time.perf_counter()
        ctx, view, candidate = self._ctx, self._view, self.candidate
        served = candidate.served if candidate else None
        here = served is not None and not served.kind.elsewhere
        prices = served.profile.prices if served else None
        sent = served is not None and status != "blocked" and not self.cached
        cost = (0.0 if here else cost_of(prices, tokens)) if sent else 0.0
        if self.reservation is not None:
            self.reservation.settle(sent=sent and status != "error", tokens=tokens, cost=cost)
        self._usage.add(
            # By position, which takes half the time of keywords; the names stand in `UsageRecord`.
            UsageRecord(
                new_id(),
                self._clock.now(),
                ctx.request_id,
                ctx.principal.id,
                ctx.principal.name,
                ctx.on_behalf_of.name if ctx.on_behalf_of else "",
                ctx.door,
                view.id,
                view.name,
                candidate.endpoint if candidate else "",
                served.name if served else "",
                served.model if served else "",
                view.task.value,
                "blocked" if status == "blocked" else self.outcome,
                status,
                _code_of(error),
                self.label_text,
                self.streamed,
                tokens.input_tokens,
                tokens.output_tokens,
                tokens.cached_tokens,
                tokens.estimated,
                cost,
                prices.currency if prices else "",
                round((self.first_byte_s - self._started_s) * 1000, 3) if self.first_byte_s else 0.0,
                round((now_s - self._started_s) * 1000, 3),
            )
        )


def cost_of(prices: Prices | None, tokens: TokenUsage) -> float | None:
    """What the tokens cost; None when a price is not known."""
    if prices is None or prices.input_per_million is None or prices.output_per_million is None:
        return None
    cached_price = prices.input_per_million if prices.cached_input_per_million is None else prices.cached_input_per_million
    cached = min(tokens.cached_tokens, tokens.input_tokens)
    full = tokens.input_tokens - cached
    return (full * prices.input_per_million + cached * cached_price + tokens.output_tokens * prices.output_per_million) / TOKENS_OF_PRICE


def _code_of(error: BaseException | None) -> str:
    if error is None:
        return ""
    return error.code if isinstance(error, InsjoError) else "INTERNAL_ERROR"
