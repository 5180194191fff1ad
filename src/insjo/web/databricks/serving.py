"""Doors: serving endpoints, as the Databricks clients see the gateway's endpoints (clients.md 1f, 1l).

An entity of a serving endpoint is a served model: `external_model` a provider elsewhere, `entity_name` a model of this machine.
Limits of calls and tokens are the gateway's limits; content is routed by labels and clearances, which this wire does not know.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import JSONResponse, Response

from insjo.gateway.errors import EndpointInvalid, NotBuilt
from insjo.gateway.types import EndpointSpec, EndpointState, LimitSpec, Policy, Profile, ServedKind, ServedModelSpec, Task
from insjo.kernel.clock import epoch_ms
from insjo.kernel.errors import InsjoError
from insjo.web.databricks.guardrails import GatewayGuardrails, guardrails_body, over, put_guardrails
from insjo.web.types import Call, DoorRoute

if TYPE_CHECKING:
    from insjo.gateway.types import Endpoint, Limit, ServedModel

BASE: Final = "/api/2.0/serving-endpoints"
OPENAI_URL: Final = "https://api.openai.com/v1"
ANTHROPIC_URL: Final = "https://api.anthropic.com/v1"
LOCAL_PREFIX: Final = "system.ai."
WHOLE: Final = 100

_TASKS: Final = {"llm/v1/chat": Task.CHAT, "llm/v1/embeddings": Task.EMBEDDINGS}
_WIRE_TASKS: Final = {task: name for name, task in _TASKS.items()}
_SECRET: Final = re.compile(r"\{\{\s*secrets/([^/{}]+)/([^/{}]+)\s*\}\}")


class _Auth(msgspec.Struct):
    token: str = ""
    token_plaintext: str = ""


class _OpenAIConfig(msgspec.Struct):
    openai_api_base: str = ""
    openai_api_key: str = ""
    openai_api_key_plaintext: str = ""
    openai_api_type: str = "openai"
    openai_api_version: str = ""
    openai_deployment_name: str = ""


class _AnthropicConfig(msgspec.Struct):
    anthropic_api_key: str = ""
    anthropic_api_key_plaintext: str = ""


class _CustomConfig(msgspec.Struct):
    custom_provider_url: str = ""
    bearer_token_auth: _Auth | None = None
    api_key_auth: dict[str, Any] | None = None


class _External(msgspec.Struct):
    provider: str
    name: str
    task: str
    openai_config: _OpenAIConfig | None = None
    anthropic_config: _AnthropicConfig | None = None
    custom_provider_config: _CustomConfig | None = None


class _Entity(msgspec.Struct):
    name: str = ""
    entity_name: str = ""
    external_model: _External | None = None


class _Share(msgspec.Struct):
    traffic_percentage: int
    served_model_name: str = ""
    served_entity_name: str = ""


class _Traffic(msgspec.Struct):
    routes: list[_Share] = []


class _Config(msgspec.Struct):
    served_entities: list[_Entity] = []
    served_models: list[_Entity] = []
    traffic_config: _Traffic | None = None


class _RateLimit(msgspec.Struct):
    renewal_period: str
    calls: int | None = None
    tokens: int | None = None
    key: str = "endpoint"
    principal: str = ""


class _Switch(msgspec.Struct):
    enabled: bool = False


class _Gateway(msgspec.Struct):
    rate_limits: list[_RateLimit] = []
    guardrails: GatewayGuardrails | None = None
    inference_table_config: _Switch | None = None
    usage_tracking_config: _Switch | None = None
    fallback_config: _Switch | None = None


class _Create(msgspec.Struct):
    name: str
    config: _Config
    ai_gateway: _Gateway | None = None
    description: str = ""


class _RateLimits(msgspec.Struct):
    rate_limits: list[_RateLimit] = []


async def list_endpoints(call: Call) -> Response:
    """Endpoints that the caller may see."""
    found = await call.run(call.services.gateway.endpoints.list, call.ctx)
    return JSONResponse({"endpoints": [endpoint_body(each) for each in found]})


async def get_endpoint(call: Call) -> Response:
    """One endpoint."""
    return await _shown(call, await call.run(call.services.gateway.endpoints.get, call.ctx, call.path("name")))


async def create_endpoint(call: Call) -> Response:
    """A new endpoint."""
    body = await call.json(_Create)
    limits = _limits_of(body.name, body.ai_gateway) if body.ai_gateway else []
    served, task = await _served_of(call, body.config)
    policy = over(Policy(), body.ai_gateway.guardrails if body.ai_gateway else None)
    spec = EndpointSpec(body.name, task, served, policy, comment=body.description)
    if limits:
        await call.run(call.services.access.principals.require_admin, call.ctx, "set limits")
    endpoints = call.services.gateway.endpoints
    made = await call.run(endpoints.create, call.ctx, spec)
    try:
        for limit in limits:
            await call.run(call.services.gateway.limits.create, call.ctx, limit)
    except InsjoError:
        await call.run(endpoints.delete, call.ctx, made.name)
        raise
    return await _shown(call, made)


async def update_config(call: Call) -> Response:
    """Put other served models behind an endpoint; keys of those that stay are kept."""
    body = await call.json(_Config)
    endpoints = call.services.gateway.endpoints
    before = await call.run(endpoints.get, call.ctx, call.path("name"))
    served, task = await _served_of(call, body, before.served)
    if task is not before.task:
        raise EndpointInvalid(f"`{before.name}` is for {before.task}, and the served models are for {task}.", hint="Make a new endpoint.")
    spec = replace(EndpointSpec.of(before), served=served)
    return await _shown(call, await call.run(endpoints.update, call.ctx, before.name, spec))


async def delete_endpoint(call: Call) -> Response:
    """Remove an endpoint; its limits go with it."""
    name = call.path("name").lower()
    await call.run(call.services.gateway.endpoints.delete, call.ctx, name)
    return JSONResponse({})


async def put_gateway(call: Call) -> Response:
    """Replace the limits and the guardrails of an endpoint; usage is always tracked."""
    body = await call.json(_Gateway)
    kept = await _replace_limits(call, body)
    told = {"usage_tracking_config": {"enabled": True}, "rate_limits": kept, "fallback_config": {"enabled": True}}
    return JSONResponse({**told, "guardrails": await put_guardrails(call, call.path("name"), body.guardrails)})


async def put_rate_limits(call: Call) -> Response:
    """Replace the limits of an endpoint (the older form)."""
    body = await call.json(_RateLimits)
    return JSONResponse({"rate_limits": await _replace_limits(call, _Gateway(rate_limits=body.rate_limits))})


async def _replace_limits(call: Call, body: _Gateway) -> list[dict[str, object]]:
    services = call.services
    endpoint = await call.run(services.gateway.endpoints.get, call.ctx, call.path("name"))
    wanted = _limits_of(endpoint.name, body)
    await call.run(services.access.principals.require_admin, call.ctx, "set limits")
    uses = await call.run(services.gateway.limits.uses, call.ctx)
    for limit_id in {use.limit.id for use in uses if use.limit.endpoint == endpoint.name and _on_wire(use.limit)}:
        await call.run(services.gateway.limits.delete, call.ctx, limit_id)
    made = [await call.run(services.gateway.limits.create, call.ctx, each) for each in wanted]
    return [_limit_body(each) for each in made]


async def _shown(call: Call, endpoint: Endpoint) -> Response:
    """The endpoint with the limits that the caller may know of."""
    uses = await call.run(call.services.gateway.limits.uses, call.ctx)
    limits = {use.limit.id: use.limit for use in uses if use.limit.endpoint == endpoint.name and _on_wire(use.limit)}
    body = endpoint_body(endpoint)
    body["ai_gateway"] = {
        "usage_tracking_config": {"enabled": True},
        "fallback_config": {"enabled": True},
        "rate_limits": [_limit_body(each) for each in limits.values()],
        "guardrails": guardrails_body(endpoint.policy),
    }
    return JSONResponse(body)


def endpoint_body(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint on the wire."""
    shares = any(each.share for each in endpoint.served)
    entities = [_entity_body(each, endpoint) for each in endpoint.served]
    routes = [
        {"served_model_name": each.name, "served_entity_name": each.name, "traffic_percentage": share}
        for number, each in enumerate(endpoint.served)
        for share in (each.share if shares else WHOLE if number == 0 else 0,)
    ]
    return {
        "name": endpoint.name,
        "id": endpoint.id,
        "creator": endpoint.created_by,
        "creation_timestamp": epoch_ms(endpoint.created_at),
        "last_updated_timestamp": epoch_ms(endpoint.updated_at),
        "description": endpoint.comment,
        "task": _WIRE_TASKS[endpoint.task],
        "state": {"ready": "READY" if endpoint.state is EndpointState.READY else "NOT_READY", "config_update": "NOT_UPDATING"},
        "config": {"served_entities": entities, "config_version": 1, "traffic_config": {"routes": routes}},
        "route_optimized": False,
        "tags": [],
    }


def _entity_body(served: ServedModel, endpoint: Endpoint) -> dict[str, Any]:
    """A served model on the wire; keys are never shown."""
    body: dict[str, Any] = {
        "name": served.name,
        "creator": endpoint.created_by,
        "creation_timestamp": epoch_ms(endpoint.created_at),
        "state": {"deployment": "DEPLOYMENT_READY", "deployment_state_message": served.state_reason},
    }
    if served.kind.elsewhere:
        body["external_model"] = {"name": served.model, "task": _WIRE_TASKS[endpoint.task], **_provider_body(served)}
    else:
        body["entity_name"] = LOCAL_PREFIX + served.model
        body["foundation_model"] = {"name": LOCAL_PREFIX + served.model, "display_name": served.model}
    return body


def _provider_body(served: ServedModel) -> dict[str, Any]:
    """The provider of a served model on the wire."""
    if served.kind is ServedKind.AZURE:
        config = {"openai_api_type": "azure", "openai_api_base": served.base_url, "openai_deployment_name": served.model}
        return {"provider": "openai", "openai_config": config | {"openai_api_version": served.profile.api_version}}
    custom = {"custom_provider_url": served.base_url}
    if served.kind is ServedKind.ANTHROPIC:
        return {"provider": "anthropic", "anthropic_config": {}, "custom_provider_config": custom}
    return {"provider": "custom", "custom_provider_config": custom}


async def _served_of(call: Call, config: _Config, before: tuple[ServedModel, ...] = ()) -> tuple[tuple[ServedModelSpec, ...], Task]:
    """The served models that a configuration asks for, and their one task."""
    entities = config.served_entities or config.served_models
    if not entities:
        raise EndpointInvalid("The configuration names no served entity.", hint="Give `config.served_entities`.")
    endpoints = call.services.gateway.endpoints
    chat = {each.name for each in await call.run(endpoints.local_models, call.ctx)}
    embedding = {each.name for each in await call.run(endpoints.local_embedding_models, call.ctx)}
    shares = _shares_of(config, [_name_of(each) for each in entities])
    served, tasks = [], set()
    for entity in entities:
        name = _name_of(entity)
        external = entity.external_model
        if external is not None:
            task = _task_of(external.task)
            served.append(replace(await _provider_of(call, name, external), share=shares[name]))
        else:
            model = entity.entity_name.removeprefix(LOCAL_PREFIX)
            task = Task.EMBEDDINGS if model in embedding and model not in chat else Task.CHAT
            kind = ServedKind.LOCAL if task is Task.CHAT else ServedKind.EMBEDDING
            served.append(ServedModelSpec(name, kind, model, share=shares[name]))
        tasks.add(task)
    if len(tasks) > 1:
        raise EndpointInvalid("The served entities of an endpoint have one task, and these have several.")
    known = {(each.name, each.kind): each for each in before}
    return tuple(_kept(known.get((each.name, each.kind)), each) for each in served), tasks.pop()


def _kept(before: ServedModel | None, asked: ServedModelSpec) -> ServedModelSpec:
    """A served model that stays keeps what this wire does not know of: prices, places and copies."""
    if before is None:
        return asked
    profile = replace(before.profile, api_version=asked.profile.api_version)
    return replace(asked, profile=profile, load=before.load, shadow=0 if asked.share else before.shadow)


def _name_of(entity: _Entity) -> str:
    external = entity.external_model
    plain = external.name if external is not None else entity.entity_name.removeprefix(LOCAL_PREFIX)
    return entity.name or re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._") or "model"


def _shares_of(config: _Config, names: list[str]) -> dict[str, int]:
    """Per cent for each name; the first takes all when nothing is said, and 100 for one alone is no share at all."""
    routes = config.traffic_config.routes if config.traffic_config else []
    shares = dict.fromkeys(names, 0)
    for route in routes:
        name = route.served_entity_name or route.served_model_name
        if name not in shares:
            raise EndpointInvalid(f"The traffic of `{name}` goes nowhere: no served entity has that name.")
        shares[name] = route.traffic_percentage
    if len(names) == 1 or shares[names[0]] == WHOLE:
        return dict.fromkeys(names, 0)
    return shares


def _task_of(task: str) -> Task:
    found = _TASKS.get(task)
    if found is None:
        raise NotBuilt(f"Insjö serves no external models for `{task}`.", hint=f"It serves {', '.join(_TASKS)}.")
    return found


async def _provider_of(call: Call, name: str, external: _External) -> ServedModelSpec:
    """The served model of a provider elsewhere; no key keeps the one that is stored."""
    custom = external.custom_provider_config
    if external.provider == "openai" and (config := external.openai_config) is not None:
        if config.openai_api_type not in {"", "openai", "azure"}:
            raise NotBuilt(f"Insjö speaks with no provider of type `{config.openai_api_type}`.", hint="Use its OpenAI-compatible address.")
        key = (config.openai_api_key_plaintext or await _secret(call, config.openai_api_key)) or None
        if config.openai_api_type == "azure":
            deployment, profile = config.openai_deployment_name or external.name, Profile(api_version=config.openai_api_version)
            return ServedModelSpec(name, ServedKind.AZURE, deployment, config.openai_api_base, key, profile)
        return ServedModelSpec(name, ServedKind.OPENAI, external.name, config.openai_api_base or OPENAI_URL, key)
    if external.provider == "anthropic":
        keys = external.anthropic_config or _AnthropicConfig()
        url = custom.custom_provider_url if custom is not None else ANTHROPIC_URL
        key = (keys.anthropic_api_key_plaintext or await _secret(call, keys.anthropic_api_key)) or None
        return ServedModelSpec(name, ServedKind.ANTHROPIC, external.name, url, key)
    if external.provider == "custom" and custom is not None:
        if custom.api_key_auth:
            raise NotBuilt("Insjö sends provider keys as bearer tokens.", hint="Use `bearer_token_auth`.")
        auth = custom.bearer_token_auth or _Auth()
        key = (auth.token_plaintext or await _secret(call, auth.token)) or None
        return ServedModelSpec(name, ServedKind.OPENAI, external.name, custom.custom_provider_url, key)
    message = f"Insjö speaks with no provider `{external.provider}` in its own wire."
    raise NotBuilt(message, hint="Use its OpenAI-compatible address with the provider `custom` and `custom_provider_config`.")


async def _secret(call: Call, reference: str) -> str:
    """The value that `{{secrets/scope/key}}` names; the caller must be allowed to read it."""
    if not reference:
        return ""
    found = _SECRET.fullmatch(reference.strip())
    if found is None:
        hint = "Write `{{secrets/scope/key}}`, or give the key in the field that ends in `_plaintext`."
        raise EndpointInvalid("The key is not a reference to a secret.", hint=hint)
    value: bytes = await call.run(call.services.workspace.secrets.get, call.ctx, found[1], found[2])
    return value.decode("ascii", "replace").strip()


def _limits_of(endpoint: str, body: _Gateway) -> list[LimitSpec]:
    """The gateway's limits for those of the wire; what Insjö does not do is refused by name."""
    if body.inference_table_config is not None and body.inference_table_config.enabled:
        raise NotBuilt("Insjö writes no inference tables.", hint="`system.ai.usage` has every request, without content.")
    found = []
    for each in body.rate_limits:
        if each.renewal_period != "minute" or each.key not in {"user", "endpoint", "user_group", "service_principal"}:
            raise EndpointInvalid(f"A limit for each `{each.key}` and `{each.renewal_period}` is unknown.", hint="The period is `minute`.")
        subject = "principal" if each.principal else "each" if each.key == "user" else "everybody"
        for measure, amount in (("requests", each.calls), ("tokens", each.tokens)):
            if amount is not None:
                found.append(LimitSpec(subject, measure, "minute", amount, principal=each.principal, endpoint=endpoint))  # type: ignore[arg-type]  # Literals of the two lines above.
    return found


def _on_wire(limit: Limit) -> bool:
    """Whether this wire can tell a limit."""
    return limit.period == "minute" and limit.measure != "cost" and limit.action == "refuse" and limit.level == "public"


def _limit_body(limit: Limit) -> dict[str, object]:
    body: dict[str, object] = {"renewal_period": "minute", "key": "endpoint" if limit.subject == "everybody" else "user"}
    body["calls" if limit.measure == "requests" else "tokens"] = limit.units
    if limit.principal:
        body["principal"] = limit.principal
    return body


ROUTES = (
    DoorRoute("GET", BASE, list_endpoints, "databricks"),
    DoorRoute("POST", BASE, create_endpoint, "databricks"),
    DoorRoute("GET", f"{BASE}/{{name}}", get_endpoint, "databricks"),
    DoorRoute("DELETE", f"{BASE}/{{name}}", delete_endpoint, "databricks"),
    DoorRoute("PUT", f"{BASE}/{{name}}/config", update_config, "databricks"),
    DoorRoute("PUT", f"{BASE}/{{name}}/ai-gateway", put_gateway, "databricks"),
    DoorRoute("PUT", f"{BASE}/{{name}}/rate-limits", put_rate_limits, "databricks"),
)
