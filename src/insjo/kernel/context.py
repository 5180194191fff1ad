"""Who asks, through which door, and until when: the first argument of every service method."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from insjo.kernel.errors import DeadlineExceeded
from insjo.kernel.ids import new_id

PrincipalKind = Literal["user", "group", "service_principal"]


@dataclass(frozen=True, slots=True)
class PrincipalRef:
    """A principal as it travels with a request; rights are looked up live, never carried here."""

    id: str
    name: str
    kind: PrincipalKind = "user"


SYSTEM = PrincipalRef(id="system", name="system", kind="service_principal")
"""Insjö itself: migrations, index builds, supervision.  It never acts on a caller's words."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One request.

    Attributes:
        principal: Whose rights count.
        on_behalf_of: The person for whom an agent or a job acts, if it is not the principal.
        door: Where the request came in: `rest`, `thrift`, `openai`, `page`, `cli`, `job`, `assistant`, `system`.
        request_id: Joins audit rows, usage rows and logs.
        deadline_s: Point on the monotonic clock after which work stops, or None.
        origin: Address of the client, for the audit.
    """

    principal: PrincipalRef
    door: str = "system"
    on_behalf_of: PrincipalRef | None = None
    request_id: str = field(default_factory=new_id)
    deadline_s: float | None = None
    origin: str = ""

    def remaining_s(self, now_s: float) -> float | None:
        """Seconds left; raises DeadlineExceeded when none are."""
        if self.deadline_s is None:
            return None
        left = self.deadline_s - now_s
        if left <= 0:
            message = "The time for this request ran out."
            raise DeadlineExceeded(message)
        return left

    def through(self, door: str) -> RequestContext:
        """The same request as seen behind another door."""
        return replace(self, door=door)


def system_context(door: str = "system") -> RequestContext:
    """Context for Insjö's own work."""
    return RequestContext(principal=SYSTEM, door=door)
