"""All routes of our own API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.web.insjo import agents, assistant, conversations, governance, indexes, ingest, limits, policies, results, routing, schedules

if TYPE_CHECKING:
    from insjo.web.types import DoorRoute

ROUTES: tuple[DoorRoute, ...] = (
    *governance.ROUTES,
    *indexes.ROUTES,
    *ingest.ROUTES,
    *limits.ROUTES,
    *policies.ROUTES,
    *conversations.ROUTES,
    *agents.ROUTES,
    *assistant.ROUTES,
    *results.ROUTES,
    *schedules.ROUTES,
    *routing.ROUTES,
)
