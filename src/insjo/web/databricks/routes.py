"""All routes of the Databricks doors."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from insjo.web.databricks import (
    constraints,
    dbfs,
    external_locations,
    files,
    functions,
    governance,
    identity,
    lakeview,
    metastores,
    mlflow_models,
    models,
    oauth,
    object_permissions,
    permissions,
    secrets,
    service_principals,
    serving,
    statements,
    storage_credentials,
    unity,
    uploads,
    warehouses,
    workspace,
)
from insjo.web.types import Call, DoorRoute


async def feature_flags(call: Call) -> Response:
    """No flag is on, so no client sends telemetry."""
    del call
    return JSONResponse({"flags": [], "ttl_seconds": 86_400})


ROUTES: tuple[DoorRoute, ...] = (
    *oauth.ROUTES,
    *identity.ROUTES,
    *service_principals.ROUTES,
    *unity.ROUTES,
    *metastores.ROUTES,
    *constraints.ROUTES,
    *permissions.ROUTES,
    *functions.ROUTES,
    *models.ROUTES,
    *mlflow_models.ROUTES,
    *governance.ROUTES,
    *statements.ROUTES,
    *warehouses.ROUTES,
    *external_locations.ROUTES,
    *storage_credentials.ROUTES,
    *files.ROUTES,
    *uploads.ROUTES,
    *dbfs.ROUTES,
    *workspace.ROUTES,
    *lakeview.ROUTES,
    *object_permissions.ROUTES,
    *secrets.ROUTES,
    *serving.ROUTES,
    DoorRoute("GET", "/api/2.0/connector-service/feature-flags/{client}/{version}", feature_flags, "databricks"),
)
