from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest

from insjo.access.errors import AccessDenied, TableNotFound
from insjo.access.types import Label, Level, Privilege, SecurableKind
from insjo.catalog.errors import (
    ColumnAlreadyExists,
    CommitConflict,
    InvalidColumn,
    InvalidName,
    SchemaNotEmpty,
    TableAlreadyExists,
    TimestampTooLate,
    VersionNotFound,
    WrongTableType,
)
from insjo.catalog.types import Column, TableName, TableType
from insjo.kernel.context import RequestContext, system_context
from insjo.kernel.errors import InsjoError
from insjo.kernel.paging import PageRequest
from tests.support.lake import Lake, append, columns, read_files, write_file

ORDERS = TableName("main", "sales", "orders")


def make_orders(lake: Lake, ctx: RequestContext | None = None) -> None:
    lake.room.tables.create(ctx or lake.admin, ORDERS, columns(id="bigint", name="string"), comment="Orders of all shops")


def ids(lake: Lake, ctx: RequestContext, name: TableName = ORDERS) -> list[int]:
    resolved = lake.room.tables.resolve_many(ctx, [name])[0]
    assert resolved.snapshot is not None
    return sorted(row["id"] for row in read_files(resolved.snapshot))


def test_a_new_table_is_found_whatever_the_case_of_its_name(lake: Lake) -> None:
    make_orders(lake)
    table = lake.room.tables.get(lake.admin, "Main.SALES.Orders")
    assert (table.full_name, table.table_type, table.comment, table.owner) == (
        "main.sales.orders",
        TableType.MANAGED,
        "Orders of all shops",
        "admin",
    )
    assert [(each.name, each.type_text) for each in table.columns] == [("id", "bigint"), ("name", "string")]
    assert Path(table.location).parent == lake.root / "tables"


def test_rows_appear_with_their_commit_and_versions_can_be_read_again(lake: Lake) -> None:
    make_orders(lake)
    assert append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [1, 2], "name": ["a", "b"]})) == 1
    assert append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [3], "name": ["c"]})) == 2
    assert ids(lake, lake.admin) == [1, 2, 3]
    assert ids(lake, lake.admin, TableName("main", "sales", "orders", version=1)) == [1, 2]
    assert ids(lake, lake.admin, TableName("main", "sales", "orders", version=0)) == []
    history = lake.room.tables.history(lake.admin, ORDERS)
    assert [(each.version, each.operation, each.user) for each in history] == [
        (2, "WRITE", "admin"),
        (1, "WRITE", "admin"),
        (0, "CREATE TABLE", "admin"),
    ]
    assert history[0].metrics["numOutputRows"] == "1"
    moment = history[1].timestamp
    assert ids(lake, lake.admin, TableName("main", "sales", "orders", timestamp=moment)) == [1, 2]


def test_versions_and_moments_that_are_not_there_are_named(lake: Lake) -> None:
    make_orders(lake)
    with pytest.raises(VersionNotFound, match="no version 7; the newest is 0"):
        lake.room.tables.resolve_many(lake.admin, [TableName("main", "sales", "orders", version=7)])
    last = lake.room.tables.history(lake.admin, ORDERS)[0].timestamp
    with pytest.raises(TimestampTooLate, match="newest is version 0"):
        lake.room.tables.resolve_many(lake.admin, [TableName("main", "sales", "orders", timestamp=last.replace(year=2400))])


def test_restore_makes_a_new_version_like_the_old_one(lake: Lake) -> None:
    make_orders(lake)
    append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [1], "name": ["a"]}))
    append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [2], "name": ["b"]}))
    lake.room.tables.add_columns(lake.admin, ORDERS, [Column("more", "int")])
    assert lake.room.tables.restore(lake.admin, ORDERS, version=1) == 4
    assert ids(lake, lake.admin) == [1]
    assert [each.name for each in lake.room.tables.get(lake.admin, ORDERS).columns] == ["id", "name"]
    assert ids(lake, lake.admin, TableName("main", "sales", "orders", version=3)) == [1, 2]


def test_added_columns_are_null_in_old_rows(lake: Lake) -> None:
    make_orders(lake)
    append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [1], "name": ["a"]}))
    table = lake.room.tables.add_columns(lake.admin, ORDERS, [Column("price", "decimal(10, 2)", comment="With tax")])
    assert table.columns[2] == Column("price", "decimal(10,2)", comment="With tax", position=2)
    resolved = lake.room.tables.resolve_many(lake.admin, [ORDERS])[0]
    assert resolved.snapshot is not None
    assert not resolved.snapshot.uniform
    assert read_files(resolved.snapshot) == [{"id": 1, "name": "a", "price": None}]
    with pytest.raises(ColumnAlreadyExists):
        lake.room.tables.add_columns(lake.admin, ORDERS, [Column("PRICE", "int")])
    with pytest.raises(InvalidColumn, match="NOT NULL"):
        lake.room.tables.add_columns(lake.admin, ORDERS, [Column("must", "int", nullable=False)])


def test_comments_of_columns_are_kept_in_the_table(lake: Lake) -> None:
    make_orders(lake)
    table = lake.room.tables.comment_columns(lake.admin, ORDERS, {"ID": "Number of the order"})
    assert table.columns[0].comment == "Number of the order"
    with pytest.raises(InvalidColumn, match="Did you mean `name`"):
        lake.room.tables.comment_columns(lake.admin, ORDERS, {"nmae": ""})


def test_a_failed_commit_leaves_no_data_file(lake: Lake) -> None:
    make_orders(lake)
    with lake.room.tables.begin_write(lake.admin, ORDERS) as write:
        first = write_file(write.location, pa.table({"id": [1], "name": ["a"]}))
        old = write.snapshot
        lake.room.tables.commit(write, [first])
        write.snapshot = old  # As another process sees it that was slower.
        second = write_file(write.location, pa.table({"id": [2], "name": ["b"]}))
        with pytest.raises(CommitConflict):
            lake.room.tables.commit(write, [second], blind=False)
        assert (Path(write.location) / first.path).exists()
        assert not (Path(write.location) / second.path).exists()
    assert ids(lake, lake.admin) == [1]


def test_create_as_select_appears_with_its_rows_or_not_at_all(lake: Lake) -> None:
    with lake.room.tables.stage(lake.admin, ORDERS) as staged:
        write_file(staged.location, pa.table({"id": [1]}))
    assert not Path(staged.location).exists()
    with lake.room.tables.stage(lake.admin, ORDERS) as staged:
        file = write_file(staged.location, pa.table({"id": [1]}))
        lake.room.tables.create(lake.admin, ORDERS, columns(id="bigint"), staged=staged, adds=[file], label=Label(Level.CONFIDENTIAL))
    assert ids(lake, lake.admin) == [1]
    resolved = lake.room.tables.resolve_many(lake.admin, [ORDERS])[0]
    assert resolved.version == 0
    assert resolved.label.level is Level.CONFIDENTIAL


def test_create_or_replace_keeps_the_history_and_the_label(lake: Lake) -> None:
    make_orders(lake)
    lake.room.tables.raise_label(lake.admin, lake.room.tables.get(lake.admin, ORDERS).id, Label(Level.SECRET))
    append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [1], "name": ["a"]}))
    with lake.room.tables.stage(lake.admin, ORDERS, replace=True) as staged:
        file = write_file(staged.location, pa.table({"day": [9]}))
        lake.room.tables.create(lake.admin, ORDERS, columns(day="bigint"), replace=True, staged=staged, adds=[file])
    resolved = lake.room.tables.resolve_many(lake.admin, [ORDERS])[0]
    assert resolved.snapshot is not None
    assert read_files(resolved.snapshot) == [{"day": 9}]
    assert [each.name for each in resolved.table.columns] == ["day"]
    assert resolved.label.level is Level.SECRET
    assert ids(lake, lake.admin, TableName("main", "sales", "orders", version=1)) == [1]


def test_names_are_taken_once(lake: Lake) -> None:
    make_orders(lake)
    with pytest.raises(TableAlreadyExists, match=r"main\.sales\.orders"):
        make_orders(lake)
    kept = lake.room.tables.create(lake.admin, ORDERS, columns(other="int"), if_not_exists=True)
    assert [each.name for each in kept.columns] == ["id", "name"]
    assert len(list((lake.root / "tables").iterdir())) == 1


@pytest.mark.parametrize("name", ["", "a.b", "a/b", "a b", "a`b", "x" * 256, "a\0b"])
def test_bad_names_are_refused(lake: Lake, name: str) -> None:
    with pytest.raises(InvalidName):
        lake.room.tables.create(lake.admin, TableName("main", "sales", name), columns(id="int"))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([], "between 1 and"),
        ([Column("a", "int"), Column("A", "int")], "appears twice"),
        ([Column("a b", "int")], "cannot store"),
        ([Column("a", "itn")], "Did you mean `int`"),
        ([Column("a", "decimal(39,2)")], "out of range"),
        ([Column("a", "varchar(10)")], "Use `string`"),
        ([Column("a", "struct<x:int,x:int>")], "each another one"),
    ],
)
def test_bad_columns_are_refused(lake: Lake, bad: list[Column], words: str) -> None:
    with pytest.raises(InvalidColumn) as caught:
        lake.room.tables.create(lake.admin, ORDERS, bad)
    assert words in str(caught.value)


def test_what_one_may_not_see_does_not_exist(lake: Lake) -> None:
    make_orders(lake)
    anna = lake.person("anna")
    hidden = pytest.raises(TableNotFound)
    with hidden as caught:
        lake.room.tables.resolve_many(anna, [ORDERS])
    with pytest.raises(TableNotFound) as absent:
        lake.room.tables.resolve_many(anna, [TableName("main", "sales", "nothing")])
    assert str(caught.value).replace("orders", "nothing") == str(absent.value)


def test_rights_are_asked_on_the_table_and_above_it(lake: Lake) -> None:
    make_orders(lake)
    append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [1], "name": ["a"]}))
    anna = lake.person("anna")
    find = lake.access.securables.find

    table, schema, catalog = (
        find(SecurableKind.TABLE, "main.sales.orders"),
        find(SecurableKind.SCHEMA, "main.sales"),
        find(SecurableKind.CATALOG, "main"),
    )
    assert table
    assert schema
    assert catalog
    lake.access.grants.grant(lake.admin, table.id, "anna", [Privilege.SELECT])
    with pytest.raises(AccessDenied, match="USE SCHEMA"):
        lake.room.tables.resolve_many(anna, [ORDERS])
    lake.access.grants.grant(lake.admin, schema.id, "anna", [Privilege.USE_SCHEMA])
    lake.access.grants.grant(lake.admin, catalog.id, "anna", [Privilege.USE_CATALOG])
    assert ids(lake, anna) == [1]
    with pytest.raises(AccessDenied, match="MODIFY"), lake.room.tables.begin_write(anna, ORDERS):
        pass
    with pytest.raises(AccessDenied, match="MANAGE"):
        lake.room.tables.drop(anna, ORDERS)
    assert [each.name for each in lake.room.tables.list(anna, "main", "sales").items] == ["orders"]


def test_a_right_that_is_taken_away_while_writing_ends_the_write(lake: Lake) -> None:
    make_orders(lake)

    anna = lake.person("anna")
    catalog = lake.access.securables.find(SecurableKind.CATALOG, "main")
    assert catalog
    lake.access.grants.grant(lake.admin, catalog.id, "anna", [Privilege.ALL_PRIVILEGES])
    with lake.room.tables.begin_write(anna, ORDERS) as write:
        file = write_file(write.location, pa.table({"id": [1], "name": ["a"]}))
        lake.access.grants.revoke(lake.admin, catalog.id, "anna", [Privilege.ALL_PRIVILEGES])
        with pytest.raises(InsjoError):
            lake.room.tables.commit(write, [file])
    assert ids(lake, lake.admin) == []


def test_all_problems_are_told_at_once(lake: Lake) -> None:
    make_orders(lake)
    with pytest.raises(TableNotFound) as caught:
        lake.room.tables.resolve_many(lake.admin, [TableName("main", "sales", "order"), ORDERS, TableName("main", "sales", "x")])
    assert "`main.sales.order`" in str(caught.value)
    assert "`main.sales.x`" in str(caught.value)
    assert "Did you mean `main.sales.orders`?" in str(caught.value)
    problems = caught.value.details["problems"]
    assert isinstance(problems, list)
    assert len(problems) == 2


def test_lists_show_what_one_may_see_page_by_page(lake: Lake) -> None:
    for number in range(5):
        lake.room.tables.create(lake.admin, TableName("main", "sales", f"t{number}"), columns(id="int"))

    anna = lake.person("anna")
    schema = lake.access.securables.find(SecurableKind.SCHEMA, "main.sales")
    assert schema
    lake.access.grants.grant(lake.admin, schema.id, "anna", [Privilege.USE_SCHEMA])
    for number in (1, 3, 4):
        table = lake.access.securables.find(SecurableKind.TABLE, f"main.sales.t{number}")
        assert table
        lake.access.grants.grant(lake.admin, table.id, "anna", [Privilege.SELECT])
    seen: list[str] = []
    token = ""
    while True:
        page = lake.room.tables.list(anna, "main", "sales", PageRequest(2, token))
        seen.extend(each.name for each in page.items)
        token = page.next_token
        if not token:
            break
    assert seen == ["t1", "t3", "t4"]


def test_drop_takes_the_files_and_everything_that_hung_on_the_table(lake: Lake) -> None:
    make_orders(lake)
    table = lake.room.tables.get(lake.admin, ORDERS)
    lake.room.tables.drop(lake.admin, ORDERS)
    assert not Path(table.location).exists()
    with pytest.raises(TableNotFound):
        lake.room.tables.get(lake.admin, ORDERS)
    lake.room.tables.drop(lake.admin, ORDERS, if_exists=True)
    with pytest.raises(TableNotFound):
        lake.room.tables.drop(lake.admin, ORDERS)
    make_orders(lake)
    assert ids(lake, lake.admin) == []


def test_a_crash_between_metadata_and_files_leaves_a_folder_that_the_next_start_sweeps(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    make_orders(lake)
    table = lake.room.tables.get(lake.admin, ORDERS)

    class Killed(BaseException):
        pass

    def killed(_: str) -> None:
        raise Killed

    monkeypatch.setattr(lake.room._parts.storage, "remove", killed)
    with pytest.raises(Killed):
        lake.room.tables.drop(lake.admin, ORDERS)
    monkeypatch.undo()
    assert Path(table.location).exists()
    with pytest.raises(TableNotFound):
        lake.room.tables.get(lake.admin, ORDERS)
    lake.room.start()
    assert not Path(table.location).exists()


def test_folders_of_strangers_are_swept_only_when_they_are_old(lake: Lake) -> None:
    make_orders(lake)
    fresh, old = lake.root / "tables" / "fresh", lake.root / "tables" / "old"
    for folder in (fresh, old):
        (folder / "_delta_log").mkdir(parents=True)
    for path in (old / "_delta_log", old):
        os.utime(path, (1, 1))
    lake.room.start()
    assert fresh.exists()
    assert not old.exists()
    assert ids(lake, lake.admin) == []


def test_renaming_keeps_rows_and_rights(lake: Lake) -> None:
    make_orders(lake)
    append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [1], "name": ["a"]}))
    lake.room.tables.update(lake.admin, ORDERS, new_name="Sold", comment="All that was sold")
    assert ids(lake, lake.admin, TableName("main", "sales", "sold")) == [1]
    lake.room.schemas.update(lake.admin, "main.sales", new_name="trade")
    assert ids(lake, lake.admin, TableName("main", "trade", "sold")) == [1]
    lake.room.catalogs.update(lake.admin, "main", new_name="prod")
    table = lake.room.tables.get(lake.admin, "prod.trade.sold")
    assert table.comment == "All that was sold"


def test_owner_and_properties_change(lake: Lake) -> None:
    make_orders(lake)
    lake.person("anna")
    table = lake.room.tables.update(lake.admin, ORDERS, owner="anna", properties={"team": "trade", "delta.appendOnly": "true"})
    assert table.owner == "anna"
    assert table.properties == {"team": "trade", "delta.appendOnly": "true"}
    snapshot = lake.room.tables.snapshot(table.id)
    assert snapshot.properties == {"delta.appendOnly": "true"}


def test_views_are_kept_with_the_place_where_they_were_made(lake: Lake) -> None:
    view = TableName("main", "sales", "big")
    made = lake.room.tables.create_view(
        lake.admin,
        view,
        "SELECT id FROM orders",
        columns(id="bigint"),
        default_catalog="main",
        default_schema="sales",
        label=Label(Level.CONFIDENTIAL),
    )
    assert made.is_view
    assert (made.view_definition, made.view_catalog, made.view_schema) == ("SELECT id FROM orders", "main", "sales")
    resolved = lake.room.tables.resolve_many(lake.admin, [view])[0]
    assert resolved.snapshot is None
    assert resolved.label.level is Level.CONFIDENTIAL
    with pytest.raises(WrongTableType, match="no versions"):
        lake.room.tables.resolve_many(lake.admin, [TableName("main", "sales", "big", version=1)])
    with pytest.raises(WrongTableType), lake.room.tables.begin_write(lake.admin, view):
        pass
    with pytest.raises(TableAlreadyExists):
        lake.room.tables.create_view(lake.admin, view, "SELECT 1", columns(a="int"))
    lake.room.tables.create_view(lake.admin, view, "SELECT 1 AS a", columns(a="int"), replace=True)
    assert lake.room.tables.get(lake.admin, view).view_definition == "SELECT 1 AS a"
    with pytest.raises(WrongTableType, match="DROP VIEW"):
        lake.room.tables.drop(lake.admin, view, view=False)
    lake.room.tables.drop(lake.admin, view, view=True)


def test_labels_only_rise_by_what_flows_in(lake: Lake) -> None:
    make_orders(lake)
    table = lake.room.tables.get(lake.admin, ORDERS)
    lake.room.tables.raise_label(lake.admin, table.id, Label(Level.PUBLIC))
    assert lake.access.labels.effective(table.id).level is Level.INTERNAL
    lake.room.tables.raise_label(lake.admin, table.id, Label(Level.PUBLIC, frozenset({"health"})))
    assert lake.access.labels.effective(table.id) == Label(Level.INTERNAL, frozenset({"health"}))
    lake.access.labels.set(lake.admin, table.id, Label(Level.SECRET), column="Name")
    resolved = lake.room.tables.resolve_many(lake.admin, [ORDERS])[0]
    assert resolved.column_label("NAME").level is Level.SECRET
    assert resolved.column_label("id") == Label(Level.INTERNAL, frozenset({"health"}))


def test_system_tables_have_no_files_and_stay(lake: Lake) -> None:
    lake.room.ensure_system_schemas(["access"])
    lake.room.ensure_system_schemas(["access"])
    name = TableName("system", "access", "audit")
    lake.room.tables.register_system(system_context(), name, columns(at="timestamp"))
    table = lake.room.tables.register_system(system_context(), name, columns(at="timestamp", who="string"))
    assert [each.name for each in table.columns] == ["at", "who"]
    assert lake.room.tables.resolve_many(lake.admin, [name])[0].snapshot is None
    with pytest.raises(WrongTableType):
        lake.room.tables.drop(lake.admin, name)
    with pytest.raises(InsjoError, match="belongs to Insjö"):
        lake.room.tables.create(lake.admin, TableName("system", "access", "mine"), columns(a="int"))


def test_schemas_and_catalogs_go_only_when_empty_or_forced(lake: Lake) -> None:
    make_orders(lake)
    lake.room.volumes.create(lake.admin, "main.sales.files")
    table = lake.room.tables.get(lake.admin, ORDERS)
    with pytest.raises(SchemaNotEmpty):
        lake.room.schemas.delete(lake.admin, "main.sales")
    with pytest.raises(InsjoError, match="not empty"):
        lake.room.catalogs.delete(lake.admin, "main")
    lake.room.catalogs.delete(lake.admin, "main", force=True)
    assert not Path(table.location).exists()
    assert list((lake.root / "volumes").iterdir()) == []
    assert [each.name for each in lake.room.catalogs.list(lake.admin).items] == []


def test_hooks_hear_of_commits_and_cannot_harm_them(lake: Lake) -> None:
    heard: list[tuple[str, int]] = []

    def broken(table_id: str, version: int) -> None:
        heard.append((table_id, version))
        raise RuntimeError

    lake.room.tables.on_commit(broken)
    make_orders(lake)
    append(lake, lake.admin, ORDERS.full_name, pa.table({"id": [1], "name": ["a"]}))
    table = lake.room.tables.get(lake.admin, ORDERS)
    assert heard == [(table.id, 0), (table.id, 1)]
    assert ids(lake, lake.admin) == [1]
