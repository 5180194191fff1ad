#!/usr/bin/env python3
"""Build the browser files that other people wrote and write down what they are.

`make vendor` runs this. It needs Node and npm; nobody who installs, runs or tests Insjö does, because the results are
committed under `src/insjo/web/static/vendor/`. `python scripts/vendor.py --check` needs neither: it compares the
committed files with their lock.

The lock holds name, version, licence and npm's integrity hash (SHA-512) of every package and the SHA-256 of every
file. It holds no address: where packages come from is the business of whoever runs npm.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
RECIPE: Final = ROOT / "scripts" / "vendor"
TARGET: Final = ROOT / "src" / "insjo" / "web" / "static" / "vendor"
LOCK_NAME: Final = "vendor.lock.json"
LICENCES_NAME: Final = "LICENCES.txt"
LICENCES_ALLOWED: Final = frozenset({"MIT", "ISC", "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause"})


class VendorError(Exception):
    """What stops the build, in words for the person who runs it."""


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package as it was installed."""

    name: str
    version: str
    licence: str
    integrity: str
    built_into: tuple[str, ...]


def main() -> int:
    """Build the vendored files, or compare them with the lock. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare the committed files with the lock and stop")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            check(TARGET)
        else:
            build(TARGET)
    except VendorError as error:
        print(f"vendor: {error}", file=sys.stderr)
        return 1
    return 0


def check(target: Path) -> None:
    """Compare every file under `target` with the lock. Raises VendorError naming all differences."""
    lock = json.loads((target / LOCK_NAME).read_text(encoding="utf-8"))
    expected = {entry["path"]: entry["sha256"] for entry in lock["files"]}
    found = {path.name: sha256(path) for path in target.iterdir() if path.name != LOCK_NAME}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        listed = ", ".join(f"`{name}`" for name in wrong)
        message = f"{listed} differ from `{LOCK_NAME}`: run `make vendor` and commit the result"
        raise VendorError(message)
    print(f"vendor: {len(expected)} files match the lock")


def build(target: Path) -> None:
    """Install the pinned packages in a scratch folder, build the files and write the lock."""
    recipe = json.loads((RECIPE / "packages.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="insjo-vendor-") as scratch:
        work = Path(scratch)
        install(work, {**recipe["browser"], **recipe["build"]})
        packages = read_packages(work, recipe)
        out = work / "out"
        out.mkdir()
        build_codemirror(work, out)
        build_htmx(work, out)
        build_icons(work, out, recipe["icons"])
        write_licences(work, out, packages)
        write_lock(out, packages, recipe["build"])
        target.mkdir(parents=True, exist_ok=True)
        for old in target.iterdir():
            old.unlink()
        for new in sorted(out.iterdir()):
            shutil.copyfile(new, target / new.name)
    for path in sorted(target.iterdir()):
        print(f"vendor: {path.relative_to(ROOT)} {path.stat().st_size:,} bytes")


def install(work: Path, versions: dict[str, str]) -> None:
    """Let npm install exactly `versions`; install scripts do not run."""
    manifest = {"name": "insjo-vendor", "version": "0.0.0", "private": True, "dependencies": versions}
    (work / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
    run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--save-exact"], work)


def run(command: list[str], work: Path) -> None:
    """Run `command` in `work`. Raises VendorError with its output when it fails."""
    program = shutil.which(command[0], path=None) or shutil.which(command[0], path=str(work / "node_modules" / ".bin"))
    if program is None:
        message = f"`{command[0]}` was not found: `make vendor` needs Node 20 or newer with npm"
        raise VendorError(message)
    done = subprocess.run([program, *command[1:]], cwd=work, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        message = f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}"
        raise VendorError(message)


def read_packages(work: Path, recipe: dict[str, Any]) -> list[Package]:
    """List what npm installed. Raises VendorError when it is not exactly what the recipe pins."""
    tree = json.loads((work / "node_modules" / ".package-lock.json").read_text(encoding="utf-8"))
    pinned: dict[str, str] = recipe["browser"]
    packages: list[Package] = []
    for place, entry in sorted(tree["packages"].items()):
        name = place.removeprefix("node_modules/")
        if name in recipe["build"] or name.startswith("@esbuild/"):
            continue
        if pinned.get(name) != entry["version"]:
            message = f"npm installed `{name}` {entry['version']}, which `packages.json` does not pin: add or correct it"
            raise VendorError(message)
        licence = entry.get("license", "unknown")
        if licence not in LICENCES_ALLOWED:
            message = f"`{name}` has the licence `{licence}`, which is not among {sorted(LICENCES_ALLOWED)}"
            raise VendorError(message)
        packages.append(Package(name, entry["version"], licence, entry["integrity"], (built_into(name),)))
    missing = sorted(pinned.keys() - {package.name for package in packages})
    if missing:
        message = f"`packages.json` pins {missing}, which nothing needs: remove them"
        raise VendorError(message)
    return packages


def built_into(name: str) -> str:
    """Name the file that the package ends up in."""
    return {"htmx.org": "htmx.js", "lucide-static": "icons.svg"}.get(name, "codemirror.js")


def build_codemirror(work: Path, out: Path) -> None:
    """Bundle the CodeMirror packages into one ES module."""
    shutil.copyfile(RECIPE / "codemirror.entry.js", work / "codemirror.entry.js")
    flags = ["--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=none", "--charset=utf8"]
    run(["esbuild", "codemirror.entry.js", *flags, f"--outfile={out / 'codemirror.js'}"], work)


def build_htmx(work: Path, out: Path) -> None:
    """Take htmx as its makers minified it."""
    shutil.copyfile(work / "node_modules" / "htmx.org" / "dist" / "htmx.min.js", out / "htmx.js")


def build_icons(work: Path, out: Path, names: list[str]) -> None:
    """Collect the named icons as symbols of one SVG; colour and stroke width come from the stylesheet."""
    folder = work / "node_modules" / "lucide-static" / "icons"
    symbols: list[str] = []
    for name in sorted(set(names)):
        path = folder / f"{name}.svg"
        if not path.is_file():
            message = f"there is no icon `{name}` in this version of lucide"
            raise VendorError(message)
        source = path.read_text(encoding="utf-8")
        body = source[source.index(">", source.index("<svg")) + 1 : source.rindex("</svg>")]
        body = re.sub(r"\s+", " ", body).replace("> <", "><").replace(" />", "/>").strip()
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{body}</symbol>')
    text = '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"
    (out / "icons.svg").write_text(text, encoding="utf-8")


def write_licences(work: Path, out: Path, packages: list[Package]) -> None:
    """Put the licence texts of all packages into one file, as each of the licences asks."""
    parts: list[str] = []
    for package in packages:
        folder = work / "node_modules" / package.name
        texts = sorted(path for path in folder.iterdir() if path.name.upper().startswith(("LICENSE", "LICENCE")))
        if not texts:
            message = f"`{package.name}` carries no licence text"
            raise VendorError(message)
        body = "\n".join(path.read_text(encoding="utf-8").strip() for path in texts)
        parts.append(f"{package.name} {package.version} ({package.licence})\n\n{body}\n")
    rule = "\n" + "-" * 80 + "\n\n"
    (out / LICENCES_NAME).write_text(rule.join(parts), encoding="utf-8")


def write_lock(out: Path, packages: list[Package], builders: dict[str, str]) -> None:
    """Write names, versions, licences and hashes, and no address."""
    lock = {
        "comment": "Written by scripts/vendor.py. Do not edit by hand.",
        "built_with": builders,
        "packages": [
            {
                "name": package.name,
                "version": package.version,
                "licence": package.licence,
                "integrity": package.integrity,
                "built_into": list(package.built_into),
            }
            for package in packages
        ],
        "files": [{"path": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(out.iterdir())],
    }
    (out / LOCK_NAME).write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """Hash a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
