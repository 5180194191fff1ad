"""Doors: functions in SQL (Unity Catalog's functions API)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.types import METASTORE_ID, SecurableKind
from insjo.catalog.types import Column, TableName
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument, Unimplemented
from insjo.kernel.paging import page_of
from insjo.sql.types import StatementSpec
from insjo.web.databricks.columns import TYPE_NAMES, column_body
from insjo.web.databricks.unity import PREFIX, listing, page_request
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.sql.binding.functions import SqlFunction

_TYPE = re.compile(r"[A-Za-z][\w ,:<>()]{0,2000}")
_STATEMENT_S = 60.0


class Parameters(msgspec.Struct):
    """Parameters of a function, or columns of a table function."""

    parameters: list[dict[str, Any]] = []


class NewFunction(msgspec.Struct):
    """A function to create."""

    name: str
    catalog_name: str
    schema_name: str
    routine_definition: str
    input_params: Parameters = msgspec.field(default_factory=Parameters)
    data_type: str = ""
    full_data_type: str = ""
    routine_body: str = "SQL"
    return_params: Parameters | None = None
    comment: str = ""


class CreateBody(msgspec.Struct):
    """The wrapping of a function to create."""

    function_info: NewFunction


class OwnerBody(msgspec.Struct):
    """What can be changed of a function."""

    owner: str


def function_body(function: SqlFunction, *, own: bool) -> dict[str, object]:
    """A function on the wire; its text is for its owner."""
    base = function.returns.partition("(")[0].partition("<")[0]
    body: dict[str, object] = {
        "name": function.name.name,
        "catalog_name": function.name.catalog,
        "schema_name": function.name.schema,
        "full_name": function.name.full_name,
        "function_id": function.id,
        "metastore_id": METASTORE_ID,
        "owner": function.owner.name,
        "comment": function.comment,
        "data_type": "TABLE_TYPE" if function.is_table else TYPE_NAMES.get(base, base.upper()),
        "full_data_type": _full_type(function),
        "input_params": {
            "parameters": [
                column_body(Column(each.name, each.type_text, comment=""), at)
                | {"parameter_mode": "IN", "parameter_type": "PARAM"}
                | ({"parameter_default": each.default} if each.default else {})
                for at, each in enumerate(function.parameters)
            ]
        },
        "routine_body": "SQL",
        "parameter_style": "S",
        "is_deterministic": True,
        "is_null_call": False,
        "security_type": "DEFINER",
        "sql_data_access": "READS_SQL_DATA",
        "specific_name": function.name.name,
    }
    if function.is_table:
        body["return_params"] = {"parameters": [column_body(column, at) for at, column in enumerate(function.returns_columns)]}
    if own:
        body["routine_definition"] = function.body
    if function.created_at is not None:
        body |= {"created_at": epoch_ms(function.created_at), "created_by": function.created_by}
    return body


def _full_type(function: SqlFunction) -> str:
    if not function.is_table:
        return function.returns
    return "(" + ",".join(f"{column.name} {column.type_text}" for column in function.returns_columns) + ")"


def _shown(call: Call, function: SqlFunction) -> dict[str, object]:
    return function_body(function, own=function.owner.name == call.ctx.principal.name)


async def list_functions(call: Call) -> Response:
    """Functions of a schema that the caller may see."""
    catalog, schema = call.query("catalog_name").lower(), call.query("schema_name").lower()
    if not catalog or not schema:
        raise InvalidArgument("The parameters `catalog_name` and `schema_name` are needed.")
    await call.run(call.services.access.securables.resolve, call.ctx, SecurableKind.SCHEMA, f"{catalog}.{schema}", None)
    page = page_request(call)
    found = await call.run(call.services.sql.functions.list, call.ctx, catalog, schema)
    rest = [each for each in found if each.name.name > page.after()]
    shown = page_of(rest[: page.size + 1], page.size, lambda each: each.name.name)
    return listing("functions", [_shown(call, each) for each in shown.items], shown.next_token)


async def get_function(call: Call) -> Response:
    """One function."""
    return JSONResponse(_shown(call, await _get(call, TableName.parse(call.path("name")))))


async def _get(call: Call, name: TableName) -> SqlFunction:
    return await call.run(call.services.sql.functions.get, call.ctx, name)


async def create_function(call: Call) -> Response:
    """A new function; it is made by the statement that would make it, so that it is checked in the same way."""
    info = (await call.json(CreateBody)).function_info
    if info.routine_body != "SQL":
        raise Unimplemented(f"Functions with a body of `{info.routine_body}` are not implemented.", hint="Write the function in SQL.")
    name = TableName(info.catalog_name, info.schema_name, info.name)
    parameters = ", ".join(_parameter(each) for each in info.input_params.parameters)
    parts = [f"CREATE FUNCTION {_quoted(name.catalog)}.{_quoted(name.schema)}.{_quoted(name.name)}({parameters})"]
    if info.return_params is not None and info.return_params.parameters:
        columns = ", ".join(f"{_quoted(str(each.get('name', '')))} {_type(each)}" for each in info.return_params.parameters)
        parts.append(f"RETURNS TABLE ({columns})")
    else:
        parts.append(f"RETURNS {_type({'type_text': info.full_data_type or info.data_type})}")
    if info.comment:
        parts.append(f"COMMENT {_literal(info.comment)}")
    parts.append(f"RETURN {info.routine_definition}")
    await call.run(call.services.sql.statements.run, call.ctx, StatementSpec("\n".join(parts)), _STATEMENT_S)
    return JSONResponse(_shown(call, await _get(call, name)))


def _parameter(body: dict[str, Any]) -> str:
    """One parameter of a statement."""
    text = f"{_quoted(str(body.get('name', '')))} {_type(body)}"
    if body.get("parameter_default"):
        text += f" DEFAULT {body['parameter_default']}"
    return text + (f" COMMENT {_literal(str(body['comment']))}" if body.get("comment") else "")


def _type(body: dict[str, Any]) -> str:
    """The type that a body names."""
    text = str(body.get("type_text") or body.get("type_name") or "")
    if not _TYPE.fullmatch(text):
        raise InvalidArgument(f"`{text[:100]}` is no type.", hint="Give `type_text`, for example `int`.")
    return {"LONG": "BIGINT", "SHORT": "SMALLINT", "BYTE": "TINYINT"}.get(text, text)


def _quoted(text: str) -> str:
    return "`" + text.replace("`", "``") + "`"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


async def update_function(call: Call) -> Response:
    """Hand a function to another owner."""
    body = await call.json(OwnerBody)
    name = TableName.parse(call.path("name"))
    access = call.services.access
    found = await call.run(access.securables.resolve, call.ctx, SecurableKind.FUNCTION, name.full_name, None)
    owner = await call.run(access.principals.by_name, body.owner)
    await call.run(access.securables.set_owner, call.ctx, found.id, owner.id)
    return JSONResponse(_shown(call, await _get(call, name)))


async def delete_function(call: Call) -> Response:
    """Drop a function."""
    await call.run(call.services.sql.functions.drop, call.ctx, TableName.parse(call.path("name")), if_exists=False)
    return JSONResponse({})


ROUTES = (
    DoorRoute("GET", f"{PREFIX}/functions", list_functions, "databricks"),
    DoorRoute("POST", f"{PREFIX}/functions", create_function, "databricks"),
    DoorRoute("GET", f"{PREFIX}/functions/{{name}}", get_function, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/functions/{{name}}", update_function, "databricks"),
    DoorRoute("DELETE", f"{PREFIX}/functions/{{name}}", delete_function, "databricks"),
)
