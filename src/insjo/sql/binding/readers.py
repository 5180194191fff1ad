"""How the engine reads files of each format: names, types, and a reader that gives both."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from insjo.sql.binding import engine_text as text
from insjo.sql.binding.file_failures import file_of, read_failure
from insjo.sql.binding.file_options import csv_reader_options, encoding, json_reader_options
from insjo.sql.binding.sifting import (
    KEEP_REJECTS,
    PATH_COLUMN,
    csv_rejects,
    json_lines,
    json_rejects,
    json_sifted,
    typed_bad,
    typed_rejects,
)
from insjo.sql.dialect.types import parse_fields, parse_type
from insjo.sql.errors import FileOptionInvalid, FileReadFailed, StatementFailed, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from insjo.catalog.types import LocalFile
    from insjo.sql.binding.file_options import FileOptions
    from insjo.sql.ports import Engine

RESCUED = "_rescued_data"
"""Column for what does not fit, in the mode PERMISSIVE."""

Reader: TypeAlias = tuple[str, dict[str, str], dict[str, str]]
"""Text for a FROM clause, columns with their Databricks types, and an expression for each of them."""

_SNIFF_ALL_BYTES_MAX = 256 * 1024 * 1024
"""Up to this size every value is looked at to find types out; above, a sample of each file."""

_SAMPLE_ROWS = 200_000
_HEADERS_MAX = 50
_SIFTED_FILES_MAX = 200
_KEYS_MAX = 10_000
"""Different first lines that the CSV files of one statement may have."""

_DOUBTS = {
    "boolean": "lower(trim({0})) IN ('true', 'false')",
    "timestamp_ntz": "regexp_matches({0}, '^\\s*\\d{{4}}-\\d{{1,2}}-\\d{{1,2}}')",
    "timestamp": "regexp_matches({0}, '^\\s*\\d{{4}}-\\d{{1,2}}-\\d{{1,2}}')",
}
"""Types that are only believed when every value looks so."""

_TELLS_PATH = f"filename = {text.literal(PATH_COLUMN)}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of the files.

    Attributes:
        schema: All columns with their types, or None to find them out.
        types: Types of columns by name in lower case, when the columns are found out.
        names: Names for the columns of CSV files without a header, if their number fits.
        sifts: Bad rows are passed over, and a second query tells them.
    """

    options: FileOptions
    schema: Mapping[str, str] | None
    types: Mapping[str, str]
    names: tuple[str, ...]
    sifts: bool = False

    @property
    def hints(self) -> dict[str, str]:
        """Types that the options or the target ask for, by name in lower case."""
        hints = dict(self.types)
        if given := self.options.values.get("schemahints"):
            hints |= {field.name.lower(): field.type.text for field in parse_fields(given).fields}
        return hints

    @property
    def has_header(self) -> bool:
        """Whether the first line of CSV files has the names of the columns."""
        return self.options.flag("header", default=False)


class Readers:
    """Makes readers.

    Args:
        engine: Finds out columns.
        wanted: What is asked.
        beginning: Gives the first bytes of a file by its path.
    """

    def __init__(self, engine: Engine, wanted: Wanted, beginning: Callable[[str], bytes]) -> None:
        self._engine = engine
        self._wanted = wanted
        self._options = wanted.options
        self._beginning = beginning
        self.rejects = ""
        """After `over` with `sifts`: query for the bad rows, in the shape of `sifting.REJECT_SHAPE`."""

    def over(self, files: Sequence[LocalFile]) -> Reader:
        """A reader over files, which may be none when the schema is given."""
        if not files:
            columns = dict(self._wanted.schema or {})
            return f"({text.empty_rows({**columns, PATH_COLUMN: 'string'})})", columns, {name: text.name(name) for name in columns}
        if self._options.format == "csv":
            return self._csv(files)
        if self._options.format == "json":
            return self._json(files)
        return self._parquet(files)

    def _described(self, reader: str, files: Sequence[LocalFile]) -> dict[str, str]:
        """Columns that the engine finds in the files."""
        try:
            described = self._engine.bind(text.select(["*"], reader))
        except StatementFailed as error:
            raise read_failure(error, file_of(error, files)) from error
        return {column.name: column.type_text for column in described if column.name != PATH_COLUMN}

    # ----------------------------------------------------------------------------------------------------------------- CSV

    def _csv(self, files: Sequence[LocalFile]) -> Reader:
        """CSV files; those whose first lines name other columns, or in another order, are read apart and put together by name."""
        if self._wanted.sifts:
            self.rejects = csv_rejects(files)
        groups = self._by_header(files)
        found = [self._columns_of(group) for group in groups]
        columns = self._joined(found)
        for name, kind in columns.items():
            if parse_type(kind).is_nested:
                message = f"A CSV file cannot hold values of the type `{kind}` (column `{name}`)."
                raise FileOptionInvalid(message)
        readers = [
            self._csv_reader(group, {name: columns[_spelt(columns, name)] for name in own})
            for group, own in zip(groups, found, strict=True)
        ]
        if len(readers) == 1 and list(found[0]) == list(columns):
            return readers[0], columns, self._csv_casts(columns)
        shapes = {name: "string" if self._permissive else kind for name, kind in columns.items()}
        parts = [text.empty_rows({**shapes, PATH_COLUMN: "string"}), *(text.select(["*"], reader) for reader in readers)]
        return f"({' UNION ALL BY NAME '.join(parts)})", columns, self._csv_casts(columns)

    @property
    def _permissive(self) -> bool:
        return self._options.mode == "PERMISSIVE"

    def _by_header(self, files: Sequence[LocalFile]) -> list[list[LocalFile]]:
        """Files by their first line."""
        if not self._wanted.has_header or len(files) == 1:
            return [list(files)]
        groups: dict[tuple[str, ...], list[LocalFile]] = {}
        for file in files:
            names = header(self._options, self._beginning(file.path))
            groups.setdefault(tuple(name.lower() for name in names), []).append(file)
        if len(groups) > _HEADERS_MAX:
            message = f"The files have more than {_HEADERS_MAX} different first lines."
            raise FileReadFailed(message, hint="Is the option `header` right?")
        return list(groups.values())

    def _columns_of(self, files: Sequence[LocalFile]) -> dict[str, str]:
        """Columns of files with one first line, in the order in which they stand in the files."""
        schema = self._wanted.schema
        if schema is None:
            return self._sniffed(files)
        if not self._wanted.has_header:
            return dict(schema)
        spelt = {name.lower(): name for name in schema}
        names = [name.lower() for name in header(self._options, self._beginning(files[0].path))]
        if sorted(names) != sorted(spelt):
            return dict(schema)  # The first line tells something else: columns go by their position.
        return {spelt[name]: schema[spelt[name]] for name in names}

    def _joined(self, found: Sequence[Mapping[str, str]]) -> dict[str, str]:
        """The columns of all files: those of the schema in its order, else in the order in which they first appear."""
        if self._wanted.schema is not None:
            return dict(self._wanted.schema)
        joined: dict[str, str] = {}
        for columns in found:
            for name, kind in columns.items():
                known = _spelt(joined, name)
                joined[known] = kind if known not in joined else _wider(joined[known], kind)
        return joined

    def _csv_reader(self, files: Sequence[LocalFile], columns: Mapping[str, str]) -> str:
        """Call of the engine's reader."""
        shown = {name: "VARCHAR" if self._permissive else parse_type(kind).engine for name, kind in columns.items()}
        listed = ", ".join(f"{text.literal(name)}: {text.literal(kind)}" for name, kind in shown.items())
        settings = ", ".join([*csv_reader_options(self._options), _TELLS_PATH, *([KEEP_REJECTS] if self._wanted.sifts else [])])
        return f"read_csv({_paths(files)}, {settings}, columns = {{{listed}}}, auto_detect = false)"

    def _csv_casts(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Expression of each column over the reader."""
        trims = self._options.flag("ignoreleadingwhitespace", default=False) or self._options.flag(
            "ignoretrailingwhitespace", default=False
        )
        casts: dict[str, str] = {}
        for name, kind in columns.items():
            casts[name] = f"TRY_CAST({text.name(name)} AS {parse_type(kind).engine})" if self._permissive else text.name(name)
            if kind == "string" and trims:
                casts[name] = f"trim({casts[name]})"
        if self._permissive and columns:
            casts[RESCUED] = _csv_rescued(columns)
        return casts

    def _sniffed(self, files: Sequence[LocalFile]) -> dict[str, str]:
        """Columns of CSV files: names from the header or `_c0`, `_c1` ...; types from the values unless they are given."""
        if not self._options.infers and self._wanted.has_header:
            first = header(self._options, self._beginning(files[0].path))
            if first and len({name.lower() for name in first}) == len(first):
                return {name: self._wanted.hints.get(name.lower(), "string") for name in first}
        total = sum(each.size_bytes for each in files)
        sample = -1 if total <= _SNIFF_ALL_BYTES_MAX else _SAMPLE_ROWS
        finding = [*csv_reader_options(self._options), _TELLS_PATH, f"sample_size = {sample}"]
        if not self._options.infers:
            finding.append("all_varchar = true")
        if not self._options.values.get("dateformat"):
            finding.append("dateformat = '%Y-%m-%d'")
        finding.append("auto_type_candidates = ['BOOLEAN', 'BIGINT', 'DOUBLE', 'DATE', 'TIMESTAMP', 'VARCHAR']")
        try:
            found = self._described(f"read_csv({_paths(files)}, {', '.join(finding)})", files)
            found = self._doubted(files, found)
        except FileReadFailed as error:
            found = self._by_first_line(files, error)
        if self._wanted.has_header:
            first = header(self._options, self._beginning(files[0].path))
            if len(first) == len(found):  # The engine has words of its own for a name that is missing.
                found = {f"_c{at}" if first[at] == f"_c{at}" else name: kind for at, (name, kind) in enumerate(found.items())}
        else:
            names = self._wanted.names
            named = names if len(names) == len(found) else tuple(f"_c{at}" for at in range(len(found)))
            found = dict(zip(named, found.values(), strict=True))
        hints = self._wanted.hints
        return {name: hints.get(name.lower(), _csv_kind(kind)) for name, kind in found.items()}

    def _doubted(self, files: Sequence[LocalFile], found: dict[str, str]) -> dict[str, str]:
        """The columns with those as text that the engine guesses more boldly than Databricks: `f` is no boolean, 1/2/2020 no moment."""
        doubtful = [name for name, kind in found.items() if kind in _DOUBTS]
        if not doubtful:
            return found
        checks = [f"bool_and({_DOUBTS[found[name]].format(text.name(name))})" for name in doubtful]
        reader = self._csv_reader(files, dict.fromkeys(found, "string"))
        try:
            with self._engine.query(text.select(checks, reader)) as rows:
                sure = [value for batch in rows for value in batch.to_pylist()[0].values()]
        except StatementFailed as error:
            if self._wanted.sifts:
                return {name: "string" if name in doubtful else kind for name, kind in found.items()}
            raise read_failure(error, file_of(error, files)) from error
        wrong = {name for name, is_sure in zip(doubtful, sure, strict=True) if is_sure is False}
        return {name: "string" if name in wrong else kind for name, kind in found.items()}

    def _by_first_line(self, files: Sequence[LocalFile], error: FileReadFailed) -> dict[str, str]:
        """Columns as the first line has them, when the engine finds no sense in a file; tells which line does not fit them."""
        names = header(self._options, self._beginning(files[0].path))
        if "line" in error.details or not names or len({name.lower() for name in names}) != len(names):
            raise error
        columns = dict.fromkeys(names, "string")
        if self._wanted.sifts:
            return columns
        try:
            with self._engine.query(text.select(["count(*)"], self._csv_reader(files, columns))) as rows:
                for _ in rows:
                    pass
        except StatementFailed as failed:
            raise read_failure(failed, file_of(failed, files)) from failed
        return columns

    # ------------------------------------------------------------------------------------------------------ JSON and Parquet

    def _json(self, files: Sequence[LocalFile]) -> Reader:
        settings = json_reader_options(self._options)
        known = self._known_keys(files)
        if self._wanted.schema is not None:
            columns = dict(self._wanted.schema)
        elif known is not None:
            columns = known
        else:
            depth = -1 if self._options.infers else 1
            lenient = ["ignore_errors = true"] if self._sifts_json else []
            finding = [*settings, *lenient, "sample_size = -1", f"maximum_depth = {depth}", "union_by_name = true", _TELLS_PATH]
            found = self._described(f"read_json({_paths(files)}, {', '.join(finding)})", files)
            hints = self._wanted.hints
            columns = {name: hints.get(name.lower(), kind if self._options.infers else "string") for name, kind in found.items()}
        if not columns:
            message = "The JSON files hold no fields."
            raise FileReadFailed(message)
        casts = {name: text.name(name) for name in columns}
        if self._sifts_json:
            return self._json_sifted(files, columns), columns, casts | ({RESCUED: text.name(RESCUED)} if self._permissive else {})
        listed = ", ".join(f"{text.literal(name)}: {text.literal(parse_type(kind).engine)}" for name, kind in columns.items())
        reader = f"read_json({_paths(files)}, {', '.join(settings)}, columns = {{{listed}}}, {_TELLS_PATH})"
        return reader, columns, casts

    def _known_keys(self, files: Sequence[LocalFile]) -> dict[str, str] | None:
        """The keys of JSON lines, if the types of all of them are given; looking for keys alone is much quicker than for types."""
        hints = self._wanted.hints
        if not hints or self._wanted.schema is not None or self._options.flag("multiline", default=False):
            return None
        keys = self._all_keys(files)
        folded = [key.lower() for key in keys]
        if not keys or len(keys) == _KEYS_MAX or len(set(folded)) != len(keys) or not set(folded) <= set(hints):
            return None
        order = {name: at for at, name in enumerate(hints)}
        return {key: hints[key.lower()] for key in sorted(keys, key=lambda key: order[key.lower()])}

    def _all_keys(self, files: Sequence[LocalFile]) -> list[str]:
        """The keys of all rows; none when the engine stumbles, since looking for types tells better what is wrong."""
        objects = f"read_ndjson_objects({_paths(files)}, ignore_errors = {str(self._sifts_json).lower()})"
        try:
            with self._engine.query(f"SELECT DISTINCT unnest(json_keys(json)) AS key FROM {objects} LIMIT {_KEYS_MAX}") as rows:  # noqa: S608  # Literals.
                return [str(row["key"]) for batch in rows for row in batch.to_pylist()]
        except StatementFailed:
            return []

    @property
    def _sifts_json(self) -> bool:
        return self._wanted.sifts or self._options.mode != "FAILFAST"

    def _json_sifted(self, files: Sequence[LocalFile], columns: Mapping[str, str]) -> str:
        """A reader that looks at each line by itself."""
        if self._options.flag("multiline", default=False):
            message = "Bad rows can be told from good ones only in JSON lines, one record a line."
            raise UnsupportedFeature(
                message, hint="Leave out `multiLine`, or read with mode => 'FAILFAST'.", details={"feature": "multiLine"}
            )
        if len(files) > _SIFTED_FILES_MAX:
            message = f"At most {_SIFTED_FILES_MAX} JSON files can be sifted by one statement."
            raise FileReadFailed(message, hint="Name fewer files.")
        lines = json_lines(files, [engine_path(each.local_path) for each in files])
        if self._wanted.sifts:
            self.rejects = json_rejects(lines, columns, files)
        return json_sifted(lines, columns, permissive=self._permissive)

    def _parquet(self, files: Sequence[LocalFile]) -> Reader:
        settings = f"hive_partitioning = false, union_by_name = true, {_TELLS_PATH}"
        reader = f"read_parquet({_paths(files)}, {settings})"
        found = self._described(reader, files)
        folded = {name.lower(): name for name in found}
        hints = self._wanted.hints
        columns = {name: hints.get(name.lower(), kind) for name, kind in (self._wanted.schema or found).items()}
        casts = {
            name: text.cast(text.name(folded[name.lower()]), kind) if name.lower() in folded else text.null_of(kind)
            for name, kind in columns.items()
        }
        if not self._wanted.sifts and self._options.mode == "FAILFAST":
            return reader, columns, casts
        cast = {name: (folded[name.lower()], kind) for name, kind in columns.items() if name.lower() in folded}
        changed = {name: (column, kind) for name, (column, kind) in cast.items() if found[column] != kind}
        if self._permissive:
            return (
                reader,
                columns,
                casts | {name: f"TRY_CAST({text.name(column)} AS {parse_type(kind).engine})" for name, (column, kind) in changed.items()},
            )
        if self._wanted.sifts:
            self.rejects = typed_rejects(f"read_parquet({_paths(files)}, {settings}, file_row_number = true)", changed, files)
        return f"({text.select(['*'], reader, where=f'NOT ({typed_bad(changed)})')})", columns, casts


def _csv_rescued(columns: Mapping[str, str]) -> str:
    """What did not fit its type, as a JSON text."""
    wrong = {
        name: f"({text.name(name)} IS NOT NULL AND TRY_CAST({text.name(name)} AS {parse_type(kind).engine}) IS NULL)"
        for name, kind in columns.items()
    }
    pairs = ", ".join(f"{text.literal(name)}, CASE WHEN {condition} THEN {text.name(name)} END" for name, condition in wrong.items())
    told = f"CAST(json_merge_patch('{{}}', json_object({pairs})) AS VARCHAR)"
    return f"CASE WHEN {' OR '.join(wrong.values())} THEN {told} END"


def header(options: FileOptions, beginning: bytes) -> list[str]:
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


def engine_path(local_path: str) -> str:
    """A path in which no character is a pattern for the engine."""
    return re.sub(r"([*?\[])", r"[\1]", local_path)


def _paths(files: Sequence[LocalFile]) -> str:
    return text.literals(engine_path(each.local_path) for each in files)


def _spelt(columns: Mapping[str, str], name: str) -> str:
    """The name as it is written in the columns, if it is one of them."""
    return next((each for each in columns if each.lower() == name.lower()), name)


def _wider(one: str, other: str) -> str:
    """A type that holds the values of both."""
    if one == other:
        return one
    return "double" if {one, other} <= {"bigint", "double"} else "string"


def _csv_kind(kind: str) -> str:
    """Type of a CSV column as Databricks finds it out; a moment without a zone is a timestamp there."""
    return {"timestamp_ntz": "timestamp", "void": "string", "variant": "string"}.get(kind, kind)
