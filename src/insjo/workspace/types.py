"""Nouns of the workspace: objects in folders, saved queries, dashboards, secrets and who may do what with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from insjo.access.types import SecurableKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

ROOT: Final = "/"
USERS: Final = "/Users"
SHARED: Final = "/Shared"
"""The folder in which everybody may create and change."""


class ObjectKind(StrEnum):
    """What stands in a folder, in the words of the Workspace API."""

    DIRECTORY = "DIRECTORY"
    FILE = "FILE"
    NOTEBOOK = "NOTEBOOK"
    QUERY = "QUERY"
    DASHBOARD = "DASHBOARD"

    @property
    def securable(self) -> SecurableKind:
        """The kind of securable that the object is."""
        return _SECURABLE[self]

    @property
    def noun(self) -> str:
        """The kind as a word in a sentence."""
        return self.value.lower()


_SECURABLE: Final[Mapping[ObjectKind, SecurableKind]] = {
    ObjectKind.DIRECTORY: SecurableKind.FOLDER,
    ObjectKind.FILE: SecurableKind.WORKSPACE_FILE,
    ObjectKind.NOTEBOOK: SecurableKind.WORKSPACE_FILE,
    ObjectKind.QUERY: SecurableKind.QUERY,
    ObjectKind.DASHBOARD: SecurableKind.DASHBOARD,
}

LANGUAGES: Final = ("PYTHON", "SQL", "SCALA", "R")
"""Languages of notebooks."""


class State(StrEnum):
    """Whether an object is in use, or waits in the trash to be deleted."""

    ACTIVE = "ACTIVE"
    TRASHED = "TRASHED"


@dataclass(frozen=True, slots=True)
class WorkspaceObject:
    """One entry of a folder.

    Attributes:
        id: Identifier as securable; that of dashboards and queries on the wire too.
        object_id: Number by which the Workspace API calls it.
        path: Where it stands; empty in the trash.
        language: Of a notebook, else empty.
    """

    id: str
    object_id: int
    kind: ObjectKind
    path: str
    parent_id: str
    language: str
    size_bytes: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def parent_path(self) -> str:
        """The folder in which it stands."""
        return self.path.rpartition("/")[0] or ROOT


@dataclass(frozen=True, slots=True)
class Publication:
    """The state of a dashboard that readers see, whatever its author does to the draft."""

    display_name: str
    serialized: str
    warehouse_id: str
    published_at: datetime
    published_by: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard.

    Attributes:
        id: 32 hexadecimal digits.
        serialized: The document as JSON text: data sets, pages and their widgets (Lakeview's form).
        etag: Changes with each change; whoever sends an older one overwrites nothing.
        published: What readers see, if it was published.
    """

    id: str
    display_name: str
    path: str
    parent_path: str
    serialized: str
    etag: str
    state: State
    warehouse_id: str
    owner: str
    created_at: datetime
    updated_at: datetime
    published: Publication | None = None


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """An SQL text that was kept under a name; it runs with the rights of whoever runs it."""

    id: str
    display_name: str
    text: str
    description: str
    warehouse_id: str
    catalog: str
    schema: str
    tags: tuple[str, ...]
    parameters: tuple[Mapping[str, object], ...]
    path: str
    parent_path: str
    state: State
    owner: str
    last_modifier: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SecretScope:
    """A named set of secrets."""

    name: str


@dataclass(frozen=True, slots=True)
class SecretKey:
    """That there is a secret of this name, without its value."""

    key: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a saved query runs by itself, with the rights of whoever set that.

    Attributes:
        owner: With whose rights it runs; those are asked for again each time.
        cron: Five fields, see `insjo.jobs.cron`; `time_zone` is where its hours are.
        query_hash: What the query was when the schedule was set: a changed one does not run until somebody sets it again.
        next_at: When it is due; None while it is paused.
        outdated: The query is another one by now.
    """

    query_id: str
    query_name: str
    owner: str
    owner_id: str
    cron: str
    time_zone: str
    paused: bool
    query_hash: str
    created_at: datetime
    next_at: datetime | None = None
    last_at: datetime | None = None
    last_run_id: str = ""
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class StorageCredential:
    """What opens places elsewhere, by its name.  Its secret parts are not here.

    Attributes:
        kind: In the words of the Unity Catalog API, such as `azure_service_principal`.
        public: The parts that are no secret, by the names of that API.
    """

    name: str
    kind: str
    public: Mapping[str, str]
    comment: str
    created_by: str
    updated_at: datetime
