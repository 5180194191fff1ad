"""Serving endpoints through the official `databricks-sdk`: made, asked, limited, changed, removed."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, cast

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, NotImplemented, PermissionDenied, ResourceConflict  # noqa: A004  # The SDK's name of the error for 501.
from databricks.sdk.service.serving import (
    AiGatewayGuardrails,
    AiGatewayRateLimit,
    AiGatewayRateLimitKey,
    AiGatewayRateLimitRenewalPeriod,
    AnthropicConfig,
    BearerTokenAuth,
    ChatMessage,
    ChatMessageRole,
    CohereConfig,
    CustomProviderConfig,
    EndpointCoreConfigInput,
    EndpointStateReady,
    ExternalModel,
    ExternalModelProvider,
    OpenAiConfig,
    Route,
    ServedEntityInput,
    TrafficConfig,
)

from insjo.testing.recorder import Recorder as Provider
from tests.clients.conftest import Recorder, Site
from tests.support.server import RunningServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PER_MINUTE = AiGatewayRateLimitRenewalPeriod.MINUTE
HELLO = [ChatMessage(role=ChatMessageRole.USER, content="hello lake")]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that knows the packaged models, none of which these tests load."""
    with RunningServer(tmp_path_factory.mktemp("serving") / "data") as server:
        yield Site(server)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """A provider elsewhere."""
    with Provider(api_key="sk-outside").running() as running:
        yield running


@pytest.fixture
def w(models: Site, called: set[str]) -> WorkspaceClient:
    return cast("WorkspaceClient", Recorder(models.client(), called))


def away(provider: Provider, name: str = "away", key: str = "sk-outside") -> ServedEntityInput:
    custom = CustomProviderConfig(custom_provider_url=provider.base_url, bearer_token_auth=BearerTokenAuth(token_plaintext=key))
    external = ExternalModel(provider=ExternalModelProvider.CUSTOM, name="recorder-1", task="llm/v1/chat", custom_provider_config=custom)
    return ServedEntityInput(name=name, external_model=external)


def config(*entities: ServedEntityInput, shares: dict[str, int] | None = None) -> EndpointCoreConfigInput:
    routes = [Route(served_entity_name=name, served_model_name=name, traffic_percentage=share) for name, share in (shares or {}).items()]
    return EndpointCoreConfigInput(name="", served_entities=list(entities), traffic_config=TrafficConfig(routes=routes) if routes else None)


def clear(site: Site, endpoint: str, served: str) -> None:
    """Let a served model receive what people type; this wire has no word for it."""
    body = {"destination": f"served_model:{endpoint}/{served}", "level": "internal", "categories": ["*"], "keeps": False}
    request = urllib.request.Request(f"{site.server.url}/api/insjo/v1/clearances", json.dumps(body).encode(), method="PUT")
    request.add_header("authorization", f"Bearer {site.token('admin')}")
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


@pytest.mark.covers("serving_endpoints.list", "serving_endpoints.get")
def test_the_packaged_models_are_endpoints(w: WorkspaceClient) -> None:
    assert {"insjo-chat", "insjo-embed"} <= {each.name for each in w.serving_endpoints.list()}
    chat = w.serving_endpoints.get("insjo-chat")
    assert (chat.task, chat.state.ready if chat.state else None) == ("llm/v1/chat", EndpointStateReady.READY)
    assert chat.config
    assert chat.config.served_entities
    assert (chat.config.served_entities[0].entity_name or "").startswith("system.ai.")
    with pytest.raises(NotFound):
        w.serving_endpoints.get("nothing")


@pytest.mark.covers(
    "serving_endpoints.create_and_wait",
    "serving_endpoints.query",
    "serving_endpoints.update_config_and_wait",
    "serving_endpoints.put_ai_gateway",
    "serving_endpoints.delete",
)
def test_an_external_model_lives_and_ends(models: Site, w: WorkspaceClient, provider: Provider) -> None:
    limit = AiGatewayRateLimit(renewal_period=PER_MINUTE, calls=1000, key=AiGatewayRateLimitKey.USER)
    made = w.serving_endpoints.create_and_wait("writer", config=config(away(provider)))
    assert made.config
    assert "sk-outside" not in json.dumps(made.as_dict())
    with pytest.raises(ResourceConflict):
        w.serving_endpoints.create("writer", config=config(away(provider)))
    clear(models, "writer", "away")
    answer = w.serving_endpoints.query("writer", messages=HELLO, max_tokens=20)
    assert answer.choices
    assert answer.choices[0].message
    assert answer.choices[0].message.content == "Echo: hello lake"
    w.serving_endpoints.put_ai_gateway("writer", rate_limits=[limit])
    gateway = w.serving_endpoints.get("writer").ai_gateway
    assert gateway
    assert [each.calls for each in gateway.rate_limits or []] == [1000]
    w.serving_endpoints.put_ai_gateway("writer", rate_limits=[])
    assert not w.serving_endpoints.get("writer").as_dict().get("ai_gateway", {}).get("rate_limits")
    two = config(away(provider), away(provider, "other"), shares={"away": 60, "other": 40})
    changed = w.serving_endpoints.update_config_and_wait("writer", served_entities=two.served_entities, traffic_config=two.traffic_config)
    assert changed.config
    assert changed.config.traffic_config
    assert [each.traffic_percentage for each in changed.config.traffic_config.routes or []] == [60, 40]
    w.serving_endpoints.delete("writer")
    with pytest.raises(NotFound):
        w.serving_endpoints.get("writer")


def test_providers_of_other_wires_are_asked_in_their_own(models: Site, w: WorkspaceClient, provider: Provider) -> None:
    custom = CustomProviderConfig(custom_provider_url=provider.base_url)
    keys = AnthropicConfig(anthropic_api_key_plaintext="sk-outside")
    claude = ExternalModel(
        ExternalModelProvider.ANTHROPIC, "recorder-1", "llm/v1/chat", anthropic_config=keys, custom_provider_config=custom
    )
    azure = OpenAiConfig(
        openai_api_type="azure",
        openai_api_base=provider.base_url.removesuffix("/v1"),
        openai_api_version="2024-10-21",
        openai_deployment_name="ours",
        openai_api_key_plaintext="sk-outside",
    )
    gpt = ExternalModel(ExternalModelProvider.OPENAI, "ours", "llm/v1/chat", openai_config=azure)
    for name, external, path in (("claude", claude, "/v1/messages"), ("azure", gpt, "/openai/deployments/ours/chat/completions")):
        made = w.serving_endpoints.create_and_wait(name, config=config(ServedEntityInput(name="it", external_model=external)))
        assert "sk-outside" not in json.dumps(made.as_dict())
        clear(models, name, "it")
        answer = w.serving_endpoints.query(name, messages=HELLO, max_tokens=20)
        assert answer.choices
        assert answer.choices[0].message
        assert answer.choices[0].message.content == "Echo: hello lake"
        assert provider.requests[-1].path.partition("?")[0] == path
        shown = w.serving_endpoints.get(name).as_dict()["config"]["served_entities"][0]["external_model"]
        assert shown["provider"] == external.provider.value
        w.serving_endpoints.delete(name)


@pytest.mark.covers("serving_endpoints.create", "secrets.create_scope", "secrets.put_secret")
def test_a_key_comes_out_of_a_secret_that_the_caller_may_read(models: Site, w: WorkspaceClient, provider: Provider) -> None:
    w.secrets.create_scope("providers")
    w.secrets.put_secret("providers", "outside", string_value="sk-outside")
    openai = OpenAiConfig(openai_api_base=provider.base_url, openai_api_key="{{secrets/providers/outside}}")
    external = ExternalModel(provider=ExternalModelProvider.OPENAI, name="recorder-1", task="llm/v1/chat", openai_config=openai)
    w.serving_endpoints.create("secretly", config=config(ServedEntityInput(name="away", external_model=external)))
    clear(models, "secretly", "away")
    assert w.serving_endpoints.query("secretly", messages=HELLO).choices
    openai.openai_api_key = "{{secrets/providers/nothing}}"
    with pytest.raises(NotFound):
        w.serving_endpoints.create("secretly2", config=config(ServedEntityInput(name="away", external_model=external)))
    openai.openai_api_key = "sk-in-the-wrong-field"
    with pytest.raises(BadRequest, match="not a reference to a secret"):
        w.serving_endpoints.create("secretly2", config=config(ServedEntityInput(name="away", external_model=external)))
    w.serving_endpoints.delete("secretly")


def test_a_limit_of_calls_is_kept(models: Site, provider: Provider) -> None:
    w = models.client()
    limit = AiGatewayRateLimit(renewal_period=PER_MINUTE, tokens=1, key=AiGatewayRateLimitKey.ENDPOINT)
    from databricks.sdk.errors import TooManyRequests
    from databricks.sdk.service.serving import AiGatewayConfig

    w.serving_endpoints.create("little", config=config(away(provider)), ai_gateway=AiGatewayConfig(rate_limits=[limit]))
    clear(models, "little", "away")
    with pytest.raises((TooManyRequests, TimeoutError)):
        w.serving_endpoints.query("little", messages=HELLO, max_tokens=20)
    w.serving_endpoints.delete("little")


def test_what_this_wire_asks_for_and_is_not_there_is_refused_by_name(w: WorkspaceClient, provider: Provider) -> None:
    cohere = ExternalModel(
        provider=ExternalModelProvider.COHERE, name="x", task="llm/v1/chat", cohere_config=CohereConfig(cohere_api_key_plaintext="x")
    )
    with pytest.raises(NotImplemented, match="cohere"):
        w.serving_endpoints.create("foreign", config=config(ServedEntityInput(name="x", external_model=cohere)))
    with pytest.raises(BadRequest, match="no model `llama-9`"):
        w.serving_endpoints.create("missing", config=config(ServedEntityInput(name="x", entity_name="system.ai.llama-9")))
    with pytest.raises(BadRequest, match="per cent"):
        w.serving_endpoints.create("half", config=config(away(provider), away(provider, "b"), shares={"away": 60, "b": 60}))
    w.serving_endpoints.create("guarded", config=config(away(provider)))
    with pytest.raises(NotImplemented, match="guardrails"):
        w.serving_endpoints.put_ai_gateway("guarded", guardrails=AiGatewayGuardrails.from_dict({"input": {"safety": True}}))
    w.serving_endpoints.delete("guarded")


def test_somebody_without_rights_neither_sees_nor_makes_endpoints(models: Site, provider: Provider) -> None:
    admin, ulla = models.client(), models.client("ulla")
    admin.serving_endpoints.create("hidden", config=config(away(provider)))
    assert "hidden" not in {each.name for each in ulla.serving_endpoints.list()}
    for attempt in (
        lambda: ulla.serving_endpoints.get("hidden"),
        lambda: ulla.serving_endpoints.delete("hidden"),
        lambda: ulla.serving_endpoints.put_ai_gateway("hidden", rate_limits=[]),
        lambda: ulla.serving_endpoints.update_config("hidden", served_entities=[away(provider)]),
    ):
        with pytest.raises(NotFound):
            attempt()
    with pytest.raises(PermissionDenied):
        ulla.serving_endpoints.create("mine", config=config(away(provider)))
    admin.serving_endpoints.delete("hidden")
