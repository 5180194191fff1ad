"""Errors of bringing data in."""

from __future__ import annotations

from insjo.kernel.errors import FailedPrecondition, InvalidArgument, NotFound


class DriftNotAccepted(FailedPrecondition):
    """The load would change the columns of the table, and nobody has accepted that."""

    code = "SCHEMA_DRIFT_NOT_ACCEPTED"


class LoadInvalid(InvalidArgument):
    """What was asked of a load does not fit together."""

    code = "LOAD_INVALID"


class LoadNotFound(NotFound):
    """No load has that identifier, or it is not yours to see."""

    code = "LOAD_NOT_FOUND"
