"""Errors of bringing data in."""

from __future__ import annotations

from insjo.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, UpstreamFailed


class DriftNotAccepted(FailedPrecondition):
    """The load would change the columns of the table, and nobody has accepted that."""

    code = "SCHEMA_DRIFT_NOT_ACCEPTED"


class LoadInvalid(InvalidArgument):
    """What was asked of a load does not fit together."""

    code = "LOAD_INVALID"


class LoadNotFound(NotFound):
    """No load has that identifier, or it is not yours to see."""

    code = "LOAD_NOT_FOUND"


class LocationNotFound(NotFound):
    """No location has that name, or you may not write to its volume."""

    code = "LOCATION_NOT_FOUND"


class LocationExists(AlreadyExists):
    """A location has that name already."""

    code = "LOCATION_ALREADY_EXISTS"


class LocationInvalid(InvalidArgument):
    """The address of a location is not one that Insjö reads from."""

    code = "LOCATION_INVALID"


class LocationRefused(PermissionDenied):
    """What was asked for does not lie below the location, leads elsewhere, or has an address to which no connection is made."""

    code = "LOCATION_REFUSED"


class LocationUnreachable(UpstreamFailed):
    """The other machine does not answer, refuses, or broke off."""

    code = "LOCATION_UNREACHABLE"
