"""Permission levels: the workspace's words for privileges on folders, files, queries, dashboards, warehouses and endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from insjo.access.errors import SecurableNotFound
from insjo.access.types import ADMINS_ID, Privilege, SecurableKind
from insjo.kernel.errors import did_you_mean
from insjo.workspace import store
from insjo.workspace.errors import InvalidPermissionLevel, PathNotFound
from insjo.workspace.types import ObjectKind

if TYPE_CHECKING:
    from insjo.access.types import Principal, Securable
    from insjo.kernel.context import PrincipalKind, RequestContext
    from insjo.workspace.service.tree import Tree

Levels = Mapping[str, frozenset[Privilege]]
_Change = tuple[str, Sequence[Privilege], Sequence[Privilege]]

_P = Privilege
_READ: Final = frozenset({_P.SELECT})
_RUN: Final = _READ | {_P.EXECUTE}
_EDIT: Final = _RUN | {_P.MODIFY}
IN_FOLDERS: Final[Levels] = {"CAN_READ": _READ, "CAN_RUN": _RUN, "CAN_EDIT": _EDIT, "CAN_MANAGE": _EDIT | {_P.MANAGE}}
WAREHOUSES: Final[Levels] = {
    "CAN_VIEW": frozenset({_P.BROWSE}),
    "CAN_USE": frozenset({_P.EXECUTE}),
    "CAN_MANAGE": frozenset({_P.EXECUTE, _P.MANAGE}),
}
ENDPOINTS: Final[Levels] = {
    "CAN_VIEW": frozenset({_P.BROWSE}),
    "CAN_QUERY": frozenset({_P.EXECUTE}),
    "CAN_MANAGE": frozenset({_P.EXECUTE, _P.MANAGE}),
}
"""From the lowest to the highest; each contains the ones before it."""

OWNER: Final = "IS_OWNER"
DESCRIPTIONS: Final[Mapping[str, str]] = {
    "CAN_READ": "Can see it",
    "CAN_VIEW": "Can see that it is there",
    "CAN_RUN": "Can see and run it",
    "CAN_QUERY": "Can send requests to it",
    "CAN_USE": "Can run statements on it",
    "CAN_EDIT": "Can see, run and change it",
    "CAN_MANAGE": "Can change and delete it, and say who may what",
    OWNER: "Owns it",
}

_IN_FOLDER_TYPES: Final[Mapping[str, tuple[ObjectKind, ...]]] = {
    "directories": (ObjectKind.DIRECTORY,),
    "files": (ObjectKind.FILE,),
    "notebooks": (ObjectKind.NOTEBOOK,),
    "dashboards": (ObjectKind.DASHBOARD,),
    "queries": (ObjectKind.QUERY,),
    "sql/queries": (ObjectKind.QUERY,),
}
_OTHER_TYPES: Final[Mapping[str, SecurableKind]] = {
    "warehouses": SecurableKind.WAREHOUSE,
    "sql/warehouses": SecurableKind.WAREHOUSE,
    "serving-endpoints": SecurableKind.ENDPOINT,
}
OBJECT_TYPES: Final = (*_IN_FOLDER_TYPES, *_OTHER_TYPES)
_SAME: Final = {"CAN_VIEW": "CAN_READ"}
"""Older word for reading what stands in folders."""


@dataclass(frozen=True, slots=True)
class Held:
    """One level that somebody holds, and the folder from which it comes when it is inherited."""

    level: str
    inherited_from: str = ""


@dataclass(frozen=True, slots=True)
class AclEntry:
    """What one principal may do."""

    principal: str
    kind: PrincipalKind
    display_name: str
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Acl:
    """Who may do what with an object."""

    object_type: str
    object_id: str
    entries: tuple[AclEntry, ...]


class Permissions:
    """Reads and changes who may do what; changing needs MANAGE, and nobody learns of grants that do not reach them."""

    def __init__(self, tree: Tree) -> None:
        """The tree knows the objects in folders."""
        self._tree = tree

    def levels(self, ctx: RequestContext, object_type: str, object_id: str) -> tuple[str, ...]:
        """The levels that there are for an object that the caller may see."""
        self._target(ctx, object_type, object_id)
        return (*_levels(object_type), OWNER)

    def get(self, ctx: RequestContext, object_type: str, object_id: str) -> Acl:
        """Who may do what, as far as the caller may know."""
        target = self._target(ctx, object_type, object_id)
        access = self._tree.access
        levels = _levels(object_type)
        by_place: dict[tuple[str, str], set[Privilege]] = {}
        for each in access.grants.effective(ctx, target.id):
            by_place.setdefault((each.principal, each.inherited_from_name if each.inherited else ""), set()).add(each.privilege)
        held: dict[str, list[Held]] = {}
        for (principal, place), privileges in by_place.items():
            level = _highest(levels, privileges)
            if level:
                held.setdefault(principal, []).append(Held(level, place))
        owner = access.authority.owners([target.id])[target.id]
        held.setdefault(owner, []).insert(0, Held(OWNER if object_type in _OTHER_TYPES else "CAN_MANAGE"))
        admins = access.principals.get(ctx, ADMINS_ID).name
        if owner != admins:
            held.setdefault(admins, []).append(Held("CAN_MANAGE", "/"))
        entries = [self._entry(ctx, name, levels) for name, levels in sorted(held.items())]
        return Acl(object_type, object_id, tuple(each for each in entries if each is not None))

    def _entry(self, ctx: RequestContext, name: str, held: Sequence[Held]) -> AclEntry | None:
        """An entry, with the kind of the principal; Insjö itself is not shown."""
        found: Principal | None = self._tree.access.principals.find(ctx, name)
        if found is None or found.id == "system":
            return None
        return AclEntry(found.name, found.kind, found.display_name, tuple(dict.fromkeys(held)))

    def set(self, ctx: RequestContext, object_type: str, object_id: str, wanted: Sequence[tuple[str, str]]) -> Acl:
        """Replace what was granted on the object itself; what is inherited stays.  `wanted` are pairs of principal and level.

        Raises:
            InvalidPermissionLevel, PrincipalNotFound: Then nothing has changed.
        """
        target = self._target(ctx, object_type, object_id)
        present = self._tree.access.grants.list(ctx, target.id)
        kept = {name.lower() for name, _ in wanted}
        gone: list[_Change] = [(each.principal, (), each.privileges) for each in present if each.principal not in kept]
        self._change(ctx, target, object_type, wanted, gone)
        return self.get(ctx, object_type, object_id)

    def update(self, ctx: RequestContext, object_type: str, object_id: str, wanted: Sequence[tuple[str, str]]) -> Acl:
        """Give some principals another level; the others keep theirs.

        Raises:
            InvalidPermissionLevel, PrincipalNotFound: Then nothing has changed.
        """
        self._change(ctx, self._target(ctx, object_type, object_id), object_type, wanted, [])
        return self.get(ctx, object_type, object_id)

    def _change(
        self,
        ctx: RequestContext,
        target: Securable,
        object_type: str,
        wanted: Sequence[tuple[str, str]],
        changes: list[_Change],
    ) -> None:
        """Grants and revokes that lead to the wanted levels, and a new owner."""
        access = self._tree.access
        access.authority.authorize(ctx, Privilege.MANAGE, target.id)
        levels = _levels(object_type)
        owners: list[Principal] = []
        every = frozenset().union(*levels.values())
        for name, level in wanted:
            if level == OWNER:
                owners.append(access.principals.by_name(name))
                continue
            granted = levels.get(_SAME.get(level, level) if object_type in _IN_FOLDER_TYPES else level)
            if granted is None:
                message = f"`{level[:40]}` is no permission level of {object_type}."
                raise InvalidPermissionLevel(message, hint=did_you_mean(level, levels) or f"Use one of {', '.join(levels)}.")
            changes.append((name, sorted(granted), sorted(every - granted)))
        if len(owners) > 1:
            message = "An object has one owner."
            raise InvalidPermissionLevel(message)
        access.grants.change(ctx, target.id, changes)
        if owners and owners[0].id != target.owner_id:
            access.securables.set_owner(ctx, target.id, owners[0].id)

    def _target(self, ctx: RequestContext, object_type: str, object_id: str) -> Securable:
        """The object as securable; it exists only for callers who may see it."""
        securables = self._tree.access.securables
        named = f"The object `{object_type}/{object_id[:64]}`"
        kinds = _IN_FOLDER_TYPES.get(object_type)
        if kinds is not None:
            number = int(object_id) if object_id.isascii() and object_id.isdigit() and len(object_id) < 20 else -1  # noqa: PLR2004  # 64 bits.
            with self._tree.database.read() as connection:
                found = store.fetch_by_number(connection, number) if number >= 0 else None
                found = found or store.fetch_object(connection, object_id[:64])
            if found is not None and found.kind not in kinds:
                found = None
            return securables.get(self._tree.allowed(ctx, found, named, Privilege.BROWSE).id)
        try:
            target = securables.get(object_id[:64])
            self._tree.access.authority.authorize(ctx, Privilege.BROWSE, target.id)
        except SecurableNotFound:
            target = None
        if target is None or target.kind is not _OTHER_TYPES.get(object_type):
            message = f"{named} does not exist."
            raise PathNotFound(message)
        return target


def _levels(object_type: str) -> Levels:
    """Levels of a type of object."""
    if object_type in _IN_FOLDER_TYPES:
        return IN_FOLDERS
    return ENDPOINTS if object_type == "serving-endpoints" else WAREHOUSES


def _highest(levels: Levels, privileges: set[Privilege]) -> str:
    """The highest level whose privileges are all held."""
    held = frozenset(Privilege) - {Privilege.MANAGE} if Privilege.ALL_PRIVILEGES in privileges else privileges
    return next((name for name, needed in reversed(list(levels.items())) if needed <= held), "")
