"""Changes that the assistant offers: kept until they are confirmed, once, within ten minutes, by whoever they were offered to.

What a confirmation does is done by the services with the rights that the person then has; an offer grants nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from insjo.access.types import CREATE_PRIVILEGE, METASTORE_ID, PARENT_KIND, Privilege, SecurableKind
from insjo.agents import store
from insjo.agents.action_wording import describe, done_text, label_text
from insjo.agents.errors import ActionNotFound
from insjo.agents.types import Action, Done
from insjo.agents.wording import say
from insjo.catalog.types import TableName
from insjo.kernel.errors import InsjoError, NotFound
from insjo.kernel.ids import new_secret

if TYPE_CHECKING:
    from insjo.access.service.facade import Access
    from insjo.agents.pages import Language
    from insjo.agents.requests import ChangeRequest
    from insjo.agents.service.agents import Agents
    from insjo.catalog.service.room import CatalogRoom
    from insjo.gateway.service.room import GatewayRoom
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.retrieval.service.room import RetrievalRoom

VALID_FOR: Final = timedelta(minutes=10)
WAITING_MAX: Final = 50
"""Offers of one person that wait at once; older ones are forgotten."""

_GATED: Final = frozenset({SecurableKind.TABLE, SecurableKind.VOLUME, SecurableKind.INDEX, SecurableKind.AGENT})


@dataclass(frozen=True, slots=True)
class Offer:
    """What the assistant says to a request: an action to confirm, or why there is none."""

    text: str
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A change with all that it needs; JSON types only, since it is kept."""

    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)


class Actions:
    """Offers changes and carries them out."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        access: Access,
        catalog: CatalogRoom,
        gateway: GatewayRoom,
        retrieval: RetrievalRoom,
        agents: Agents,
    ) -> None:
        self._database = database
        self._clock = clock
        self._access = access
        self._catalog = catalog
        self._gateway = gateway
        self._retrieval = retrieval
        self._agents = agents

    def offer(self, ctx: RequestContext, request: ChangeRequest, language: Language) -> Offer | None:
        """An action for the request, if the caller may do it now; None when the words named nothing that exists."""
        if request.missing:
            return Offer(say("missing_part", language, what=label_text("full_name", language)))
        try:
            prepared = self._prepare(ctx, request)
        except NotFound as error:
            return None if "." not in request.name and request.securable is SecurableKind.CATALOG else Offer(str(error))
        except InsjoError as error:
            return Offer(say("not_allowed", language, reason=str(error)))
        described = describe(prepared.kind, prepared.arguments, language)
        action = Action("confirm", label_text(prepared.kind, language), id=new_secret("action_", 16), describes=described)
        now = self._clock.now()
        row = {
            "id": action.id,
            "owner_id": ctx.principal.id,
            "kind": prepared.kind,
            "arguments": prepared.arguments,
            "describes": described,
            "language": language,
            "expires_at": now + VALID_FOR,
        }
        with self._database.write() as connection:
            store.delete_expired_actions(connection, now)
            store.insert_actions(connection, [row])
            store.delete_oldest_actions(connection, ctx.principal.id, WAITING_MAX)
        return Offer(say("confirm_first", language) + "\n\n" + described, action)

    def confirm(self, ctx: RequestContext, action_id: str) -> Done:
        """Carry out an offered change, once.

        Raises:
            ActionNotFound: It was confirmed before, expired, or was offered to somebody else.
            InsjoError: Whatever the change itself raises; the offer is used up all the same.
        """
        with self._database.write() as connection:
            row = store.take_action(connection, action_id, ctx.principal.id, self._clock.now())
        if row is None:
            raise ActionNotFound(
                "There is no such action to confirm.", hint="It was confirmed already, or it is older than ten minutes: ask again."
            )
        language: Language = "sv" if row["language"] == "sv" else "en"
        asking = ctx.through("assistant")
        try:
            done = self._carry_out(asking, row["kind"], row["arguments"], language)
        except InsjoError as error:
            self._access.audit.record(
                asking, "assistant.confirm", outcome="failed", object=row["kind"], reason=f"{error.code}: {row['describes']}"
            )
            raise
        self._access.audit.record(asking, "assistant.confirm", outcome="changed", object=row["kind"], reason=row["describes"])
        return done

    # -------------------------------------------------------------------------------------------------------------- preparing

    def _prepare(self, ctx: RequestContext, request: ChangeRequest) -> _Prepared:
        """The change in full; raises what stands against it now."""
        if request.kind == "token.create":
            return _Prepared("token.create", {"comment": request.name, "days": request.days, "user": ctx.principal.name})
        kind = request.securable
        if kind is None:
            raise NotFound("Nothing was named.")
        if request.kind == "create":
            parent_kind, parent = PARENT_KIND[kind], request.name.rpartition(".")[0]
            if parent_kind is SecurableKind.METASTORE:
                self._access.authority.authorize(ctx, CREATE_PRIVILEGE[kind], METASTORE_ID)
            else:
                self._access.securables.resolve(ctx, parent_kind, parent, CREATE_PRIVILEGE[kind])
            return _Prepared(f"create.{kind.value.lower()}", {"name": request.name})
        securable = self._access.securables.resolve(ctx, kind, request.name, Privilege.MANAGE)
        if request.kind == "drop":
            return _Prepared(f"drop.{kind.value.lower()}", {"name": securable.full_name, **self._facts(ctx, kind, securable.full_name)})
        principal = self._access.principals.by_name(request.who)
        privilege = request.privilege or Privilege.SELECT
        grants = [[securable.id, kind.value, securable.full_name, privilege.value]]
        if request.kind == "grant" and kind in _GATED:
            grants = [*self._gates(ctx, principal.name, securable.full_name), *grants]
        return _Prepared(request.kind, {"who": principal.name, "who_kind": principal.kind, "grants": grants})

    def _gates(self, ctx: RequestContext, who: str, full_name: str) -> list[list[str]]:
        """USE CATALOG and USE SCHEMA as far as the principal lacks them and the caller may grant them."""
        catalog, schema, _ = full_name.split(".")
        missing = []
        for kind, name, privilege in (
            (SecurableKind.CATALOG, catalog, Privilege.USE_CATALOG),
            (SecurableKind.SCHEMA, f"{catalog}.{schema}", Privilege.USE_SCHEMA),
        ):
            found = self._access.securables.find(kind, name)
            if found is None or not self._access.authority.decide(ctx, Privilege.MANAGE, found.id).allowed:
                continue
            if not self._access.authority.explain(ctx, who, privilege, kind, name).allowed:
                missing.append([found.id, kind.value, name, privilege.value])
        return missing

    def _facts(self, ctx: RequestContext, kind: SecurableKind, name: str) -> dict[str, Any]:
        """What is lost when something is dropped."""
        if kind is not SecurableKind.TABLE:
            return {}
        table = self._catalog.tables.get(ctx, name)
        counted = table.has_files and not self._catalog.tables.hides_rows(ctx, table)
        rows = self._catalog.tables.snapshot(table.id).rows if counted else None
        return {"view": table.is_view, "owner": table.owner, "rows": rows, "columns": len(table.columns)}

    # ------------------------------------------------------------------------------------------------------------ carrying out

    def _carry_out(self, ctx: RequestContext, kind: str, arguments: dict[str, Any], language: Language) -> Done:
        """Do it through the service that decides about it."""
        if kind == "token.create":
            days = arguments["days"]
            made = self._access.tokens.create(ctx, comment=arguments["comment"], lifetime_s=days * 86_400 if days else None)
            return Done(done_text(kind, arguments, language), "/settings/tokens", made.value)
        if kind in {"grant", "revoke"}:
            change = self._access.grants.grant if kind == "grant" else self._access.grants.revoke
            for securable_id, _, _, privilege in arguments["grants"]:
                change(ctx, securable_id, arguments["who"], (Privilege(privilege),))
            return Done(done_text(kind, arguments, language), _page_of(*arguments["grants"][-1][1:3]))
        verb, _, noun = kind.partition(".")
        name = arguments["name"]
        if verb == "create":
            self._create(ctx, noun, name)
            return Done(done_text(kind, arguments, language), _page_of(noun.upper(), name))
        self._drop(ctx, noun, name)
        return Done(done_text(kind, arguments, language), "/catalog")

    def _create(self, ctx: RequestContext, noun: str, name: str) -> None:
        """A new catalog, schema or volume."""
        if noun == "catalog":
            self._catalog.catalogs.create(ctx, name)
        elif noun == "schema":
            self._catalog.schemas.create(ctx, name)
        else:
            self._catalog.volumes.create(ctx, name)

    def _drop(self, ctx: RequestContext, noun: str, name: str) -> None:
        """Delete something; a catalog or schema only when it is empty."""
        if noun == "table":
            self._catalog.tables.drop(ctx, TableName.parse(name), keep=True)
        elif noun == "catalog":
            self._catalog.catalogs.delete(ctx, name)
        elif noun == "schema":
            self._catalog.schemas.delete(ctx, name)
        elif noun == "volume":
            self._catalog.volumes.delete(ctx, name)
        elif noun == "index":
            self._retrieval.indexes.delete(ctx, name)
        elif noun == "agent":
            self._agents.delete(ctx, name)
        else:
            self._gateway.endpoints.delete(ctx, name)


def _page_of(kind: str, name: str) -> str:
    """Address of an object's page."""
    if kind in {"CATALOG", "SCHEMA", "TABLE", "VOLUME"}:
        return "/catalog/" + "/".join(name.split("."))
    return {"INDEX": f"/knowledge/{name}", "AGENT": f"/apps/{name}", "ENDPOINT": f"/endpoints/{name}"}.get(kind, "/catalog")
