"""Doors: tags on entities, policies, and lineage (Unity Catalog)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.policies import MatchColumn, Policy, PolicyKind
from insjo.access.protection import Argument
from insjo.access.types import Privilege, SecurableKind
from insjo.catalog.types import TableName
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import page_of
from insjo.sql.commands.policies import check_function
from insjo.web.databricks.unity import PREFIX, listing, page_request
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from datetime import datetime

    from insjo.access.service.tags import Tag
    from insjo.access.types import Securable
    from insjo.catalog.types import Table

TAGS = f"{PREFIX}/entity-tag-assignments"
_ENTITIES = {
    "catalogs": SecurableKind.CATALOG,
    "schemas": SecurableKind.SCHEMA,
    "tables": SecurableKind.TABLE,
    "volumes": SecurableKind.VOLUME,
    "functions": SecurableKind.FUNCTION,
}
_TYPES = {"POLICY_TYPE_ROW_FILTER": PolicyKind.ROW_FILTER, "POLICY_TYPE_COLUMN_MASK": PolicyKind.COLUMN_MASK}
_POLICIES_MAX = 1000


class TagBody(msgspec.Struct):
    """A tag to set."""

    entity_name: str = ""
    entity_type: str = ""
    tag_key: str = ""
    tag_value: str = ""


# ------------------------------------------------------------------------------------------------------------------------ tags


async def _entity(call: Call, entity_type: str, name: str) -> tuple[Securable, str]:
    """The object that a call names, and the column of it (or nothing)."""
    column = ""
    if entity_type == "columns":
        name, _, column = name.rpartition(".")
        table = await call.run(call.services.catalog.tables.get, call.ctx, TableName.parse(name))
        if column.lower() not in {each.name.lower() for each in table.columns}:
            raise InvalidArgument(f"The table `{table.full_name}` has no column `{column}`.")
        entity_type = "tables"
    kind = _ENTITIES.get(entity_type)
    if kind is None:
        raise InvalidArgument(f"`{entity_type[:40]}` is no type of an entity.", hint=f"Use {', '.join(_ENTITIES)} or columns.")
    return await call.run(call.services.access.securables.resolve, call.ctx, kind, name.lower(), None), column


def _tag(tag: Tag, entity_type: str, name: str) -> dict[str, object]:
    """A tag on the wire."""
    body: dict[str, object] = {"entity_name": name, "entity_type": entity_type, "tag_key": tag.key, "tag_value": tag.value}
    if tag.changed_at is not None:
        body |= {"update_time": _time(tag.changed_at), "updated_by": tag.changed_by}
    return body


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def create_tag(call: Call) -> Response:
    """Put a tag on an entity."""
    body = await call.json(TagBody)
    securable, column = await _entity(call, body.entity_type, body.entity_name)
    await call.run(call.services.access.tags.change, call.ctx, securable.id, {body.tag_key: body.tag_value}, column)
    return await _one_tag(call, securable, column, body.entity_type, body.entity_name, body.tag_key)


async def _one_tag(call: Call, securable: Securable, column: str, entity_type: str, name: str, key: str) -> Response:
    tag = await call.run(call.services.access.tags.get, call.ctx, securable.id, key, column)
    return JSONResponse(_tag(tag, entity_type, name))


async def list_tags(call: Call) -> Response:
    """Tags of an entity."""
    entity_type, name = call.path("entity_type"), call.path("entity_name")
    securable, column = await _entity(call, entity_type, name)
    found = await call.run(call.services.access.tags.of, call.ctx, securable.id)
    page = page_request(call)
    own = [tag for tag in found if tag.column == column.lower() and tag.key > page.after()]
    shown = page_of(own[: page.size + 1], page.size, lambda tag: tag.key)
    return listing("tag_assignments", [_tag(tag, entity_type, name) for tag in shown.items], shown.next_token)


async def get_tag(call: Call) -> Response:
    """One tag of an entity."""
    securable, column = await _entity(call, call.path("entity_type"), call.path("entity_name"))
    return await _one_tag(call, securable, column, call.path("entity_type"), call.path("entity_name"), call.path("tag_key"))


async def update_tag(call: Call) -> Response:
    """Give a tag another value."""
    body = await call.json(TagBody)
    securable, column = await _entity(call, call.path("entity_type"), call.path("entity_name"))
    await call.run(call.services.access.tags.get, call.ctx, securable.id, call.path("tag_key"), column)
    await call.run(call.services.access.tags.change, call.ctx, securable.id, {call.path("tag_key"): body.tag_value}, column)
    return await _one_tag(call, securable, column, call.path("entity_type"), call.path("entity_name"), call.path("tag_key"))


async def delete_tag(call: Call) -> Response:
    """Take a tag away."""
    securable, column = await _entity(call, call.path("entity_type"), call.path("entity_name"))
    await call.run(call.services.access.tags.get, call.ctx, securable.id, call.path("tag_key"), column)
    await call.run(call.services.access.tags.change, call.ctx, securable.id, {call.path("tag_key"): None}, column)
    return JSONResponse({})


# -------------------------------------------------------------------------------------------------------------------- policies


class FunctionUse(msgspec.Struct):
    """The function of a policy with its arguments."""

    function_name: str
    using: list[dict[str, Any]] = []
    on_column: str = ""


class PolicyBody(msgspec.Struct):
    """A policy to create, or what changes of one."""

    name: str = ""
    on_securable_type: str = ""
    on_securable_fullname: str = ""
    policy_type: str = ""
    to_principals: list[str] = []
    except_principals: list[str] = []
    for_securable_type: str = "TABLE"
    when_condition: str = ""
    match_columns: list[dict[str, Any]] = []
    row_filter: FunctionUse | None = None
    column_mask: FunctionUse | None = None
    comment: str = ""


async def _holder(call: Call, kind: str, name: str) -> Securable:
    """The object on which policies sit."""
    return await call.run(call.services.access.securables.resolve, call.ctx, SecurableKind.parse(kind), name.lower(), None)


async def _policy_of(call: Call, body: PolicyBody, securable: Securable) -> Policy:
    """A policy from its wire form."""
    kind = _TYPES.get(body.policy_type)
    if kind is None:
        raise InvalidArgument(f"`{body.policy_type[:60]}` is no type of a policy here.", hint=f"Use {' or '.join(_TYPES)}.")
    if body.for_securable_type != "TABLE":
        raise InvalidArgument("A policy takes effect on tables: `for_securable_type` is TABLE.")
    use = body.row_filter if kind is PolicyKind.ROW_FILTER else body.column_mask
    if use is None:
        raise InvalidArgument(f"A policy of type {body.policy_type} needs `{kind.value.lower()}`.")
    name = TableName.parse(use.function_name)
    function = await call.run(call.services.sql.functions.get, call.ctx, name)
    await call.run(call.services.access.authority.authorize, call.ctx, Privilege.EXECUTE, function.id)
    arguments = tuple(_argument(each) for each in use.using)
    masks = kind is PolicyKind.COLUMN_MASK
    check_function(function, len(arguments) + masks, boolean=not masks)
    columns = tuple(
        MatchColumn(str(each.get("alias") or f"column {at}"), str(each.get("condition", ""))) for at, each in enumerate(body.match_columns)
    )
    return Policy(
        name=body.name,
        kind=kind,
        securable_id=securable.id,
        function_id=function.id,
        to=tuple(body.to_principals),
        exempt=tuple(body.except_principals),
        when=body.when_condition,
        columns=columns,
        arguments=arguments,
        on_column=use.on_column if masks else "",
        comment=body.comment,
    )


def _argument(body: dict[str, Any]) -> Argument:
    """One argument: an alias of a column or a constant."""
    if body.get("alias"):
        return Argument(column=str(body["alias"]))
    text = str(body.get("constant", ""))
    return Argument(constant="'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'")


def _unquoted(constant: str) -> str:
    """A constant as the wire has it."""
    if constant.startswith("'"):
        return constant[1:-1].replace("\\'", "'").replace("\\\\", "\\")
    return constant


def policy_body(policy: Policy) -> dict[str, object]:
    """A policy on the wire."""
    using = [{"alias": each.column} if each.column else {"constant": _unquoted(each.constant)} for each in policy.arguments]
    use: dict[str, object] = {"function_name": policy.function_name, "using": using}
    masks = policy.kind is PolicyKind.COLUMN_MASK
    body: dict[str, object] = {
        "id": policy.id,
        "name": policy.name,
        "on_securable_type": policy.on_kind,
        "on_securable_fullname": policy.on_name,
        "for_securable_type": "TABLE",
        "policy_type": f"POLICY_TYPE_{policy.kind.value}",
        "to_principals": list(policy.to),
        "except_principals": list(policy.exempt),
        "match_columns": [{"alias": each.alias, "condition": each.condition} for each in policy.columns],
        "comment": policy.comment,
        ("column_mask" if masks else "row_filter"): use | ({"on_column": policy.on_column} if masks else {}),
        "created_by": policy.created_by,
        "updated_by": policy.updated_by,
    }
    if policy.when:
        body["when_condition"] = policy.when
    if policy.created_at is not None and policy.updated_at is not None:
        body |= {"created_at": epoch_ms(policy.created_at), "updated_at": epoch_ms(policy.updated_at)}
    return body


async def create_policy(call: Call) -> Response:
    """A new policy."""
    body = await call.json(PolicyBody)
    securable = await _holder(call, body.on_securable_type, body.on_securable_fullname)
    made = await call.run(call.services.access.policies.put, call.ctx, await _policy_of(call, body, securable))
    return JSONResponse(policy_body(made))


async def list_policies(call: Call) -> Response:
    """Policies on an object, and with `include_inherited` those above it."""
    securable = await _holder(call, call.path("kind"), call.path("full_name"))
    inherited = call.query_bool("include_inherited")
    found = await call.run(call.services.access.policies.list, call.ctx, securable.id, inherited=inherited)
    return listing("policies", [policy_body(each) for each in found[:_POLICIES_MAX]], "")


async def get_policy(call: Call) -> Response:
    """One policy."""
    securable = await _holder(call, call.path("kind"), call.path("full_name"))
    return JSONResponse(policy_body(await call.run(call.services.access.policies.get, call.ctx, securable.id, call.path("name"))))


async def update_policy(call: Call) -> Response:
    """Another policy under the same name."""
    securable = await _holder(call, call.path("kind"), call.path("full_name"))
    present = await call.run(call.services.access.policies.get, call.ctx, securable.id, call.path("name"))
    old = policy_body(present)
    new = await call.json(dict[str, Any])
    mask = [word for word in call.query("update_mask").split(",") if word]
    changed = {key: value for key, value in new.items() if not mask or key in mask}
    if changed.get("name", present.name) != present.name:
        raise InvalidArgument("The name of a policy stays.", hint="Delete the policy and create it under the other name.")
    try:
        body = msgspec.convert({**old, **changed, "name": present.name}, PolicyBody)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"The body is not as expected: {error}.") from error
    policy = await _policy_of(call, body, securable)
    return JSONResponse(policy_body(await call.run(call.services.access.policies.put, call.ctx, policy, replaces=True)))


async def delete_policy(call: Call) -> Response:
    """Remove a policy."""
    securable = await _holder(call, call.path("kind"), call.path("full_name"))
    await call.run(call.services.access.policies.drop, call.ctx, securable.id, call.path("name"))
    return JSONResponse({})


# --------------------------------------------------------------------------------------------------------------------- lineage


class LineageBody(msgspec.Struct):
    """About which table or column; clients send it as the body of a GET, or as parameters."""

    table_name: str = ""
    column_name: str = ""


async def _about(call: Call) -> tuple[Table, str]:
    """The table, and the column or nothing."""
    body = await call.json(LineageBody)
    name, column = call.query("table_name") or body.table_name, call.query("column_name") or body.column_name
    return await call.run(call.services.catalog.tables.get, call.ctx, TableName.parse(name)), column


def _end(full_name: str) -> dict[str, object]:
    """One end of an edge."""
    catalog, schema, name = full_name.split(".", 2)
    return {"name": name, "catalog_name": catalog, "schema_name": schema, "table_type": "TABLE"}


async def table_lineage(call: Call) -> Response:
    """What a table was computed from, and what was computed from it, as far as the caller may see that."""
    table, _ = await _about(call)
    lineage = call.services.access.lineage
    above = await call.run(lineage.sources, call.ctx, table.id)
    below = await call.run(lineage.targets, call.ctx, table.id)
    body: dict[str, object] = {
        "upstreams": [{"tableInfo": {**_end(each.source), "lineage_timestamp": _time(each.at)}} for each in above],
        "downstreams": [{"tableInfo": {**_end(each.target), "lineage_timestamp": _time(each.at)}} for each in below],
    }
    return JSONResponse(body)


async def column_lineage(call: Call) -> Response:
    """The same for one column."""
    table, column = await _about(call)
    if column.lower() not in {each.name.lower() for each in table.columns}:
        raise InvalidArgument(f"The table `{table.full_name}` has no column `{column}`.")
    lineage = call.services.access.lineage
    above = await call.run(lineage.sources, call.ctx, table.id, column)
    below = await call.run(lineage.targets, call.ctx, table.id, column)
    body: dict[str, object] = {
        "upstream_cols": [_column_end(each.source, each.source_column) for each in above],
        "downstream_cols": [_column_end(each.target, each.target_column) for each in below],
    }
    return JSONResponse(body)


def _column_end(full_name: str, column: str) -> dict[str, object]:
    """One end of an edge between columns."""
    end = _end(full_name)
    return {**end, "name": column, "table_name": end["name"]}


_ONE = f"{TAGS}/{{entity_type}}/{{entity_name}}/tags"
_POLICY = f"{PREFIX}/policies/{{kind}}/{{full_name}}"
ROUTES = (
    DoorRoute("POST", TAGS, create_tag, "databricks"),
    DoorRoute("GET", _ONE, list_tags, "databricks"),
    DoorRoute("GET", f"{_ONE}/{{tag_key}}", get_tag, "databricks"),
    DoorRoute("PATCH", f"{_ONE}/{{tag_key}}", update_tag, "databricks"),
    DoorRoute("DELETE", f"{_ONE}/{{tag_key}}", delete_tag, "databricks"),
    DoorRoute("POST", f"{PREFIX}/policies", create_policy, "databricks"),
    DoorRoute("GET", _POLICY, list_policies, "databricks"),
    DoorRoute("GET", f"{_POLICY}/{{name}}", get_policy, "databricks"),
    DoorRoute("PATCH", f"{_POLICY}/{{name}}", update_policy, "databricks"),
    DoorRoute("DELETE", f"{_POLICY}/{{name}}", delete_policy, "databricks"),
    DoorRoute("GET", "/api/2.0/lineage-tracking/table-lineage", table_lineage, "databricks"),
    DoorRoute("GET", "/api/2.0/lineage-tracking/column-lineage", column_lineage, "databricks"),
)
