"""Provider keys at rest."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from insjo.gateway.errors import KeyUnreadable
from insjo.gateway.service.vault import FILE_NAME, Vault


def test_a_secret_comes_back(tmp_path: Path) -> None:
    sealed = Vault(tmp_path / "keys").seal("sk-secret", "a/b")
    assert b"sk-secret" not in sealed
    assert Vault(tmp_path / "keys").open(sealed, "a/b") == "sk-secret"


def test_a_secret_that_was_moved_does_not_open(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    with pytest.raises(KeyUnreadable):
        vault.open(vault.seal("sk-secret", "a/b"), "a/c")


@pytest.mark.parametrize("damage", ["missing", "other", "short"])
def test_another_key_file_opens_nothing(tmp_path: Path, damage: str) -> None:
    sealed = Vault(tmp_path).seal("sk-secret", "a/b")
    path = tmp_path / FILE_NAME
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"x" * (32 if damage == "other" else 5))
    with pytest.raises(KeyUnreadable):
        Vault(tmp_path).open(sealed, "a/b")


def test_the_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    Vault(tmp_path / "keys").seal("x", "y")
    assert stat.S_IMODE((tmp_path / "keys" / FILE_NAME).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "keys").iterdir()] == [FILE_NAME]


def test_processes_that_begin_together_use_one_key(tmp_path: Path) -> None:
    sealed: list[bytes] = []
    together = threading.Barrier(8)

    def begin() -> None:
        vault = Vault(tmp_path)
        together.wait()
        sealed.append(vault.seal("x", "y"))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [Vault(tmp_path).open(each, "y") for each in sealed] == ["x"] * 8
