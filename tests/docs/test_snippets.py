"""Every snippet of the documentation runs: SQL and Python against one demo server, commands of `insjo` on its data folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from insjo.cli.main import build_parser
from tests.support.environments import connector_python
from tests.support.server import RunningServer, clean_environment, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"^-- => (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)(#[^)]*)?\)")
SHELL_ALLOWED = ("make", "insjo", "pip")


@dataclass(frozen=True)
class Snippet:
    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}#{self.number}"


def _pages() -> list[Path]:
    return sorted(path for path in DOCS.rglob("*.md") if "decisions" not in path.parts and path.name != "web-components.md")


def _snippets(language: str) -> list[Snippet]:
    found = []
    for page in _pages():
        name = str(page.relative_to(DOCS))
        fences = enumerate(FENCE.finditer(page.read_text(encoding="utf-8")))
        found += [Snippet(name, number, language, match[2]) for number, match in fences if match[1] == language]
    return found


@dataclass(frozen=True)
class Demo:
    server: RunningServer
    token: str

    def for_drivers(self, folder: Path) -> dict[str, str]:
        """Variables that the page of the drivers names."""
        self.server.insjo("ca", "export", "--data", str(self.server.data_dir), "--out", str(folder / "ca.pem"))
        request = urllib.request.Request(f"{self.server.url}/api/2.0/sql/warehouses", headers={"authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            path = json.load(answer)["warehouses"][0]["odbc_params"]["path"]
        return {"DATABRICKS_PORT": str(self.server.tls_port), "DATABRICKS_HTTP_PATH": path, "DATABRICKS_CA": str(folder / "ca.pem")}

    def sql(self, text: str) -> list[list[str | None]]:
        body = json.dumps({"statement": text, "wait_timeout": "50s"}).encode()
        request = urllib.request.Request(
            f"{self.server.url}/api/2.0/sql/statements",
            data=body,
            headers={"authorization": f"Bearer {self.token}", "content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = json.load(answer)
        assert told["status"]["state"] == "SUCCEEDED", told["status"]
        rows: list[list[str | None]] = told.get("result", {}).get("data_array", [])
        return rows


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with RunningServer(tmp_path_factory.mktemp("docs") / "data", verb="demo", tls_port=free_port()) as server:
        yield Demo(server, server.token("admin"))


@pytest.mark.parametrize("page", sorted({snippet.page for snippet in _snippets("sql")}))
def test_sql_of_a_page_runs_from_top_to_bottom_and_gives_what_it_says(demo: Demo, page: str) -> None:
    for snippet in [each for each in _snippets("sql") if each.page == page]:
        expected = EXPECTED.search(snippet.text)
        rows = demo.sql(EXPECTED.sub("", snippet.text).strip())
        if expected:
            assert rows[0][0] == expected[1].strip(), snippet.text


@pytest.mark.parametrize("snippet", _snippets("python"), ids=str)
def test_python_runs_with_the_official_clients(demo: Demo, snippet: Snippet, tmp_path: Path) -> None:
    script = tmp_path / "snippet.py"
    script.write_text(snippet.text, encoding="utf-8")
    environment = clean_environment(
        {
            "DATABRICKS_HOST": demo.server.url,
            "DATABRICKS_TOKEN": demo.token,
            "OPENAI_BASE_URL": f"{demo.server.url}/v1",
            "OPENAI_API_KEY": demo.token,
            "HOME": str(tmp_path),
        }
    )
    python = sys.executable
    if "from databricks import sql\n" in snippet.text:
        python = str(connector_python())
        environment |= demo.for_drivers(tmp_path)
    done = subprocess.run([python, str(script)], env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("snippet", _snippets("sh"), ids=str)
def test_commands_are_commands_that_exist(snippet: Snippet) -> None:
    makefile = (DOCS.parent / "Makefile").read_text(encoding="utf-8")
    for line in snippet.text.strip().splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] in SHELL_ALLOWED, line
        if words[0] == "insjo":
            build_parser().parse_args(words[1:])
        if words[0] == "make":
            assert re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE), line


def test_links_between_pages_lead_somewhere() -> None:
    links = [(page, match[1]) for page in _pages() for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    assert links
    assert not [f"{page.relative_to(DOCS)}: {target}" for page, target in links if not (page.parent / target).exists()]


def test_the_environment_of_the_tests_does_not_leak_into_snippets() -> None:
    assert not [name for name in clean_environment() if name.startswith("INSJO_")]
    assert "PATH" in os.environ
