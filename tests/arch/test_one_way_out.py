"""Only adapters reach foreign systems, and only the settings read the environment."""

from __future__ import annotations

import ast

from tests.arch.house import product, within

NETWORK = (
    "aiohttp",
    "ftplib",
    "http.client",
    "http.server",
    "httpcore",
    "httpx",
    "poplib",
    "requests",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "websockets",
    "xmlrpc",
)
DIALS = frozenset({"open_connection", "open_unix_connection", "create_connection", "create_unix_connection", "sock_connect"})
"""Calls of asyncio that open a connection."""

MAY_REACH_OUT = frozenset({"adapters", "testing"})
"""Adapters speak with foreign systems; `testing` plays one."""

SETTINGS = "insjo.kernel.settings"


def test_only_adapters_import_network_clients() -> None:
    wrong = [
        f"{module.where}:{each.line} imports {each.target}"
        for module in product()
        if module.room not in MAY_REACH_OUT
        for each in module.imports()
        if not each.only_for_types and any(within(each.target, name) for name in NETWORK)
    ]
    assert not wrong, "\n".join(["Only insjo.adapters reaches out:", *wrong])


def test_only_adapters_open_connections() -> None:
    wrong = [
        f"{module.where}:{node.lineno} {node.attr}"
        for module in product()
        if module.room not in MAY_REACH_OUT
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr in DIALS
    ]
    assert not wrong, "\n".join(["Only insjo.adapters reaches out:", *wrong])


def test_only_settings_read_the_environment() -> None:
    wrong = []
    for module in product():
        if module.name == SETTINGS:
            continue
        for node in ast.walk(module.tree):
            reads = isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "putenv"}
            imports = (
                isinstance(node, ast.ImportFrom) and node.module == "os" and {each.name for each in node.names} & {"environ", "getenv"}
            )
            if reads or imports:
                wrong.append(f"{module.where}:{node.lineno}")  # type: ignore[attr-defined]  # Both kinds of node have a line.
    assert not wrong, "\n".join([f"Only {SETTINGS} reads the environment:", *wrong])


def test_nothing_ships_that_imports_the_tests() -> None:
    wrong = [
        f"{module.where}:{each.line} imports {each.target}"
        for module in product()
        for each in module.imports()
        if within(each.target, "tests") or (module.room != "testing" and within(each.target, "insjo.testing"))
    ]
    assert not wrong, "\n".join(wrong)
