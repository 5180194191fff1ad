"""Own API: labels, clearances, why somebody may, the audit, and sums of usage; no standard has these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.types import ALL, AuditFilter, Clearance, Label, Level, Privilege, Securable, SecurableKind
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PageRequest
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.access.types import AuditEvent

PREFIX = "/api/insjo/v1"
UsageGroup = Literal["endpoint", "principal", "model", "day", "door", "status"]
GROUPS: tuple[UsageGroup, ...] = ("endpoint", "principal", "model", "day", "door", "status")


class LabelBody(msgspec.Struct):
    """A label to set; `column` names one column of a table."""

    level: str
    categories: list[str] = []
    zone: Literal["local", "eu", "any"] = "any"
    column: str | None = None


class ClearanceBody(msgspec.Struct):
    """What a destination may receive; the category `*` means all."""

    destination: str
    level: str
    categories: list[str] = []
    zone: Literal["local", "eu", "any"] = "any"
    keeps: bool = True
    trains: bool = False


async def securable_of(call: Call) -> Securable:
    """The object that the path names."""
    kind = SecurableKind.parse(call.path("kind"))
    return await call.run(call.services.access.securables.resolve, call.ctx, kind, call.path("full_name").lower(), None)


async def get_label(call: Call) -> Response:
    """The label in force, the one set on the object itself, and those of its columns."""
    securable = await securable_of(call)
    labels = call.services.access.labels
    own = await call.run(labels.own, securable.id)
    columns = await call.run(labels.columns, securable.id)
    effective = await call.run(labels.effective, securable.id)
    return JSONResponse(
        {
            "effective": effective.as_json(),
            "own": own.as_json() if own else None,
            "columns": {name: label.as_json() for name, label in columns.items()},
        }
    )


async def set_label(call: Call) -> Response:
    """Set a label."""
    body = await call.json(LabelBody)
    securable = await securable_of(call)
    zones = {"local": ("local",), "eu": ("local", "eu"), "any": ("local", "eu", "any")}[body.zone]
    label = Label(Level.parse(body.level), frozenset(body.categories), frozenset(zones))
    await call.run(call.services.access.labels.set, call.ctx, securable.id, label, column=body.column)
    return await get_label(call)


async def clear_label(call: Call) -> Response:
    """Remove the label that was set on the object itself."""
    securable = await securable_of(call)
    await call.run(call.services.access.labels.clear, call.ctx, securable.id, column=call.query("column") or None)
    return await get_label(call)


async def why(call: Call) -> Response:
    """Whether somebody holds a privilege, and where it comes from."""
    kind = SecurableKind.parse(call.path("kind"))
    who = call.query("principal") or call.ctx.principal.name
    privilege = Privilege.parse(call.query("privilege"))
    decision = await call.run(call.services.access.authority.explain, call.ctx, who, privilege, kind, call.path("full_name").lower())
    return JSONResponse({"allowed": decision.allowed, "reason": decision.reason, "via": decision.via, "missing": list(decision.missing)})


def clearance_body(clearance: Clearance) -> dict[str, object]:
    """A clearance as JSON."""
    return {
        "destination": clearance.destination,
        "level": clearance.level.name.lower(),
        "categories": ["*"] if clearance.categories is ALL else sorted(str(word) for word in clearance.categories),
        "zone": clearance.zone,
        "keeps": clearance.keeps,
        "trains": clearance.trains,
    }


async def list_clearances(call: Call) -> Response:
    """All clearances that were given; only admins read them."""
    found = await call.run(call.services.access.clearances.list, call.ctx)
    return JSONResponse({"clearances": [clearance_body(each) for each in found]})


async def set_clearance(call: Call) -> Response:
    """Give a clearance; only admins may."""
    body = await call.json(ClearanceBody)
    clearance = Clearance(
        destination=body.destination,
        level=Level.parse(body.level),
        categories=ALL if body.categories == ["*"] else frozenset(body.categories),
        zone=body.zone,
        keeps=body.keeps,
        trains=body.trains,
    )
    return JSONResponse(clearance_body(await call.run(call.services.access.clearances.set, call.ctx, clearance)))


async def search_audit(call: Call) -> Response:
    """Rows of the audit; only admins read it."""
    await call.run(call.services.access.principals.require_admin, call.ctx, "read the audit")
    filters = AuditFilter(
        principal=call.query("principal"),
        action=call.query("action"),
        outcome=call.query("outcome"),
        object=call.query("object"),
        destination=call.query("destination"),
        request_id=call.query("request_id"),
    )
    page = PageRequest.of(call.query_int("max_results"), call.query("page_token"))
    found = await call.run(call.services.access.audit.search, call.ctx, filters, page)
    body: dict[str, object] = {"events": [event_body(each) for each in found.items]}
    if found.next_token:
        body["next_page_token"] = found.next_token
    return JSONResponse(body)


def event_body(event: AuditEvent) -> dict[str, object]:
    """A row of the audit as JSON; content is never in it."""
    names = ("sequence", "action", "outcome", "principal", "on_behalf_of", "door", "request_id", "object", "label", "destination", "reason")
    body: dict[str, object] = {name: getattr(event, name) for name in names}
    return body | {"at": event.at.isoformat(), "origins": list(event.origins), "content_hash": event.content_hash}


async def verify_audit(call: Call) -> Response:
    """Prove that no row was changed or removed."""
    await call.run(call.services.access.principals.require_admin, call.ctx, "verify the audit")
    report = await call.run(call.services.access.audit.verify)
    return JSONResponse({"intact": report.intact, "rows": report.rows, "sequence": report.sequence, "problem": report.problem})


async def metrics(call: Call) -> Response:
    """Counts since the server began, in Prometheus' text format; admins only."""
    media_type, content = await call.run(call.services.gateway.usage.metrics, call.ctx)
    return Response(content, media_type=media_type)


async def sum_usage(call: Call) -> Response:
    """Sums of usage by one group; everybody sees their own, admins all."""
    asked = call.query("group", "endpoint")
    group = next((each for each in GROUPS if each == asked), None)
    if group is None:
        raise InvalidArgument(f"`{asked[:40]}` is no group.", hint=f"Groups are {', '.join(GROUPS)}.")
    rows = await call.run(call.services.gateway.usage.aggregate, call.ctx, group)
    return JSONResponse({"group": group, "rows": [dict(each) for each in rows]})


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/labels/{{kind}}/{{full_name}}", get_label, "insjo"),
    DoorRoute("PUT", f"{PREFIX}/labels/{{kind}}/{{full_name}}", set_label, "insjo"),
    DoorRoute("DELETE", f"{PREFIX}/labels/{{kind}}/{{full_name}}", clear_label, "insjo"),
    DoorRoute("GET", f"{PREFIX}/why/{{kind}}/{{full_name}}", why, "insjo"),
    DoorRoute("GET", f"{PREFIX}/clearances", list_clearances, "insjo"),
    DoorRoute("PUT", f"{PREFIX}/clearances", set_clearance, "insjo"),
    DoorRoute("GET", f"{PREFIX}/audit", search_audit, "insjo"),
    DoorRoute("POST", f"{PREFIX}/audit/verify", verify_audit, "insjo"),
    DoorRoute("GET", f"{PREFIX}/usage", sum_usage, "insjo"),
    DoorRoute("GET", "/metrics", metrics, "insjo"),
)
