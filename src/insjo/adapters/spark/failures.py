"""Errors of Spark Connect in the words of the SQL room.

The server's own text is never passed on: it may hold values of rows, paths and addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from insjo.kernel.errors import InsjoError, Unavailable
from insjo.sql.errors import (
    ArithmeticOverflow,
    CastInvalidInput,
    CastOverflow,
    DivideByZero,
    InvalidArrayIndex,
    OutOfMemory,
    StatementFailed,
    UnsupportedFeature,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_HINT = "Run the statement on a warehouse on DuckDB."


class SparkAway(Unavailable):
    """The Spark Connect server of a warehouse does not answer."""

    code = "SPARK_UNAVAILABLE"


def _odd_text() -> InsjoError:
    return UnsupportedFeature(
        "A text in a column has a form that servers of Spark read differently.",
        hint=_HINT,
        details={"feature": "texts of this form on Spark"},
    )


_BY_TEXT: tuple[tuple[tuple[str, ...], Callable[[], InsjoError]], ...] = (
    (("insjo_odd_text",), _odd_text),
    (("divide by zero", "by zero"), lambda: DivideByZero("Division by zero.", hint="Use `try_divide` to get NULL instead.")),
    (("invalid_array_index", "out of bounds"), lambda: InvalidArrayIndex("An index lies outside its array.", hint="Use `get`.")),
    (("can't cast value", "out of range", "too large to store"), lambda: CastOverflow("A value does not fit into the type.")),
    (("overflow",), lambda: ArithmeticOverflow("A number became too large for its type.", hint="Use `try_add` and its kin.")),
    (
        ("cannot cast", "cast_invalid_input", "error parsing"),
        lambda: CastInvalidInput("A value cannot be read as the type.", hint="Use `try_cast`."),
    ),
    (("resources exhausted", "outofmemory", "out of memory"), lambda: OutOfMemory("The statement needs more memory than the cluster has.")),
    (
        ("unavailable", "failed to connect", "connection refused", "deadline exceeded", "socket closed"),
        lambda: SparkAway("The Spark Connect server of the warehouse does not answer.", hint="Start it, or choose another warehouse."),
    ),
)
_UNABLE = ("AnalysisException", "ParseException", "UnsupportedOperationException", "IllegalArgumentException")


def told(error: BaseException) -> InsjoError:
    """The error for what the library raised."""
    if isinstance(error, InsjoError):
        return error
    text = f"{type(error).__name__} {error}".lower()
    for marks, make in _BY_TEXT:
        if any(mark in text for mark in marks):
            return make()
    if type(error).__name__ in _UNABLE:
        return UnsupportedFeature("The server behind the warehouse does not know a part of this statement.", hint=_HINT,
                                  details={"feature": "a part of the statement on Spark"})  # fmt: skip
    return StatementFailed("The statement failed on the server behind the warehouse.", hint=_HINT)
