"""Folders, files, saved queries and dashboards, and who may do what with them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from insjo.access.errors import AccessDenied
from insjo.access.types import Privilege
from insjo.kernel.context import RequestContext
from insjo.kernel.errors import InsjoError
from insjo.kernel.paging import PageRequest
from insjo.workspace.errors import (
    FolderFull,
    FolderNotEmpty,
    FolderReserved,
    FormatUnsupported,
    InvalidDocument,
    InvalidWorkspacePath,
    NotPublished,
    ObjectChanged,
    PathNotFound,
    PathTaken,
    WrongObjectKind,
)
from insjo.workspace.service import tree
from insjo.workspace.types import ObjectKind, State
from tests.unit.workspace.conftest import Desk

pytestmark = pytest.mark.slow


def paths(desk: Desk, who: RequestContext, folder: str) -> list[str]:
    return [each.path for each in desk.room.objects.list(who, folder)]


def content(desk: Desk, who: RequestContext, path: str) -> bytes:
    return b"".join(desk.room.objects.read(who, path)[1])


def share(desk: Desk, id_: str, to: str, *privileges: Privilege) -> None:
    desk.access.grants.grant(desk.admin, id_, to, privileges)


def test_a_file_in_a_home_folder_is_private(desk: Desk) -> None:
    put = desk.room.objects.put(desk.anna, "/Users/anna/notes.txt", b"hello")
    assert (put.kind, put.size_bytes, put.path) == (ObjectKind.FILE, 5, "/Users/anna/notes.txt")
    assert content(desk, desk.anna, "/Workspace/Users/Anna/NOTES.txt") == b"hello"
    assert paths(desk, desk.anna, "/") == ["/Users", "/Shared"]
    assert paths(desk, desk.anna, "/Users") == ["/Users/anna"]
    assert paths(desk, desk.bo, "/Users") == ["/Users/bo"]
    for call in (desk.room.objects.get, desk.room.objects.list, desk.room.objects.read, desk.room.objects.delete):
        with pytest.raises(PathNotFound) as hidden:
            call(desk.bo, "/Users/anna/notes.txt")
        with pytest.raises(PathNotFound) as missing:
            call(desk.bo, "/Users/anna/nothing.txt")
        assert str(hidden.value).replace("notes", "nothing") == str(missing.value)
    with pytest.raises(PathNotFound):
        desk.room.objects.put(desk.bo, "/Users/anna/mine.txt", b"")
    assert paths(desk, desk.admin, "/Users/anna") == ["/Users/anna/notes.txt"]


def test_what_a_folder_gives_holds_for_everything_below_it(desk: Desk) -> None:
    folder = desk.room.objects.make_directories(desk.anna, "/Users/anna/project/src")
    desk.room.objects.put(desk.anna, "/Users/anna/project/src/a.py", b"1")
    project = desk.room.objects.get(desk.anna, folder.parent_path)
    share(desk, project.id, "bo", Privilege.SELECT)
    assert content(desk, desk.bo, "/Users/anna/project/src/a.py") == b"1"
    with pytest.raises(AccessDenied):
        desk.room.objects.put(desk.bo, "/Users/anna/project/src/a.py", b"2", overwrite=True)
    with pytest.raises(AccessDenied):
        desk.room.objects.put(desk.bo, "/Users/anna/project/src/b.py", b"2")
    with pytest.raises(AccessDenied):
        desk.room.objects.delete(desk.bo, "/Users/anna/project", recursive=True)
    assert len(desk.contents()) == 1
    share(desk, project.id, "bo", Privilege.MODIFY)
    desk.room.objects.put(desk.bo, "/Users/anna/project/src/a.py", b"22", overwrite=True)
    desk.room.objects.put(desk.bo, "/Users/anna/project/src/b.py", b"3")
    assert content(desk, desk.anna, "/Users/anna/project/src/a.py") == b"22"
    assert len(desk.contents()) == 2


def test_deleting_a_folder_leaves_nothing_behind(desk: Desk) -> None:
    desk.room.objects.make_directories(desk.anna, "/Users/anna/p_q/r")
    desk.room.objects.put(desk.anna, "/Users/anna/p_q/r/a", b"1")
    desk.room.objects.put(desk.anna, "/Users/anna/pxq", b"stays")
    desk.room.queries.create(desk.anna, "Late flights", "SELECT 1", parent_path="/Users/anna/p_q")
    trashed = desk.room.dashboards.create(desk.anna, "D", parent_path="/Users/anna/p_q")
    desk.room.dashboards.trash(desk.anna, trashed.id)
    with pytest.raises(FolderNotEmpty):
        desk.room.objects.delete(desk.anna, "/Users/anna/p_q")
    desk.room.objects.delete(desk.anna, "/Users/anna/p_q", recursive=True)
    assert paths(desk, desk.anna, "/Users/anna") == ["/Users/anna/pxq"]
    assert len(desk.contents()) == 1
    assert desk.room.queries.list(desk.anna).items == ()
    assert desk.room.dashboards.list(desk.anna, show_trashed=True).items == ()
    desk.room.objects.make_directories(desk.anna, "/Users/anna/p_q")


def test_everybody_works_in_the_shared_folder_and_nobody_at_the_top(desk: Desk) -> None:
    desk.room.objects.put(desk.anna, "/Shared/a.txt", b"a")
    desk.room.objects.put(desk.bo, "/Shared/a.txt", b"b", overwrite=True)
    assert content(desk, desk.anna, "/Shared/a.txt") == b"b"
    with pytest.raises(AccessDenied):
        desk.room.objects.delete(desk.bo, "/Shared/a.txt")
    for path in ("/top.txt", "/Users/somebody"):
        with pytest.raises(FolderReserved):
            desk.room.objects.put(desk.anna, path, b"")
    with pytest.raises(FolderReserved):
        desk.room.objects.make_directories(desk.bo, "/Projects/x")
    assert desk.room.objects.make_directories(desk.admin, "/Projects/x").path == "/Projects/x"
    with pytest.raises(PathNotFound):
        desk.room.objects.get(desk.bo, "/Projects")


@pytest.mark.parametrize("path", ["", "relative", "/a/../b", "/a//b", "/a/./b", "/a\0b", "/" + "x" * 900, "/a" * 50, "/a\nb"])
def test_paths_that_are_none(desk: Desk, path: str) -> None:
    with pytest.raises(InvalidWorkspacePath):
        desk.room.objects.get(desk.anna, path)
    with pytest.raises(InvalidWorkspacePath):
        desk.room.objects.put(desk.anna, path, b"")


def test_a_folder_and_the_trash_have_limits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "ENTRIES_MAX", 2)
    desk.room.objects.put(desk.anna, "/Users/anna/1", b"1")
    desk.room.objects.put(desk.anna, "/Users/anna/2", b"2")
    with pytest.raises(FolderFull):
        desk.room.objects.put(desk.anna, "/Users/anna/3", b"3")
    assert len(desk.contents()) == 2
    assert paths(desk, desk.anna, "/Users/anna") == ["/Users/anna/1", "/Users/anna/2"]


def test_somebody_who_gets_a_name_that_another_had_gets_a_home_of_their_own(desk: Desk) -> None:
    desk.room.objects.put(desk.anna, "/Users/anna/diary", b"mine")
    desk.access.principals.delete(desk.admin, desk.anna.principal.id)
    other = desk.person("anna")
    (home,) = paths(desk, other, "/Users")
    assert home.startswith("/Users/anna-")
    with pytest.raises(PathNotFound):
        desk.room.objects.read(other, "/Users/anna/diary")
    assert content(desk, desk.admin, "/Users/anna/diary") == b"mine"


def test_two_who_write_at_once_agree_on_one_file(desk: Desk) -> None:
    desk.room.objects.list(desk.anna, "/Users")

    def write(number: int) -> bool:
        try:
            desk.room.objects.put(desk.anna, "/Users/anna/race", str(number).encode())
        except PathTaken:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(write, range(8)))
    assert sum(won) == 1
    assert content(desk, desk.anna, "/Users/anna/race") == str(won.index(True)).encode()
    assert len(desk.contents()) == 1


def test_notebooks_are_told_from_files(desk: Desk) -> None:
    source = b"# Databricks notebook source\nprint(1)\n"
    made = desk.room.objects.put(desk.anna, "/Users/anna/load.py", source)
    assert (made.kind, made.path, made.language) == (ObjectKind.NOTEBOOK, "/Users/anna/load", "PYTHON")
    assert content(desk, desk.anna, "/Users/anna/load") == source
    plain = desk.room.objects.put(desk.anna, "/Users/anna/load.py", source, form="RAW")
    assert (plain.kind, plain.path) == (ObjectKind.FILE, "/Users/anna/load.py")
    sql = desk.room.objects.put(desk.anna, "/Users/anna/q", b"SELECT 1", form="SOURCE", language="SQL")
    assert (sql.kind, sql.language) == (ObjectKind.NOTEBOOK, "SQL")
    with pytest.raises(InvalidWorkspacePath, match="language"):
        desk.room.objects.put(desk.anna, "/Users/anna/r", b"", form="SOURCE")
    with pytest.raises(FormatUnsupported, match="DBC"):
        desk.room.objects.put(desk.anna, "/Users/anna/r", b"", form="DBC")
    with pytest.raises(FormatUnsupported, match="HTML"):
        desk.room.objects.read(desk.anna, "/Users/anna/q", form="HTML")


def test_names_are_unique_whatever_their_case_and_kind(desk: Desk) -> None:
    desk.room.objects.put(desk.anna, "/Users/anna/A.txt", b"")
    with pytest.raises(PathTaken):
        desk.room.objects.put(desk.anna, "/Users/anna/a.TXT", b"")
    with pytest.raises(PathTaken):
        desk.room.objects.make_directories(desk.anna, "/Users/anna/a.txt")
    with pytest.raises(WrongObjectKind):
        desk.room.objects.put(desk.anna, "/Users/anna/a.txt/b", b"")
    with pytest.raises(WrongObjectKind):
        desk.room.objects.read(desk.anna, "/Users/anna")


def test_a_dashboard_from_draft_to_publication_to_trash(desk: Desk) -> None:
    document = json.dumps({"pages": [{"name": "p", "displayName": "Sida", "layout": []}]})
    made = desk.room.dashboards.create(desk.anna, "Försäljning", serialized=document)
    assert (made.path, made.owner, made.state) == ("/Users/anna/Försäljning.lvdash.json", "anna", State.ACTIVE)
    assert len(made.id) == 32
    changed = desk.room.dashboards.update(desk.anna, made.id, display_name="Sales", etag=made.etag)
    assert (changed.path, changed.display_name) == ("/Users/anna/Sales.lvdash.json", "Sales")
    with pytest.raises(ObjectChanged):
        desk.room.dashboards.update(desk.anna, made.id, serialized="{}", etag=made.etag)
    with pytest.raises(NotPublished):
        desk.room.dashboards.published(desk.anna, made.id)
    desk.room.dashboards.publish(desk.anna, made.id)
    desk.room.dashboards.update(desk.anna, made.id, serialized="{}")
    assert desk.room.dashboards.published(desk.anna, made.id).serialized == document
    with pytest.raises(PathNotFound):
        desk.room.dashboards.published(desk.bo, made.id)
    share(desk, made.id, "bo", Privilege.SELECT)
    assert desk.room.dashboards.published(desk.bo, made.id).display_name == "Sales"
    assert [each.id for each in desk.room.dashboards.list(desk.bo).items] == [made.id]
    for call in (desk.room.dashboards.publish, desk.room.dashboards.unpublish, desk.room.dashboards.trash, desk.room.dashboards.update):
        with pytest.raises(AccessDenied):
            call(desk.bo, made.id)
    desk.room.dashboards.trash(desk.anna, made.id)
    assert desk.room.dashboards.list(desk.anna).items == ()
    assert paths(desk, desk.anna, "/Users/anna") == []
    other = desk.room.dashboards.create(desk.anna, "Sales")
    with pytest.raises(PathTaken):
        desk.room.dashboards.restore(desk.anna, made.id)
    desk.room.objects.delete(desk.anna, other.path)
    assert desk.room.dashboards.restore(desk.anna, made.id).state is State.ACTIVE
    desk.room.dashboards.trash(desk.anna, made.id)
    desk.clock.turn(31 * 86_400)
    desk.open()
    with pytest.raises(PathNotFound):
        desk.room.dashboards.get(desk.anna, made.id)


def test_a_dashboard_goes_out_and_comes_in_as_a_file(desk: Desk) -> None:
    made = desk.room.objects.put(desk.anna, "/Users/anna/Sales.lvdash.json", b'{"pages": []}')
    assert made.kind is ObjectKind.DASHBOARD
    (listed,) = desk.room.dashboards.list(desk.anna).items
    assert (listed.display_name, listed.id) == ("Sales", made.id)
    assert content(desk, desk.anna, made.path) == b'{"pages": []}'
    with pytest.raises(PathTaken):
        desk.room.objects.put(desk.anna, made.path, b"{}")
    desk.room.objects.put(desk.anna, made.path, b'{"datasets": []}', overwrite=True)
    assert desk.room.dashboards.get(desk.anna, made.id).serialized == '{"datasets": []}'
    with pytest.raises(InvalidDocument):
        desk.room.objects.put(desk.anna, "/Users/anna/Bad.lvdash.json", b"\xff\x00")
    with pytest.raises(FolderReserved):
        desk.room.objects.put(desk.anna, "/Top.lvdash.json", b"{}")
    with pytest.raises(PathNotFound):
        desk.room.objects.read(desk.bo, made.path)
    assert desk.contents() == set()


@pytest.mark.parametrize("document", ["[]", "{", "1", "[" * 100_000, '{"a": ' * 5000])
def test_documents_that_are_none(desk: Desk, document: str) -> None:
    with pytest.raises(InvalidDocument):
        desk.room.dashboards.create(desk.anna, "x", serialized=document)


def test_saved_queries(desk: Desk) -> None:
    made = desk.room.queries.create(desk.anna, "Late", "SELECT 1", tags=("a",), catalog="main", parameters=[{"name": "p"}])
    assert (made.text, made.tags, made.catalog, made.owner, made.parent_path) == ("SELECT 1", ("a",), "main", "anna", "/Users/anna")
    with pytest.raises(PathTaken):
        desk.room.queries.create(desk.anna, "late", "SELECT 2")
    numbered = desk.room.queries.create(desk.anna, "Late", "SELECT 2", auto_resolve=True)
    assert numbered.display_name == "Late (1)"
    assert len(desk.room.queries.list(desk.anna, PageRequest(1)).items) == 1
    with pytest.raises(PathNotFound):
        desk.room.queries.get(desk.bo, made.id)
    with pytest.raises(PathNotFound):
        desk.room.dashboards.get(desk.anna, made.id)
    share(desk, made.id, "bo", Privilege.SELECT, Privilege.MODIFY)
    changed = desk.room.queries.update(desk.bo, made.id, text="SELECT 3", description="d")
    assert (changed.text, changed.last_modifier, changed.owner, changed.tags) == ("SELECT 3", "bo", "anna", ("a",))
    with pytest.raises(InsjoError, match="characters"):
        desk.room.queries.update(desk.anna, made.id, text="x" * 1_000_001)
    desk.room.queries.trash(desk.anna, made.id)
    assert [each.id for each in desk.room.queries.list(desk.anna).items] == [numbered.id]
    assert desk.room.queries.restore(desk.anna, made.id).state is State.ACTIVE
