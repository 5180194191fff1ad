"""Writes the pages of docs/reference/ that say what the code says: settings, errors, commands, doors and clients.

`make reference` runs it; tests/arch/test_reference.py fails when a page is behind.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

from insjo.kernel.settings import PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "insjo"
FOLDER = ROOT / "docs" / "reference"
WRITTEN = "<!-- Written by scripts/generate_reference.py from {source}: change it there, then run `make reference`. -->"

SETTINGS_HEAD = f"""# Settings

{WRITTEN.format(source="insjo.kernel.settings")}

A setting is taken from the first place that gives it: a flag of the command (`--port 8080`), the environment
(`{PREFIX}PORT=8080`), the file `insjo.toml` in the data folder or in the working folder (`port = 8080`), the default.
`insjo config show` tells each value and where it came from; secrets are shown masked.

| Setting | Environment | Default | Meaning |
|---|---|---|---|
"""

ERRORS_HEAD = f"""# Errors

{WRITTEN.format(source="the classes below insjo.kernel.errors.InsjoError")}

Every error has a *kind*, which decides the HTTP status, and a *code*, which programs can rely on. Each door renders it in its own
form. The message names identifiers in backticks; the hint after it says what to do. A name that you may not see does not exist for
you: you get the same `NOT_FOUND` as for a name that nobody has.
"""

COMMANDS_HEAD = f"""# Commands

{WRITTEN.format(source="insjo.cli.main")}

`insjo COMMAND --help` prints the same. A command ends with 0 when it did what was asked, with 1 when it could not, with 2 when its
words or its input were wrong. With `--json` it prints one JSON document, errors too.
"""

DOORS_HEAD = f"""# Doors

{WRITTEN.format(source="the tables ROUTES of insjo.web")}

Every route that Insjö answers. A path below `/api/`, `/v1/` and the other API prefixes that is not in these tables answers
501 `NOT_IMPLEMENTED` with its name, never a made-up 200.
"""

CLIENT_TESTS = ROOT / "tests" / "clients"
CLIENTS = (
    (
        "databricks-sdk",
        "`WorkspaceClient` of the official SDK for Python, with a personal access token.",
        "test_databricks_*.py",
    ),
    (
        "openai",
        "`OpenAI` of the official package, with `base_url` at `/v1` and a personal access token as key.",
        "test_openai.py",
    ),
)
CLIENTS_HEAD = f"""# Official clients

{WRITTEN.format(source="the marks `covers` in tests/clients")}

These methods of unchanged official clients are called by the tests against a running server, and a test fails when it claims a
method that it did not call. Everything else of the same APIs that is not among the [doors](doors.md) answers 501 with its name.
How to point a client at Insjö: [official clients](../how-to/official-clients.md).
"""


# ------------------------------------------------------------------------------------------------------------------ settings


def settings_page() -> str:
    """One row a field of Settings."""
    types = get_type_hints(Settings)
    rows = []
    for each in fields(Settings):
        default = "*empty*" if each.default == "" else f"`{str(each.default).lower() if types[each.name] is bool else each.default}`"
        meaning = str(each.metadata["meaning"]) + (" Secret." if each.metadata["secret"] else "")
        rows.append(f"| `{each.name}` | `{PREFIX}{each.name.upper()}` | {default} | {_cell(meaning)} |\n")
    return SETTINGS_HEAD + "".join(rows)


# ------------------------------------------------------------------------------------------------------------------- clients


def clients_page() -> str:
    """A section a client, a row a method that a test covers."""
    parts = [CLIENTS_HEAD]
    for client, note, files in CLIENTS:
        covered = sorted({mark for path in sorted(CLIENT_TESTS.glob(files)) for mark in _covered(path)})
        parts.append(f"\n## {client}\n\n{note}\n\n| Method | Test |\n|---|---|\n")
        parts.extend(f"| `{method}` | `{test}` |\n" for method, test in covered)
    return "".join(parts)


def _covered(path: Path) -> Iterator[tuple[str, str]]:
    """Methods in the marks `covers` of a module, each with the test that calls it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for mark in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.covers":
                yield from ((ast.literal_eval(each), f"{path.relative_to(ROOT)}::{node.name}") for each in mark.args)  # type: ignore[attr-defined]  # Checked above.


# -------------------------------------------------------------------------------------------------------------------- errors


@dataclass(frozen=True)
class ErrorClass:
    """One class of the tree of errors, read from the source without importing an engine."""

    name: str
    base: str
    module: str
    kind: str
    code: str
    meaning: str

    @property
    def room(self) -> str:
        """Where it is raised."""
        room = self.module.split(".")[1]
        return "any room" if room == "kernel" else room


def error_classes() -> list[ErrorClass]:
    """All errors of the package, a kind's own class before its subclasses."""
    waiting = list(_classes())
    known: dict[str, ErrorClass] = {}
    while True:
        found = [(node, module, base) for node, module in waiting for base in _bases(node) if base in known or node.name == "InsjoError"]
        if not found:
            return sorted(known.values(), key=lambda error: (error.kind, error.module != "insjo.kernel.errors", error.code, error.name))
        for node, module, base in found:
            parent = known.get(base)
            own = dict(_texts_of(node))
            kind = own.get("kind", parent.kind if parent else "")
            code = own.get("code", parent.code if parent else "")
            known[node.name] = ErrorClass(node.name, base, module, kind, code, _first_paragraph(ast.get_docstring(node)))
        waiting = [(node, module) for node, module in waiting if node.name not in known]


def _classes() -> Iterator[tuple[ast.ClassDef, str]]:
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(("insjo", *path.relative_to(SOURCE).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                yield node, module


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base).split(".")[-1] for base in node.bases]


def _texts_of(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Class attributes that are plain texts."""
    for line in node.body:
        if isinstance(line, ast.Assign):
            targets: list[ast.expr] = line.targets
        elif isinstance(line, ast.AnnAssign):
            targets = [line.target]
        else:
            continue
        if isinstance(line.value, ast.Constant) and isinstance(line.value.value, str):
            for target in targets:
                yield ast.unparse(target), line.value.value


def errors_page() -> str:
    """A section a kind, a row a code."""
    statuses, exceptions = _statuses()
    classes = error_classes()
    parts = [ERRORS_HEAD]
    for kind in sorted({error.kind for error in classes}):
        of_kind = [error for error in classes if error.kind == kind]
        status = f" HTTP status {statuses[kind]}." if kind in statuses else ""
        parts.append(f"\n## {kind}\n\n{of_kind[0].meaning}{status}\n\n| Code | Meaning | Raised by |\n|---|---|---|\n")
        for error in of_kind:
            own = f" HTTP status {exceptions[error.code]}." if error.code in exceptions else ""
            parts.append(f"| `{error.code}` | {_cell(error.meaning)}{own} | {error.room} |\n")
    return "".join(dict.fromkeys(parts))


def _statuses() -> tuple[dict[str, int], dict[str, int]]:
    """HTTP status of each kind and of single codes, as the web room has them."""
    path = SOURCE / "web" / "errors.py"
    found: dict[str, dict[str, int]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body if path.is_file() else []:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("STATUS_OF_"):
            found[ast.unparse(node.targets[0])] = ast.literal_eval(node.value)
    return found.get("STATUS_OF_KIND", {}), found.get("STATUS_OF_CODE", {})


# ------------------------------------------------------------------------------------------------------------------ commands


def commands_page() -> str:
    """A section a command, a row an argument."""
    parser = importlib.import_module("insjo.cli.main").build_parser()
    return COMMANDS_HEAD + "".join(_command("insjo", parser))


def _command(words: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001  # No public way.
    for group in groups:
        for name, child in group.choices.items():
            yield from _command(f"{words} {name}", child)
    if not groups:
        yield f"\n## {words}\n\n{parser.description or ''}\n"
        rows = [_argument(action) for action in parser._actions if not isinstance(action, argparse._HelpAction)]  # noqa: SLF001  # As the line above.
        if rows:
            yield "\n| Argument | Meaning |\n|---|---|\n" + "".join(rows)


def _argument(action: argparse.Action) -> str:
    if not action.option_strings:
        name = str(action.metavar or action.dest).upper()
    elif action.nargs == 0:
        name = action.option_strings[0]
    else:
        name = f"{action.option_strings[0]} {action.metavar or action.dest.upper()}"
    return f"| `{name}` | {_cell(action.help or '')}{' Required.' if action.option_strings and action.required else ''} |\n"


# --------------------------------------------------------------------------------------------------------------------- doors


def doors_page() -> str:
    """A table a door, a row a route."""
    routes: list[object] = []
    for module in ("insjo.web.app", "insjo.web.openai.door"):
        routes.extend(importlib.import_module(module).ROUTES)
    parts = [DOORS_HEAD]
    for door in dict.fromkeys(str(getattr(route, "door", "openai")) for route in routes):
        parts.append(f"\n## {door}\n\n| Method | Path | What it does |\n|---|---|---|\n")
        of_door = [route for route in routes if str(getattr(route, "door", "openai")) == door]
        rows = sorted((getattr(route, "path", ""), getattr(route, "method", ""), _doing(route)) for route in of_door)
        parts.extend(f"| {method} | `{path}` | {doing} |\n" for path, method, doing in rows)
    return "".join(parts)


def _doing(route: object) -> str:
    return _cell(_first_paragraph(inspect.getdoc(getattr(route, "call", None))))


# ------------------------------------------------------------------------------------------------------------------- writing


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("%%", "%")


def pages() -> dict[str, str]:
    """Name of each generated page and its text.  Pages of modules that do not exist yet are left out."""
    texts = {"settings.md": settings_page(), "errors.md": errors_page(), "clients.md": clients_page()}
    for name, write in (("commands.md", commands_page), ("doors.md", doors_page)):
        try:
            texts[name] = write()
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("insjo."):
                raise
            print(f"left out {name}: {error}", file=sys.stderr)
    return texts


def main(arguments: Iterable[str]) -> int:
    """Write the pages, or with `--check` only compare; 1 when a page is behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is behind the code")
    options = parser.parse_args(list(arguments))
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
