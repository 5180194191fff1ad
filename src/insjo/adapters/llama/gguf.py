"""Read the header of a GGUF file: is it whole, and what is in it?

The format is described in llama.cpp's `docs/gguf.md`.  Nothing but the header is read.  The file may be anything that somebody put into
the folder of models, so every count and length in it is checked against the size of the file before it is believed.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GGUF"
VERSIONS = (2, 3)
ENTRIES_MAX = 100_000
TENSORS_MAX = 100_000
ALIGNMENT = 32
DIMENSIONS_MAX = 8

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING = 8
_ARRAY = 9

# ggml type -> (values a block, bytes a block).  A type that is not here counts as one byte: the check is then less strict, never wrong.
_BLOCKS = {
    0: (1, 4),
    1: (1, 2),
    2: (32, 18),
    3: (32, 20),
    6: (32, 22),
    7: (32, 24),
    8: (32, 34),
    10: (256, 84),
    11: (256, 110),
    12: (256, 144),
    13: (256, 176),
    14: (256, 210),
    24: (1, 1),
    25: (1, 2),
    26: (1, 4),
    27: (1, 8),
    28: (1, 8),
    30: (1, 2),
}


class ModelFileDamaged(InvalidArgument):
    """The file is not a GGUF file, or not a whole one."""

    code = "MODEL_FILE_DAMAGED"


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What the header tells.

    Attributes:
        licence: As the file states it, or empty.
        parameters: Number of weights.
        context_tokens: Context length that it was trained for; 0 when it does not say.
        has_chat_template: A model without one is a base model: it continues texts and does not converse.
        size_bytes: Size of the file.
    """

    architecture: str
    licence: str
    parameters: int
    context_tokens: int
    has_chat_template: bool
    size_bytes: int


def read_header(path: Path) -> GgufHeader:
    """Header of a GGUF file.

    Raises:
        ModelFileDamaged: It is not GGUF, or shorter than its header says.
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    if size < len(MAGIC) + 20:
        raise ModelFileDamaged(f"The file `{path.name}` is not a GGUF model: it has only {size} bytes.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:4] != MAGIC:
            raise ModelFileDamaged(f"The file `{path.name}` is not a GGUF model.", hint="Only models in the GGUF format can be served.")
        try:
            return _Reader(content, size, path.name).header()
        except (struct.error, IndexError) as error:
            raise _truncated(path.name) from error


def _truncated(name: str) -> ModelFileDamaged:
    """The error for a file that ends too early."""
    return ModelFileDamaged(f"The model file `{name}` is cut off.", hint="Its copy or download was not finished: fetch it again.")


class _Reader:
    """Walks through the header once."""

    def __init__(self, content: mmap.mmap, size: int, name: str) -> None:
        self._content = content
        self._size = size
        self._name = name
        self._at = len(MAGIC)

    def header(self) -> GgufHeader:
        """Everything that is wanted of the header, after the size of the file was found to be right."""
        version = self._number("<I")
        if version not in VERSIONS:
            raise ModelFileDamaged(f"The model file `{self._name}` has GGUF version {version}, and only 2 and 3 are known.")
        tensors, entries = self._number("<Q"), self._number("<Q")
        if tensors > TENSORS_MAX or entries > ENTRIES_MAX:
            raise ModelFileDamaged(f"The header of the model file `{self._name}` is damaged.")
        values: dict[str, object] = {}
        for _ in range(entries):
            key = self._text()
            values[key] = self._value(self._number("<I"))
        alignment = values.get("general.alignment")
        parameters = self._tensors(tensors, alignment if isinstance(alignment, int) and alignment > 0 else ALIGNMENT)
        architecture = _text_of(values, "general.architecture")
        context = values.get(f"{architecture}.context_length")
        return GgufHeader(
            architecture=architecture,
            licence=_text_of(values, "general.license"),
            parameters=parameters,
            context_tokens=context if isinstance(context, int) else 0,
            has_chat_template="tokenizer.chat_template" in values,
            size_bytes=self._size,
        )

    def _tensors(self, count: int, alignment: int) -> int:
        """Walk through the list of tensors; the number of weights, once it is certain that the file holds them all."""
        parameters = 0
        end = 0
        for _ in range(count):
            self._text()
            dimensions = self._number("<I")
            if dimensions > DIMENSIONS_MAX:
                raise ModelFileDamaged(f"The header of the model file `{self._name}` is damaged.")
            weights = math.prod(self._number("<Q") for _ in range(dimensions))
            values, size = _BLOCKS.get(self._number("<I"), (0, 0))
            offset = self._number("<Q")
            parameters += weights
            end = max(end, offset + (weights // values * size if values else 1))
        begin = -(-self._at // alignment) * alignment
        if begin + end > self._size:
            raise _truncated(self._name)
        return parameters

    def _number(self, form: str) -> int:
        """One number of fixed size."""
        value = struct.unpack_from(form, self._content, self._at)[0]
        self._at += struct.calcsize(form)
        return int(value)

    def _skip(self, length: int) -> int:
        """Step over bytes, which must be there; where they began."""
        begin = self._at
        if length > self._size - begin:
            raise _truncated(self._name)
        self._at += length
        return begin

    def _text(self) -> str:
        """A text with its length before it."""
        length = self._number("<Q")
        begin = self._skip(length)
        return self._content[begin : begin + length].decode("utf-8", "replace")

    def _value(self, kind: int) -> object:
        """A value of the metadata; arrays are stepped over, since nothing here wants them."""
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            element, count = self._number("<I"), self._number("<Q")
            if count > self._size:
                raise _truncated(self._name)
            if element in _SCALARS:
                self._skip(count * struct.calcsize(_SCALARS[element]))
            elif element == _STRING:
                for _ in range(count):
                    self._skip(self._number("<Q"))
            else:
                raise ModelFileDamaged(f"The header of the model file `{self._name}` is damaged.")
            return None
        if kind not in _SCALARS:
            raise ModelFileDamaged(f"The header of the model file `{self._name}` is damaged.")
        return self._number(_SCALARS[kind])


def _text_of(values: dict[str, object], key: str) -> str:
    """A text of the metadata, or an empty one."""
    value = values.get(key)
    return value if isinstance(value, str) else ""
