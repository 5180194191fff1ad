"""`read_files` and files named by format: volume files as a source, read with the caller's rights."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.access.types import Origin, Privilege, Provenance, join_all
from insjo.sql.binding import engine_text as text
from insjo.sql.binding.file_failures import read_failure
from insjo.sql.binding.file_options import FORMATS, checked_options, csv_reader_options, encoding, json_reader_options
from insjo.sql.binding.needs import Need
from insjo.sql.dialect.types import parse_fields, parse_type
from insjo.sql.errors import FileOptionInvalid, FileReadFailed, StatementFailed, UnsupportedFeature
from insjo.sql.parsing.constants import constant_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from insjo.catalog.service.files import Files
    from insjo.catalog.types import LocalFile
    from insjo.kernel.context import RequestContext
    from insjo.sql.binding.file_options import FileOptions
    from insjo.sql.parsing.constants import ParameterValues
    from insjo.sql.ports import Engine

RESCUED = "_rescued_data"
METADATA = "_metadata"
METADATA_TYPE = "struct<file_path:string,file_name:string,file_size:bigint,file_modification_time:timestamp>"

_SNIFF_ALL_BYTES_MAX = 256 * 1024 * 1024
"""Up to this size every value is looked at to find types out; above, a sample of each file."""

_SAMPLE_ROWS = 200_000
_FIRST_LINE_BYTES_MAX = 64 * 1024
_TEXT_TYPES = ("VARCHAR",)


@dataclass(frozen=True, slots=True)
class FileSource:
    """Files as a source of a statement.

    Attributes:
        reader: Call of the engine's reader, for a FROM clause.
        columns: Name to Databricks type.
        casts: Expression of each column over the reader.
    """

    reader: str
    columns: Mapping[str, str]
    casts: Mapping[str, str]
    provenance: Provenance
    needs: tuple[Need, ...]

    def query(self, names: Iterable[str]) -> str:
        """Query that gives these columns."""
        return text.select((f"{self.casts[each]} AS {text.name(each)}" for each in names), self.reader)


class FileReader:
    """Turns paths and options into sources."""

    def __init__(self, files: Files, engine: Engine) -> None:
        """The volumes, and the engine that finds out columns."""
        self._files = files
        self._engine = engine

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

    def _beginning(self, ctx: RequestContext, path: str) -> bytes:
        """The first bytes of a file."""
        return b"".join(self._files.read(ctx, path, 0, _FIRST_LINE_BYTES_MAX))

    def source(
        self,
        ctx: RequestContext,
        found: Sequence[LocalFile],
        file_format: str,
        given: Mapping[str, str],
        *,
        types: Mapping[str, str] | None = None,
        names: Sequence[str] = (),
    ) -> FileSource:
        """Source over files that were resolved.

        Args:
            ctx: Who reads.
            found: The files.
            file_format: csv, json or parquet.
            given: Options as written.
            types: Databricks types for columns by name in lower case (those of a target table); others are found out.
            names: Names for the columns of a CSV file without a header.
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
        reading = _Reading(
            self._engine, options, list(sizes), schema, dict(types or {}), tuple(names), lambda path: self._beginning(ctx, path)
        )
        reader, columns, casts = reading.build()
        casts[METADATA] = _metadata(found)
        return FileSource(reader, columns, casts, _provenance(found), _needs(found))


@dataclass(slots=True)
class _Reading:
    """Builds the reader for one set of files."""

    engine: Engine
    options: FileOptions
    files: list[LocalFile]
    schema: dict[str, str] | None
    types: dict[str, str]
    names: tuple[str, ...]
    beginning: Callable[[str], bytes]

    def build(self) -> tuple[str, dict[str, str], dict[str, str]]:
        """Reader, columns and casts."""
        if not self.files:
            columns = dict(self.schema or {})
            return f"({text.empty_rows(columns)})", columns, {name: text.name(name) for name in columns}
        if self.options.format == "csv":
            return self._csv()
        if self.options.format == "json":
            return self._json()
        return self._parquet()

    def _paths(self) -> str:
        return text.literals(engine_path(each.local_path) for each in self.files)

    def _hints(self) -> dict[str, str]:
        """Types that the options or the target ask for, by name in lower case."""
        hints = dict(self.types)
        if given := self.options.values.get("schemahints"):
            hints |= {field.name.lower(): field.type.text for field in parse_fields(given).fields}
        return hints

    def _described(self, reader: str) -> dict[str, str]:
        """Columns that the engine finds in the files."""
        try:
            described = self.engine.bind(text.select(["*"], reader))
        except StatementFailed as error:
            raise read_failure(error, self.files[0].path if len(self.files) == 1 else "") from error
        return {column.name: column.type_text for column in described if column.name != "filename"}

    def _csv(self) -> tuple[str, dict[str, str], dict[str, str]]:
        settings = [*csv_reader_options(self.options), "filename = true"]
        columns = dict(self.schema) if self.schema is not None else self._sniffed_csv(settings)
        permissive = self.options.mode == "PERMISSIVE"
        shown = {name: ("VARCHAR" if permissive or not _is_flat(kind) else parse_type(kind).engine) for name, kind in columns.items()}
        listed = ", ".join(f"{text.literal(name)}: {text.literal(kind)}" for name, kind in shown.items())
        reader = f"read_csv({self._paths()}, {', '.join(settings)}, columns = {{{listed}}}, auto_detect = false)"
        casts: dict[str, str] = {}
        for name, kind in columns.items():
            if not _is_flat(kind):
                message = f"A CSV file cannot hold values of the type `{kind}` (column `{name}`)."
                raise FileOptionInvalid(message)
            casts[name] = f"TRY_CAST({text.name(name)} AS {parse_type(kind).engine})" if permissive else text.name(name)
            if kind == "string" and (
                self.options.flag("ignoreleadingwhitespace", default=False) or self.options.flag("ignoretrailingwhitespace", default=False)
            ):
                casts[name] = f"trim({casts[name]})"
        return reader, columns, casts

    def _sniffed_csv(self, settings: Sequence[str]) -> dict[str, str]:
        """Columns of CSV files: names from the header or `_c0`, `_c1` ...; types from the values unless they are given."""
        total = sum(each.size_bytes for each in self.files)
        sample = -1 if total <= _SNIFF_ALL_BYTES_MAX else _SAMPLE_ROWS
        finding = [*settings, f"sample_size = {sample}"]
        if not self.options.infers:
            finding.append("all_varchar = true")
        if not self.options.values.get("dateformat"):
            finding.append("dateformat = '%Y-%m-%d'")
        finding.append("auto_type_candidates = ['BOOLEAN', 'BIGINT', 'DOUBLE', 'DATE', 'TIMESTAMP', 'VARCHAR']")
        try:
            found = self._described(f"read_csv({self._paths()}, {', '.join(finding)})")
        except FileReadFailed as error:
            found = self._by_first_line(settings, error)
        if not self.options.flag("header", default=False):
            named = self.names if len(self.names) == len(found) else tuple(f"_c{at}" for at in range(len(found)))
            found = dict(zip(named, found.values(), strict=True))
        hints = self._hints()
        return {name: hints.get(name.lower(), _databricks_kind(kind)) for name, kind in found.items()}

    def _by_first_line(self, settings: Sequence[str], error: FileReadFailed) -> dict[str, str]:
        """Columns as the first line has them, when the engine finds no sense in a file; tells which line does not fit them."""
        if "line" in error.details:
            raise error
        names = _header(self.options, self.beginning(self.files[0].path))
        if not names or len({name.lower() for name in names}) != len(names):
            raise error
        where = self.files[0].path if len(self.files) == 1 else ""
        listed = ", ".join(f"{text.literal(name)}: 'VARCHAR'" for name in names)
        reader = f"read_csv({self._paths()}, {', '.join(settings)}, columns = {{{listed}}}, auto_detect = false)"
        try:
            with self.engine.query(text.select(["count(*)"], reader)) as rows:
                for _ in rows:
                    pass
        except StatementFailed as failed:
            raise read_failure(failed, where) from failed
        return dict.fromkeys(names, "string")

    def _json(self) -> tuple[str, dict[str, str], dict[str, str]]:
        settings = json_reader_options(self.options)
        if self.schema is not None:
            columns = dict(self.schema)
        else:
            hints = self._hints()
            finding = [*settings, "sample_size = -1", "maximum_depth = -1", "union_by_name = true"]
            if not self.options.infers:
                finding.append("maximum_depth = 1")
            found = self._described(f"read_json({self._paths()}, {', '.join(finding)})")
            columns = {name: hints.get(name.lower(), kind if self.options.infers else "string") for name, kind in found.items()}
        listed = ", ".join(f"{text.literal(name)}: {text.literal(parse_type(kind).engine)}" for name, kind in columns.items())
        if not columns:
            message = "The JSON files hold no fields."
            raise FileReadFailed(message)
        reader = f"read_json({self._paths()}, {', '.join(settings)}, columns = {{{listed}}}, filename = true)"
        return reader, columns, {name: text.name(name) for name in columns}

    def _parquet(self) -> tuple[str, dict[str, str], dict[str, str]]:
        reader = f"read_parquet({self._paths()}, hive_partitioning = false, union_by_name = true, filename = true)"
        found = self._described(reader)
        folded = {name.lower(): name for name in found}
        wanted = self.schema if self.schema is not None else found
        hints = self._hints()
        columns = {name: hints.get(name.lower(), kind) for name, kind in wanted.items()}
        casts = {
            name: text.cast(text.name(folded[name.lower()]), kind) if name.lower() in folded else text.null_of(kind)
            for name, kind in columns.items()
        }
        return reader, columns, casts


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
    known = {"csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "ndjson": "json", "parquet": "parquet"}
    formats = {known.get(ending, "") for ending in endings}
    if len(formats) == 1 and (only := formats.pop()) in FORMATS:
        return only
    message = "The format of the files is not clear from their names."
    raise FileOptionInvalid(message, hint="Add `format => 'csv'`, `'json'` or `'parquet'`.")


def _header(options: FileOptions, beginning: bytes) -> list[str]:
    """Names of the columns by the first line of a CSV file."""
    separator = options.character("sep") or options.character("delimiter") or ","
    quote = options.character("quote")
    content = beginning.decode(encoding(options), errors="replace").removeprefix("\ufeff")
    try:
        if quote == "":
            rows = csv.reader(io.StringIO(content), delimiter=separator, quoting=csv.QUOTE_NONE)
        else:
            rows = csv.reader(io.StringIO(content), delimiter=separator, quotechar=quote or '"')
        lines = [row for _, row in zip(range(int(options.values.get("skiprows", "0")) + 1), rows, strict=False)]
    except (csv.Error, TypeError):
        return []
    values = lines[-1] if lines else []
    return (
        [value or f"_c{at}" for at, value in enumerate(values)]
        if options.flag("header", default=False)
        else [f"_c{at}" for at in range(len(values))]
    )


def _declared(options: FileOptions) -> dict[str, str] | None:
    """Columns of the option `schema`, or None."""
    given = options.values.get("schema")
    if not given:
        return None
    return {field.name: field.type.text for field in parse_fields(given).fields}


def _is_flat(kind: str) -> bool:
    """Whether a CSV file can hold values of the type."""
    return not parse_type(kind).is_nested


def _databricks_kind(kind: str) -> str:
    """Type of a CSV column as Databricks finds it out; a moment without a zone is a timestamp there."""
    return {"timestamp_ntz": "timestamp", "void": "string", "variant": "string"}.get(kind, kind)


def _metadata(found: Sequence[LocalFile]) -> str:
    """Expression for the hidden column `_metadata` of each row."""
    paths = text.literals(each.local_path for each in found)
    names = text.literals(each.path for each in found)
    sizes = "[" + ", ".join(str(each.size_bytes) for each in found) + "]"
    moments = "[" + ", ".join(text.typed(each.modified_at, "timestamp") for each in found) + "]"
    at = f"list_position({paths}, filename)"
    return (
        f"struct_pack(file_path := 'dbfs:' || ({names})[{at}], file_name := parse_filename(filename), "
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


def engine_path(local_path: str) -> str:
    """A path in which no character is a pattern for the engine."""
    return re.sub(r"([*?\[])", r"[\1]", local_path)


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
