"""Good rows and bad rows of files apart: readers that pass over bad rows, and queries that tell them with line and reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.sql.binding import engine_text as text
from insjo.sql.dialect.types import Kind, parse_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from insjo.catalog.types import LocalFile
    from insjo.sql.dialect.types import Type

PATH_COLUMN = "__insjo_path"
"""Column in which a reader tells the file of each row."""

LINE_COLUMN = "__insjo_line"
TEXT_COLUMN = "__insjo_text"
REJECTS_TABLE, SCANS_TABLE = "insjo_rejects", "insjo_scans"
"""Where the engine's CSV reader puts what it rejects, if it is told to."""

REJECT_SHAPE = {"file": "string", "line": "bigint", "column_name": "string", "reason": "string", "row_text": "string"}
"""What every query for bad rows gives."""

KEEP_REJECTS = f"store_rejects = true, rejects_limit = 0, rejects_table = '{REJECTS_TABLE}', rejects_scan = '{SCANS_TABLE}'"
LINE_BYTES_MAX = 64 * 1024 * 1024
_ROW_CHARS_MAX = 10_000
_NEVER = "\x02\x03\x02"
"""A separator that no line of JSON can hold: control characters are escaped there."""


# ------------------------------------------------------------------------------------------------------------------------ CSV


_REASONS = (
    ("CAST", "'The value `' || {value}[:100] || '` of the column `' || r.column_name || '` is not of the type ' || {kind} || '.'"),
    ("MISSING COLUMNS", "'It has ' || {found} || ' columns, and ' || {wanted} || ' are expected.'"),
    ("TOO MANY COLUMNS", "'It has ' || {found} || ' columns, and ' || {wanted} || ' are expected.'"),
    ("UNQUOTED VALUE", "'A quote is not closed, or stands where none may.'"),
    ("LINE SIZE OVER MAXIMUM", "'The line is too long.'"),
    ("INVALID ENCODING", "'It is not valid UTF-8.'"),
)
_COUNTS = "regexp_extract(r.error_message, 'Expected Number of Columns: (\\d+) Found: (\\d+)', {})"


def csv_rejects(files: Sequence[LocalFile]) -> str:
    """Query over what the CSV readers of the same connection rejected; one row a line, whatever was wrong with it."""
    parts = {
        "value": "regexp_extract(r.error_message, 'Could not convert string \"((?s:.*))\" to ', 1)",
        "kind": "lower(trim(regexp_extract(r.error_message, '\" to ''([^'']*)', 1)))",
        "wanted": _COUNTS.format(1),
        "found": _COUNTS.format(2),
    }
    reasons = " ".join(f"WHEN {text.literal(kind)} THEN {said.format(**parts)}" for kind, said in _REASONS)
    reason = f"CASE CAST(r.error_type AS VARCHAR) {reasons} ELSE 'It cannot be read.' END"
    column = "CASE WHEN CAST(r.error_type AS VARCHAR) = 'CAST' THEN r.column_name END"
    outputs = [
        f"{_path_name('any_value(s.file_path)', files)} AS file",
        "CAST(r.line AS BIGINT) AS line",
        f"string_agg(DISTINCT {column}, ', ') AS column_name",
        f"string_agg(DISTINCT {reason}, ' ') AS reason",
        f"rtrim(any_value(r.csv_line), chr(10) || chr(13))[:{_ROW_CHARS_MAX}] AS row_text",
    ]
    source = f"{REJECTS_TABLE} AS r JOIN {SCANS_TABLE} AS s ON r.scan_id = s.scan_id AND r.file_id = s.file_id"
    return text.select(outputs, source) + " GROUP BY r.scan_id, r.file_id, r.line ORDER BY r.scan_id, r.file_id, r.line"


def _path_name(expression: str, files: Sequence[LocalFile]) -> str:
    """The path that people know instead of the local one."""
    paths, names = text.literals(each.local_path for each in files), text.literals(each.path for each in files)
    return f"({names})[list_position({paths}, {expression})]"


# ----------------------------------------------------------------------------------------------------------------- JSON lines


def json_lines(files: Sequence[LocalFile], engine_path: Sequence[str]) -> str:
    """All lines of JSON files with their numbers; empty ones are left out."""
    settings = (
        f"delim = {text.literal(_NEVER)}, quote = '', escape = '', header = false, auto_detect = false, hive_partitioning = false, "
        f"columns = {{'{TEXT_COLUMN}': 'VARCHAR'}}, max_line_size = {LINE_BYTES_MAX}, buffer_size = {2 * LINE_BYTES_MAX}"
    )
    parts = [
        f'SELECT row_number() OVER () AS "{LINE_COLUMN}", "{TEXT_COLUMN}", {text.literal(file.local_path)} AS "{PATH_COLUMN}" '  # noqa: S608  # Literals.
        f"FROM read_csv([{text.literal(path)}], {settings})"
        for file, path in zip(files, engine_path, strict=True)
    ]
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE trim(\"{TEXT_COLUMN}\") <> ''"  # noqa: S608  # As above.


def json_sifted(lines: str, columns: Mapping[str, str], *, permissive: bool) -> str:
    """Source over lines of JSON: the good rows, or with `permissive` all rows and NULL for what does not fit."""
    outputs = [f"{_json_value(name, kind)} AS {text.name(name)}" for name, kind in columns.items()]
    if permissive:
        outputs.append(f"{json_rescued(columns)} AS {text.name('_rescued_data')}")
    outputs.append(text.name(PATH_COLUMN))
    return f"({text.select(outputs, f'({lines})', where='' if permissive else f'NOT ({_json_bad(columns)})')})"


def json_rejects(lines: str, columns: Mapping[str, str], files: Sequence[LocalFile]) -> str:
    """Query for the lines that are no JSON or do not fit the types."""
    wrong = _wrong_columns((name, _json_wrong(name, kind)) for name, kind in columns.items())
    valid = f"json_valid({text.name(TEXT_COLUMN)})"
    outputs = [
        f"{_path_name(text.name(PATH_COLUMN), files)} AS file",
        f"{text.name(LINE_COLUMN)} AS line",
        f"CASE WHEN {valid} THEN {wrong} END AS column_name",
        f"CASE WHEN {valid} THEN 'The value of `' || {wrong} || '` is not of its type.' ELSE 'It is not valid JSON.' END AS reason",
        f"{text.name(TEXT_COLUMN)}[:{_ROW_CHARS_MAX}] AS row_text",
    ]
    return text.select(outputs, f"({lines})", where=_json_bad(columns))


def json_rescued(columns: Mapping[str, str]) -> str:
    """What did not fit, as a JSON text; NULL for a row in which everything fits."""
    whole = text.name(TEXT_COLUMN)
    pairs = [f"{text.literal(name)}, CASE WHEN {_json_wrong(name, kind)} THEN {_json_part(name)} END" for name, kind in columns.items()]
    told = f"CAST(json_merge_patch('{{}}', json_object({', '.join(pairs)})) AS VARCHAR)"
    return f"CASE WHEN NOT json_valid({whole}) THEN {whole} WHEN {_json_bad(columns)} THEN {told} END"


def _json_bad(columns: Mapping[str, str]) -> str:
    wrong = " OR ".join(_json_wrong(name, kind) for name, kind in columns.items())
    return f"CASE WHEN json_valid({text.name(TEXT_COLUMN)}) THEN json_type({text.name(TEXT_COLUMN)}) <> 'OBJECT' OR {wrong} ELSE true END"


def _json_part(name: str) -> str:
    """A field of the line, NULL when the line is no JSON."""
    whole = text.name(TEXT_COLUMN)
    return f"json_extract(CASE WHEN json_valid({whole}) THEN {whole} END, {_pointer(name)})"


def _pointer(name: str) -> str:
    """Where a field is (RFC 6901)."""
    return text.literal("/" + name.replace("~", "~0").replace("/", "~1"))


def _json_value(name: str, kind: str) -> str:
    part = _json_part(name)
    if parse_type(kind).kind is Kind.STRING:
        return f"({part} ->> '$')"
    return f"TRY_CAST({part} AS {parse_type(kind).engine})"


def _json_wrong(name: str, kind: str) -> str:
    """Condition that a field is there and does not fit its type; never NULL."""
    return f"coalesce({_json_misfit(_json_part(name), parse_type(kind), 0)}, false)"


def _json_misfit(part: str, kind: Type, depth: int) -> str:
    """Condition that a JSON value does not fit a type, looking into what is nested: a cast alone would put NULL there."""
    there = f"json_type({part}) <> 'NULL'"
    if kind.kind is Kind.STRUCT:
        inner = " OR ".join(
            f"coalesce({_json_misfit(f'json_extract({part}, {_pointer(each.name)})', each.type, depth + 1)}, false)" for each in kind.fields
        )
        return f"({there} AND (json_type({part}) <> 'OBJECT' OR {inner or 'false'}))"
    if kind.kind in {Kind.ARRAY, Kind.MAP}:
        wanted = "ARRAY" if kind.kind is Kind.ARRAY else "OBJECT"
        items = f"json_extract({part}, {text.literal('$[*]' if wanted == 'ARRAY' else '$.*')})"
        variable = f"x{depth}"
        item = kind.item if kind.value is None else kind.value
        misfit = _json_misfit(variable, item, depth + 1)
        inside = f"len(list_filter({items}, lambda {variable}: coalesce({misfit}, false))) > 0"
        return f"({there} AND (json_type({part}) <> '{wanted}' OR {inside}))"
    if kind.kind in {Kind.STRING, Kind.VARIANT}:
        return "false"
    return f"({there} AND TRY_CAST({part} AS {kind.engine}) IS NULL)"


# -------------------------------------------------------------------------------------------------------------------- Parquet


def typed_bad(casts: Mapping[str, tuple[str, str]]) -> str:
    """Condition that a value of a typed file does not fit; `casts` has the column of the file and the type wanted, by output."""
    return " OR ".join(_typed_wrong(column, kind) for column, kind in casts.values()) or "false"


def typed_rejects(reader: str, casts: Mapping[str, tuple[str, str]], files: Sequence[LocalFile]) -> str:
    """Query for the rows of typed files whose values do not fit; `reader` numbers rows as `file_row_number`."""
    wrong = _wrong_columns((name, _typed_wrong(column, kind)) for name, (column, kind) in casts.items())
    fields = ", ".join(f"{text.name(name)} := {text.name(column)}" for name, (column, _) in casts.items())
    outputs = [
        f"{_path_name(text.name(PATH_COLUMN), files)} AS file",
        "CAST(file_row_number + 1 AS BIGINT) AS line",
        f"{wrong} AS column_name",
        f"'The value of `' || {wrong} || '` is not of its type.' AS reason",
        f"CAST(to_json(struct_pack({fields})) AS VARCHAR)[:{_ROW_CHARS_MAX}] AS row_text",
    ]
    return text.select(outputs, reader, where=typed_bad(casts))


def _typed_wrong(column: str, kind: str) -> str:
    return f"({text.name(column)} IS NOT NULL AND TRY_CAST({text.name(column)} AS {parse_type(kind).engine}) IS NULL)"


def _wrong_columns(conditions: Iterable[tuple[str, str]]) -> str:
    """Names of the columns whose condition holds, with commas."""
    listed = ", ".join(f"CASE WHEN {condition} THEN {text.literal(name)} END" for name, condition in conditions)
    return f"array_to_string(list_filter([{listed}], lambda x: x IS NOT NULL), '`, `')"
