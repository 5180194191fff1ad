"""Own API: indexes of documents, search in them, and answers with sources."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Literal

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.types import provenance_of
from insjo.retrieval.types import AnswerSpec, Citation, Finished, Hit, Index, Notice, SearchMode
from insjo.web.insjo.governance import PREFIX
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.retrieval.types import Document

HITS_MAX = 50


class IndexBody(msgspec.Struct):
    """An index to create."""

    full_name: str
    sources: list[str]
    embedding_endpoint: str = "insjo-embed"
    comment: str = ""


class SearchBody(msgspec.Struct):
    """A search."""

    query: str
    indexes: list[str]
    k: int = 8
    mode: Literal["hybrid", "vectors", "words"] = "hybrid"


class AnswerBody(msgspec.Struct):
    """A question to documents."""

    question: str
    indexes: list[str]
    endpoint: str = "insjo-chat"
    k: int = 6


def index_body(index: Index) -> dict[str, object]:
    """An index as JSON."""
    return {
        "id": index.id,
        "full_name": index.full_name,
        "sources": list(index.sources),
        "embedding_endpoint": index.embedding_endpoint,
        "comment": index.comment,
        "owner": index.owner,
        "version": index.version,
        "documents": index.documents,
        "passages": index.passages,
        "state": index.state.value,
        "state_reason": index.state_reason,
        "run_id": index.run_id,
        "synced_at": index.synced_at.isoformat() if index.synced_at else None,
    }


def hit_body(hit: Hit) -> dict[str, object]:
    """A passage that was found."""
    return {
        "index": hit.index,
        "passage_id": hit.passage_id,
        "path": hit.path,
        "page": hit.page,
        "title": hit.title,
        "heading": hit.heading,
        "text": hit.text,
        "score": hit.score,
        "label": hit.provenance.label.as_json(),
        "href": hit.link,
    }


async def list_indexes(call: Call) -> Response:
    """Indexes that the caller may see."""
    found = await call.run(call.services.retrieval.indexes.list, call.ctx)
    return JSONResponse({"indexes": [index_body(each) for each in found]})


async def create_index(call: Call) -> Response:
    """A new index; it is empty until it is synced."""
    body = await call.json(IndexBody)
    made = await call.run(
        call.services.retrieval.indexes.create,
        call.ctx,
        body.full_name,
        sources=tuple(body.sources),
        embedding_endpoint=body.embedding_endpoint,
        comment=body.comment,
    )
    return JSONResponse(index_body(made), status_code=201)


async def get_index(call: Call) -> Response:
    """One index."""
    return JSONResponse(index_body(await call.run(call.services.retrieval.indexes.get, call.ctx, call.path("full_name").lower())))


async def delete_index(call: Call) -> Response:
    """Delete an index; the documents stay."""
    await call.run(call.services.retrieval.indexes.delete, call.ctx, call.path("full_name").lower())
    return Response(status_code=204)


async def sync_index(call: Call) -> Response:
    """Read what changed, in the background."""
    run = await call.run(call.services.retrieval.indexes.sync, call.ctx, call.path("full_name").lower())
    return JSONResponse({"run_id": run.id, "state": run.state.value}, status_code=202)


async def list_documents(call: Call) -> Response:
    """Documents of an index that the caller may read."""
    found = await call.run(call.services.retrieval.indexes.documents, call.ctx, call.path("full_name").lower())
    return JSONResponse({"documents": [document_body(each) for each in found]})


def document_body(document: Document) -> dict[str, object]:
    """A document as JSON."""
    return {
        "path": document.path,
        "title": document.title,
        "state": document.state.value,
        "error": document.error,
        "pages": document.pages,
        "passages": document.passages,
        "label": document.label.as_json(),
    }


async def get_run(call: Call) -> Response:
    """Progress of work in the background."""
    run = await call.run(call.services.jobs.get, call.ctx, call.path("run_id"))
    return JSONResponse(
        {
            "run_id": run.id,
            "title": run.title,
            "state": run.state.value,
            "progress_done": run.progress_done,
            "progress_total": run.progress_total,
            "message": run.message,
            "error": run.error,
        }
    )


async def cancel_run(call: Call) -> Response:
    """Stop work in the background."""
    await call.run(call.services.jobs.cancel, call.ctx, call.path("run_id"))
    return await get_run(call)


async def search(call: Call) -> Response:
    """Passages that fit, with the caller's rights inside the search."""
    body = await call.json(SearchBody)
    mode: SearchMode = body.mode
    hits = await call.services.retrieval.search.search(
        call.ctx, tuple(body.indexes), body.query, k=min(max(body.k, 1), HITS_MAX), mode=mode
    )
    label = provenance_of(hit.provenance for hit in hits).label
    return JSONResponse({"hits": [hit_body(each) for each in hits], "label": label.as_json()})


async def answer(call: Call) -> Response:
    """An answer with its sources, as one document."""
    body = await call.json(AnswerBody)
    spec = AnswerSpec(tuple(body.indexes), body.question, body.endpoint, k=min(max(body.k, 1), HITS_MAX))
    notices: list[str] = []
    finished: Finished | None = None
    async with aclosing(call.services.retrieval.answers.create(call.ctx, spec)) as events:
        async for event in events:
            if isinstance(event, Notice):
                notices.append(event.text)
            elif isinstance(event, Finished):
                finished = event
    if finished is None:
        return JSONResponse({"answer": "", "found": False, "notices": notices, "sources": []})
    return JSONResponse(
        {
            "answer": finished.text,
            "found": finished.found,
            "worded_by": finished.worded_by,
            "sources": [citation_body(each) for each in finished.citations],
            "label": finished.provenance.label.as_json(),
            "notices": notices,
        }
    )


def citation_body(citation: Citation) -> dict[str, object]:
    """A source of an answer."""
    return {"number": citation.number, "quote": citation.quote, "place": citation.hit.place} | hit_body(citation.hit)


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/indexes", list_indexes, "insjo"),
    DoorRoute("POST", f"{PREFIX}/indexes", create_index, "insjo"),
    DoorRoute("GET", f"{PREFIX}/indexes/{{full_name}}", get_index, "insjo"),
    DoorRoute("DELETE", f"{PREFIX}/indexes/{{full_name}}", delete_index, "insjo"),
    DoorRoute("POST", f"{PREFIX}/indexes/{{full_name}}/sync", sync_index, "insjo"),
    DoorRoute("GET", f"{PREFIX}/indexes/{{full_name}}/documents", list_documents, "insjo"),
    DoorRoute("GET", f"{PREFIX}/runs/{{run_id}}", get_run, "insjo"),
    DoorRoute("POST", f"{PREFIX}/runs/{{run_id}}/cancel", cancel_run, "insjo"),
    DoorRoute("POST", f"{PREFIX}/search", search, "insjo"),
    DoorRoute("POST", f"{PREFIX}/answers", answer, "insjo"),
)
