"""Find a pinned data package on this machine, or fetch it with the machine's own pip."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

from insjo.adapters.packages.pins import pinned
from insjo.adapters.packages.unpack import PackageDamaged, atomically, extract, require_sha256
from insjo.kernel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from insjo.adapters.packages.pins import Archive, DataPackage

    Report = Callable[[int, int, str], None]

DOWNLOAD_TIMEOUT_S = 900
CHUNK_BYTES = 1 << 20


class PackageUnavailable(Unavailable):
    """The package could not be fetched: no network, no pip, or the index does not have it."""

    code = "DATA_PACKAGE_UNAVAILABLE"


class Packages:
    """Data packages of one installation.

    Args:
        root: Folder in which fetched files are kept, one folder a package.
        python: Interpreter whose pip fetches.
    """

    def __init__(self, root: Path, *, python: str = sys.executable) -> None:
        self._root = root
        self._python = python
        self._lock = threading.Lock()

    def locate(self, name: str) -> Mapping[str, Path] | None:
        """Files of a package by name, wherever they are on this machine, or None when they are not here (or are damaged).

        Installed distributions are looked at first; their recorded file list is read, and nothing of them is imported.
        """
        package = pinned(name)
        folder = self._root / package.name
        wanted = {file_name: folder / file_name for file_name in package.file_names}
        with self._lock, contextlib.suppress(PackageDamaged):
            if all(path.is_file() for path in wanted.values()):
                return self._verified(package, wanted)
            return self._installed(package)
        return None

    def fetch(self, name: str, report: Report | None = None) -> Mapping[str, Path]:
        """Files of a package by name, fetched if they are not here.

        Args:
            name: As in `pins.PACKAGES`.
            report: Told (steps done, all steps, what is being done).

        Raises:
            PackageUnknown: It is not pinned.
            PackageUnavailable: It cannot be fetched.
            PackageDamaged: What came is not what was pinned.
        """
        package = pinned(name)
        found = self.locate(name)
        if found is not None:
            return found
        folder = self._root / package.name
        steps = len(package.archives) + 1
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=_made(self._root)) as scratch:
            parts: list[Path] = []
            for number, archive in enumerate(package.archives):
                if report:
                    report(number, steps, f"fetching {archive.project} {archive.version}")
                downloads = _made(Path(scratch) / str(number))
                file = self._download(archive, downloads)
                target = _made(Path(scratch) / "parts" / str(number)) if package.joined else folder
                parts.extend(extract(archive, file, target))
                shutil.rmtree(downloads)
            if report:
                report(steps - 1, steps, "checking")
            if package.joined:
                with atomically(Path(scratch) / "joined") as sink:
                    _join(parts, sink)
                require_sha256(Path(scratch) / "joined", package.joined.sha256, package.joined.name)
                (Path(scratch) / "joined").replace(_made(folder) / package.joined.name)
        return {file_name: folder / file_name for file_name in package.file_names}

    def _installed(self, package: DataPackage) -> Mapping[str, Path] | None:
        """Files of installed distributions that carry the package as it was published."""
        if package.joined:
            return None
        wanted: dict[str, Path] = {}
        for archive in package.archives:
            try:
                distribution = importlib.metadata.distribution(archive.project)
            except importlib.metadata.PackageNotFoundError:
                return None
            listed = {str(entry): Path(str(entry.locate())) for entry in distribution.files or ()}
            for member in archive.members:
                path = listed.get(member.path)
                if path is None or not path.is_file():
                    return None
                wanted[member.name] = path
        zipped = {member.name: member for archive in package.archives for member in archive.members if member.unzip}
        verified = self._verified(package, wanted)
        return {name: path for name, path in verified.items() if name not in zipped} | {
            member.unzip: self._unzipped(package, verified[name], member.unzip) for name, member in zipped.items()
        }

    def _unzipped(self, package: DataPackage, zipped: Path, inner: str) -> Path:
        """The file inside a (verified) zip file of an installed distribution, unpacked once into our folder."""
        import zipfile

        target = self._root / package.name / inner
        if not target.is_file():
            with zipfile.ZipFile(zipped) as archive, archive.open(inner) as source, atomically(target) as sink:
                shutil.copyfileobj(source, sink, CHUNK_BYTES)
        return target

    def _verified(self, package: DataPackage, files: Mapping[str, Path]) -> Mapping[str, Path]:
        """The files, after their hashes were checked; a check is remembered until size or time of the file change."""
        expected = {member.name: member.sha256 for archive in package.archives for member in archive.members}
        if package.joined:
            expected = {package.joined.name: package.joined.sha256}
        memory = self._root / "verified.json"
        known: dict[str, list[int]] = {}
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(memory.read_text("utf-8"))
        fresh = dict(known)
        for name, path in files.items():
            status = path.stat()
            mark = [status.st_size, status.st_mtime_ns]
            key = f"{path}:{expected.get(name, '')}"
            if known.get(key) != mark:
                require_sha256(path, expected.get(name, ""), name)
                fresh[key] = mark
        if fresh != known:
            with contextlib.suppress(OSError), atomically(memory) as sink:
                sink.write(json.dumps(fresh).encode())
        return files

    def _download(self, archive: Archive, folder: Path) -> Path:
        """The archive, saved by pip into an empty folder."""
        requirement = f"{archive.project}=={archive.version}"
        if archive.kind == "wheel":
            options = ("--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--no-input", "--quiet", "--dest", str(folder))
            command: tuple[str, ...] = (self._python, "-m", "pip", "download", *options, requirement)
        else:
            command = (self._python, "-m", "insjo.adapters.packages.sdist_download", archive.project, archive.version, str(folder))
        try:
            done = subprocess.run(command, capture_output=True, timeout=DOWNLOAD_TIMEOUT_S, check=False)  # noqa: S603  # Pinned names only.
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _unavailable(requirement) from error
        saved = [path for path in folder.iterdir() if path.is_file()]
        if done.returncode != 0 or len(saved) != 1:
            raise _unavailable(requirement)
        return saved[0]


def _unavailable(requirement: str) -> PackageUnavailable:
    """The error with what to do about it."""
    return PackageUnavailable(
        f"The data package `{requirement}` could not be fetched.",
        hint=f"Check the network and the package index, or run `pip install {requirement}` in the environment of Insjö.",
    )


def _made(folder: Path) -> Path:
    """The folder, made if it was not there."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _join(parts: list[Path], sink: IO[bytes]) -> None:
    """Write the parts one after the other."""
    for part in parts:
        with part.open("rb") as source:
            shutil.copyfileobj(source, sink, CHUNK_BYTES)
        part.unlink()
