"""All routes of the Databricks doors."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from insjo.web.databricks import (
    files,
    identity,
    lakeview,
    object_permissions,
    permissions,
    secrets,
    statements,
    unity,
    warehouses,
    workspace,
)
from insjo.web.databricks.identity import WORKSPACE_ID
from insjo.web.types import Call, DoorRoute


async def feature_flags(call: Call) -> Response:
    """No flag is on, so no client sends telemetry."""
    del call
    return JSONResponse({"flags": [], "ttl_seconds": 86_400})


async def discovery(call: Call) -> Response:
    """What clients ask before anything else; an empty address says that there is no sign-in by OAuth."""
    del call
    return JSONResponse({"oidc_endpoint": "", "workspace_id": WORKSPACE_ID})


ROUTES: tuple[DoorRoute, ...] = (
    *identity.ROUTES,
    *unity.ROUTES,
    *permissions.ROUTES,
    *statements.ROUTES,
    *warehouses.ROUTES,
    *files.ROUTES,
    *workspace.ROUTES,
    *lakeview.ROUTES,
    *object_permissions.ROUTES,
    *secrets.ROUTES,
    DoorRoute("GET", "/.well-known/databricks-config", discovery, "databricks", needs="nobody"),
    DoorRoute("GET", "/api/2.0/connector-service/feature-flags/{client}/{version}", feature_flags, "databricks"),
)
