"""Pages below `/models`: the registered models of the house with their versions, and what this machine can serve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from insjo.access.types import SecurableKind
from insjo.catalog.types import VersionStatus
from insjo.kernel.errors import InsjoError, InvalidArgument
from insjo.kernel.paging import PageRequest
from insjo.web.pages.catalog import governed
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.catalog.types import FileEntry, ModelVersion

SHOWN = 100


async def show_all(call: Call) -> Response:
    """Registered models that the person may see; models on this machine and the endpoints that serve them."""
    found = await call.run(call.services.catalog.models.list, call.ctx, "", "", PageRequest.of(SHOWN, call.query("page_token")))
    gateway = call.services.gateway
    serving: dict[str, list[str]] = {}
    for endpoint in await call.run(gateway.endpoints.list, call.ctx):
        for served in endpoint.served:
            if not served.kind.elsewhere:
                serving.setdefault(served.model, []).append(endpoint.name)
    rows: list[dict[str, Any]] = [
        {"model": each, "task": task, "endpoints": serving.get(each.name, [])}
        for task, models in (
            ("chat", await call.run(gateway.endpoints.local_models, call.ctx)),
            ("embeddings", await call.run(gateway.endpoints.local_embedding_models, call.ctx)),
        )
        for each in models
    ]
    admin = await call.run(call.services.access.principals.is_admin, call.ctx.principal.id)
    folder = call.services.settings.root / "models" if admin else None
    return await page(call, "pages/models.html", rows=rows, folder=folder, registered=found.items, next_token=found.next_token)


async def create(call: Call) -> Response:
    """A new model without versions."""
    form = await form_of(call)
    made = await call.run(call.services.catalog.models.create, call.ctx, form.get("name", "").strip(), form.get("comment", ""))
    return redirect(_path(made.full_name))


async def show(call: Call) -> Response:
    """One model: its versions, or the files of one of them."""
    name = _name(call)
    models = call.services.catalog.models
    thing = await call.run(models.get, call.ctx, name)
    versions = await call.run(models.versions, call.ctx, name, PageRequest.of(SHOWN, call.query("page_token")))
    chosen: ModelVersion | None = None
    files: tuple[FileEntry, ...] = ()
    error: InsjoError | None = None
    if call.query("version"):
        chosen = await call.run(models.version, call.ctx, name, _number(call.query("version")))
        try:
            files = (await call.run(call.services.catalog.files.list, call.ctx, _folder(call, chosen), PageRequest.of(SHOWN, ""))).items
        except InsjoError as failure:
            error = failure
    crumbs = [("", "/models"), (thing.catalog, f"/catalog/{thing.catalog}"), (thing.schema, f"/catalog/{thing.catalog}/{thing.schema}")]
    context: dict[str, Any] = {
        "thing": thing,
        "kind": "model",
        "path": _path(thing.full_name),
        "versions": versions.items,
        "next_token": versions.next_token,
        "chosen": chosen,
        "folder": _folder(call, chosen) if chosen else "",
        "files": files,
        "files_error": error,
        "ready": VersionStatus.READY,
        "crumbs": [*crumbs, (thing.name, "")],
    }
    return await governed(call, "pages/model.html", SecurableKind.MODEL, thing.full_name, context)


async def set_alias(call: Call) -> Response:
    """Let an alias stand for a version."""
    form = await form_of(call)
    await call.run(
        call.services.catalog.models.set_alias, call.ctx, _name(call), form.get("alias", "").strip(), _number(form.get("version", ""))
    )
    return redirect(_path(_name(call)))


async def remove_alias(call: Call) -> Response:
    """Forget an alias."""
    form = await form_of(call)
    await call.run(call.services.catalog.models.delete_alias, call.ctx, _name(call), form.get("alias", ""))
    return redirect(_path(_name(call)))


async def delete_version(call: Call) -> Response:
    """Delete a version with its files."""
    form = await form_of(call)
    await call.run(call.services.catalog.models.delete_version, call.ctx, _name(call), _number(form.get("version", "")))
    return redirect(_path(_name(call)))


async def delete(call: Call) -> Response:
    """Delete the model with all its versions."""
    await call.run(call.services.catalog.models.delete, call.ctx, _name(call))
    return redirect("/models")


def _name(call: Call) -> str:
    return ".".join(call.path(part).lower() for part in ("catalog", "schema", "model"))


def _path(full_name: str) -> str:
    return f"/models/{full_name.replace('.', '/')}"


def _folder(call: Call, version: ModelVersion) -> str:
    """The folder of files that is shown."""
    inner = call.query("folder").strip("/")
    return f"{version.path}/{inner}" if inner else version.path


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:  # noqa: PLR2004  # A number of nine digits fits every database.
        raise InvalidArgument("Choose a version.")
    return int(text)


MODEL = "/models/{catalog}/{schema}/{model}"

ROUTES = (
    DoorRoute("GET", "/models", show_all, "page"),
    DoorRoute("POST", "/models", create, "page"),
    DoorRoute("GET", MODEL, show, "page"),
    DoorRoute("POST", MODEL + "/alias", set_alias, "page"),
    DoorRoute("POST", MODEL + "/alias/remove", remove_alias, "page"),
    DoorRoute("POST", MODEL + "/versions/delete", delete_version, "page"),
    DoorRoute("POST", MODEL + "/delete", delete, "page"),
)
