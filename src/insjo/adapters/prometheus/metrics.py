"""What happened at the model door, as metrics: names follow OpenTelemetry's conventions for generative AI.

Source of the names: opentelemetry.io, "Semantic conventions for generative AI metrics" (`gen_ai.client.token.usage`,
`gen_ai.client.operation.duration`), written as Prometheus writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from insjo.gateway.types import UsageRecord

SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
"""Edges of buckets, as the conventions advise."""

MILLISECONDS: Final = 1000.0


class Metrics:
    """Counts since this process began; takes records in batches, off the way of requests."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        """Begin at zero, with a registry of its own."""
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        model = ("gen_ai_operation_name", "gen_ai_request_model", "gen_ai_response_model")
        self._duration = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "Duration of a request to a model.",
            (*model, "error_type"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._first = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "Time to the first byte.",
            model,
            buckets=SECONDS,
            registry=self._registry,
        )
        self._tokens = Histogram(
            "gen_ai_client_token_usage", "Tokens of a request.", (*model, "gen_ai_token_type"), buckets=TOKENS, registry=self._registry
        )
        self._requests = Counter(
            "insjo_model_requests",
            "Requests, by what became of them.",
            ("endpoint", "outcome", "status"),
            registry=self._registry,
        )
        self._cost = Counter("insjo_model_cost", "What requests to models cost.", ("endpoint", "currency"), registry=self._registry)

    def observe(self, records: Sequence[UsageRecord]) -> None:
        """Count some requests."""
        for each in records:
            model = (each.task, each.endpoint, each.model)
            self._requests.labels(each.endpoint, each.outcome, each.status).inc()
            self._duration.labels(*model, each.error_code).observe(each.duration_ms / MILLISECONDS)
            if each.first_byte_ms:
                self._first.labels(*model).observe(each.first_byte_ms / MILLISECONDS)
            self._tokens.labels(*model, "input").observe(each.input_tokens)
            self._tokens.labels(*model, "output").observe(each.output_tokens)
            if each.cost:
                self._cost.labels(each.endpoint, each.currency).inc(each.cost)

    def render(self) -> bytes:
        """All metrics as text."""
        return generate_latest(self._registry)
