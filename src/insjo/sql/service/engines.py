"""The engines of warehouses that have one of their own, made when the first statement comes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from insjo.sql.commands.execution import ForeignEngine
from insjo.sql.errors import OutOfMemory, UnsupportedFeature
from insjo.sql.service.warehouses import destination_of
from insjo.sql.types import WarehouseEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from insjo.kernel.context import RequestContext
    from insjo.sql.ports import Engine
    from insjo.sql.service.warehouses import Warehouses


class Engines:
    """Keeps one engine an address."""

    def __init__(self, warehouses: Warehouses, spark: Callable[[str], Engine] | None) -> None:
        self._warehouses = warehouses
        self._spark = spark
        self._lock = threading.Lock()
        self._by_url: dict[str, Engine] = {}

    def of(self, warehouse_id: str) -> ForeignEngine | None:
        """The engine of a warehouse; None for the workers of this machine.

        Raises:
            WarehouseNotFound: It was deleted meanwhile.
        """
        found = self._warehouses.fetch(warehouse_id)
        if found.engine is WarehouseEngine.DUCKDB:
            return None
        if self._spark is None:
            message = "This installation runs no warehouses on Spark."
            raise UnsupportedFeature(message, details={"feature": "warehouses on Spark"})
        with self._lock:
            engine = self._by_url.get(found.url)
            if engine is None:
                engine = self._by_url[found.url] = self._spark(found.url)
        return ForeignEngine(engine, destination_of(found.id))

    def outgrown(self, ctx: RequestContext, warehouse_id: str, error: OutOfMemory) -> OutOfMemory:
        """The error of a statement that did not fit, with a warehouse that the caller may try instead."""
        larger = self._warehouses.larger(ctx, warehouse_id)
        if not larger:
            return error
        return OutOfMemory(error.message, hint=f"Run it on the warehouse `{larger}`.", details={**error.details, "warehouse": larger})

    def close(self) -> None:
        """Close all engines."""
        with self._lock:
            for engine in self._by_url.values():
                engine.close()
            self._by_url.clear()
