"""External locations of the Unity Catalog API: places outside from which stewards let files be fetched.

Wire: clients.md 1c.  Insjö reads from them and never writes; a location that is made here has no volume of its own, so that stewards alone
fetch from it, into a volume that they name.  Its credential is a storage credential, or a secret as `scope/key`; neither is ever told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.access.types import METASTORE_ID
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import Unimplemented
from insjo.web.databricks.unity import listing
from insjo.web.types import Call, DoorRoute
from insjo.workspace.service.credentials import SCOPE

if TYPE_CHECKING:
    from insjo.ingest.types import Location

PREFIX = "/api/2.1/unity-catalog/external-locations"


class LocationBody(msgspec.Struct):
    """A location to make or to change; what is left out stays."""

    name: str = ""
    url: str | None = None
    credential_name: str | None = None
    comment: str | None = None
    read_only: bool = True
    new_name: str | None = None
    owner: str | None = None
    access_point: str | None = None
    enable_file_events: bool | None = None
    encryption_details: dict[str, Any] | None = None
    file_event_queue: dict[str, Any] | None = None
    fallback: bool | None = None

    def refuse(self) -> None:
        """What Insjö does not do is refused by its name."""
        names = ("new_name", "owner", "access_point", "enable_file_events", "encryption_details", "file_event_queue", "fallback")
        for name in names:
            if getattr(self, name):
                raise Unimplemented(f"`{name}` of an external location is not implemented.", hint="Leave it out.")


async def _secret(call: Call, credential_name: str | None) -> str | None:
    """The secret of a storage credential by its name, or the one that `scope/key` names."""
    if not credential_name or "/" in credential_name:
        return credential_name
    return f"{SCOPE}/{(await call.run(call.services.workspace.credentials.get, call.ctx, credential_name)).name}"


def external_location_body(location: Location) -> dict[str, object]:
    """A location on the wire."""
    return {
        "name": location.name,
        "url": location.url,
        "credential_name": location.secret.removeprefix(f"{SCOPE}/"),
        "credential_id": location.secret.removeprefix(f"{SCOPE}/"),
        "comment": location.comment,
        "read_only": True,
        "owner": location.created_by,
        "metastore_id": METASTORE_ID,
        "created_at": epoch_ms(location.created_at),
        "created_by": location.created_by,
        "isolation_mode": "ISOLATION_MODE_OPEN",
        "fallback": False,
    }


async def list_external_locations(call: Call) -> Response:
    """Locations from which the caller may fetch."""
    found = await call.run(call.services.ingest.locations.list, call.ctx)
    return listing("external_locations", [external_location_body(each) for each in found], "")


async def get_external_location(call: Call) -> Response:
    """One location."""
    return JSONResponse(external_location_body(await call.run(call.services.ingest.locations.get, call.ctx, call.path("name"))))


async def create_external_location(call: Call) -> Response:
    """Allow a place; stewards only."""
    body = await call.json(LocationBody)
    body.refuse()
    locations = call.services.ingest.locations
    secret, comment = await _secret(call, body.credential_name) or "", body.comment or ""
    made = await call.run(locations.create, call.ctx, body.name, body.url or "", "", secret=secret, comment=comment)
    return JSONResponse(external_location_body(made))


async def update_external_location(call: Call) -> Response:
    """Change a place; stewards only."""
    body = await call.json(LocationBody)
    body.refuse()
    locations = call.services.ingest.locations
    name, secret = call.path("name"), await _secret(call, body.credential_name)
    made = await call.run(locations.update, call.ctx, name, url=body.url, secret=secret, comment=body.comment)
    return JSONResponse(external_location_body(made))


async def delete_external_location(call: Call) -> Response:
    """Allow a place no longer; stewards only."""
    await call.run(call.services.ingest.locations.delete, call.ctx, call.path("name"))
    return JSONResponse({})


ROUTES = (
    DoorRoute("GET", PREFIX, list_external_locations, "databricks"),
    DoorRoute("POST", PREFIX, create_external_location, "databricks"),
    DoorRoute("GET", f"{PREFIX}/{{name}}", get_external_location, "databricks"),
    DoorRoute("PATCH", f"{PREFIX}/{{name}}", update_external_location, "databricks"),
    DoorRoute("DELETE", f"{PREFIX}/{{name}}", delete_external_location, "databricks"),
)
