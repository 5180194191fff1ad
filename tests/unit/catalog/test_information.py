from __future__ import annotations

import pytest
from sqlalchemy import event

from insjo.access.types import Privilege, SecurableKind
from insjo.catalog.errors import CatalogAlreadyExists, InvalidName, SchemaAlreadyExists
from insjo.catalog.types import Column, TableName
from insjo.kernel.errors import InsjoError, InvalidArgument, NotFound
from tests.support.lake import Lake, columns


@pytest.fixture
def filled(lake: Lake) -> Lake:
    lake.room.schemas.create(lake.admin, "main.hr", "People")
    lake.room.tables.create(
        lake.admin,
        TableName("main", "sales", "orders"),
        [Column("id", "bigint", nullable=False), Column("price", "decimal(10,2)", comment="With tax"), Column("day", "date")],
        partition_columns=["day"],
    )
    lake.room.tables.create(lake.admin, TableName("main", "hr", "pay"), columns(salary="int"))
    lake.room.tables.create_view(lake.admin, TableName("main", "sales", "big"), "SELECT 1 AS a", columns(a="int"))
    lake.room.volumes.create(lake.admin, "main.sales.files")
    return lake


def test_everything_is_told_to_those_who_see_everything(filled: Lake) -> None:
    information, admin = filled.room.information, filled.admin
    assert [row["catalog_name"] for row in information.catalogs(admin)] == ["main"]
    assert [row["schema_name"] for row in information.schemata(admin, "MAIN")] == ["default", "hr", "sales"]
    tables = {(row["table_schema"], row["table_name"]): row for row in information.tables(admin, "main")}
    assert set(tables) == {("hr", "pay"), ("sales", "big"), ("sales", "orders")}
    assert tables["sales", "orders"]["table_type"] == "MANAGED"
    assert tables["sales", "big"]["data_source_format"] == "UNKNOWN_DATA_SOURCE_FORMAT"
    found = [row for row in information.columns(admin, "main") if row["table_name"] == "orders"]
    assert [(row["column_name"], row["data_type"], row["full_data_type"], row["is_nullable"], row["partition_index"]) for row in found] == [
        ("id", "BIGINT", "bigint", "NO", None),
        ("price", "DECIMAL", "decimal(10,2)", "YES", None),
        ("day", "DATE", "date", "YES", 1),
    ]
    assert [row["view_definition"] for row in information.views(admin)] == ["SELECT 1 AS a"]
    assert [row["storage_location"] for row in information.volumes(admin)] == ["/Volumes/main/sales/files"]


def test_what_one_may_not_see_is_in_no_list(filled: Lake) -> None:
    anna = filled.person("anna")
    information = filled.room.information
    for rows in (
        information.catalogs,
        information.schemata,
        information.tables,
        information.columns,
        information.views,
        information.volumes,
    ):
        assert rows(anna) == []
    with pytest.raises(NotFound):
        filled.room.schemas.list(anna, "main")
    schema = filled.access.securables.find(SecurableKind.SCHEMA, "main.sales")
    assert schema
    filled.access.grants.grant(filled.admin, schema.id, "anna", [Privilege.USE_SCHEMA, Privilege.SELECT])
    assert [row["schema_name"] for row in information.schemata(anna)] == ["sales"]
    assert sorted(str(row["table_name"]) for row in information.tables(anna)) == ["big", "orders"]
    assert {row["table_name"] for row in information.columns(anna)} == {"big", "orders"}
    assert [row["view_definition"] for row in information.views(anna)] == [None]


def test_a_list_is_two_queries_however_long_it_is(filled: Lake) -> None:
    anna = filled.person("anna")
    schema = filled.access.securables.find(SecurableKind.SCHEMA, "main.sales")
    assert schema
    filled.access.grants.grant(filled.admin, schema.id, "anna", [Privilege.SELECT])
    statements: list[str] = []
    event.listen(filled.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert len(filled.room.information.columns(anna, "main")) == 4
    selects = [text for text in statements if text.startswith(("SELECT", "WITH"))]
    assert len(selects) <= 2
    assert any("catalog_tables" in text and "access_grants" in text for text in selects)


def test_catalogs_and_schemas_are_made_changed_and_told_apart(lake: Lake) -> None:
    catalogs, schemas, admin = lake.room.catalogs, lake.room.schemas, lake.admin
    made = catalogs.create(admin, "Lab", "For trials", {"team": "science"})
    assert (made.name, made.owner, made.created_by, made.properties) == ("lab", "admin", "admin", {"team": "science"})
    assert [each.name for each in schemas.list(admin, "lab").items] == ["default"]
    with pytest.raises(CatalogAlreadyExists):
        catalogs.create(admin, "LAB")
    with pytest.raises(SchemaAlreadyExists):
        schemas.create(admin, "lab.Default")
    for name in ("", "a b", "a.b", "x" * 300):
        with pytest.raises(InvalidName):
            catalogs.create(admin, name)
    with pytest.raises(InvalidName):
        schemas.create(admin, "lab")
    lake.person("anna")
    changed = catalogs.update(admin, "lab", comment="", owner="anna", properties={})
    assert (changed.comment, changed.owner, changed.properties) == ("", "anna", {})
    changed_schema = schemas.update(admin, "lab.default", comment="Anything", properties={"a": "b"}, owner="anna")
    assert (changed_schema.comment, changed_schema.owner, changed_schema.properties) == ("Anything", "anna", {"a": "b"})
    with pytest.raises(CatalogAlreadyExists):
        catalogs.update(admin, "lab", new_name="main")
    with pytest.raises(InsjoError, match="does not exist"):
        catalogs.update(admin, "lab", owner="nobody")
    catalogs.delete(admin, "lab")
    with pytest.raises(NotFound):
        catalogs.get(admin, "lab")


def test_what_insjo_computes_cannot_be_made_or_deleted(lake: Lake) -> None:
    with pytest.raises(InvalidArgument, match="belongs to Insjö"):
        lake.room.schemas.create(lake.admin, "main.information_schema")
    lake.room.ensure_system_schemas(["access"])
    for attempt in (
        lambda: lake.room.catalogs.delete(lake.admin, "system", force=True),
        lambda: lake.room.schemas.create(lake.admin, "system.mine"),
        lambda: lake.room.schemas.delete(lake.admin, "system.access", force=True),
        lambda: lake.room.volumes.create(lake.admin, "system.access.files"),
    ):
        with pytest.raises(InvalidArgument, match="belongs to Insjö"):
            attempt()
