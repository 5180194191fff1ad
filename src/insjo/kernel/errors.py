"""The one tree of errors.

A dozen kinds carry the canonical names; rooms subclass a kind and set `code`.  `insjo.web` maps kind to HTTP status and renders
the error in the form of each door, so nothing here knows HTTP.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class InsjoError(Exception):
    """Base of all errors that may be shown to a caller.

    Args:
        message: What is wrong, with identifiers in backticks.  It is shown to the caller: no internal text.
        hint: What the caller can do about it.
        details: Facts for programs, for example a line and a column.  Values must be JSON types.
    """

    kind: ClassVar[str] = "INTERNAL"
    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str, *, hint: str = "", details: Mapping[str, object] | None = None) -> None:
        """Keep the message, the hint and the details."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, object] = dict(details or {})

    def __str__(self) -> str:
        """Message and hint as one text."""
        return f"{self.message} {self.hint}".strip()


class InvalidArgument(InsjoError):
    """The request itself is wrong, whatever the state of the system."""

    kind = "INVALID_ARGUMENT"
    code = "INVALID_PARAMETER_VALUE"


class Unauthenticated(InsjoError):
    """Nobody is signed in, or the credential is wrong or expired."""

    kind = "UNAUTHENTICATED"
    code = "UNAUTHENTICATED"


class PermissionDenied(InsjoError):
    """The caller may see the object, yet not do this to it."""

    kind = "PERMISSION_DENIED"
    code = "PERMISSION_DENIED"


class NotFound(InsjoError):
    """The object does not exist, or does not exist for this caller."""

    kind = "NOT_FOUND"
    code = "RESOURCE_DOES_NOT_EXIST"


class AlreadyExists(InsjoError):
    """An object of that name is there already."""

    kind = "ALREADY_EXISTS"
    code = "RESOURCE_ALREADY_EXISTS"


class Aborted(InsjoError):
    """Somebody else was faster: read again and repeat."""

    kind = "ABORTED"
    code = "ABORTED"


class FailedPrecondition(InsjoError):
    """The request is right, but the state of the system forbids it."""

    kind = "FAILED_PRECONDITION"
    code = "INVALID_STATE"


class ResourceExhausted(InsjoError):
    """A limit, a quota, a budget, memory or disk is used up."""

    kind = "RESOURCE_EXHAUSTED"
    code = "RESOURCE_EXHAUSTED"


class Unimplemented(InsjoError):
    """Insjö does not do this; the message names what is missing."""

    kind = "UNIMPLEMENTED"
    code = "NOT_IMPLEMENTED"


class UpstreamFailed(InsjoError):
    """A foreign system answered with an error or with garbage."""

    kind = "UPSTREAM_FAILED"
    code = "UPSTREAM_FAILED"


class Unavailable(InsjoError):
    """A part is not running just now; repeating may help."""

    kind = "UNAVAILABLE"
    code = "TEMPORARILY_UNAVAILABLE"


class DeadlineExceeded(InsjoError):
    """The time given ran out."""

    kind = "DEADLINE_EXCEEDED"
    code = "DEADLINE_EXCEEDED"


class Cancelled(InsjoError):
    """The caller, or somebody with the right to, stopped it."""

    kind = "CANCELLED"
    code = "CANCELLED"


class DatabaseFull(ResourceExhausted):
    """The disk of the metadata database is full; nothing was written."""

    code = "DISK_FULL"


class DatabaseAway(Unavailable):
    """The metadata database does not answer, or others hold it for too long."""

    code = "DATABASE_UNAVAILABLE"


def did_you_mean(wrong: str, candidates: Iterable[str]) -> str:
    """Hint that names the nearest of the candidates, or an empty text.

    Candidates must already be limited to what the caller may browse, since the hint is shown.
    """
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    near = difflib.get_close_matches(wrong.casefold(), by_folded, n=1, cutoff=0.6)
    return f"Did you mean `{by_folded[near[0]]}`?" if near else ""
