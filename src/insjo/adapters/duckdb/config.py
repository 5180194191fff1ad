"""What a worker is told at its start."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class InstanceConfig:
    """What a worker is told at its start.

    Attributes:
        readable: Folders below which files may be read.
        spill: Folder for intermediate results larger than memory; this instance's own.
        outbox: Folder in which data files are written; this instance's own.
        memory_mb: Limit of the engine, in MiB.
        threads: Threads of one statement.
        spill_mb: Limit of the spill folder, in MiB.
        cache_mb: Memory for columns that are read again and again, in MiB; a part of the limit.
        run_as: User id to become, or None.
    """

    readable: tuple[str, ...]
    spill: str
    outbox: str
    memory_mb: int
    threads: int
    spill_mb: int
    cache_mb: int = 0
    run_as: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For the wire."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> InstanceConfig:
        """Inverse of `as_json`."""
        return InstanceConfig(**value)
