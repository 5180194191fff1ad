"""Dashboards: a draft that its editors change, and what was published of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from insjo.access.types import Privilege, SecurableKind
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.ids import new_id
from insjo.kernel.paging import Page, PageRequest, page_of
from insjo.workspace import store
from insjo.workspace.errors import InvalidDocument, NotPublished, ObjectChanged
from insjo.workspace.types import Dashboard, ObjectKind, Publication, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa

    from insjo.kernel.context import RequestContext
    from insjo.workspace.service.tree import Tree

DOCUMENT_CHARS_MAX: Final = 5_000_000
ENDING: Final = ".lvdash.json"
NAME_CHARS_MAX: Final = 180
TRASH_DAYS: Final = 30
"""How long something can be taken back from the trash."""


class Dashboards:
    """Dashboards; tiles are run by whoever looks, with their own rights, so none of this reads any table."""

    def __init__(self, tree: Tree) -> None:
        """Dashboards stand in folders."""
        self._tree = tree

    def create(
        self, ctx: RequestContext, display_name: str, *, serialized: str = "{}", parent_path: str = "", warehouse_id: str = ""
    ) -> Dashboard:
        """A new dashboard, in the caller's home folder unless another is named; needs MODIFY on the folder.

        Raises:
            PathTaken: The folder has a dashboard of this name.
            InvalidDocument: The document is no JSON object.
        """
        name = checked_name(display_name)
        document = _checked(serialized)
        folder = self._tree.folder_at(ctx, parent_path) if parent_path else self._tree.home(ctx)
        made = new_id().replace("-", "")
        with self._tree.database.write() as connection:
            self._tree.insert(
                ctx,
                ObjectKind.DASHBOARD,
                f"{folder.path}/{name}{ENDING}",
                folder.id,
                id_=made,
                connection=connection,
                columns={"size_bytes": len(document)},
            )
            values = {
                "id": made,
                "display_name": name,
                "serialized": document,
                "revision": 1,
                "state": State.ACTIVE.value,
                "warehouse_id": warehouse_id[:64],
            }
            store.insert_detail(connection, store.dashboards, values)
        return self._fetch(made)

    def get(self, ctx: RequestContext, dashboard_id: str) -> Dashboard:
        """A dashboard with its draft; needs SELECT."""
        self._tree.find_id(ctx, dashboard_id, ObjectKind.DASHBOARD, Privilege.SELECT)
        return self._fetch(dashboard_id)

    def list(self, ctx: RequestContext, page: PageRequest | None = None, *, show_trashed: bool = False) -> Page[Dashboard]:
        """Dashboards that the caller may read, the oldest first."""
        wanted = page or PageRequest()
        visible = self._tree.access.authority.visible(ctx, SecurableKind.DASHBOARD, Privilege.SELECT)
        with self._tree.database.read() as connection:
            rows = store.fetch_details(
                connection, store.dashboards, visible=visible, after=wanted.after(), limit=wanted.size + 1, trashed=show_trashed
            )
        return page_of([*self._shown(rows)], wanted.size, lambda each: each.id)

    def update(
        self,
        ctx: RequestContext,
        dashboard_id: str,
        *,
        display_name: str | None = None,
        serialized: str | None = None,
        warehouse_id: str | None = None,
        etag: str = "",
    ) -> Dashboard:
        """Change the draft; needs MODIFY, and a new name MANAGE.

        Raises:
            ObjectChanged: `etag` is not that of the present draft.
        """
        found = self._tree.find_id(ctx, dashboard_id, ObjectKind.DASHBOARD, Privilege.MODIFY)
        values: dict[str, object] = {}
        if serialized is not None:
            values["serialized"] = _checked(serialized)
        if warehouse_id is not None:
            values["warehouse_id"] = warehouse_id[:64]
        if display_name is not None:
            values["display_name"] = checked_name(display_name)
        with self._tree.database.write() as connection:
            present = self._row(connection, dashboard_id)
            if present["state"] != State.ACTIVE.value:
                message = "The dashboard lies in the trash."
                raise ObjectChanged(message, hint="Restore it first.")
            if etag and etag != str(present["revision"]):
                message = f"Somebody changed the dashboard `{present['display_name']}` since it was read."
                raise ObjectChanged(message, hint="Read it again, and repeat the change.")
            if display_name is not None and values["display_name"] != present["display_name"]:
                self._tree.move(ctx, connection, found, f"{found.parent_path}/{values['display_name']}{ENDING}")
            size = len(str(values.get("serialized", present["serialized"])))
            self._tree.touch(ctx, connection, dashboard_id, size_bytes=size)
            store.update_dashboard(connection, dashboard_id, values | {"revision": present["revision"] + 1})
        return self._fetch(dashboard_id)

    def trash(self, ctx: RequestContext, dashboard_id: str) -> None:
        """Put a dashboard into the trash, where it stays for 30 days; what was published ends at once.  Needs MANAGE."""
        found = self._tree.find_id(ctx, dashboard_id, ObjectKind.DASHBOARD, Privilege.MANAGE)
        with self._tree.database.write() as connection:
            if self._row(connection, dashboard_id)["state"] == State.TRASHED.value:
                return
            self._tree.hide(ctx, connection, found)
            gone = {"state": State.TRASHED.value, "trashed_at": self._tree.clock.now(), "published": None, "published_at": None}
            store.update_dashboard(connection, dashboard_id, gone)

    def restore(self, ctx: RequestContext, dashboard_id: str) -> Dashboard:
        """Take a dashboard back from the trash; raises PathTaken when another has its name meanwhile."""
        found = self._tree.find_id(ctx, dashboard_id, ObjectKind.DASHBOARD, Privilege.MANAGE)
        with self._tree.database.write() as connection:
            if self._row(connection, dashboard_id)["state"] == State.TRASHED.value:
                self._tree.unhide(ctx, connection, found)
                store.update_dashboard(connection, dashboard_id, {"state": State.ACTIVE.value, "trashed_at": None})
        return self._fetch(dashboard_id)

    def publish(self, ctx: RequestContext, dashboard_id: str, warehouse_id: str | None = None) -> Publication:
        """Show the present draft to all readers; needs MANAGE."""
        self._tree.find_id(ctx, dashboard_id, ObjectKind.DASHBOARD, Privilege.MANAGE)
        with self._tree.database.write() as connection:
            draft = self._row(connection, dashboard_id)
            if draft["state"] != State.ACTIVE.value:
                message = "A dashboard in the trash cannot be published."
                raise InvalidArgument(message, hint="Restore it first.")
            kept = {
                "display_name": draft["display_name"],
                "serialized": draft["serialized"],
                "warehouse_id": (warehouse_id or draft["warehouse_id"])[:64],
                "published_by": ctx.principal.name,
            }
            store.update_dashboard(connection, dashboard_id, {"published": kept, "published_at": self._tree.clock.now()})
        return self.published(ctx, dashboard_id)

    def unpublish(self, ctx: RequestContext, dashboard_id: str) -> None:
        """Take back what was published; raises NotPublished.  Needs MANAGE."""
        self._tree.find_id(ctx, dashboard_id, ObjectKind.DASHBOARD, Privilege.MANAGE)
        with self._tree.database.write() as connection:
            if self._row(connection, dashboard_id)["published_at"] is None:
                raise _unpublished(dashboard_id)
            store.update_dashboard(connection, dashboard_id, {"published": None, "published_at": None})

    def published(self, ctx: RequestContext, dashboard_id: str) -> Publication:
        """What readers see; needs SELECT, and raises NotPublished."""
        found = self.get(ctx, dashboard_id).published
        if found is None:
            raise _unpublished(dashboard_id)
        return found

    def _row(self, connection: sa.Connection, dashboard_id: str) -> Mapping[str, Any]:
        """The row of a dashboard that is there."""
        rows = store.fetch_details(connection, store.dashboards, id_=dashboard_id)
        if not rows:
            raise ObjectChanged("The dashboard was deleted meanwhile.")  # One short sentence.
        return rows[0]

    def _fetch(self, dashboard_id: str) -> Dashboard:
        """A dashboard of which the caller may know."""
        with self._tree.database.read() as connection:
            row = self._row(connection, dashboard_id)
        return self._shown([row])[0]

    def _shown(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Dashboard]:
        """Dashboards with the names of their owners."""
        owners = self._tree.access.authority.owners([row["id"] for row in rows])
        return [_dashboard(row, owners[row["id"]]) for row in rows]


def _dashboard(row: Mapping[str, Any], owner: str) -> Dashboard:
    """Dashboard from its row."""
    placed = row["object"]
    return Dashboard(
        id=row["id"],
        display_name=row["display_name"],
        path=placed.path,
        parent_path=placed.parent_path,
        serialized=row["serialized"],
        etag=str(row["revision"]),
        state=State(row["state"]),
        warehouse_id=row["warehouse_id"],
        owner=owner,
        created_at=placed.created_at,
        updated_at=placed.updated_at,
        published=store.publication_of(row),
    )


def checked_name(name: str) -> str:
    """A display name that can be the last part of a path.

    Raises:
        InvalidArgument: It is empty, too long, or has slashes or control characters.
    """
    text = " ".join(name.split())
    if not text or len(text) > NAME_CHARS_MAX or "/" in text or not text.isprintable() or text in {".", ".."}:
        message = f"`{name[:100]}` is no name."
        raise InvalidArgument(message, hint=f"Use at most {NAME_CHARS_MAX} characters and no slash.")
    return text


def trash_limit() -> timedelta:
    """How long the trash keeps something."""
    return timedelta(days=TRASH_DAYS)


def _checked(serialized: str) -> str:
    """The document, if it is a JSON object of a reasonable size and depth."""
    text = serialized.strip() or "{}"
    if len(text) > DOCUMENT_CHARS_MAX:
        message = f"The document of a dashboard has at most {DOCUMENT_CHARS_MAX} characters."
        raise InvalidDocument(message)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = "The document of the dashboard is not valid JSON."
        raise InvalidDocument(message) from error
    if not isinstance(document, dict):
        message = "The document of a dashboard is a JSON object."
        raise InvalidDocument(message)
    return text


def _unpublished(dashboard_id: str) -> NotPublished:
    """The error for a dashboard that only its editors see."""
    message = f"The dashboard `{dashboard_id}` is not published."
    return NotPublished(message, hint="Whoever manages it can publish it.")
