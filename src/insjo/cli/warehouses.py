"""`insjo warehouse`: places where statements run."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from insjo.cli.checks import settings_of
from insjo.cli.output import print_json, print_table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from insjo.kernel.context import RequestContext
    from insjo.sql.service.warehouses import Warehouses
    from insjo.sql.types import Warehouse


@contextlib.contextmanager
def _open(words: argparse.Namespace) -> Iterator[tuple[Warehouses, RequestContext]]:
    """The warehouses of the data folder, set up first if the folder is empty, and who asks."""
    from insjo.bootstrap.warehouses import open_warehouses

    with open_warehouses(settings_of(words).settings, words.user) as found:
        yield found


def _shown(each: Warehouse) -> dict[str, str | bool]:
    return {
        "id": each.id,
        "name": each.name,
        "engine": each.engine.value,
        "url": each.url,
        "state": each.state.value,
        "default": each.is_default,
    }


def warehouse_list(words: argparse.Namespace) -> int:
    """List warehouses."""
    with _open(words) as (warehouses, ctx):
        found = [_shown(each) for each in warehouses.list(ctx)]
    if words.json:
        print_json(list(found))
    else:
        print_table(
            ["name", "engine", "url", "state", "id"], [[each[key] for key in ("name", "engine", "url", "state", "id")] for each in found]
        )
    return 0


def warehouse_create(words: argparse.Namespace) -> int:
    """Create a warehouse."""
    from insjo.sql.types import WarehouseEngine

    with _open(words) as (warehouses, ctx):
        made = warehouses.create(ctx, words.name, engine=WarehouseEngine(words.engine), url=words.url)
    if words.json:
        print_json(_shown(made))
    else:
        print(f"The warehouse `{made.name}` has the id {made.id}. Give those who may run statements there the permission `CAN_USE`.")
    return 0


def warehouse_delete(words: argparse.Namespace) -> int:
    """Delete a warehouse, named by its name or its id."""
    from insjo.access.errors import WarehouseNotFound
    from insjo.kernel.errors import did_you_mean

    with _open(words) as (warehouses, ctx):
        present = warehouses.list(ctx)
        found = next((each for each in present if words.name in {each.name, each.id}), None)
        if found is None:
            message = f"There is no warehouse `{words.name}`."
            raise WarehouseNotFound(message, hint=did_you_mean(words.name, [each.name for each in present]))
        warehouses.delete(ctx, found.id)
    if words.json:
        print_json({"id": found.id, "deleted": True})
    else:
        print(f"The warehouse `{found.name}` is gone.")
    return 0
