"""Page `/usage`: what the models were used for, by whom, and what it cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from insjo.kernel.paging import PageRequest
from insjo.web.pages.render import page
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response

PERIODS_DAYS = (1, 7, 30, 90)
RECENT = 50


async def show(call: Call) -> Response:
    """Sums, a chart by day, and the latest calls; everybody sees their own, admins all."""
    days = call.query_int("days") or 30
    days = days if days in PERIODS_DAYS else 30
    today = call.services.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=days - 1)
    usage = call.services.gateway.usage
    by_day = await call.run(usage.aggregate, call.ctx, "day", since=since)
    by_endpoint = await call.run(usage.aggregate, call.ctx, "endpoint", since=since)
    by_person = await call.run(usage.aggregate, call.ctx, "principal", since=since)
    by_model = await call.run(usage.aggregate, call.ctx, "model", since=since)
    recent = await call.run(usage.list, call.ctx, PageRequest.of(RECENT, call.query("page_token")))
    return await page(
        call,
        "pages/usage.html",
        days=days,
        periods=PERIODS_DAYS,
        totals=totals_of(by_endpoint),
        chart=chart_of(by_day, since, days),
        groups=(("endpoint", by_endpoint), ("principal", by_person), ("model", by_model)),
        recent=recent.items,
        next_token=recent.next_token,
    )


def totals_of(groups: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Sums over all groups."""
    names = ("requests", "input_tokens", "output_tokens", "cost", "errors", "rerouted", "blocked")
    return {name: sum(float(each[name] or 0) for each in groups) for name in names}


def chart_of(by_day: Sequence[dict[str, Any]], since: datetime, days: int) -> dict[str, object]:
    """Tokens of each day, days without any included."""
    counts = {int(each["key"]): each for each in by_day}
    first = (since - datetime(1970, 1, 1, tzinfo=UTC)).days
    moments = [first + offset for offset in range(days)]

    def series(name: str) -> list[int]:
        return [int(counts[day][name] or 0) if day in counts else 0 for day in moments]

    labels = [(since + timedelta(days=offset)).strftime("%m-%d") for offset in range(days)]
    return {
        "kind": "bar",
        "labels": labels,
        "series": [{"name": "input", "values": series("input_tokens")}, {"name": "output", "values": series("output_tokens")}],
        "unit": "tokens",
    }


ROUTES = (DoorRoute("GET", "/usage", show, "page"),)
