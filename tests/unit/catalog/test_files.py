from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from insjo.access.errors import AccessDenied, VolumeNotFound
from insjo.access.types import PUBLIC, Label, Level, Privilege, SecurableKind
from insjo.catalog.errors import DirectoryNotEmpty, FeatureUnsupported, FileNotFound, InvalidName, InvalidPath, VolumeAlreadyExists
from insjo.catalog.service import paths
from insjo.catalog.types import VolumeType
from insjo.kernel.context import RequestContext
from insjo.kernel.paging import PageRequest
from tests.support.lake import Lake

HOME = "/Volumes/main/sales/files"


@pytest.fixture(autouse=True)
def volume(lake: Lake) -> str:
    return lake.room.volumes.create(lake.admin, "main.sales.files", "Uploads").id


def put(lake: Lake, *names: str) -> None:
    for name in names:
        lake.room.files.write(lake.admin, f"{HOME}/{name}", [name.encode()])


def matches(lake: Lake, pattern: str) -> list[str]:
    return [each.path.removeprefix(HOME + "/") for each in lake.room.files.resolve_local(lake.admin, f"{HOME}/{pattern}")]


def grant(lake: Lake, who: str, *privileges: Privilege) -> RequestContext:
    ctx = lake.person(who)
    catalog = lake.access.securables.find(SecurableKind.CATALOG, "main")
    assert catalog
    lake.access.grants.grant(lake.admin, catalog.id, who, [Privilege.USE_CATALOG, Privilege.USE_SCHEMA, *privileges])
    return ctx


def test_files_are_written_listed_read_and_deleted(lake: Lake) -> None:
    entry = lake.room.files.write(lake.admin, "/Volumes/MAIN/Sales/files/år 2026/ä b.csv", [b"a,b\n", b"1,2\n"])
    assert (entry.path, entry.name, entry.size_bytes) == (f"{HOME}/år 2026/ä b.csv", "ä b.csv", 8)
    assert b"".join(lake.room.files.read(lake.admin, entry.path)) == b"a,b\n1,2\n"
    assert b"".join(lake.room.files.read(lake.admin, entry.path, 4, 1)) == b"1"
    assert b"".join(lake.room.files.read(lake.admin, f"dbfs:{entry.path}")) == b"a,b\n1,2\n"
    assert lake.room.files.stat(lake.admin, f"{HOME}/år 2026/").is_directory
    assert [each.path for each in lake.room.files.list(lake.admin, HOME).items] == [f"{HOME}/år 2026"]
    lake.room.files.delete(lake.admin, entry.path)
    with pytest.raises(FileNotFound):
        lake.room.files.stat(lake.admin, entry.path)
    lake.room.files.delete_directory(lake.admin, f"{HOME}/år 2026")
    assert lake.room.files.list(lake.admin, HOME).items == ()


def test_lists_come_in_pages(lake: Lake) -> None:
    put(lake, *(f"f{number}" for number in range(7)))
    seen: list[str] = []
    token = ""
    while True:
        page = lake.room.files.list(lake.admin, HOME, PageRequest(3, token))
        seen.extend(each.name for each in page.items)
        token = page.next_token
        if not token:
            break
    assert seen == [f"f{number}" for number in range(7)]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/Volumes",
        "/Volumes/main/sales",
        "relative/a",
        "/etc/passwd",
        f"{HOME}/../x",
        f"{HOME}/a/./b",
        f"{HOME}/a\0b",
        f"{HOME}/a\nb",
        f"{HOME}/.insjo-uploads/x",
        f"{HOME}/{'x' * 300}",
        f"{HOME}/\ud800",
    ],
)
def test_bad_paths_are_refused(lake: Lake, path: str) -> None:
    with pytest.raises(InvalidPath):
        lake.room.files.stat(lake.admin, path)
    with pytest.raises(InvalidPath):
        lake.room.files.write(lake.admin, path, [b"x"])


def test_missing_files_are_told_with_the_nearest_name(lake: Lake) -> None:
    put(lake, "orders.csv")
    with pytest.raises(FileNotFound, match=r"Did you mean `orders\.csv`\?"):
        lake.room.files.read(lake.admin, f"{HOME}/order.csv")
    with pytest.raises(FileNotFound, match="No file or directory"):
        lake.room.files.resolve_local(lake.admin, f"{HOME}/nothing")
    with pytest.raises(FileNotFound, match="No file is at"):
        lake.room.files.resolve_local(lake.admin, f"{HOME}/*.parquet")
    with pytest.raises(FileNotFound, match="No file"):
        lake.room.files.read(lake.admin, HOME)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.csv", ["a.csv"]),
        ("*.csv", ["a.csv", "b.csv"]),
        ("?.csv", ["a.csv", "b.csv"]),
        ("[ac].csv", ["a.csv"]),
        ("[!a].csv", ["b.csv"]),
        ("{a,b}.csv", ["a.csv", "b.csv"]),
        ("sub", ["sub/c.csv", "sub/deep/d.csv"]),
        ("sub/*.csv", ["sub/c.csv"]),
        ("sub*", ["sub/c.csv", "sub/deep/d.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "sub/c.csv", "sub/deep/d.csv"]),
        ("sub/**", ["sub/c.csv", "sub/deep/d.csv"]),
        ("*/deep/*", ["sub/deep/d.csv"]),
        ("[odd].csv", ["[odd].csv"]),
        ("", ["[odd].csv", "a.csv", "b.csv", "note.txt", "sub/c.csv", "sub/deep/d.csv"]),
    ],
)
def test_patterns(lake: Lake, pattern: str, expected: list[str]) -> None:
    put(lake, "a.csv", "b.csv", "note.txt", "sub/c.csv", "sub/deep/d.csv", "_hidden.csv", ".hidden.csv", "sub/_log/x.csv", "[odd].csv")
    found = matches(lake, pattern)
    if pattern in {"*.csv", "**/*.csv"}:
        expected = ["[odd].csv", *expected]
    assert found == expected


def test_patterns_that_are_not_closed_are_refused(lake: Lake) -> None:
    for pattern in ("[abc", "{a,b", "[z-a]*"):
        with pytest.raises(InvalidPath):
            matches(lake, pattern)


def test_local_paths_lead_to_the_content(lake: Lake) -> None:
    put(lake, "sub/a.csv")
    (found,) = lake.room.files.resolve_local(lake.admin, f"{HOME}/sub")
    assert Path(found.local_path).read_bytes() == b"sub/a.csv"
    assert found.size_bytes == 9


def test_rights_of_the_volume_hold_for_its_files(lake: Lake) -> None:
    put(lake, "a.csv")
    stranger, reader = lake.person("bo"), grant(lake, "anna", Privilege.READ_VOLUME)
    path = f"{HOME}/a.csv"
    with pytest.raises(VolumeNotFound):
        lake.room.files.read(stranger, path)
    with pytest.raises(VolumeNotFound):
        lake.room.files.resolve_local(stranger, path)
    assert b"".join(lake.room.files.read(reader, path)) == b"a.csv"
    for attempt in (
        lambda: lake.room.files.write(reader, path, [b"x"], overwrite=True),
        lambda: lake.room.files.delete(reader, path),
        lambda: lake.room.files.make_directory(reader, f"{HOME}/d"),
        lambda: lake.room.files.delete_directory(reader, f"{HOME}/d"),
        lambda: lake.room.files.set_label(reader, path, Label(Level.SECRET)),
    ):
        with pytest.raises(AccessDenied, match="WRITE VOLUME"):
            attempt()
    writer = grant(lake, "eva", Privilege.WRITE_VOLUME)
    lake.room.files.write(writer, f"{HOME}/b.csv", [b"x"])
    with pytest.raises(AccessDenied, match="READ VOLUME"):
        lake.room.files.read(writer, f"{HOME}/b.csv")


def labels(found: Iterable[object]) -> dict[str, Level]:
    return {each.path.removeprefix(HOME + "/"): each.label.level for each in found}  # type: ignore[attr-defined]  # Local files.


def test_labels_of_files_join_those_above_them(lake: Lake, volume: str) -> None:
    put(lake, "open.csv", "hr/pay.csv", "hr/deep/more.csv")
    anna = grant(lake, "anna", Privilege.READ_VOLUME, Privilege.WRITE_VOLUME)
    assert lake.room.files.label(anna, f"{HOME}/open.csv").level is Level.INTERNAL
    lake.room.files.set_label(anna, f"{HOME}/hr", Label(Level.CONFIDENTIAL, frozenset({"salary"})))
    lake.room.files.set_label(anna, f"{HOME}/hr/pay.csv", Label(Level.SECRET))
    assert lake.room.files.label(anna, f"{HOME}/hr/pay.csv") == Label(Level.SECRET, frozenset({"salary"}))
    assert lake.room.files.label(anna, f"{HOME}/hr/new.csv").level is Level.CONFIDENTIAL
    found = labels(lake.room.files.resolve_local(anna, HOME))
    assert found == {"open.csv": Level.INTERNAL, "hr/pay.csv": Level.SECRET, "hr/deep/more.csv": Level.CONFIDENTIAL}
    with pytest.raises(AccessDenied, match="MANAGE"):
        lake.room.files.set_label(anna, f"{HOME}/hr/pay.csv", PUBLIC)
    lake.room.files.set_label(lake.admin, f"{HOME}/hr/pay.csv", PUBLIC)
    assert lake.room.files.label(anna, f"{HOME}/hr/pay.csv").level is Level.CONFIDENTIAL
    lake.access.labels.set(lake.admin, volume, Label(Level.SECRET))
    assert lake.room.files.label(anna, f"{HOME}/open.csv").level is Level.SECRET


def test_an_overwritten_file_keeps_its_label_and_a_deleted_one_does_not(lake: Lake) -> None:
    path = f"{HOME}/a.csv"
    lake.room.files.write(lake.admin, path, [b"x"], label=Label(Level.SECRET))
    lake.room.files.write(lake.admin, path, [b"y"], overwrite=True, label=Label(Level.CONFIDENTIAL))
    assert lake.room.files.label(lake.admin, path).level is Level.SECRET
    lake.room.files.delete(lake.admin, path)
    lake.room.files.write(lake.admin, path, [b"z"])
    assert lake.room.files.label(lake.admin, path).level is Level.INTERNAL
    lake.room.files.write(lake.admin, f"{HOME}/d/a", [b"x"], label=Label(Level.SECRET))
    with pytest.raises(DirectoryNotEmpty):
        lake.room.files.delete_directory(lake.admin, f"{HOME}/d")
    lake.room.files.delete_directory(lake.admin, f"{HOME}/d", recursive=True)
    lake.room.files.write(lake.admin, f"{HOME}/d/a", [b"x"])
    assert lake.room.files.label(lake.admin, f"{HOME}/d/a").level is Level.INTERNAL
    with pytest.raises(DirectoryNotEmpty, match="Drop the volume"):
        lake.room.files.delete_directory(lake.admin, HOME, recursive=True)


def test_hooks_hear_of_changes(lake: Lake, volume: str) -> None:
    heard: list[tuple[str, str]] = []
    lake.room.files.on_change(lambda volume_id, path: heard.append((volume_id, path)))
    put(lake, "a")
    lake.room.files.set_label(lake.admin, f"{HOME}/a", Label(Level.SECRET))
    lake.room.files.delete(lake.admin, f"{HOME}/a")
    assert heard == [(volume, f"{HOME}/a")] * 3


def test_volumes_are_made_listed_renamed_and_dropped(lake: Lake) -> None:
    with pytest.raises(VolumeAlreadyExists):
        lake.room.volumes.create(lake.admin, "main.sales.FILES")
    assert lake.room.volumes.create(lake.admin, "main.sales.files", if_not_exists=True).comment == "Uploads"
    with pytest.raises(InvalidName):
        lake.room.volumes.create(lake.admin, "main.files")
    with pytest.raises(FeatureUnsupported):
        lake.room.volumes.create(lake.admin, "main.sales.other", volume_type=VolumeType.EXTERNAL)
    put(lake, "a")
    lake.room.volumes.update(lake.admin, "main.sales.files", new_name="inbox")
    assert [each.full_name for each in lake.room.volumes.list(lake.admin, "main", "sales").items] == ["main.sales.inbox"]
    assert b"".join(lake.room.files.read(lake.admin, "/Volumes/main/sales/inbox/a")) == b"a"
    location = Path(lake.room.volumes.get(lake.admin, "main.sales.inbox").location)
    assert location.is_dir()
    lake.room.volumes.delete(lake.admin, "main.sales.inbox")
    assert not location.exists()
    with pytest.raises(VolumeNotFound):
        lake.room.volumes.get(lake.admin, "main.sales.inbox")


def test_above_names_the_path_and_every_directory() -> None:
    assert list(paths.above("a/b/c")) == ["a/b/c", "a/b", "a", ""]
