"""What the gateway must know to decide, held in the process, so that a request reads no database.

A snapshot is never changed.  When the count of changes in `access` rises a new one takes its place, and with it all that was decided
under the old one is forgotten.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from insjo.access.errors import EndpointNotFound
from insjo.access.types import Clearance, Privilege
from insjo.gateway.errors import AccessEnded, KeyUnreadable, WrongTask
from insjo.gateway.service.endpoints import destination_of, health_of, policy_of, routing_of, served_of
from insjo.gateway.service.providers import upstream_of
from insjo.gateway.store import DatabaseAway
from insjo.gateway.types import Routing, Task
from insjo.kernel.errors import InsjoError, PermissionDenied, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.access.service.facade import Access
    from insjo.access.types import Decision, Label
    from insjo.gateway.service.endpoints import Endpoints
    from insjo.gateway.service.health import Health, Healths
    from insjo.gateway.service.vault import Vault
    from insjo.gateway.store import EndpointRow
    from insjo.gateway.types import Policy, Route, ServedModel, TimeLimits, Upstream
    from insjo.kernel.context import RequestContext
    from insjo.kernel.threads import Threads

RIGHTS_MAX: Final = 100_000
"""Decisions that are remembered; all are forgotten when there are more."""

_log = logging.getLogger(__name__)

POLL_S: Final = 1.0
"""How often the count of changes in the database is looked at, for what other processes changed."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One served model that may answer.

    Attributes:
        endpoint: Name of the endpoint to which it belongs.
        upstream: Where it is, for a model elsewhere; models on this machine are asked for theirs.
        unusable: Why it cannot be used at all, or None.
        health: How it fares, for one elsewhere.
        limits: How long each stage of a call may take; None means the default.
    """

    endpoint: str
    served: ServedModel
    clearance: Clearance
    upstream: Upstream | None = None
    unusable: InsjoError | None = None
    health: Health | None = field(default=None, compare=False)
    limits: TimeLimits | None = None

    def fares_well(self) -> None:
        """An answer of it came, whole."""
        if self.health is not None and self.health.troubled:
            self.health.succeeded()


@dataclass(frozen=True, slots=True)
class Plan:
    """What an endpoint does with content of one label.

    Attributes:
        cleared: The served models that may receive it, in order.
        refused: The first one that may not, with the reason, if it stands before one that may.
        route: The way to the first of `cleared`, when it answers.
        label_text: The label in words.
        shares: Per cent of the requests for each of `cleared`, or nothing when the order decides.
    """

    cleared: tuple[Candidate, ...]
    refused: tuple[Candidate, str] | None
    route: Route | None
    label_text: str
    shares: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint as requests see it: its own served models in order, then those of its fallback.

    `plans` fills as content of new labels comes; it lives no longer than the clearances from which it is made.  `shadows` get copies.
    """

    id: str
    name: str
    task: Task
    policy: Policy
    candidates: tuple[Candidate, ...]
    created_s: int
    revision: int
    routing: Routing = field(default_factory=Routing)
    shadows: tuple[Candidate, ...] = ()
    plans: dict[Label, Plan] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything under one count of changes; `rights` fills as callers come."""

    revision: int
    views: dict[str, EndpointView]
    rights: dict[tuple[str, str], Decision] = field(default_factory=dict)


class Snapshots:
    """The snapshot that holds now."""

    def __init__(self, *, access: Access, endpoints: Endpoints, vault: Vault, threads: Threads, healths: Healths) -> None:
        """Begin with none; the first request makes one."""
        self._healths = healths
        self._access = access
        self._endpoints = endpoints
        self._vault = vault
        self._threads = threads
        self._held = Snapshot(-1, {})
        self._polled_s = 0.0
        self._polling: asyncio.Task[None] | None = None
        self._building: tuple[int, asyncio.Task[Snapshot]] | None = None

    @property
    def revision(self) -> int:
        """Count of changes now: an answer that runs compares it before each piece."""
        self._poll()
        return self._access.revision()

    async def current(self) -> Snapshot:
        """The snapshot of now."""
        held = self._held
        revision = self.revision
        if held.revision == revision:
            return held
        building = self._building
        if building is None or building[0] != revision or building[1].done():
            # One build for all requests that wait; it reads the rows after this look at the count.
            building = self._building = (revision, asyncio.get_running_loop().create_task(self._threads.run(self._build, revision)))
        built = await asyncio.shield(building[1])
        if built.revision >= self._held.revision:
            self._held = built
        return built

    async def admit(self, ctx: RequestContext, name: str, task: Task) -> EndpointView:
        """The endpoint, if the caller may use it for this task.

        Raises:
            EndpointNotFound: It does not exist for this caller.
            PermissionDenied: The caller sees it and may not use it.
            WrongTask: It is for another task.
        """
        snapshot = await self.current()
        view = snapshot.views.get(name) or snapshot.views.get(name.lower())
        if view is None:
            raise await self.missing(ctx, name)
        decision = snapshot.rights.get((ctx.principal.id, view.id))
        if decision is None:
            (decision,) = await self._decide(ctx, snapshot, [view])
        if not decision.allowed:
            if not decision.visible:
                raise await self.missing(ctx, name)
            # The real authorisation writes the refusal into the audit and words the error.
            await self._threads.run(self._access.authority.authorize, ctx, Privilege.EXECUTE, view.id)
            raise PermissionDenied(decision.reason)  # Granted in this very moment: the next request will pass.
        if view.task is not task:
            raise WrongTask(
                f"The endpoint `{view.name}` is for {view.task}, not for {task}.", hint="`GET /v1/models` lists what you may use."
            )
        return view

    async def usable(self, ctx: RequestContext) -> list[EndpointView]:
        """All endpoints that the caller may use, by name."""
        snapshot = await self.current()
        decisions = {view.name: snapshot.rights.get((ctx.principal.id, view.id)) for view in snapshot.views.values()}
        missing = [snapshot.views[name] for name, decision in decisions.items() if decision is None]
        if missing:
            asked = await self._decide(ctx, snapshot, missing)
            decisions.update({view.name: decision for view, decision in zip(missing, asked, strict=True)})
        return [snapshot.views[name] for name, decision in sorted(decisions.items()) if decision is not None and decision.allowed]

    async def find(self, ctx: RequestContext, name: str) -> EndpointView | None:
        """One endpoint, if the caller may use it."""
        return next((view for view in await self.usable(ctx) if view.name == name.lower()), None)

    async def missing(self, ctx: RequestContext, name: str) -> EndpointNotFound:
        """The error for an endpoint that does not exist for the caller, with a hint among those that do."""
        usable = [view.name for view in await self.usable(ctx)]
        if not name:
            return EndpointNotFound("The request does not name a model.", hint=f"You may use: {', '.join(usable[:10]) or 'none'}.")
        hint = did_you_mean(name, usable) or "`GET /v1/models` lists what you may use."
        return EndpointNotFound(f"The model `{name[:100]}` does not exist, or you have no access to it.", hint=hint)

    async def still(self, ctx: RequestContext, view: EndpointView, candidate: Candidate) -> Candidate:
        """The served model as it is now, for an answer that runs while something changed.

        Raises:
            AccessEnded: The caller may no longer use the endpoint, or the served model is gone.
        """
        try:
            now = await self.admit(ctx, view.name, view.task)
        except (EndpointNotFound, PermissionDenied, WrongTask) as error:
            raise AccessEnded(f"The right to use `{view.name}` was withdrawn while the answer was running.") from error
        place = (candidate.endpoint, candidate.served.name)
        for each in (*now.candidates, *now.shadows):
            if (each.endpoint, each.served.name) == place:
                return each
        raise AccessEnded(f"The served model `{candidate.served.name}` was removed while the answer was running.")

    def close(self) -> None:
        """Stop looking for changes of other processes."""
        if self._polling is not None:
            self._polling.cancel()

    async def _decide(self, ctx: RequestContext, snapshot: Snapshot, views: Sequence[EndpointView]) -> list[Decision]:
        """Ask for rights in one query and remember the answers."""
        wanted = [(Privilege.EXECUTE, view.id) for view in views]
        decisions = await self._threads.run(self._access.authority.decide_many, ctx, wanted)
        if self._access.revision() == snapshot.revision:
            if len(snapshot.rights) > RIGHTS_MAX:
                snapshot.rights.clear()
            for view, decision in zip(views, decisions, strict=True):
                snapshot.rights[ctx.principal.id, view.id] = decision
        return decisions

    def _poll(self) -> None:
        """Once a second, look in a thread whether another process changed something."""
        now_s = time.monotonic()
        if now_s - self._polled_s < POLL_S or (self._polling is not None and not self._polling.done()):
            return
        self._polled_s = now_s
        self._polling = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        try:
            await self._threads.run(self._access.refresh_revision)
        except DatabaseAway:
            _log.warning("the metadata database cannot be asked for changes of other processes", exc_info=True)

    def _build(self, revision: int) -> Snapshot:
        """Read everything; runs in a thread.  What `access` keeps in memory is read again here too, so that no request waits for it."""
        self._access.fingerprints.refresh()
        self._access.clearances.get("")
        rows = self._endpoints.fetch_rows()
        sealed = self._endpoints.fetch_keys()
        clearances = {each.destination: each for each in self._access.clearances.fetch_all()}
        own = {row.name: self._candidates(row, sealed, clearances) for row in rows}
        tasks = {row.name: row.task for row in rows}
        views = {}
        for row in rows:
            policy = policy_of(row)
            fallback = own.get(policy.fallback, ()) if tasks.get(policy.fallback) == row.task else ()
            views[row.name] = EndpointView(
                id=row.id,
                name=row.name,
                task=Task(row.task),
                policy=policy,
                candidates=tuple(each for each in own[row.name] + fallback if not each.served.shadow),
                shadows=tuple(each for each in own[row.name] if each.served.shadow),
                routing=routing_of(row),
                created_s=int(row.created_at.timestamp()),
                revision=revision,
            )
        return Snapshot(revision, views)

    def _candidates(
        self, row: EndpointRow, sealed: dict[tuple[str, str], bytes], clearances: dict[str, Clearance]
    ) -> tuple[Candidate, ...]:
        found = []
        limits = routing_of(row).limits
        for stored in row.served:
            served = served_of(stored)
            destination = destination_of(row.name, served.name)
            clearance = clearances.get(destination) or Clearance(destination)
            upstream, unusable, health = None, None, None
            if served.kind.elsewhere:
                health = health_of(self._healths, row.name, served)
                health.gate.places, health.gate.waiting_max = served.load.places, served.load.waiting
                secret = sealed.get((row.id, served.name))
                try:
                    key = self._vault.open(secret, f"{row.id}/{served.name}") if secret else ""
                    upstream = upstream_of(served, key)
                except KeyUnreadable as error:
                    unusable = error
            found.append(Candidate(row.name, served, clearance, upstream, unusable, health, limits))
        return tuple(found)
