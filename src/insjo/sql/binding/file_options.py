"""Options of `read_files` and `COPY INTO`: what Databricks calls them, and what the engine's readers call them.

Source: "read_files table-valued function" and "COPY INTO" in the Databricks SQL language reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.kernel.errors import did_you_mean
from insjo.sql.binding import engine_text as text
from insjo.sql.errors import FileOptionInvalid, UnsupportedFeature
from insjo.sql.parsing.words import words

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("csv", "json", "parquet", "avro", "orc", "excel", "sqlite")
"""`excel` and `sqlite` are Insjö's own."""

CONVERTED = {"avro": "parquet", "orc": "parquet", "excel": "csv", "sqlite": "csv"}
"""Formats that are turned into another one before the engine reads them."""

ALIASES = {"xlsx": "excel", "xls": "excel", "xlsb": "excel", "ods": "excel", "jsonl": "json", "ndjson": "json", "tsv": "csv"}

_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
}
"""Those that the engine reads."""

_CONVERTED_ENCODINGS = frozenset(
    words("""
utf-16 utf-16le utf-16be utf-32 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1257 iso-8859-2 iso-8859-5
iso-8859-7 iso-8859-9 iso-8859-15 cp437 cp850 cp865 macintosh koi8-r shift_jis euc-jp gb18030 big5 euc-kr
"""),
)
_COMMON = frozenset(
    words("""
format schema schemahints schemaevolutionmode inferschema infercolumntypes rescueddatacolumn mode pathglobfilter filenamepattern
recursivefilelookup ignorecorruptfiles ignoremissingfiles mergeschema readercasesensitive multiline encoding charset dateformat
timestampformat allowoverwrites partitioncolumns usestrictglobber timezone locale samplingratio maxfilesize
"""),
)
_BY_FORMAT = {
    "csv": frozenset(
        words("""
header sep delimiter quote escape comment nullvalue emptyvalue linesep skiprows ignoreleadingwhitespace ignoretrailingwhitespace
enforceschema maxcolumns maxcharspercolumn preferdate columnnameofcorruptrecord unescapedquotehandling chartoescapequoteescaping nanvalue
positiveinf negativeinf
"""),
    ),
    "json": frozenset(
        words("""
primitivesasstring prefersdecimal allowcomments allowunquotedfieldnames allowsinglequotes allownumericleadingzeros linesep
dropfieldifallnull columnnameofcorruptrecord singlevariantcolumn
"""),
    ),
    "parquet": frozenset({"datetimerebasemode", "int96rebasemode"}),
    "avro": frozenset({"datetimerebasemode"}),
    "orc": frozenset(),
    "excel": frozenset({"header", "sheet", "sheetname", "skiprows", "nullvalue"}),
    "sqlite": frozenset({"table", "dbtable", "nullvalue"}),
}
_WITHOUT_EFFECT = {
    "enforceschema": "true",
    "allowunquotedfieldnames": "false",
    "dropfieldifallnull": "false",
    "readercasesensitive": "false",
    "primitivesasstring": "false",
    "prefersdecimal": "false",
}
"""Options that Insjö only knows at one value; another one would change rows, so it is refused."""

_CHARACTERS_MAX = 4


@dataclass(frozen=True, slots=True)
class FileOptions:
    """Options after checking; keys in lower case."""

    format: str
    values: Mapping[str, str]

    def flag(self, key: str, *, default: bool) -> bool:
        """An option that is true or false."""
        value = self.values.get(key)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            message = f"The option `{key}` is true or false, and not `{value}`."
            raise FileOptionInvalid(message)
        return value.lower() == "true"

    def character(self, key: str) -> str | None:
        r"""An option that is a character or a few of them; `\\t` stands for a tab."""
        value = self.values.get(key)
        if value is None:
            return None
        value = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\r\\n": "\r\n", "\\0": "\0"}.get(value, value)
        if len(value) > _CHARACTERS_MAX or "\0" in value:
            message = f"The option `{key}` is at most {_CHARACTERS_MAX} characters long."
            raise FileOptionInvalid(message)
        return value

    @property
    def mode(self) -> str:
        """What happens to a malformed row: FAILFAST (the default here), PERMISSIVE or DROPMALFORMED."""
        mode = self.values.get("mode", "FAILFAST").upper()
        if mode not in {"FAILFAST", "PERMISSIVE", "DROPMALFORMED"}:
            message = f"`{mode}` is not a mode."
            raise FileOptionInvalid(message, hint="Use FAILFAST, PERMISSIVE or DROPMALFORMED.")
        return mode

    @property
    def infers(self) -> bool:
        """Whether the types of columns are found out from the values."""
        return self.flag("infercolumntypes", default=self.flag("inferschema", default=True))


def checked_options(file_format: str, given: Mapping[str, str]) -> FileOptions:
    """Options that the format knows; raises FileOptionInvalid or UnsupportedFeature."""
    file_format = ALIASES.get(file_format.lower(), file_format.lower())
    if file_format not in FORMATS:
        if file_format in {"text", "binaryfile", "xml", "delta"}:
            message = f"Reading files of the format `{file_format}` is not supported."
            hint = "Insjö reads CSV, JSON, Parquet, Avro, ORC and Excel."
            raise UnsupportedFeature(message, hint=hint, details={"feature": f"format {file_format}"})
        message = f"`{file_format}` is not a file format."
        raise FileOptionInvalid(message, hint=did_you_mean(file_format, FORMATS) or "Use csv, json, parquet, avro, orc or excel.")
    known = _COMMON | _BY_FORMAT[file_format]
    values: dict[str, str] = {}
    for key, value in given.items():
        folded = key.lower()
        if folded not in known:
            message = f"`{key}` is not an option for files of the format {file_format}."
            raise FileOptionInvalid(message, hint=did_you_mean(folded, known))
        if folded in _WITHOUT_EFFECT and value.lower() != _WITHOUT_EFFECT[folded]:
            message = f"The option `{key}` is only supported as {_WITHOUT_EFFECT[folded]}."
            raise UnsupportedFeature(message, details={"feature": f"option {key}"})
        if folded in {"partitioncolumns", "singlevariantcolumn", "columnnameofcorruptrecord", "maxfilesize", "timezone", "locale"}:
            message = f"The option `{key}` is not supported."
            raise UnsupportedFeature(message, details={"feature": f"option {key}"})
        values[folded] = value
    return FileOptions(file_format, values)


def csv_reader_options(options: FileOptions) -> list[str]:
    """How the engine's CSV reader is told, without columns and types."""
    separator = options.character("sep") or options.character("delimiter") or ","
    nulls = list(dict.fromkeys(["", options.values.get("nullvalue", "")]))
    found = [
        f"delim = {text.literal(separator)}",
        f"header = {str(options.flag('header', default=False)).lower()}",
        f"nullstr = {text.literals(nulls)}",
        "allow_quoted_nulls = false",
        "hive_partitioning = false",
        f"quote = {text.literal(_or_default(options.character('quote'), chr(34)))}",
        f"encoding = {text.literal(encoding(options))}",
        f"strict_mode = {'true' if options.mode == 'FAILFAST' else 'false'}",
    ]
    escape = options.character("escape")
    if escape is not None and escape != "\\":
        found.append(f"escape = {text.literal(escape)}")
    else:
        found.append(f"escape = {text.literal(_or_default(options.character('quote'), chr(34)))}")
    if comment := options.character("comment"):
        found.append(f"comment = {text.literal(comment)}")
    skip = options.values.get("skiprows", "0")
    if not skip.isdigit():
        message = f"The option `skipRows` is a number, and not `{skip}`."
        raise FileOptionInvalid(message)
    found.append(f"skip = {skip}")  # Said even when it is 0: the engine would pass over lines that it finds odd.
    if options.mode == "PERMISSIVE":
        found.append("null_padding = true")
    if options.mode == "DROPMALFORMED":
        found.append("ignore_errors = true")
    return [*found, *_moment_formats(options)]


def json_reader_options(options: FileOptions) -> list[str]:
    """How the engine's JSON reader is told, without columns."""
    multiline = options.flag("multiline", default=False)
    found = [f"format = '{'auto' if multiline else 'newline_delimited'}'", "hive_partitioning = false"]
    return [*found, *_moment_formats(options)]


def encoding(options: FileOptions) -> str:
    """Encoding by the engine's name, after `foreign_encoding` was dealt with."""
    return _ENCODINGS.get(_encoding_name(options), "utf-8")


def foreign_encoding(options: FileOptions) -> str:
    """Encoding that the engine does not read, by Python's name, or an empty text; raises FileOptionInvalid for one that nobody knows."""
    name = _encoding_name(options)
    if options.format not in {"csv", "json"} or name in _ENCODINGS:
        return "latin-1" if options.format == "json" and _ENCODINGS.get(name) == "latin-1" else ""
    if name not in _CONVERTED_ENCODINGS:
        message = f"Files in the encoding `{name}` cannot be read."
        raise FileOptionInvalid(message, hint=did_you_mean(name, _CONVERTED_ENCODINGS) or "Use UTF-8, UTF-16, windows-1252 or ISO-8859-1.")
    return name.replace("windows-", "cp").replace("macintosh", "mac-roman")


def _encoding_name(options: FileOptions) -> str:
    name = (options.values.get("encoding") or options.values.get("charset") or "utf-8").lower()
    return {"utf16": "utf-16", "cp1252": "windows-1252", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be", "latin-9": "iso-8859-15"}.get(
        name, name
    )


_PATTERN_PARTS = {
    "yyyy": "%Y",
    "MM": "%m",
    "dd": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
    "SSSSSS": "%f",
    "SSS": "%g",
    "yy": "%y",
    "MMM": "%b",
    "hh": "%I",
    "a": "%p",
    "XXX": "%z",
}


def _moment_formats(options: FileOptions) -> list[str]:
    """Formats of dates and timestamps; ISO unless the options say otherwise."""
    found = []
    if pattern := options.values.get("dateformat"):
        found.append(f"dateformat = {text.literal(strptime_pattern(pattern))}")
    if pattern := options.values.get("timestampformat"):
        found.append(f"timestampformat = {text.literal(strptime_pattern(pattern))}")
    return found


def strptime_pattern(pattern: str) -> str:
    """A date pattern of Databricks in the engine's words; raises FileOptionInvalid for letters that it does not know."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "'":
            end = pattern.find("'", at + 1)
            if end < 0:
                message = f"The date pattern `{pattern}` has an open quote."
                raise FileOptionInvalid(message)
            parts.append(pattern[at + 1 : end].replace("%", "%%") or "'")
            at = end + 1
            continue
        if not letter.isalpha():
            parts.append("%%" if letter == "%" else letter)
            at += 1
            continue
        end = at
        while end < len(pattern) and pattern[end] == letter:
            end += 1
        word = pattern[at:end]
        known = _PATTERN_PARTS.get(word)
        if known is None:
            message = f"`{word}` in the date pattern `{pattern}` is not supported."
            raise FileOptionInvalid(message, hint="Use patterns such as `yyyy-MM-dd` or `dd/MM/yyyy HH:mm:ss`.")
        parts.append(known)
        at = end
    return "".join(parts)


def _or_default(value: str | None, default: str) -> str:
    """The value, which may be empty, unless it is missing."""
    return default if value is None else value
