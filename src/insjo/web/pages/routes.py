"""All routes of the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.web.pages import (
    apps,
    audit,
    catalog,
    chat,
    clearances,
    dashboards,
    docs,
    endpoints,
    explorer,
    home,
    ingest,
    jobs,
    knowledge,
    limits,
    models,
    people,
    playground,
    policies,
    queries,
    session,
    sql,
    table_facts,
    tokens,
    usage,
)

if TYPE_CHECKING:
    from insjo.web.types import DoorRoute

PAGE_ROUTES: tuple[DoorRoute, ...] = (
    *home.ROUTES,
    *session.ROUTES,
    *sql.ROUTES,
    *catalog.ROUTES,
    *explorer.ROUTES,
    *table_facts.ROUTES,
    *queries.ROUTES,
    *dashboards.ROUTES,
    *endpoints.ROUTES,
    *clearances.ROUTES,
    *limits.ROUTES,
    *models.ROUTES,
    *policies.ROUTES,
    *ingest.ROUTES,
    *knowledge.ROUTES,
    *playground.ROUTES,
    *chat.ROUTES,
    *apps.ROUTES,
    *usage.ROUTES,
    *jobs.ROUTES,
    *people.ROUTES,
    *audit.ROUTES,
    *tokens.ROUTES,
    *docs.ROUTES,
)
