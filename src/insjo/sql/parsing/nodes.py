"""Statements after reading: one frozen class each.  Queries and changes of rows keep sqlglot's tree, all else is plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from insjo.sql.parsing.guard_nodes import GuardCommand

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

    from insjo.sql.parsing.definitions import ColumnDefinition, ConstraintDefinition

NamePath: TypeAlias = tuple[str, ...]
"""Parts of a name as written, the last one is the object's own."""


@dataclass(frozen=True, slots=True)
class Query:
    """SELECT, VALUES, WITH, FROM, TABLE."""

    tree: exp.Expr


@dataclass(frozen=True, slots=True)
class Explain:
    """EXPLAIN of a query."""

    tree: exp.Expr


@dataclass(frozen=True, slots=True)
class Insert:
    """INSERT in all forms.

    Attributes:
        columns: The list after the table, or None.
        partition: Values of `PARTITION (p = 1)`; None as value means a column of the query.
        replace_where: Condition whose rows the query replaces.
        evolves: WITH SCHEMA EVOLUTION: columns that the table lacks are added to it.
        replace_on: Condition over a row of the table and one of the query; rows of the table for which it holds go.
        replace_using: Columns in which a row of the table equals one of the query; such rows of the table go.
        alias: What `replace_on` calls the table, and `source_alias` the query.
    """

    target: NamePath
    tree: exp.Expr
    columns: tuple[str, ...] | None = None
    by_name: bool = False
    overwrite: bool = False
    partition: Mapping[str, exp.Expr | None] = field(default_factory=dict)
    replace_where: exp.Expr | None = None
    evolves: bool = False
    replace_on: exp.Expr | None = None
    replace_using: tuple[str, ...] = ()
    alias: str = ""
    source_alias: str = ""

    @property
    def matches(self) -> bool:
        """Whether rows go that match rows of the query."""
        return self.replace_on is not None or bool(self.replace_using)

    @property
    def replaces(self) -> bool:
        """Whether some rows of the table go, and which depends on what they are."""
        return self.replace_where is not None or self.matches


@dataclass(frozen=True, slots=True)
class Update:
    """UPDATE."""

    tree: exp.Expr


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE."""

    tree: exp.Expr


@dataclass(frozen=True, slots=True)
class Merge:
    """MERGE INTO; `evolves` is WITH SCHEMA EVOLUTION, `copy_id` the load that it belongs to."""

    tree: exp.Expr
    evolves: bool = False
    copy_id: str = ""


@dataclass(frozen=True, slots=True)
class Truncate:
    """TRUNCATE TABLE."""

    target: NamePath


@dataclass(frozen=True, slots=True)
class CreateCatalog:
    """CREATE CATALOG."""

    name: str
    comment: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateSchema:
    """CREATE SCHEMA or DATABASE."""

    name: NamePath
    comment: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateVolume:
    """CREATE VOLUME."""

    name: NamePath
    comment: str = ""
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateTable:
    """CREATE TABLE with columns, with a query, like another table, or as a clone, whose `tree` reads the whole other table."""

    name: NamePath
    columns: tuple[ColumnDefinition, ...] = ()
    tree: exp.Expr | None = None
    like: NamePath | None = None
    comment: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    partition_columns: tuple[str, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False
    clone: NamePath | None = None
    constraints: tuple[ConstraintDefinition, ...] = ()
    clustering: tuple[str, ...] = ()
    location: str = ""


@dataclass(frozen=True, slots=True)
class CreateView:
    """CREATE VIEW; `definition` is the text of its query."""

    name: NamePath
    definition: str
    tree: exp.Expr
    columns: tuple[ColumnDefinition, ...] = ()
    comment: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    or_replace: bool = False
    if_not_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class CreateFunction:
    """CREATE FUNCTION in SQL; `body` is the text after RETURN.

    Attributes:
        returns: Type of the value, or None when it is to be found out.
        returns_columns: Columns of a table function, or None for a scalar one; empty when they are to be found out.
    """

    name: NamePath
    parameters: tuple[FunctionParameter, ...]
    returns: str | None
    returns_columns: tuple[ColumnDefinition, ...] | None
    body: str
    comment: str = ""
    or_replace: bool = False
    if_not_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class FunctionParameter:
    """Parameter of a function; `default` is the text of an expression, or empty."""

    name: str
    type_text: str
    default: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """DROP of anything; `kind` is CATALOG, SCHEMA, TABLE, VIEW, VOLUME or FUNCTION; with `purge` it cannot be brought back."""

    kind: str
    name: NamePath
    if_exists: bool = False
    cascade: bool = False
    purge: bool = False


@dataclass(frozen=True, slots=True)
class Undrop:
    """UNDROP TABLE, by its name or WITH ID."""

    name: NamePath = ()
    table_id: str = ""


@dataclass(frozen=True, slots=True)
class AlterOwner:
    """ALTER ... [SET] OWNER TO."""

    kind: str
    name: NamePath
    owner: str


@dataclass(frozen=True, slots=True)
class AlterName:
    """ALTER ... RENAME TO."""

    kind: str
    name: NamePath
    new_name: NamePath


@dataclass(frozen=True, slots=True)
class AlterProperties:
    """ALTER ... SET or UNSET TBLPROPERTIES; a None value removes the property."""

    kind: str
    name: NamePath
    changes: Mapping[str, str | None]
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class AddColumns:
    """ALTER TABLE ADD COLUMNS."""

    name: NamePath
    columns: tuple[PlacedColumn, ...]
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    """A new column; `after` is the column it follows, an empty text puts it first, None puts it last."""

    column: ColumnDefinition
    after: str | None = None


@dataclass(frozen=True, slots=True)
class DropColumns:
    """ALTER TABLE DROP COLUMNS."""

    name: NamePath
    columns: tuple[str, ...]
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """ALTER TABLE RENAME COLUMN."""

    name: NamePath
    column: str
    new_name: str


@dataclass(frozen=True, slots=True)
class AlterColumn:
    """ALTER TABLE ALTER COLUMN; `change` is `SET NOT NULL`, `DROP NOT NULL`, `SET DEFAULT`, `DROP DEFAULT`, `TYPE` or `PLACE`.

    Attributes:
        value: Text of the default, the type, or the column before it (empty puts it first).
    """

    name: NamePath
    column: str
    change: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class AddConstraint:
    """ALTER TABLE ADD CONSTRAINT."""

    name: NamePath
    constraint: ConstraintDefinition


@dataclass(frozen=True, slots=True)
class DropConstraint:
    """ALTER TABLE DROP CONSTRAINT name, DROP PRIMARY KEY, DROP FOREIGN KEY (columns)."""

    name: NamePath
    constraint: str = ""
    kind: str = ""
    columns: tuple[str, ...] = ()
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class ClusterBy:
    """ALTER TABLE CLUSTER BY (columns); none for `NONE` and `AUTO`."""

    name: NamePath
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AlterView:
    """ALTER VIEW ... AS query."""

    name: NamePath
    definition: str
    tree: exp.Expr


@dataclass(frozen=True, slots=True)
class CommentOn:
    """COMMENT ON ... IS, and ALTER TABLE ... ALTER COLUMN ... COMMENT (then with `column`)."""

    kind: str
    name: NamePath
    comment: str
    column: str = ""


@dataclass(frozen=True, slots=True)
class GrantChange:
    """GRANT (`revoke` false) and REVOKE."""

    privileges: tuple[str, ...]
    kind: str
    name: NamePath
    principal: str
    revoke: bool = False


@dataclass(frozen=True, slots=True)
class ShowGrants:
    """SHOW GRANTS."""

    kind: str
    name: NamePath
    principal: str = ""


@dataclass(frozen=True, slots=True)
class Show:
    """SHOW of objects.

    Attributes:
        what: CATALOGS, SCHEMAS, TABLES, VIEWS, COLUMNS, VOLUMES, FUNCTIONS, TBLPROPERTIES, CREATE TABLE, PARTITIONS, ...
        scope: The catalog, schema or table after IN, FROM or ON.
        scope_kind: What `scope` is when the statement says it: CATALOG, SCHEMA, ALL CATALOGS, or empty.
        pattern: After LIKE; `*` stands for any text and `|` for or.
        patterns: Further patterns of the drivers' forms: SCHEMA LIKE, TABLE LIKE.
        key: One property of SHOW TBLPROPERTIES, or the LIMIT of SHOW TABLES DROPPED.
    """

    what: str
    scope: NamePath = ()
    scope_kind: str = ""
    pattern: str | None = None
    patterns: Mapping[str, str] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Describe:
    """DESCRIBE of an object; `kind` is TABLE, SCHEMA, CATALOG, VOLUME, FUNCTION, HISTORY or DETAIL."""

    kind: str
    name: NamePath
    extended: bool = False
    as_json: bool = False
    column: str = ""


@dataclass(frozen=True, slots=True)
class DescribeQuery:
    """DESCRIBE QUERY."""

    tree: exp.Expr


@dataclass(frozen=True, slots=True)
class Use:
    """USE CATALOG, USE SCHEMA, USE name; `kind` is CATALOG, SCHEMA or empty."""

    kind: str
    name: NamePath


@dataclass(frozen=True, slots=True)
class SetSetting:
    """SET key = value; an empty key shows all settings, a None value shows one."""

    key: str = ""
    value: str | None = None


@dataclass(frozen=True, slots=True)
class ResetSetting:
    """RESET [key]."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class DeclareVariable:
    """DECLARE [OR REPLACE] VARIABLE."""

    name: str
    type_text: str
    default: exp.Expr | None
    or_replace: bool = False


@dataclass(frozen=True, slots=True)
class SetVariable:
    """SET VAR name = expression."""

    name: str
    value: exp.Expr


@dataclass(frozen=True, slots=True)
class AssignVariables:
    """SET VAR (a, b) = (query), or a = expression, b = expression: several variables get the values of one row together."""

    names: tuple[str, ...]
    tree: exp.Expr


@dataclass(frozen=True, slots=True)
class DropVariable:
    """DROP TEMPORARY VARIABLE."""

    name: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class CopyInto:
    """COPY INTO.

    Attributes:
        path: Volume path of the source.
        tree: `SELECT ... FROM '<path>'` with the path in place of a table, or None for all columns.
        file_format: CSV, JSON or PARQUET.
        files: Names below the path, or empty.
        pattern: Glob pattern below the path, or empty.
    """

    target: NamePath
    path: str
    file_format: str
    columns: tuple[str, ...] | None = None
    tree: exp.Expr | None = None
    files: tuple[str, ...] = ()
    pattern: str = ""
    format_options: Mapping[str, str] = field(default_factory=dict)
    copy_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListFiles:
    """LIST '<path>' [LIMIT n]."""

    path: str
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Restore:
    """RESTORE TABLE ... TO VERSION or TIMESTAMP AS OF."""

    name: NamePath
    version: int | None = None
    timestamp: exp.Expr | None = None


@dataclass(frozen=True, slots=True)
class Optimize:
    """OPTIMIZE: puts small files together; with `zorder`, or `full` of a clustered table, it sorts all of them."""

    name: NamePath
    where: exp.Expr | None = None
    zorder: tuple[str, ...] = ()
    full: bool = False


@dataclass(frozen=True, slots=True)
class Vacuum:
    """VACUUM: deletes files that no version needs any more."""

    name: NamePath
    retain_hours: int | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Refresh:
    """REFRESH TABLE and ANALYZE TABLE: nothing to do here, since every statement sees the newest version and its statistics."""

    name: NamePath


@dataclass(frozen=True, slots=True)
class ExecuteImmediate:
    """EXECUTE IMMEDIATE: a statement in a text, with the values and names of its parameters, and variables for the row that it gives."""

    text: exp.Expr
    arguments: tuple[tuple[exp.Expr, str], ...] = ()
    into: tuple[str, ...] = ()


Command: TypeAlias = (
    Query
    | Explain
    | Insert
    | Update
    | Delete
    | Merge
    | Truncate
    | CreateCatalog
    | CreateSchema
    | CreateVolume
    | CreateTable
    | CreateView
    | CreateFunction
    | Drop
    | Undrop
    | AlterOwner
    | AlterName
    | AlterProperties
    | AddColumns
    | DropColumns
    | RenameColumn
    | AlterColumn
    | AddConstraint
    | DropConstraint
    | ClusterBy
    | AlterView
    | CommentOn
    | GrantChange
    | ShowGrants
    | Show
    | Describe
    | DescribeQuery
    | Use
    | SetSetting
    | ResetSetting
    | DeclareVariable
    | SetVariable
    | AssignVariables
    | DropVariable
    | CopyInto
    | ListFiles
    | Restore
    | Optimize
    | Vacuum
    | Refresh
    | ExecuteImmediate
    | GuardCommand
)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A statement that was read; `kind` is its name for history and audit."""

    kind: str
    command: Command
