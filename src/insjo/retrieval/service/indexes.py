"""Vector indexes as securables: make, show, change, bring up to date, delete."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from insjo.access.types import PARENT_KIND, Privilege, SecurableKind
from insjo.catalog.errors import InvalidPath
from insjo.catalog.service.paths import parse_path
from insjo.gateway.types import Task
from insjo.jobs.types import RunState
from insjo.kernel.context import system_context
from insjo.kernel.errors import AlreadyExists, NotFound
from insjo.retrieval import store
from insjo.retrieval.errors import DocumentUnsupported, IndexExists, IndexInvalid
from insjo.retrieval.service.parts import document_of
from insjo.retrieval.types import Document, Index, IndexState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from insjo.access.types import Securable
    from insjo.jobs.ports import RunContext
    from insjo.jobs.types import Run
    from insjo.kernel.context import RequestContext
    from insjo.retrieval.service.building import Building
    from insjo.retrieval.service.derived import Derived
    from insjo.retrieval.service.parts import Parts

EMBEDDING_ENDPOINT = "insjo-embed"
JOB_KIND = "index.sync"
SOURCES_MAX = 100
COMMENT_CHARS_MAX = 65_536
LISTED_MAX = 10_000
BUILD_FAILED = "The last build failed; whoever manages the index sees why."
_NAME = re.compile(r"[^\s./\\`\x00-\x1f]{1,255}")


class Indexes:
    """Vector indexes over documents in volumes."""

    def __init__(self, parts: Parts, building: Building, derived: Derived) -> None:
        self._parts = parts
        self._building = building
        self._derived = derived

    def create(
        self,
        ctx: RequestContext,
        full_name: str,
        *,
        sources: Sequence[str],
        embedding_endpoint: str = EMBEDDING_ENDPOINT,
        comment: str = "",
    ) -> Index:
        """New index, named `catalog.schema.name`; needs CREATE INDEX on the schema and READ VOLUME on every source.

        Args:
            ctx: Who asks.
            full_name: Name of the index.
            sources: Volumes (`catalog.schema.volume`), or directories and files in them (`/Volumes/...`).
            embedding_endpoint: Endpoint that makes the vectors; it cannot be changed later.
            comment: For people.

        Raises:
            IndexExists, IndexInvalid: As they say.
        """
        name = self._checked_name(full_name)
        paths = self._checked_sources(ctx, sources)
        endpoint = self._parts.gateway.endpoints.get(ctx, embedding_endpoint)
        if endpoint.task is not Task.EMBEDDINGS:
            raise IndexInvalid(f"The endpoint `{embedding_endpoint}` makes no vectors.", hint="Name an endpoint for embeddings.")
        if len(comment) > COMMENT_CHARS_MAX:
            raise IndexInvalid(f"A comment has at most {COMMENT_CHARS_MAX} characters.")
        access = self._parts.access
        parent = access.securables.resolve(ctx, PARENT_KIND[SecurableKind.INDEX], name.rpartition(".")[0], Privilege.CREATE_INDEX)
        now = self._parts.clock.now()
        try:
            with self._parts.database.write() as connection:
                securable = access.securables.register(ctx, SecurableKind.INDEX, name, parent.id, connection=connection)
                values = {
                    "id": securable.id,
                    "sources": [*paths],
                    "embedding_endpoint": endpoint.name,
                    "comment": comment,
                    "version": -1,
                    "state_reason": "",
                    "run_id": "",
                    "created_at": now,
                    "created_by": ctx.principal.name,
                    "updated_at": now,
                    "synced_at": None,
                }
                store.insert_index(connection, values)
        except AlreadyExists as error:
            raise IndexExists(f"The index `{name}` exists already.") from error
        return self.get(ctx, name)

    def get(self, ctx: RequestContext, full_name: str) -> Index:
        """Index by name, if the caller may see it; its documents count only if the caller may read them."""
        securable = self._parts.access.securables.resolve(ctx, SecurableKind.INDEX, full_name)
        return self._with_counts(ctx, [(securable, self._row(securable))])[0]

    def list(self, ctx: RequestContext, catalog: str = "", schema: str = "") -> Sequence[Index]:
        """Indexes that the caller may see, by name; of one schema if it is named."""
        access = self._parts.access
        with self._parts.database.read() as connection:
            rows = store.fetch_indexes(connection, access.authority.visible(ctx, SecurableKind.INDEX), LISTED_MAX)
        found = []
        beginning = ".".join(part.lower() for part in (catalog, schema) if part)
        for row in rows:
            try:
                securable = access.securables.get(row["id"])
            except NotFound:  # Deleted between the two reads.
                continue
            if not beginning or securable.full_name.startswith(beginning + "."):
                found.append((securable, row))
        return self._with_counts(ctx, sorted(found, key=lambda each: each[0].full_name))

    def update(self, ctx: RequestContext, full_name: str, *, sources: Sequence[str] | None = None, comment: str | None = None) -> Index:
        """Change what is given; needs ownership or MANAGE.  A change of sources takes effect at the next `sync`."""
        securable = self._managed(ctx, full_name)
        values: dict[str, object] = {"updated_at": self._parts.clock.now()}
        if sources is not None:
            values["sources"] = [*self._checked_sources(ctx, sources)]
        if comment is not None:
            values["comment"] = comment[:COMMENT_CHARS_MAX]
        with self._parts.database.write() as connection:
            store.update_index(connection, securable.id, values)
        return self.get(ctx, full_name)

    def delete(self, ctx: RequestContext, full_name: str) -> None:
        """Delete the index; the documents stay.  Needs ownership or MANAGE."""
        securable = self._managed(ctx, full_name)
        row = self._row(securable)
        with self._parts.database.write() as connection:
            self._parts.access.securables.remove(ctx, securable.id, connection=connection)
            store.delete_index(connection, securable.id)
        self._cancel(row["run_id"])
        self._drop_folder(securable.id)

    def documents(self, ctx: RequestContext, full_name: str) -> tuple[Document, ...]:
        """Documents of the index that the caller may read, by path; also those that could not be read, with the reason."""
        securable = self._parts.access.securables.resolve(ctx, SecurableKind.INDEX, full_name, Privilege.SELECT)
        with self._parts.database.read() as connection:
            rows = store.fetch_documents(connection, securable.id, self._parts.readable_volumes(ctx))
        return tuple(document_of(row) for row in rows)

    def sync(self, ctx: RequestContext, full_name: str) -> Run:
        """Bring the index up to date in the background; needs ownership or MANAGE.  A build that waits already is enough."""
        return self._submit(ctx, self._managed(ctx, full_name))

    def add_document(self, ctx: RequestContext, full_name: str, path: str) -> Run:
        """Index a file of a volume; needs SELECT on the index and READ VOLUME on the file's volume.

        A file outside the sources becomes a source itself, which needs MANAGE on the index.
        """
        access = self._parts.access
        securable = access.securables.resolve(ctx, SecurableKind.INDEX, full_name, Privilege.SELECT)
        entry = self._parts.catalog.files.stat(ctx, path)
        suffixes = self._parts.parser.suffixes()
        if not entry.is_directory and not entry.path.lower().endswith(tuple(suffixes)):
            raise DocumentUnsupported(f"`{entry.name}` cannot be indexed.", hint=f"Documents end in {', '.join(sorted(suffixes))}.")
        row = self._row(securable)
        if not any(_covers(source, entry.path) for source in row["sources"]):
            access.authority.authorize(ctx, Privilege.MANAGE, securable.id)
            self.update(ctx, full_name, sources=[*row["sources"], entry.path])
        return self._submit(ctx, securable)

    def build(self, run: RunContext) -> Mapping[str, object]:
        """Do a queued build."""
        return self._building.sync(str(run.payload["index_id"]), run)

    def file_changed(self, volume_id: str, path: str) -> None:
        """A file was written, deleted or labelled: bring the indexes that hold it up to date."""
        del volume_id
        with self._parts.database.read() as connection:
            every = store.fetch_sources(connection)
        for index_id, sources, _ in every:
            if any(_covers(source, path) or _covers(path, source) for source in sources):
                try:
                    securable = self._parts.access.securables.get(index_id)
                except NotFound:
                    continue
                self._submit(system_context("job"), securable)

    def sweep(self) -> int:
        """Forget indexes whose securable went with its schema; gives how many there were."""
        with self._parts.database.read() as connection:
            every = [index_id for index_id, _, _ in store.fetch_sources(connection)]
        for folder in self._parts.root.glob("*"):
            if folder.name not in every:
                shutil.rmtree(folder, ignore_errors=True)
        gone = 0
        for index_id in every:
            try:
                self._parts.access.securables.get(index_id)
            except NotFound:
                with self._parts.database.write() as connection:
                    store.delete_index(connection, index_id)
                self._drop_folder(index_id)
                gone += 1
        return gone

    # -------------------------------------------------------------------------------------------------------------- details

    def _submit(self, ctx: RequestContext, securable: Securable) -> Run:
        """Queue a build, unless one is waiting that will see everything that this one would."""
        jobs = self._parts.jobs
        row = self._row(securable)
        if row["run_id"]:
            try:
                waiting = jobs.get(system_context("job"), row["run_id"])
            except NotFound:
                waiting = None
            if waiting is not None and waiting.state is RunState.QUEUED:
                return waiting
        title = f"Index {securable.full_name}"
        run = jobs.submit(ctx, JOB_KIND, {"index_id": securable.id}, title=title, securable_id=securable.id)
        with self._parts.database.write() as connection:
            store.update_index(connection, securable.id, {"run_id": run.id})
        return run

    def _cancel(self, run_id: str) -> None:
        """Stop a build of an index that is gone."""
        if run_id:
            try:
                self._parts.jobs.cancel(system_context("job"), run_id)
            except NotFound:
                return

    def _drop_folder(self, index_id: str) -> None:
        """Remove the files of an index."""
        folder = self._parts.folder(index_id)
        self._derived.forget(folder)
        shutil.rmtree(folder, ignore_errors=True)

    def _managed(self, ctx: RequestContext, full_name: str) -> Securable:
        """The index, if the caller may manage it."""
        return self._parts.access.securables.resolve(ctx, SecurableKind.INDEX, full_name, Privilege.MANAGE)

    def _row(self, securable: Securable) -> store.Row:
        """The row behind a securable."""
        with self._parts.database.read() as connection:
            row = store.fetch_index(connection, securable.id)
        if row is None:
            raise NotFound(f"The index `{securable.full_name}` does not exist.")
        return row

    def _with_counts(self, ctx: RequestContext, found: Sequence[tuple[Securable, store.Row]]) -> Sequence[Index]:
        """Indexes with the number of documents that the caller may read."""
        access = self._parts.access
        owners = access.authority.owners([securable.id for securable, _ in found])
        with self._parts.database.read() as connection:
            counts = store.count_documents(connection, [each.id for each, _ in found], self._parts.readable_volumes(ctx))
        manages = access.authority.decide_many(ctx, [(Privilege.MANAGE, each.id) for each, _ in found])
        return [
            _index_of(each, row, owners.get(each.id, ""), counts.get(each.id, (0, 0)), manages=decision.allowed)
            for (each, row), decision in zip(found, manages, strict=True)
        ]

    def _checked_name(self, full_name: str) -> str:
        """The full name in lower case, if it is one."""
        parts = full_name.lower().split(".")
        if len(parts) != 3 or not all(_NAME.fullmatch(part) for part in parts):  # noqa: PLR2004  # catalog.schema.name.
            raise IndexInvalid(f"`{full_name[:300]}` is not a full name.", hint="Write `catalog.schema.name`.")
        return ".".join(parts)

    def _checked_sources(self, ctx: RequestContext, sources: Sequence[str]) -> Sequence[str]:
        """The sources as paths, each in a volume that the caller may read."""
        if not sources or len(sources) > SOURCES_MAX:
            raise IndexInvalid(f"An index has between 1 and {SOURCES_MAX} sources.", hint="Name a volume, or a directory or file in one.")
        checked: dict[str, None] = {}
        for source in sources:
            text = source.strip()
            if not text.startswith(("/", "dbfs:")):
                text = "/Volumes/" + text.replace(".", "/")
            try:
                where = parse_path(text)
            except InvalidPath as error:
                raise IndexInvalid(f"`{source[:300]}` is no volume, and no path in one.", hint=error.hint) from error
            self._parts.catalog.volumes.get(ctx, where.volume, Privilege.READ_VOLUME)
            checked[where.text] = None
        return tuple(checked)


def _covers(source: str, path: str) -> bool:
    """Whether a path is the source or lies below it."""
    return path == source or path.startswith(source.rstrip("/") + "/")


def _index_of(securable: Securable, row: store.Row, owner: str, counts: tuple[int, int], *, manages: bool) -> Index:
    """A row as an index; why a build failed may name what only those who manage the index should know of."""
    unbuilt = IndexState.FAILED if row["state_reason"] else IndexState.EMPTY
    return Index(
        id=securable.id,
        full_name=securable.full_name,
        sources=tuple(row["sources"]),
        embedding_endpoint=row["embedding_endpoint"],
        comment=row["comment"],
        owner=owner,
        version=row["version"],
        documents=counts[0],
        passages=counts[1],
        state=IndexState.READY if row["version"] >= 0 else unbuilt,
        state_reason=row["state_reason"] if manages else BUILD_FAILED if row["state_reason"] else "",
        run_id=row["run_id"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        updated_at=row["updated_at"],
        synced_at=row["synced_at"],
    )
