"""The product's documentation as it lies in the package."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable


def documentation_files() -> Iterator[tuple[str, bytes]]:
    """Relative path and bytes of each Markdown file of the documentation, in a fixed order; decisions are for developers, so left out."""
    root = resources.files("insjo") / "docs_content"
    for path, file in sorted(_walk(root, "")):
        if path.endswith(".md") and not path.startswith("decisions/") and path != "reference/web-components.md":
            yield path, file.read_bytes()


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    """All files below a folder with their relative paths."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry
