"""Limits and budgets: reserved before a request is sent, settled with what it really used.

A window of a limit (this minute, this month) is one row of the database, which decides for all servers.  Each server takes from it
what a request needs, and from large amounts a slice for the next ones too, so that most requests ask no database.  What a crash takes
along is at most the slice: less is used than was allowed, never more.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from insjo.access.types import Level, Privilege, SecurableKind
from insjo.gateway.errors import LimitInvalid, LimitNotFound, LimitReached
from insjo.gateway.store import LimitStore
from insjo.gateway.types import COST_UNITS, Demand, Limit, LimitUse, Task, TokenUsage
from insjo.kernel.errors import InvalidArgument
from insjo.kernel.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from insjo.access.service.facade import Access
    from insjo.access.types import Label
    from insjo.gateway.service.snapshot import EndpointView
    from insjo.gateway.types import LimitPeriod, LimitSpec
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.kernel.threads import Threads

LIMITS_MAX: Final = 1_000
WINDOWS_MAX: Final = 10_000
"""Windows in memory, and rows that a list shows."""

AMOUNT_MAX: Final = 1e12
SLICES: Final = 200
"""A server takes at most this part of an amount ahead of its requests; amounts below it are taken one request at a time."""

SETTLES_WITHIN_S: Final = 5.0
"""How long a request waits for others to give back what they reserved and did not use."""

LOOK_AGAIN_S: Final = 0.05
RETRY_AFTER_MAX_S: Final = 3600
"""Longest wait that a refusal names: until then an admin may have raised the limit, or other servers given something back."""

KEPT: Final = timedelta(days=62)
"""How long windows that ended are kept."""

CHARS_PER_TOKEN_LEAST: Final = 3
TOKENS_BESIDE: Final = 16
"""Tokens that a wire adds to the texts, for roles and separators."""

OUTPUT_TOKENS: Final = 4096
"""Reserved for an answer of which the request does not tell the length."""

CHOICES_MAX: Final = 128
TOKENS_MAX: Final = 10_000_000

_PERIOD_S: Final = {"minute": 60, "hour": 3600, "day": 86_400}
_NONE: Final[tuple[Limit, ...]] = ()

Key = tuple[str, str, int]
"""Id of the limit, id of the caller for a limit of each caller, beginning of the window in seconds since 1970."""


@dataclass(slots=True)
class _Known:
    """The limits under one count of changes; `rules` fills as callers come."""

    revision: int
    limits: tuple[Limit, ...]
    rules: dict[tuple[str, str], tuple[Limit, ...]] = field(default_factory=dict)


@dataclass(slots=True)
class Reservation:
    """What was set aside for one request; `settle` must be called once, whatever becomes of the request."""

    _settle: Callable[[list[tuple[Key, Limit, int]], int, int, float], None]
    held: list[tuple[Key, Limit, int]]
    warnings: tuple[str, ...] = ()

    def settle(self, *, sent: bool, tokens: TokenUsage, cost: float | None) -> None:
        """Give back what was not used; a request that was not sent gives back everything."""
        held, self.held = self.held, []
        used = tokens.input_tokens + tokens.output_tokens
        self._settle(held, 1 if sent else 0, used if sent else 0, (cost or 0.0) if sent else 0.0)


class Limits:
    """Makes limits, and holds requests to them."""

    def __init__(self, *, database: Database, clock: Clock, access: Access, threads: Threads) -> None:
        """Everything by keyword."""
        self._database = database
        self._store = LimitStore(database)
        self._clock = clock
        self._access = access
        self._threads = threads
        self._known = _Known(-1, ())
        self._lock = threading.Lock()
        self._slack: dict[Key, int] = {}
        self._asking: set[Key] = set()
        self._running: dict[Key, int] = {}

    def create(self, ctx: RequestContext, spec: LimitSpec) -> Limit:
        """Add a limit; metastore admins only.

        Raises:
            LimitInvalid: The amount, the subject or the level make no sense.
            PrincipalNotFound: Nobody has that name.
        """
        self._access.principals.require_admin(ctx, "set limits")
        limit = self._checked(ctx, spec)
        with self._database.write() as connection:
            self._access.bump(connection)
            self._store.insert(connection, limit)
            self._access.audit.record(ctx, "limit.create", outcome="changed", object=limit.id, reason=words(limit), connection=connection)
        return limit

    def delete(self, ctx: RequestContext, limit_id: str) -> None:
        """Remove a limit; metastore admins only."""
        self._access.principals.require_admin(ctx, "remove limits")
        with self._database.write() as connection:
            if not self._store.delete(connection, limit_id):
                raise LimitNotFound(f"There is no limit `{limit_id[:64]}`.", hint="`GET /api/insjo/v1/limits` lists them.")
            self._access.bump(connection)
            self._access.audit.record(ctx, "limit.delete", outcome="changed", object=limit_id, connection=connection)

    def uses(self, ctx: RequestContext) -> list[LimitUse]:
        """What is taken of each limit now: admins see all, others those that hold for themselves and for everybody."""
        now = self._clock.now()
        mine = {ctx.principal.id, *(group.id for group in self._access.principals.groups_of(ctx, ctx.principal.id, nested=True))}
        admin = self._access.principals.is_admin(ctx.principal.id)
        limits = [each for each in self._store.fetch_all(LIMITS_MAX) if admin or each.subject != "principal" or each.principal_id in mine]
        if not admin:
            limits = self._of_known_endpoints(ctx, limits)
        starts = sorted({int(window(each.period, now)[0].timestamp()) for each in limits})
        taken = self._store.fetch_taken(starts, WINDOWS_MAX) if starts else {}
        with self._lock:
            slack = dict(self._slack)
        found = []
        for limit in limits:
            begins, ends = window(limit.period, now)
            at_s = int(begins.timestamp())
            keys = [key for key in taken if key[0] == limit.id and key[2] == at_s] or [(limit.id, "", at_s)]
            if limit.subject == "each" and not admin:
                keys = [(limit.id, ctx.principal.id, at_s)]
            scale = COST_UNITS if limit.measure == "cost" else 1
            for key in keys:
                units = taken.get(key, 0) - slack.get(key, 0)
                found.append(LimitUse(limit, key[1], max(0, units) / scale, begins, ends))
        return found

    def _of_known_endpoints(self, ctx: RequestContext, limits: list[Limit]) -> list[Limit]:
        """Those that hold everywhere or at endpoints that the caller may know of."""
        found = {name: self._access.securables.find(SecurableKind.ENDPOINT, name) for name in {each.endpoint for each in limits} if name}
        there = {name: securable.id for name, securable in found.items() if securable is not None}
        decisions = self._access.authority.decide_many(ctx, [(Privilege.BROWSE, each) for each in there.values()])
        known = {name for name, decision in zip(there, decisions, strict=True) if decision.allowed}
        return [each for each in limits if not each.endpoint or each.endpoint in known]

    async def reserve(self, ctx: RequestContext, view: EndpointView, label: Label, demanded: Callable[[], Demand]) -> Reservation | None:
        """Set aside what a request may use; None when no limit holds for it.

        `demanded` is asked only when one does: most requests meet none, and each microsecond is felt.

        Raises:
            LimitReached: One of them is used up; nothing stays reserved then.
        """
        revision = self._access.revision()
        if self._known.revision != revision:
            self._known = await self._threads.run(self._load, revision)
        known = self._known
        if not known.limits:
            return None
        place = (ctx.principal.id, view.name)
        rules = known.rules.get(place)
        if rules is None:
            rules = known.rules[place] = await self._threads.run(self._rules, ctx, view.name, known.limits)
        if not rules:
            return None
        reservation, demand = Reservation(self._settle, []), demanded()
        try:
            for limit in rules:
                if label.level >= Level.parse(limit.level):
                    await self._hold(ctx, limit, units_of(limit, demand), reservation)
        except BaseException:
            reservation.settle(sent=False, tokens=TokenUsage(), cost=None)
            raise
        return reservation

    def close(self) -> None:
        """Give back what this server took ahead."""
        with self._lock:
            slack, self._slack = self._slack, {}
        for key, units in slack.items():
            if units:
                self._store.give_back(key, units)
        self._store.prune(int((self._clock.now() - KEPT).timestamp()))

    async def _hold(self, ctx: RequestContext, limit: Limit, units: tuple[int, int], reservation: Reservation) -> None:
        """Add what one limit gives to the reservation; raises when it gives too little and refuses."""
        least, most = units
        if not most:
            return
        now = self._clock.now()
        key = (limit.id, ctx.principal.id if limit.subject == "each" else "", int(window(limit.period, now)[0].timestamp()))
        given = await self._take(key, limit, least, most)
        deadline_s = self._clock.monotonic_s() + SETTLES_WITHIN_S
        waits = limit.action == "refuse" and limit.measure != "requests"
        while not given and waits and self._running.get(key) and self._clock.monotonic_s() < deadline_s:
            # Requests that still run hold more than most of them will use; what they give back is worth a moment's wait.
            await asyncio.sleep(LOOK_AGAIN_S)
            given = await self._take(key, limit, least, most)
        if not given and limit.action == "refuse":
            raise reached(limit, now, held=waits and bool(self._running.get(key)))
        if not given:
            reservation.warnings += (f"{words(limit)} is used up.",)
            given = await self._threads.run(self._store.take, key, most, most, None)
        reservation.held.append((key, limit, given))
        with self._lock:
            self._running[key] = self._running.get(key, 0) + 1

    async def _take(self, key: Key, limit: Limit, least: int, most: int) -> int:
        """Take units from what this server holds, then from the database; 0 when there is too little."""
        with self._lock:
            held = self._slack.get(key, 0)
            if held >= most:
                self._slack[key] = held - most
                return most
            self._slack.pop(key, None)
            first = key not in self._asking
            self._asking.add(key)
        # Only one request of a server takes a slice at a time.  What was used beyond a reservation is a debt, a negative `held`,
        # which is paid here.
        ahead = limit.units // SLICES if first else 0
        try:
            given = await self._threads.run(self._store.take, key, max(1, least - held), max(most, ahead) - held, limit.units)
        except BaseException:
            given = -1
            raise
        finally:
            with self._lock:
                if first:
                    self._asking.discard(key)
                there = held + max(0, given) + self._slack.pop(key, 0)
                mine = min(most, there) if there >= least and given >= 0 else 0
                if there != mine:
                    self._slack[key] = there - mine
        return mine

    def _settle(self, held: list[tuple[Key, Limit, int]], requests: int, tokens: int, cost: float) -> None:
        """Keep for the next request what this one did not use, and return to the database what is more than a slice."""
        surplus: list[tuple[Key, int]] = []
        with self._lock:
            for key, limit, units in held:
                used = requests if limit.measure == "requests" else tokens if limit.measure == "tokens" else round(cost * COST_UNITS)
                rest = self._slack.get(key, 0) + units - used
                kept = min(rest, limit.units // SLICES)
                self._slack[key] = kept
                running = self._running.pop(key, 1) - 1
                if running > 0:
                    self._running[key] = running
                if rest > kept:
                    surplus.append((key, rest - kept))
            if len(self._slack) > WINDOWS_MAX:
                self._forget_oldest()
        for key, units in surplus:
            self._threads.submit(self._store.give_back, key, units)

    def _forget_oldest(self) -> None:
        """Keep what is held of the newest windows: of most others the time is over, and what is lost of the rest was never used."""
        newest = sorted(self._slack.items(), key=lambda each: each[0][2])[-WINDOWS_MAX // 2 :]
        self._slack = dict(newest)

    def _load(self, revision: int) -> _Known:
        return _Known(revision, tuple(self._store.fetch_all(LIMITS_MAX)))

    def _rules(self, ctx: RequestContext, endpoint: str, limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
        """The limits that hold for a caller at an endpoint, those that refuse before those that warn."""
        mine = {ctx.principal.id}
        if any(each.subject == "principal" for each in limits):
            mine |= {group.id for group in self._access.principals.groups_of(ctx, ctx.principal.id, nested=True)}
        found = [each for each in limits if each.endpoint in {"", endpoint} and (each.subject != "principal" or each.principal_id in mine)]
        return tuple(sorted(found, key=lambda each: each.action == "warn")) or _NONE

    def _checked(self, ctx: RequestContext, spec: LimitSpec) -> Limit:
        scale = COST_UNITS if spec.measure == "cost" else 1
        units = round(spec.amount * scale) if 0 < spec.amount <= AMOUNT_MAX else 0
        if units < 1 or (scale == 1 and units != spec.amount):
            hint = "Requests and tokens are whole numbers from 1 on; cost has up to six decimals."
            raise LimitInvalid(f"{spec.amount:g} is no amount of {spec.measure}.", hint=hint)
        if bool(spec.principal) != (spec.subject == "principal"):
            hint = "Give `principal` with the subject `principal`, and with no other."
            raise LimitInvalid(f"The subject `{spec.subject}` does not fit the principal `{spec.principal[:100]}`.", hint=hint)
        try:
            level = Level.parse(spec.level)
        except InvalidArgument as error:
            raise LimitInvalid(error.message, hint=error.hint) from error
        if len(self._store.fetch_all(LIMITS_MAX)) >= LIMITS_MAX:
            raise LimitInvalid(
                f"There are {LIMITS_MAX} limits already.", hint="Remove some first; a limit of a group holds for its members."
            )
        who = self._access.principals.by_name(spec.principal) if spec.principal else None
        return Limit(
            new_id(),
            spec.subject,
            who.id if who else "",
            who.name if who else "",
            spec.endpoint.lower(),
            level.name.lower(),
            spec.measure,
            spec.period,
            units,
            spec.action,
            self._clock.now(),
            ctx.principal.name,
        )


def window(period: LimitPeriod, now: datetime) -> tuple[datetime, datetime]:
    """Beginning and end of the minute, hour, day or month (UTC) in which a moment lies."""
    if period == "month":
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return first, (first + timedelta(days=32)).replace(day=1)
    length_s = _PERIOD_S[period]
    begins_s = int(now.timestamp()) // length_s * length_s
    begins = datetime.fromtimestamp(begins_s, UTC)
    return begins, begins + timedelta(seconds=length_s)


def units_of(limit: Limit, demand: Demand) -> tuple[int, int]:
    """The least and the most that a request takes of a limit, in its units; nothing of a budget when no model behind it costs money."""
    if limit.measure == "requests":
        return 1, 1
    if limit.measure == "tokens":
        return max(1, demand.tokens_least), max(1, demand.tokens_most)
    if not demand.cost_most:
        return 0, 0
    return max(1, round(demand.cost_least * COST_UNITS)), max(1, round(demand.cost_most * COST_UNITS))


def demand_of(view: EndpointView, chars: int, fields: Mapping[str, object]) -> Demand:
    """What a request can use: a token has at least three characters or so, and the answer ends at `max_tokens` when that is given.

    Without it the answer may need more than is left; such a request takes what is left, and pays the difference when it is settled.
    """
    asked = next((fields[name] for name in ("max_completion_tokens", "max_tokens") if isinstance(fields.get(name), int)), None)
    choices = fields.get("n")
    times = choices if isinstance(choices, int) and 0 < choices <= CHOICES_MAX else 1
    given = chars // CHARS_PER_TOKEN_LEAST + TOKENS_BESIDE
    least_out = times * min(asked, TOKENS_MAX) if isinstance(asked, int) and asked > 0 else 0
    most_out = least_out or (times * OUTPUT_TOKENS if view.task is Task.CHAT else 0)
    prices = [served.profile.prices for served in (each.served for each in view.candidates) if served.kind.elsewhere]
    price_in = max((each.input_per_million or 0.0 for each in prices if each), default=0.0) / COST_UNITS
    price_out = max((each.output_per_million or 0.0 for each in prices if each), default=0.0) / COST_UNITS
    costs = (given * price_in + least_out * price_out, given * price_in + most_out * price_out)
    return Demand(given + least_out, given + most_out, *costs)


def words(limit: Limit) -> str:
    """A limit as one phrase."""
    whose = {"everybody": "all callers together", "each": "each caller", "principal": f"`{limit.principal}`"}[limit.subject]
    where = f" on `{limit.endpoint}`" if limit.endpoint else ""
    content = "" if limit.level == "public" else f" with {limit.level} content"
    amount = f"{limit.amount:,.6f}".rstrip("0").rstrip(".")
    return f"The limit of {amount} {limit.measure} a {limit.period} for {whose}{where}{content}"


def reached(limit: Limit, now: datetime, *, held: bool = False) -> LimitReached:
    """The refusal, which tells when it is worth to ask again; `held` when requests that still run hold what is left."""
    ends = window(limit.period, now)[1]
    wait_s = min(RETRY_AFTER_MAX_S, max(1, int((ends - now).total_seconds()) + 1))
    hint = f"It begins anew at {ends:%Y-%m-%d %H:%M} UTC; an admin can raise it."
    if held:
        hint, wait_s = "What is left is held by requests that still run: name `max_tokens`, and try again in a moment.", 2
    details = {"retry_after_s": wait_s, "limit_id": limit.id, "measure": limit.measure, "period": limit.period}
    return LimitReached(f"{words(limit)} is used up.", hint=hint, details=details)
