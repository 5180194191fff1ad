"""Lists of SCIM 2.0: filters, order, pages and which attributes are shown (RFC 7644, 3.4.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from insjo.kernel.errors import InvalidArgument
from insjo.kernel.paging import PageRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from insjo.access.types import Principal
    from insjo.kernel.context import PrincipalKind
    from insjo.web.types import Call

LIST_SCHEMA = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
COUNT_DEFAULT = 100
COUNT_MAX = 1000
FILTER_CHARS_MAX = 4000
ALWAYS = frozenset({"schemas", "id"})

_TERM = re.compile(r"""\s*([\w.]+)\s+(?:(pr)|(eq|ne|co|sw|ew)\s+(?:"((?:[^"\\]|\\.)*)"|(true|false)))\s*""", re.IGNORECASE)
_JOIN = re.compile(r"\s*(and|or)\s+", re.IGNORECASE)
_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda value, wanted: value == wanted,
    "ne": lambda value, wanted: value != wanted,
    "co": lambda value, wanted: wanted in value,
    "sw": lambda value, wanted: value.startswith(wanted),
    "ew": lambda value, wanted: value.endswith(wanted),
}


def parse_filter(text: str) -> Callable[[Principal], bool]:
    """What a filter lets through: terms such as `userName eq "x"` or `active eq true`, joined by `and` and `or`; `and` binds closer.

    Raises:
        InvalidArgument: When it is written otherwise, or names an attribute that cannot be filtered on.
    """
    if not text.strip():
        return lambda _: True
    if len(text) > FILTER_CHARS_MAX:
        raise InvalidArgument(f"A filter has at most {FILTER_CHARS_MAX} characters.")
    either: list[list[Callable[[Principal], bool]]] = [[]]
    at = 0
    while True:
        term = _TERM.match(text, at)
        if term is None:
            raise _unsupported()
        either[-1].append(_term(term))
        at = term.end()
        if at == len(text):
            return lambda principal: any(all(fits(principal) for fits in both) for both in either)
        joined = _JOIN.match(text, at)
        if joined is None:
            raise _unsupported()
        if joined[1].lower() == "or":
            either.append([])
        at = joined.end()


def _term(term: re.Match[str]) -> Callable[[Principal], bool]:
    """One comparison; SCIM compares these attributes without case."""
    name = term[1].lower()
    if name not in _ATTRIBUTES:
        raise _unsupported()
    if term[2]:
        return lambda principal: bool(attribute(principal, name))
    wanted = (term[5] or re.sub(r"\\(.)", r"\1", term[4] or "")).lower()
    compare = _OPERATORS[term[3].lower()]
    return lambda principal: compare(attribute(principal, name).lower(), wanted)


def _unsupported() -> InvalidArgument:
    """The error for a filter that is not understood."""
    return InvalidArgument(
        "The filter is not supported.",
        hint='Use terms such as `userName eq "name"` (eq, ne, co, sw, ew, pr), joined by `and` and `or`; '
        "attributes are userName, displayName, emails, id, applicationId and active.",
    )


def attribute(principal: Principal, name: str) -> str:
    """An attribute as text; the shown name of a group is its name."""
    return _ATTRIBUTES[name](principal)


_ATTRIBUTES: Mapping[str, Callable[[Principal], str]] = {
    "username": lambda principal: principal.name,
    "displayname": lambda principal: (principal.display_name if principal.kind != "group" else "") or principal.name,
    "emails": lambda principal: principal.email,
    "emails.value": lambda principal: principal.email,
    "id": lambda principal: principal.id,
    "applicationid": lambda principal: principal.id,
    "active": lambda principal: str(principal.active).lower(),
}


async def principals(call: Call, kind: PrincipalKind) -> list[Principal]:
    """Principals of a kind, filtered and ordered as the client asked."""
    fits = parse_filter(call.query("filter"))
    found: list[Principal] = []
    token = ""
    while True:
        page = await call.run(call.services.access.principals.list, call.ctx, kind, PageRequest.of(COUNT_MAX, token))
        found += [each for each in page.items if fits(each)]
        token = page.next_token
        if not token:
            break
    order = call.query("sortBy").lower()
    if order:
        if order not in _ATTRIBUTES:
            raise InvalidArgument(f"Lists cannot be ordered by `{order[:40]}`.")
        found.sort(key=lambda each: attribute(each, order).lower(), reverse=call.query("sortOrder").lower() == "descending")
    return found


def page_of(call: Call, found: Sequence[Principal]) -> tuple[int, Sequence[Principal]]:
    """Where the page begins and who is on it; `startIndex` counts from 1, and `count` 0 asks for the number alone."""
    start = max(call.query_int("startIndex") or 1, 1)
    asked = call.query_int("count")
    count = COUNT_DEFAULT if asked is None else max(0, min(asked, COUNT_MAX))
    return start, found[start - 1 : start - 1 + count]


def listing(call: Call, total: int, start: int, resources: list[dict[str, object]]) -> Response:
    """A page of a list, with the attributes that were asked for."""
    shown = [shown_of(call, each) for each in resources]
    return JSONResponse(
        {"schemas": [LIST_SCHEMA], "totalResults": total, "startIndex": start, "itemsPerPage": len(shown), "Resources": shown}
    )


def shown_of(call: Call, resource: dict[str, object]) -> dict[str, object]:
    """The attributes that `attributes` and `excludedAttributes` leave."""
    wanted = {each.split(".")[0].lower() for each in call.query("attributes").replace(" ", "").split(",") if each}
    unwanted = {each.split(".")[0].lower() for each in call.query("excludedAttributes").replace(" ", "").split(",") if each}
    if not wanted and not unwanted:
        return resource
    return {
        name: value
        for name, value in resource.items()
        if name in ALWAYS or ((not wanted or name.lower() in wanted) and name.lower() not in unwanted)
    }


def asks_for(call: Call, name: str) -> bool:
    """Whether the client asked for an attribute that is not shown otherwise."""
    return name.lower() in {each.split(".")[0].strip().lower() for each in call.query("attributes").split(",")}
