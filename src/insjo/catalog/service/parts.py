"""What all services of the catalog share: the foreign parts, names, and rows as types."""

from __future__ import annotations

import contextlib
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from insjo.catalog import store
from insjo.catalog.errors import InvalidName
from insjo.catalog.types import INFORMATION_SCHEMA, SYSTEM_CATALOG, Catalog, Schema, Table, TableType, Volume, VolumeType
from insjo.kernel.context import SYSTEM
from insjo.kernel.errors import AlreadyExists, InvalidArgument
from insjo.kernel.limits import NAME_CHARS_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import sqlalchemy as sa

    from insjo.access.service.facade import Access
    from insjo.access.types import Privilege, Securable, SecurableKind
    from insjo.catalog.ports import CleanableStorage, FileStorage, PlainCopies
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

COPIES = "_plain"
"""Name of the folder of plain copies; it lies beside the tables because that is where engines may read."""

_FORBIDDEN = frozenset("./\\ `")
_COMMENT_CHARS_MAX = 65_536
_PROPERTIES_MAX = 200
_PROPERTY_CHARS_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What the services of the catalog are made of; `root` is the data folder."""

    database: Database
    clock: Clock
    access: Access
    storage: CleanableStorage
    copies: PlainCopies
    files: FileStorage
    root: Path

    @property
    def table_folder(self) -> Path:
        """Where managed tables lie, each in a folder of its own."""
        return self.root / "tables"

    @property
    def volume_folder(self) -> Path:
        """Where managed volumes lie, each in a folder of its own."""
        return self.root / "volumes"

    @property
    def copy_folder(self) -> Path:
        """Where plain copies of tables lie that cannot be read as files; anything in it may be deleted."""
        return self.table_folder / COPIES

    def stamps(self, ctx: RequestContext) -> dict[str, object]:
        """The four columns of a new row that tell who made it when."""
        now = self.clock.now()
        return {"created_at": now, "created_by": ctx.principal.name, "updated_at": now, "updated_by": ctx.principal.name}

    def touched(self, ctx: RequestContext) -> dict[str, object]:
        """The two columns of a changed row."""
        return {"updated_at": self.clock.now(), "updated_by": ctx.principal.name}

    def owner_names(self, ids: Iterable[str]) -> dict[str, str]:
        """Name of the owner of each securable."""
        return self.access.authority.owners(ids)

    def resolve(self, ctx: RequestContext, kind: SecurableKind, full_name: str, privilege: Privilege | None = None) -> Securable:
        """The securable of that name if the caller may see it and holds the privilege."""
        return self.access.securables.resolve(ctx, kind, full_name.lower(), privilege)

    def visible(self, ctx: RequestContext, kind: SecurableKind) -> sa.Select[tuple[str]]:
        """Identifiers of what the caller may see, as a query to join with."""
        return self.access.authority.visible(ctx, kind)

    def set_owner(self, ctx: RequestContext, securable_id: str, owner: str, *, connection: sa.Connection) -> None:
        """Hand a securable to the principal of a name."""
        principal = self.access.principals.by_name(owner, connection=connection)
        self.access.securables.set_owner(ctx, securable_id, principal.id, connection=connection)

    @contextlib.contextmanager
    def unless_taken(self, error: type[AlreadyExists], noun: str, full_name: str) -> Iterator[None]:
        """What stands in the block gives a name; one that is taken is told in the words of its kind."""
        try:
            yield
        except AlreadyExists as taken:
            message = f"The {noun} `{full_name}` exists already."
            raise error(message) from taken

    def changed(
        self, ctx: RequestContext, action: str, full_name: str, securable_id: str, *, connection: sa.Connection | None = None
    ) -> None:
        """Write a change into the audit, in its transaction; `Securables` itself records what is created or deleted."""
        self.access.audit.record(ctx, action, outcome="changed", object=full_name, securable_id=securable_id, connection=connection)


def checked_name(noun: str, name: str) -> str:
    """A name in lower case; raises InvalidName for one that names may not be."""
    lowered = unicodedata.normalize("NFC", name).lower()
    bad = next((each for each in lowered if each in _FORBIDDEN or unicodedata.category(each) in {"Cc", "Cs"}), None)
    if not lowered or len(lowered) > NAME_CHARS_MAX or bad is not None:
        shown = name[:NAME_CHARS_MAX].replace("\0", "")
        message = f"`{shown}` is not a name for a {noun}."
        raise InvalidName(message, hint=f"A name has 1 to {NAME_CHARS_MAX} characters and no point, slash, space or backtick.")
    return lowered


def checked_comment(comment: str) -> str:
    """The comment, if it is not too long."""
    if len(comment) > _COMMENT_CHARS_MAX:
        message = f"A comment has at most {_COMMENT_CHARS_MAX} characters."
        raise InvalidArgument(message)
    return comment


def checked_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties, if they are not too many or too long."""
    if len(properties) > _PROPERTIES_MAX:
        message = f"An object has at most {_PROPERTIES_MAX} properties."
        raise InvalidArgument(message)
    for key, value in properties.items():
        if not key or len(key) + len(value) > _PROPERTY_CHARS_MAX:
            message = f"The property `{key[:NAME_CHARS_MAX]}` is empty or longer than {_PROPERTY_CHARS_MAX} characters."
            raise InvalidArgument(message)
    return dict(properties)


def refuse_reserved(ctx: RequestContext, catalog: str, schema: str = "") -> None:
    """Only Insjö itself changes what it computes."""
    if ctx.principal == SYSTEM:
        return
    if catalog == SYSTEM_CATALOG or schema == INFORMATION_SCHEMA:
        name = f"{catalog}.{schema}" if schema else catalog
        message = f"`{name}` belongs to Insjö and cannot be changed."
        raise InvalidArgument(message)


def split_schema(full_name: str) -> tuple[str, str]:
    """Catalog and schema of `catalog.schema`."""
    catalog, point, schema = full_name.partition(".")
    if not point or not catalog or not schema or "." in schema:
        message = f"`{full_name}` is not the full name of a schema."
        raise InvalidName(message, hint="Write `catalog.schema`.")
    return catalog.lower(), schema.lower()


def catalog_of(row: store.Row, owner: str) -> Catalog:
    """Catalog from its row."""
    return Catalog(
        id=row["id"],
        name=row["name"],
        comment=row["comment"],
        owner=owner,
        properties=row["properties"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
    )


def schema_of(row: store.Row, owner: str) -> Schema:
    """Schema from its row."""
    return Schema(
        id=row["id"],
        catalog_name=row["catalog_name"],
        name=row["name"],
        comment=row["comment"],
        owner=owner,
        properties=row["properties"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
    )


def table_of(row: store.Row, owner: str) -> Table:
    """Table or view from its row."""
    return Table(
        id=row["id"],
        catalog=row["catalog_name"],
        schema=row["schema_name"],
        name=row["name"],
        table_type=TableType(row["table_type"]),
        columns=store.columns_from_json(row["columns"]),
        location=row["location"],
        comment=row["comment"],
        properties=row["properties"],
        owner=owner,
        partition_columns=tuple(row["partition_columns"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
        view_definition=row["view_definition"],
        view_catalog=row["view_catalog"],
        view_schema=row["view_schema"],
        keys=store.keys_from_json(row["keys"]),
    )


def volume_of(row: store.Row, owner: str) -> Volume:
    """Volume from its row."""
    return Volume(
        id=row["id"],
        catalog=row["catalog_name"],
        schema=row["schema_name"],
        name=row["name"],
        volume_type=VolumeType(row["volume_type"]),
        location=row["location"],
        comment=row["comment"],
        owner=owner,
        created_at=row["created_at"],
        created_by=row["created_by"],
        updated_at=row["updated_at"],
        updated_by=row["updated_by"],
    )
