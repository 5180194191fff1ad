"""Saved queries: SQL texts under a name, shared like files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from insjo.access.types import Privilege, SecurableKind
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.ids import new_id
from insjo.kernel.limits import STATEMENT_CHARS_MAX
from insjo.kernel.paging import Page, PageRequest, page_of
from insjo.workspace import store
from insjo.workspace.errors import ObjectChanged, PathTaken
from insjo.workspace.service.dashboards import checked_name
from insjo.workspace.types import ObjectKind, SavedQuery, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa

    from insjo.kernel.context import RequestContext
    from insjo.workspace.service.tree import Tree
    from insjo.workspace.types import WorkspaceObject

ENDING: Final = ".dbquery"
DESCRIPTION_CHARS_MAX: Final = 10_000
TAGS_MAX: Final = 50
PARAMETERS_MAX: Final = 100
SAME_NAMES_MAX: Final = 100


class Queries:
    """Saved queries; each runs with the rights of whoever runs it."""

    def __init__(self, tree: Tree) -> None:
        """Queries stand in folders."""
        self._tree = tree

    def create(
        self,
        ctx: RequestContext,
        display_name: str,
        text: str = "",
        *,
        description: str = "",
        warehouse_id: str = "",
        catalog: str = "",
        schema: str = "",
        tags: Sequence[str] = (),
        parameters: Sequence[Mapping[str, object]] = (),
        parent_path: str = "",
        auto_resolve: bool = False,
    ) -> SavedQuery:
        """Keep a query, in the caller's home folder unless another is named; needs MODIFY on the folder.

        Raises:
            PathTaken: The folder has a query of this name, and `auto_resolve` is false, which would number the new one.
        """
        name = checked_name(display_name)
        folder = self._tree.folder_at(ctx, parent_path) if parent_path else self._tree.home(ctx)
        columns = _columns(
            query_text=text, description=description, warehouse_id=warehouse_id, catalog_name=catalog, schema_name=schema,
            tags=tags, parameters=parameters,
        )  # fmt: skip
        for attempt in range(SAME_NAMES_MAX if auto_resolve else 1):
            numbered = f"{name} ({attempt})" if attempt else name
            try:
                return self._insert(ctx, folder, numbered, columns)
            except PathTaken:
                if not auto_resolve:
                    raise
        message = f"The folder has {SAME_NAMES_MAX} queries of the name `{name}`."
        raise PathTaken(message)

    def _insert(self, ctx: RequestContext, folder: WorkspaceObject, name: str, columns: Mapping[str, object]) -> SavedQuery:
        """A new query under this name."""
        made = new_id()
        with self._tree.database.write() as connection:
            self._tree.insert(ctx, ObjectKind.QUERY, f"{folder.path}/{name}{ENDING}", folder.id, id_=made, connection=connection)
            values = dict(columns) | {"id": made, "display_name": name, "state": State.ACTIVE.value}
            store.insert_detail(connection, store.queries, values)
        return self._fetch(made)

    def get(self, ctx: RequestContext, query_id: str) -> SavedQuery:
        """A saved query; needs SELECT."""
        self._tree.find_id(ctx, query_id, ObjectKind.QUERY, Privilege.SELECT)
        return self._fetch(query_id)

    def list(self, ctx: RequestContext, page: PageRequest | None = None, *, show_trashed: bool = False) -> Page[SavedQuery]:
        """Queries that the caller may read, the oldest first."""
        wanted = page or PageRequest()
        visible = self._tree.access.authority.visible(ctx, SecurableKind.QUERY, Privilege.SELECT)
        with self._tree.database.read() as connection:
            rows = store.fetch_details(
                connection, store.queries, visible=visible, after=wanted.after(), limit=wanted.size + 1, trashed=show_trashed
            )
        return page_of([*self._shown(rows)], wanted.size, lambda each: each.id)

    def update(
        self,
        ctx: RequestContext,
        query_id: str,
        *,
        display_name: str | None = None,
        text: str | None = None,
        description: str | None = None,
        warehouse_id: str | None = None,
        catalog: str | None = None,
        schema: str | None = None,
        tags: Sequence[str] | None = None,
        parameters: Sequence[Mapping[str, object]] | None = None,
    ) -> SavedQuery:
        """Change what is named; needs MODIFY, and a new name MANAGE."""
        found = self._tree.find_id(ctx, query_id, ObjectKind.QUERY, Privilege.MODIFY)
        given = {
            "query_text": text,
            "description": description,
            "warehouse_id": warehouse_id,
            "catalog_name": catalog,
            "schema_name": schema,
            "tags": tags,
            "parameters": parameters,
        }
        values = _columns(**{name: value for name, value in given.items() if value is not None})
        with self._tree.database.write() as connection:
            present = self._row(connection, query_id)
            if present["state"] != State.ACTIVE.value:
                message = "The query lies in the trash."
                raise ObjectChanged(message, hint="Restore it first.")
            if display_name is not None and (name := checked_name(display_name)) != present["display_name"]:
                self._tree.move(ctx, connection, found, f"{found.parent_path}/{name}{ENDING}")
                values["display_name"] = name
            self._tree.touch(ctx, connection, query_id)
            if values:
                store.update_query(connection, query_id, values)
        return self._fetch(query_id)

    def trash(self, ctx: RequestContext, query_id: str) -> None:
        """Put a query into the trash, where it stays for 30 days; needs MANAGE."""
        found = self._tree.find_id(ctx, query_id, ObjectKind.QUERY, Privilege.MANAGE)
        with self._tree.database.write() as connection:
            if self._row(connection, query_id)["state"] == State.TRASHED.value:
                return
            self._tree.hide(ctx, connection, found)
            store.update_query(connection, query_id, {"state": State.TRASHED.value, "trashed_at": self._tree.clock.now()})

    def restore(self, ctx: RequestContext, query_id: str) -> SavedQuery:
        """Take a query back from the trash; raises PathTaken when another has its name meanwhile."""
        found = self._tree.find_id(ctx, query_id, ObjectKind.QUERY, Privilege.MANAGE)
        with self._tree.database.write() as connection:
            if self._row(connection, query_id)["state"] == State.TRASHED.value:
                self._tree.unhide(ctx, connection, found)
                store.update_query(connection, query_id, {"state": State.ACTIVE.value, "trashed_at": None})
        return self._fetch(query_id)

    def _row(self, connection: sa.Connection, query_id: str) -> Mapping[str, Any]:
        """The row of a query that is there."""
        rows = store.fetch_details(connection, store.queries, id_=query_id)
        if not rows:
            message = "The query was deleted meanwhile."
            raise ObjectChanged(message)
        return rows[0]

    def _fetch(self, query_id: str) -> SavedQuery:
        """A query of which the caller may know."""
        with self._tree.database.read() as connection:
            row = self._row(connection, query_id)
        return self._shown([row])[0]

    def _shown(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[SavedQuery]:
        """Queries with the names of people."""
        owners = self._tree.access.authority.owners([row["id"] for row in rows])
        names = self._tree.access.authority.names([row["object"].updated_by for row in rows])
        return [_query(row, owners[row["id"]], names.get(row["object"].updated_by, "")) for row in rows]


def _columns(**given: Any) -> dict[str, object]:  # noqa: ANN401  # One function for texts and lists alike.
    """Checked values of columns.

    Raises:
        InvalidArgument: One is over its limit.
    """
    limits = {"query_text": STATEMENT_CHARS_MAX, "description": DESCRIPTION_CHARS_MAX, "warehouse_id": 64}
    for name, value in given.items():
        most = {"tags": TAGS_MAX, "parameters": PARAMETERS_MAX}.get(name) or limits.get(name, 255)
        if len(value) > most:
            message = f"`{name}` of a query has at most {most} {'entries' if name in {'tags', 'parameters'} else 'characters'}."
            raise InvalidArgument(message)
    return {name: list(value) if name in {"tags", "parameters"} else value for name, value in given.items()}


def _query(row: Mapping[str, Any], owner: str, last_modifier: str) -> SavedQuery:
    """Saved query from its row."""
    placed = row["object"]
    return SavedQuery(
        id=row["id"],
        display_name=row["display_name"],
        text=row["query_text"],
        description=row["description"],
        warehouse_id=row["warehouse_id"],
        catalog=row["catalog_name"],
        schema=row["schema_name"],
        tags=tuple(row["tags"]),
        parameters=tuple(row["parameters"]),
        path=placed.path,
        parent_path=placed.parent_path,
        state=State(row["state"]),
        owner=owner,
        last_modifier=last_modifier,
        created_at=placed.created_at,
        updated_at=placed.updated_at,
    )
