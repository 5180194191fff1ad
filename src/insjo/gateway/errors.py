"""What can go wrong between a caller and a model."""

from __future__ import annotations

from insjo.kernel.errors import (
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
    UpstreamFailed,
)


class EndpointExists(AlreadyExists):
    """The name is taken."""

    code = "ENDPOINT_ALREADY_EXISTS"


class EndpointInvalid(InvalidArgument):
    """The description of an endpoint is wrong."""

    code = "INVALID_ENDPOINT"


class WrongTask(InvalidArgument):
    """A chat endpoint was asked for embeddings or the other way round."""

    code = "WRONG_TASK"


class RequestInvalid(InvalidArgument):
    """The body of a model request is wrong; `details["param"]` names the field."""

    code = "INVALID_REQUEST"


class RequestTooLarge(ResourceExhausted):
    """The body of a request is longer than the limit."""

    code = "REQUEST_TOO_LARGE"


class ModelNotLoaded(Unavailable):
    """The local model is not ready; `details["retry_after_s"]` tells when to ask again."""

    code = "MODEL_NOT_LOADED"

    def __init__(self, message: str, *, retry_after_s: int = 5, hint: str = "") -> None:
        """Keep the time after which to ask again among the details."""
        super().__init__(message, hint=hint, details={"retry_after_s": retry_after_s})
        self.retry_after_s = retry_after_s


class ModelUnknown(Unavailable):
    """An endpoint names a local model that this machine does not have."""

    code = "MODEL_UNKNOWN"


class ProviderUnreachable(UpstreamFailed):
    """No connection to the provider could be made, or it was cut before an answer."""

    code = "PROVIDER_UNREACHABLE"


class ProviderTimedOut(UpstreamFailed):
    """The provider did not answer in time."""

    code = "PROVIDER_TIMED_OUT"


class ProviderRefused(UpstreamFailed):
    """The provider answered with an error that is not the caller's fault; `details["upstream_status"]` holds its status."""

    code = "PROVIDER_FAILED"


class ProviderGarbled(UpstreamFailed):
    """The provider answered with something that is not its wire format."""

    code = "PROVIDER_GARBLED"


class ProviderBusy(ResourceExhausted):
    """The provider, or the pool of connections to it, takes no more requests now."""

    code = "PROVIDER_BUSY"


class AccessEnded(PermissionDenied):
    """The right to use the endpoint, or the token, was withdrawn while the answer was running."""

    code = "ACCESS_ENDED"


class NotBuilt(Unimplemented):
    """Insjö does not offer this part of the wire."""

    code = "NOT_IMPLEMENTED"


class KeyUnreadable(UpstreamFailed):
    """A stored provider key cannot be decrypted."""

    code = "PROVIDER_KEY_UNREADABLE"


class GuardrailBlocked(PermissionDenied):
    """A guardrail of the endpoint stopped the request or the answer; `details["guardrail"]` names it."""

    code = "GUARDRAIL_BLOCKED"


class GuardrailFailed(UpstreamFailed):
    """A guardrail that blocks could not look, so that nothing goes on."""

    code = "GUARDRAIL_FAILED"


class LimitReached(ResourceExhausted):
    """A limit or a budget is used up; `details["retry_after_s"]` tells when it begins anew."""

    code = "LIMIT_REACHED"


class LimitInvalid(InvalidArgument):
    """The description of a limit is wrong."""

    code = "INVALID_LIMIT"


class LimitNotFound(NotFound):
    """No such limit."""

    code = "LIMIT_NOT_FOUND"


class ResponseNotFound(NotFound):
    """No such stored response for this caller."""

    code = "RESPONSE_NOT_FOUND"


class BatchCancelled(Cancelled):
    """A batch of questions was stopped by whoever asked them."""

    code = "BATCH_CANCELLED"


class BatchTimedOut(DeadlineExceeded):
    """A batch of questions took longer than it may."""

    code = "BATCH_TIMED_OUT"
