"""Own API: when saved queries run by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.kernel.paging import PageRequest
from insjo.web.insjo.governance import PREFIX
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.jobs.types import Run
    from insjo.workspace.types import Schedule

PAGE_SIZE = 50


class ScheduleBody(msgspec.Struct):
    """When a query is to run: a rule of cron with five fields, in a time zone."""

    cron: str
    time_zone: str = "UTC"
    paused: bool = False


def schedule_body(found: Schedule) -> dict[str, Any]:
    """A schedule as JSON."""
    return {
        "query_id": found.query_id,
        "query_name": found.query_name,
        "owner": found.owner,
        "cron": found.cron,
        "time_zone": found.time_zone,
        "paused": found.paused,
        "outdated": found.outdated,
        "created_at": found.created_at.isoformat(),
        "next_at": found.next_at.isoformat() if found.next_at else None,
        "last_at": found.last_at.isoformat() if found.last_at else None,
        "last_run_id": found.last_run_id,
    }


def scheduled_run_body(run: Run) -> dict[str, Any]:
    """A run as JSON; `statement_id` and `rows` are known once it has succeeded, and the result is its owner's."""
    return {
        "run_id": run.id,
        "state": run.state.value,
        "owner": run.owner,
        "created_at": run.created_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "error": run.error,
        "error_code": run.error_code,
        "statement_id": run.result.get("statement_id") or "",
        "rows": run.result.get("rows"),
    }


async def list_schedules(call: Call) -> Response:
    """Schedules of the saved queries that the caller may read."""
    found = await call.run(call.services.workspace.schedules.list, call.ctx)
    return JSONResponse({"schedules": [schedule_body(each) for each in found]})


async def get_schedule(call: Call) -> Response:
    """When a saved query runs by itself."""
    return JSONResponse(schedule_body(await call.run(call.services.workspace.schedules.get, call.ctx, call.path("id"))))


async def set_schedule(call: Call) -> Response:
    """Let a saved query run by itself, with the rights of the caller."""
    body = await call.json(ScheduleBody)
    made = await call.run(call.services.workspace.schedules.set, call.ctx, call.path("id"), body.cron, body.time_zone, paused=body.paused)
    return JSONResponse(schedule_body(made))


async def delete_schedule(call: Call) -> Response:
    """Let a saved query run by itself no longer."""
    await call.run(call.services.workspace.schedules.delete, call.ctx, call.path("id"))
    return Response(status_code=204)


async def run_schedule(call: Call) -> Response:
    """Run a scheduled query once at once."""
    return JSONResponse(
        scheduled_run_body(await call.run(call.services.workspace.schedules.run_now, call.ctx, call.path("id"))), status_code=202
    )


async def list_scheduled_runs(call: Call) -> Response:
    """What ran, the newest first."""
    page = PageRequest.of(PAGE_SIZE, call.query("page_token"))
    found = await call.run(call.services.workspace.schedules.runs, call.ctx, call.path("id"), page)
    return JSONResponse({"runs": [scheduled_run_body(each) for each in found.items], "next_page_token": found.next_token})


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/schedules", list_schedules, "insjo"),
    DoorRoute("GET", f"{PREFIX}/queries/{{id}}/schedule", get_schedule, "insjo"),
    DoorRoute("PUT", f"{PREFIX}/queries/{{id}}/schedule", set_schedule, "insjo"),
    DoorRoute("DELETE", f"{PREFIX}/queries/{{id}}/schedule", delete_schedule, "insjo"),
    DoorRoute("POST", f"{PREFIX}/queries/{{id}}/schedule/run", run_schedule, "insjo"),
    DoorRoute("GET", f"{PREFIX}/queries/{{id}}/schedule/runs", list_scheduled_runs, "insjo"),
)
