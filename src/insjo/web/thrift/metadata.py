"""What drivers ask about the catalog: catalogs, schemas, tables, columns, functions and types, as the caller may see them now.

Names of columns are those of JDBC's `DatabaseMetaData`, as Hive's `TCLIService` gives them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from insjo.catalog.types import TableType
from insjo.kernel.errors import ResourceExhausted
from insjo.kernel.patterns import Wildcard, fits
from insjo.sql.types import ResultColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from insjo.catalog.types import Column, Key, Table
    from insjo.kernel.context import RequestContext
    from insjo.kernel.patterns import Token
    from insjo.web.thrift.messages import GetColumnsReq, GetCrossReferenceReq, GetTablesReq, NamedReq
    from insjo.web.types import Services

    Row = tuple[object, ...]

ROWS_MAX = 500_000
INFORMATION_SCHEMA = "information_schema"
NULLABLE, NOT_NULLABLE = 1, 0
PRIMARY_KEY = "PRIMARY KEY"
NO_ACTION, NOT_DEFERRABLE = 3, 7
"""JDBC's `importedKeyNoAction` and `importedKeyNotDeferrable`."""

DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
ARROW = {"string": pa.string(), "int": pa.int32(), "smallint": pa.int16(), "boolean": pa.bool_()}

JDBC_TYPES = {
    "boolean": (16, 1),
    "tinyint": (-6, 3),
    "smallint": (5, 5),
    "int": (4, 10),
    "bigint": (-5, 19),
    "float": (6, 7),
    "double": (8, 15),
    "decimal": (3, 38),
    "date": (91, 10),
    "timestamp": (93, 29),
    "timestamp_ntz": (93, 29),
    "string": (12, 2_147_483_647),
    "binary": (-2, 2_147_483_647),
    "array": (2003, None),
    "map": (2000, None),
    "struct": (2002, None),
    "void": (0, None),
}
"""Number in `java.sql.Types` and size of a column; others are `OTHER`."""

JDBC_OTHER = 1111
WILDCARDS = {"%": Wildcard.MANY, "_": Wildcard.ONE}
NUMBERS = frozenset({"tinyint", "smallint", "int", "bigint", "float", "double", "decimal"})


class TooMuchMetadata(ResourceExhausted):
    """More objects fit the patterns than are told at once."""

    code = "TOO_MUCH_METADATA"


@dataclass(frozen=True, slots=True)
class Question:
    """A question about the catalog.  It is answered anew with each call, so that what is told follows the rights as they are."""

    shape: tuple[tuple[str, str], ...]
    rows: Callable[[Services, RequestContext], Iterable[Row]]

    @property
    def columns(self) -> tuple[ResultColumn, ...]:
        """Columns of the answer."""
        return tuple(ResultColumn(name, kind, kind.upper(), at) for at, (name, kind) in enumerate(self.shape))

    def answer(self, services: Services, ctx: RequestContext) -> pa.Table:
        """Rows of the answer."""
        rows = list(self.rows(services, ctx))
        if len(rows) > ROWS_MAX:
            raise TooMuchMetadata(f"More than {ROWS_MAX} rows would be told.", hint="Name a catalog, a schema or a table.")
        values: Sequence[Sequence[object]] = list(zip(*rows, strict=True)) if rows else [()] * len(self.shape)
        arrays = [pa.array(column, ARROW[kind]) for column, (_, kind) in zip(values, self.shape, strict=True)]
        return pa.table(arrays, names=[name for name, _ in self.shape])


def catalogs() -> Question:
    """GetCatalogs."""
    return Question(
        (("TABLE_CAT", "string"),), lambda services, ctx: ((row["catalog_name"],) for row in services.catalog.information.catalogs(ctx))
    )


def schemas(request: NamedReq) -> Question:
    """GetSchemas."""
    catalog, schema = Pattern(request.catalog_name), Pattern(request.schema_name)

    def rows(services: Services, ctx: RequestContext) -> Iterator[Row]:
        found = {
            (str(row["catalog_name"]), str(row["schema_name"])) for row in services.catalog.information.schemata(ctx, catalog.exact)
        } | {(name, INFORMATION_SCHEMA) for name in _catalog_names(services, ctx)}
        return ((name, own) for own, name in sorted(found) if catalog.fits(own) and schema.fits(name))

    return Question((("TABLE_SCHEM", "string"), ("TABLE_CATALOG", "string")), rows)


def tables(request: GetTablesReq) -> Question:
    """GetTables."""
    wanted = {each.upper() for each in request.table_types or ()}

    def rows(services: Services, ctx: RequestContext) -> Iterator[Row]:
        for each in _objects(services, ctx, request):
            if not wanted or each.kind in wanted:
                yield (each.catalog, each.schema, each.name, each.kind, each.comment, None, None, None, None, None)

    names = ("TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE", "REMARKS", "TYPE_CAT", "TYPE_SCHEM", "TYPE_NAME")
    return Question(tuple((name, "string") for name in (*names, "SELF_REFERENCING_COL_NAME", "REF_GENERATION")), rows)


def columns(request: GetColumnsReq) -> Question:
    """GetColumns."""
    wanted = Pattern(request.column_name)

    def rows(services: Services, ctx: RequestContext) -> Iterator[Row]:
        for each in _objects(services, ctx, request):
            for position, column in enumerate(each.columns, start=1):
                if wanted.fits(column.name):
                    yield _column_row(each, column, position)

    return Question(COLUMN_SHAPE, rows)


COLUMN_SHAPE = (
    ("TABLE_CAT", "string"),
    ("TABLE_SCHEM", "string"),
    ("TABLE_NAME", "string"),
    ("COLUMN_NAME", "string"),
    ("DATA_TYPE", "int"),
    ("TYPE_NAME", "string"),
    ("COLUMN_SIZE", "int"),
    ("BUFFER_LENGTH", "int"),
    ("DECIMAL_DIGITS", "int"),
    ("NUM_PREC_RADIX", "int"),
    ("NULLABLE", "int"),
    ("REMARKS", "string"),
    ("COLUMN_DEF", "string"),
    ("SQL_DATA_TYPE", "int"),
    ("SQL_DATETIME_SUB", "int"),
    ("CHAR_OCTET_LENGTH", "int"),
    ("ORDINAL_POSITION", "int"),
    ("IS_NULLABLE", "string"),
    ("SCOPE_CATALOG", "string"),
    ("SCOPE_SCHEMA", "string"),
    ("SCOPE_TABLE", "string"),
    ("SOURCE_DATA_TYPE", "smallint"),
    ("IS_AUTO_INCREMENT", "string"),
)


def functions(request: NamedReq) -> Question:
    """GetFunctions: those that people made; the dialect's own are in the manual."""
    catalog, schema, name = Pattern(request.catalog_name), Pattern(request.schema_name), Pattern(request.object_name)

    def rows(services: Services, ctx: RequestContext) -> Iterator[Row]:
        for each in services.sql.functions.list(ctx, "", ""):
            own = each.name
            if catalog.fits(own.catalog) and schema.fits(own.schema) and name.fits(own.name):
                yield (own.catalog, own.schema, own.name, each.comment, 1, own.full_name)

    shape = ("FUNCTION_CAT", "FUNCTION_SCHEM", "FUNCTION_NAME", "REMARKS")
    return Question((*((each, "string") for each in shape), ("FUNCTION_TYPE", "int"), ("SPECIFIC_NAME", "string")), rows)


def primary_keys(request: NamedReq) -> Question:
    """GetPrimaryKeys."""
    wanted = _Named(request.catalog_name, request.schema_name, request.object_name)

    def rows(services: Services, ctx: RequestContext) -> Iterator[Row]:
        for table in services.catalog.information.survey(ctx):
            for key in table.keys if wanted.fits(table) else ():
                if key.kind == PRIMARY_KEY:
                    for position, column in enumerate(key.columns, start=1):
                        yield (table.catalog, table.schema, table.name, column, position, key.name)

    shape = ("TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "COLUMN_NAME")
    return Question((*((each, "string") for each in shape), ("KEY_SEQ", "smallint"), ("PK_NAME", "string")), rows)


def cross_reference(request: GetCrossReferenceReq) -> Question:
    """GetCrossReference: foreign keys whose both ends the caller may see."""
    parents = _Named(request.parent_catalog_name, request.parent_schema_name, request.parent_table_name)
    children = _Named(request.foreign_catalog_name, request.foreign_schema_name, request.foreign_table_name)

    def rows(services: Services, ctx: RequestContext) -> Iterator[Row]:
        seen = {each.id: each for each in services.catalog.information.survey(ctx)}
        for child in seen.values():
            for key in child.keys if children.fits(child) else ():
                parent = seen.get(key.parent_id)
                if parent is not None and parents.fits(parent):
                    yield from _key_rows(parent, child, key)

    ends = (
        "PKTABLE_CAT",
        "PKTABLE_SCHEM",
        "PKTABLE_NAME",
        "PKCOLUMN_NAME",
        "FKTABLE_CAT",
        "FKTABLE_SCHEM",
        "FKTABLE_NAME",
        "FKCOLUMN_NAME",
    )
    rules = ("KEY_SEQ", "UPDATE_RULE", "DELETE_RULE")
    names = (("FK_NAME", "string"), ("PK_NAME", "string"), ("DEFERRABILITY", "smallint"))
    return Question((*((each, "string") for each in ends), *((each, "smallint") for each in rules), *names), rows)


def _key_rows(parent: Table, child: Table, key: Key) -> Iterator[Row]:
    """Pairs of columns of a foreign key."""
    own = next((each.name for each in parent.keys if each.kind == PRIMARY_KEY), None)
    for position, (column, other) in enumerate(zip(key.columns, key.parent_columns, strict=False), start=1):
        ends = (parent.catalog, parent.schema, parent.name, other, child.catalog, child.schema, child.name, column)
        yield (*ends, position, NO_ACTION, NO_ACTION, key.name, own, NOT_DEFERRABLE)


def table_types() -> Question:
    """GetTableTypes."""
    return Question((("TABLE_TYPE", "string"),), lambda _services, _ctx: [("TABLE",), ("VIEW",)])


def type_facts() -> Question:
    """GetTypeInfo."""
    shape = (
        ("TYPE_NAME", "string"),
        ("DATA_TYPE", "int"),
        ("PRECISION", "int"),
        ("LITERAL_PREFIX", "string"),
        ("LITERAL_SUFFIX", "string"),
        ("CREATE_PARAMS", "string"),
        ("NULLABLE", "smallint"),
        ("CASE_SENSITIVE", "boolean"),
        ("SEARCHABLE", "smallint"),
        ("UNSIGNED_ATTRIBUTE", "boolean"),
        ("FIXED_PREC_SCALE", "boolean"),
        ("AUTO_INCREMENT", "boolean"),
        ("LOCAL_TYPE_NAME", "string"),
        ("MINIMUM_SCALE", "smallint"),
        ("MAXIMUM_SCALE", "smallint"),
        ("SQL_DATA_TYPE", "int"),
        ("SQL_DATETIME_SUB", "int"),
        ("NUM_PREC_RADIX", "int"),
    )

    def rows(_services: Services, _ctx: RequestContext) -> Iterator[Row]:
        for word, (number, size) in JDBC_TYPES.items():
            radix, scale = 10 if word in NUMBERS else None, 38 if word == "decimal" else 0
            text, unsigned = word == "string", word not in NUMBERS
            yield (word.upper(), number, size, None, None, None, 1, text, 3, unsigned, False, False, None, 0, scale, None, None, radix)

    return Question(shape, rows)


class Pattern:
    """A pattern of JDBC: `%` for any characters, `_` for one, a backslash before what is meant as it is; absent fits all."""

    def __init__(self, text: str | None) -> None:
        self._all = not text or text in {"%", "*"}
        parts = re.findall(r"\\(.)|(.)", text or "", re.DOTALL)
        self._tokens: list[Token] = [escaped or WILDCARDS.get(each, each) for escaped, each in parts]
        self._plain = all(isinstance(each, str) for each in self._tokens)

    @property
    def exact(self) -> str:
        """The name when it is one, otherwise empty."""
        return "" if self._all or not self._plain else "".join(str(each) for each in self._tokens).lower()

    def fits(self, name: str) -> bool:
        """Whether a name fits."""
        return self._all or fits(self._tokens, name)


class _Named:
    """A table by its name; parts that are left out fit all."""

    def __init__(self, catalog: str | None, schema: str | None, name: str | None) -> None:
        self._parts = (catalog or "", schema or "", name or "")

    def fits(self, table: Table) -> bool:
        """Whether it is the one."""
        own = (table.catalog, table.schema, table.name)
        return all(not wanted or wanted.lower() == each.lower() for wanted, each in zip(self._parts, own, strict=True))


@dataclass(frozen=True, slots=True)
class _Object:
    """A table or view."""

    catalog: str
    schema: str
    name: str
    kind: str
    comment: str
    columns: Sequence[Column]


def _objects(services: Services, ctx: RequestContext, request: NamedReq) -> Iterator[_Object]:
    """Tables and views that fit, by name."""
    catalog, schema, name = Pattern(request.catalog_name), Pattern(request.schema_name), Pattern(request.object_name)
    found = [
        _Object(each.catalog, each.schema, each.name, "VIEW" if each.table_type is TableType.VIEW else "TABLE", each.comment, each.columns)
        for each in services.catalog.information.survey(ctx, catalog.exact, schema.exact)
    ]
    virtual = services.sql.virtual_tables
    if schema.fits(INFORMATION_SCHEMA):
        for own in _catalog_names(services, ctx):
            for each in virtual.information_names():
                table = virtual.information_schema(own, each)
                if table is not None:
                    found.append(_Object(own, INFORMATION_SCHEMA, each, "VIEW", "", table.columns))
    for item in sorted(found, key=lambda each: (each.catalog, each.schema, each.name)):
        if catalog.fits(item.catalog) and schema.fits(item.schema) and name.fits(item.name):
            yield item


def _catalog_names(services: Services, ctx: RequestContext) -> list[str]:
    return [str(row["catalog_name"]) for row in services.catalog.information.catalogs(ctx)]


def _column_row(table: _Object, column: Column, position: int) -> Row:
    """A column as JDBC tells it."""
    word = re.split(r"[(< ]", column.type_text.lower(), maxsplit=1)[0]
    number, size = JDBC_TYPES.get(word, (JDBC_OTHER, None))
    digits: int | None = 0 if word in NUMBERS - {"float", "double"} else None
    decimal = DECIMAL.fullmatch(column.type_text.lower())
    if decimal:
        size, digits = int(decimal[1]), int(decimal[2])
    return (
        table.catalog,
        table.schema,
        table.name,
        column.name,
        number,
        column.type_text.upper(),
        size,
        None,
        digits,
        10 if word in NUMBERS else None,
        NULLABLE if column.nullable else NOT_NULLABLE,
        column.comment,
        None,
        None,
        None,
        None,
        position,
        "YES" if column.nullable else "NO",
        None,
        None,
        None,
        None,
        "NO",
    )
