"""Types of Databricks SQL as JSON schemas, and values of JSON in those types."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from insjo.sql.dialect.types import Kind, Type
from insjo.sql.errors import ModelAnswerUnfit, UnsupportedFeature

if TYPE_CHECKING:
    from collections.abc import Callable

_INTEGER_BITS = {Kind.TINYINT: 8, Kind.SMALLINT: 16, Kind.INT: 32, Kind.BIGINT: 64}


def schema_of(kind: Type) -> dict[str, object]:
    """JSON schema of the values of a type.

    Raises:
        UnsupportedFeature: A model cannot be asked for such values.
    """
    if kind.kind is Kind.STRUCT:
        return {
            "type": "object",
            "properties": {each.name: schema_of(each.type) for each in kind.fields},
            "required": [each.name for each in kind.fields],
            "additionalProperties": False,
        }
    if kind.kind is Kind.ARRAY:
        return {"type": "array", "items": schema_of(kind.item)}
    if kind.kind is Kind.STRING or kind.is_datetime:
        return {"type": "string"}
    if kind.is_integral:
        return {"type": "integer"}
    if kind.is_numeric:
        return {"type": "number"}
    if kind.kind is Kind.BOOLEAN:
        return {"type": "boolean"}
    message = f"A model cannot be asked for a value of type `{kind.text}`."
    raise UnsupportedFeature(message, details={"feature": "type of a model's answer"})


def read_json(text: str) -> Any:  # noqa: ANN401  # JSON is what it is.
    """JSON of an answer, also when it stands in a fence.

    Raises:
        ModelAnswerUnfit: There is none.
    """
    begin = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
    for candidate in (text, text[begin : max(text.rfind("}"), text.rfind("]")) + 1] if begin >= 0 else ""):
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    message = "The model's answer is no JSON."
    raise ModelAnswerUnfit(message)


def fit(value: Any, kind: Type) -> Any:  # noqa: ANN401  # JSON in, a value for Arrow out.
    """A value of JSON in a type; missing fields of a struct are NULL.

    Raises:
        ModelAnswerUnfit: It does not fit.
    """
    if value is None:
        return None
    try:
        return _fitted(value, kind)
    except (ValueError, TypeError, InvalidOperation, OverflowError) as error:
        message = f"The model's answer does not hold a value of type `{kind.text}`."
        raise ModelAnswerUnfit(message) from error


def _fitted(value: Any, kind: Type) -> Any:  # noqa: ANN401  # As `fit`.
    if kind.is_datetime:
        return _moment(str(value).strip(), kind.kind)
    if kind.is_integral:
        return _whole(value, _INTEGER_BITS[kind.kind])
    return _OTHERS[kind.kind](value, kind)


def _struct(value: Any, kind: Type) -> object:  # noqa: ANN401  # As `fit`.
    by_name = {str(name).lower(): each for name, each in dict(value).items()}
    return {each.name: fit(by_name.get(each.name.lower()), each.type) for each in kind.fields}


def _moment(text: str, kind: Kind) -> object:
    if kind is Kind.DATE:
        return date.fromisoformat(text[:10])
    moment = datetime.fromisoformat(text)
    if kind is Kind.TIMESTAMP:
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.replace(tzinfo=None)


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in {"true", "false"}:
        raise ValueError
    return word == "true"


def _whole(value: Any, bits: int) -> int:  # noqa: ANN401  # As `fit`.
    number = Decimal(str(value).strip())
    if isinstance(value, bool) or number != number.to_integral_value() or not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise ValueError
    return int(number)


_OTHERS: dict[Kind, Callable[[Any, Type], object]] = {
    Kind.STRUCT: _struct,
    Kind.ARRAY: lambda value, kind: [fit(each, kind.item) for each in list(value)],
    Kind.STRING: lambda value, _: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
    Kind.BOOLEAN: lambda value, _: _truth(value),
    Kind.DECIMAL: lambda value, kind: Decimal(str(value)).quantize(Decimal(1).scaleb(-kind.scale)),
    Kind.FLOAT: lambda value, _: float(value),
    Kind.DOUBLE: lambda value, _: float(value),
}
