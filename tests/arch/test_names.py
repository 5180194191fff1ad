"""Names are the field's own words; a word that fits everything says nothing."""

from __future__ import annotations

import ast

from tests.arch.house import product

EMPTY_MODULES = frozenset({"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "core", "info", "data"})
EMPTY_ENDINGS = ("Manager", "Helper", "Helpers", "Util", "Utils", "Info", "Data")
EMPTY_VERBS = ("handle", "process", "manage")


def test_modules_have_telling_names() -> None:
    wrong = [module.where for module in product() if set(module.name.split(".")) & EMPTY_MODULES]
    assert not wrong, wrong


def test_classes_have_telling_names() -> None:
    wrong = [
        f"{module.where}:{node.lineno} {node.name}"
        for module in product()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(EMPTY_ENDINGS)
    ]
    assert not wrong, "\n".join(wrong)


def test_functions_have_telling_names() -> None:
    wrong = [
        f"{module.where}:{node.lineno} {node.name}"
        for module in product()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.strip("_").split("_")[0] in EMPTY_VERBS
        if not node.name.startswith("process_bind") and not node.name.startswith("process_result")  # SQLAlchemy's names.
        if not node.name.startswith("handle_") or module.room != "web"  # html.parser and its kin call such names.
    ]
    assert not wrong, "\n".join(wrong)
