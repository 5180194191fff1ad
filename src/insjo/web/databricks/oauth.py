"""Doors: what clients ask before anything else, and OAuth for programs (clients.md 1a; RFC 8414, RFC 6749)."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

from starlette.responses import JSONResponse, Response

from insjo.access.errors import WrongCredential
from insjo.kernel.errors import InvalidArgument
from insjo.web.databricks.identity import WORKSPACE_ID
from insjo.web.types import Call, DoorRoute, read_body

FORM_BYTES_MAX = 16 * 1024
FIELDS_MAX = 20
SCOPES = frozenset({"all-apis", "offline_access", "sql"})
"""Scopes that clients ask for; a token of ours always opens all doors, with the rights of its principal."""


def _address(call: Call) -> str:
    """Address of this server as the client wrote it."""
    return f"{call.request.url.scheme}://{call.request.url.netloc}"


async def discovery(call: Call) -> Response:
    """Where the OAuth server is, and which workspace this is."""
    return JSONResponse({"oidc_endpoint": f"{_address(call)}/oidc", "workspace_id": WORKSPACE_ID})


async def metadata(call: Call) -> Response:
    """Endpoints of the OAuth server.  There is no sign-in of people by OAuth yet: its address answers 501."""
    address = _address(call)
    return JSONResponse(
        {
            "issuer": f"{address}/oidc",
            "authorization_endpoint": f"{address}/oidc/v1/authorize",
            "token_endpoint": f"{address}/oidc/v1/token",
            "grant_types_supported": ["client_credentials"],
            "response_types_supported": [],
            "scopes_supported": ["all-apis"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        }
    )


async def token(call: Call) -> Response:
    """A token for the credentials of a client; errors are in OAuth's form (RFC 6749, 5.2)."""
    try:
        raw = await read_body(call.request, FORM_BYTES_MAX)
        fields = dict(parse_qsl(raw.decode(), strict_parsing=bool(raw), max_num_fields=FIELDS_MAX, keep_blank_values=True))
    except ValueError:
        return _refused("invalid_request", "The body is not a form.")
    grant = fields.get("grant_type", "")
    if grant != "client_credentials":
        return _refused("unsupported_grant_type" if grant else "invalid_request", "Only `client_credentials` is implemented by Insjö.")
    if "authorization_details" in fields or "assume_group" in fields:
        return _refused("invalid_request", "`authorization_details` and `assume_group` are not implemented by Insjö.")
    if set(fields.get("scope", "").split()) - SCOPES:
        return _refused("invalid_scope", "The scope is `all-apis`.")
    try:
        client_id, secret = _credentials(call, fields)
        made = await call.run(call.services.access.client_secrets.exchange, call.ctx, client_id, secret)
    except InvalidArgument as error:
        return _refused("invalid_request", error.message)
    except WrongCredential as error:
        return _refused("invalid_client", str(error), status=401)
    told = {"access_token": made.value, "token_type": "Bearer", "expires_in": made.expires_in_s, "scope": "all-apis"}
    return JSONResponse(told, headers={"cache-control": "no-store", "pragma": "no-cache"})


def _credentials(call: Call, fields: dict[str, str]) -> tuple[str, str]:
    """Identifier and secret of the client: from the header, else from the form."""
    scheme, _, value = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return fields.get("client_id", ""), fields.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument("The Authorization header is not valid.") from error
    return unquote_plus(client_id), unquote_plus(secret)


def _refused(error: str, description: str, status: int = 400) -> Response:
    """An error in OAuth's form."""
    headers = {"cache-control": "no-store"} | ({"www-authenticate": "Basic"} if status == 401 else {})  # noqa: PLR2004  # HTTP's number.
    return JSONResponse({"error": error, "error_description": description}, status_code=status, headers=headers)


ROUTES = (
    DoorRoute("GET", "/.well-known/databricks-config", discovery, "databricks", needs="nobody"),
    DoorRoute("GET", "/oidc/.well-known/oauth-authorization-server", metadata, "databricks", needs="nobody"),
    DoorRoute("POST", "/oidc/v1/token", token, "databricks", needs="nobody"),
)
