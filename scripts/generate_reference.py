"""Writes docs/reference/settings.md and docs/reference/errors.md from the code, which says what they are.

`make reference` runs it; tests/arch/test_reference.py fails when a page is behind.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pkgutil
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

import insjo
from insjo.kernel.errors import InsjoError
from insjo.kernel.settings import PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"

SETTINGS_HEAD = f"""# Settings

<!-- Written by scripts/generate_reference.py from insjo.kernel.settings: change it there, then run `make reference`. -->

A setting is taken from the first place that gives it: a flag of the command (`--port 8080`), the environment
(`{PREFIX}PORT=8080`), the file `insjo.toml` in the data folder or in the working folder (`port = 8080`), the default.
`insjo config show` tells each value and where it came from; secrets are shown masked.

| Setting | Environment | Default | Meaning |
|---|---|---|---|
"""

ERRORS_HEAD = """# Errors

<!-- Written by scripts/generate_reference.py from the `errors` modules: change them there, then run `make reference`. -->

Every error has a *kind*, which decides the HTTP status, and a *code*, which programs can rely on. Each door renders it in its own
form. The message names identifiers in backticks; the hint after it says what to do. A name that you may not see does not exist for
you: you get the same `NOT_FOUND` as for a name that nobody has.
"""


def settings_page() -> str:
    """The page of settings, one row a field of Settings."""
    types = get_type_hints(Settings)
    rows = []
    for each in fields(Settings):
        default = "*empty*" if each.default == "" else f"`{str(each.default).lower() if types[each.name] is bool else each.default}`"
        meaning = str(each.metadata["meaning"]) + (" Secret." if each.metadata["secret"] else "")
        rows.append(f"| `{each.name}` | `{PREFIX}{each.name.upper()}` | {default} | {_cell(meaning)} |\n")
    return SETTINGS_HEAD + "".join(rows)


def error_classes() -> list[type[InsjoError]]:
    """All errors that an `errors` module of the package defines, the base of all first."""
    for found in pkgutil.walk_packages(insjo.__path__, "insjo."):
        if found.name.endswith(".errors"):
            importlib.import_module(found.name)
    return sorted(_family(InsjoError), key=lambda error: (error.kind, error.code, error.__module__, error.__name__))


def _family(parent: type[InsjoError]) -> Iterator[type[InsjoError]]:
    if parent.__module__.startswith("insjo."):
        yield parent
    for child in parent.__subclasses__():
        yield from _family(child)


def errors_page() -> str:
    """The page of errors: a section a kind, a row a code."""
    parts = [ERRORS_HEAD]
    classes = list(dict.fromkeys(error_classes()))
    for kind in sorted({error.kind for error in classes}):
        of_kind = [error for error in classes if error.kind == kind]
        root = next((error for error in of_kind if error.__module__ == "insjo.kernel.errors"), of_kind[0])
        parts.append(f"\n## {kind}\n\n{_meaning(root)}\n\n| Code | Meaning | Raised by |\n|---|---|---|\n")
        rows = dict.fromkeys(f"| `{error.code}` | {_cell(_meaning(error))} | {_room(error)} |\n" for error in of_kind)
        parts.extend(rows)
    return "".join(parts)


def _meaning(error: type[InsjoError]) -> str:
    return " ".join((inspect.getdoc(error) or "").split("\n\n")[0].split())


def _room(error: type[InsjoError]) -> str:
    room = error.__module__.split(".")[1]
    return "any room" if room == "kernel" else room


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def pages() -> dict[str, str]:
    """Name of each generated page and its text."""
    return {"settings.md": settings_page(), "errors.md": errors_page()}


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` only compare; 1 when a page is behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is behind the code")
    options = parser.parse_args(arguments)
    behind = []
    for name, text in pages().items():
        path = FOLDER / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        behind.append(name)
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/reference/{name}")
    if options.check and behind:
        print(f"behind the code, run `make reference`: {', '.join(behind)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
