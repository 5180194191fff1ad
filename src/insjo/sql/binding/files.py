"""`read_files` and files named by format: volume files as a source, read with the caller's rights."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.access.types import Origin, Privilege, Provenance, join_all
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.conversion import FIRST_LINE_BYTES_MAX, Conversion
from insjo.sql.binding.file_options import ALIASES, FORMATS, checked_options
from insjo.sql.binding.needs import Need
from insjo.sql.binding.readers import RESCUED, Readers, Wanted
from insjo.sql.binding.sifting import PATH_COLUMN
from insjo.sql.dialect.types import parse_fields
from insjo.sql.errors import FileOptionInvalid, FileReadFailed, UnsupportedFeature
from insjo.sql.parsing.constants import constant_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from insjo.catalog.service.files import Files
    from insjo.catalog.types import LocalFile
    from insjo.kernel.context import RequestContext
    from insjo.sql.binding.file_options import FileOptions
    from insjo.sql.parsing.constants import ParameterValues
    from insjo.sql.ports import Conversions, Engine

__all__ = ["METADATA", "METADATA_TYPE", "RESCUED", "FileReader", "FileSource", "glob_expression", "refuse_delta_path"]

METADATA = "_metadata"
METADATA_TYPE = "struct<file_path:string,file_name:string,file_size:bigint,file_modification_time:timestamp>"


@dataclass(frozen=True, slots=True)
class FileSource:
    """Files as a source of a statement.

    Attributes:
        reader: Call of the engine's reader, for a FROM clause.
        columns: Name to Databricks type.
        casts: Expression of each column over the reader.
        rejects: Query for the bad rows that the reader passes over, when it was asked to sift.
    """

    reader: str
    columns: Mapping[str, str]
    casts: Mapping[str, str]
    provenance: Provenance
    needs: tuple[Need, ...]
    rejects: str = ""

    def query(self, names: Iterable[str]) -> str:
        """Query that gives these columns."""
        return text.select((f"{self.casts[each]} AS {text.name(each)}" for each in names), self.reader)


class FileReader:
    """Turns paths and options into sources."""

    def __init__(self, files: Files, engine: Engine, conversions: Conversions | None = None) -> None:
        """The volumes, the engine that finds out columns, and what reads the files that the engine does not."""
        self._files = files
        self._engine = engine
        self._conversions = conversions

    def from_call(self, ctx: RequestContext, call: exp.Expr, parameters: ParameterValues) -> FileSource:
        """Source from `read_files(path, option => value, ...)`."""
        path, options = _arguments(call, parameters)
        file_format = options.pop("format", "")
        found = self.resolve(ctx, path, options)
        file_format = file_format or _format_by_name(found)
        return self.source(ctx, found, file_format, options)

    def from_format(self, ctx: RequestContext, file_format: str, path: str) -> FileSource:
        """Source from `csv.`/Volumes/...``."""
        return self.source(ctx, self.resolve(ctx, path, {}), file_format, {})

    def resolve(self, ctx: RequestContext, path: str, options: Mapping[str, str]) -> list[LocalFile]:
        """The files of a path, a folder or a pattern, after the caller's rights and the name filter."""
        found = list(self._files.resolve_local(ctx, path, Privilege.READ_VOLUME))
        folded = {key.lower(): value for key, value in options.items()}
        pattern = folded.get("pathglobfilter") or folded.get("filenamepattern")
        if pattern:
            matches = re.compile(glob_expression(pattern))
            found = [each for each in found if matches.fullmatch(each.path.rsplit("/", 1)[-1])]
        return found

    def source(
        self,
        ctx: RequestContext,
        found: Sequence[LocalFile],
        file_format: str,
        given: Mapping[str, str],
        *,
        types: Mapping[str, str] | None = None,
        names: Sequence[str] = (),
        sifts: bool = False,
    ) -> FileSource:
        """Source over files that were resolved.

        Args:
            ctx: Who reads.
            found: The files.
            file_format: One of `file_options.FORMATS`.
            given: Options as written.
            types: Databricks types for columns by name in lower case (those of a target table); others are found out.
            names: Names for the columns of a CSV file without a header.
            sifts: Make a reader that passes over bad rows, and a query that tells them.
        """
        options = checked_options(file_format, {key: value for key, value in given.items() if key.lower() != "format"})
        if not found:
            message = "No file is at that path, or none matches the pattern."
            raise FileReadFailed(message, hint="`LIST '<path>'` shows what is there.")
        sizes = [each for each in found if each.size_bytes > 0]
        schema = _declared(options)
        if not sizes and schema is None:
            message = f"The file `{found[0].path}` is empty, so it has no columns." if len(found) == 1 else "All of the files are empty."
            raise FileReadFailed(message, hint="Give the columns with the option `schema`.")
        wanted = Wanted(options, schema, dict(types or {}), tuple(names), sifts)
        conversion = Conversion(self._conversions, lambda path: b"".join(self._files.read(ctx, path, 0, FIRST_LINE_BYTES_MAX)))
        readable, wanted = conversion.apply(sizes, wanted)
        readers = Readers(self._engine, wanted, conversion.beginning)
        reader, columns, casts = readers.over(readable)
        casts[METADATA] = _metadata(found, readable)
        return FileSource(reader, columns, casts, _provenance(found), _needs(found), readers.rejects)


def _arguments(call: exp.Expr, parameters: ParameterValues) -> tuple[str, dict[str, str]]:
    """Path and options of a call; every value is a constant."""
    arguments = list(call.expressions)
    if not arguments:
        message = "`read_files` needs a path."
        raise FileOptionInvalid(message, hint="`read_files('/Volumes/catalog/schema/volume/folder', format => 'csv')`")
    options: dict[str, str] = {}
    path = ""
    for place, argument in enumerate(arguments):
        if isinstance(argument, exp.Kwarg):
            options[argument.this.name] = _option_text(argument.expression, parameters)
        elif place == 0:
            path = constant_text(argument, parameters, "read_files")
        else:
            message = "The options of `read_files` are written as `name => value`."
            raise FileOptionInvalid(message)
    if not path:
        message = "`read_files` needs a path as its first argument."
        raise FileOptionInvalid(message)
    return path, options


def _option_text(value: exp.Expr, parameters: ParameterValues) -> str:
    """Value of an option as text."""
    if isinstance(value, exp.Boolean):
        return "true" if value.this else "false"
    if isinstance(value, exp.Literal):
        return str(value.this)
    return constant_text(value, parameters, "read_files")


def _format_by_name(found: Sequence[LocalFile]) -> str:
    """Format from the endings of the names."""
    endings = {each.path.lower().removesuffix(".gz").rsplit(".", 1)[-1] for each in found}
    known = ALIASES | {name: name for name in FORMATS} | {"db": "sqlite", "sqlite3": "sqlite"}
    formats = {known.get(ending, "") for ending in endings}
    if len(formats) == 1 and (only := formats.pop()) in FORMATS:
        return only
    message = "The format of the files is not clear from their names."
    raise FileOptionInvalid(message, hint="Add `format => 'csv'`, `'json'`, `'parquet'`, `'avro'`, `'orc'` or `'excel'`.")


def _declared(options: FileOptions) -> dict[str, str] | None:
    """Columns of the option `schema`, or None."""
    given = options.values.get("schema")
    if not given:
        return None
    return {field.name: field.type.text for field in parse_fields(given).fields}


def _metadata(found: Sequence[LocalFile], readable: Sequence[LocalFile]) -> str:
    """Expression for the hidden column `_metadata` of each row; `readable` are the files as the engine reads them."""
    places = {each.path: each.local_path for each in readable}
    paths = text.literals(places.get(each.path, each.local_path) for each in found)
    names = text.literals(each.path for each in found)
    sizes = "[" + ", ".join(str(each.size_bytes) for each in found) + "]"
    moments = "[" + ", ".join(text.typed(each.modified_at, "timestamp") for each in found) + "]"
    mark = text.name(PATH_COLUMN)
    at = f"list_position({paths}, {mark})"
    return (
        f"struct_pack(file_path := 'dbfs:' || ({names})[{at}], file_name := parse_filename(({names})[{at}]), "
        f"file_size := CAST(({sizes})[{at}] AS BIGINT), file_modification_time := ({moments})[{at}])"
    )


def _provenance(found: Sequence[LocalFile]) -> Provenance:
    """Labels of the files, with each file as an origin (each volume, if there are many)."""
    label = join_all(each.label for each in found)
    if len(found) <= 20:  # noqa: PLR2004  # More names would drown the audit.
        return Provenance(label, tuple(Origin(each.path, securable_id=each.volume_id) for each in found))
    volumes = {each.volume_id: "/".join(each.path.split("/")[:5]) for each in found}
    return Provenance(label, tuple(Origin(path, securable_id=volume_id) for volume_id, path in volumes.items()))


def _needs(found: Sequence[LocalFile]) -> tuple[Need, ...]:
    return tuple(Need(Privilege.READ_VOLUME, volume_id) for volume_id in dict.fromkeys(each.volume_id for each in found))


def glob_expression(pattern: str) -> str:
    """Regular expression for a glob pattern of file names: `*`, `?`, `[abc]`, `{csv,txt}`."""
    parts: list[str] = []
    depth = 0
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "*":
            parts.append("[^/]*")
        elif letter == "?":
            parts.append("[^/]")
        elif letter == "{":
            depth += 1
            parts.append("(?:")
        elif letter == "}" and depth:
            depth -= 1
            parts.append(")")
        elif letter == "," and depth:
            parts.append("|")
        elif letter == "[" and "]" in pattern[at + 1 :]:
            end = pattern.index("]", at + 1)
            inner = pattern[at + 1 : end].replace("\\", "\\\\")
            parts.append(f"[{inner}]")
            at = end
        else:
            parts.append(re.escape(letter))
        at += 1
    if depth:
        message = f"The pattern `{pattern}` has an open brace."
        raise FileOptionInvalid(message)
    return "".join(parts)


def refuse_delta_path(path: str) -> None:
    """Tables are read by their names."""
    message = f"Reading a Delta table by its path (`{path[:100]}`) is not supported."
    raise UnsupportedFeature(message, hint="Use the name of the table.", details={"feature": "delta.`path`"})
