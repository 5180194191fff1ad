"""What a statement's names mean before any table is looked up: current catalog and schema, and what its session holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from insjo.catalog.types import TableName
from insjo.kernel.context import SYSTEM, system_context
from insjo.sql.errors import InvalidIdentifier
from insjo.sql.types import DEFAULT_CATALOG, DEFAULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlglot import exp

    from insjo.access.service.facade import Access
    from insjo.kernel.context import RequestContext
    from insjo.sql.types import TemporaryView

_EVERYBODY = "account users"


@dataclass(frozen=True, slots=True)
class NameSpace:
    """Names without a catalog or a schema belong here.

    Attributes:
        variables: Session variables with their values as typed constants.
    """

    catalog: str = DEFAULT_CATALOG
    schema: str = DEFAULT_SCHEMA
    temporary_views: Mapping[str, TemporaryView] = field(default_factory=dict)
    variables: Mapping[str, exp.Expr] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the current catalog and schema matters."""
        return not self.temporary_views and not self.variables

    def table(self, parts: tuple[str, ...], *, version: int | None = None, timestamp: datetime | None = None) -> TableName:
        """Full name of a table, view, volume or function.

        Raises:
            InvalidIdentifier: A part is empty, or there are more than three.
        """
        if not all(parts) or not 1 <= len(parts) <= 3:  # noqa: PLR2004  # Catalog, schema, name.
            message = f"`{'.'.join(parts)}` is not a name of up to three parts."
            raise InvalidIdentifier(message)
        full = ((), (self.catalog, self.schema), (self.catalog,), ())[len(parts)] + parts
        return TableName(full[0], full[1], full[2], version=version, timestamp=timestamp)

    def schema_name(self, parts: tuple[str, ...]) -> tuple[str, str]:
        """Catalog and schema of a name of none, one or two parts."""
        if len(parts) > 2:  # noqa: PLR2004  # Catalog and schema.
            message = f"`{'.'.join(parts)}` is not the name of a schema."
            raise InvalidIdentifier(message)
        catalog, schema = ((self.catalog, self.schema)[: 2 - len(parts)] + parts)[:2]
        return catalog.lower(), schema.lower()


def group_names(ctx: RequestContext, access: Access) -> frozenset[str]:
    """Groups of the caller, direct and nested, in lower case; everybody is in `account users`."""
    found = {_EVERYBODY}
    if ctx.principal.id != SYSTEM.id:
        groups = access.principals.groups_of(system_context(), ctx.principal.id, nested=True)
        found |= {group.name.casefold() for group in groups}
    return frozenset(found)
