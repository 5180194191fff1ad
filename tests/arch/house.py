"""The source tree as the architecture tests see it."""

from __future__ import annotations

import ast
import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"

ROOMS = ("access", "jobs", "catalog", "sql", "gateway", "retrieval", "workspace", "tuning", "ingest", "agents")
"""The rooms that have the five files, lowest first."""


@dataclass(frozen=True)
class Import:
    """One import as it takes effect."""

    target: str
    line: int
    only_for_types: bool


@dataclass(frozen=True)
class Module:
    """One Python file."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def where(self) -> str:
        """Path as a person would type it."""
        return str(self.path.relative_to(ROOT))

    @property
    def room(self) -> str:
        """Name of the room below `insjo`, or an empty text for `insjo` itself."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    def imports(self) -> Iterator[Import]:
        """Every import in the file, also those inside functions; `from a import b` counts as `a.b`."""
        typed_lines = set(_lines_under_type_checking(self.tree))
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(alias.name, node.lineno, node.lineno in typed_lines)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    yield Import(f"{node.module}.{alias.name}", node.lineno, node.lineno in typed_lines)

    def line(self, number: int) -> str:
        """Text of one line, counted from 1."""
        return self.text.splitlines()[number - 1]


def _lines_under_type_checking(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.body:
                yield from range(child.lineno, (child.end_lineno or child.lineno) + 1)


def _read(path: Path, name: str) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path, name, text, ast.parse(text, str(path)))


@functools.cache
def product() -> tuple[Module, ...]:
    """All modules of the package `insjo`."""
    modules = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        modules.append(_read(path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)))
    return tuple(modules)


@functools.cache
def everything() -> tuple[Module, ...]:
    """All Python files of the repository: product, tests, scripts, benchmarks."""
    others = [
        _read(path, ".".join(path.relative_to(ROOT).with_suffix("").parts))
        for folder in ("tests", "scripts", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    return product() + tuple(others)


@functools.cache
def tracked_files() -> tuple[Path, ...]:
    """Files that belong to the repository."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = (ROOT / name for name in listing.split("\0") if name)
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())


def in_room(module: Module, *rooms: str) -> bool:
    """Whether the module lies in one of the rooms."""
    return module.room in rooms


def is_private_store(name: str) -> bool:
    """Whether the name is the store of a room, or lies inside it."""
    parts = name.split(".")
    return len(parts) >= 3 and parts[0] == "insjo" and parts[2] == "store"


def within(target: str, package: str) -> bool:
    """Whether the import target is the package or lies inside it."""
    return target == package or target.startswith(package + ".")
