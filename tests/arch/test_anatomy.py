"""Each room has the same five files, so that whoever knows one room knows them all."""

from __future__ import annotations

import ast

import pytest

from tests.arch.house import ROOMS, SOURCE, is_private_store, product

FILES = ("types", "errors", "ports", "store", "service")
EMPTY_ROOMS = frozenset({"tuning"})
"""Rooms that hold only a docstring so far.  The set may only shrink."""

PORT_METHODS_MAX = 6


def _has(room: str, part: str) -> bool:
    folder = SOURCE / "insjo" / room
    return (folder / f"{part}.py").is_file() or (folder / part / "__init__.py").is_file()


@pytest.mark.parametrize("room", ROOMS)
def test_room_has_its_five_files(room: str) -> None:
    if room in EMPTY_ROOMS:
        files = [module.where for module in product() if module.room == room and not module.where.endswith("__init__.py")]
        assert not files, f"`{room}` is no longer empty: take it out of EMPTY_ROOMS. {files}"
        return
    missing = [part for part in FILES if not _has(room, part)]
    assert not missing, f"src/insjo/{room} lacks {missing}"


def test_packages_hold_only_a_docstring() -> None:
    wrong = []
    for module in product():
        if module.path.name != "__init__.py":
            continue
        body = module.tree.body
        if len(body) != 1 or ast.get_docstring(module.tree) is None:
            wrong.append(module.where)
    assert not wrong, f"An __init__.py holds a docstring and nothing else: {wrong}"


def test_only_its_own_service_reads_a_store() -> None:
    wrong = []
    for module in product():
        for each in module.imports():
            if not is_private_store(each.target):
                continue
            room = each.target.split(".")[1]
            allowed = (f"insjo.{room}.service", f"insjo.{room}.store")
            if not any(module.name == name or module.name.startswith(name + ".") for name in allowed):
                wrong.append(f"{module.where}:{each.line} imports {each.target}")
    assert not wrong, "\n".join(["A store is private to its room:", *wrong])


def test_ports_are_small() -> None:
    wrong = []
    for module in product():
        if not module.name.endswith(".ports") and ".ports." not in module.name:
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
                methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
                if len(methods) > PORT_METHODS_MAX:
                    wrong.append(f"{module.where}:{node.lineno} {node.name} has {len(methods)} methods")
    assert not wrong, "\n".join([f"A port has at most {PORT_METHODS_MAX} methods:", *wrong])


def test_context_comes_first() -> None:
    wrong = []
    for module in product():
        if ".service" not in module.name:
            continue
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            names = [each.arg for each in node.args.posonlyargs + node.args.args if each.arg not in {"self", "cls"}]
            everywhere = names + [each.arg for each in node.args.kwonlyargs]
            if "ctx" in everywhere and names[:1] != ["ctx"]:
                wrong.append(f"{module.where}:{node.lineno} {node.name}")
    assert not wrong, "\n".join(["`ctx` is the first argument:", *wrong])


def test_metadata_sql_stays_in_stores() -> None:
    wrong: list[str] = []
    for module in product():
        if module.room in {"kernel", "bootstrap"} or is_private_store(module.name):
            continue
        wrong.extend(
            f"{module.where}:{each.line} imports {each.target}"
            for each in module.imports()
            if each.target.split(".")[0] in {"sqlalchemy", "sqlite3", "alembic"} and not each.only_for_types
            if module.name != "insjo.adapters.tabular.plain"  # It reads files that people bring, not our metadata.
        )
    assert not wrong, "\n".join(["SQL on the metadata is written in a room's store:", *wrong])


ASYNC_ROOMS = frozenset({"gateway", "retrieval", "agents", "web", "adapters", "testing", "bootstrap", "cli"})


def test_services_below_the_gateway_are_synchronous() -> None:
    wrong = [
        f"{module.where}:{node.lineno} {node.name}"
        for module in product()
        if module.room and module.room not in ASYNC_ROOMS and module.name != "insjo.kernel.threads"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.AsyncFunctionDef)
    ]
    assert not wrong, "\n".join(["These rooms are synchronous (docs/decisions/0003):", *wrong])
