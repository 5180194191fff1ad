"""What is in the wheel, and that it runs without the checkout."""

from __future__ import annotations

import json
import subprocess
import tomllib
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.server import RunningServer, clean_environment
from tests.support.wheel import Installed


@pytest.fixture
def names(installed: Installed) -> set[str]:
    with zipfile.ZipFile(installed.wheel) as wheel:
        return set(wheel.namelist())


def test_wheel_carries_all_that_the_package_reads(names: set[str], repository: Path) -> None:
    source = repository / "src"
    listing = subprocess.run(["git", "ls-files", "-z", "src", "docs"], cwd=repository, check=True, capture_output=True, text=True).stdout
    tracked = [repository / name for name in listing.split("\0") if name and (repository / name).is_file()]
    wanted = {
        "insjo/docs_content/" + str(path.relative_to(repository / "docs"))
        if path.is_relative_to(repository / "docs")
        else str(path.relative_to(source))
        for path in tracked
        if not path.is_symlink()
    }
    assert not wanted - names


def test_wheel_carries_nothing_else(names: set[str]) -> None:
    strangers = [name for name in names if not name.startswith(("insjo/", "insjo-"))]
    assert not strangers
    assert not [name for name in names if name.endswith((".pyc", ".so", ".gguf", ".db"))]


def test_installed_command_tells_its_version(installed: Installed, repository: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*installed.command, "version", "--json"], cwd=tmp_path, check=True, capture_output=True, text=True, env=clean_environment()
    )
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert json.loads(done.stdout)["version"] == project["version"]


def test_installed_server_starts_on_an_empty_folder(installed_server: Callable[..., RunningServer]) -> None:
    server = installed_server("empty")
    token = server.token()
    request = urllib.request.Request(f"{server.url}/api/2.0/preview/scim/v2/Me", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.load(answer)["userName"] == "admin"
