"""Folders and files of the workspace: look, list, make, import, export and delete."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from insjo.access.types import METASTORE_ID, Privilege
from insjo.workspace import store
from insjo.workspace.errors import FormatUnsupported, InvalidWorkspacePath, PathNotFound, PathTaken, WrongObjectKind
from insjo.workspace.service.dashboards import ENDING
from insjo.workspace.service.tree import ENTRIES_MAX, VIRTUAL, normal_path
from insjo.workspace.types import LANGUAGES, ROOT, USERS, ObjectKind, WorkspaceObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.kernel.context import RequestContext
    from insjo.workspace.service.dashboards import Dashboards
    from insjo.workspace.service.queries import Queries
    from insjo.workspace.service.tree import Tree

FILE_BYTES_MAX: Final = 48 * 1024 * 1024
"""Largest file of the workspace; larger ones belong into a volume."""

RAW_FORMATS: Final = frozenset({"", "AUTO", "RAW", "SOURCE"})
_HEADERS: Final = {"PYTHON": "# Databricks notebook source", "SQL": "-- Databricks notebook source"}
_HEADERS_MORE: Final = {"SCALA": "// Databricks notebook source", "R": "# Databricks notebook source"}
_ENDINGS: Final = {"py": "PYTHON", "sql": "SQL", "scala": "SCALA", "r": "R"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Objects:
    """Folders and files."""

    def __init__(self, tree: Tree, dashboards: Dashboards, queries: Queries) -> None:
        """What lies in folders and has services of its own goes into the trash through them."""
        self._tree = tree
        self._dashboards = dashboards
        self._queries = queries

    def get(self, ctx: RequestContext, path: str) -> WorkspaceObject:
        """What stands at a path; raises PathNotFound."""
        wanted = normal_path(path)
        if wanted.lower() in VIRTUAL:
            return _virtual(wanted)
        return self._tree.find(ctx, wanted)

    def get_number(self, ctx: RequestContext, object_id: int) -> WorkspaceObject:
        """An object by its number; raises PathNotFound."""
        with self._tree.database.read() as connection:
            found = store.fetch_by_number(connection, object_id)
        return self._tree.allowed(ctx, found, f"The object `{object_id}`", Privilege.BROWSE)

    def list(self, ctx: RequestContext, path: str) -> list[WorkspaceObject]:
        """What the caller may see in a folder; of a file the file itself."""
        wanted = normal_path(path)
        if wanted.lower() not in VIRTUAL:
            found = self._tree.find(ctx, wanted)
            if found.kind is not ObjectKind.DIRECTORY:
                return [found]
            with self._tree.database.read() as connection:
                return store.list_children(connection, found.id, self._tree.visible(ctx), ENTRIES_MAX)
        if ctx.principal.kind != "group" and ctx.principal.id != "system":
            self._tree.home(ctx)
        with self._tree.database.read() as connection:
            tops = store.list_children(connection, METASTORE_ID, self._tree.visible(ctx), ENTRIES_MAX)
        if wanted == ROOT:
            return [_virtual(USERS), *(each for each in tops if each.parent_path == ROOT)]
        return [each for each in tops if each.parent_path == USERS]

    def make_directories(self, ctx: RequestContext, path: str) -> WorkspaceObject:
        """Make a folder and those above it; one that exists is no error.

        Raises:
            PathTaken: Something that is no folder stands on the way.
        """
        wanted = normal_path(path)
        if wanted.lower() in VIRTUAL:
            return _virtual(wanted)
        try:
            found = self._tree.find(ctx, wanted)
        except PathNotFound:
            above = wanted.rpartition("/")[0] or ROOT
            if above.lower() not in VIRTUAL:
                self.make_directories(ctx, above)
            parent_id = self._tree.parent_for(ctx, wanted)
            return self._tree.insert(ctx, ObjectKind.DIRECTORY, wanted, parent_id)
        if found.kind is not ObjectKind.DIRECTORY:
            message = f"`{wanted}` is a {found.kind.noun} already."
            raise PathTaken(message)
        return found

    def put(
        self, ctx: RequestContext, path: str, content: bytes, *, form: str = "AUTO", language: str = "", overwrite: bool = False
    ) -> WorkspaceObject:
        """Keep a content as a file or notebook, whole or not at all.

        Args:
            ctx: Who imports.
            path: Where; the folder must be there.
            content: The bytes, at most 48 MiB.
            form: `AUTO` tells notebooks by their first line, `SOURCE` makes a notebook of `language`, `RAW` a file.
            language: Of a notebook.
            overwrite: Whether a file that is there may be replaced; needs MODIFY on it.

        Raises:
            PathTaken: Something is there, and `overwrite` is false or it is no file.
            FormatUnsupported: For the formats of notebook archives.
        """
        wanted = normal_path(path)
        if form.upper() == "AUTO" and wanted.lower().endswith(ENDING):
            return self._put_dashboard(ctx, wanted, content, overwrite=overwrite)
        kind, language = _kind_of(wanted, content, form.upper(), language.upper())
        if kind is ObjectKind.NOTEBOOK and form.upper() != "SOURCE":
            wanted = _without_ending(wanted)
        existing = self._existing(ctx, wanted)
        if existing is not None and not (overwrite and existing.kind in {ObjectKind.FILE, ObjectKind.NOTEBOOK}):
            message = f"A {existing.kind.noun} stands at `{wanted}` already."
            raise PathTaken(message, hint="Choose another path, or ask to overwrite it.")
        if existing is not None:
            self._tree.allowed(ctx, existing, f"The path `{wanted}`", Privilege.MODIFY)
        parent_id = "" if existing else self._tree.parent_for(ctx, wanted)
        if existing is None:
            self._tree.access.authority.authorize(ctx, Privilege.MODIFY, parent_id)
        name = secrets.token_hex(16)
        self._tree.contents.write(self._tree.folder, name, iter([content]), overwrite=False, bytes_max=FILE_BYTES_MAX)
        old: str | None = name
        try:
            old = self._point(ctx, existing, wanted, parent_id, kind, content=name, size_bytes=len(content), language=language)
        finally:
            self._tree.forget(old)
        return self.get(ctx, wanted)

    def _put_dashboard(self, ctx: RequestContext, path: str, content: bytes, *, overwrite: bool) -> WorkspaceObject:
        """Make a dashboard of its document, or replace the draft of one."""
        document = content.decode("utf-8", "replace")
        existing = self._existing(ctx, path)
        if existing is not None and not (overwrite and existing.kind is ObjectKind.DASHBOARD):
            message = f"A {existing.kind.noun} stands at `{path}` already."
            raise PathTaken(message, hint="Choose another path, or ask to overwrite it.")
        if existing is not None:
            self._dashboards.update(ctx, existing.id, serialized=document)
        else:
            folder, _, name = path.rpartition("/")
            self._tree.parent_for(ctx, path)
            self._dashboards.create(ctx, name[: -len(ENDING)], serialized=document, parent_path=folder)
        return self.get(ctx, path)

    def _point(
        self, ctx: RequestContext, existing: WorkspaceObject | None, path: str, parent_id: str, kind: ObjectKind, **columns: object
    ) -> str | None:
        """Make the stored content the one of the object; gives the name of the content that nobody needs any more."""
        if existing is None:
            self._tree.insert(ctx, kind, path, parent_id, columns=columns)
            return None
        with self._tree.database.write() as connection:
            old = store.fetch_content(connection, existing.id)
            self._tree.touch(ctx, connection, existing.id, kind=kind.value, **columns)
        return old

    def _existing(self, ctx: RequestContext, path: str) -> WorkspaceObject | None:
        """What the caller sees at the path."""
        if path.lower() in VIRTUAL:
            message = f"`{path}` is a folder."
            raise InvalidWorkspacePath(message)
        try:
            return self._tree.find(ctx, path)
        except PathNotFound:
            return None

    def read(self, ctx: RequestContext, path: str, *, form: str = "SOURCE") -> tuple[WorkspaceObject, Iterator[bytes]]:
        """A file and its content, of a dashboard its document; needs SELECT.

        Raises:
            WrongObjectKind: It is a folder or a query.
            FormatUnsupported: For the formats of notebook archives.
        """
        if form.upper() not in RAW_FORMATS:
            message = f"Exporting as `{form[:40]}` is not implemented by Insjö."
            raise FormatUnsupported(message, hint="Use SOURCE or AUTO.")
        found = self._tree.find(ctx, path, Privilege.SELECT)
        if found.kind is ObjectKind.DASHBOARD:
            return found, iter([self._dashboards.get(ctx, found.id).serialized.encode()])
        with self._tree.database.read() as connection:
            content = store.fetch_content(connection, found.id)
        if content is None:
            message = f"`{found.path}` is a {found.kind.noun}, which has no content to export."
            raise WrongObjectKind(message)
        return found, self._tree.contents.read(self._tree.folder, content, 0, None)

    def delete(self, ctx: RequestContext, path: str, *, recursive: bool = False) -> None:
        """Delete a file or folder for good; a query or dashboard goes into the trash.

        Raises:
            FolderNotEmpty: As its docstring says.
        """
        wanted = normal_path(path)
        if wanted.lower() in VIRTUAL:
            message = f"`{wanted}` cannot be deleted."
            raise InvalidWorkspacePath(message)
        found = self._tree.find(ctx, wanted, Privilege.MANAGE)
        if found.kind is ObjectKind.DASHBOARD:
            self._dashboards.trash(ctx, found.id)
        elif found.kind is ObjectKind.QUERY:
            self._queries.trash(ctx, found.id)
        else:
            self._tree.remove(ctx, found, recursive=recursive)


def _virtual(path: str) -> WorkspaceObject:
    """A folder that is there for everybody."""
    number = 1 if path.lower() == ROOT else 2
    shown = ROOT if number == 1 else USERS
    return WorkspaceObject("", number, ObjectKind.DIRECTORY, shown, "", "", 0, _EPOCH, "system", _EPOCH, "system")


def _kind_of(path: str, content: bytes, form: str, language: str) -> tuple[ObjectKind, str]:
    """Whether it is a notebook or a file, and the notebook's language."""
    if form not in RAW_FORMATS:
        message = f"Importing `{form[:40]}` is not implemented by Insjö."
        raise FormatUnsupported(message, hint="Use SOURCE, RAW or AUTO.")
    if language and language not in LANGUAGES:
        message = f"`{language[:40]}` is no language of notebooks."
        raise InvalidWorkspacePath(message, hint=f"Use one of {', '.join(LANGUAGES)}.")
    if form == "SOURCE":
        if not language:
            message = "Importing a notebook with the format SOURCE needs its language."
            raise InvalidWorkspacePath(message, hint=f"Send `language`: one of {', '.join(LANGUAGES)}. Or use AUTO or RAW for files.")
        return ObjectKind.NOTEBOOK, language
    ending = path.rpartition("/")[2].rpartition(".")[2].lower()
    spoken = _ENDINGS.get(ending, "") if "." in path.rpartition("/")[2] else language
    header = {**_HEADERS, **_HEADERS_MORE}.get(spoken, "")
    if form != "RAW" and header and content[:200].decode("utf-8", "replace").startswith(header):
        return ObjectKind.NOTEBOOK, spoken
    return ObjectKind.FILE, ""


def _without_ending(path: str) -> str:
    """The path of a notebook, which has no ending."""
    folder, _, name = path.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    return f"{folder}/{stem}" if dot and stem and ending.lower() in _ENDINGS else path
