"""Waiting for a statement again and again leaves one call behind it, not one each time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from insjo.web.databricks.statements import Ends


def test_one_call_is_left_behind_however_often_somebody_waits() -> None:
    asked: list[Callable[[], None]] = []

    async def register(tell: Callable[[], None]) -> None:
        asked.append(tell)

    async def wait() -> None:
        ends = Ends()
        for _ in range(5):
            await ends.wait("a", register, 0.001)
        assert len(asked) == 1
        waiting = [asyncio.create_task(ends.wait("a", register, 60)) for _ in range(3)]
        await asyncio.sleep(0)
        threading.Thread(target=asked[0]).start()
        await asyncio.gather(*waiting)
        assert len(asked) == 1
        await ends.wait("a", register, 0.001)
        assert len(asked) == 2, "an end is told once; who asks later asks anew"

    asyncio.run(wait())


def test_a_statement_that_does_not_exist_is_no_end_for_others() -> None:
    async def refuse(tell: Callable[[], None]) -> None:
        raise LookupError

    told: list[Callable[[], None]] = []

    async def register(tell: Callable[[], None]) -> None:
        told.append(tell)

    async def wait() -> None:
        ends = Ends()
        with pytest.raises(LookupError):
            await ends.wait("a", refuse, 1)
        await ends.wait("a", register, 0.001)
        assert len(told) == 1

    asyncio.run(wait())
