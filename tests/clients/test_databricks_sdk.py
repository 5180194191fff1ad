"""Identity, the catalog and grants through the official `databricks-sdk`."""

from __future__ import annotations

import time
import uuid

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    NotFound,
    NotImplemented,  # noqa: A004  # The SDK's name of the error for 501.
    PermissionDenied,
    ResourceConflict,
    Unauthenticated,
)
from databricks.sdk.service.catalog import (
    ColumnInfo,
    ColumnTypeName,
    DataSourceFormat,
    ForeignKeyConstraint,
    PermissionsChange,
    PrimaryKeyConstraint,
    Privilege,
    TableConstraint,
    TableType,
    VolumeType,
)
from databricks.sdk.service.iam import ComplexValue, Patch, PatchOp, PatchSchema

from tests.clients.conftest import Site


def fresh(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}_{uuid.uuid4().hex[:10]}"


@pytest.fixture(scope="module")
def schema(plain_client: WorkspaceClient) -> str:
    """Full name of a schema of this module."""
    made = plain_client.schemas.create(fresh("sdk"), "main")
    assert made.full_name
    return made.full_name


# ------------------------------------------------------------------------------------------------------------------- identity


@pytest.mark.covers("current_user.me", "get_workspace_id")
def test_who_am_i(w: WorkspaceClient) -> None:
    me = w.current_user.me()
    assert me.user_name == "admin"
    assert me.active
    assert [group.display for group in me.groups or ()] == ["admins"]
    assert w.get_workspace_id() == 1


@pytest.mark.covers("tokens.create", "tokens.list", "tokens.delete")
def test_tokens_are_made_listed_and_deleted(w: WorkspaceClient, site: Site) -> None:
    made = w.tokens.create(comment="for å test", lifetime_seconds=3600)
    assert made.token_info
    assert made.token_value
    assert made.token_info.expiry_time
    assert 0 < made.token_info.expiry_time / 1000 - time.time() <= 3600
    listed = {each.token_id: each for each in w.tokens.list()}
    assert listed[made.token_info.token_id].comment == "for å test"
    assert made.token_value not in str(listed)
    other = site.client(token=made.token_value)
    assert other.current_user.me().user_name == "admin"
    assert made.token_info.token_id
    w.tokens.delete(made.token_info.token_id)
    with pytest.raises(Unauthenticated):
        other.current_user.me()
    with pytest.raises(NotFound):
        w.tokens.delete(made.token_info.token_id)


def test_wrong_expired_and_missing_tokens_are_told_apart_from_missing_rights(site: Site, plain_client: WorkspaceClient) -> None:
    for wrong in ("nonsense", "insjo_" + "0" * 64, "dapi" + "1" * 32):
        with pytest.raises(Unauthenticated, match="wrong or expired"):
            site.client(token=wrong).current_user.me()
    short = plain_client.tokens.create(comment="short", lifetime_seconds=1)
    deadline = time.monotonic() + 30
    client = site.client(token=short.token_value)
    while _is_somebody(client):
        assert time.monotonic() < deadline
    with pytest.raises(PermissionDenied, match="metastore admins"):
        site.client("nobody.special").users.create(user_name="x")


def _is_somebody(client: WorkspaceClient) -> bool:
    try:
        client.current_user.me()
    except Unauthenticated:
        return False
    return True


@pytest.mark.covers("users.create", "users.list", "users.get", "users.patch", "users.update", "users.delete")
def test_users(w: WorkspaceClient, site: Site) -> None:
    name = f"{fresh('anna')}@example.com"
    made = w.users.create(user_name=name, display_name="Anna Åberg", emails=[ComplexValue(value=name, primary=True)])
    assert made.id
    assert (made.user_name, made.display_name, made.active) == (name, "Anna Åberg", True)
    w.users.create(user_name=f"more.{name}")
    assert [each.id for each in w.users.list(filter=f'userName eq "{name}"')] == [made.id]
    assert {each.user_name for each in w.users.list(count=1)} >= {"admin", name, f"more.{name}"}
    assert site.client(name, token=site.server.token(name)).current_user.me().display_name == "Anna Åberg"
    schemas = [PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
    w.users.patch(made.id, operations=[Patch(op=PatchOp.REPLACE, path="active", value="false")], schemas=schemas)
    assert w.users.get(made.id).active is False
    w.users.update(made.id, user_name=name, display_name="Anna Ö", active=True)
    assert (w.users.get(made.id).display_name, w.users.get(made.id).active) == ("Anna Ö", True)
    with pytest.raises(ResourceConflict, match="exists already"):
        w.users.create(user_name=name.upper())
    theirs = site.client(name, token=site.server.token(name))
    assert _is_somebody(theirs)
    w.users.delete(made.id)
    assert not _is_somebody(theirs), "a token outlived its user"
    with pytest.raises(NotFound):
        w.users.get(made.id)
    assert list(w.users.list(filter=f'userName eq "{name}"')) == []


@pytest.mark.covers("groups.create", "groups.list", "groups.get", "groups.patch", "groups.update", "groups.delete")
def test_groups_and_their_members(w: WorkspaceClient) -> None:
    people = [w.users.create(user_name=fresh("member")) for _ in range(3)]
    ids = [each.id or "" for each in people]
    name = fresh("team")
    group = w.groups.create(display_name=name, members=[ComplexValue(value=ids[0])])
    assert group.id
    assert [each.value for each in group.members or ()] == [ids[0]]
    schemas = [PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
    operations = [
        Patch(op=PatchOp.ADD, value={"members": [{"value": ids[1]}, {"value": ids[2]}]}),
        Patch(op=PatchOp.REMOVE, path=f'members[value eq "{ids[0]}"]'),
    ]
    w.groups.patch(group.id, operations=operations, schemas=schemas)
    assert {each.value for each in w.groups.get(group.id).members or ()} == {ids[1], ids[2]}
    bad = [Patch(op=PatchOp.ADD, value={"members": [{"value": ids[0]}, {"value": "nobody"}]})]
    with pytest.raises(NotFound, match="nobody"):
        w.groups.patch(group.id, operations=bad, schemas=schemas)
    assert {each.value for each in w.groups.get(group.id).members or ()} == {ids[1], ids[2]}, "half of a change was kept"
    w.groups.update(group.id, display_name=f"{name}-2", members=[ComplexValue(value=ids[0])])
    changed = w.groups.get(group.id)
    assert changed.display_name == f"{name}-2"
    assert {each.value for each in changed.members or ()} == {ids[0]}
    assert [each.id for each in w.groups.list(filter=f'displayName eq "{name}-2"')] == [group.id]
    with pytest.raises(NotFound):
        w.groups.create(display_name=fresh("never"), members=[ComplexValue(value="nobody")])
    assert list(w.groups.list(filter='displayName sw "never"')) == []
    with pytest.raises(NotFound):
        w.users.get(group.id)
    w.groups.delete(group.id)
    with pytest.raises(NotFound):
        w.groups.get(group.id)


# -------------------------------------------------------------------------------------------------------------------- catalog


@pytest.mark.covers("catalogs.create", "catalogs.list", "catalogs.get", "catalogs.update", "catalogs.delete", "metastores.current")
def test_catalogs(w: WorkspaceClient) -> None:
    name = fresh("cat")
    made = w.catalogs.create(name, comment="Ålar & ängar", properties={"team": "nord"})
    assert (made.name, made.comment, made.properties, made.owner) == (name, "Ålar & ängar", {"team": "nord"}, "admin")
    assert w.catalogs.get(name).created_by == "admin"
    w.catalogs.update(name, comment="new", new_name=f"{name}_2")
    assert w.catalogs.get(f"{name}_2").comment == "new"
    with pytest.raises(NotFound, match=f"`{name}`"):
        w.catalogs.get(name)
    with pytest.raises(ResourceConflict, match="exists"):
        w.catalogs.create(f"{name}_2".upper())
    w.schemas.create("inside", f"{name}_2")
    with pytest.raises(BadRequest, match=r"force|not empty|holds"):
        w.catalogs.delete(f"{name}_2")
    w.catalogs.delete(f"{name}_2", force=True)
    assert f"{name}_2" not in {each.name for each in w.catalogs.list()}
    assert w.metastores.current().default_catalog_name == "main"


@pytest.mark.covers("schemas.create", "schemas.list", "schemas.get", "schemas.update", "schemas.delete")
def test_schemas_and_pages_of_them(w: WorkspaceClient) -> None:
    catalog = fresh("cat")
    w.catalogs.create(catalog)
    names = [f"s{number:02}" for number in range(7)]
    for name in names:
        w.schemas.create(name, catalog, comment=f"number {name}")
    assert [each.name for each in w.schemas.list(catalog, max_results=3) if (each.name or "").startswith("s")] == names
    got = w.schemas.get(f"{catalog}.s03")
    assert (got.name, got.catalog_name, got.full_name, got.comment) == ("s03", catalog, f"{catalog}.s03", "number s03")
    assert w.schemas.update(f"{catalog}.s03", comment="other", properties={"a": "b"}).comment == "other"
    w.schemas.delete(f"{catalog}.s03")
    with pytest.raises(NotFound, match="Did you mean"):
        w.schemas.get(f"{catalog}.s03")
    with pytest.raises(NotFound):
        list(w.schemas.list(fresh("missing")))
    w.catalogs.delete(catalog, force=True)


@pytest.mark.covers("tables.create", "tables.list", "tables.get", "tables.exists", "tables.update", "tables.delete")
def test_tables(w: WorkspaceClient, schema: str) -> None:
    catalog, name = schema.split(".")
    columns = [
        ColumnInfo(name="id", type_text="bigint", type_name=ColumnTypeName.LONG, nullable=False, position=0),
        ColumnInfo(name="belopp", type_text="decimal(12,2)", type_name=ColumnTypeName.DECIMAL, comment="in kronor", position=1),
        ColumnInfo(name="tags", type_text="map<string,array<int>>", type_name=ColumnTypeName.MAP, position=2),
    ]
    made = w.tables.create("orders", catalog, name, TableType.MANAGED, DataSourceFormat.DELTA, "", columns=columns)
    assert made.full_name == f"{schema}.orders"
    got = w.tables.get(f"{schema}.orders")
    assert [(each.name, each.type_text, each.type_name, each.nullable) for each in got.columns or ()] == [
        ("id", "bigint", ColumnTypeName.LONG, False),
        ("belopp", "decimal(12,2)", ColumnTypeName.DECIMAL, True),
        ("tags", "map<string,array<int>>", ColumnTypeName.MAP, True),
    ]
    second = (got.columns or [])[1]
    assert (second.comment, second.type_precision, second.type_scale) == ("in kronor", 12, 2)
    assert (got.table_type, got.data_source_format) == (TableType.MANAGED, DataSourceFormat.DELTA)
    assert w.tables.exists(f"{schema}.orders").table_exists is True
    assert w.tables.exists(f"{schema}.order").table_exists is False
    for number in range(5):
        w.tables.create(f"t{number}", catalog, name, TableType.MANAGED, DataSourceFormat.DELTA, "", columns=columns[:1])
    listed = list(w.tables.list(catalog, name, max_results=2, omit_columns=True))
    assert [each.name for each in listed] == ["orders", "t0", "t1", "t2", "t3", "t4"]
    assert not any(each.columns for each in listed)
    with pytest.raises(NotFound, match=r"Did you mean `(main\.\w+\.)?orders`"):
        w.tables.get(f"{schema}.orderz")
    with pytest.raises(ResourceConflict):
        w.tables.create("ORDERS", catalog, name, TableType.MANAGED, DataSourceFormat.DELTA, "", columns=columns)
    bad = [ColumnInfo(name="a", type_text="nonsense")]
    with pytest.raises(BadRequest, match="nonsense"):
        w.tables.create("bad", catalog, name, TableType.MANAGED, DataSourceFormat.DELTA, "", columns=bad)
    assert w.tables.exists(f"{schema}.bad").table_exists is False
    with pytest.raises(NotImplemented, match="PARQUET"):
        w.tables.create("ext", catalog, name, TableType.EXTERNAL, DataSourceFormat.PARQUET, "s3://x", columns=columns)
    w.users.create(user_name="orders.owner")
    w.tables.update(f"{schema}.orders", owner="orders.owner")
    assert w.tables.get(f"{schema}.orders").owner == "orders.owner"
    w.tables.delete(f"{schema}.orders")
    assert w.tables.exists(f"{schema}.orders").table_exists is False


@pytest.mark.covers("volumes.create", "volumes.list", "volumes.read", "volumes.update", "volumes.delete")
def test_volumes(w: WorkspaceClient, schema: str) -> None:
    catalog, name = schema.split(".")
    made = w.volumes.create(catalog, name, "landing", VolumeType.MANAGED, comment="raw files")
    assert (made.full_name, made.volume_type, made.comment) == (f"{schema}.landing", VolumeType.MANAGED, "raw files")
    w.volumes.create(catalog, name, "second", VolumeType.MANAGED)
    assert [each.name for each in w.volumes.list(catalog, name, max_results=1)] == ["landing", "second"]
    assert w.volumes.update(f"{schema}.landing", comment="changed").comment == "changed"
    assert w.volumes.read(f"{schema}.landing").owner == "admin"
    with pytest.raises(NotImplemented, match="External"):
        w.volumes.create(catalog, name, "away", VolumeType.EXTERNAL, storage_location="s3://x")
    with pytest.raises(ResourceConflict):
        w.volumes.create(catalog, name, "second", VolumeType.MANAGED)
    w.volumes.delete(f"{schema}.second")
    with pytest.raises(NotFound):
        w.volumes.read(f"{schema}.second")


# --------------------------------------------------------------------------------------------------------------------- grants


@pytest.mark.covers("grants.get", "grants.update", "grants.get_effective")
def test_grants_decide_what_somebody_sees(w: WorkspaceClient, site: Site, schema: str) -> None:
    catalog, name = schema.split(".")
    columns = [ColumnInfo(name="id", type_text="int", type_name=ColumnTypeName.INT)]
    w.tables.create("shared", catalog, name, TableType.MANAGED, DataSourceFormat.DELTA, "", columns=columns)
    reader = site.client("grants.reader")
    with pytest.raises(NotFound):
        reader.tables.get(f"{schema}.shared")
    change = PermissionsChange(principal="grants.reader", add=[Privilege.USE_SCHEMA])
    w.grants.update("schema", schema, changes=[change])
    w.grants.update("table", f"{schema}.shared", changes=[PermissionsChange(principal="grants.reader", add=[Privilege.SELECT])])
    assert reader.tables.get(f"{schema}.shared").name == "shared"
    assert [each.name for each in reader.tables.list(catalog, name)] == ["shared"]
    direct = w.grants.get("table", f"{schema}.shared").privilege_assignments or ()
    assert [(each.principal, each.privileges) for each in direct] == [("grants.reader", [Privilege.SELECT])]
    effective = w.grants.get_effective("table", f"{schema}.shared", principal="grants.reader").privilege_assignments or ()
    held = {(part.privilege, part.inherited_from_name) for each in effective for part in each.privileges or ()}
    assert (Privilege.SELECT, None) in held
    with pytest.raises(PermissionDenied):
        reader.grants.update("table", f"{schema}.shared", changes=[PermissionsChange(principal="grants.reader", add=[Privilege.MODIFY])])
    taken = PermissionsChange(principal="grants.reader", remove=[Privilege.SELECT])
    w.grants.update("table", f"{schema}.shared", changes=[taken])
    with pytest.raises(NotFound):
        reader.tables.get(f"{schema}.shared")


def test_a_change_of_grants_is_whole_or_not_at_all(w: WorkspaceClient, site: Site, schema: str) -> None:
    site.token("grants.first")
    changes = [
        PermissionsChange(principal="grants.first", add=[Privilege.USE_SCHEMA]),
        PermissionsChange(principal="grants.frist", add=[Privilege.USE_SCHEMA]),
    ]
    with pytest.raises(NotFound, match=r"Did you mean `grants\.first`"):
        w.grants.update("schema", schema, changes=changes)
    assert "grants.first" not in {each.principal for each in w.grants.get("schema", schema).privilege_assignments or ()}
    wrong = PermissionsChange(principal="grants.first", add=[Privilege.CREATE_CATALOG])
    with pytest.raises(BadRequest, match="cannot be granted on a schema"):
        w.grants.update("schema", schema, changes=[wrong])


@pytest.mark.covers("metastores.list", "metastores.get", "metastores.summary", "system_schemas.list", "workspace_bindings.get_bindings")
def test_the_metastore(w: WorkspaceClient, site: Site) -> None:
    (found,) = w.metastores.list()
    assert found.metastore_id
    assert w.metastores.get(found.metastore_id).name == w.metastores.summary().name
    assert {each.schema for each in w.system_schemas.list(found.metastore_id)} >= {"access"}
    assert list(site.client("nobody.special").system_schemas.list(found.metastore_id)) == []
    assert [each.workspace_id for each in w.workspace_bindings.get_bindings("catalog", "main")] == [1]
    with pytest.raises(NotFound):
        w.metastores.get("other")


@pytest.mark.covers("tables.list_summaries", "grants.list", "grants.list_effective")
def test_short_lists_of_tables_and_pages_of_grants(w: WorkspaceClient, site: Site, schema: str) -> None:
    catalog, name = schema.split(".", maxsplit=1)[0], fresh("short")
    w.schemas.create(name, catalog)
    columns = [ColumnInfo(name="id", type_name=ColumnTypeName.INT, type_text="int", position=0)]
    for table in ("sum_a", "sum_b", "other"):
        w.tables.create(table, catalog, name, TableType.MANAGED, DataSourceFormat.DELTA, "", columns=columns)
    for pattern, expected in (
        ("_t%", ["other"]),
        ("%a%", ["sum_a"]),
        ("%%%b", ["sum_b"]),
        ("sum", []),
        ("", ["other", "sum_a", "sum_b"]),
    ):
        fits = w.tables.list_summaries(catalog, schema_name_pattern=name, table_name_pattern=pattern)
        assert [(each.full_name or "").rpartition(".")[2] for each in fits] == expected
    found = w.tables.list_summaries(catalog, schema_name_pattern=name, table_name_pattern="sum%", max_results=1)
    assert [each.full_name for each in found] == [f"{catalog}.{name}.sum_a", f"{catalog}.{name}.sum_b"]
    other = site.client("gry")
    assert list(other.tables.list_summaries(catalog, schema_name_pattern=name)) == []
    people = sorted(fresh("grantee").replace("_", "-") for _ in range(3))
    for person in people:
        w.users.create(user_name=person)
    changes = [PermissionsChange(principal=person, add=[Privilege.SELECT]) for person in people]
    w.grants.update("table", f"{catalog}.{name}.sum_a", changes=changes)
    direct = list(w.grants.list("table", f"{catalog}.{name}.sum_a", page_size=2))
    assert [each.principal for each in direct] == people
    effective = list(w.grants.list_effective("table", f"{catalog}.{name}.sum_a", principal=people[0]))
    assert [each.principal for each in effective] == [people[0]]
    with pytest.raises(NotFound):
        list(other.tables.list_summaries("nothing_here"))
    with pytest.raises(NotFound):
        list(other.grants.list("table", f"{catalog}.{name}.sum_a"))


@pytest.mark.covers("table_constraints.create", "table_constraints.delete")
def test_keys_of_tables(w: WorkspaceClient, site: Site, schema: str) -> None:
    catalog, _, name = schema.partition(".")
    for table in ("parents", "children"):
        columns = [
            ColumnInfo(name="id", type_name=ColumnTypeName.INT, type_text="int", position=0, nullable=False),
            ColumnInfo(name="parent`id", type_name=ColumnTypeName.INT, type_text="int", position=1),
        ]
        w.tables.create(table, catalog, name, TableType.MANAGED, DataSourceFormat.DELTA, "", columns=columns)
    primary = PrimaryKeyConstraint(name="pk", child_columns=["id"], rely=True)
    made = w.table_constraints.create(f"{schema}.parents", TableConstraint(primary_key_constraint=primary))
    assert made.primary_key_constraint == primary
    foreign = ForeignKeyConstraint("fk", ["parent`id"], f"{schema}.parents", ["id"])
    w.table_constraints.create(f"{schema}.children", TableConstraint(foreign_key_constraint=foreign))
    (kept,) = w.tables.get(f"{schema}.children").table_constraints or []
    assert kept.foreign_key_constraint
    assert (kept.foreign_key_constraint.parent_table, kept.foreign_key_constraint.child_columns) == (f"{schema}.parents", ["parent`id"])
    with pytest.raises(ResourceConflict):
        w.table_constraints.create(f"{schema}.parents", TableConstraint(primary_key_constraint=primary))
    loose = PrimaryKeyConstraint(name="pk2", child_columns=["parent`id"])
    with pytest.raises(BadRequest, match="NULL"):
        w.table_constraints.create(f"{schema}.children", TableConstraint(primary_key_constraint=loose))
    other = site.client("keys.reader")
    w.grants.update("schema", schema, changes=[PermissionsChange(principal="keys.reader", add=[Privilege.USE_SCHEMA])])
    w.grants.update("table", f"{schema}.children", changes=[PermissionsChange(principal="keys.reader", add=[Privilege.SELECT])])
    assert other.tables.get(f"{schema}.children").table_constraints == []  # It would tell the name of the other table.
    with pytest.raises(PermissionDenied):
        other.table_constraints.delete(f"{schema}.children", "fk", cascade=False)
    with pytest.raises(NotFound):
        other.table_constraints.delete(f"{schema}.parents", "pk", cascade=False)
    w.table_constraints.delete(f"{schema}.children", "fk", cascade=False)
    assert w.tables.get(f"{schema}.children").table_constraints == []


# -------------------------------------------------------------------------------------------------------------- what is missing


def test_what_is_not_there_says_so_by_name(w: WorkspaceClient) -> None:
    with pytest.raises(NotImplemented, match=r"GET /api/2\.2/jobs/list"):
        list(w.jobs.list())
    with pytest.raises(NotImplemented, match=r"/api/2\.1/clusters/list"):
        list(w.clusters.list())
    with pytest.raises(NotImplemented, match=r"/api/2\.0/instance-pools/list"):
        list(w.instance_pools.list())
