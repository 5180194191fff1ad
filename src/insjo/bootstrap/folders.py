"""The data folder: what lies where, who may read it, and the key that lives in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.kernel.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Folders:
    """Paths inside the data folder."""

    root: Path
    tables: Path
    volumes: Path
    results: Path
    spill: Path
    models: Path
    packages: Path
    indexes: Path
    workspace: Path
    keys: Path
    run: Path

    @staticmethod
    def under(root: Path) -> Folders:
        """The paths below a data folder."""
        names = ("tables", "volumes", "results", "spill", "models", "packages", "indexes", "workspace", "keys", "run")
        return Folders(root, *(root / name for name in names))


def prepare(root: Path) -> Folders:
    """Make the data folder and everything in it; readable by its owner alone.

    Raises:
        InvalidArgument: When the path is a file or cannot be written.
    """
    folders = Folders.under(root)
    try:
        for path in (folders.root, folders.tables, folders.volumes, folders.results, folders.spill, folders.models, folders.packages):
            path.mkdir(parents=True, exist_ok=True)
        for path in (folders.indexes, folders.workspace, folders.keys, folders.run):
            path.mkdir(exist_ok=True)
        for path in (folders.root, folders.workspace, folders.keys, folders.run):
            path.chmod(stat.S_IRWXU)
    except OSError as error:
        message = f"The data folder `{root}` cannot be used: {error.strerror}."
        raise InvalidArgument(message, hint="Name another one with --data.") from error
    return folders


def master_key(folders: Folders) -> bytes:
    """The installation's key, made at the first call; fingerprints, links and stored secrets hang on it."""
    path = folders.keys / "master.key"
    with contextlib.suppress(FileExistsError):
        temporary = folders.keys / f".master.{secrets.token_hex(4)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link fails when the name is taken, so that two first starts agree on one key.
            os.link(temporary, path)
        finally:
            temporary.unlink()
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        message = f"The key file `{path.name}` is damaged: it has {len(key)} bytes instead of {KEY_BYTES}."
        raise FailedPrecondition(message, hint="Restore it from a backup; without it stored secrets and fingerprints cannot be read.")
    return key


def advertise(folders: Folders, url: str) -> None:
    """Write down under which address the server of this folder is reached, for commands that print links."""
    (folders.run / "url").write_text(url, encoding="utf-8")


def advertised(folders: Folders, default: str) -> str:
    """Address of the server that was last started on this folder, or the one that the settings name."""
    with contextlib.suppress(OSError):
        return (folders.run / "url").read_text(encoding="utf-8")
    return default


@contextlib.contextmanager
def exclusive(folders: Folders, name: str, *, wait: bool) -> Iterator[None]:
    """Hold a lock file of the data folder; the operating system lets go of it when the process dies.

    Raises:
        FailedPrecondition: When another process holds it and `wait` is false.
    """
    descriptor = os.open(folders.run / f"{name}.lock", os.O_RDWR | os.O_CREAT, stat.S_IRUSR | stat.S_IWUSR)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another server already uses the data folder `{folders.root}`."
            raise FailedPrecondition(message, hint="Stop it, or name another folder with --data.") from error
        yield
    finally:
        os.close(descriptor)
