"""Files in volumes: reading, writing and listing with the rights of the volume, and the label of each file."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from insjo.access.types import Label, Privilege, join_all
from insjo.catalog import store
from insjo.catalog.errors import DirectoryNotEmpty, FileAlreadyExists, FileNotFound, InvalidPath, TooManyFiles
from insjo.catalog.service import paths
from insjo.catalog.types import FileEntry, Folder, LocalFile
from insjo.kernel.errors import did_you_mean
from insjo.kernel.limits import FILE_BYTES_MAX
from insjo.kernel.paging import Page, PageRequest, page_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from insjo.catalog.ports import Mirror, StoredFile
    from insjo.catalog.service.models import Models
    from insjo.catalog.service.parts import Parts
    from insjo.catalog.service.volumes import Volumes
    from insjo.kernel.context import RequestContext

    FileHook = Callable[[str, str], None]
    """Called with the identifier of a volume and a whole path after the file was written, deleted or labelled."""

MATCHES_MAX = 10_000
"""Files that one path or pattern may stand for."""

_WALKED_MAX = 200_000
_LABELS_MAX = 100_000
_HIDDEN = ("_", ".")


class Files:
    """Files by their path `/Volumes/catalog/schema/volume/…`, and those of models by `/Models/catalog/schema/model/version/…`.

    Files of a model are read by whoever holds EXECUTE on it, and written by who manages it while their version is pending; SQL reads
    none of them, and their label is that of the model.
    """

    def __init__(self, parts: Parts, volumes: Volumes, models: Models, mirror: Mirror | None = None) -> None:
        self._parts = parts
        self._models = models
        self._mirror = mirror
        self._volumes = volumes
        self._hooks: list[FileHook] = []

    def on_change(self, hook: FileHook) -> None:
        """Call `hook` after each change of this process."""
        self._hooks.append(hook)

    # ------------------------------------------------------------------------------------------------------------- content

    def write(
        self,
        ctx: RequestContext,
        path: str,
        chunks: Iterable[bytes],
        *,
        overwrite: bool = False,
        bytes_max: int = FILE_BYTES_MAX,
        label: Label | None = None,
    ) -> FileEntry:
        """Write a whole file or nothing; needs WRITE VOLUME.  Missing directories are made.

        A label that is given, because the content was computed from something labelled, stands before the content does.

        Raises:
            FileAlreadyExists: A file is there and `overwrite` is false.
            FileTooLarge, DiskFull, InvalidPath: As they say; nothing remains.
        """
        open_ = self._open if label is None else self._open_volume  # Files of models have no labels of their own.
        where, volume = open_(ctx, path, Privilege.WRITE_VOLUME)
        if not where.inside:
            message = f"`{where.text}` is a volume, not a file."
            raise FileAlreadyExists(message)
        if label is not None:
            self._put_label(ctx, volume, where, self._own(volume.id, where.inside).join(label))
        stored = self._parts.files.write(volume.location, where.inside, chunks, overwrite=overwrite, bytes_max=bytes_max)
        self._changed(volume, where)
        return _entry(where, stored)

    def check_write(self, ctx: RequestContext, path: str, *, overwrite: bool = False) -> None:
        """Raise what `write` would raise before it takes the content; for doors, so that nobody sends gigabytes in vain."""
        where, volume = self._open(ctx, path, Privilege.WRITE_VOLUME)
        found = self._parts.files.stat(volume.location, where.inside) if where.inside else None
        if not where.inside or (found is not None and (found.is_directory or not overwrite)):
            noun = "directory" if not where.inside or (found is not None and found.is_directory) else "file"
            message = f"A {noun} is at `{where.text}` already."
            raise FileAlreadyExists(message, hint="" if noun == "directory" else "Allow overwriting, or choose another name.")

    def read(self, ctx: RequestContext, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Content of a file from `offset` on; needs READ VOLUME.  Rights and existence are checked before the first chunk."""
        where, volume = self._open(ctx, path, Privilege.READ_VOLUME)
        found = self._parts.files.stat(volume.location, where.inside)
        if found is None or found.is_directory:
            raise self._missing(where, volume, "file")
        return self._parts.files.read(volume.location, where.inside, offset, length)

    def stat(self, ctx: RequestContext, path: str) -> FileEntry:
        """What is at a path; needs READ VOLUME."""
        where, volume = self._open(ctx, path, Privilege.READ_VOLUME)
        found = self._parts.files.stat(volume.location, where.inside)
        if found is None:
            raise self._missing(where, volume, "file or directory")
        return _entry(where, found)

    def delete(self, ctx: RequestContext, path: str) -> None:
        """Delete a file; needs WRITE VOLUME."""
        where, volume = self._open(ctx, path, Privilege.WRITE_VOLUME)
        found = self._parts.files.stat(volume.location, where.inside)
        if found is None or found.is_directory:
            raise self._missing(where, volume, "file")
        self._parts.files.delete(volume.location, where.inside)
        with self._parts.database.write() as connection:
            store.delete_file_labels(connection, volume.id, [paths.path_hash(where.inside)])
        self._changed(volume, where)

    # --------------------------------------------------------------------------------------------------------- directories

    def list(self, ctx: RequestContext, directory: str, page: PageRequest | None = None) -> Page[FileEntry]:
        """Entries of a directory by name; needs READ VOLUME."""
        where, volume = self._open(ctx, directory, Privilege.READ_VOLUME)
        wanted = page or PageRequest()
        after = wanted.after()
        found = self._parts.files.stat(volume.location, where.inside)
        if found is None or not found.is_directory:
            raise self._missing(where, volume, "directory")
        entries: list[FileEntry] = []
        for stored in self._parts.files.list(volume.location, where.inside):
            name = stored.path.rpartition("/")[2]
            if name <= after:
                continue
            entries.append(_entry(paths.VolumePath(where.volume, stored.path, where.root), stored))
            if len(entries) > wanted.size:
                break
        return page_of(entries, wanted.size, lambda each: each.name)

    def make_directory(self, ctx: RequestContext, path: str) -> None:
        """Make a directory and those above it; needs WRITE VOLUME.  One that is there already is no error."""
        where, volume = self._open(ctx, path, Privilege.WRITE_VOLUME)
        self._parts.files.make_directory(volume.location, where.inside)

    def delete_directory(self, ctx: RequestContext, path: str, *, recursive: bool = False) -> None:
        """Delete an empty directory, or with `recursive` one with all it holds; needs WRITE VOLUME.

        Raises:
            DirectoryNotEmpty: It holds something and `recursive` is false, or it is the volume itself.
        """
        where, volume = self._open(ctx, path, Privilege.WRITE_VOLUME)
        if not where.inside:
            message = f"`{where.text}` is a volume."
            raise DirectoryNotEmpty(message, hint="Drop the volume instead.")
        found = self._parts.files.stat(volume.location, where.inside)
        if found is None or not found.is_directory:
            raise self._missing(where, volume, "directory")
        self._parts.files.delete(volume.location, where.inside, recursive=recursive)
        with self._parts.database.write() as connection:
            store.delete_file_labels_below(connection, volume.id, where.inside)
        self._changed(volume, where)

    # ------------------------------------------------------------------------------------------------------------- engines

    def resolve_local(self, ctx: RequestContext, path: str, privilege: Privilege = Privilege.READ_VOLUME) -> Iterable[LocalFile]:
        """The files that a path, a directory or a pattern stands for, for an engine to read; sorted by path.

        Files and directories below a directory or a pattern whose names begin with `_` or `.` are left out, as in Databricks.

        Raises:
            FileNotFound: Nothing is there.
            TooManyFiles: More than 10,000 files.
        """
        where, volume = self._open_volume(ctx, path, privilege)
        found = self._parts.files.stat(volume.location, where.inside)
        if found is not None and not found.is_directory:
            matches: Iterable[StoredFile] = [found]
        elif found is not None:
            matches = self._below(volume, where.inside, lambda _: True)
        elif paths.is_pattern(where.inside):
            expression = paths.compile_pattern(where.inside)
            matches = self._below(volume, paths.fixed_folder(where.inside), _matcher(expression))
        else:
            raise self._missing(where, volume, "file or directory")
        if not matches:
            message = f"No file is at `{where.text}`."
            raise FileNotFound(message)
        base = self._parts.access.labels.effective(volume.id)
        with self._parts.database.read() as connection:
            own = store.fetch_file_labels(connection, volume.id, _LABELS_MAX)
        return [
            LocalFile(
                path=where.joined(each.path),
                local_path=each.local_path,
                size_bytes=each.size_bytes,
                modified_at=each.modified_at,
                label=join_all((base, *(Label.from_json(own[part]) for part in paths.above(each.path) if part in own))),
                volume_id=volume.id,
            )
            for each in sorted(matches, key=lambda each: each.path)
        ]

    def present(self, local_paths: Iterable[str]) -> AbstractContextManager[None]:
        """Have files at their local paths while the block runs: where they lie in an object store, they are fetched.

        A file that was deleted or replaced since it was resolved is not there.  SQL needs no such block: its engines have one.
        """
        return contextlib.nullcontext() if self._mirror is None else self._mirror.held(local_paths)

    def resolve_directory(self, ctx: RequestContext, path: str) -> str:
        """The local folder of a directory in which an engine may read and write; needs READ VOLUME and WRITE VOLUME.

        The directory is made if it is not there.  A volume as a whole is none: it holds what Insjö puts beside the files.
        """
        where, volume = self._open_volume(ctx, path, Privilege.READ_VOLUME)
        self._parts.access.authority.authorize(ctx, Privilege.WRITE_VOLUME, volume.id)
        if not where.inside:
            message = f"`{where.text}` is a volume; name a directory in it."
            raise InvalidPath(message)
        self._parts.files.make_directory(volume.location, where.inside)
        return f"{volume.location}/{where.inside}"

    # -------------------------------------------------------------------------------------------------------------- labels

    def label_of_location(self, location: str) -> Label | None:
        """Effective label of a local folder in a volume, or None when it lies in none: for tables whose files lie there."""
        home = str(self._parts.volume_folder) + "/"
        folder, _, inside = location.removeprefix(home).partition("/")
        if not location.startswith(home):
            return None
        with self._parts.database.read() as connection:
            volume_id = store.find_volume_at(connection, home + folder)
        if volume_id is None:
            return None
        return self._parts.access.labels.effective(volume_id).join(self._own(volume_id, inside, inherited=True))

    def path_of_location(self, location: str) -> str:
        """Path of a local file in a volume, or an empty text: for errors about files that somebody was allowed to read."""
        home = str(self._parts.volume_folder) + "/"
        folder, _, inside = location.removeprefix(home).partition("/")
        if not location.startswith(home):
            return ""
        with self._parts.database.read() as connection:
            volume_id = store.find_volume_at(connection, home + folder)
        if volume_id is None:
            return ""
        name = self._parts.access.securables.get(volume_id).full_name
        return f"/Volumes/{name.replace('.', '/')}/{inside}"

    def label(self, ctx: RequestContext, path: str) -> Label:
        """Effective label of a file or directory: its own joined with those above it; needs READ VOLUME."""
        where, volume = self._open_volume(ctx, path, Privilege.READ_VOLUME)
        return self._effective(volume, where)

    def set_label(self, ctx: RequestContext, path: str, label: Label) -> None:
        """Label a file or a directory.  Raising it needs WRITE VOLUME, lowering it needs MANAGE on the volume."""
        where, volume = self._open_volume(ctx, path, Privilege.WRITE_VOLUME)
        if self._parts.files.stat(volume.location, where.inside) is None:
            raise self._missing(where, volume, "file or directory")
        if not label.covers(self._own(volume.id, where.inside)):
            self._parts.access.authority.authorize(ctx, Privilege.MANAGE, volume.id)
        self._put_label(ctx, volume, where, label)
        self._changed(volume, where)

    # ------------------------------------------------------------------------------------------------------------- details

    def _open(self, ctx: RequestContext, path: str, privilege: Privilege) -> tuple[paths.VolumePath, Folder]:
        """The place that a path names; for a model the privilege to write means to manage it."""
        where = paths.parse_path(path, models=True)
        if where.root == paths.MODELS:
            return where, self._models.folder(ctx, where.volume, where.inside, write=privilege is Privilege.WRITE_VOLUME)
        return self._open_volume(ctx, path, privilege)

    def _open_volume(self, ctx: RequestContext, path: str, privilege: Privilege) -> tuple[paths.VolumePath, Folder]:
        where = paths.parse_path(path)
        volume = self._volumes.get(ctx, where.volume, privilege)
        return where, Folder(volume.id, volume.path, volume.location)

    def _below(self, volume: Folder, folder: str, wanted: Callable[[str], bool]) -> Iterable[StoredFile]:
        """All visible files below a folder that are wanted."""
        matches: dict[str, StoredFile] = {}
        pending = [folder]
        walked = 0
        while pending:
            current = pending.pop()
            found = self._parts.files.stat(volume.location, current)
            if found is None or not found.is_directory:
                continue
            for each in self._parts.files.list(volume.location, current):
                walked += 1
                if each.path.rpartition("/")[2].startswith(_HIDDEN):
                    continue
                if each.is_directory:
                    pending.append(each.path)
                elif wanted(each.path):
                    matches[each.path] = each
                if len(matches) > MATCHES_MAX or walked > _WALKED_MAX:
                    message = f"More than {MATCHES_MAX} files lie below `{volume.path}/{folder}`."
                    raise TooManyFiles(message, hint="Name a smaller directory or a narrower pattern.")
        return matches.values()

    def _effective(self, volume: Folder, where: paths.VolumePath) -> Label:
        return self._parts.access.labels.effective(volume.id).join(self._own(volume.id, where.inside, inherited=True))

    def _own(self, volume_id: str, inside: str, *, inherited: bool = False) -> Label:
        """The label set on a path itself, or joined with those set on the directories above; PUBLIC when there is none."""
        hashes = [paths.path_hash(each) for each in (paths.above(inside) if inherited else (inside,))]
        with self._parts.database.read() as connection:
            return join_all(Label.from_json(each) for each in store.fetch_labels_of_paths(connection, volume_id, hashes))

    def _put_label(self, ctx: RequestContext, volume: Folder, where: paths.VolumePath, label: Label) -> None:
        stamp = (self._parts.clock.now(), ctx.principal.name)
        with self._parts.database.write() as connection:
            store.put_file_label(connection, (volume.id, paths.path_hash(where.inside)), where.inside, label.as_json(), stamp)
            self._parts.access.audit.record(
                ctx,
                "file.label",
                outcome="changed",
                object=where.text,
                securable_id=volume.id,
                label=label,
                connection=connection,
            )

    def _missing(self, where: paths.VolumePath, volume: Folder, noun: str) -> FileNotFound:
        """Error with the nearest name in the same directory; the caller may read the volume, so it may see the names."""
        parent = where.inside.rpartition("/")[0]
        folder = self._parts.files.stat(volume.location, parent)
        names = []
        if folder is not None and folder.is_directory:
            names = [each.path.rpartition("/")[2] for each in self._parts.files.list(volume.location, parent)][:MATCHES_MAX]
        message = f"No {noun} is at `{where.text}`."
        return FileNotFound(message, hint=did_you_mean(where.name, names))

    def _changed(self, volume: Folder, where: paths.VolumePath) -> None:
        for hook in self._hooks:
            hook(volume.id, where.text)


def _matcher(expression: object) -> Callable[[str], bool]:
    """Whether a path fits an expression, itself or by a directory above it (a pattern of a directory stands for its files)."""
    fullmatch = expression.fullmatch  # type: ignore[attr-defined]  # A compiled pattern.
    return lambda path: any(fullmatch(each) is not None for each in paths.above(path) if each)


def _entry(where: paths.VolumePath, stored: StoredFile) -> FileEntry:
    return FileEntry(where.text, where.name, stored.is_directory, stored.size_bytes, stored.modified_at)
