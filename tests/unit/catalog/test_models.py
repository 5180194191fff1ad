from __future__ import annotations

from pathlib import Path

import pytest

from insjo.access.errors import AccessDenied, ModelNotFound, SecurableNotFound
from insjo.access.types import Label, Level, Privilege, SecurableKind
from insjo.catalog.errors import (
    InvalidName,
    InvalidPath,
    ModelAlreadyExists,
    ModelVersionFixed,
    ModelVersionNotFound,
    SchemaNotEmpty,
)
from insjo.catalog.types import VersionStatus
from insjo.kernel.context import RequestContext
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PageRequest
from tests.support.lake import Lake

NAME = "main.sales.churn"
HOME = "/Models/main/sales/churn"


@pytest.fixture(autouse=True)
def model(lake: Lake) -> str:
    return lake.room.models.create(lake.admin, NAME, "Who leaves", {"task": "classification"}).id


def reader(lake: Lake, *privileges: Privilege) -> RequestContext:
    ctx = lake.person("anna")
    catalog = lake.access.securables.find(SecurableKind.CATALOG, "main")
    assert catalog
    lake.access.grants.grant(lake.admin, catalog.id, "anna", [Privilege.USE_CATALOG, Privilege.USE_SCHEMA])
    if privileges:
        lake.access.grants.grant(lake.admin, lake.room.models.get(lake.admin, NAME).id, "anna", list(privileges))
    return ctx


def test_a_version_gets_its_files_and_then_never_changes(lake: Lake) -> None:
    room = lake.room
    pending = room.models.create_version(lake.admin, NAME, source="dbfs:/runs/1", run_id="r1", comment="first")
    assert (pending.version, pending.status, pending.path) == (1, VersionStatus.PENDING, f"{HOME}/1")
    room.files.write(lake.admin, f"{HOME}/1/data/model.bin", [b"weights"])
    room.files.write(lake.admin, f"{HOME}/1/data/model.bin", [b"better weights"], overwrite=True)
    assert room.models.finish(lake.admin, NAME, 1).status is VersionStatus.READY
    assert room.models.finish(lake.admin, NAME, 1).status is VersionStatus.READY, "repeating it is no error"
    for path in (f"{HOME}/1/data/model.bin", f"{HOME}/1/new", f"{HOME}/1", HOME, f"{HOME}/7/x"):
        with pytest.raises((ModelVersionFixed, ModelVersionNotFound)):
            room.files.write(lake.admin, path, [b"other"], overwrite=True)
        with pytest.raises((ModelVersionFixed, ModelVersionNotFound)):
            room.files.delete_directory(lake.admin, path, recursive=True)
    with pytest.raises(ModelVersionFixed):
        room.files.delete(lake.admin, f"{HOME}/1/data/model.bin")
    with pytest.raises(ModelVersionFixed):
        room.models.finish(lake.admin, NAME, 1, failed=True)
    assert b"".join(room.files.read(lake.admin, f"dbfs:{HOME}/1/data/model.bin")) == b"better weights"
    assert [each.path for each in room.files.list(lake.admin, f"{HOME}/1").items] == [f"{HOME}/1/data"]
    assert [each.name for each in room.files.list(lake.admin, HOME).items] == ["1"]


def test_who_may_execute_reads_and_who_manages_writes(lake: Lake) -> None:
    room = lake.room
    room.models.create_version(lake.admin, NAME)
    room.files.write(lake.admin, f"{HOME}/1/MLmodel", [b"x"])
    anna = reader(lake)
    with pytest.raises(SecurableNotFound):
        room.models.get(anna, NAME)
    with pytest.raises(SecurableNotFound):
        room.files.stat(anna, f"{HOME}/1/MLmodel")
    assert room.models.list(anna).items == ()
    anna = reader(lake, Privilege.BROWSE)
    assert room.models.get(anna, NAME).comment == "Who leaves"
    with pytest.raises(AccessDenied):
        room.files.stat(anna, f"{HOME}/1/MLmodel")
    anna = reader(lake, Privilege.EXECUTE)
    assert b"".join(room.files.read(anna, f"{HOME}/1/MLmodel")) == b"x"
    for call in (
        lambda: room.files.write(anna, f"{HOME}/1/more", [b"x"]),
        lambda: room.models.create_version(anna, NAME),
        lambda: room.models.finish(anna, NAME, 1),
        lambda: room.models.set_alias(anna, NAME, "best", 1),
        lambda: room.models.update(anna, NAME, comment="mine"),
        lambda: room.models.delete_version(anna, NAME, 1),
        lambda: room.models.delete(anna, NAME),
        lambda: room.models.create(anna, "main.sales.other"),
    ):
        with pytest.raises(AccessDenied):
            call()


def test_aliases_stand_for_versions(lake: Lake) -> None:
    models = lake.room.models
    for _ in range(3):
        models.create_version(lake.admin, NAME)
    models.set_alias(lake.admin, NAME, "Champion", 1)
    assert models.set_alias(lake.admin, NAME, "champion", 2).aliases == {"champion": 2}
    assert models.by_alias(lake.admin, NAME, "CHAMPION").version == 2
    assert models.version(lake.admin, NAME, 2).aliases == ("champion",)
    with pytest.raises(ModelVersionNotFound, match="no alias `best`"):
        models.by_alias(lake.admin, NAME, "best")
    with pytest.raises(ModelVersionNotFound):
        models.set_alias(lake.admin, NAME, "best", 9)
    for wrong in ("1", "latest", "a b", ""):
        with pytest.raises(InvalidName):
            models.set_alias(lake.admin, NAME, wrong, 1)
    models.delete_version(lake.admin, NAME, 2)
    assert models.get(lake.admin, NAME).aliases == {}
    models.set_alias(lake.admin, NAME, "best", 3)
    models.delete_alias(lake.admin, NAME, "best")
    models.delete_alias(lake.admin, NAME, "best")
    assert models.get(lake.admin, NAME).aliases == {}


def test_numbers_are_never_given_again_and_lists_come_in_pages(lake: Lake) -> None:
    models = lake.room.models
    for _ in range(3):
        models.create_version(lake.admin, NAME)
    folder = Path(models.version(lake.admin, NAME, 3).location)
    assert folder.is_dir()
    models.delete_version(lake.admin, NAME, 3)
    assert not folder.exists()
    assert models.create_version(lake.admin, NAME).version == 4
    first = models.versions(lake.admin, NAME, PageRequest(2))
    rest = models.versions(lake.admin, NAME, PageRequest(2, first.next_token))
    assert [[each.version for each in page.items] for page in (first, rest)] == [[4, 2], [1]]
    models.create(lake.admin, "main.sales.aaa")
    first_models = models.list(lake.admin, "main", "sales", PageRequest(1))
    assert [each.full_name for each in first_models.items] == ["main.sales.aaa"]
    assert [each.full_name for each in models.list(lake.admin, page=PageRequest(1, first_models.next_token)).items] == [NAME]
    with pytest.raises(InvalidArgument):
        models.list(lake.admin, page=PageRequest(1, first.next_token))


def test_words_change_and_names_move(lake: Lake) -> None:
    models = lake.room.models
    models.create_version(lake.admin, NAME, tags={"a": "1", "b": "2"})
    assert models.update_version(lake.admin, NAME, 1, comment="good", tags={"a": None, "c": "3"}).tags == {"b": "2", "c": "3"}
    renamed = models.update(lake.admin, NAME, new_name="Leavers", comment="new", tags={"task": None, "team": "x"})
    assert (renamed.full_name, renamed.comment, renamed.tags) == ("main.sales.leavers", "new", {"team": "x"})
    assert models.version(lake.admin, "main.sales.leavers", 1).comment == "good"
    with pytest.raises(ModelNotFound):
        models.get(lake.admin, NAME)
    models.create(lake.admin, NAME)
    with pytest.raises(ModelAlreadyExists):
        models.update(lake.admin, NAME, new_name="leavers")
    with pytest.raises(ModelAlreadyExists):
        models.create(lake.admin, NAME.upper())


def test_a_schema_with_models_is_not_empty_and_takes_them_along(lake: Lake) -> None:
    lake.room.models.create_version(lake.admin, NAME)
    folder = Path(lake.room.models.get(lake.admin, NAME).location)
    with pytest.raises(SchemaNotEmpty):
        lake.room.schemas.delete(lake.admin, "main.sales")
    lake.room.start()
    assert folder.is_dir(), "a start deletes no folder of a model"
    lake.room.schemas.delete(lake.admin, "main.sales", force=True)
    assert not folder.exists()
    lake.room.schemas.create(lake.admin, "main.sales")
    assert lake.room.models.list(lake.admin).items == ()


def test_what_a_version_was_made_of_labels_the_model(lake: Lake, model: str) -> None:
    salary = Label(Level.CONFIDENTIAL, frozenset({"salary"}))
    lake.room.models.create_version(lake.admin, NAME, label=salary)
    assert lake.access.labels.effective(model).covers(salary)


@pytest.mark.parametrize(
    "path", ["/Models/main/sales/churn/1/../../x", "/Models/main/sales", "/models", "/Models/main/sales/churn/1/.insjo-x"]
)
def test_paths_that_lie_in_no_model(lake: Lake, path: str) -> None:
    with pytest.raises(InvalidPath):
        lake.room.files.stat(lake.admin, path)


@pytest.mark.parametrize("version", ["9", "01", "1x", "\u0661", "99999999999999999999", "-1"])
def test_versions_that_are_none(lake: Lake, version: str) -> None:
    lake.room.models.create_version(lake.admin, NAME)
    with pytest.raises(ModelVersionNotFound):
        lake.room.files.write(lake.admin, f"{HOME}/{version}/x", [b"y"])


def test_sql_reads_no_files_of_models(lake: Lake) -> None:
    lake.room.models.create_version(lake.admin, NAME)
    lake.room.files.write(lake.admin, f"{HOME}/1/rows.csv", [b"a\n1\n"])
    with pytest.raises(InvalidPath):
        lake.room.files.resolve_local(lake.admin, f"{HOME}/1/rows.csv")
    with pytest.raises(InvalidPath):
        lake.room.files.set_label(lake.admin, f"{HOME}/1/rows.csv", Label(Level.SECRET))
