"""Which model would answer at an endpoint, and how big it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.access.service.flow import may_flow
from insjo.gateway.types import ServedKind, Task
from insjo.kernel.errors import InsjoError

if TYPE_CHECKING:
    from insjo.access.types import Label
    from insjo.gateway.service.room import GatewayRoom
    from insjo.kernel.context import RequestContext


def is_capable(ctx: RequestContext, gateway: GatewayRoom, endpoint: str, label: Label, bytes_min: int) -> bool:
    """Whether the model that would get content with this label is one elsewhere, or one on this machine of at least that size."""
    try:
        found = gateway.endpoints.get(ctx, endpoint)
    except InsjoError:  # Not for this caller, or gone.
        return False
    if found.task is not Task.CHAT:
        return False
    allowed = (each for each in found.served if each.clearance is None or may_flow(label, each.clearance).allowed)
    served = next(allowed, None)
    if served is None or served.kind is ServedKind.EMBEDDING:
        return False
    if served.kind.elsewhere:
        return True
    sizes = {each.name: each.size_bytes for each in gateway.endpoints.local_models(ctx)}
    return sizes.get(served.model, 0) >= bytes_min
