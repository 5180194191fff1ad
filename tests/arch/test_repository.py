"""The repository runs anywhere: no path of one machine, no address to download from."""

from __future__ import annotations

import re

from tests.arch.house import ROOT, tracked_files

_HERE = "tests/arch/test_repository.py"
MACHINE = re.compile(r"/(tmp|work|opt|root)/|/home/[a-z]")
"""Folders of one machine.  Temporary folders come from `tempfile` or from pytest's `tmp_path`."""

REGISTRIES = re.compile(
    r"pypi\.org/simple|files\.pythonhosted\.org|registry\.npmjs\.org|(extra-)?index-url|find-links|trusted-host|proxy\.golang\.org",
    re.IGNORECASE,
)
BINARY = frozenset({".png", ".jpg", ".ico", ".woff2", ".parquet", ".pdf", ".docx", ".svg", ".gz", ".zip", ".webp"})
SIZE_BYTES_MAX = 2_000_000


def _texts() -> list[tuple[str, str]]:
    found = []
    for path in tracked_files():
        name = str(path.relative_to(ROOT))
        vendored = "/static/vendor/" in name
        if path.suffix not in BINARY and not vendored and name != _HERE:
            found.append((name, path.read_text(encoding="utf-8", errors="replace")))
    return found


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number} {line.strip()[:120]}"
        for name, text in _texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_paths_of_a_machine() -> None:
    wrong = _lines_with(MACHINE)
    assert not wrong, "\n".join(wrong)


def test_no_addresses_of_registries() -> None:
    wrong = [line for line in _lines_with(REGISTRIES) if "--no-emit-index-url" not in line]
    assert not wrong, "\n".join(wrong)


def test_locks_hold_no_addresses() -> None:
    for path in sorted(ROOT.glob("requirements*.lock")):
        text = path.read_text(encoding="utf-8")
        assert "://" not in text, path.name
        assert "--hash=sha256:" in text, path.name


def test_vendored_files_carry_no_addresses_of_registries() -> None:
    locks = [path for path in tracked_files() if path.name.endswith("lock.json")]
    wrong = [str(path) for path in locks if REGISTRIES.search(path.read_text(encoding="utf-8"))]
    assert not wrong, wrong


def test_no_large_files() -> None:
    large = [f"{path.relative_to(ROOT)}: {path.stat().st_size}" for path in tracked_files() if path.stat().st_size > SIZE_BYTES_MAX]
    assert not large, large


def test_scripts_can_be_run() -> None:
    wrong = [str(path) for path in [*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"] if not path.stat().st_mode & 0o111]
    assert not wrong, wrong
