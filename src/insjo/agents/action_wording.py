"""What an action will change, word by word, in English and Swedish: nothing may happen that is not said here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from insjo.access.types import Privilege, SecurableKind
from insjo.agents.wording import grouped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.agents.pages import Language

_LABELS: Final[Mapping[str, Mapping[Language, str]]] = {
    "token.create": {"en": "Create the token", "sv": "Skapa token"},
    "grant": {"en": "Grant", "sv": "Ge rättigheten"},
    "revoke": {"en": "Revoke", "sv": "Återkalla"},
    "create": {"en": "Create", "sv": "Skapa"},
    "drop": {"en": "Delete", "sv": "Ta bort"},
    "full_name": {
        "en": "its full name (for example `main.default.name`)",
        "sv": "det fullständiga namnet (till exempel `main.default.namn`)",
    },
}
_NOUNS: Final[Mapping[SecurableKind, tuple[str, str]]] = {
    SecurableKind.CATALOG: ("catalog", "katalogen"),
    SecurableKind.SCHEMA: ("schema", "schemat"),
    SecurableKind.TABLE: ("table", "tabellen"),
    SecurableKind.VOLUME: ("volume", "volymen"),
    SecurableKind.INDEX: ("index", "indexet"),
    SecurableKind.AGENT: ("app", "appen"),
    SecurableKind.ENDPOINT: ("endpoint", "slutpunkten"),
}


def label_text(kind: str, language: Language) -> str:
    """Words on the button."""
    return _LABELS.get(kind, _LABELS[kind.partition(".")[0]] if kind.partition(".")[0] in _LABELS else _LABELS["create"])[language]


def describe(kind: str, arguments: Mapping[str, Any], language: Language) -> str:
    """Exactly what will change."""
    swedish = language == "sv"
    if kind == "token.create":
        return _token(arguments, swedish=swedish)
    if kind in {"grant", "revoke"}:
        return _grants(kind, arguments, swedish=swedish)
    verb, _, noun = kind.partition(".")
    said = _noun(noun.upper(), swedish=swedish)
    name = f"`{arguments['name']}`"
    if verb == "create":
        return f"Skapar {said} {name}. Du blir dess ägare." if swedish else f"Creates the {said} {name}. You become its owner."
    said_of_it = _removal(said, name, arguments, swedish=swedish)
    if noun == "table" and not arguments.get("view"):
        back = "Den kan hämtas tillbaka i sju dagar med `UNDROP TABLE`." if swedish else "`UNDROP TABLE` brings it back within seven days."
        return f"{said_of_it} {back}"
    return f"{said_of_it} {'Det går inte att ångra.' if swedish else 'This cannot be undone.'}"


def done_text(kind: str, arguments: Mapping[str, Any], language: Language) -> str:
    """What was changed."""
    swedish = language == "sv"
    if kind == "token.create":
        return "Din nya token visas bara den här gången." if swedish else "Your new token is shown this once."
    if kind in {"grant", "revoke"}:
        who = f"`{arguments['who']}`"
        told = ", ".join(f"{Privilege(each[3]).words} – `{each[2]}`" for each in arguments["grants"])
        if kind == "grant":
            return f"{who} har nu: {told}." if swedish else f"{who} now has: {told}."
        return f"{who} har inte längre: {told}." if swedish else f"{who} no longer has: {told}."
    name = f"`{arguments['name']}`"
    if kind.startswith("create"):
        return f"{name} är skapad." if swedish else f"{name} was created."
    return f"{name} är borttagen." if swedish else f"{name} was deleted."


def _noun(kind: str, *, swedish: bool) -> str:
    """A kind of object in words."""
    return _NOUNS[SecurableKind(kind)][1 if swedish else 0]


def _token(arguments: Mapping[str, Any], *, swedish: bool) -> str:
    """A new token."""
    days, comment = arguments["days"], arguments["comment"]
    if swedish:
        until = f"som gäller i {days} dagar" if days else "med installationens vanliga giltighetstid"
        note = f" med kommentaren ”{comment}”" if comment else ""
        return f"Skapar en åtkomsttoken för dig (`{arguments['user']}`){note}, {until}. Den som har den kan göra allt som du får göra."
    until = f"valid for {days} days" if days else "valid as long as this installation's tokens usually are"
    note = f" with the comment “{comment}”" if comment else ""
    return f"Creates an access token for you (`{arguments['user']}`){note}, {until}. Whoever holds it can do everything that you may do."


def _grants(kind: str, arguments: Mapping[str, Any], *, swedish: bool) -> str:
    """Privileges that are given or taken, one a line."""
    who = f"`{arguments['who']}`"
    group = arguments["who_kind"] == "group"
    lines = []
    for _, securable, name, privilege in arguments["grants"]:
        said = f"{Privilege(privilege).words} {'på' if swedish else 'on the'} {_noun(securable, swedish=swedish)} `{name}`"
        lines.append(f"- {said}")
    if swedish:
        begin = f"Ger {'gruppen ' if group else ''}{who}:" if kind == "grant" else f"Tar ifrån {'gruppen ' if group else ''}{who}:"
    else:
        begin = f"Grants {'the group ' if group else ''}{who}:" if kind == "grant" else f"Takes from {'the group ' if group else ''}{who}:"
    return begin + "\n" + "\n".join(lines)


def _removal(said: str, name: str, arguments: Mapping[str, Any], *, swedish: bool) -> str:
    """What is lost."""
    facts = []
    if arguments.get("rows") is not None:
        rows = grouped(arguments["rows"], "sv" if swedish else "en")
        facts.append(f"{rows} rader" if swedish else f"{rows} rows")
    if arguments.get("columns"):
        facts.append(f"{arguments['columns']} kolumner" if swedish else f"{arguments['columns']} columns")
    if arguments.get("owner"):
        facts.append(f"ägare `{arguments['owner']}`" if swedish else f"owner `{arguments['owner']}`")
    about = f" ({', '.join(facts)})" if facts else ""
    if swedish:
        return f"Tar bort {said} {name}{about} med allt innehåll och alla rättigheter."
    return f"Deletes the {said} {name}{about} with its contents and all rights on it."
