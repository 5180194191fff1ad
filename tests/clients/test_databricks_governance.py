"""Functions, tags, policies and what protects a table, through the official `databricks-sdk`."""

from __future__ import annotations

import json
import urllib.request
import uuid
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied, ResourceConflict
from databricks.sdk.service.catalog import (
    ColumnMaskOptions,
    ColumnTypeName,
    CreateFunction,
    CreateFunctionParameterStyle,
    CreateFunctionRoutineBody,
    CreateFunctionSecurityType,
    CreateFunctionSqlDataAccess,
    EntityTagAssignment,
    FunctionArgument,
    FunctionParameterInfo,
    FunctionParameterInfos,
    MatchColumn,
    PolicyInfo,
    PolicyType,
    RowFilterOptions,
    SecurableType,
)

from tests.clients.conftest import Site


def _run(w: WorkspaceClient, text: str) -> list[list[str]]:
    answer = w.statement_execution.execute_statement(text, next(iter(w.warehouses.list())).id or "", wait_timeout="50s")
    assert answer.status
    assert answer.status.state
    assert answer.status.state.value == "SUCCEEDED", answer.status
    return (answer.result.data_array or []) if answer.result else []


def _function(schema: str, name: str, body: str, returns: ColumnTypeName) -> CreateFunction:
    parameter = FunctionParameterInfo(name="v", type_text="string", type_name=ColumnTypeName.STRING, position=0)
    return CreateFunction(
        name=name,
        catalog_name="main",
        schema_name=schema,
        input_params=FunctionParameterInfos(parameters=[parameter]),
        data_type=returns,
        full_data_type=returns.value,
        routine_body=CreateFunctionRoutineBody.SQL,
        routine_definition=body,
        parameter_style=CreateFunctionParameterStyle.S,
        is_deterministic=True,
        sql_data_access=CreateFunctionSqlDataAccess.CONTAINS_SQL,
        is_null_call=False,
        security_type=CreateFunctionSecurityType.DEFINER,
        specific_name=name,
        comment="för test",
    )


@pytest.fixture(scope="module")
def schema(plain_client: WorkspaceClient) -> str:
    """A schema with a table of two people."""
    name = f"gov_{uuid.uuid4().hex[:8]}"
    plain_client.schemas.create(name, "main")
    _run(
        plain_client,
        f"CREATE TABLE main.{name}.people AS SELECT * FROM VALUES (1, 'anna', 'north'), (2, 'bo', 'secret') AS t(id, name, region)",
    )
    return name


@pytest.mark.covers("functions.create", "functions.get", "functions.list", "functions.update", "functions.delete")
def test_functions(w: WorkspaceClient, schema: str) -> None:
    made = w.functions.create(_function(schema, "shout", "upper(v)", ColumnTypeName.STRING))
    assert (made.full_name, made.routine_definition, made.comment) == (f"main.{schema}.shout", "upper(v)", "för test")
    assert made.input_params
    assert [each.name for each in made.input_params.parameters or []] == ["v"]
    assert _run(w, f"SELECT main.{schema}.shout('a')") == [["A"]]
    with pytest.raises(ResourceConflict):
        w.functions.create(_function(schema, "shout", "lower(v)", ColumnTypeName.STRING))
    with pytest.raises(BadRequest):
        w.functions.create(_function(schema, "two", "1; DROP TABLE people", ColumnTypeName.STRING))
    w.functions.create(_function(schema, "quiet", "lower(v)", ColumnTypeName.STRING))
    assert [each.name for each in w.functions.list("main", schema)] == ["quiet", "shout"]
    assert w.functions.update(f"main.{schema}.quiet", owner="admin").owner == "admin"
    w.functions.delete(f"main.{schema}.quiet")
    with pytest.raises(NotFound):
        w.functions.get(f"main.{schema}.quiet")


@pytest.mark.covers(
    "entity_tag_assignments.create",
    "entity_tag_assignments.get",
    "entity_tag_assignments.list",
    "entity_tag_assignments.update",
    "entity_tag_assignments.delete",
)
def test_tags(w: WorkspaceClient, schema: str) -> None:
    tags = w.entity_tag_assignments
    table, column = f"main.{schema}.people", f"main.{schema}.people.name"
    tags.create(EntityTagAssignment(entity_type="tables", entity_name=table, tag_key="team", tag_value="hr"))
    tags.create(EntityTagAssignment(entity_type="columns", entity_name=column, tag_key="pii", tag_value="name"))
    tags.create(EntityTagAssignment(entity_type="schemas", entity_name=f"main.{schema}", tag_key="s", tag_value=""))
    assert {each.tag_key: each.tag_value for each in tags.list("tables", table)} == {"team": "hr"}
    assert tags.get("columns", column, "pii").tag_value == "name"
    changed = EntityTagAssignment(entity_type="tables", entity_name=table, tag_key="team", tag_value="it")
    assert tags.update("tables", table, "team", changed, update_mask="tag_value").tag_value == "it"
    tags.delete("tables", table, "team")
    with pytest.raises(NotFound):
        tags.get("tables", table, "team")
    with pytest.raises(NotFound):
        list(tags.list("tables", f"main.{schema}.nothing"))


@pytest.mark.covers(
    "policies.create_policy", "policies.get_policy", "policies.list_policies", "policies.update_policy", "policies.delete_policy"
)
def test_policies_and_what_protects_a_table(w: WorkspaceClient, schema: str) -> None:
    for name, body, returns in (("stars", "'***'", ColumnTypeName.STRING), ("open", "v <> 'secret'", ColumnTypeName.BOOLEAN)):
        w.functions.create(_function(schema, name, body, returns))
    _run(w, f"ALTER TABLE main.{schema}.people ALTER COLUMN name SET TAGS ('who')")
    policy = PolicyInfo(
        name="mask_names",
        on_securable_type=SecurableType.SCHEMA,
        on_securable_fullname=f"main.{schema}",
        for_securable_type=SecurableType.TABLE,
        policy_type=PolicyType.POLICY_TYPE_COLUMN_MASK,
        to_principals=["account users"],
        match_columns=[MatchColumn(alias="n", condition="has_tag('who')")],
        column_mask=ColumnMaskOptions(function_name=f"main.{schema}.stars", on_column="n"),
    )
    made = w.policies.create_policy(policy)
    assert made.column_mask
    assert (made.name, made.column_mask.on_column, made.to_principals) == ("mask_names", "n", ["account users"])
    assert _run(w, f"SELECT name FROM main.{schema}.people WHERE id = 1") == [["***"]]
    assert [each.name for each in w.policies.list_policies("TABLE", f"main.{schema}.people", include_inherited=True)] == ["mask_names"]
    made.comment = "ny"
    assert w.policies.update_policy("SCHEMA", f"main.{schema}", "mask_names", made, update_mask="comment").comment == "ny"
    assert w.policies.get_policy("SCHEMA", f"main.{schema}", "mask_names").comment == "ny"
    rows = PolicyInfo(
        name="rows",
        on_securable_type=SecurableType.TABLE,
        on_securable_fullname=f"main.{schema}.people",
        for_securable_type=SecurableType.TABLE,
        policy_type=PolicyType.POLICY_TYPE_ROW_FILTER,
        to_principals=["account users"],
        row_filter=RowFilterOptions(function_name=f"main.{schema}.open", using=[FunctionArgument(constant="secret")]),
    )
    w.policies.create_policy(rows)
    assert _run(w, f"SELECT count(*) FROM main.{schema}.people") == [["0"]]
    w.policies.delete_policy("TABLE", f"main.{schema}.people", "rows")
    w.policies.delete_policy("SCHEMA", f"main.{schema}", "mask_names")
    with pytest.raises(NotFound):
        w.policies.get_policy("SCHEMA", f"main.{schema}", "mask_names")
    _run(w, f"ALTER TABLE main.{schema}.people SET ROW FILTER main.{schema}.open ON (region)")
    _run(w, f"ALTER TABLE main.{schema}.people ALTER COLUMN name SET MASK main.{schema}.stars")
    table = w.tables.get(f"main.{schema}.people")
    assert table.row_filter
    assert table.columns
    assert (table.row_filter.function_name, table.row_filter.input_column_names) == (f"main.{schema}.open", ["region"])
    assert [column.mask.function_name for column in table.columns if column.mask] == [f"main.{schema}.stars"]
    assert _run(w, f"SELECT id, name FROM main.{schema}.people") == [["1", "***"]]


def test_somebody_without_rights_learns_nothing(site: Site, plain_client: WorkspaceClient, schema: str) -> None:
    curious = site.client("curious")
    with pytest.raises(NotFound):
        list(curious.functions.list("main", schema))
    with pytest.raises(NotFound):
        list(curious.entity_tag_assignments.list("tables", f"main.{schema}.people"))
    with pytest.raises(NotFound):
        list(curious.policies.list_policies("SCHEMA", f"main.{schema}"))
    _run(plain_client, f"GRANT USE SCHEMA, SELECT ON SCHEMA main.{schema} TO curious")
    _run(plain_client, "GRANT USE CATALOG ON CATALOG main TO curious")
    with pytest.raises(PermissionDenied):
        list(curious.policies.list_policies("SCHEMA", f"main.{schema}"))
    with pytest.raises(PermissionDenied):
        curious.entity_tag_assignments.create(EntityTagAssignment(entity_type="schemas", entity_name=f"main.{schema}", tag_key="x"))
    assert curious.tables.get(f"main.{schema}.people").row_filter is None


def test_lineage(plain_client: WorkspaceClient, schema: str) -> None:
    _run(plain_client, f"CREATE TABLE main.{schema}.copied AS SELECT id, upper(region) AS r FROM main.{schema}.people")

    def ask(path: str, **body: str) -> Any:  # noqa: ANN401  # A decoded document.
        config = plain_client.config
        headers = {"content-type": "application/json", **config.authenticate()}
        request = urllib.request.Request(f"{config.host}{path}", data=json.dumps(body).encode(), headers=headers, method="GET")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    tables = ask("/api/2.0/lineage-tracking/table-lineage", table_name=f"main.{schema}.copied")
    assert [each["tableInfo"]["name"] for each in tables["upstreams"]] == ["people"]
    columns = ask("/api/2.0/lineage-tracking/column-lineage", table_name=f"main.{schema}.people", column_name="region")
    assert [(each["table_name"], each["name"]) for each in columns["downstream_cols"]] == [("copied", "r")]
