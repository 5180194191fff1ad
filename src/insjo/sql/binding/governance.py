"""Functions, filters, masks and tags as rows of `information_schema`: what the caller may know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from insjo.access.types import SecurableKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from insjo.access.service.facade import Access
    from insjo.kernel.context import RequestContext
    from insjo.sql.binding.functions import SqlFunction

    Row = Mapping[str, object]


class FunctionLister(Protocol):
    """Where functions are kept."""

    def list(self, ctx: RequestContext, catalog: str, schema: str) -> Sequence[SqlFunction]:
        """Functions that the caller may see; an empty catalog or schema means all."""
        ...


class GovernanceRows:
    """Rows of those tables; an empty catalog means all."""

    def __init__(self, access: Access, functions: FunctionLister) -> None:
        """What may be seen is decided by `access`."""
        self._access = access
        self._functions = functions

    def routines(self, ctx: RequestContext, catalog: str) -> Iterator[Row]:
        """`routines`; the text of a function is for its owner."""
        for each in self._functions.list(ctx, catalog, ""):
            base = each.returns.partition("(")[0].partition("<")[0]
            yield {
                **_specific(each),
                "routine_catalog": each.name.catalog,
                "routine_schema": each.name.schema,
                "routine_name": each.name.name,
                "routine_type": "FUNCTION",
                "data_type": "TABLE" if each.is_table else base.upper(),
                "full_data_type": None if each.is_table else each.returns,
                "routine_body": "SQL",
                "routine_definition": each.body if each.owner.name == ctx.principal.name else None,
                "comment": each.comment or None,
                "created": each.created_at,
                "created_by": each.created_by,
                "routine_owner": each.owner.name,
                "is_deterministic": "YES",
                "sql_data_access": "READS SQL DATA",
                "security_type": "DEFINER",
                "parameter_style": "SQL",
            }

    def parameters(self, ctx: RequestContext, catalog: str) -> Iterator[Row]:
        """`parameters`."""
        for each in self._functions.list(ctx, catalog, ""):
            for place, parameter in enumerate(each.parameters):
                yield {
                    **_specific(each),
                    "ordinal_position": place,
                    "parameter_mode": "IN",
                    "parameter_name": parameter.name,
                    "data_type": parameter.type_text.partition("(")[0].partition("<")[0].upper(),
                    "full_data_type": parameter.type_text,
                    "parameter_default": parameter.default or None,
                }

    def routine_columns(self, ctx: RequestContext, catalog: str) -> Iterator[Row]:
        """`routine_columns`, of table functions."""
        for each in self._functions.list(ctx, catalog, ""):
            for place, column in enumerate(each.returns_columns):
                yield {
                    **_specific(each),
                    "column_name": column.name,
                    "ordinal_position": place,
                    "data_type": column.type_text.partition("(")[0].partition("<")[0].upper(),
                    "full_data_type": column.type_text,
                    "comment": column.comment or None,
                }

    def row_filters(self, ctx: RequestContext, catalog: str) -> Iterator[Row]:
        """`row_filters`."""
        for each in self._access.protections.list(ctx):
            if not each.column and _within(each.full_name, catalog):
                names = ",".join(argument.text() for argument in each.arguments)
                yield {**_placed(each.full_name), "filter_name": each.function_name, "target_columns": names}

    def column_masks(self, ctx: RequestContext, catalog: str) -> Iterator[Row]:
        """`column_masks`."""
        for each in self._access.protections.list(ctx):
            if each.column and _within(each.full_name, catalog):
                names = ",".join(argument.text() for argument in each.arguments[1:])
                yield {
                    **_placed(each.full_name),
                    "column_name": each.column,
                    "mask_name": each.function_name,
                    "using_columns": names or None,
                }

    def tags(self, ctx: RequestContext, catalog: str, kind: SecurableKind, *, columns: bool = False) -> Iterator[Row]:
        """`catalog_tags`, `schema_tags`, `table_tags`, `volume_tags` and, with `columns`, `column_tags`."""
        for tag in self._access.tags.list(ctx, kind):
            if bool(tag.column) is columns and _within(tag.full_name, catalog):
                named = _table(tag.full_name) if kind is not SecurableKind.VOLUME else _volume(tag.full_name)
                yield {**named, "column_name": tag.column, "tag_name": tag.key, "tag_value": tag.value}


def lineage_shape(*, columns: bool) -> tuple[tuple[str, str], ...]:
    """Columns of `system.access.table_lineage` and `column_lineage`, in Databricks' words."""
    shape: list[tuple[str, str]] = [
        ("event_time", "timestamp"),
        ("event_date", "date"),
        ("statement_id", "string"),
        ("created_by", "string"),
    ]
    for end in ("source", "target"):
        names = ["full_name", "catalog", "schema", "name"]
        shape += [(f"{end}_table_{name}", "string") for name in names]
        shape += [(f"{end}_column_name", "string")] if columns else []
        shape.append((f"{end}_type", "string"))
    return (*shape, ("entity_type", "string"))


def lineage_rows(access: Access, ctx: RequestContext, *, columns: bool) -> Iterator[Row]:
    """Rows of those tables: edges of which the caller may see both ends."""
    for edge in access.lineage.all(ctx, columns=columns):
        row: dict[str, object] = {
            "event_time": edge.at,
            "event_date": edge.at.date(),
            "statement_id": edge.statement_id,
            "created_by": edge.by,
            "entity_type": edge.kind,
        }
        for end, full_name, column in (("source", edge.source, edge.source_column), ("target", edge.target, edge.target_column)):
            catalog, schema, name = full_name.split(".", 2)
            row |= {f"{end}_table_full_name": full_name, f"{end}_table_catalog": catalog, f"{end}_table_schema": schema}
            row |= {f"{end}_table_name": name, f"{end}_column_name": column or None, f"{end}_type": "TABLE"}
        yield row


def _specific(function: SqlFunction) -> dict[str, object]:
    """The name by which rows about a function are joined."""
    return {
        "specific_catalog": function.name.catalog,
        "specific_schema": function.name.schema,
        "specific_name": function.name.name,
    }


def _placed(full_name: str) -> dict[str, object]:
    """The table under both names that clients ask by: those of the documentation, and those that dbt uses."""
    named = _table(full_name)
    return {**named, "table_catalog": named["catalog_name"], "table_schema": named["schema_name"]}


def _within(full_name: str, catalog: str) -> bool:
    return not catalog or full_name.split(".", 1)[0] == catalog


def _table(full_name: str) -> dict[str, object]:
    """The parts of a name; a catalog has only the first."""
    parts = (*full_name.split("."), None, None)
    named = {"catalog_name": parts[0], "schema_name": parts[1], "table_name": parts[2]}
    return {**named, "table_catalog": parts[0], "table_schema": parts[1]}


def _volume(full_name: str) -> dict[str, object]:
    parts = full_name.split(".")
    return {"catalog_name": parts[0], "schema_name": parts[1], "volume_name": parts[2]}
