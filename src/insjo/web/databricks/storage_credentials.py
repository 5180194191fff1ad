"""Storage credentials of the Unity Catalog API: for stewards, put and never shown again.

Wire: clients.md 1c.  The parts that are told are those that are no secret; what Insjö cannot sign in with is refused by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse

from insjo.access.types import METASTORE_ID
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import FailedPrecondition, Unimplemented
from insjo.web.databricks.unity import listing
from insjo.web.types import Call, DoorRoute
from insjo.workspace.service.credentials import PARTS, SCOPE

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.workspace.types import StorageCredential

PREFIX = "/api/2.1/unity-catalog/storage-credentials"


class CredentialBody(msgspec.Struct):
    """A credential to make or to change."""

    name: str = ""
    comment: str | None = None
    azure_service_principal: dict[str, str] | None = None
    cloudflare_api_token: dict[str, str] | None = None
    aws_iam_role: dict[str, Any] | None = None
    azure_managed_identity: dict[str, Any] | None = None
    databricks_gcp_service_account: dict[str, Any] | None = None
    new_name: str | None = None
    owner: str | None = None

    def parts(self) -> tuple[str, dict[str, str]]:
        """The kind and its parts; empty when none is given."""
        for name in ("aws_iam_role", "azure_managed_identity", "databricks_gcp_service_account", "new_name", "owner"):
            if getattr(self, name) is not None:
                raise Unimplemented(
                    f"`{name}` of a storage credential is not implemented.",
                    hint="Use a service principal or keys; for S3 a secret, which a location names as `scope/key`.",
                )
        return next(((kind, found) for kind in PARTS if (found := getattr(self, kind)) is not None), ("", {}))


def credential_body(found: StorageCredential) -> dict[str, object]:
    """A credential on the wire, without its secret parts."""
    return {
        "name": found.name,
        "full_name": found.name,
        "id": found.name,
        "comment": found.comment,
        found.kind: dict(found.public),
        "owner": found.created_by,
        "created_by": found.created_by,
        "updated_at": epoch_ms(found.updated_at),
        "metastore_id": METASTORE_ID,
        "read_only": True,
        "isolation_mode": "ISOLATION_MODE_OPEN",
    }


async def list_credentials(call: Call) -> Response:
    """All credentials; for others than stewards there are none."""
    found = await call.run(call.services.workspace.credentials.list, call.ctx)
    return listing("storage_credentials", [credential_body(each) for each in found], "")


async def get_credential(call: Call) -> Response:
    """One credential, without its secret parts."""
    return JSONResponse(credential_body(await call.run(call.services.workspace.credentials.get, call.ctx, call.path("name"))))


async def create_credential(call: Call) -> Response:
    """Keep a credential; stewards only."""
    body = await call.json(CredentialBody)
    kind, parts = body.parts()
    credentials = call.services.workspace.credentials
    return JSONResponse(credential_body(await call.run(credentials.create, call.ctx, body.name, kind, parts, body.comment or "")))


async def update_credential(call: Call) -> Response:
    """Put other parts in place of those that there are, or another comment; stewards only."""
    body = await call.json(CredentialBody)
    kind, parts = body.parts()
    credentials = call.services.workspace.credentials
    return JSONResponse(credential_body(await call.run(credentials.update, call.ctx, call.path("name"), kind, parts, body.comment)))


async def delete_credential(call: Call) -> Response:
    """Forget a credential; stewards only, and with `force` also while locations name it."""
    found = await call.run(call.services.workspace.credentials.get, call.ctx, call.path("name"))
    used = [each.name for each in await call.run(call.services.ingest.locations.list, call.ctx) if each.secret == f"{SCOPE}/{found.name}"]
    if used and call.query("force") != "true":
        raise FailedPrecondition(f"The location `{used[0]}` uses this storage credential.", hint="Change it first, or say `force`.")
    await call.run(call.services.workspace.credentials.delete, call.ctx, found.name)
    return JSONResponse({})


ROUTES = (
    DoorRoute("GET", PREFIX, list_credentials, "databricks"),
    DoorRoute("POST", PREFIX, create_credential, "databricks"),
    DoorRoute("GET", f"{PREFIX}/{{name}}", get_credential, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/{{name}}", update_credential, "databricks"),
    DoorRoute("DELETE", f"{PREFIX}/{{name}}", delete_credential, "databricks"),
)
