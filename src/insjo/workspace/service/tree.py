"""The tree of folders: paths, home folders, looking up, making and removing, each with the rights of the folder above."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, NoReturn

from insjo.access.errors import SecurableExists, SecurableNotFound
from insjo.access.types import EVERYBODY_ID, METASTORE_ID, Privilege, SecurableKind
from insjo.kernel.context import SYSTEM, system_context
from insjo.kernel.database import NameTaken, unique
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.ids import new_id
from insjo.workspace import store
from insjo.workspace.errors import (
    FolderFull,
    FolderNotEmpty,
    FolderReserved,
    InvalidWorkspacePath,
    PathNotFound,
    PathTaken,
    WrongObjectKind,
)
from insjo.workspace.types import ROOT, SHARED, USERS, ObjectKind, WorkspaceObject

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from insjo.access.service.facade import Access
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.workspace.ports import ContentStorage

PREFIX: Final = "/Workspace/"
"""What newer clients put before each path; it means nothing."""

PATH_BYTES_MAX: Final = 780
NAME_CHARS_MAX: Final = 200
DEPTH_MAX: Final = 40
ENTRIES_MAX: Final = 10_000
"""Entries of one folder."""

OBJECT_ID_BITS: Final = 52
"""Numbers of objects stay below the largest that JavaScript counts exactly."""

VIRTUAL: Final = frozenset({ROOT, USERS.lower()})
"""Folders that are there for everybody and hold only what each may see."""

IN_FOLDERS: Final = (SecurableKind.FOLDER, SecurableKind.WORKSPACE_FILE, SecurableKind.QUERY, SecurableKind.DASHBOARD)


def normal_path(path: str) -> str:
    """A path in its one form: no `/Workspace` before it, no slash behind it.

    Raises:
        InvalidWorkspacePath: As its docstring says.
    """
    text = path[len(PREFIX) - 1 :] if path.startswith(PREFIX) or path == PREFIX[:-1] else path
    text = text.rstrip("/") or ROOT
    parts = text.split("/")[1:]
    wrong = not path or not text.startswith("/") or len(text.encode("utf-8", "replace")) > PATH_BYTES_MAX or len(parts) > DEPTH_MAX
    if text != ROOT:
        wrong = wrong or any(part in {"", ".", ".."} or len(part) > NAME_CHARS_MAX or not part.isprintable() for part in parts)
    if wrong:
        message = f"`{path[:200]}` is no path of the workspace."
        raise InvalidWorkspacePath(message, hint="A path looks like `/Users/anna/report.py`; `..` and empty parts are not allowed.")
    return text


class Tree:
    """What the services of the room have in common."""

    def __init__(self, *, database: Database, clock: Clock, access: Access, contents: ContentStorage, folder: str) -> None:
        """Everything by keyword; `folder` is where contents of files are stored."""
        self.database = database
        self.clock = clock
        self.access = access
        self.contents = contents
        self.folder = folder

    def start(self) -> None:
        """Make the folder in which everybody may work, at the first start."""
        ctx = system_context()
        self.contents.make_directory(self.folder, "")
        with self.database.read() as connection:
            found = store.fetch_by_path(connection, SHARED.lower())
        if found is None:
            made = self._insert_top(ctx, SHARED, owner_id=SYSTEM.id)
            everybody = self.access.principals.get(ctx, EVERYBODY_ID)
            self.access.grants.grant(ctx, made.id, everybody.name, [Privilege.SELECT, Privilege.EXECUTE, Privilege.MODIFY])

    def home(self, ctx: RequestContext) -> WorkspaceObject:
        """The caller's home folder, made when it is first needed."""
        with self.database.read() as connection:
            found = store.fetch_home(connection, ctx.principal.id)
            if found is not None:
                return found
            path = f"{USERS}/{ctx.principal.name.replace('/', '_')[:NAME_CHARS_MAX]}"
            if store.fetch_by_path(connection, path.lower()) is not None:  # Of somebody who had this name before.
                path = f"{path[: NAME_CHARS_MAX - 9]}-{ctx.principal.id[-8:]}"
        if ctx.principal.id == SYSTEM.id:
            message = "Insjö itself has no home folder."
            raise InvalidArgument(message)
        try:
            return self._insert_top(system_context(), path, owner_id=ctx.principal.id, home_of=ctx.principal.id)
        except PathTaken:  # Two requests of one person at once.
            with self.database.read() as connection:
                found = store.fetch_home(connection, ctx.principal.id)
            if found is None:
                raise
            return found

    def _insert_top(self, ctx: RequestContext, path: str, *, owner_id: str, home_of: str | None = None) -> WorkspaceObject:
        """A folder directly under the metastore."""
        return self.insert(ctx, ObjectKind.DIRECTORY, path, METASTORE_ID, owner_id=owner_id, columns={"home_of": home_of})

    def find(
        self, ctx: RequestContext, path: str, privilege: Privilege = Privilege.BROWSE, *, connection: sa.Connection | None = None
    ) -> WorkspaceObject:
        """What stands at a path.

        Raises:
            PathNotFound: Nothing, or nothing that the caller may see.
            AccessDenied: The caller may see it, yet lacks the privilege.
        """
        wanted = normal_path(path)
        if wanted.lower().startswith(f"{USERS.lower()}/{ctx.principal.name}"):
            self.home(ctx)
        if connection is not None:
            found = store.fetch_by_path(connection, wanted.lower())
        else:
            with self.database.read() as own:
                found = store.fetch_by_path(own, wanted.lower())
        return self.allowed(ctx, found, f"The path `{path[:800]}`", privilege, connection=connection)

    def find_id(self, ctx: RequestContext, id_: str, kind: ObjectKind, privilege: Privilege) -> WorkspaceObject:
        """An object by its identifier, if it is of the kind."""
        with self.database.read() as connection:
            found = store.fetch_object(connection, id_[:64])
        if found is not None and found.kind is not kind:
            found = None
        return self.allowed(ctx, found, f"The {kind.noun} `{id_[:64]}`", privilege)

    def allowed(
        self,
        ctx: RequestContext,
        found: WorkspaceObject | None,
        named: str,
        privilege: Privilege,
        *,
        connection: sa.Connection | None = None,
    ) -> WorkspaceObject:
        """The object, if the caller may do this to it; one that is invisible is missing in the same words as one that is not there."""
        if found is None:
            _missing(named)
        try:
            self.access.authority.authorize(ctx, privilege, found.id, connection=connection)
        except SecurableNotFound:
            _missing(named)
        return found

    def parent_for(self, ctx: RequestContext, path: str) -> str:
        """Identifier of the folder in which something with this path is to be made; that the caller may, `insert` asks."""
        above = path.rpartition("/")[0] or ROOT
        if above == ROOT and self.access.principals.is_admin(ctx.principal.id):
            return METASTORE_ID
        if above.lower() in VIRTUAL:
            message = f"Nothing can be made directly in `{above}`."
            raise FolderReserved(message, hint="Use your home folder below `/Users`, or `/Shared`.")
        return self.folder_at(ctx, above).id

    def folder_at(self, ctx: RequestContext, path: str) -> WorkspaceObject:
        """A folder that the caller may see."""
        found = self.find(ctx, path)
        if found.kind is not ObjectKind.DIRECTORY:
            message = f"`{path}` is a {found.kind.noun} and no folder."
            raise WrongObjectKind(message)
        return found

    def insert(
        self,
        ctx: RequestContext,
        kind: ObjectKind,
        path: str,
        parent_id: str,
        *,
        id_: str | None = None,
        owner_id: str | None = None,
        connection: sa.Connection | None = None,
        columns: Mapping[str, object] | None = None,
    ) -> WorkspaceObject:
        """A new object; needs MODIFY on the folder, and the caller becomes its owner.

        Raises:
            PathTaken: Something stands there; also when the caller may not see it, since two cannot have one path.
            FolderFull: The folder holds as many as one may.
        """
        if connection is None:
            with self.database.write() as own:
                return self.insert(ctx, kind, path, parent_id, id_=id_, owner_id=owner_id, connection=own, columns=columns)
        now = self.clock.now()
        made = id_ or new_id()
        taken = PathTaken(f"`{path}` is there already.", hint="Choose another name, or ask to overwrite it.")
        try:
            self.access.securables.register(
                ctx, kind.securable, path.lower(), parent_id, owner_id, connection=connection, securable_id=made
            )
            if store.count_children(connection, parent_id) >= ENTRIES_MAX and not (columns or {}).get("home_of"):
                message = f"A folder holds at most {ENTRIES_MAX} entries."
                raise FolderFull(message)
            with unique(connection):
                values: dict[str, object] = {
                    "id": made,
                    "object_id": secrets.randbits(OBJECT_ID_BITS) + 16,
                    "parent_id": parent_id,
                    "kind": kind.value,
                    "path": path,
                    "path_key": path.lower(),
                    "language": "",
                    "size_bytes": 0,
                    "created_at": now,
                    "created_by": owner_id or ctx.principal.id,
                    "updated_at": now,
                    "updated_by": owner_id or ctx.principal.id,
                }
                store.insert_object(connection, values | dict(columns or {}))
        except (SecurableExists, NameTaken) as error:
            raise taken from error
        found = store.fetch_object(connection, made)
        if found is None:
            raise taken
        return found

    def touch(self, ctx: RequestContext, connection: sa.Connection, id_: str, **columns: object) -> None:
        """Note who changed an object, and what else changes of it."""
        now = self.clock.now()
        store.update_object(connection, id_, {"updated_at": now, "updated_by": ctx.principal.id} | columns)

    def move(self, ctx: RequestContext, connection: sa.Connection, found: WorkspaceObject, path: str) -> None:
        """Another name in the same folder; needs MANAGE, for it changes what others call it."""
        try:
            self.access.securables.rename(ctx, found.id, path.lower(), connection=connection)
            with unique(connection):
                self.touch(ctx, connection, found.id, path=path, path_key=path.lower())
        except (SecurableExists, NameTaken) as error:
            message = f"`{path}` is there already."
            raise PathTaken(message) from error

    def hide(self, ctx: RequestContext, connection: sa.Connection, found: WorkspaceObject) -> None:
        """Take an object from its folder into the trash; its rights stay."""
        self.access.securables.rename(ctx, found.id, f"trash/{found.id}", connection=connection)
        self.touch(ctx, connection, found.id, path_key=None)

    def unhide(self, ctx: RequestContext, connection: sa.Connection, found: WorkspaceObject) -> None:
        """Put an object back where it stood."""
        self.move(ctx, connection, found, found.path)

    def remove(self, ctx: RequestContext, found: WorkspaceObject, *, recursive: bool = False) -> None:
        """Remove an object for good; needs MANAGE.

        Raises:
            FolderNotEmpty: It is a folder that holds something, and `recursive` is false.
        """
        with self.database.write() as connection:
            below = store.fetch_below(connection, found.id, found.path)
            if len(below) > 1 and not recursive:
                self.access.authority.authorize(ctx, Privilege.MANAGE, found.id, connection=connection)
                message = f"The folder `{found.path}` is not empty."
                raise FolderNotEmpty(message, hint="Ask for a recursive deletion, or delete what it holds first.")
            self.access.securables.remove(ctx, found.id, connection=connection)
            store.delete_objects(connection, [id_ for id_, _ in below])
        for _, content in below:
            self.forget(content)

    def forget(self, content: str | None) -> None:
        """Delete a stored content; it is not reachable any more."""
        if content:
            self.contents.delete(self.folder, content)

    def visible(self, ctx: RequestContext) -> list[sa.Select[tuple[str]]]:
        """The queries of everything in folders that the caller may see."""
        return [self.access.authority.visible(ctx, kind) for kind in IN_FOLDERS]


def _missing(named: str) -> NoReturn:
    """Raise the one error for what is not there and what the caller may not see."""
    message = f"{named} does not exist."
    raise PathNotFound(message)
