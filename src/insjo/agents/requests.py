"""Which change somebody asks the assistant for, read from their words by patterns; never by a model.

What is not said is asked for.  Nothing here changes anything: a request becomes an action that waits for a confirmation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from insjo.access.types import Privilege, SecurableKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DAYS_MAX: Final = 3650
REQUEST_CHARS_MAX: Final = 400

_KINDS: Final[Mapping[str, SecurableKind]] = {
    "catalog": SecurableKind.CATALOG,
    "katalog": SecurableKind.CATALOG,
    "katalogen": SecurableKind.CATALOG,
    "schema": SecurableKind.SCHEMA,
    "schemat": SecurableKind.SCHEMA,
    "table": SecurableKind.TABLE,
    "tabell": SecurableKind.TABLE,
    "tabellen": SecurableKind.TABLE,
    "view": SecurableKind.TABLE,
    "vy": SecurableKind.TABLE,
    "vyn": SecurableKind.TABLE,
    "volume": SecurableKind.VOLUME,
    "volym": SecurableKind.VOLUME,
    "volymen": SecurableKind.VOLUME,
    "index": SecurableKind.INDEX,
    "indexet": SecurableKind.INDEX,
    "agent": SecurableKind.AGENT,
    "agenten": SecurableKind.AGENT,
    "app": SecurableKind.AGENT,
    "appen": SecurableKind.AGENT,
    "endpoint": SecurableKind.ENDPOINT,
    "slutpunkt": SecurableKind.ENDPOINT,
    "slutpunkten": SecurableKind.ENDPOINT,
}
_KIND: Final = "|".join(sorted(_KINDS, key=len, reverse=True))
_ARTICLE: Final = r"(?:(?:the|a|an|my|our|new|ny|nytt|nya|en|ett|den|det|min|mitt|vår|vårt) )*"

_PRIVILEGES: Final[Mapping[str, Privilege]] = {
    "select": Privilege.SELECT,
    "read": Privilege.SELECT,
    "see": Privilege.SELECT,
    "läsa": Privilege.SELECT,
    "läsrätt": Privilege.SELECT,
    "läsrättigheter": Privilege.SELECT,
    "se": Privilege.SELECT,
    "modify": Privilege.MODIFY,
    "write": Privilege.MODIFY,
    "change": Privilege.MODIFY,
    "ändra": Privilege.MODIFY,
    "skriva": Privilege.MODIFY,
    "skrivrätt": Privilege.MODIFY,
    "manage": Privilege.MANAGE,
    "execute": Privilege.EXECUTE,
    "use": Privilege.EXECUTE,
    "använda": Privilege.EXECUTE,
    "use catalog": Privilege.USE_CATALOG,
    "use schema": Privilege.USE_SCHEMA,
    "browse": Privilege.BROWSE,
    "all privileges": Privilege.ALL_PRIVILEGES,
    "alla rättigheter": Privilege.ALL_PRIVILEGES,
}
_PRIVILEGE: Final = "|".join(sorted(_PRIVILEGES, key=len, reverse=True))


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A change that somebody asks for.

    Attributes:
        kind: `token.create`, `grant`, `revoke`, `create` or `drop`.
        name: Full or partial name of the object.
        who: Name of a principal.
        missing: What must be known before it can be offered: `name`, `who`, `what`.
    """

    kind: str
    securable: SecurableKind | None = None
    name: str = ""
    privilege: Privilege | None = None
    who: str = ""
    days: int | None = None
    missing: tuple[str, ...] = ()


def request_in(text: str) -> ChangeRequest | None:
    """The change that a text asks for, or None."""
    flat = " ".join(text.strip().rstrip(".!?").split())[:REQUEST_CHARS_MAX]
    for pattern, make in _PATTERNS:
        match = pattern.fullmatch(flat)
        if match is not None:
            request = make({key: value for key, value in match.groupdict().items() if value})
            return None if request.name in _KINDS else request
    return None


def _named(number: str) -> str:
    """A name as a group that can stand in a pattern once."""
    return rf"[`\"“”]?(?P<{number}>[\w\-]+(?:\.[\w\-]+){{0,2}})[`\"“”]?"


def _token(said: Mapping[str, str]) -> ChangeRequest:
    """A new access token."""
    days = (
        int(said["days"]) * {"w": 7, "v": 7, "m": 30, "y": 365, "å": 365}.get(said.get("unit", "d")[0].lower(), 1)
        if "days" in said
        else None
    )
    return ChangeRequest("token.create", name=said.get("comment", ""), days=min(days, DAYS_MAX) if days else None)


def _privilege_of(said: Mapping[str, str], kind: SecurableKind | None) -> Privilege:
    """The privilege that was said, as it is called on this kind of object."""
    privilege = _PRIVILEGES[said["privilege"].casefold()] if "privilege" in said else Privilege.SELECT
    if privilege is Privilege.SELECT and kind is SecurableKind.VOLUME:
        return Privilege.READ_VOLUME
    if privilege is Privilege.MODIFY and kind is SecurableKind.VOLUME:
        return Privilege.WRITE_VOLUME
    if privilege is Privilege.SELECT and kind in {SecurableKind.AGENT, SecurableKind.ENDPOINT}:
        return Privilege.EXECUTE
    return privilege


def _rights(kind: str) -> Callable[[Mapping[str, str]], ChangeRequest]:
    """A grant or a revocation."""

    def make(said: Mapping[str, str]) -> ChangeRequest:
        securable = _KINDS.get(said.get("kind", "").casefold()) or _by_parts(said.get("name", ""))
        return ChangeRequest(kind, securable, said.get("name", "").lower(), _privilege_of(said, securable), said.get("who", ""))

    return make


def _by_parts(name: str) -> SecurableKind:
    """What a name without a word before it most likely is: one part a catalog, two a schema, three a table."""
    return (SecurableKind.CATALOG, SecurableKind.SCHEMA, SecurableKind.TABLE)[min(name.count("."), 2)]


def _creation(said: Mapping[str, str]) -> ChangeRequest:
    """A new catalog, schema or volume."""
    kind = _KINDS[said["kind"].casefold()]
    name = said.get("name", "").lower()
    wanted = {SecurableKind.CATALOG: 0, SecurableKind.SCHEMA: 1, SecurableKind.VOLUME: 2}[kind]
    if "parent" in said and name and "." not in name:
        name = f"{said['parent'].lower()}.{name}"
    missing = () if name and name.count(".") == wanted else ("name",)
    return ChangeRequest("create", kind, name, missing=missing)


def _removal(said: Mapping[str, str]) -> ChangeRequest:
    """Dropping something."""
    kind = _KINDS[said["kind"].casefold()]
    name = said.get("name", "").lower()
    wanted = {SecurableKind.CATALOG: 0, SecurableKind.SCHEMA: 1, SecurableKind.ENDPOINT: 0}.get(kind, 2)
    return ChangeRequest("drop", kind, name, missing=() if name and name.count(".") == wanted else ("name",))


_POLITE: Final = r"(?:(?:please|can you|could you|i want to|i would like to|kan du|jag vill|snälla|vänligen) )?"
_UNIT: Final = r"(?P<unit>days?|dagar|weeks?|veckor?|months?|månader|years?|år)"
_SPAN: Final = rf"(?: (?:for|valid for|that lasts|som gäller(?: i)?|i|på) (?P<days>\d+) {_UNIT})?"
_MADE: Final = r"catalog|katalog|schema|volume|volym"
_OF: Final = rf"(?: (?:called|named|som heter|med namnet))? {_named('name')}"
_IN: Final = rf"(?: (?:in|under|i) (?:(?:the )?(?:catalog|schema|katalogen|schemat) )?{_named('parent')})?"
_ON: Final = rf"(?:(?P<kind>{_KIND}) )?{_named('name')}"

_TO_SIGN_IN: Final = r"(?:access[ -]?token|api[ -]?key|api[ -]?token|token|åtkomsttoken|api-nyckel|åtkomstnyckel)"
_COMMENT: Final = r"(?: (?:called|for|named|till|för|som heter) [`\"“”]?(?P<comment>(?!\d)[\w .\-]{1,60}?)[`\"“”]?)?"
_RIGHT: Final = rf"(?P<privilege>{_PRIVILEGE})(?: access| rights?| permission)?"
_BODY: Final = r"(?:(?:user|group|team|gruppen|användaren) )?(?P<who>[\w.@\-]+(?: users)?)(?: group| team)?"
_MAKE: Final = r"(?:create|make|generate|get|give|skapa|gör|ge)(?: me| mig)?"

_SOURCES: Final[tuple[tuple[str, Callable[[Mapping[str, str]], ChangeRequest]], ...]] = (
    (rf"{_POLITE}{_MAKE} {_ARTICLE}(?:personal )?{_TO_SIGN_IN}{_COMMENT}{_SPAN}", _token),
    (rf"{_POLITE}(?:grant|give) {_RIGHT} (?:on|to) {_ARTICLE}{_ON} to {_ARTICLE}{_BODY}", _rights("grant")),
    (rf"{_POLITE}(?:grant|give) {_ARTICLE}{_BODY} {_RIGHT}(?: on| to) {_ARTICLE}{_ON}", _rights("grant")),
    (rf"{_POLITE}(?:let|allow|låt) {_ARTICLE}{_BODY} (?:to )?(?P<privilege>{_PRIVILEGE}) {_ARTICLE}{_ON}", _rights("grant")),
    (rf"{_POLITE}ge {_BODY} (?P<privilege>{_PRIVILEGE}) (?:på|till|i|att läsa) {_ARTICLE}{_ON}", _rights("grant")),
    (rf"{_POLITE}(?:revoke|remove|take away) {_RIGHT} (?:on|to) {_ARTICLE}{_ON} from {_ARTICLE}{_BODY}", _rights("revoke")),
    (
        rf"{_POLITE}(?:återkalla|ta bort|dra in) (?P<privilege>{_PRIVILEGE}) (?:på|till) {_ARTICLE}{_ON} (?:från|för) {_BODY}",
        _rights("revoke"),
    ),
    (rf"{_POLITE}(?:create|make|add|skapa|gör|lägg till) {_ARTICLE}(?P<kind>{_MADE})(?:{_OF})?{_IN}", _creation),
    (rf"{_POLITE}(?:drop|delete|remove|ta bort|radera|släng) {_ARTICLE}(?P<kind>{_KIND})(?: {_named('name')})?", _removal),
)
_PATTERNS: Final = tuple((re.compile(source, re.IGNORECASE), make) for source, make in _SOURCES)
