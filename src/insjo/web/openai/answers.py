"""What the door writes: headers, errors and the two extras that a client may ask for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote

import msgspec

from insjo.access.types import Label, Level
from insjo.gateway.errors import RequestInvalid
from insjo.gateway.service.wire import named_event
from insjo.kernel.errors import InsjoError, Unauthenticated
from insjo.web.errors import RETRY_AFTER_S, databricks_body, openai_body, shown, status_of

if TYPE_CHECKING:
    from insjo.gateway.types import CacheUse, Route

Headers = list[tuple[bytes, bytes]]

JSON: Final = (b"content-type", b"application/json")
EVENTS: Final = (b"content-type", b"text/event-stream; charset=utf-8")
NO_STORE: Final = (b"cache-control", b"no-store")
NO_BUFFER: Final = (b"x-accel-buffering", b"no")
"""Tells nginx not to hold a stream back."""

DONE: Final = b"data: [DONE]\n\n"
REASON_CHARS_MAX: Final = 500
LABEL_CHARS_MAX: Final = 1000


@functools.lru_cache(maxsize=4096)
def route_header(route: Route) -> tuple[bytes, bytes]:
    """`x-insjo-route`: outcome, endpoint, served model, label, and the reason when it is not direct."""
    parts = [route.outcome, f'endpoint="{route.served_by}"', f'served="{route.served_model}"', f'label="{_plain(route.label.text())}"']
    if route.reason:
        parts.append(f'reason="{_plain(route.reason[:REASON_CHARS_MAX])}"')
    return b"x-insjo-route", "; ".join(parts).encode("ascii", "replace")


def warning_headers(warnings: tuple[str, ...]) -> Headers:
    """`x-insjo-warning`: limits that are used up and only warn."""
    return [(b"x-insjo-warning", _plain(warning[:REASON_CHARS_MAX]).encode("ascii", "replace")) for warning in warnings]


def cache_use(value: bytes) -> CacheUse:
    """What `Cache-Control` of a request asks for: `no-store` goes further than `no-cache`; anything else changes nothing."""
    words = {each.strip().lower() for each in value.split(b",")}
    return "none" if b"no-store" in words else "refresh" if words & {b"no-cache", b"max-age=0"} else "use"


def _plain(text: str) -> str:
    """Text that can stand in a header: plain characters as they are, others percent-encoded."""
    return quote(text.replace(" · ", ", ").replace('"', "'"), safe=" ,.;:'`()/-_@+=<>!?&*#[]{}|~^$")


def raised_label(value: str) -> Label:
    """Label from the header `x-insjo-label`: `confidential; salary; zone=local`, each part can be left out.

    Raises:
        RequestInvalid: It is not a label.
    """
    level, zone, categories = Level.PUBLIC, "any", []
    for word in (part.strip() for part in value[:LABEL_CHARS_MAX].replace(",", ";").split(";")):
        if word.lower().startswith("zone="):
            zone = word[5:].lower()
        elif word.upper() in Level.__members__:
            level = max(level, Level[word.upper()])
        elif word:
            categories.append(word)
    try:
        return Label(level, frozenset(categories), frozenset({zone}))
    except InsjoError as error:
        hint = "Write it as `confidential; salary; zone=local`."
        raise RequestInvalid(f"The header `x-insjo-label` is not a label: {error.message}", hint=hint) from error


def with_route(content: bytes, route: Route) -> bytes:
    """A JSON answer with an object `insjo` that tells the route, for clients that asked for it."""
    told = msgspec.json.encode(
        {
            "outcome": route.outcome,
            "endpoint": route.endpoint,
            "served_by": route.served_by,
            "served_model": route.served_model,
            "label": route.label.as_json(),
            "reason": route.reason,
        }
    )
    body = content.rstrip()
    if not body.endswith(b"}"):
        return content
    comma = b"" if body[:-1].rstrip().endswith(b"{") else b","
    return b'%b%b"insjo":%b}' % (body[:-1], comma, told)


def error_answer(
    error: Exception, request_id: str, form: Literal["openai", "databricks", "anthropic"] = "openai"
) -> tuple[int, Headers, bytes]:
    """Status, headers and body for an error."""
    known = shown(error, request_id)
    status = status_of(known)
    body = msgspec.json.encode(_BODIES[form](known, status))
    headers = [JSON, (b"content-length", b"%d" % len(body)), (b"x-request-id", request_id.encode())]
    if status in {429, 503}:
        wait = known.details.get("retry_after_s", RETRY_AFTER_S)
        headers.append((b"retry-after", str(wait).encode()))
    if isinstance(known, Unauthenticated):
        headers.append((b"www-authenticate", b"Bearer"))
    return status, headers, body


def anthropic_body(error: InsjoError, status: int) -> dict[str, object]:
    """Error body of Anthropic's API."""
    return {"type": "error", "error": anthropic_error(error, status)}


def anthropic_error(error: InsjoError, status: int) -> dict[str, object]:
    """What stands in it, and in the event that ends a stream."""
    return {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": str(error), "code": error.code.lower()}


_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_BODIES: Final = {"openai": openai_body, "databricks": databricks_body, "anthropic": anthropic_body}


def anthropic_error_event(error: Exception, request_id: str) -> bytes:
    """The end of a stream of messages that failed."""
    known = shown(error, request_id)
    return named_event("error", error=anthropic_error(known, status_of(known)))


def error_event(error: Exception, request_id: str) -> bytes:
    """The end of a stream that failed: OpenAI's clients raise for an event with `error`, and `[DONE]` ends the stream for all."""
    known = shown(error, request_id)
    return b"data: " + msgspec.json.encode(openai_body(known, status_of(known))) + b"\n\n" + DONE


def response_error_event(error: Exception, request_id: str) -> bytes:
    """The end of a stream of the Responses API that failed."""
    known = shown(error, request_id)
    told = {"code": known.code.lower(), "message": str(known), "param": known.details.get("param")}
    return named_event("error", sequence_number=0, **told)
