"""A check of JSON against a schema: the keywords of JSON Schema that model providers understand, and no others.

Expressions (`pattern`) and references to elsewhere are refused when the schema is set, so that a check always ends soon.
"""

from __future__ import annotations

from typing import Any, Final

from insjo.gateway.errors import EndpointInvalid

DEPTH_MAX: Final = 32
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_ALONE: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"})
_WORDS: Final = frozenset({"title", "description", "default", "examples", "$schema", "$id", "$comment", "format", "deprecated"})
_KNOWN: Final = (
    _ALONE
    | _WORDS
    | {
        *(
            "type",
            "enum",
            "const",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "prefixItems",
            "anyOf",
            "oneOf",
            "allOf",
            "not",
        )
    }
)


def check_schema(schema: Any, depth: int = 0) -> None:  # noqa: ANN401  # JSON is what it is.
    """Refuse a schema with anything that would not be checked.

    Raises:
        EndpointInvalid: It has an unknown keyword, or is nested too deeply.
    """
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict) or depth > DEPTH_MAX:
        message = "The schema is no JSON object, or nested too deeply."
        raise EndpointInvalid(message)
    unknown = sorted(set(schema) - _KNOWN)
    types = schema.get("type", [])
    strange = [each for each in (types if isinstance(types, list) else [types]) if each not in _TYPES]
    if unknown or strange:
        message = f"The keyword `{(unknown or strange)[0]}` of the schema is not checked here."
        raise EndpointInvalid(message, hint=f"Known are {', '.join(sorted(_KNOWN - _WORDS))}.")
    below = [
        *dict(schema.get("properties", {})).values(),
        *(schema[name] for name in ("items", "additionalProperties", "not") if name in schema),
    ]
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        below += list(schema.get(name, []))
    for each in below:
        check_schema(each, depth + 1)


def problem_of(value: Any, schema: Any, where: str = "$") -> str:  # noqa: ANN401  # JSON is what it is; the first problem is told.
    """The first place where a value does not fit, or an empty text."""
    if isinstance(schema, bool):
        return "" if schema else f"{where} must not be there"
    types = schema.get("type")
    if types is not None and not any(_is(value, each) for each in (types if isinstance(types, list) else [types])):
        return f"{where} is not of type {types}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is none of the values that are allowed"
    if "const" in schema and value != schema["const"]:
        return f"{where} is not the value that is wanted"
    if bounds := _bounds(value, schema, where):
        return bounds
    if isinstance(value, dict) and (inside := _object(value, schema, where)):
        return inside
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        for place, each in enumerate(value):
            if found := problem_of(each, first[place] if place < len(first) else schema.get("items", True), f"{where}[{place}]"):
                return found
    return _combined(value, schema, where)


def _is(value: Any, name: str) -> bool:  # noqa: ANN401  # JSON is what it is.
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _bounds(value: Any, schema: dict[str, Any], where: str) -> str:  # noqa: ANN401  # JSON is what it is.
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        below = value < schema.get("minimum", value) or value <= schema.get("exclusiveMinimum", value - 1)
        if below or value > schema.get("maximum", value) or value >= schema.get("exclusiveMaximum", value + 1):
            return f"{where} is out of range"
    for kind, least, most in ((str, "minLength", "maxLength"), (list, "minItems", "maxItems")):
        if isinstance(value, kind) and not schema.get(least, 0) <= len(value) <= schema.get(most, len(value)):
            return f"{where} is too short or too long"
    return ""


def _object(value: dict[str, Any], schema: dict[str, Any], where: str) -> str:
    known = schema.get("properties", {})
    missing = [name for name in schema.get("required", []) if name not in value]
    if missing:
        return f"{where} lacks `{missing[0]}`"
    for name, each in value.items():
        if found := problem_of(each, known.get(name, schema.get("additionalProperties", True)), f"{where}.{name}"):
            return found
    return ""


def _combined(value: Any, schema: dict[str, Any], where: str) -> str:  # noqa: ANN401  # JSON is what it is.
    for each in schema.get("allOf", []):
        if found := problem_of(value, each, where):
            return found
    if "anyOf" in schema and all(problem_of(value, each, where) for each in schema["anyOf"]):
        return f"{where} fits none of the forms"
    if "oneOf" in schema and sum(not problem_of(value, each, where) for each in schema["oneOf"]) != 1:
        return f"{where} does not fit exactly one of the forms"
    if "not" in schema and not problem_of(value, schema["not"], where):
        return f"{where} has a form that is not allowed"
    return ""
