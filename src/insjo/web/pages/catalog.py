"""Pages below `/catalog`: catalogs, schemas, tables with sample, history, permissions and label, and volumes with their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from insjo.access.types import GRANTABLE, Label, Level, Privilege, Securable, SecurableKind
from insjo.catalog.types import TableName
from insjo.kernel.errors import InsjoError, InvalidArgument
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.sql.types import StatementSpec
from insjo.web.databricks.values import json_rows
from insjo.web.pages import table_facts
from insjo.web.pages.explorer import tree_or_nothing
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.catalog.types import FileEntry, Table

SAMPLE_ROWS = 100
SAMPLE_WAIT_S = 20
HISTORY_ROWS = 100
TABS = ("overview", "sample", "statistics", "history", "lineage", "permissions", "label")
ALL = PageRequest(PAGE_SIZE_MAX)


async def show_all(call: Call) -> Response:
    """Catalogs."""
    found = await call.run(call.services.catalog.catalogs.list, call.ctx, ALL)
    return await page(call, "pages/catalogs.html", catalogs=found.items, explorer=await tree_or_nothing(call))


async def show_catalog(call: Call) -> Response:
    """Schemas of a catalog, or who may use it."""
    name = call.path("catalog").lower()
    catalog = await call.run(call.services.catalog.catalogs.get, call.ctx, name)
    schemas = await call.run(call.services.catalog.schemas.list, call.ctx, name, ALL)
    context = {"thing": catalog, "kind": "catalog", "path": f"/catalog/{name}", "schemas": schemas.items, "crumbs": _crumbs(name)}
    return await governed(call, "pages/catalog.html", SecurableKind.CATALOG, name, context)


async def show_schema(call: Call) -> Response:
    """Tables, views and volumes of a schema."""
    catalog, schema = call.path("catalog").lower(), call.path("schema").lower()
    full_name = f"{catalog}.{schema}"
    thing = await call.run(call.services.catalog.schemas.get, call.ctx, full_name)
    tables = await call.run(call.services.catalog.tables.list, call.ctx, catalog, schema, PageRequest.of(200, call.query("page_token")))
    volumes = await call.run(call.services.catalog.volumes.list, call.ctx, catalog, schema, ALL)
    models = await call.run(call.services.catalog.models.list, call.ctx, catalog, schema, ALL)
    context = {
        "thing": thing,
        "kind": "schema",
        "path": f"/catalog/{catalog}/{schema}",
        "tables": tables.items,
        "next_token": tables.next_token,
        "volumes": volumes.items,
        "models": models.items,
        "crumbs": _crumbs(catalog, schema),
    }
    return await governed(call, "pages/schema.html", SecurableKind.SCHEMA, full_name, context)


async def show_table(call: Call) -> Response:
    """One table or view; `?tab=` chooses what is shown of it."""
    name = _table_name(call)
    table = await call.run(call.services.catalog.tables.get, call.ctx, name)
    tab = call.query("tab", "overview")
    context: dict[str, Any] = {
        "thing": table,
        "kind": "table",
        "path": f"/catalog/{name.catalog}/{name.schema}/{name.name}",
        "crumbs": _crumbs(name.catalog, name.schema, name.name),
        "sample": None,
        "sample_error": None,
        "history": (),
        "snapshot": None,
        "difference": None,
        "counted": True,
        "lineage": None,
    }
    if tab == "sample":
        context |= await _sample(call, table)
    if tab == "history" and table.has_files:
        context["history"] = await call.run(call.services.catalog.tables.history, call.ctx, name, HISTORY_ROWS)
        context["counted"] = not await call.run(call.services.catalog.tables.hides_rows, call.ctx, table)
        context |= await table_facts.difference(call, name)
    if tab == "lineage":
        context["lineage"] = await table_facts.lineage(call, table)
    if tab == "overview" and table.has_files:
        context |= await _size(call, name)
    return await governed(call, "pages/table.html", SecurableKind.TABLE, name.full_name, context)


def _table_name(call: Call) -> TableName:
    """Name of the table from the path."""
    return TableName(call.path("catalog"), call.path("schema"), call.path("table"))


def _crumbs(*names: str) -> list[tuple[str, str]]:
    """Where we are; the last one leads nowhere."""
    crumbs = [("", "/catalog")]
    for index, name in enumerate(names):
        crumbs.append((name, "" if index == len(names) - 1 else f"/catalog/{'/'.join(names[: index + 1])}"))
    return crumbs


async def _sample(call: Call, table: Table) -> dict[str, Any]:
    """First rows with the rights of the person: a filter or mask holds here as everywhere."""
    quoted = ".".join(f"`{part.replace('`', '``')}`" for part in (table.catalog, table.schema, table.name))
    spec = StatementSpec(f"SELECT * FROM {quoted} LIMIT {SAMPLE_ROWS}")  # noqa: S608  # The name is quoted, and the SQL room parses and authorises it.
    try:
        result = await call.run(call.services.sql.statements.run, call.ctx, spec, SAMPLE_WAIT_S)
    except InsjoError as error:
        return {"sample_error": error}
    columns = [{"name": each.name, "type": each.type_text} for each in result.statement.columns]
    rows = await call.run(json_rows, result.table)
    return {"sample": {"columns": columns, "rows": rows, "complete": True, "total": len(rows)}}


async def _size(call: Call, name: TableName) -> dict[str, Any]:
    """Rows, bytes and version, for those who may read the table: a count tells something about the rows."""
    try:
        (resolved,) = await call.run(call.services.catalog.tables.resolve_many, call.ctx, [name])
    except InsjoError:
        return {}
    hides = await call.run(call.services.catalog.tables.hides_rows, call.ctx, resolved.table)
    return {} if hides else {"snapshot": resolved.snapshot}


async def governed(call: Call, template: str, kind: SecurableKind, full_name: str, context: dict[str, Any]) -> Response:
    """The page with what all governed objects share: label, grants, what the person may change."""
    access = call.services.access
    securable: Securable = await call.run(access.securables.resolve, call.ctx, kind, full_name, None)
    manages = await call.run(access.authority.decide, call.ctx, Privilege.MANAGE, securable.id)
    tab = call.query("tab", "overview")
    if tab not in TABS:
        raise InvalidArgument(f"There is no tab `{tab[:40]}`.")
    context |= {
        "securable": securable,
        "tab": tab,
        "manages": manages.allowed,
        "label": await call.run(access.labels.effective, securable.id),
        "own_label": await call.run(access.labels.own, securable.id),
        "column_labels": await call.run(access.labels.columns, securable.id) if kind is SecurableKind.TABLE else {},
        "grants": (),
        "privileges": sorted(each.value for each in GRANTABLE[kind]),
        "explorer": await tree_or_nothing(call, *_places(kind, full_name)),
        "tags": [each for each in await call.run(access.tags.of, call.ctx, securable.id) if not each.governed] if tab == "label" else (),
        "why": None,
        "levels": [level.name.lower() for level in Level],
        "error": None,
    }
    if tab == "permissions":
        context["grants"] = await call.run(access.grants.effective, call.ctx, securable.id, None) if manages.allowed else ()
        context["why"] = await _why(call, kind, full_name)
    return await page(call, template, **context)


def _places(kind: SecurableKind, full_name: str) -> list[str]:
    """Where the tree is open: catalog, schema and object, as far as the name goes."""
    catalog, *others = full_name.split(".", 2)
    if kind in {SecurableKind.VOLUME, SecurableKind.MODEL}:
        others[-1] = f"{'volumes' if kind is SecurableKind.VOLUME else 'models'}/{others[-1]}"
    return [catalog, *others]


async def _why(call: Call, kind: SecurableKind, full_name: str) -> dict[str, object] | None:
    """Explanation of one decision, when the form asked for one."""
    who, privilege = call.query("who"), call.query("privilege")
    if not who or not privilege:
        return None
    try:
        decision = await call.run(call.services.access.authority.explain, call.ctx, who, Privilege.parse(privilege), kind, full_name)
    except InsjoError as error:
        return {"who": who, "privilege": privilege, "allowed": False, "reason": str(error)}
    return {"who": who, "privilege": privilege, "allowed": decision.allowed, "reason": decision.reason}


async def change_grant(call: Call) -> Response:
    """Grant or revoke a privilege."""
    form = await form_of(call)
    grants = call.services.access.grants
    change = grants.revoke if form.get("do") == "revoke" else grants.grant
    await call.run(change, call.ctx, form.get("securable", ""), form.get("principal", ""), [Privilege.parse(form.get("privilege", ""))])
    return redirect(_back(form))


def _back(form: dict[str, str]) -> str:
    """The page that the form stood on."""
    path = form.get("path", "")
    return path if path.startswith(("/catalog", "/endpoints", "/apps", "/knowledge", "/models")) else "/catalog"


async def set_label(call: Call) -> Response:
    """Set or remove a label."""
    form = await form_of(call)
    labels = call.services.access.labels
    column = form.get("column") or None
    if form.get("do") == "clear":
        await call.run(labels.clear, call.ctx, form.get("securable", ""), column=column)
        return redirect(_back(form))
    zones = {"local": {"local"}, "eu": {"local", "eu"}}.get(form.get("zone", "any"), {"local", "eu", "any"})
    categories = frozenset(word.strip() for word in form.get("categories", "").split(",") if word.strip())
    label = Label(Level.parse(form.get("level", "")), categories, frozenset(zones))
    await call.run(labels.set, call.ctx, form.get("securable", ""), label, column=column)
    return redirect(_back(form))


async def set_tag(call: Call) -> Response:
    """Set a tag of an object or of one of its columns, or take it away."""
    form = await form_of(call)
    value = None if form.get("do") == "remove" else form.get("value", "").strip()
    changes = {form.get("key", "").strip(): value}
    await call.run(call.services.access.tags.change, call.ctx, form.get("securable", ""), changes, form.get("column", "").strip())
    return redirect(_back(form))


async def restore(call: Call) -> Response:
    """Bring back an older version; it becomes a new one."""
    form = await form_of(call)
    version = form.get("version", "")
    if not version.isdigit():
        raise InvalidArgument("Choose a version.")
    name = _table_name(call)
    await call.run(call.services.catalog.tables.restore, call.ctx, name, int(version))
    return redirect(f"/catalog/{name.catalog}/{name.schema}/{name.name}?tab=history")


async def drop(call: Call) -> Response:
    """Drop a table or view."""
    name = _table_name(call)
    await call.run(call.services.catalog.tables.drop, call.ctx, name, keep=True)
    return redirect(f"/catalog/{name.catalog}/{name.schema}")


async def create(call: Call) -> Response:
    """A new catalog, schema or volume."""
    form = await form_of(call)
    kind, name, comment = form.get("kind", ""), form.get("name", ""), form.get("comment", "")
    catalog = call.services.catalog
    if kind == "catalog":
        await call.run(catalog.catalogs.create, call.ctx, name, comment=comment)
        return redirect(f"/catalog/{name.lower()}")
    parent = form.get("parent", "")
    if kind == "schema":
        await call.run(catalog.schemas.create, call.ctx, f"{parent}.{name}", comment=comment)
        return redirect(f"/catalog/{parent}/{name.lower()}")
    if kind == "volume":
        await call.run(catalog.volumes.create, call.ctx, f"{parent}.{name}", comment=comment)
        return redirect(f"/catalog/{parent.replace('.', '/')}/volumes/{name.lower()}")
    raise InvalidArgument("Only a catalog, a schema or a volume can be made here.")


async def show_volume(call: Call) -> Response:
    """Files of a volume."""
    catalog, schema, volume = (call.path(part).lower() for part in ("catalog", "schema", "volume"))
    full_name = f"{catalog}.{schema}.{volume}"
    thing = await call.run(call.services.catalog.volumes.get, call.ctx, full_name)
    inner = str(call.request.path_params.get("path", "")).strip("/")
    folder = f"{thing.path}/{inner}".rstrip("/")
    files: tuple[FileEntry, ...] = ()
    error: InsjoError | None = None
    next_token = ""
    try:
        found = await call.run(call.services.catalog.files.list, call.ctx, folder, PageRequest.of(200, call.query("page_token")))
        files, next_token = found.items, found.next_token
    except InsjoError as failure:
        error = failure
    base = f"/catalog/{catalog}/{schema}/volumes/{volume}"
    crumbs = [("", "/catalog"), (catalog, f"/catalog/{catalog}"), (schema, f"/catalog/{catalog}/{schema}"), (volume, base if inner else "")]
    parts = inner.split("/") if inner else []
    crumbs += [(part, "" if index == len(parts) - 1 else f"{base}/{'/'.join(parts[: index + 1])}") for index, part in enumerate(parts)]
    context = {
        "thing": thing,
        "kind": "volume",
        "path": base,
        "folder": folder,
        "inner": inner,
        "files": files,
        "files_error": error,
        "next_token": next_token,
        "crumbs": crumbs,
    }
    return await governed(call, "pages/volume.html", SecurableKind.VOLUME, full_name, context)


async def delete_file(call: Call) -> Response:
    """Delete a file of a volume."""
    form = await form_of(call)
    await call.run(call.services.catalog.files.delete, call.ctx, form.get("file", ""))
    return redirect(_back(form))


VOLUME = "/catalog/{catalog}/{schema}/volumes/{volume}"
TABLE = "/catalog/{catalog}/{schema}/{table}"

ROUTES = (
    DoorRoute("GET", "/catalog", show_all, "page"),
    DoorRoute("POST", "/catalog", create, "page"),
    DoorRoute("POST", "/catalog-grants", change_grant, "page"),
    DoorRoute("POST", "/catalog-labels", set_label, "page"),
    DoorRoute("POST", "/catalog-tags", set_tag, "page"),
    DoorRoute("POST", "/catalog-files/delete", delete_file, "page"),
    DoorRoute("GET", "/catalog/{catalog}", show_catalog, "page"),
    DoorRoute("GET", "/catalog/{catalog}/{schema}", show_schema, "page"),
    DoorRoute("GET", VOLUME, show_volume, "page"),
    DoorRoute("GET", VOLUME + "/{path:path}", show_volume, "page"),
    DoorRoute("GET", TABLE, show_table, "page"),
    DoorRoute("POST", TABLE + "/restore", restore, "page"),
    DoorRoute("POST", TABLE + "/drop", drop, "page"),
)
