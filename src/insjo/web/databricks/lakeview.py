"""Doors: dashboards and saved queries (wire: `LakeviewAPI` and `QueriesAPI` of databricks-sdk)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.kernel.paging import PageRequest
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from datetime import datetime

    from insjo.workspace.types import Dashboard, Publication, SavedQuery

DASHBOARDS = "/api/2.0/lakeview/dashboards"
QUERIES = "/api/2.0/sql/queries"


class DashboardBody(msgspec.Struct):
    """A dashboard to create, or what to change of one."""

    display_name: str | None = None
    serialized_dashboard: str | None = None
    warehouse_id: str | None = None
    parent_path: str = ""
    etag: str = ""


class PublishBody(msgspec.Struct):
    """How to publish."""

    embed_credentials: bool = False
    warehouse_id: str | None = None


class RevertBody(msgspec.Struct):
    """Which draft to throw away."""

    etag: str = ""


class QueryFields(msgspec.Struct):
    """Fields of a saved query."""

    display_name: str | None = None
    query_text: str | None = None
    description: str | None = None
    warehouse_id: str | None = None
    catalog: str | None = None
    schema: str | None = None
    tags: list[str] | None = None
    parameters: list[dict[str, Any]] | None = None
    parent_path: str = ""
    run_as_mode: str = ""
    apply_auto_limit: bool = False


class QueryBody(msgspec.Struct):
    """A saved query to create or change; only fields in `update_mask` change."""

    query: QueryFields = msgspec.field(default_factory=QueryFields)
    update_mask: str = ""
    auto_resolve_display_name: bool = False


CHANGEABLE = ("display_name", "query_text", "description", "warehouse_id", "catalog", "schema", "tags", "parameters")


def _moment(at: datetime) -> str:
    """A moment as the API writes it (RFC 3339)."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _page(call: Call) -> PageRequest:
    """The page that the client asks for."""
    return PageRequest.of(call.query_int("page_size"), call.query("page_token"))


def dashboard_body(found: Dashboard, *, whole: bool = True) -> dict[str, object]:
    """A dashboard on the wire; lists leave out the document and where it stands."""
    body: dict[str, object] = {
        "dashboard_id": found.id,
        "display_name": found.display_name,
        "create_time": _moment(found.created_at),
        "lifecycle_state": found.state.value,
        "warehouse_id": found.warehouse_id,
    }
    if whole:
        body |= {
            "update_time": _moment(found.updated_at),
            "etag": found.etag,
            "path": found.path,
            "parent_path": found.parent_path,
            "serialized_dashboard": found.serialized,
        }
    return body


def publication_body(found: Publication) -> dict[str, object]:
    """What was published, on the wire."""
    return {
        "display_name": found.display_name,
        "warehouse_id": found.warehouse_id,
        "embed_credentials": False,
        "revision_create_time": _moment(found.published_at),
    }


async def list_dashboards(call: Call) -> Response:
    """Dashboards that the caller may read."""
    page = await call.run(call.services.workspace.dashboards.list, call.ctx, _page(call), show_trashed=call.query_bool("show_trashed"))
    body: dict[str, object] = {"dashboards": [dashboard_body(each, whole=False) for each in page.items]}
    return JSONResponse(body | ({"next_page_token": page.next_token} if page.next_token else {}))


async def create_dashboard(call: Call) -> Response:
    """A new draft."""
    _refuse_defaults(call)
    body = await call.json(DashboardBody)
    made = await call.run(
        call.services.workspace.dashboards.create,
        call.ctx,
        body.display_name or "",
        serialized=body.serialized_dashboard or "{}",
        parent_path=body.parent_path,
        warehouse_id=body.warehouse_id or "",
    )
    return JSONResponse(dashboard_body(made))


def _refuse_defaults(call: Call) -> None:
    """Default catalogs for data sets would change what their SQL means, so they are refused and not dropped."""
    for name in ("dataset_catalog", "dataset_schema"):
        if call.query(name):
            raise Unimplemented(f"`{name}` is not implemented by Insjö.", hint="Write three-part names in the SQL of the data sets.")


async def get_dashboard(call: Call) -> Response:
    """One draft."""
    return JSONResponse(dashboard_body(await call.run(call.services.workspace.dashboards.get, call.ctx, call.path("id"))))


async def update_dashboard(call: Call) -> Response:
    """Change a draft."""
    _refuse_defaults(call)
    body = await call.json(DashboardBody)
    made = await call.run(
        call.services.workspace.dashboards.update,
        call.ctx,
        call.path("id"),
        display_name=body.display_name,
        serialized=body.serialized_dashboard,
        warehouse_id=body.warehouse_id,
        etag=body.etag,
    )
    return JSONResponse(dashboard_body(made))


async def trash_dashboard(call: Call) -> Response:
    """Put a dashboard into the trash."""
    await call.run(call.services.workspace.dashboards.trash, call.ctx, call.path("id"))
    return JSONResponse({})


async def publish(call: Call) -> Response:
    """Show the draft to all readers."""
    body = await call.json(PublishBody)
    if body.embed_credentials:
        message = "`embed_credentials` is not implemented by Insjö: a dashboard never reads with the rights of its author."
        raise Unimplemented(message, hint="Publish without it, and grant SELECT on a view that shows what readers may see.")
    found = await call.run(call.services.workspace.dashboards.publish, call.ctx, call.path("id"), body.warehouse_id)
    return JSONResponse(publication_body(found))


async def get_published(call: Call) -> Response:
    """What was published."""
    return JSONResponse(publication_body(await call.run(call.services.workspace.dashboards.published, call.ctx, call.path("id"))))


async def unpublish(call: Call) -> Response:
    """Take back what was published."""
    await call.run(call.services.workspace.dashboards.unpublish, call.ctx, call.path("id"))
    return JSONResponse({})


async def revert(call: Call) -> Response:
    """Make the draft what was published."""
    dashboards = call.services.workspace.dashboards
    body = await call.json(RevertBody)
    published = await call.run(dashboards.published, call.ctx, call.path("id"))
    made = await call.run(dashboards.update, call.ctx, call.path("id"), serialized=published.serialized, etag=body.etag)
    return JSONResponse({"etag": made.etag})


def query_body(found: SavedQuery) -> dict[str, object]:
    """A saved query on the wire."""
    body: dict[str, object] = {
        "id": found.id,
        "display_name": found.display_name,
        "query_text": found.text,
        "description": found.description,
        "warehouse_id": found.warehouse_id,
        "catalog": found.catalog,
        "schema": found.schema,
        "tags": list(found.tags),
        "parameters": [dict(each) for each in found.parameters],
        "parent_path": found.parent_path,
        "owner_user_name": found.owner,
        "last_modifier_user_name": found.last_modifier,
        "lifecycle_state": found.state.value,
        "run_as_mode": "VIEWER",
        "apply_auto_limit": False,
        "create_time": _moment(found.created_at),
        "update_time": _moment(found.updated_at),
    }
    return {name: value for name, value in body.items() if value not in ("", [])}


def _checked(fields: QueryFields) -> QueryFields:
    """The fields, if they ask for nothing that would be dropped silently."""
    if fields.run_as_mode not in {"", "VIEWER"}:
        message = f"`run_as_mode` `{fields.run_as_mode[:20]}` is not implemented by Insjö: a query runs with the rights of whoever runs it."
        raise Unimplemented(message, hint="Use `VIEWER`, or make a view, which reads with the rights of its owner.")
    if fields.apply_auto_limit:
        raise Unimplemented("`apply_auto_limit` is not implemented by Insjö.", hint="Write LIMIT into the query.")
    return fields


async def list_queries(call: Call) -> Response:
    """Saved queries that the caller may read."""
    page = await call.run(call.services.workspace.queries.list, call.ctx, _page(call))
    body: dict[str, object] = {"results": [query_body(each) for each in page.items]}
    return JSONResponse(body | ({"next_page_token": page.next_token} if page.next_token else {}))


async def create_query(call: Call) -> Response:
    """Keep a query."""
    body = await call.json(QueryBody)
    fields = _checked(body.query)
    made = await call.run(
        call.services.workspace.queries.create,
        call.ctx,
        fields.display_name or "",
        fields.query_text or "",
        description=fields.description or "",
        warehouse_id=fields.warehouse_id or "",
        catalog=fields.catalog or "",
        schema=fields.schema or "",
        tags=fields.tags or (),
        parameters=fields.parameters or (),
        parent_path=fields.parent_path,
        auto_resolve=body.auto_resolve_display_name,
    )
    return JSONResponse(query_body(made))


async def get_query(call: Call) -> Response:
    """One saved query."""
    return JSONResponse(query_body(await call.run(call.services.workspace.queries.get, call.ctx, call.path("id"))))


async def update_query(call: Call) -> Response:
    """Change the fields that the mask names; `*` means all that were sent."""
    body = await call.json(QueryBody)
    fields = _checked(body.query)
    masked = {each.strip() for each in body.update_mask.split(",") if each.strip()}
    unknown = masked - {"*", *CHANGEABLE, "run_as_mode", "apply_auto_limit"}
    if unknown or not masked:
        named = f"`{min(unknown)[:40]}` in `update_mask` cannot be changed." if unknown else "`update_mask` is empty."
        raise InvalidArgument(named, hint=f"Name some of {', '.join(CHANGEABLE)}.")
    sent = {name: getattr(fields, name) for name in CHANGEABLE if "*" in masked or name in masked}
    # A field that the mask names and the body lacks is emptied; with `*` it stays.
    if "*" not in masked:
        sent = {name: ([] if name in {"tags", "parameters"} else "") if value is None else value for name, value in sent.items()}
    sent["text"] = sent.pop("query_text", None)
    made = await call.run(call.services.workspace.queries.update, call.ctx, call.path("id"), **sent)
    return JSONResponse(query_body(made))


async def trash_query(call: Call) -> Response:
    """Put a query into the trash."""
    await call.run(call.services.workspace.queries.trash, call.ctx, call.path("id"))
    return JSONResponse({})


async def list_visualizations(call: Call) -> Response:
    """The charts of a query: none, for charts belong to dashboards here."""
    await call.run(call.services.workspace.queries.get, call.ctx, call.path("id"))
    return JSONResponse({"results": []})


ROUTES = (
    DoorRoute("GET", DASHBOARDS, list_dashboards, "databricks"),
    DoorRoute("POST", DASHBOARDS, create_dashboard, "databricks"),
    DoorRoute("GET", DASHBOARDS + "/{id}", get_dashboard, "databricks"),
    DoorRoute("PATCH", DASHBOARDS + "/{id}", update_dashboard, "databricks"),
    DoorRoute("DELETE", DASHBOARDS + "/{id}", trash_dashboard, "databricks"),
    DoorRoute("GET", DASHBOARDS + "/{id}/published", get_published, "databricks"),
    DoorRoute("POST", DASHBOARDS + "/{id}/published", publish, "databricks"),
    DoorRoute("DELETE", DASHBOARDS + "/{id}/published", unpublish, "databricks"),
    DoorRoute("POST", DASHBOARDS + "/{id}/revert", revert, "databricks"),
    DoorRoute("GET", QUERIES, list_queries, "databricks"),
    DoorRoute("POST", QUERIES, create_query, "databricks"),
    DoorRoute("GET", QUERIES + "/{id}", get_query, "databricks"),
    DoorRoute("PATCH", QUERIES + "/{id}", update_query, "databricks"),
    DoorRoute("DELETE", QUERIES + "/{id}", trash_query, "databricks"),
    DoorRoute("GET", QUERIES + "/{id}/visualizations", list_visualizations, "databricks"),
)
