"""Nouns of the gateway: endpoints, served models, routes, requests, answers and usage."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from insjo.access.types import Clearance, Label, Provenance


class Task(StrEnum):
    """What an endpoint is asked for."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"


class ServedKind(StrEnum):
    """Where a served model runs.

    `LOCAL` is a language model that a `ModelRuntime` runs on this machine, and `EMBEDDING` one that an `EmbeddingProvider` runs on this
    machine.  The others stand elsewhere, under a base URL that an admin wrote down: `OPENAI` is any server that speaks OpenAI's wire,
    `AZURE` a deployment of Azure OpenAI, `ANTHROPIC` a server that speaks Anthropic's wire.
    """

    LOCAL = "local"
    EMBEDDING = "embedding"
    OPENAI = "openai"
    AZURE = "azure"
    ANTHROPIC = "anthropic"

    @property
    def elsewhere(self) -> bool:
        """Whether it stands outside this machine, or at least outside this process's care."""
        return self is not ServedKind.LOCAL and self is not ServedKind.EMBEDDING


class EndpointState(StrEnum):
    """Whether a request would be answered now."""

    READY = "READY"
    LOADING = "LOADING"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Upstream:
    """Address of a server that speaks a provider's wire.

    Attributes:
        base_url: Up to and including `/v1`; paths such as `/chat/completions` are added to it.
        api_key: How Insjö shows that it may ask; empty means not at all.
        key_header: Header that carries the key: `authorization` (as a bearer token), `api-key` (Azure) or `x-api-key` (Anthropic).
        query: Added to each path after a question mark; empty means nothing.
        headers: Further fixed headers, such as the version of a wire.
    """

    base_url: str
    api_key: str = field(default="", repr=False)
    key_header: Literal["authorization", "api-key", "x-api-key"] = "authorization"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Prices:
    """What a million tokens cost; None means unknown, so that an unknown cost is never shown as free."""

    input_per_million: float | None = None
    output_per_million: float | None = None
    cached_input_per_million: float | None = None
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a served model can do; its wire is another matter.

    Attributes:
        context_tokens: Longest input and output together; 0 means unknown.
        tool_mode: `json_union` for models that miss native tool calls (docs/reference/models.md).
        dimensions: Length of the vectors of an embedding model; 0 means unknown.
        prices: None for a model on this machine, which costs nothing per token.
        output_tokens: Longest answer when the caller sets no limit, for wires that want one; 0 means the default of the wire.
        leave_out: Fields of the top level that the provider refuses; they are taken out of a request.
        api_version: Version of Azure OpenAI's interface, such as `2024-10-21`; empty for others.
    """

    context_tokens: int = 0
    tool_mode: Literal["native", "json_union"] = "native"
    dimensions: int = 0
    prices: Prices | None = None
    output_tokens: int = 0
    leave_out: tuple[str, ...] = ()
    api_version: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """How many requests a served model gets at the same time.

    Attributes:
        places: Answers that may run at once; 0 means no limit.
        waiting: Requests that may wait for a place; the next one goes to another served model, or is refused.
    """

    places: int = 0
    waiting: int = 64


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One model behind an endpoint; each is a destination with a clearance of its own.

    Attributes:
        name: Unique in its endpoint.
        kind: Where it runs.
        model: The provider's own name of it.
        base_url: Of a model elsewhere; empty for models on this machine.
        has_key: Whether a provider key is stored.  The key itself is never shown.
        profile: What it can do and what it costs.
        share: Per cent of the requests that go to it first; all 0 means that the order decides.
        clearance: What may be sent to it; filled in by `Endpoints`.
        load: How many requests it gets at the same time.
        shadow: Per cent of the requests of which it gets a copy; its answers are thrown away, and it never answers itself.
        state: Whether it rests after failures; filled in by `Endpoints`.
        state_reason: One sentence for people when it does.
    """

    name: str
    kind: ServedKind
    model: str
    base_url: str = ""
    has_key: bool = False
    profile: Profile = field(default_factory=Profile)
    share: int = 0
    clearance: Clearance | None = None
    load: Load = field(default_factory=Load)
    shadow: int = 0
    state: EndpointState = EndpointState.READY
    state_reason: str = ""


@dataclass(frozen=True, slots=True)
class Routing:
    """How an endpoint chooses among the served models that are cleared for a request.

    Attributes:
        strategy: `order` tries them in their order, `latency` the one first whose answers began soonest of late; shares go before both.
        sticky: Whether the requests of one conversation go to the same served model, as long as it is well.
        retries: How often all of them are tried again after all failed, with a pause in between.
        limits: How long each stage may take; None means the default.
    """

    strategy: Literal["order", "latency"] = "order"
    sticky: bool = False
    retries: int = 1
    limits: TimeLimits | None = None


GuardrailKind = Literal["keyword", "pattern", "detector", "injection", "topic", "schema", "entry_point", "endpoint"]


@dataclass(frozen=True, slots=True)
class Guardrail:
    """Something that an endpoint looks for in what it is asked and in what is answered.

    Attributes:
        name: Stands in the place of what is masked.
        kind: Words, regular expressions (RE2), detectors, signals of prompt injection, topics by embedding, a JSON schema of the
            answer, a function of an installed Python package, or a rule that a model behind another endpoint judges by.
        action: `mask` is for what is found at a place: words, expressions, detectors and signals.
        values: Words, expressions, names of detectors, topics, names of entry points, or the rule in words.
        endpoint: Who embeds (topics; `insjo-embed` when empty) or judges.
        threshold: Least similarity of a topic, or least weight of signals (0 means 1).
        schema: Of the answer, as JSON.
    """

    name: str
    kind: GuardrailKind
    action: Literal["block", "mask", "annotate"] = "block"
    on: tuple[Literal["input", "output"], ...] = ("input",)
    values: tuple[str, ...] = ()
    endpoint: str = ""
    threshold: float = 0.0
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens when content is above the clearance of the first served model.

    Attributes:
        on_conflict: `reroute` tries the other served models and then the fallback endpoint; `block` refuses.
        fallback: Name of the endpoint that takes over, or empty.
        minimise: When no served model may receive the content, leave out the parts that are above, and tell so; the rest is labelled anew.
        redact: When no served model may receive the content, replace the sensitive values in what callers outside wrote by typed
            placeholders and put them back in the answer; what is left is labelled anew and must be cleared like anything else.
        ask: When nothing else helps, let whoever asks (`user`) or a steward of the data (`steward`) approve this one call.
        guardrails: Looked at before any of this, and again on the answer.
        cache_s: How long a whole answer may be given again to the same person for the same request, in seconds; 0 means never.
    """

    on_conflict: Literal["reroute", "block"] = "reroute"
    fallback: str = ""
    redact: bool = False
    minimise: bool = False
    ask: Literal["", "user", "steward"] = ""
    cache_s: int = 0
    guardrails: tuple[Guardrail, ...] = ()

    @staticmethod
    def of(stored: Mapping[str, Any]) -> Policy:
        """Policy from what is stored; the routing, which is stored beside it, is another matter."""
        listed = stored.get("guardrails") or ()
        found = tuple(Guardrail(**{**each, "on": tuple(each["on"]), "values": tuple(each["values"])}) for each in listed)
        return Policy(**{**{name: value for name, value in stored.items() if name != "routing"}, "guardrails": found})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A name under which models are asked; a securable of kind `ENDPOINT`, asked with `EXECUTE`."""

    id: str
    name: str
    task: Task
    served: tuple[ServedModel, ...]
    policy: Policy
    comment: str
    owner: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    state: EndpointState = EndpointState.READY
    state_reason: str = ""
    routing: Routing = field(default_factory=Routing)


@dataclass(frozen=True, slots=True)
class ServedModelSpec:
    """A served model as it is asked for.

    Attributes:
        api_key: None keeps the stored key (only while the base URL stays), an empty text removes it.
        clearance: Level, categories and zone for its destination; only admins may give one.  None means the default of its kind.
    """

    name: str
    kind: ServedKind
    model: str
    base_url: str = ""
    api_key: str | None = field(default=None, repr=False)
    profile: Profile = field(default_factory=Profile)
    clearance: Clearance | None = None
    share: int = 0
    load: Load = field(default_factory=Load)
    shadow: int = 0


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """An endpoint as it is asked for."""

    name: str
    task: Task
    served: tuple[ServedModelSpec, ...]
    policy: Policy = field(default_factory=Policy)
    comment: str = ""
    routing: Routing = field(default_factory=Routing)

    @staticmethod
    def of(endpoint: Endpoint) -> EndpointSpec:
        """Description that changes nothing, to start from: keys and clearances stay as they are."""
        served = tuple(
            ServedModelSpec(
                each.name, each.kind, each.model, each.base_url, None, each.profile, share=each.share, load=each.load, shadow=each.shadow
            )
            for each in endpoint.served
        )
        return EndpointSpec(endpoint.name, endpoint.task, served, endpoint.policy, endpoint.comment, endpoint.routing)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a request and where it comes from; callers inside Insjö hand these over, for others the gateway makes them."""

    text: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation with the provenance of its content."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    provenance: Provenance | None = None


CacheUse = Literal["use", "refresh", "none"]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat completion that is asked for.

    Attributes:
        body: OpenAI's request body as the client sent it; its `model` names the endpoint unless `endpoint` does.
        endpoint: Name of the endpoint; empty means what the body names.
        parts: Content with provenance from callers inside Insjö, or None when the gateway must label all text of the body itself.
        raise_to: A label that the caller adds; it can raise, never lower.
        native: The same request in Anthropic's wire, when it came so.
        cache: Whether an answer that was kept may be given (`use`), must be asked for anew (`refresh`), or may not even be kept (`none`).
    """

    body: bytes
    endpoint: str = ""
    parts: tuple[Part, ...] | None = None
    raise_to: Label | None = None
    native: bytes = b""
    cache: CacheUse = "use"


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """One request for embeddings in OpenAI's wire; the attributes mean what they mean in `ChatRequest`."""

    body: bytes
    endpoint: str = ""
    raise_to: Label | None = None
    kind: EmbeddingKind = "passage"


EmbeddingKind = Literal["query", "passage"]

Outcome = Literal["direct", "rerouted", "minimised", "redacted", "approved", "failed_over", "cached", "shadow", "blocked"]

TOLD: Final[frozenset[Outcome]] = frozenset({"rerouted", "minimised", "redacted", "approved", "failed_over"})
"""Outcomes that pages tell people beside the answer."""


@dataclass(frozen=True, slots=True)
class Route:
    """Which served model answered and why that one.

    Attributes:
        endpoint: The endpoint that was asked.
        served_model: Name of the served model that answers; empty when blocked.
        served_by: Endpoint to which it belongs; differs from `endpoint` after a reroute to the fallback.
        outcome: `direct`, `rerouted` (the label was above the clearance), `minimised` (parts were left out), `redacted` (sensitive
            values were replaced), `approved` (somebody allowed this one call), `failed_over` (the provider failed), `cached` (it was
            given before, and nothing was sent), `shadow` (a copy, whose answer nobody gets) or `blocked`.
        reason: One sentence for people; empty when direct.
        label: Of the content that was sent.
    """

    endpoint: str
    served_model: str
    served_by: str
    outcome: Outcome
    reason: str
    label: Label


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one request; `estimated` when the provider did not tell."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """A whole answer as text, for callers inside Insjö."""

    text: str
    route: Route
    usage: TokenUsage
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class EmbeddingAnswer:
    """Vectors as little-endian float32, one text of bytes a vector, in the order of the inputs."""

    vectors: tuple[bytes, ...]
    dimensions: int
    route: Route
    usage: TokenUsage

    def floats(self) -> list[list[float]]:
        """The vectors as numbers."""
        return [list(struct.unpack(f"<{self.dimensions}f", vector)) for vector in self.vectors]


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """Texts to embed.  Models of the e5 family embed a question and a passage differently; others ignore `kind`."""

    texts: tuple[str, ...]
    kind: EmbeddingKind
    model: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """What an embedding model on this machine gives back.

    Attributes:
        vectors: One for each text: `dimensions` little-endian float32 values.
        tokens: Number of tokens read, 0 when unknown.
    """

    vectors: tuple[bytes, ...]
    dimensions: int
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long each stage of a provider call may take, in seconds."""

    connect_s: float = 10.0
    first_byte_s: float = 300.0
    idle_s: float = 120.0
    total_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """One call of a provider, ready to be sent: nothing in it needs a further decision.

    Attributes:
        path: Added to the base URL, for example `/chat/completions`.
        body: JSON, sent as it is.
        stream: Whether server-sent events are expected.
    """

    upstream: Upstream
    path: str
    body: bytes
    stream: bool
    limits: TimeLimits = field(default_factory=TimeLimits)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A language model that this machine could serve.

    Attributes:
        name: Under which `ModelRuntime` knows it.
        description: One line for people: parameters, quantisation, licence.
        size_bytes: Size of its file.
        packaged: Whether it came with the product, rather than from the folder of models.
    """

    name: str
    description: str = ""
    size_bytes: int = 0
    packaged: bool = False
    profile: Profile = field(default_factory=Profile)


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """State of one local model.

    Attributes:
        state: READY also when it is not loaded yet but will be on demand.
        reason: One sentence for people when it is not READY.
        retry_after_s: When to ask again, if it is LOADING.
    """

    state: EndpointState
    reason: str = ""
    retry_after_s: int = 0


class UsageRecord(NamedTuple):
    """One request as `system.ai.usage` shows it; amounts of tokens, never content."""

    id: str
    at: datetime
    request_id: str
    principal_id: str
    principal: str
    on_behalf_of: str
    door: str
    endpoint_id: str
    endpoint: str
    served_by: str
    served_model: str
    model: str
    task: str
    outcome: str
    status: Literal["ok", "error", "cancelled", "blocked"]
    error_code: str
    label: str
    streamed: bool
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    estimated: bool
    cost: float | None
    currency: str
    first_byte_ms: float
    duration_ms: float


LimitSubject = Literal["everybody", "each", "principal"]
"""Who shares an amount: all callers together, each caller alone, or one user, service principal or group."""

LimitMeasure = Literal["requests", "tokens", "cost"]
LimitPeriod = Literal["minute", "hour", "day", "month"]
LimitAction = Literal["refuse", "warn"]


@dataclass(frozen=True, slots=True)
class LimitSpec:
    """A limit or a budget as it is asked for.

    Attributes:
        subject: Who shares the amount.
        principal: Name of the user, service principal or group when the subject is one; empty otherwise.
        endpoint: Name of the endpoint for which it holds; empty means all together.
        level: Counts only content at this level or above (`public` counts all).
        measure: Requests, tokens (input and output together), or cost in the currency of the price list.
        period: The amount begins anew with each minute, hour, day or month in UTC.
        amount: Requests and tokens are whole numbers; cost has up to six decimals.
        action: `refuse` answers 429 when it is used up; `warn` only tells.
    """

    subject: LimitSubject
    measure: LimitMeasure
    period: LimitPeriod
    amount: float
    principal: str = ""
    endpoint: str = ""
    level: str = "public"
    action: LimitAction = "refuse"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that holds; `units` are requests, tokens, or millionths of the currency."""

    id: str
    subject: LimitSubject
    principal_id: str
    principal: str
    endpoint: str
    level: str
    measure: LimitMeasure
    period: LimitPeriod
    units: int
    action: LimitAction
    created_at: datetime
    created_by: str

    @property
    def amount(self) -> float:
        """The amount as people wrote it."""
        return self.units / COST_UNITS if self.measure == "cost" else float(self.units)


@dataclass(frozen=True, slots=True)
class LimitUse:
    """What is taken of a limit in the window that runs, in its own measure; `subject_id` tells whose for a limit of each caller."""

    limit: Limit
    subject_id: str
    taken: float
    begins_at: datetime
    ends_at: datetime


COST_UNITS = 1_000_000
"""Costs are counted in millionths, so that sums are exact."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one request may use: the least that it needs, and the most when nothing bounds its answer.  What it did use is settled later."""

    tokens_least: int
    tokens_most: int
    cost_least: float = 0.0
    cost_most: float = 0.0
