"""Errors of the jobs room."""

from __future__ import annotations

from insjo.kernel.errors import Cancelled, InvalidArgument, NotFound, ResourceExhausted


class RunNotFound(NotFound):
    """There is no such run for this caller."""

    code = "RUN_DOES_NOT_EXIST"


class UnknownKind(InvalidArgument):
    """No handler is registered for this kind of work."""

    code = "JOB_KIND_UNKNOWN"


class PayloadTooLarge(InvalidArgument):
    """What a run is given must be small: a reference to the work, not the work."""

    code = "JOB_PAYLOAD_TOO_LARGE"


class QueueFull(ResourceExhausted):
    """Too many runs wait already."""

    code = "JOB_QUEUE_FULL"


class RunCancelled(Cancelled):
    """Raised by a handler that saw that it should stop."""

    code = "JOB_CANCELLED"


class CronInvalid(InvalidArgument):
    """The rule that says when something is due cannot be read, or the time zone is not known."""

    code = "CRON_INVALID"
