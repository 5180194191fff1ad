"""Errors of the SQL room."""

from __future__ import annotations

from insjo.kernel.errors import (
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)


class UnsupportedFeature(Unimplemented):
    """Insjö cannot compute this as Databricks does, so it does not compute it at all."""

    code = "UNSUPPORTED_FEATURE"


class StatementFailed(InvalidArgument):
    """The engine refused the statement, or a value made it fail (a bad cast, a division by zero)."""

    code = "STATEMENT_FAILED"
    file = ""
    """Local file that the engine could not read; never shown, but turned into the path of a volume."""


class CastInvalidInput(StatementFailed):
    """A value cannot be cast to the type asked for."""

    code = "CAST_INVALID_INPUT"


class CastOverflow(StatementFailed):
    """A number is too large for the type to which it is cast."""

    code = "CAST_OVERFLOW"


class DivideByZero(StatementFailed):
    """A division by zero; `try_divide` gives NULL instead."""

    code = "DIVIDE_BY_ZERO"


class ArithmeticOverflow(StatementFailed):
    """A number left the range of its type."""

    code = "ARITHMETIC_OVERFLOW"


class InvalidArrayIndex(StatementFailed):
    """An array has no element at that index; `get` and `try_element_at` give NULL instead."""

    code = "INVALID_ARRAY_INDEX"


class StatementCancelled(Cancelled):
    """Somebody stopped the statement."""

    code = "STATEMENT_CANCELLED"


class StatementTimedOut(DeadlineExceeded):
    """The statement ran longer than it may."""

    code = "STATEMENT_TIMED_OUT"


class OutOfMemory(ResourceExhausted):
    """The statement needs more memory, or more disk for spilling, than its worker has."""

    code = "OUT_OF_MEMORY"


class DiskFull(ResourceExhausted):
    """The disk is full; nothing was written."""

    code = "DISK_FULL"


class WarehouseBusy(ResourceExhausted):
    """The queue of the warehouse is full, or the wait was too long."""

    code = "WAREHOUSE_QUEUE_FULL"


class WorkerDied(Unavailable):
    """The process that ran the statement ended; another one takes its place."""

    code = "SQL_WORKER_LOST"


class SyntaxInvalid(InvalidArgument):
    """The text is not a statement of Databricks SQL; `details` holds the line and the column."""

    code = "PARSE_SYNTAX_ERROR"


class InvalidIdentifier(InvalidArgument):
    """A name has too many parts, or is not constant."""

    code = "INVALID_IDENTIFIER"


class ParameterInvalid(InvalidArgument):
    """A parameter's type is unknown, or its value does not fit."""

    code = "INVALID_PARAMETER_VALUE"


class UnboundParameter(InvalidArgument):
    """The statement has a parameter marker without a value."""

    code = "UNBOUND_SQL_PARAMETER"


class UnresolvedColumn(InvalidArgument):
    """No table of the statement has a column of that name."""

    code = "UNRESOLVED_COLUMN"


class FunctionArguments(InvalidArgument):
    """A function is called with the wrong arguments, or in a place where it cannot stand."""

    code = "INVALID_ROUTINE_CALL"


class ChangeBoundaryNull(InvalidArgument):
    """The first or the last version of a range of changes is NULL."""

    code = "DELTA_CDC_READ_NULL_RANGE_BOUNDARY"


class AssignmentArity(InvalidArgument):
    """A row has another number of columns than there are variables for it."""

    code = "ASSIGNMENT_ARITY_MISMATCH"


class DuplicateAssignment(InvalidArgument):
    """A statement sets a variable twice."""

    code = "DUPLICATE_ASSIGNMENTS"


class RowsTooMany(InvalidArgument):
    """A query whose row goes into variables gives several."""

    code = "ROW_SUBQUERY_TOO_MANY_ROWS"


class IntoWithoutQuery(InvalidArgument):
    """`EXECUTE IMMEDIATE ... INTO` of a statement that gives no rows."""

    code = "INVALID_STATEMENT_FOR_EXECUTE_INTO"


class ColumnCountMismatch(InvalidArgument):
    """The query gives another number of columns than the target takes."""

    code = "INSERT_COLUMN_ARITY_MISMATCH"


class NotNullViolated(InvalidArgument):
    """A column that may not be NULL would be."""

    code = "DELTA_NOT_NULL_CONSTRAINT_VIOLATED"


class ConstraintViolated(InvalidArgument):
    """A row does not fulfil a condition of its table."""

    code = "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES"


class ComputedColumn(InvalidArgument):
    """A value is given for a column that the table computes or counts up by itself, and it is another one."""

    code = "DELTA_GENERATED_COLUMNS_EXPR_MISMATCH"


class ConstraintExists(AlreadyExists):
    """The table has a constraint of that name, or a primary key."""

    code = "DELTA_CONSTRAINT_ALREADY_EXISTS"


class ConstraintMissing(NotFound):
    """The table has no constraint of that name."""

    code = "DELTA_CONSTRAINT_DOES_NOT_EXIST"


class RetentionTooShort(InvalidArgument):
    """Files would be deleted that running statements or older versions need."""

    code = "DELTA_VACUUM_RETENTION_PERIOD_TOO_SHORT"


class ColumnInUse(FailedPrecondition):
    """A column cannot be changed in this way while a constraint, a key, a partition or another column rests on it."""

    code = "DELTA_CONSTRAINT_DEPENDENT_COLUMN_CHANGE"


class MergeAmbiguous(InvalidArgument):
    """Several rows of the source want to change the same row of the target."""

    code = "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE"


class NonDeterministic(InvalidArgument):
    """A condition that decides which rows change must give the same answer twice."""

    code = "INVALID_NON_DETERMINISTIC_EXPRESSIONS"


class ViewRecursive(InvalidArgument):
    """A view reads itself, directly or through others."""

    code = "RECURSIVE_VIEW"


class ViewUnreadable(FailedPrecondition):
    """What a view is made of is gone, or its owner may no longer read it."""

    code = "VIEW_UNREADABLE"


class ProtectionUnusable(FailedPrecondition):
    """The row filter or a column mask of a table cannot be worked out, so nothing of the table is shown."""

    code = "ROW_COLUMN_ACCESS_UNUSABLE"


class RowsHidden(PermissionDenied):
    """A statement concerns all rows of a table whose row filter hides some of them from the caller."""

    code = "ROW_FILTER_HIDES_ROWS"


class TemporaryViewExists(AlreadyExists):
    """The session has a temporary view of that name."""

    code = "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS"


class FileReadFailed(InvalidArgument):
    """A file is not what it was said to be; the message names the file and, for text, the line."""

    code = "FAILED_READ_FILE"


class QuarantineRefused(FailedPrecondition):
    """Bad rows would lie beside the table as they stood in the files, and the table hides rows or columns from somebody."""

    code = "QUARANTINE_NOT_ALLOWED"


class FileTooHeavy(ResourceExhausted):
    """Reading a file takes more memory, time or space than one file may take."""

    code = "FILE_TOO_HEAVY"


class FileOptionInvalid(InvalidArgument):
    """An option of `read_files` or `COPY INTO` is unknown or has a wrong value."""

    code = "INVALID_FILE_OPTION"


class CopySchemaMismatch(InvalidArgument):
    """The files of `COPY INTO` have columns that the table lacks."""

    code = "COPY_INTO_SCHEMA_MISMATCH"


class TableWithoutColumns(InvalidArgument):
    """The table has no columns yet, so there is nothing to write to."""

    code = "DELTA_TABLE_WITHOUT_COLUMNS"


class StatementNotFound(NotFound):
    """No statement of that identifier belongs to the caller; results are removed after a time."""

    code = "STATEMENT_NOT_FOUND"


class ResultUnavailable(FailedPrecondition):
    """The statement has no result to fetch: it has not ended, has failed, or was closed."""

    code = "RESULT_NOT_AVAILABLE"


class ResultTooLarge(ResourceExhausted):
    """The results kept on this machine use up all the room that they may."""

    code = "RESULT_TOO_LARGE"


class ResultNoLongerAllowed(PermissionDenied):
    """A right that the result rests on was taken away since."""

    code = "RESULT_NO_LONGER_ALLOWED"


class SessionNotFound(NotFound):
    """No session of that identifier belongs to the caller; idle ones end."""

    code = "SESSION_NOT_FOUND"


class TooManySessions(ResourceExhausted):
    """The caller, or this machine, has too many open sessions."""

    code = "TOO_MANY_SESSIONS"


class WarehouseStopped(FailedPrecondition):
    """The warehouse is stopped and takes no statements."""

    code = "WAREHOUSE_STOPPED"


class WarehouseExists(AlreadyExists):
    """There is a warehouse of that name."""

    code = "WAREHOUSE_ALREADY_EXISTS"


class WarehouseInvalid(InvalidArgument):
    """A setting of a warehouse is out of range."""

    code = "INVALID_PARAMETER_VALUE"


class SettingUnknown(InvalidArgument):
    """A session has no setting of that name, or it does not take that value."""

    code = "INVALID_CONF_VALUE"


class DatatypeMismatch(InvalidArgument):
    """A function, an operator or a cast does not take values of these types."""

    code = "DATATYPE_MISMATCH"


class AmbiguousColumn(InvalidArgument):
    """Several tables of the statement have a column of that name."""

    code = "AMBIGUOUS_REFERENCE"


class FieldNotFound(InvalidArgument):
    """A struct has no field of that name."""

    code = "FIELD_NOT_FOUND"


class UnresolvedRoutine(InvalidArgument):
    """There is no function of that name."""

    code = "UNRESOLVED_ROUTINE"


class WrongNumberOfArguments(InvalidArgument):
    """A function takes fewer or more arguments."""

    code = "WRONG_NUM_ARGS"


class ArgumentInvalid(InvalidArgument):
    """An argument of a function has a value that it does not take (a unit, a format, a pattern)."""

    code = "INVALID_PARAMETER_VALUE"


class PositionInvalid(InvalidArgument):
    """GROUP BY or ORDER BY names a position that the select list does not have."""

    code = "GROUP_BY_POS_OUT_OF_RANGE"


class CountMismatch(InvalidArgument):
    """Two lists that belong together have different lengths (set operations, column aliases, VALUES)."""

    code = "NUM_COLUMNS_MISMATCH"


class FunctionExists(AlreadyExists):
    """There is a function of that name."""

    code = "ROUTINE_ALREADY_EXISTS"


class TableNotBound(NotFound):
    """A table of the statement is neither in the catalog nor in a WITH clause."""

    code = "TABLE_OR_VIEW_NOT_FOUND"


class ModelAnswerUnfit(InvalidArgument):
    """A model's answer is not in the form that the function asked for."""

    code = "MODEL_ANSWER_UNFIT"


class ModelInputsTooMany(ResourceExhausted):
    """A statement would ask a model more often than one statement may."""

    code = "MODEL_INPUTS_TOO_MANY"
