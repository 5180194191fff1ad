"""What exists is documented: settings, errors, pages, and each invariant with its test."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from scripts.generate_reference import error_classes
from tests.arch.house import ROOMS, ROOT

DOCS = ROOT / "docs"


def test_generated_pages_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "generate_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rooms_define_their_errors_in_errors() -> None:
    wrong = [f"{each.module}: {each.name}" for each in error_classes() if each.room in ROOMS and not each.module.endswith(".errors")]
    assert not wrong, "\n".join(["Move these to the room's errors.py:", *wrong])


def test_errors_say_what_they_mean() -> None:
    classes = error_classes()
    assert len(classes) > 14, "the tree of errors was not found"
    silent = [f"{each.module}.{each.name}" for each in classes if not each.meaning]
    assert not silent, silent
    wrong = [f"{each.module}.{each.name}: {each.code}" for each in classes if not re.fullmatch(r"[A-Z][A-Z0-9_]+", each.code)]
    assert not wrong, wrong


def test_a_code_belongs_to_one_kind() -> None:
    kinds: dict[str, set[str]] = {}
    for each in error_classes():
        kinds.setdefault(each.code, set()).add(each.kind)
    torn = {code: sorted(found) for code, found in kinds.items() if len(found) > 1}
    assert not torn, torn


@pytest.mark.skipif(find_spec("insjo.agents.pages") is None, reason="there is no registry of pages yet")
def test_each_page_is_documented() -> None:
    registry = importlib.import_module("insjo.agents.pages").PAGES
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md")))
    missing = [page.path for page in registry if page.ready and f"`{page.path}`" not in text]
    assert not missing, f"No page under docs/ mentions these in backticks: {missing}"


def _named_tests(text: str) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)


def test_each_invariant_names_a_test_that_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text[text.index("## Invariants") :].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| Invariant")]
    assert len(rows) >= 10
    nameless = [row for row in rows if not _named_tests(row) and "contract `" not in row]
    assert not nameless, "\n".join(["Name the test that keeps it:", *nameless])
    missing = []
    for file, function in _named_tests(section):
        path = ROOT / file
        if path.parts[-2] == "arch" or path.parent.is_dir():
            source = path.read_text(encoding="utf-8") if path.is_file() else ""
            if f"def {function}" not in source:
                missing.append(f"{file}::{function}" if function else file)
    assert not [each for each in missing if "/arch/" in each], missing


def test_contracts_named_in_the_architecture_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    known = set(re.findall(r'^id = "([\w-]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"contract `([\w-]+)`", text))
    assert named
    assert named <= known, named - known


def test_links_between_documents_lead_somewhere() -> None:
    broken: list[str] = []
    documents = [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md")), ROOT / "benchmarks" / "README.md"]
    for path in documents:
        broken.extend(
            f"{path.relative_to(ROOT)}: {target}"
            for target in re.findall(r"\]\((?!https?://|mailto:|#|/)([^)#\s]+)", path.read_text(encoding="utf-8"))
            if not (path.parent / Path(target)).exists()
        )
    assert not broken, "\n".join(broken)
