"""The functions that ask models: their names, what they take, and what they give.

Source: "AI Functions" in the Databricks SQL language reference.  `endpoint`, `failOnError` and `modelParameters` can be named in every
one of them here; Databricks takes them in `ai_query` only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from insjo.kernel.errors import InsjoError, InvalidArgument, did_you_mean
from insjo.sql.asking.forms import schema_of
from insjo.sql.dialect.types import DOUBLE, STRING, Kind, Type, parse_fields, parse_type, struct_of
from insjo.sql.errors import ArgumentInvalid, UnsupportedFeature, WrongNumberOfArguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHOICES_MAX = 500
"""Labels of one call at most."""

_COMMON = ("endpoint", "failonerror", "modelparameters")
_PARAMETERS: dict[str, tuple[tuple[str, ...], int]] = {
    "ai_query": (("endpoint", "request", "returntype", "failonerror", "modelparameters", "responseformat"), 2),
    "ai_classify": (("content", "labels"), 2),
    "ai_extract": (("content", "labels"), 2),
    "ai_mask": (("content", "labels"), 2),
    "ai_summarize": (("content", "max_words"), 1),
    "ai_translate": (("content", "to_lang"), 2),
    "ai_similarity": (("expr1", "expr2"), 2),
    "ai_gen": (("prompt",), 1),
    "ai_fix_grammar": (("content",), 1),
    "ai_analyze_sentiment": (("content",), 1),
}
"""Parameters of each function in their order, and how many of them it needs."""

_INPUTS = frozenset({"request", "content", "prompt", "expr1", "expr2"})
"""Parameters whose values come from rows; all others stand in the statement."""

SENTIMENTS = ("positive", "negative", "neutral", "mixed")


@dataclass(frozen=True, slots=True)
class ModelTask:
    """One call of a model function, without the values of its rows.

    Attributes:
        name: The function.
        endpoint: Which endpoint is asked; empty means the usual one.
        choices: Labels to choose from, to look for or to mask.
        words_max: Longest summary in words; 0 means no limit.
        language: Into which a text is translated.
        returns: Type of the value.
        schema: JSON schema of the answer, or None for a text.
        wraps: Whether the value stands in the answer under the name `answer`.
        fields: Further fields of the request: `max_tokens`, `temperature` ...
        fails: Whether a failure ends the statement; otherwise it is told beside the value.
    """

    name: str
    endpoint: str = ""
    choices: tuple[str, ...] = ()
    words_max: int = 0
    language: str = ""
    returns: Type = STRING
    schema: Mapping[str, object] | None = None
    wraps: bool = False
    fields: Mapping[str, object] = field(default_factory=dict)
    fails: bool = True

    @property
    def shown(self) -> Type:
        """Type of what stands in the place of the call."""
        return self.returns if self.fails else struct_of(("result", self.returns), ("errorMessage", STRING))


def model_functions() -> tuple[str, ...]:
    """Names of all functions that ask models."""
    return tuple(_PARAMETERS)


def is_model_function(name: str) -> bool:
    """Whether a function asks a model."""
    return name.lower() in _PARAMETERS


def is_call(node: exp.Expr) -> bool:
    """Whether a node calls such a function."""
    if not isinstance(node, exp.Anonymous) or not is_model_function(str(node.this)):
        return False
    return not (isinstance(node.parent, exp.Dot) and node.parent.expression is node)  # Then it is somebody's own, with a schema.


def read_call(call: exp.Anonymous) -> tuple[ModelTask, list[exp.Expr]]:
    """What a call asks for, and the expressions whose values it sends.

    Raises:
        WrongNumberOfArguments, ArgumentInvalid: The call is wrong.
        UnsupportedFeature: Something must be a constant, or is not supported.
    """
    name = str(call.this).lower()
    given = _placed(name, call.expressions)
    inputs = [given[each] for each in _PARAMETERS[name][0] if each in _INPUTS]
    fixed = {each: _constant(name, each, value) for each, value in given.items() if each not in _INPUTS}
    fields = fixed.get("modelparameters") or {}
    if not isinstance(fields, dict) or set(fields) & {"messages", "model", "stream", "n"}:
        message = f"`modelParameters` of `{name}` are written as `named_struct('max_tokens', 100, 'temperature', 0.0)`."
        raise ArgumentInvalid(message)
    fails = fixed.get("failonerror", True)
    if not isinstance(fails, bool):
        message = f"`failOnError` of `{name}` is TRUE or FALSE."
        raise ArgumentInvalid(message)
    endpoint = _text(name, "endpoint", fixed.get("endpoint", ""))
    return _task(name, fixed, ModelTask(name, endpoint, fields=fields, fails=fails)), inputs


def _task(name: str, fixed: Mapping[str, Any], plain: ModelTask) -> ModelTask:
    """The task with what is its own."""
    if name == "ai_query":
        return _query(fixed, plain)
    if name == "ai_similarity":
        return replace(plain, returns=DOUBLE)
    if name == "ai_translate":
        return replace(plain, language=_text(name, "to_lang", fixed["to_lang"]))
    if name == "ai_summarize":
        words = fixed.get("max_words", 50)
        if not isinstance(words, int) or isinstance(words, bool) or words < 0:
            message = "`max_words` of `ai_summarize` is a whole number, and 0 means no limit."
            raise ArgumentInvalid(message)
        return replace(plain, words_max=words)
    if name == "ai_analyze_sentiment":
        return replace(plain, choices=SENTIMENTS, schema=_one_of(SENTIMENTS), wraps=True)
    return _labelled(name, fixed["labels"], plain) if "labels" in fixed else plain


def _labelled(name: str, labels: object, plain: ModelTask) -> ModelTask:
    """A task that works with labels."""
    choices = _choices(name, labels)
    if name == "ai_classify":
        return replace(plain, choices=choices, schema=_one_of(choices), wraps=True)
    if name == "ai_extract":
        of_type = struct_of(*((each, STRING) for each in choices))
        return replace(plain, choices=choices, returns=of_type, schema=schema_of(of_type))
    return replace(plain, choices=choices)


def _query(fixed: Mapping[str, Any], plain: ModelTask) -> ModelTask:
    """`ai_query` with the type or the format of its answer."""
    asked, wanted = fixed.get("responseformat"), fixed.get("returntype")
    if not plain.endpoint:
        message = "`ai_query` takes the name of an endpoint as a text."
        raise ArgumentInvalid(message)
    if asked is not None and wanted is not None:
        message = "`ai_query` takes either `returnType` or `responseFormat`."
        raise ArgumentInvalid(message)
    if asked is not None:
        return replace(plain, fields={**plain.fields, "response_format": _format(_text("ai_query", "responseFormat", asked))})
    if wanted is None:
        return plain
    returns = _type(_text("ai_query", "returnType", wanted))
    if returns.kind is Kind.STRING:
        return plain
    if returns.kind is Kind.STRUCT:
        return replace(plain, returns=returns, schema=schema_of(returns))
    return replace(plain, returns=returns, schema=schema_of(struct_of(("answer", returns))), wraps=True)


def _type(text: str) -> Type:
    """A type, or the fields of a struct, as `from_json` takes them."""
    try:
        return parse_type(text)
    except InvalidArgument:
        return parse_fields(text)


def _format(text: str) -> object:
    """`responseFormat`: JSON as the wire has it, or a type."""
    if not text.lstrip().startswith("{"):
        kind = _type(text)
        while kind.kind is Kind.STRUCT and len(kind.fields) == 1 and kind.fields[0].type.kind is Kind.STRUCT:
            kind = kind.fields[0].type
        return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema_of(kind)}}
    try:
        found = json.loads(text)
    except ValueError as error:
        message = "`responseFormat` of `ai_query` is no JSON."
        raise ArgumentInvalid(message) from error
    return found


def _one_of(choices: Sequence[str]) -> dict[str, object]:
    """Schema of an answer that is one of some texts."""
    return {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": list(choices)}},
        "required": ["answer"],
        "additionalProperties": False,
    }


def _choices(name: str, given: object) -> tuple[str, ...]:
    """Labels of a call."""
    if not isinstance(given, list) or not given or not all(isinstance(each, str) and each.strip() for each in given):
        message = f"`labels` of `{name}` are texts, for example `ARRAY('urgent', 'not urgent')`."
        raise ArgumentInvalid(message)
    if len(given) > CHOICES_MAX or len(set(given)) != len(given):
        message = f"`labels` of `{name}` are at most {CHOICES_MAX}, and each stands there once."
        raise ArgumentInvalid(message)
    return tuple(given)


def _text(name: str, parameter: str, value: object) -> str:
    if not isinstance(value, str):
        message = f"`{parameter}` of `{name}` is a text."
        raise ArgumentInvalid(message)
    return value


def _placed(name: str, arguments: Sequence[exp.Expr]) -> dict[str, exp.Expr]:
    """Arguments by their parameter in lower case."""
    known, needed = _PARAMETERS[name]
    named = (*known, *(each for each in _COMMON if each not in known))
    placed: dict[str, exp.Expr] = {}
    for place, each in enumerate(arguments):
        if isinstance(each, exp.Kwarg):
            parameter, value = each.this.name.lower(), each.expression
        elif place < len(known):
            parameter, value = known[place], each
        else:
            message = f"`{name}` takes at most {len(known)} arguments by position, and {len(arguments)} are given."
            raise WrongNumberOfArguments(message)
        if parameter == "files":
            message = f"`files` of `{name}` is not supported."
            raise UnsupportedFeature(message, details={"feature": "files in a model function"})
        if parameter not in named or parameter in placed:
            message = f"`{name}` has no parameter `{parameter}`, or it is given twice."
            raise ArgumentInvalid(message, hint=did_you_mean(parameter, named))
        placed[parameter] = value
    missing = [each for each in known[:needed] if each not in placed]
    if missing:
        message = f"`{name}` needs a value for `{missing[0]}`."
        raise WrongNumberOfArguments(message)
    return placed


def _constant(name: str, parameter: str, node: exp.Expr) -> object:
    """Value of an argument that stands in the statement."""
    try:
        return constant(node)
    except ValueError:
        message = f"`{parameter}` of `{name}` must be a constant."
        raise UnsupportedFeature(message, details={"feature": "computed argument of a model function"}) from None


def constant(node: exp.Expr) -> Any:  # noqa: ANN401  # A value of any type.
    """Value of a constant expression; ValueError when it is none."""
    if isinstance(node, exp.Paren | exp.Cast):
        return constant(node.this)
    if isinstance(node, exp.Literal):
        text = str(node.this)
        return text if node.is_string else int(text) if text.isdigit() else float(text)
    if isinstance(node, exp.RawString):
        return str(node.this)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Neg):
        return -constant(node.this)
    if isinstance(node, exp.DPipe):
        return str(constant(node.this)) + str(constant(node.expression))
    if isinstance(node, exp.Anonymous):
        return _constant_call(str(node.this).lower(), list(node.expressions))
    raise ValueError


def _constant_call(name: str, arguments: list[exp.Expr]) -> object:
    """Value of `array`, `named_struct`, `map`, `struct` and `concat` over constants."""
    if name == "struct":
        return {each.alias: constant(each.this) for each in arguments if isinstance(each, exp.Alias)}
    values = [constant(each) for each in arguments]
    if name == "array":
        return values
    if name in {"named_struct", "map"} and len(values) % 2 == 0:
        return {str(key): value for key, value in zip(values[::2], values[1::2], strict=True)}
    if name == "concat":
        return "".join(str(each) for each in values)
    raise ValueError


def unplaced(name: str, where: str, hint: str = "") -> InsjoError:
    """The error for a call that cannot stand where it stands."""
    message = f"`{name}` is not supported {where}."
    return UnsupportedFeature(message, hint=hint or "Compute it in a subquery or a CTE first.", details={"feature": f"{name} {where}"})
