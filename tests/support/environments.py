"""Virtual environments for clients whose requirements do not fit those of Insjö; made once by `pip` and kept between runs."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

KEPT = Path(__file__).parents[2] / ".environments"
INSTALL_WITHIN_S = 280
CONNECTOR = ("databricks-sql-connector[pyarrow]==4.9.0", "databricks-sql-kernel==1.3.0")
"""The official SQL connector with its kernel, which wants an older Arrow than Insjö."""


def environment(name: str, *requirements: str) -> Path:
    """The Python of an environment with these packages; other requirements or another Python give another environment."""
    wanted = "\n".join((sys.version, *requirements))
    folder = KEPT / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    KEPT.mkdir(exist_ok=True)
    with (KEPT / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Test processes run side by side.
        if not (folder / "complete").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(folder))
            _run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)
            (folder / "complete").touch()
    return folder / "bin" / "python"


def connector_python() -> Path:
    """The Python with the official SQL connector."""
    return environment("connector", *CONNECTOR)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=INSTALL_WITHIN_S)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(words)}` ended with code {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
