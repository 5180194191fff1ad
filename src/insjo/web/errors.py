"""The one mapping from kinds of errors to HTTP, and how each door writes them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import JSONResponse

from insjo.kernel.database import failure_of
from insjo.kernel.errors import InsjoError, NotFound, Unauthenticated

if TYPE_CHECKING:
    from starlette.responses import Response

    from insjo.web.types import Door

log = logging.getLogger(__name__)

STATUS_OF_KIND = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "FAILED_PRECONDITION": 400,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UPSTREAM_FAILED": 502,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
    "CANCELLED": 499,
    "INTERNAL": 500,
}
STATUS_OF_CODE = {
    # These run out without any hope that a retry helps, so 429 (which clients repeat for minutes) would be wrong.
    "REQUEST_TOO_LARGE": 413,
    "FILE_TOO_LARGE": 413,
    "DOCUMENT_TOO_HEAVY": 413,
    "DISK_FULL": 507,
    "OUT_OF_MEMORY": 400,
    "QUOTA_EXCEEDED": 400,
    "RESULT_TOO_LARGE": 400,
    "TOO_MANY_FILES": 400,
    "TOO_MANY_CONVERSATIONS": 400,
    # HTTP has statuses of its own for these.
    "METHOD_NOT_ALLOWED": 405,
    "FILE_CHANGED": 412,
    "RANGE_NOT_SATISFIABLE": 416,
}
"""Codes whose status is not that of their kind."""

RETRY_AFTER_S = 2
THRIFT_HEADER_CHARS_MAX = 1000
HEADER_SAFE = " !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"
"""Printable characters of ASCII; others are escaped in a header."""

_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def status_of(error: InsjoError) -> int:
    """HTTP status of an error."""
    return STATUS_OF_CODE.get(error.code, STATUS_OF_KIND[error.kind])


def shown(error: Exception, request_id: str) -> InsjoError:
    """The error that a caller may see: our own as it is, any other as an internal one with the request id."""
    if isinstance(error, InsjoError):
        return error
    known = failure_of(error)
    if known is not None:
        log.error("request %s failed: %s", request_id, known.message)
        return known
    log.error("request %s failed", request_id, exc_info=error)
    return InsjoError("Something went wrong inside Insjö.", hint=f"The log of the server has the details under request `{request_id}`.")


def render(error: Exception, door: Door, request_id: str) -> Response:
    """The error in the form of an API door; pages render their own."""
    known = shown(error, request_id)
    status = status_of(known)
    body = _BODIES.get(door, databricks_body)(known, status)
    headers = {"x-request-id": request_id}
    if status in {429, 503}:
        headers["retry-after"] = str(RETRY_AFTER_S)
    if door == "thrift":
        # Clients of that protocol read no body but its own, and show what stands in this header (clients.md 1e).
        headers["x-thriftserver-error-message"] = quote(str(known)[:THRIFT_HEADER_CHARS_MAX], safe=HEADER_SAFE)
    if isinstance(known, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    return JSONResponse(body, status_code=status, headers=headers)


def databricks_body(error: InsjoError, status: int) -> dict[str, object]:
    """Error body of the Databricks REST API (clients.md 1a)."""
    del status
    body: dict[str, object] = {"error_code": error.code, "message": str(error), "details": []}
    if error.details:
        body["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.code, "metadata": _texts(error)}]
    return body


def openai_body(error: InsjoError, status: int) -> dict[str, object]:
    """Error body of the OpenAI API."""
    kind = _OPENAI_TYPES.get(status, "server_error")
    return {"error": {"message": str(error), "type": kind, "param": error.details.get("param"), "code": error.code.lower()}}


def scim_body(error: InsjoError, status: int) -> dict[str, object]:
    """Error body of SCIM 2.0 (RFC 7644, 3.12)."""
    body: dict[str, object] = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "detail": str(error), "status": str(status)}
    kind = {"ALREADY_EXISTS": "uniqueness", "INVALID_ARGUMENT": "invalidValue"}.get(error.kind)
    return body | ({"scimType": kind} if kind else {})


def insjo_body(error: InsjoError, status: int) -> dict[str, object]:
    """Error body of our own API: message and hint apart, so that a page can show them apart."""
    del status
    return {"error_code": error.code, "message": error.message, "hint": error.hint, "details": error.details}


def _texts(error: InsjoError) -> dict[str, str]:
    """Details as texts, the only form that ErrorInfo has."""
    return {name: str(value) for name, value in error.details.items()}


_BODIES = {"databricks": databricks_body, "openai": openai_body, "scim": scim_body, "insjo": insjo_body}


class RouteNotFound(NotFound):
    """No page and no route has this path."""

    code = "PATH_NOT_FOUND"
