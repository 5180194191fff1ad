"""Dry run: what a policy or other clearances would have done to the requests of the last days.  Nothing is sent and nothing changes.

Only what is recorded of a request decides: its label, its caller and its outcome.  Its content is kept nowhere, so that where leaving out
or replacing would be tried, the dry run tells that it would be tried, not whether enough would be left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from insjo.access.errors import AccessDenied, InvalidLabel
from insjo.access.service.flow import may_flow
from insjo.access.types import AuditFilter, Clearance, Label, Level, Privilege, SecurableKind
from insjo.gateway.errors import EndpointInvalid
from insjo.gateway.store import UsageStore
from insjo.kernel.paging import PageRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from insjo.access.service.facade import Access
    from insjo.gateway.service.endpoints import Endpoints
    from insjo.gateway.service.usage import Usage
    from insjo.gateway.types import Policy, ServedModel
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

DAYS_MAX: Final = 90
GROUPS_MAX: Final = 5_000
EXAMPLES_MAX: Final = 20
OPENED: Final = frozenset({"minimised", "redacted", "approved"})
"""Outcomes by which content that was above every clearance got through; the label that was recorded is of what was left."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: a policy in place of the endpoint's, and clearances in place of those of its served models (by name)."""

    policy: Policy
    clearances: Mapping[str, Clearance] = field(default_factory=dict)
    days: int = 30


class DryRunGroup(NamedTuple):
    """Requests of one caller and label that went one way and would go another."""

    principal: str
    label: str
    before: str
    after: str
    requests: int
    tokens: int


class DryRunExample(NamedTuple):
    """One request whose way would change; `sources` only for those who may read the audit."""

    at: datetime
    request_id: str
    principal: str
    label: str
    before: str
    after: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would have happened; `groups` are those that change, the most frequent first."""

    endpoint: str
    days: int
    requests: int
    changed: int
    totals: Mapping[str, int]
    groups: tuple[DryRunGroup, ...]
    examples: tuple[DryRunExample, ...]
    complete: bool


class DryRuns:
    """Tries policies on what was recorded."""

    def __init__(self, *, database: Database, clock: Clock, access: Access, endpoints: Endpoints, usage: Usage) -> None:
        """Everything by keyword."""
        self._store = UsageStore(database)
        self._clock = clock
        self._access = access
        self._endpoints = endpoints
        self._usage = usage

    def run(self, ctx: RequestContext, name: str, trial: Trial) -> DryRun:
        """Try a policy on the requests of an endpoint; needs MANAGE on it, and the right to use the fallback that it names.

        Raises:
            EndpointNotFound: The endpoint or the fallback does not exist for the caller.
            EndpointInvalid: A clearance names no served model of it, or the number of days is out of range.
        """
        securable = self._access.securables.resolve(ctx, SecurableKind.ENDPOINT, name.lower(), Privilege.MANAGE)
        if not 1 <= trial.days <= DAYS_MAX:
            raise EndpointInvalid(f"A dry run looks back between 1 and {DAYS_MAX} days.")
        endpoint = self._endpoints.get(ctx, securable.full_name)
        unknown = sorted(trial.clearances.keys() - {each.name for each in endpoint.served})
        if unknown:
            raise EndpointInvalid(f"`{endpoint.name}` has no served model `{unknown[0]}`.")
        others: Sequence[ServedModel] = ()
        if trial.policy.fallback:
            self._access.securables.resolve(ctx, SecurableKind.ENDPOINT, trial.policy.fallback.lower(), Privilege.EXECUTE)
            others = self._endpoints.get(ctx, trial.policy.fallback).served
        destinations = [trial.clearances.get(each.name) or _cleared(each) for each in endpoint.served] + [_cleared(each) for each in others]
        self._usage.flush()
        since = self._clock.now() - timedelta(days=trial.days)
        rows = self._store.fetch_decisions(securable.id, since, GROUPS_MAX)
        totals: dict[str, int] = {}
        changed: dict[tuple[str, str, str], str] = {}
        groups = []
        for principal, label, before, requests, tokens in rows:
            after = _after(label, before, trial.policy, destinations)
            totals[after] = totals.get(after, 0) + requests
            if after != before:
                changed[principal, label, before] = after
                groups.append(DryRunGroup(principal, label, before, after, requests, tokens))
        return DryRun(
            endpoint=endpoint.name,
            days=trial.days,
            requests=sum(totals.values()),
            changed=sum(each.requests for each in groups),
            totals=totals,
            groups=tuple(sorted(groups, key=lambda each: -each.requests)),
            examples=self._examples(ctx, securable.id, since, changed),
            complete=len(rows) < GROUPS_MAX,
        )

    def _examples(
        self, ctx: RequestContext, endpoint_id: str, since: datetime, changed: Mapping[tuple[str, str, str], str]
    ) -> tuple[DryRunExample, ...]:
        """The latest requests whose way would change."""
        if not changed:
            return ()
        found = []
        for row in self._store.fetch_latest(endpoint_id, since, list(changed)[:EXAMPLES_MAX], EXAMPLES_MAX):
            after = changed[row.principal, row.label, row.outcome]
            sources = self._sources(ctx, row.request_id)
            found.append(DryRunExample(row.at, row.request_id, row.principal, row.label, row.outcome, after, sources))
        return tuple(found)

    def _sources(self, ctx: RequestContext, request_id: str) -> tuple[str, ...]:
        """Where the content of a request came from, for those who may read the audit."""
        try:
            events = self._access.audit.search(ctx, AuditFilter(request_id=request_id), PageRequest(20)).items
        except AccessDenied:
            return ()
        return tuple(dict.fromkeys(origin for event in events for origin in event.origins))[:EXAMPLES_MAX]


def _cleared(served: ServedModel) -> Clearance:
    return served.clearance or Clearance("")


def _after(label: str, before: str, policy: Policy, destinations: Sequence[Clearance]) -> str:
    """What would be done with a request that went one way."""
    if before not in OPENED:
        try:
            found = label_of(label)
        except InvalidLabel:
            return "unknown"
        open_to = [may_flow(found, each).allowed for each in (destinations[:1] if policy.on_conflict == "block" else destinations)]
        if open_to[:1] == [True]:
            return before if before in {"failed_over", "cached"} else "direct"
        if any(open_to):
            return "rerouted"
    steps = [name for name, allowed in (("minimised", policy.minimise), ("redacted", policy.redact)) if allowed]
    if before in steps:
        return before
    if steps:
        return steps[0]
    if policy.ask:
        return "approved" if before == "approved" else "asked"
    return "blocked"


def label_of(text: str) -> Label:
    """The label that `Label.text` wrote.

    Raises:
        InvalidLabel: It is none.
    """
    level, *words = text.split(" · ")
    zone = words.pop() if words and words[-1] in {"local", "eu"} else "any"
    if level.upper() not in Level.__members__:
        message = f"`{text[:100]}` is no label."
        raise InvalidLabel(message)
    return Label(Level[level.upper()], frozenset(words), frozenset({zone}))
