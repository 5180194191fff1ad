"""Every exception from a rule says why, and the lists of exceptions only get shorter."""

from __future__ import annotations

import ast
import re
import tomllib

from tests.arch.house import ROOT, everything

RULES_IGNORED_MAX = 19
RULES_IGNORED_PER_FILE_MAX = 35
"""Lower these when an exception goes; do not raise them."""

_PYPROJECT = ROOT / "pyproject.toml"


def _lint() -> dict[str, object]:
    lint: dict[str, object] = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["tool"]["ruff"]["lint"]
    return lint


def test_lists_of_ignored_rules_do_not_grow() -> None:
    lint = _lint()
    ignored, per_file = lint["ignore"], lint["per-file-ignores"]
    assert isinstance(ignored, list)
    assert isinstance(per_file, dict)
    assert lint["select"] == ["ALL"]
    assert len(ignored) <= RULES_IGNORED_MAX
    assert sum(len(rules) for rules in per_file.values()) <= RULES_IGNORED_PER_FILE_MAX


def test_each_ignored_rule_is_explained() -> None:
    text = _PYPROJECT.read_text(encoding="utf-8")
    lint = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.flake8-builtins]")]
    silent = [line.strip() for line in lint.splitlines() if re.match(r'\s+"[A-Z]+\d*",', line) and not re.search(r"# .{10,}", line)]
    silent = [line for line in silent if "# As " not in line]
    assert not silent, silent


def test_contracts_have_no_holes() -> None:
    contracts = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert contracts["contracts"]
    assert "ignore_imports" not in str(contracts)
    assert "unmatched_ignore_imports_alerting" not in str(contracts)


def test_type_ignores_name_a_code_and_a_reason() -> None:
    wrong = [
        f"{module.where}:{number} {line.strip()}"
        for module in everything()
        for number, line in enumerate(module.text.splitlines(), 1)
        if re.search(r"#\s*type:\s*ignore", line) and not re.search(r"#\s*type:\s*ignore\[[\w, -]+\]\s+#\s+\S.{7,}", line)
        if module.path.name != "test_lint_exceptions.py"
    ]
    assert not wrong, "\n".join(["Write `# type: ignore[code]  # Why.`", *wrong])


def test_noqa_names_a_code_and_a_reason() -> None:
    wrong = [
        f"{module.where}:{number} {line.strip()}"
        for module in everything()
        for number, line in enumerate(module.text.splitlines(), 1)
        if re.search(r"#\s*(ruff:\s*)?noqa", line) and not re.search(r"#\s*noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*\s+(#|-|—)\s*\S.{5,}", line)
        if module.path.name != "test_lint_exceptions.py"
    ]
    assert not wrong, "\n".join(["Write `# noqa: CODE  # Why.`", *wrong])


def _catches_everything(node: ast.ExceptHandler) -> bool:
    caught = "BaseException" if node.type is None else ast.unparse(node.type)
    passes_on = isinstance(node.body[-1], ast.Raise)
    return bool(re.search(r"\b(Base)?Exception\b", caught)) and not passes_on


def test_catching_everything_is_explained() -> None:
    wrong = []
    for module in everything():
        lines = module.text.splitlines()
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ExceptHandler) or not _catches_everything(node):
                continue
            near = lines[node.lineno - 2 : node.body[0].lineno]
            if not any(re.search(r"#(?! noqa: \S+$) .{10,}", line) for line in near):
                wrong.append(f"{module.where}:{node.lineno} {lines[node.lineno - 1].strip()}")
    assert not wrong, "\n".join(["Say in a comment why everything is caught here:", *wrong])
