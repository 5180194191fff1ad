"""Errors of the catalog; the codes are those that Databricks uses where it has one.

That an object does not exist for a caller is said by `insjo.access.errors`.
"""

from __future__ import annotations

from insjo.kernel.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)


class InvalidName(InvalidArgument):
    """A name is empty, too long or holds a character that names may not hold."""

    code = "INVALID_PARAMETER_VALUE"


class InvalidPath(InvalidArgument):
    """A path does not lie in a volume, or tries to leave it."""

    code = "INVALID_PARAMETER_VALUE"


class InvalidColumn(InvalidArgument):
    """A column's name or type cannot be stored."""

    code = "INVALID_PARAMETER_VALUE"


class CatalogAlreadyExists(AlreadyExists):
    """There is a catalog of that name."""

    code = "CATALOG_ALREADY_EXISTS"


class SchemaAlreadyExists(AlreadyExists):
    """There is a schema of that name."""

    code = "SCHEMA_ALREADY_EXISTS"


class TableAlreadyExists(AlreadyExists):
    """There is a table or view of that name."""

    code = "TABLE_OR_VIEW_ALREADY_EXISTS"


class VolumeAlreadyExists(AlreadyExists):
    """There is a volume of that name."""

    code = "VOLUME_ALREADY_EXISTS"


class ModelAlreadyExists(AlreadyExists):
    """There is a registered model of that name; under the general code, for which MLflow's client looks."""


class ModelVersionNotFound(NotFound):
    """The model has no such version, or no such alias; under the general code, for which MLflow's client looks."""


class ModelVersionFixed(FailedPrecondition):
    """The files of a version do not change once it is ready."""

    code = "MODEL_VERSION_FIXED"


class FileAlreadyExists(AlreadyExists):
    """There is a file or directory at that path."""

    code = "FILE_ALREADY_EXISTS"


class ColumnAlreadyExists(AlreadyExists):
    """The table has a column of that name."""

    code = "FIELD_ALREADY_EXISTS"


class FileNotFound(NotFound):
    """No file or directory is at that path."""

    code = "PATH_NOT_FOUND"


class FilesRemoved(InvalidArgument):
    """Data files of an older version were deleted by `VACUUM`."""

    code = "DELTA_FILE_NOT_FOUND"


class VersionNotFound(InvalidArgument):
    """The table has no such version, or its log no longer reaches back to it."""

    code = "DELTA_VERSION_NOT_FOUND"


class TimestampTooLate(InvalidArgument):
    """The moment asked for lies after the last commit."""

    code = "DELTA_TIMESTAMP_GREATER_THAN_COMMIT"


class TimestampTooEarly(InvalidArgument):
    """The moment asked for lies before the first commit that is still there."""

    code = "DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION"


class ChangesNotRecorded(InvalidArgument):
    """The change data feed was not kept at one of the versions asked for."""

    code = "DELTA_MISSING_CHANGE_DATA"


class ChangeRangeInvalid(InvalidArgument):
    """The last version of a range of changes lies before the first."""

    code = "DELTA_INVALID_CDC_RANGE"


class ChangesAfterNewest(InvalidArgument):
    """Changes were asked for from a version on that the table does not have yet."""

    code = "DELTA_CDC_START_VERSION_AFTER_LATEST"


class ChangesRemoved(InvalidArgument):
    """Files that tell older changes were deleted by `VACUUM`."""

    code = "DELTA_CHANGE_DATA_FILE_NOT_FOUND"


class ChangeSchemaIncompatible(InvalidArgument):
    """Columns were taken away, renamed or changed within the range of changes, or since."""

    code = "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE"


class ReservedChangeColumns(InvalidArgument):
    """A table with a change data feed may not have columns with the names that the feed adds."""

    code = "RESERVED_CDC_COLUMNS_ON_WRITE"


class CommitConflict(Aborted):
    """Another writer committed to the table first, and this change was computed from what it replaced."""

    code = "COMMIT_VERSION_CONFLICT"


class TableBusy(Unavailable):
    """Another statement has been writing to the table for longer than this one may wait."""

    code = "TABLE_BUSY"


class DiskFull(ResourceExhausted):
    """The disk, a quota or a file size limit is used up; nothing was changed."""

    code = "DISK_FULL"


class CacheTooSmall(ResourceExhausted):
    """A statement reads more files of an object store than the local cache may hold at once."""

    code = "STORAGE_CACHE_FULL"


class StorageUnavailable(Unavailable):
    """The object store does not answer, or refuses Insjö."""

    code = "STORAGE_UNAVAILABLE"


class FileTooLarge(ResourceExhausted):
    """A file is larger than one upload may be."""

    code = "FILE_TOO_LARGE"


class TooManyFiles(ResourceExhausted):
    """A path or a pattern stands for more files than one statement may read."""

    code = "TOO_MANY_FILES"


class NotEmpty(FailedPrecondition):
    """The object still holds others."""

    code = "NOT_EMPTY"


class SchemaNotEmpty(NotEmpty):
    """The schema still holds tables or volumes."""

    code = "SCHEMA_NOT_EMPTY"


class CatalogNotEmpty(NotEmpty):
    """The catalog still holds schemas."""

    code = "CATALOG_NOT_EMPTY"


class DirectoryNotEmpty(NotEmpty):
    """The directory still holds files."""

    code = "DIRECTORY_NOT_EMPTY"


class WrongTableType(FailedPrecondition):
    """What was asked is possible for another type of table only."""

    code = "WRONG_COMMAND_FOR_OBJECT_TYPE"


class TableDamaged(FailedPrecondition):
    """The log or a file of the table is missing or cannot be read."""

    code = "DELTA_LOG_UNREADABLE"


class FeatureUnsupported(Unimplemented):
    """The table uses a feature of the Delta format that Insjö does not write or read."""

    code = "DELTA_UNSUPPORTED_FEATURES"
