"""All routes of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.web.pages import session

if TYPE_CHECKING:
    from insjo.web.types import DoorRoute

PAGE_ROUTES: tuple[DoorRoute, ...] = (*session.ROUTES,)
