"""Which models this machine has: the packaged one, and every GGUF file in the folders of models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.adapters.llama.gguf import GgufHeader, ModelFileDamaged, read_header
from insjo.gateway.types import LocalModel, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MODELS_MAX = 200
_MILLION = 1_000_000
_BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model that may be served.

    Attributes:
        name: Under which it is served.
        path: Its GGUF file; None when it is known to be missing.
        packaged: Whether it comes with the product.
        remedy: What to do when the file is missing.
    """

    name: str
    path: Path | None
    packaged: bool = False
    remedy: str = "Put the file back, or remove the model from the endpoint."


@dataclass(frozen=True, slots=True)
class FileMark:
    """Tells one content of a file from the next, without reading it."""

    size_bytes: int
    modified_ns: int


def mark_of(path: Path | None) -> FileMark | None:
    """Mark of a file, or None when it is not there."""
    if path is None:
        return None
    try:
        status = path.stat()
    except OSError:
        return None
    return FileMark(status.st_size, status.st_mtime_ns)


def model_name(path: Path) -> str:
    """Name under which a file is served: its stem in lower case."""
    return path.stem.lower()


def discover(packaged: Sequence[ModelFile], folders: Iterable[Path]) -> dict[str, ModelFile]:
    """The packaged models and every GGUF file in the folders, by name; an earlier one keeps its name.

    Of a model that is split into several files only the first is listed, since llama.cpp finds the others itself.
    """
    found = {each.name: each for each in packaged}
    for folder in folders:
        try:
            paths = sorted(folder.iterdir())
        except OSError:
            continue
        for path in paths[:MODELS_MAX]:
            if path.suffix.lower() == ".gguf" and path.is_file() and ("-of-" not in path.name or "-00001-of-" in path.name):
                found.setdefault(model_name(path), ModelFile(name=model_name(path), path=path))
    return found


class Headers:
    """Headers of model files, read once for each content."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[FileMark, GgufHeader | ModelFileDamaged]] = {}

    def of(self, path: Path) -> GgufHeader:
        """Header of a file; raises ModelFileDamaged (again) for a file that is none, and OSError for one that is not there."""
        mark = mark_of(path)
        known = self._known.get(path)
        if mark is None or known is None or known[0] != mark:
            try:
                header: GgufHeader | ModelFileDamaged = read_header(path)
            except ModelFileDamaged as error:
                header = error
            if mark is not None:
                self._known[path] = (mark, header)
        else:
            header = known[1]
        if isinstance(header, ModelFileDamaged):
            raise header
        return header


def describe(model: ModelFile, headers: Headers, context_tokens: int) -> LocalModel:
    """The model as the gateway lists it; a broken file is listed too, so that people see that it is there."""
    mark = mark_of(model.path)
    size = mark.size_bytes if mark else 0
    try:
        header = headers.of(model.path) if model.path and mark else None
    except (ModelFileDamaged, OSError):
        header = None
    if header is None:
        return LocalModel(name=model.name, size_bytes=size, packaged=model.packaged)
    count = header.parameters
    parameters = f"{count / _BILLION:.1f} billion" if count >= _BILLION else f"{count / _MILLION:.0f} million"
    # The name inside the file often is that of a training run; people name the file itself.
    texts = [model.path.stem if model.path else model.name, f"{parameters} parameters"]
    if header.licence:
        texts.append(header.licence)
    if not header.has_chat_template:
        texts.append("a base model: it continues texts, it does not converse")
    context = min(context_tokens, header.context_tokens) if header.context_tokens else context_tokens
    return LocalModel(
        name=model.name,
        description=", ".join(texts),
        size_bytes=size,
        packaged=model.packaged,
        # Small models miss native tool calls; one JSON schema over all tools does what they cannot (docs/reference/models.md).
        profile=Profile(context_tokens=context, tool_mode="json_union"),
    )
