"""The first of the two functions that decide: may this principal do this to that securable?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from insjo.access.errors import NOT_FOUND_BY_KIND, AccessDenied, SecurableNotFound
from insjo.access.store import authority as store
from insjo.access.store import principals as principal_store
from insjo.access.store import securables as securable_store
from insjo.access.store.authority import GATES, UNGATED, holding
from insjo.access.types import GRANTABLE, Decision, Privilege, SecurableKind
from insjo.kernel.context import SYSTEM
from insjo.kernel.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import sqlalchemy as sa

    from insjo.access.service.audit import Audit
    from insjo.access.service.principals import Principals
    from insjo.access.store.authority import Fact
    from insjo.access.store.changes import Changes
    from insjo.kernel.context import RequestContext

SUGGESTIONS_MAX: Final = 2000
ABSENT: Final = "The object does not exist."


class Authority:
    """Decides with one query, live, each time; the caller's rights are never cached here."""

    def __init__(self, *, changes: Changes, audit: Audit, principals: Principals) -> None:
        """Everything by keyword."""
        self._changes = changes
        self._audit = audit
        self._principals = principals

    def decide(
        self,
        ctx: RequestContext,
        privilege: Privilege,
        securable_id: str,
        *,
        connection: sa.Connection | None = None,
    ) -> Decision:
        """May the caller do this?  With the reason either way; an object that does not exist is denied and invisible."""
        return self.decide_many(ctx, [(privilege, securable_id)], connection=connection)[0]

    def decide_many(
        self,
        ctx: RequestContext,
        questions: Sequence[tuple[Privilege, str]],
        *,
        connection: sa.Connection | None = None,
    ) -> list[Decision]:
        """Decisions in the order of the questions, all from one query."""
        if ctx.principal.id == SYSTEM.id:
            return [_system(privilege, securable_id) for privilege, securable_id in questions]
        if not questions:
            return []
        wanted = list(dict.fromkeys(securable_id for _, securable_id in questions))
        with self._changes.reading(connection) as reading:
            facts = store.fetch_facts(reading, ctx.principal.id, wanted)
        name = ctx.principal.name
        return [_shown(judge(name, privilege, securable_id, facts.get(securable_id, ()))) for privilege, securable_id in questions]

    def authorize(
        self,
        ctx: RequestContext,
        privilege: Privilege,
        securable_id: str,
        *,
        connection: sa.Connection | None = None,
    ) -> Decision:
        """As `decide`, and raises when denied; the refusal is recorded.

        Raises:
            SecurableNotFound: When the object does not exist for the caller.
            AccessDenied: When the caller may see it, yet not do this.
        """
        decision = self.decide(ctx, privilege, securable_id, connection=connection)
        if not decision.allowed:
            self.refuse(ctx, decision, name=securable_id)
        return decision

    def refuse(self, ctx: RequestContext, decision: Decision, *, name: str, kind: SecurableKind | None = None, hint: str = "") -> NoReturn:
        """Record a denied decision and raise its error; `name` is what the caller called the object."""
        self._audit.record(
            ctx,
            "securable.authorize",
            outcome="denied",
            object=name,
            securable_id=decision.securable_id,
            reason=decision.unshown_reason or decision.reason,
        )
        if not decision.visible:
            raise not_found(kind, name, hint)
        raise AccessDenied(decision.reason, hint=hint or decision.hint, details={"privilege": decision.privilege.value})

    def decide_by_name(
        self,
        ctx: RequestContext,
        kind: SecurableKind,
        full_name: str,
        privilege: Privilege,
        *,
        connection: sa.Connection | None = None,
    ) -> Decision:
        """As `decide` for an object by its name in lower case; an unknown one is denied, invisible and has no identifier."""
        caller = "" if ctx.principal.id == SYSTEM.id else ctx.principal.id
        with self._changes.reading(connection) as reading:
            facts = store.fetch_facts_by_name(reading, caller, kind, full_name)
        securable_id = facts[0].target_id if facts else ""
        if ctx.principal.id == SYSTEM.id and facts:
            return _system(privilege, securable_id)
        return _shown(judge(ctx.principal.name, privilege, securable_id, facts))

    def visible(self, ctx: RequestContext, kind: SecurableKind, privilege: Privilege | None = None) -> sa.Select[tuple[str]]:
        """Query of the identifiers of all objects of a kind that the caller may see, or on which it holds the privilege.

        Meant to be joined by lists (`where(x.c.id.in_(authority.visible(...)))`), so that a list is one query.
        """
        caller = None if ctx.principal.id == SYSTEM.id else ctx.principal.id
        return store.visible_ids(caller, kind, privilege)

    def visible_names(self, ctx: RequestContext, kind: SecurableKind, limit: int) -> tuple[str, ...]:
        """Names of the objects of a kind that the caller may see, in order."""
        with self._changes.reading() as reading:
            return tuple(store.fetch_visible_names(reading, self.visible(ctx, kind), "", limit))

    def suggest(self, ctx: RequestContext, kind: SecurableKind, full_name: str) -> str:
        """Hint with the nearest name among those that the caller may see; objects beside the named one come first."""
        visible = self.visible(ctx, kind)
        parent = full_name.rpartition(".")[0]
        with self._changes.reading() as reading:
            for beginning in dict.fromkeys((parent + "." if parent else "", "")):
                names = store.fetch_visible_names(reading, visible, beginning, SUGGESTIONS_MAX)
                hint = did_you_mean(full_name, names)
                if hint:
                    return hint
        return ""

    def explain(self, ctx: RequestContext, principal_name: str, privilege: Privilege, kind: SecurableKind, full_name: str) -> Decision:
        """The decision about somebody, for `insjo why`.

        People may ask about themselves; about others those who manage the object.

        Raises:
            SecurableNotFound: When the object does not exist for the one who asks.
            AccessDenied: When the one who asks may not know about others.
        """
        name = full_name.lower()
        somebody = self._principals.by_name(principal_name)
        own = self.decide_by_name(ctx, kind, name, Privilege.BROWSE if somebody.id == ctx.principal.id else Privilege.MANAGE)
        if not own.allowed:
            self.refuse(ctx, own, name=full_name, kind=kind, hint="" if own.visible else self.suggest(ctx, kind, name))
        if somebody.id == SYSTEM.id:
            return _system(privilege, own.securable_id)
        with self._changes.reading() as reading:
            facts = store.fetch_facts(reading, somebody.id, [own.securable_id])
        return judge(somebody.name, privilege, own.securable_id, facts.get(own.securable_id, ()))

    def place(self, ctx: RequestContext, securable_id: str, *, connection: sa.Connection | None = None) -> tuple[SecurableKind, str]:
        """Kind and name of an object that the caller may see; raises SecurableNotFound."""
        self.authorize(ctx, Privilege.BROWSE, securable_id, connection=connection)
        with self._changes.reading(connection) as reading:
            found = securable_store.fetch(reading, securable_id)
        if found is None:
            raise not_found(None, securable_id)
        return found.kind, found.full_name

    def owners(self, securable_ids: Iterable[str], *, connection: sa.Connection | None = None) -> dict[str, str]:
        """Name of the owner by identifier of the object, in one query; what Insjö itself owns is owned by `system`."""
        wanted = list(dict.fromkeys(securable_ids))
        with self._changes.reading(connection) as reading:
            found = securable_store.fetch_owners(reading, wanted)
        return {each: found.get(each, SYSTEM.name) for each in wanted}

    def names(self, principal_ids: Iterable[str], *, connection: sa.Connection | None = None) -> dict[str, str]:
        """Names of principals by identifier, for pages that show who did what."""
        wanted = list(dict.fromkeys(principal_ids))
        with self._changes.reading(connection) as reading:
            return principal_store.fetch_names(reading, wanted)


class _Held(NamedTuple):
    """A grant that gives what is asked, and the node on which it sits."""

    grantee: str
    privilege: str
    fact: Fact


def judge(name: str, privilege: Privilege, securable_id: str, facts: Sequence[Fact]) -> Decision:
    """The decision from the facts; pure, so that it can be tested against the query of `visible`.

    Args:
        name: Name of the principal, for the reason.
        privilege: What is asked.
        securable_id: About which object.
        facts: From the object (first) to the root.
    """
    if not facts:
        return Decision(allowed=False, reason=ABSENT, privilege=privilege, securable_id=securable_id, visible=False)
    target = facts[0]
    kind = SecurableKind(target.kind)
    if target.admin:
        return _allowed(privilege, securable_id, f"`{name}` is a metastore admin.", "admin")
    owned = next((fact for fact in facts if fact.owned), None)
    if owned:
        return _allowed(privilege, securable_id, f"`{name}` owns the {_place(owned)}.", "owner")
    seen = kind is SecurableKind.METASTORE or _first(facts, GRANTABLE[kind]) is not None
    if privilege is Privilege.BROWSE:
        held = _first(facts, GRANTABLE[kind])
        if seen:
            return _granted(privilege, securable_id, name, held)
        return _denied(privilege, securable_id, name, [(privilege, target)], visible=False)
    missing: list[tuple[Privilege, Fact]] = []
    held = _first(facts, holding(privilege)) if privilege in GRANTABLE[kind] else None
    if held is None:
        missing.append((privilege, target))
    if privilege not in UNGATED:
        for gate_kind, gate in GATES.items():
            node = next((fact for fact in facts if fact.kind == gate_kind), None)
            if node and gate is not privilege:
                above = [fact for fact in facts if fact.distance >= node.distance]
                if _first(above, holding(gate)) is None:
                    missing.append((gate, node))
    if missing:
        return _denied(privilege, securable_id, name, missing, visible=seen)
    return _granted(privilege, securable_id, name, held)


def _first(facts: Sequence[Fact], privileges: frozenset[Privilege]) -> _Held | None:
    """The nearest grant of one of the privileges."""
    for fact in facts:
        if fact.privilege is not None and fact.privilege in privileges:
            return _Held(fact.grantee or "", fact.privilege, fact)
    return None


def _place(fact: Fact) -> str:
    """The node in words: "schema `main.sales`"."""
    return f"{SecurableKind(fact.kind).noun} `{fact.full_name}`"


def _system(privilege: Privilege, securable_id: str) -> Decision:
    """Insjö itself may all."""
    return _allowed(privilege, securable_id, "Insjö itself acts.", "system")


def _allowed(privilege: Privilege, securable_id: str, reason: str, via: str) -> Decision:
    """Yes."""
    return Decision(allowed=True, reason=reason, privilege=privilege, securable_id=securable_id, via=via)


def _granted(privilege: Privilege, securable_id: str, name: str, held: _Held | None) -> Decision:
    """Yes, because of a grant; without one everybody may."""
    if held is None:
        return _allowed(privilege, securable_id, "Everybody may see the metastore.", "everybody")
    words = Privilege(held.privilege).words
    inherited = "" if held.fact.distance == 0 else ", inherited"
    reason = f"{words} is granted to `{held.grantee}` on the {_place(held.fact)}{inherited}."
    if held.grantee == name:
        reason = f"{words} is granted on the {_place(held.fact)}{inherited}."
    via = f"{words} to {held.grantee} on {SecurableKind(held.fact.kind).noun} {held.fact.full_name}"
    return _allowed(privilege, securable_id, reason, via)


def _denied(privilege: Privilege, securable_id: str, name: str, missing: list[tuple[Privilege, Fact]], *, visible: bool) -> Decision:
    """No, and what is missing."""
    lacking = tuple(f"{each.words} on the {_place(fact)}" for each, fact in missing)
    reason = f"`{name}` lacks {' and '.join(lacking)}."
    first, fact = missing[0]
    statement = f"GRANT {first.words} ON {SecurableKind(fact.kind).noun.upper()} {fact.full_name} TO `{name}`"
    hint = f"Ask its owner or a metastore admin: {statement}" if visible else ""
    return Decision(
        allowed=False,
        reason=reason,
        privilege=privilege,
        securable_id=securable_id,
        visible=visible,
        missing=lacking,
        hint=hint,
    )


def _shown(decision: Decision) -> Decision:
    """The decision as the caller may see it: what is invisible does not exist, so nothing is missing on it either."""
    if decision.visible:
        return decision
    return replace(decision, reason=ABSENT, missing=(), hint="", unshown_reason=decision.reason)


def not_found(kind: SecurableKind | None, name: str, hint: str = "") -> SecurableNotFound:
    """The error for an object that does not exist for the caller."""
    error = NOT_FOUND_BY_KIND.get(kind.value, SecurableNotFound) if kind else SecurableNotFound
    noun = "table or view" if kind is SecurableKind.TABLE else kind.noun if kind else "object"
    return error(f"The {noun} `{name[:800]}` does not exist.", hint=hint)
