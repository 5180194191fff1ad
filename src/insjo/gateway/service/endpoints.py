"""Endpoints: make, change, list and remove them.  What they may receive is kept in `access` as clearances."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from insjo.access.errors import EndpointNotFound
from insjo.access.types import ALL, CREATE_PRIVILEGE, Clearance, Level, Privilege, SecurableKind
from insjo.gateway.errors import EndpointInvalid
from insjo.gateway.service.finders import check_guardrails
from insjo.gateway.service.providers import check_profile, check_routing
from insjo.gateway.store import EndpointRow, EndpointStore, LimitStore
from insjo.gateway.types import (
    Endpoint,
    EndpointSpec,
    EndpointState,
    Load,
    Policy,
    Prices,
    Profile,
    Routing,
    ServedKind,
    ServedModel,
    ServedModelSpec,
    Task,
    TimeLimits,
)
from insjo.kernel.context import SYSTEM, system_context
from insjo.kernel.errors import PermissionDenied, did_you_mean
from insjo.kernel.limits import NAME_CHARS_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import sqlalchemy as sa

    from insjo.access.service.facade import Access
    from insjo.access.types import Securable
    from insjo.gateway.ports import ChatProvider, EmbeddingProvider, ModelRuntime, Patterns
    from insjo.gateway.service.health import Health, Healths
    from insjo.gateway.service.vault import Vault
    from insjo.gateway.types import Guardrail, LocalModel
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database

SERVED_MAX: Final = 16
"""Served models behind one endpoint."""

ALL_PER_CENT: Final = 100
CHAT_DEFAULT: Final = "insjo-chat"
EMBED_DEFAULT: Final = "insjo-embed"
CACHE_S_MAX: Final = 7 * 24 * 3600
EVERYBODY: Final = "account users"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_KINDS: Final[Mapping[Task, frozenset[ServedKind]]] = {
    Task.CHAT: frozenset({ServedKind.LOCAL, ServedKind.OPENAI, ServedKind.AZURE, ServedKind.ANTHROPIC}),
    Task.EMBEDDINGS: frozenset({ServedKind.EMBEDDING, ServedKind.OPENAI, ServedKind.AZURE}),
}


def destination_of(endpoint: str, served: str) -> str:
    """Name of a served model among all destinations."""
    return f"served_model:{endpoint}/{served}"


class Endpoints:
    """Endpoints as securables."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        access: Access,
        vault: Vault,
        runtime: ModelRuntime | None,
        embedding_provider: EmbeddingProvider | None,
        chat_provider: ChatProvider,
        healths: Healths,
        patterns: Patterns | None = None,
    ) -> None:
        """Keep what the endpoints are made of."""
        self._patterns = patterns
        self._healths = healths
        self._database = database
        self._clock = clock
        self._access = access
        self._vault = vault
        self._runtime = runtime
        self._embedding_provider = embedding_provider
        self._chat_provider = chat_provider
        self._store = EndpointStore(database)

    # Reading

    def get(self, ctx: RequestContext, name: str) -> Endpoint:
        """One endpoint that the caller may see; raises NOT_FOUND otherwise."""
        securable = self._access.securables.resolve(ctx, SecurableKind.ENDPOINT, name.lower(), None)
        return self._endpoints([self._row(securable)])[0]

    def list(self, ctx: RequestContext) -> list[Endpoint]:
        """All endpoints that the caller may see, by name."""
        rows = self._store.fetch_all()
        decisions = self._access.authority.decide_many(ctx, [(Privilege.BROWSE, row.id) for row in rows])
        return list(self._endpoints([row for row, decision in zip(rows, decisions, strict=True) if decision.allowed]))

    def local_models(self, ctx: RequestContext) -> tuple[LocalModel, ...]:
        """Language models that could be served on this machine."""
        del ctx
        return self._runtime.models() if self._runtime else ()

    def local_embedding_models(self, ctx: RequestContext) -> tuple[LocalModel, ...]:
        """Embedding models that could be served on this machine."""
        del ctx
        return self._embedding_provider.models() if self._embedding_provider else ()

    # Changing

    def create(self, ctx: RequestContext, spec: EndpointSpec) -> Endpoint:
        """Make an endpoint; needs CREATE_ENDPOINT on the metastore, and a metastore admin for an address outside this machine.

        Raises:
            EndpointInvalid: The description is wrong.
            AlreadyExists: The name is taken.
            PermissionDenied: The caller lacks the right.
        """
        metastore = self._access.securables.metastore()
        self._access.authority.authorize(ctx, CREATE_PRIVILEGE[SecurableKind.ENDPOINT], metastore.id)
        name = spec.name.lower()
        self._check(ctx, replace(spec, name=name), before={})
        self._check_policy(ctx, name, spec.policy, Policy())
        now = self._clock.now()
        with self._database.write() as connection:
            securable = self._access.securables.register(ctx, SecurableKind.ENDPOINT, name, metastore.id, connection=connection)
            row = EndpointRow(
                id=securable.id,
                name=name,
                task=spec.task.value,
                comment=spec.comment,
                policy=_policy_row(spec),
                served=[_served_row(each) for each in spec.served],
                created_at=now,
                created_by=ctx.principal.name,
                updated_at=now,
                updated_by=ctx.principal.name,
            )
            self._store.insert(connection, row)
            for each in spec.served:
                self._put_key(connection, row.id, each)
                self._put_clearance(ctx, connection, name, each, before=None)
            self._audit(ctx, connection, "endpoint.create", row)
        return self.get(ctx, name)

    def update(self, ctx: RequestContext, name: str, spec: EndpointSpec) -> Endpoint:
        """Replace the description of an endpoint; needs MANAGE, and a metastore admin for a new address outside this machine.

        Start from `EndpointSpec.of(endpoint)`: what it does not change stays, keys and clearances too.  A served model whose address
        or kind changes loses both: they were given to the old one.
        """
        securable = self._access.securables.resolve(ctx, SecurableKind.ENDPOINT, name.lower(), Privilege.MANAGE)
        row = self._row(securable)
        before = {each["name"]: each for each in row.served}
        wanted = replace(spec, name=spec.name.lower())
        if (wanted.name, wanted.task.value) != (row.name, row.task):
            raise EndpointInvalid("Name and task of an endpoint stay as they are.", hint="Make a new endpoint.")
        self._check(ctx, wanted, before)
        self._check_policy(ctx, row.name, wanted.policy, policy_of(row))
        changed = replace(
            row,
            comment=wanted.comment,
            policy=_policy_row(wanted),
            served=[_served_row(each) for each in wanted.served],
            updated_at=self._clock.now(),
            updated_by=ctx.principal.name,
        )
        with self._database.write() as connection:
            self._store.update(connection, changed)
            for gone in before.keys() - {each.name for each in wanted.served}:
                self._drop(connection, row, gone)
            for each in wanted.served:
                earlier = before.get(each.name)
                if earlier is not None and _moved(earlier, each):
                    self._drop(connection, row, each.name)
                    earlier = None
                self._put_key(connection, row.id, each)
                self._put_clearance(ctx, connection, row.name, each, before=earlier)
            self._audit(ctx, connection, "endpoint.update", changed)
            self._access.bump(connection)
        return self.get(ctx, row.name)

    def delete(self, ctx: RequestContext, name: str) -> None:
        """Remove an endpoint with its keys, clearances and limits; needs MANAGE.  Usage rows stay."""
        securable = self._access.securables.resolve(ctx, SecurableKind.ENDPOINT, name.lower(), Privilege.MANAGE)
        row = self._row(securable)
        with self._database.write() as connection:
            for each in row.served:
                self._drop(connection, row, each["name"])
            LimitStore.delete_of(connection, row.name)
            self._store.delete(connection, row.id)
            self._access.securables.remove(ctx, row.id, connection=connection)
            self._audit(ctx, connection, "endpoint.delete", row)

    def create_defaults(self, ctx: RequestContext) -> None:
        """Make the endpoints over the packaged models, once; everybody may use them.  `ctx` is the system's."""
        runtime, embedding = self._runtime, self._embedding_provider
        chat = next((each for each in runtime.models() if each.packaged), None) if runtime else None
        embed = next((each for each in embedding.models() if each.packaged), None) if embedding else None
        for name, task, kind, model in (
            (CHAT_DEFAULT, Task.CHAT, ServedKind.LOCAL, chat),
            (EMBED_DEFAULT, Task.EMBEDDINGS, ServedKind.EMBEDDING, embed),
        ):
            if model is None or self._access.securables.find(SecurableKind.ENDPOINT, name) is not None:
                continue
            served = ServedModelSpec(name=_slug(model.name), kind=kind, model=model.name, profile=model.profile)
            endpoint = self.create(ctx, EndpointSpec(name=name, task=task, served=(served,), comment=model.description))
            self._access.grants.grant(ctx, endpoint.id, EVERYBODY, [Privilege.EXECUTE])

    # For the snapshot

    def fetch_rows(self) -> Sequence[EndpointRow]:
        """All rows, without asking for rights: the snapshot asks for them itself."""
        return self._store.fetch_all()

    def fetch_keys(self) -> dict[tuple[str, str], bytes]:
        """All sealed keys."""
        return self._store.fetch_keys()

    # Inside

    def _row(self, securable: Securable) -> EndpointRow:
        row = self._store.fetch(securable.id)
        if row is None:  # Removed between the two reads.
            raise EndpointNotFound(f"The endpoint `{securable.full_name}` does not exist.")
        return row

    def _check(self, ctx: RequestContext, spec: EndpointSpec, before: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse a wrong description, and an address or a clearance from somebody who is no admin."""
        if not _NAME.fullmatch(spec.name) or len(spec.name) > NAME_CHARS_MAX:
            raise EndpointInvalid(f"`{spec.name}` is no name for an endpoint.", hint="Use letters, digits, dots, dashes and underscores.")
        if not 1 <= len(spec.served) <= SERVED_MAX:
            raise EndpointInvalid(f"An endpoint has between 1 and {SERVED_MAX} served models, and this one has {len(spec.served)}.")
        if spec.policy.guardrails and spec.task is not Task.CHAT:
            raise EndpointInvalid("Guardrails are for endpoints for chat.")
        names = [each.name for each in spec.served]
        if len(set(names)) < len(names):
            raise EndpointInvalid("Two served models have the same name.")
        check_routing(spec)
        shares = [each.share for each in spec.served]
        if any(shares) and (min(shares) < 0 or sum(shares) != ALL_PER_CENT):
            hint = "Give each served model its share, 100 in all; or none of them, and the order decides."
            raise EndpointInvalid(f"The shares of the served models are {sum(shares)} per cent together.", hint=hint)
        admin = ctx.principal.id == SYSTEM.id or self._access.principals.is_admin(ctx.principal.id)
        known = {each["base_url"] for each in before.values()}
        for each in spec.served:
            self._check_served(spec.task, each)
            if each.kind.elsewhere and each.base_url not in known and not admin:
                raise PermissionDenied(f"Only metastore admins may write down an address outside this machine (`{each.base_url}`).")
            if each.clearance is not None and not admin:
                raise PermissionDenied("Only metastore admins may say what a served model may receive.")
        self._check_fallback(ctx, spec)

    def _check_served(self, task: Task, served: ServedModelSpec) -> None:
        if not _NAME.fullmatch(served.name) or len(served.name) > NAME_CHARS_MAX:
            raise EndpointInvalid(f"`{served.name}` is no name for a served model.", hint="Use letters, digits, dots and dashes.")
        if served.kind not in _KINDS[task]:
            raise EndpointInvalid(f"A served model of kind `{served.kind}` cannot stand behind an endpoint for {task}.")
        if not served.model:
            raise EndpointInvalid(f"The served model `{served.name}` does not say which model it is.")
        if served.kind.elsewhere:
            self._chat_provider.check_address(served.base_url)
            check_profile(served)
            if served.api_key is not None and not (served.api_key.isascii() and served.api_key.isprintable()):
                raise EndpointInvalid("The provider key holds characters that no key has.")
            return
        if served.base_url or served.api_key:
            raise EndpointInvalid(f"The served model `{served.name}` runs on this machine and takes neither base URL nor key.")
        source = self._runtime if served.kind is ServedKind.LOCAL else self._embedding_provider
        known = [each.name for each in source.models()] if source else []
        if served.model not in known:
            hint = did_you_mean(served.model, known) or f"This machine has: {', '.join(known) or 'none'}."
            raise EndpointInvalid(f"This machine has no model `{served.model}`.", hint=hint)

    def _check_fallback(self, ctx: RequestContext, spec: EndpointSpec) -> None:
        """A fallback must be an endpoint for the same task that whoever names it may use."""
        if spec.policy.on_conflict not in {"reroute", "block"}:
            raise EndpointInvalid(f"`{spec.policy.on_conflict}` is no policy.", hint="Use `reroute` or `block`.")
        if not spec.policy.fallback:
            return
        if spec.policy.fallback == spec.name:
            raise EndpointInvalid("An endpoint cannot be its own fallback.")
        securable = self._access.securables.resolve(ctx, SecurableKind.ENDPOINT, spec.policy.fallback, Privilege.EXECUTE)
        if self._row(securable).task != spec.task.value:
            raise EndpointInvalid(f"The fallback `{spec.policy.fallback}` is for another task.")

    def _check_judge(self, ctx: RequestContext, name: str, guardrail: Guardrail) -> None:
        """Who judges must be usable by whoever names it, and have no judge itself: two could ask each other for ever."""
        row = self._row(self._access.securables.resolve(ctx, SecurableKind.ENDPOINT, guardrail.endpoint, Privilege.EXECUTE))
        task = Task.EMBEDDINGS if guardrail.kind == "topic" else Task.CHAT
        if row.name == name or row.task != task.value or any(each.kind == "endpoint" for each in Policy.of(row.policy).guardrails):
            hint = f"Name an endpoint for {task} that has no judge itself."
            raise EndpointInvalid(f"`{guardrail.endpoint}` cannot judge for the guardrail `{guardrail.name}`.", hint=hint)
        judged = [each.name for each in self._store.fetch_all() if any(one.endpoint == name for one in Policy.of(each.policy).guardrails)]
        if judged and guardrail.kind == "endpoint":
            raise EndpointInvalid(f"`{name}` judges for another endpoint, and so has no judge itself.")

    def _check_policy(self, ctx: RequestContext, name: str, policy: Policy, before: Policy) -> None:
        """Callers who approve their own calls stand above a clearance, which only admins give."""
        if policy.ask not in {"", "user", "steward"}:
            raise EndpointInvalid(f"`{policy.ask}` is nobody who could be asked.", hint="Use `user`, `steward` or nothing.")
        if not 0 <= policy.cache_s <= CACHE_S_MAX:
            raise EndpointInvalid(f"Answers can be kept for 0 to {CACHE_S_MAX} seconds, not for {policy.cache_s}.")
        check_guardrails(policy.guardrails, self._patterns)
        for each in policy.guardrails:
            if each.endpoint:
                self._check_judge(ctx, name, each)
        admin = ctx.principal.id == SYSTEM.id or self._access.principals.is_admin(ctx.principal.id)
        if policy.ask == "user" and before.ask != "user" and not admin:
            raise PermissionDenied("Only metastore admins may let callers approve their own calls.", hint="Use `steward`.")

    def _put_key(self, connection: sa.Connection, endpoint_id: str, served: ServedModelSpec) -> None:
        if served.api_key:
            sealed = self._vault.seal(served.api_key, f"{endpoint_id}/{served.name}")
            self._store.put_key(connection, endpoint_id, served.name, sealed)
        elif served.api_key is not None:
            self._store.delete_key(connection, endpoint_id, served.name)

    def _put_clearance(
        self,
        ctx: RequestContext,
        connection: sa.Connection,
        endpoint: str,
        served: ServedModelSpec,
        before: Mapping[str, Any] | None,
    ) -> None:
        """The clearance that an admin gave; else a model on this machine starts as `secret`, and any other as public."""
        destination = destination_of(endpoint, served.name)
        clearances = self._access.clearances
        if served.clearance is not None:
            clearances.set(ctx, replace(served.clearance, destination=destination), connection=connection)
        elif before is None and not served.kind.elsewhere:
            here = Clearance(destination, level=Level.SECRET, categories=ALL, zone="local", keeps=False, trains=False)
            clearances.set(_system(ctx), here, connection=connection)
        elif before is None:
            clearances.remove(_system(ctx), destination, connection=connection)

    def _drop(self, connection: sa.Connection, row: EndpointRow, served_name: str) -> None:
        """Forget key and clearance, so that a later served model of this name does not inherit them."""
        self._store.delete_key(connection, row.id, served_name)
        self._access.clearances.remove(system_context(), destination_of(row.name, served_name), connection=connection)

    def _audit(self, ctx: RequestContext, connection: sa.Connection, action: str, row: EndpointRow) -> None:
        what = ", ".join(f"{each['name']}={each['kind']}:{each['base_url'] or each['model']}" for each in row.served)
        self._access.audit.record(ctx, action, outcome="changed", object=row.name, securable_id=row.id, reason=what, connection=connection)

    def _endpoints(self, rows: Sequence[EndpointRow]) -> Sequence[Endpoint]:
        """Rows with what other tables know of them."""
        keyed = self._store.fetch_keys().keys()
        owners = self._access.authority.owners([row.id for row in rows])
        found = []
        for row in rows:
            served = []
            for stored in row.served:
                destination = destination_of(row.name, stored["name"])
                clearance = self._access.clearances.get(destination)
                made = replace(served_of(stored), has_key=(row.id, stored["name"]) in keyed, clearance=clearance)
                state, reason = self._served_state(row.name, made)
                served.append(replace(made, state=state, state_reason=reason))
            found.append(self._endpoint(row, tuple(served), owners[row.id]))
        return found

    def _endpoint(self, row: EndpointRow, served: tuple[ServedModel, ...], owner: str) -> Endpoint:
        state, reason = self.state_of(served)
        return Endpoint(
            id=row.id,
            name=row.name,
            task=Task(row.task),
            served=served,
            policy=policy_of(row),
            routing=routing_of(row),
            comment=row.comment,
            owner=owner,
            created_at=row.created_at,
            created_by=row.created_by,
            updated_at=row.updated_at,
            updated_by=row.updated_by,
            state=state,
            state_reason=reason,
        )

    @staticmethod
    def state_of(served: Sequence[ServedModel]) -> tuple[EndpointState, str]:
        """READY when one of the served models is; else the state of the first."""
        states = [(each.state, each.state_reason) for each in served if not each.shadow]
        return next((each for each in states if each[0] is EndpointState.READY), states[0])

    def _served_state(self, endpoint: str, served: ServedModel) -> tuple[EndpointState, str]:
        if served.kind.elsewhere:
            return health_of(self._healths, endpoint, served).state()
        source = self._runtime if served.kind is ServedKind.LOCAL else self._embedding_provider
        if source is None:
            return EndpointState.FAILED, "Models on this machine are switched off (setting `local_models`)."
        found = source.state(served.model)
        return found.state, found.reason


def _system(ctx: RequestContext) -> RequestContext:
    """The request as Insjö's own, for what follows from a change that was authorised already."""
    return replace(ctx, principal=SYSTEM, on_behalf_of=ctx.principal)


def _moved(before: Mapping[str, Any], after: ServedModelSpec) -> bool:
    """Whether a served model is another destination than before, whatever its name."""
    return (before["kind"], before["base_url"]) != (after.kind.value, after.base_url)


def _slug(text: str) -> str:
    """A name made of a model's name."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._") or "model"


def _served_row(spec: ServedModelSpec) -> dict[str, Any]:
    """What is stored of a served model."""
    profile = asdict(spec.profile)
    return {
        "name": spec.name,
        "kind": spec.kind.value,
        "model": spec.model,
        "base_url": spec.base_url,
        "profile": profile,
        "share": spec.share,
        "load": asdict(spec.load),
        "shadow": spec.shadow,
    }


def _policy_row(spec: EndpointSpec) -> dict[str, Any]:
    """What is stored of policy and routing."""
    return {**asdict(spec.policy), "routing": asdict(spec.routing)}


def policy_of(row: EndpointRow) -> Policy:
    """Policy from what is stored."""
    return Policy.of(row.policy)


def routing_of(row: EndpointRow) -> Routing:
    """Routing from what is stored."""
    stored = row.policy.get("routing", {})
    limits = stored.get("limits")
    return Routing(**{**stored, "limits": TimeLimits(**limits) if limits else None})


def health_of(healths: Healths, endpoint: str, served: ServedModel) -> Health:
    """The health of a served model elsewhere; another address is another model."""
    return healths.of(endpoint, served.name, served.kind, served.base_url, served.model)


def served_of(stored: Mapping[str, Any]) -> ServedModel:
    """Served model from what is stored."""
    return ServedModel(
        name=stored["name"],
        kind=ServedKind(stored["kind"]),
        model=stored["model"],
        base_url=stored["base_url"],
        profile=_profile_of(stored["profile"]),
        share=stored.get("share", 0),
        load=Load(**stored.get("load", {})),
        shadow=stored.get("shadow", 0),
    )


def _profile_of(stored: Mapping[str, Any]) -> Profile:
    prices = stored.get("prices")
    leave_out = tuple(stored.get("leave_out", ()))
    return Profile(**{**stored, "prices": Prices(**prices) if prices else None, "leave_out": leave_out})
