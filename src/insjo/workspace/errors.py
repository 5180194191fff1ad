"""What can go wrong in the workspace."""

from __future__ import annotations

from insjo.kernel.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unimplemented,
)


class PathNotFound(NotFound):
    """Nothing stands at this path, or nothing for this caller."""


class InvalidWorkspacePath(InvalidArgument):
    """The path does not begin with a slash, has empty parts, or is too long or too deep."""


class PathTaken(AlreadyExists):
    """Something stands at this path already; upper and lower case make no difference."""


class WrongObjectKind(InvalidArgument):
    """The object is of another kind than the call is for."""


class FolderReserved(PermissionDenied):
    """Only metastore admins make folders at the top, and home folders are made by Insjö."""


class FolderNotEmpty(FailedPrecondition):
    """The folder holds something, and deleting with all it holds was not asked for."""

    code = "DIRECTORY_NOT_EMPTY"


class FolderFull(ResourceExhausted):
    """The folder holds as many entries as one may hold."""

    code = "QUOTA_EXCEEDED"


class InvalidDocument(InvalidArgument):
    """The document of a dashboard is no JSON object, or too large."""


class ObjectChanged(Aborted):
    """Somebody else changed the object since it was read; read it again and repeat."""

    code = "ETAG_MISMATCH"


class FormatUnsupported(Unimplemented):
    """Insjö does not import or export notebooks in this format."""


class NotPublished(NotFound):
    """The dashboard was not published."""


class InvalidSecret(InvalidArgument):
    """The name or the value of a secret or scope is empty, too long or has characters that are not allowed."""


class SecretNotFound(NotFound):
    """No such scope or secret for this caller."""


class SecretUnreadable(FailedPrecondition):
    """The key file with which the secret was sealed is missing or another one."""

    code = "SECRET_UNREADABLE"


class TooManySecrets(ResourceExhausted):
    """The scope holds as many secrets, or the installation as many scopes, as it may."""

    code = "QUOTA_EXCEEDED"


class InvalidPermissionLevel(InvalidArgument):
    """The word is no permission level, or none of this kind of object."""


class ScheduleNotFound(NotFound):
    """The query has no schedule."""

    code = "SCHEDULE_NOT_FOUND"


class ScheduleInvalid(InvalidArgument):
    """The query cannot run by itself."""

    code = "SCHEDULE_INVALID"


class ScheduleOutdated(FailedPrecondition):
    """The query was changed after its schedule was set: whoever owns the schedule looks at it and sets it again."""

    code = "SCHEDULE_OUTDATED"


class TooManySchedules(ResourceExhausted):
    """The owner has as many schedules as somebody may have."""

    code = "QUOTA_EXCEEDED"


class CredentialInvalid(InvalidArgument):
    """The name or the parts of a storage credential are wrong."""

    code = "STORAGE_CREDENTIAL_INVALID"


class CredentialNotFound(NotFound):
    """No storage credential has that name, or you are not a steward."""

    code = "STORAGE_CREDENTIAL_NOT_FOUND"


class CredentialExists(AlreadyExists):
    """A storage credential has that name already."""

    code = "STORAGE_CREDENTIAL_ALREADY_EXISTS"
