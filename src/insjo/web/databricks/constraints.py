"""Doors: primary and foreign keys of tables (wire: `TableConstraintsAPI` of databricks-sdk).

Keys are added and dropped by the statements that do the same, so that both doors know the same rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.catalog.types import TableName
from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.sql.types import StatementSpec
from insjo.web.databricks.keys import key_bodies
from insjo.web.databricks.unity import PREFIX
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from collections.abc import Iterable

COLUMNS_MAX = 100


class PrimaryKey(msgspec.Struct):
    """A primary key."""

    name: str
    child_columns: list[str]
    rely: bool = False
    timeseries_columns: list[str] = []


class ForeignKey(msgspec.Struct):
    """A foreign key."""

    name: str
    child_columns: list[str]
    parent_table: str
    parent_columns: list[str] = []
    rely: bool = False


class Constraint(msgspec.Struct):
    """One of the kinds of constraints."""

    primary_key_constraint: PrimaryKey | None = None
    foreign_key_constraint: ForeignKey | None = None


class ConstraintBody(msgspec.Struct):
    """A key to add to a table."""

    full_name_arg: str
    constraint: Constraint


def _quoted(name: str) -> str:
    """A name as SQL text holds it."""
    if not name or "\0" in name:
        raise InvalidArgument("A name is empty.")
    return "`" + name.replace("`", "``") + "`"


def _list(names: Iterable[str]) -> str:
    """Columns in brackets."""
    quoted = [_quoted(each) for each in names]
    if not 1 <= len(quoted) <= COLUMNS_MAX:
        raise InvalidArgument(f"A key has one to {COLUMNS_MAX} columns.")
    return f"({', '.join(quoted)})"


def _table(full_name: str) -> str:
    """A table's three-part name, quoted."""
    parsed = TableName.parse(full_name)
    return ".".join(_quoted(each) for each in (parsed.catalog, parsed.schema, parsed.name))


async def create(call: Call) -> Response:
    """Add a key."""
    body = await call.json(ConstraintBody)
    primary, foreign = body.constraint.primary_key_constraint, body.constraint.foreign_key_constraint
    if primary is not None and foreign is None:
        if primary.timeseries_columns:
            raise Unimplemented("`timeseries_columns` of primary keys are not implemented by Insjö.")
        what = f"{_quoted(primary.name)} PRIMARY KEY {_list(primary.child_columns)}{' RELY' if primary.rely else ''}"
    elif foreign is not None and primary is None:
        columns = _list(foreign.parent_columns) if foreign.parent_columns else ""
        what = f"{_quoted(foreign.name)} FOREIGN KEY {_list(foreign.child_columns)} REFERENCES {_table(foreign.parent_table)} {columns}"
        what += " RELY" if foreign.rely else ""
    else:
        raise Unimplemented("Only primary and foreign keys can be made here.", hint="Write ALTER TABLE ... ADD CONSTRAINT for checks.")
    await _run(call, f"ALTER TABLE {_table(body.full_name_arg)} ADD CONSTRAINT {what}")
    table = await call.run(call.services.catalog.tables.get, call.ctx, TableName.parse(body.full_name_arg))
    made = (primary or foreign or PrimaryKey("", [])).name.lower()
    found = [key for key in await key_bodies(call, table) if any(str(each["name"]).lower() == made for each in _inner(key))]
    return JSONResponse(found[0] if found else {})


def _inner(body: dict[str, object]) -> list[dict[str, object]]:
    """What stands under the kind."""
    return [each for each in body.values() if isinstance(each, dict)]


async def delete(call: Call) -> Response:
    """Drop a key; with `cascade` also the foreign keys that point to it."""
    cascade = " CASCADE" if call.query_bool("cascade") else ""
    await _run(call, f"ALTER TABLE {_table(call.path('full_name'))} DROP CONSTRAINT {_quoted(call.query('constraint_name'))}{cascade}")
    return JSONResponse({})


async def _run(call: Call, text: str) -> None:
    """Run the statement with the caller's rights."""
    await call.run(call.services.sql.statements.run, call.ctx, StatementSpec(text))


ROUTES = (
    DoorRoute("POST", f"{PREFIX}/constraints", create, "databricks"),
    DoorRoute("DELETE", f"{PREFIX}/constraints/{{full_name}}", delete, "databricks"),
)
