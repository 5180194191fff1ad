"""Files in formats or encodings that the engine does not read, replaced by files that it reads."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from insjo.sql.binding.file_options import CONVERTED, FileOptions, foreign_encoding
from insjo.sql.errors import FileOptionInvalid, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from insjo.catalog.types import LocalFile
    from insjo.sql.binding.readers import Wanted
    from insjo.sql.ports import Conversions, Converted

FIRST_LINE_BYTES_MAX = 64 * 1024
_FILES_MAX = 1000
_CSV_KEPT = ("schema", "schemahints", "mode", "infercolumntypes", "inferschema", "nullvalue", "dateformat", "timestampformat")


class Conversion:
    """Replaces files for one statement.

    Args:
        conversions: What does it; None means that nothing is converted here.
        beginning: Gives the first bytes of a file by its path.
    """

    def __init__(self, conversions: Conversions | None, beginning: Callable[[str], bytes]) -> None:
        self._conversions = conversions
        self._original = beginning
        self._places: dict[str, str] = {}

    def beginning(self, path: str) -> bytes:
        """The first bytes of a file as the engine reads it."""
        place = self._places.get(path)
        if place is None:
            return self._original(path)
        with Path(place).open("rb") as file:
            return file.read(FIRST_LINE_BYTES_MAX)

    def apply(self, files: Sequence[LocalFile], wanted: Wanted) -> tuple[list[LocalFile], Wanted]:
        """The files as the engine reads them, and what is asked of those.

        Raises:
            UnsupportedFeature, FileOptionInvalid: It cannot be converted.
        """
        options = wanted.options
        foreign = foreign_encoding(options)
        if options.format in CONVERTED:
            return self._formats(files, wanted)
        if not foreign:
            return list(files), wanted
        if any(each.path.lower().endswith((".gz", ".zst")) for each in files):
            message = "Packed files are read as UTF-8 only."
            raise UnsupportedFeature(message, hint="Unpack them first.", details={"feature": "encoding of packed files"})
        values = {key: value for key, value in options.values.items() if key not in {"encoding", "charset"}}
        made = [self._convert(file, "text", {"encoding": foreign})[0] for file in files]
        return made, replace(wanted, options=FileOptions(options.format, values))

    def _formats(self, files: Sequence[LocalFile], wanted: Wanted) -> tuple[list[LocalFile], Wanted]:
        """Avro and ORC become Parquet; Excel and SQLite become CSV with the types of their cells."""
        options = wanted.options
        if len(files) > _FILES_MAX:
            message = f"At most {_FILES_MAX} files of the format {options.format} can be read by one statement."
            raise FileOptionInvalid(message)
        headed = options.flag("header", default=True)
        asked: dict[str, str] = {}
        if options.format == "excel":
            skip = options.values.get("skiprows", "0")
            if not skip.isdigit():
                message = f"The option `skipRows` is a number, and not `{skip}`."
                raise FileOptionInvalid(message)
            sheet = options.values.get("sheetname") or options.values.get("sheet") or ""
            asked = {"sheet": sheet, "header": str(headed).lower(), "skip": skip}
        elif options.format == "sqlite":
            asked = {"table": options.values.get("dbtable") or options.values.get("table") or ""}
        pairs = [self._convert(file, options.format, asked) for file in files]
        made = [file for file, _ in pairs]
        values = {key: value for key, value in options.values.items() if key in _CSV_KEPT}
        if CONVERTED[options.format] == "parquet":
            return made, replace(wanted, options=FileOptions("parquet", values))
        values["header"] = str(headed).lower()
        wanted = replace(wanted, options=FileOptions("csv", values))
        return made, (self._typed(pairs, wanted) if options.infers else wanted)

    def _convert(self, file: LocalFile, kind: str, asked: dict[str, str]) -> tuple[LocalFile, Converted]:
        if self._conversions is None:
            message = f"Files of the kind `{kind}` cannot be read here."
            raise UnsupportedFeature(message, details={"feature": f"format {kind}"})
        found = self._conversions.convert(file.local_path, file.path, kind, asked)
        self._places[file.path] = found.local_path
        return replace(file, local_path=found.local_path), found

    def _typed(self, pairs: Sequence[tuple[LocalFile, Converted]], wanted: Wanted) -> Wanted:
        """The types that the cells have: as the whole schema when all files have the same columns, else for each column found."""
        shapes = [dict(zip(self._names(file, found, wanted), found.types, strict=False)) for file, found in pairs]
        if wanted.schema is not None or not shapes:
            return wanted
        hints = wanted.hints
        if all(list(each) == list(shapes[0]) for each in shapes):
            joined = {name: {each[name] for each in shapes} for name in shapes[0]}
            schema = {name: hints.get(name.lower()) or _one(kinds) for name, kinds in joined.items()}
            return replace(wanted, schema=schema)
        types: dict[str, str] = {}
        for each in shapes:
            for name, kind in each.items():
                known = types.get(name.lower())
                types[name.lower()] = kind if known is None else _one({known, kind})
        return replace(wanted, types={**types, **wanted.types})

    def _names(self, file: LocalFile, found: Converted, wanted: Wanted) -> list[str]:
        """Names of the columns of a converted file."""
        if not wanted.has_header:
            count = len(found.types)
            return list(wanted.names) if len(wanted.names) == count else [f"_c{at}" for at in range(count)]
        first = next(csv.reader(io.StringIO(self.beginning(file.path).decode("utf-8", "replace"))), [])
        return [name or f"_c{at}" for at, name in enumerate(first)]


def _one(kinds: set[str]) -> str:
    """A type that holds the values of all of them."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "double" if kinds <= {"bigint", "double"} else "string"
