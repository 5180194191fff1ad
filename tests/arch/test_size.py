"""What does not fit on a screen is not read: functions and files have a largest size."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.arch.house import Module, everything

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
GENERATED = "src/insjo/bootstrap/migrations/versions/"
"""A migration is written by a program and never changed afterwards: one table after the other is its only order."""


def _written_by_hand() -> Iterator[Module]:
    return (module for module in everything() if not module.where.startswith(GENERATED))


def test_functions_fit_on_a_screen() -> None:
    too_long = []
    for module in _written_by_hand():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    too_long.append(f"{module.where}:{node.lineno} {node.name} has {lines} lines")
    assert not too_long, "\n".join(["Split these functions:", *too_long])


def test_files_are_short() -> None:
    too_long = []
    for module in _written_by_hand():
        lines = module.text.count("\n")
        if lines > FILE_LINES_MAX:
            too_long.append(f"{module.where} has {lines} lines")
    assert not too_long, "\n".join(["Split these files:", *too_long])
