"""Errors of the SQL room."""

from __future__ import annotations

from insjo.kernel.errors import Cancelled, DeadlineExceeded, InvalidArgument, ResourceExhausted, Unavailable, Unimplemented


class UnsupportedFeature(Unimplemented):
    """Insjö cannot compute this as Databricks does, so it does not compute it at all."""

    code = "UNSUPPORTED_FEATURE"


class StatementFailed(InvalidArgument):
    """The engine refused the statement, or a value made it fail (a bad cast, a division by zero)."""

    code = "STATEMENT_FAILED"


class CastInvalidInput(StatementFailed):
    """A value cannot be cast to the type asked for."""

    code = "CAST_INVALID_INPUT"


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
