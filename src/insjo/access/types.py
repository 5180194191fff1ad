"""Nouns of access: principals, securables, privileges, labels, clearances, provenance and what was decided about them."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Final, Generic, Literal, NoReturn, TypeVar

from insjo.access.errors import InvalidLabel
from insjo.access.kinds import CREATE_PRIVILEGE, GRANTABLE, PARENT_KIND, Privilege, SecurableKind
from insjo.kernel.context import PrincipalKind, PrincipalRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

__all__ = ["CREATE_PRIVILEGE", "GRANTABLE", "PARENT_KIND", "Privilege", "SecurableKind"]
"""What other rooms find here although it is written in `insjo.access.kinds`."""

T = TypeVar("T")

ADMINS_ID: Final = "group-admins"
"""Identifier of the group `admins`, the metastore admins."""

EVERYBODY_ID: Final = "group-account-users"
"""Identifier of the group `account users`, to which every principal belongs without being added."""

METASTORE_ID: Final = "metastore"
"""Identifier of the root of all securables."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who can hold rights: a user, a group or a service principal."""

    id: str
    kind: PrincipalKind
    name: str
    display_name: str
    active: bool
    created_at: datetime
    email: str = ""

    def ref(self) -> PrincipalRef:
        """The principal as it travels with a request."""
        return PrincipalRef(id=self.id, name=self.name, kind=self.kind)


@dataclass(frozen=True, slots=True)
class Securable:
    """One node of the tree on which rights and labels sit."""

    id: str
    kind: SecurableKind
    full_name: str
    parent_id: str | None
    owner_id: str
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A new access token; this is the only time that its value is shown."""

    value: str = field(repr=False)
    token_id: str
    comment: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Token:
    """An access token as lists show it."""

    id: str
    principal_id: str
    comment: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret with which a program signs in as a service principal, as lists show it."""

    id: str
    principal_id: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ClientToken:
    """A short-lived access token of a program."""

    value: str = field(repr=False)
    expires_in_s: int
    principal: Principal


@dataclass(frozen=True, slots=True)
class Decision:
    """Answer to: may this principal do this?

    Attributes:
        via: Where the right comes from: `owner`, `admin`, `system` or the grant (`SELECT to analysts on schema main.sales`);
            empty when denied.
        visible: Whether the object exists for the caller at all.
        missing: The privileges that a denied caller lacks, with the object on which each must be granted.
        hint: What a denied caller can do, empty when the object is invisible.
        unshown_reason: The reason behind "does not exist", for the audit and for those who manage the object.
    """

    allowed: bool
    reason: str
    privilege: Privilege
    securable_id: str
    via: str = ""
    visible: bool = True
    missing: tuple[str, ...] = ()
    hint: str = ""
    unshown_reason: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one principal was granted on one securable directly."""

    principal: str
    privileges: tuple[Privilege, ...]


@dataclass(frozen=True, slots=True)
class EffectiveGrant:
    """One privilege that a principal holds on a securable, and from where it is inherited (itself when it is direct)."""

    principal: str
    privilege: Privilege
    inherited_from_kind: SecurableKind
    inherited_from_name: str
    inherited: bool


class Level(IntEnum):
    """How sensitive; a higher level contains the lower ones."""

    PUBLIC = 0
    INTERNAL = 1
    CONFIDENTIAL = 2
    SECRET = 3

    @staticmethod
    def parse(text: str) -> Level:
        """Level from its word.

        Raises:
            InvalidLabel: For any other word.
        """
        try:
            return Level[text.strip().upper()]
        except KeyError:
            message = f"`{text}` is no level."
            raise InvalidLabel(message, hint="Levels are public, internal, confidential and secret.") from None


Zone = Literal["local", "eu", "any"]
ZONES: Final[tuple[Zone, ...]] = ("local", "eu", "any")
"""From the narrowest to the widest: what may be processed anywhere may be processed here too."""

CATEGORIES_MAX: Final = 32
_CATEGORY = re.compile(r"[^\W_][\w .-]{0,62}")


@dataclass(frozen=True, slots=True)
class Label:
    """How sensitive content is, of which kind, and where it may be processed.

    Attributes:
        categories: Free words such as `personal`, `health`, `salary`; lower case.
        zones: Closed downwards: `any` contains `eu`, `eu` contains `local`.
    """

    level: Level
    categories: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset(ZONES)

    def __post_init__(self) -> None:
        """Bring the parts into their one form, so that equal labels compare equal."""
        categories = frozenset(" ".join(word.casefold().split()) for word in self.categories)
        if len(categories) > CATEGORIES_MAX:
            message = f"A label has at most {CATEGORIES_MAX} categories."
            raise InvalidLabel(message)
        for word in categories:
            if not _CATEGORY.fullmatch(word):
                message = f"`{word}` is no category."
                raise InvalidLabel(message, hint="A category is a word of letters and digits, for example `salary`.")
        widest = max((ZONES.index(zone) for zone in self.zones if zone in ZONES), default=-1)
        if widest < 0 or not self.zones <= set(ZONES):
            message = f"`{', '.join(sorted(self.zones))}` are no zones."
            raise InvalidLabel(message, hint="Zones are local, eu and any.")
        object.__setattr__(self, "level", Level(self.level))
        object.__setattr__(self, "categories", categories)
        object.__setattr__(self, "zones", frozenset(ZONES[: widest + 1]))

    def join(self, other: Label) -> Label:
        """The label of content that holds both: highest level, all categories, common zones."""
        if self is other:
            return self
        return _joined(self, other)

    def covers(self, other: Label) -> bool:
        """Whether this label is at least as strict as the other in every part."""
        return self.level >= other.level and self.categories >= other.categories and self.zones <= other.zones

    @property
    def zone(self) -> Zone:
        """The widest zone where the content may be processed."""
        return ZONES[len(self.zones) - 1]

    def text(self) -> str:
        """Words for people: `confidential · salary · local`."""
        zone = () if self.zone == "any" else (self.zone,)
        return " · ".join((self.level.name.lower(), *sorted(self.categories), *zone))

    def as_json(self) -> dict[str, object]:
        """JSON form: `{"level": "confidential", "categories": ["salary"], "zone": "local"}`."""
        return {"level": self.level.name.lower(), "categories": sorted(self.categories), "zone": self.zone}

    @staticmethod
    def from_json(value: Mapping[str, object]) -> Label:
        """Label from its JSON form; `zones` (a list) is accepted beside `zone`.

        Raises:
            InvalidLabel: When a part is missing or wrong.
        """
        level = value.get("level")
        categories = value.get("categories", ())
        zones = value.get("zones") or (value.get("zone", "any"),)
        if not isinstance(level, str) or not isinstance(categories, (list, tuple)) or not isinstance(zones, (list, tuple)):
            message = "A label needs a `level`, and its `categories` are a list."
            raise InvalidLabel(message)
        return Label(Level.parse(level), frozenset(str(word) for word in categories), frozenset(str(zone) for zone in zones))


@functools.lru_cache(maxsize=1024)
def _joined(one: Label, other: Label) -> Label:
    """The join, remembered because the same few labels meet again and again."""
    return Label(max(one.level, other.level), one.categories | other.categories, one.zones & other.zones)


PUBLIC: Final = Label(Level.PUBLIC)
"""The lowest label: the neutral element of `join`."""

UNLABELLED: Final = Label(Level.INTERNAL)
"""What content counts as when nobody labelled it or anything above it."""


def join_all(labels: Iterable[Label]) -> Label:
    """Join of all; PUBLIC when there are none."""
    joined = PUBLIC
    for label in labels:
        joined = joined.join(label)
    return joined


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Effective label of a table and of those of its columns that have a label of their own."""

    label: Label
    columns: Mapping[str, Label] = field(default_factory=dict)

    def of(self, column: str) -> Label:
        """Effective label of a column."""
        return self.columns.get(column.lower(), self.label)


@dataclass(frozen=True, slots=True)
class Declassification:
    """A steward's signed word that content may count as less than what it inherits, until it expires."""

    id: str
    securable_id: str
    column: str
    covered: Label
    label: Label
    reason: str
    signed_by: str
    signed_at: datetime
    expires_at: datetime
    signature: str = field(repr=False, default="")


DETECTED: Final = "detected:"
"""Beginning of the object of an origin that a detector found in the words of the caller."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where content came from: an object, its version and a column of it."""

    object: str
    version: int | None = None
    column: str | None = None
    securable_id: str | None = None

    @property
    def own_words(self) -> bool:
        """Whether it is something that the caller typed, and no object of the lake."""
        return self.securable_id is None and self.object.startswith(DETECTED)

    def text(self) -> str:
        """`main.hr.pay@3.salary`."""
        version = "" if self.version is None else f"@{self.version}"
        return f"{self.object}{version}" + (f".{self.column}" if self.column else "")


@dataclass(frozen=True, slots=True)
class Provenance:
    """The label of content and all its origins."""

    label: Label
    origins: tuple[Origin, ...] = ()

    def join(self, other: Provenance) -> Provenance:
        """Provenance of content made from both; each origin stands once, in order of appearance."""
        if not other.origins and self.label.covers(other.label):
            return self
        return Provenance(self.label.join(other.label), tuple(dict.fromkeys((*self.origins, *other.origins))))


def provenance_of(parts: Iterable[Provenance]) -> Provenance:
    """Provenance of content made from all parts; PUBLIC without origins when there are none."""
    label, origins = PUBLIC, dict[Origin, None]()
    for part in parts:
        label = label.join(part.label)
        origins.update(dict.fromkeys(part.origins))
    return Provenance(label, tuple(origins))


class AllCategories(Enum):
    """The one value that stands for every category, also those that nobody has thought of yet."""

    ALL = "*"


ALL: Final = AllCategories.ALL


@dataclass(frozen=True, slots=True)
class Clearance:
    """What a destination may receive.

    Attributes:
        destination: `served_model:<endpoint>/<served>`, `tool:<name>` ...
        zone: Where it processes what it receives.
        keeps, trains: What it does with what it receives.
    """

    destination: str
    level: Level = Level.PUBLIC
    categories: frozenset[str] | AllCategories = frozenset()
    zone: Zone = "any"
    keeps: bool = True
    trains: bool = False


@dataclass(frozen=True, slots=True)
class FlowDecision:
    """Answer to: may this content go there?"""

    allowed: bool
    reason: str


Asks = Literal["user", "steward"]
"""Who is asked: whoever makes the call, or somebody else who manages the data or the metastore."""

ApprovalState = Literal["pending", "granted", "refused", "used", "expired"]


@dataclass(frozen=True, slots=True)
class Approval:
    """One call above a clearance about which somebody is asked.

    Attributes:
        principal: Who wants to send it.
        origins: Only those that the reader may browse.
        content_hash: Of what would be sent; the content itself is kept nowhere.
        expires_at: Nobody can decide, and nobody can use what was granted, after this.
        may_decide: Whether the reader may.
    """

    id: str
    principal_id: str
    principal: str
    asks: Asks
    purpose: str
    destination: str
    label: Label
    origins: tuple[str, ...]
    content_hash: str
    reason: str
    state: ApprovalState
    asked_at: datetime
    expires_at: datetime
    decided_by: str = ""
    note: str = ""
    may_decide: bool = False


@dataclass(frozen=True, slots=True)
class FingerprintMatch:
    """Content of one securable was found in a text: `count` distinct values or windows of words."""

    label: Label
    securable_id: str
    count: int
    column: str = ""


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One row of `system.access.audit`."""

    sequence: int
    at: datetime
    action: str
    outcome: str
    principal_id: str
    principal: str
    on_behalf_of: str
    door: str
    request_id: str
    client: str
    object: str
    securable_id: str
    label: str
    destination: str
    origins: tuple[str, ...]
    reason: str
    content_hash: str
    policy_version: int
    hash: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows of the audit; an empty part filters nothing."""

    principal: str = ""
    action: str = ""
    outcome: str = ""
    object: str = ""
    destination: str = ""
    request_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found; `sequence` is the first bad row when `intact` is false, else the last row."""

    intact: bool
    rows: int
    sequence: int
    head: str
    problem: str = ""


_CLEARING: Final = object()
"""The key that only `insjo.access.service.flow` uses: tests/unit/access/test_flow.py looks who names it."""


class Cleared(Generic[T]):
    """Content that `may_flow` let go to one destination.  Adapters that open a connection take nothing else.

    The content must be immutable (bytes, text, tuples, frozen dataclasses): it was judged as it is.
    """

    __slots__ = ("content", "destination", "flow_id", "provenance")

    content: T
    provenance: Provenance
    destination: str
    flow_id: str

    def __init__(self, content: T, provenance: Provenance, destination: str, flow_id: str, *, key: object) -> None:
        """Only `Flows.clear` has the key."""
        if key is not _CLEARING:
            message = "only Flows.clear can make a Cleared value"
            raise TypeError(message)
        for name, value in (("content", content), ("provenance", provenance), ("destination", destination), ("flow_id", flow_id)):
            object.__setattr__(self, name, value)

    def __init_subclass__(cls) -> NoReturn:
        """A subclass could leave out the check of the key."""
        message = "Cleared cannot be subclassed"
        raise TypeError(message)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        """What was judged cannot be exchanged afterwards."""
        message = f"Cleared.{name} cannot be changed"
        raise AttributeError(message)

    def __reduce__(self) -> NoReturn:
        """A pickle could be forged."""
        message = "Cleared cannot be pickled"
        raise TypeError(message)

    def __repr__(self) -> str:
        """Without the content: it would end in logs."""
        return f"Cleared(label={self.provenance.label.text()!r}, destination={self.destination!r}, flow_id={self.flow_id!r})"
