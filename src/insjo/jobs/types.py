"""Runs: pieces of work that go on in the background and outlive the request that asked for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class RunState(StrEnum):
    """Where a run is."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in {RunState.QUEUED, RunState.RUNNING}


@dataclass(frozen=True, slots=True)
class Run:
    """One piece of work.

    Attributes:
        kind: Which handler does it, such as `index.sync`.
        title: What it is, in words for people.
        owner: Name of the principal who asked for it and with whose rights it runs.
        securable_id: What it works on, if it is one object.
        progress_total: 0 while it is not known.
        message: What it is doing just now.
        error: Why it failed, in words for people; `error_code` for programs.
        attempt: How often it was begun: more than once when a server was killed under it.
    """

    id: str
    kind: str
    title: str
    state: RunState
    owner: str
    owner_id: str
    securable_id: str | None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress_done: int = 0
    progress_total: int = 0
    message: str = ""
    error: str = ""
    error_code: str = ""
    attempt: int = 0
    cancel_requested: bool = False
    payload: Mapping[str, object] = field(default_factory=dict)
    result: Mapping[str, object] = field(default_factory=dict)
