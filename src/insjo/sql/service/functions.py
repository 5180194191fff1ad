"""SQL functions as securables: kept, found with rights, listed, dropped."""

from __future__ import annotations

from dataclasses import replace as with_changes
from typing import TYPE_CHECKING, Any

from insjo.access.errors import FunctionNotFound
from insjo.access.types import Privilege, SecurableKind
from insjo.catalog.types import Column, TableName
from insjo.kernel.context import SYSTEM, PrincipalRef
from insjo.kernel.errors import AlreadyExists, NotFound
from insjo.sql import store
from insjo.sql.binding.functions import FunctionParameter, SqlFunction
from insjo.sql.errors import FunctionExists

if TYPE_CHECKING:
    import sqlalchemy as sa

    from insjo.access.service.facade import Access
    from insjo.access.types import Securable
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

_FUNCTIONS_MAX = 5000


class FunctionStore:
    """Functions of all schemas."""

    def __init__(self, *, database: Database, clock: Clock, access: Access) -> None:
        """Everything by keyword."""
        self._database = database
        self._clock = clock
        self._access = access

    def create(self, ctx: RequestContext, made: SqlFunction, *, replace: bool, if_not_exists: bool) -> None:
        """Keep a new function; needs CREATE FUNCTION on the schema, and MANAGE on one that is replaced."""
        name = made.name
        schema = self._access.securables.resolve(ctx, SecurableKind.SCHEMA, f"{name.catalog}.{name.schema}")
        present = self._access.securables.find(SecurableKind.FUNCTION, name.full_name)
        if present is not None and not replace:
            if if_not_exists:
                return
            message = f"The function `{name.full_name}` exists already."
            raise FunctionExists(message)
        try:
            with self._database.write() as connection:
                if present is not None:
                    self._access.authority.authorize(ctx, Privilege.MANAGE, present.id, connection=connection)
                    securable_id = present.id
                    self._access.bump(connection)  # Plans of tables that it protects are bound anew.
                else:
                    registered = self._access.securables.register(
                        ctx, SecurableKind.FUNCTION, name.full_name, schema.id, connection=connection
                    )
                    securable_id = registered.id
                store.put_function(connection, self._values(ctx, securable_id, made))
        except AlreadyExists as error:
            message = f"The function `{name.full_name}` exists already."
            raise FunctionExists(message) from error

    def drop(self, ctx: RequestContext, name: TableName, *, if_exists: bool) -> None:
        """Remove a function; needs MANAGE or ownership."""
        try:
            found = self._access.securables.resolve(ctx, SecurableKind.FUNCTION, name.full_name, Privilege.MANAGE)
        except NotFound:
            if if_exists:
                return
            raise
        self._access.protections.require_unused(found.id)
        with self._database.write() as connection:
            store.delete_function(connection, found.id)
            self._access.securables.remove(ctx, found.id, connection=connection)

    def get(self, ctx: RequestContext, name: TableName) -> SqlFunction:
        """A function that the caller may see."""
        return self._fetch(ctx, name, None)

    def resolve(self, ctx: RequestContext, name: TableName) -> SqlFunction:
        """A function that the caller may run."""
        return self._fetch(ctx, name, Privilege.EXECUTE)

    def exists(self, name: TableName) -> bool:
        """Whether anybody made such a function."""
        return self._access.securables.find(SecurableKind.FUNCTION, name.full_name) is not None

    def list(self, ctx: RequestContext, catalog: str, schema: str) -> tuple[SqlFunction, ...]:
        """Functions of a schema that the caller may see, by name; an empty catalog or schema means all."""
        beginning = f"{catalog}.{schema}." if catalog and schema else f"{catalog}." if catalog else ""
        visible = self._access.authority.visible(ctx, SecurableKind.FUNCTION)
        with self._database.read() as connection:
            rows = store.fetch_functions(connection, visible, beginning, _FUNCTIONS_MAX)
        owners = self._access.authority.owners([row["id"] for row in rows])
        return tuple(_function_of(row, PrincipalRef("", owners[row["id"]])) for row in rows)

    def load(self, function_id: str) -> SqlFunction:
        """A function by its identifier, whoever asks: for what protects a table."""
        return self._of(self._access.securables.get(function_id))

    def _fetch(self, ctx: RequestContext, name: TableName, privilege: Privilege | None) -> SqlFunction:
        return self._of(self._access.securables.resolve(ctx, SecurableKind.FUNCTION, name.full_name, privilege))

    def _of(self, securable: Securable) -> SqlFunction:
        with self._database.read() as connection:
            row = store.fetch_function(connection, securable.id)
        if row is None:
            message = f"The function `{securable.full_name}` does not exist."
            raise FunctionNotFound(message)
        owner_name = self._access.authority.owners([securable.id])[securable.id]
        owner = SYSTEM if securable.owner_id == SYSTEM.id else PrincipalRef(securable.owner_id, owner_name)
        return with_changes(_function_of(row, owner), name=TableName.parse(securable.full_name))

    def _values(self, ctx: RequestContext, securable_id: str, made: SqlFunction) -> dict[str, Any]:
        """The row."""
        return {
            "id": securable_id,
            "full_name": made.name.full_name,
            "parameters": [{"name": each.name, "type": each.type_text, "default": each.default} for each in made.parameters],
            "returns": made.returns,
            "returns_columns": [{"name": each.name, "type": each.type_text, "comment": each.comment} for each in made.returns_columns],
            "body": made.body,
            "comment": made.comment,
            "created_at": self._clock.now(),
            "created_by": ctx.principal.name,
        }


def _function_of(row: sa.RowMapping, owner: PrincipalRef) -> SqlFunction:
    """Function from its row."""
    return SqlFunction(
        id=row["id"],
        name=TableName.parse(row["full_name"]),
        parameters=tuple(FunctionParameter(each["name"], each["type"], each["default"]) for each in row["parameters"]),
        returns=row["returns"],
        returns_columns=tuple(
            Column(each["name"], each["type"], comment=each["comment"], position=at) for at, each in enumerate(row["returns_columns"])
        ),
        body=row["body"],
        owner=owner,
        comment=row["comment"],
        created_at=row["created_at"],
        created_by=row["created_by"],
    )
