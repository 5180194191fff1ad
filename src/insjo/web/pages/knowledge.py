"""Pages below `/knowledge`: indexes of documents, their documents, and the passage behind a citation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from insjo.access.types import GRANTABLE, Privilege, SecurableKind
from insjo.jobs.types import RunState
from insjo.kernel.errors import InsjoError, InvalidArgument, NotFound
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest
from insjo.web.pages.ingest import UPLOADS
from insjo.web.pages.render import page, redirect
from insjo.web.pages.session import form_of
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.jobs.types import Run

DOCUMENT_TYPES = ".pdf,.docx,.html,.htm,.md,.txt"
NOT_WORD = re.compile(r"\W+")


async def show_all(call: Call) -> Response:
    """Indexes that the person may see."""
    return await _list(call)


async def _list(call: Call, *, error: InsjoError | None = None, status: int = 200) -> Response:
    """The list with the form for a new index."""
    indexes = await call.run(call.services.retrieval.indexes.list, call.ctx)
    return await page(call, "pages/knowledge.html", status, indexes=indexes, volumes=await _volumes(call), error=error)


async def _volumes(call: Call) -> list[str]:
    """Paths of the volumes that the person may see."""
    catalog = call.services.catalog
    whole = PageRequest(PAGE_SIZE_MAX)
    paths: list[str] = []
    for each in (await call.run(catalog.catalogs.list, call.ctx, whole)).items:
        for schema in (await call.run(catalog.schemas.list, call.ctx, each.name, whole)).items:
            found = await call.run(catalog.volumes.list, call.ctx, each.name, schema.name, whole)
            paths += [volume.path for volume in found.items]
    return paths


async def create(call: Call) -> Response:
    """A new index over a volume, built at once in the background."""
    form = await form_of(call)
    indexes = call.services.retrieval.indexes
    try:
        source = form.get("source", "")
        parts = source.strip("/").split("/")
        name = NOT_WORD.sub("_", form.get("name", "").strip().lower()).strip("_")
        if len(parts) < 4 or not name:  # noqa: PLR2004  # Volumes, catalog, schema, volume.
            raise InvalidArgument("An index needs a name and a volume.")  # Shown on the form like every other refusal.
        full_name = f"{parts[1]}.{parts[2]}.{name}"
        made = await call.run(indexes.create, call.ctx, full_name, sources=(source,), comment=form.get("comment", ""))
        await call.run(indexes.sync, call.ctx, made.full_name)
    except InsjoError as error:
        return await _list(call, error=error, status=400)
    return redirect(f"/knowledge/{quote(made.full_name)}")


async def show(call: Call) -> Response:
    """One index: ask it, its documents, its progress."""
    name = call.path("name").lower()
    indexes = call.services.retrieval.indexes
    access = call.services.access
    index = await call.run(indexes.get, call.ctx, name)
    run = await _run(call, index.run_id)
    if call.request.headers.get("hx-request") == "true":
        return await page(call, "pages/knowledge_state.html", index=index, run=run, active=_active(run))
    documents = await call.run(indexes.documents, call.ctx, name)
    manages = await call.run(access.authority.decide, call.ctx, Privilege.MANAGE, index.id)
    grants = await call.run(access.grants.effective, call.ctx, index.id, None) if manages.allowed else ()
    return await page(
        call,
        "pages/index.html",
        index=index,
        run=run,
        active=_active(run),
        documents=documents,
        manages=manages.allowed,
        grants=grants,
        privileges=sorted(each.value for each in GRANTABLE[SecurableKind.INDEX]),
        label=await call.run(access.labels.effective, index.id),
        types=DOCUMENT_TYPES,
        uploads=index.sources[0] if index.sources else f"/Volumes/{UPLOADS}",
    )


async def _run(call: Call, run_id: str) -> Run | None:
    """The last build, if this person may see it."""
    if not run_id:
        return None
    try:
        return await call.run(call.services.jobs.get, call.ctx, run_id)
    except NotFound:
        return None


def _active(run: Run | None) -> bool:
    """Whether it still goes on."""
    return run is not None and run.state in {RunState.QUEUED, RunState.RUNNING}


async def sync(call: Call) -> Response:
    """Read what changed."""
    name = call.path("name").lower()
    await call.run(call.services.retrieval.indexes.sync, call.ctx, name)
    return redirect(f"/knowledge/{quote(name)}")


async def delete(call: Call) -> Response:
    """Delete the index; the documents stay."""
    await call.run(call.services.retrieval.indexes.delete, call.ctx, call.path("name").lower())
    return redirect("/knowledge")


async def passage(call: Call) -> Response:
    """A passage with what stands around it."""
    name = call.path("name").lower()
    found = await call.run(call.services.retrieval.passages.get, call.ctx, name, call.path("passage_id"))
    return await page(call, "pages/passage.html", passage=found, label=found.provenance.label)


ROUTES = (
    DoorRoute("GET", "/knowledge", show_all, "page"),
    DoorRoute("POST", "/knowledge", create, "page"),
    DoorRoute("GET", "/knowledge/{name}", show, "page"),
    DoorRoute("POST", "/knowledge/{name}/sync", sync, "page"),
    DoorRoute("POST", "/knowledge/{name}/delete", delete, "page"),
    DoorRoute("GET", "/knowledge/{name}/passages/{passage_id}", passage, "page"),
)
