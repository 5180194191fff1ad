"""SQL functions: a call is replaced by the function's body, whose tables are read with the rights of the function's owner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from sqlglot import exp

from insjo.access.types import Privilege
from insjo.kernel.errors import NotFound
from insjo.sql.asking.tasks import is_model_function
from insjo.sql.binding.names import NameSpace
from insjo.sql.binding.needs import Need
from insjo.sql.binding.references import references
from insjo.sql.dialect.names import is_known
from insjo.sql.errors import FunctionArguments, UnsupportedFeature
from insjo.sql.parsing.constants import RESERVED, parse_type
from insjo.sql.parsing.grammar import parse_tree
from insjo.sql.parsing.rows import QUERY_NODES, checked_query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from insjo.catalog.types import Column, TableName
    from insjo.kernel.context import PrincipalRef, RequestContext
    from insjo.sql.binding.bound import Build
    from insjo.sql.binding.references import Reference

DEPTH_MAX = 20
SCOPE_KEY = "insjo_scope"
"""Key in a table's `meta` under which the owner and the names of the function stand that the table comes from."""

_VOLATILE = frozenset({"rand", "random", "randn", "uuid", "monotonically_increasing_id"})


@dataclass(frozen=True, slots=True)
class FunctionParameter:
    """Parameter of a function; `default` is the text of an expression, or empty."""

    name: str
    type_text: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class SqlFunction:
    """A function written in SQL.

    Attributes:
        returns: Databricks type of the value; empty for a table function.
        returns_columns: Columns of a table function; empty for a scalar one.
        body: Text of an expression or of a query.
    """

    id: str
    name: TableName
    parameters: tuple[FunctionParameter, ...]
    returns: str
    returns_columns: tuple[Column, ...]
    body: str
    owner: PrincipalRef
    comment: str = ""
    created_at: datetime | None = None
    created_by: str = ""

    @property
    def is_table(self) -> bool:
        """Whether it gives rows."""
        return bool(self.returns_columns)


@dataclass(frozen=True, slots=True)
class FunctionScope:
    """Whose rights and which names count for the tables in a function's body."""

    owner: PrincipalRef
    catalog: str
    schema: str


class FunctionSource(Protocol):
    """Where functions are kept."""

    def resolve(self, ctx: RequestContext, name: TableName) -> SqlFunction:
        """The function, if the caller may run it; NotFound or PermissionDenied otherwise."""
        ...

    def exists(self, name: TableName) -> bool:
        """Whether anybody made such a function."""
        ...

    def load(self, function_id: str) -> SqlFunction:
        """A function that protects a table, whoever asks; NotFound when it is gone."""
        ...


class Functions:
    """Replaces calls of SQL functions in trees.

    Args:
        source: Where functions are kept.
    """

    def __init__(self, source: FunctionSource) -> None:
        self._source = source

    def expand(self, ctx: RequestContext, tree: exp.Expr, names: NameSpace, build: Build, depth: int = 0) -> None:
        """Replace in place."""
        if depth > DEPTH_MAX:
            message = f"Functions call each other more than {DEPTH_MAX} levels deep."
            raise UnsupportedFeature(message, details={"feature": "recursive functions"})
        for node in list(tree.walk()):
            if isinstance(node, exp.Table) and isinstance(node.this, exp.Anonymous):
                self._expand_table(ctx, node, names, build, depth)
            elif isinstance(node, exp.Anonymous) and not isinstance(node.parent, exp.Table):
                self._expand_scalar(ctx, node, names, build, depth)

    def applied(self, ctx: RequestContext, function_id: str, given: Sequence[tuple[exp.Expr, str]], build: Build) -> exp.Expr:
        """Value of a function that protects a table; it needs no right of the caller.

        Args:
            ctx: Who asks.
            function_id: Which function.
            given: Arguments with their types; no name in them can mean anything inside the body.
            build: Takes what the body reads.
        """
        found = self._source.load(function_id)
        if found.is_table or len(given) > len(found.parameters):
            message = f"The function does not take {len(given)} arguments, or it gives rows."
            raise FunctionArguments(message)
        values = _arguments(found, [value for value, _ in given])
        for parameter, (value, kind) in zip(found.parameters, given, strict=False):
            if kind == parameter.type_text:
                values[parameter.name.lower()] = value
        body = self._body(ctx, found, values, build, 0)
        value = exp.Subquery(this=body) if isinstance(body, exp.Query) and not isinstance(body, exp.Subquery) else exp.Paren(this=body)
        return exp.Cast(this=value, to=parse_type(found.returns)) if found.returns else value

    def _expand_scalar(self, ctx: RequestContext, call: exp.Anonymous, names: NameSpace, build: Build, depth: int) -> None:
        """One call in an expression."""
        whole, qualifier = _qualified(call)
        found = self._find(ctx, (*qualifier, str(call.this)), names)
        if found is None:
            return
        if found.is_table:
            message = f"`{found.name.full_name}` gives rows; call it in the FROM clause."
            raise FunctionArguments(message)
        build.needs.append(Need(Privilege.EXECUTE, found.id))
        build.cacheable = False
        body = self._body(ctx, found, _arguments(found, call.expressions), build, depth)
        value: exp.Expr = (
            exp.Subquery(this=body) if isinstance(body, exp.Query) and not isinstance(body, exp.Subquery) else exp.Paren(this=body)
        )
        whole.replace(exp.Cast(this=value, to=parse_type(found.returns)) if found.returns else value)

    def _expand_table(self, ctx: RequestContext, node: exp.Table, names: NameSpace, build: Build, depth: int) -> None:
        """One call as a source of rows."""
        call = node.this
        qualifier = tuple(part for part in (node.catalog, node.db) if part)
        found = self._find(ctx, (*qualifier, str(call.this)), names)
        if found is None:
            return
        if not found.is_table:
            message = f"`{found.name.full_name}` gives one value, not rows."
            raise FunctionArguments(message)
        if any(node.args.get(key) for key in ("pivots", "sample", "joins", "laterals", "version")):
            message = "A clause behind a table function is not supported."
            raise UnsupportedFeature(message, hint="Put the call into a subquery.", details={"feature": "clause behind a table function"})
        given = _arguments(found, call.expressions)
        if any(each.find(exp.Column) for each in given.values()):
            message = f"The arguments of the table function `{found.name.full_name}` must be constants."
            raise UnsupportedFeature(message, details={"feature": "table function over columns"})
        build.needs.append(Need(Privilege.EXECUTE, found.id))
        build.cacheable = False
        body = checked_query(self._body(ctx, found, given, build, depth))
        inner_names = [exp.to_identifier(f"c{at}", quoted=True) for at in range(len(found.returns_columns))]
        inner = exp.Subquery(this=body, alias=exp.TableAlias(this=exp.to_identifier("__insjo_f"), columns=inner_names))
        outputs = [
            exp.alias_(exp.Cast(this=exp.column(f"c{at}", quoted=True), to=parse_type(column.type_text)), column.name, quoted=True)
            for at, column in enumerate(found.returns_columns)
        ]
        alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(found.name.name, quoted=True))
        node.replace(exp.Subquery(this=exp.Select(expressions=outputs, from_=exp.From(this=inner)), alias=alias))

    def _find(self, ctx: RequestContext, parts: Sequence[str], names: NameSpace) -> SqlFunction | None:
        """The function of a name, or None for one of the dialect's own, which go first."""
        if len(parts) == 1 and (is_known(parts[0]) or is_model_function(parts[0])):
            return None
        if len(parts) == 2 and parts[0].lower() in {"builtin", "session"}:  # noqa: PLR2004  # Schema and name.
            return None
        name = names.table(tuple(parts))
        if len(parts) > 1:
            return self._source.resolve(ctx, name)
        if not self._source.exists(name):
            return None
        try:
            return self._source.resolve(ctx, name)
        except NotFound:
            return None  # One that is hidden from the caller is told in the same words as one that nobody made.

    def _body(self, ctx: RequestContext, found: SqlFunction, given: Mapping[str, exp.Expr], build: Build, depth: int) -> exp.Expr:
        """The body with the arguments in the places of the parameters."""
        own = FunctionScope(found.owner, found.name.catalog, found.name.schema)
        holder = exp.Paren(this=parsed_body(found.body))
        _refuse_capture(found, holder, given)
        for column in list(holder.find_all(exp.Column)):
            if column.table and column.table.lower() != found.name.name:
                continue
            value = given.get(column.name.lower())
            if value is not None and not isinstance(column.this, exp.Star):
                column.replace(exp.Paren(this=value.copy()))
        names = NameSpace(own.catalog, own.schema)
        self.expand(replace(ctx, principal=found.owner), holder, names, build, depth + 1)
        for reference in references(holder):
            if reference.parts and SCOPE_KEY not in reference.node.meta:
                reference.node.meta[SCOPE_KEY] = own
                _spell_out(reference, names)
        return holder.this.pop()  # type: ignore[no-any-return]  # sqlglot's args are untyped.


def parsed_body(text: str) -> exp.Expr:
    """Tree of a function's body: an expression or a query."""
    tree = parse_tree("SELECT " + text) if not _begins_query(text) else parse_tree(text)
    if _begins_query(text):
        return tree
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1 or tree.args.get("from_") or tree.args.get("where"):
        message = "The body of a function is one expression or one query."
        raise FunctionArguments(message)
    return tree.expressions[0].unalias().pop()  # type: ignore[no-any-return]  # sqlglot's lists are untyped.


def _begins_query(text: str) -> bool:
    words = text.lstrip().split(None, 1)
    return bool(words) and words[0].upper() in {"SELECT", "WITH", "VALUES", "FROM"}


def _qualified(call: exp.Anonymous) -> tuple[exp.Expr, tuple[str, ...]]:
    """The node that is the whole call, and the catalog and schema in front of its name."""
    parent = call.parent
    if not isinstance(parent, exp.Dot) or parent.expression is not call:
        return call, ()
    parts: list[str] = []
    left = parent.this
    while isinstance(left, exp.Dot):
        if not isinstance(left.expression, exp.Identifier):
            return call, ()
        parts.append(left.expression.name)
        left = left.this
    if (isinstance(left, exp.Column) and not left.table) or isinstance(left, exp.Identifier):
        parts.append(left.name)
    else:
        return call, ()
    return parent, tuple(reversed(parts))


def _arguments(found: SqlFunction, given: Sequence[exp.Expr]) -> dict[str, exp.Expr]:
    """Values by the parameter's name in lower case, each in its declared type."""
    values: dict[str, exp.Expr] = {}
    known = [parameter.name.lower() for parameter in found.parameters]
    for place, argument in enumerate(given):
        if isinstance(argument, exp.Kwarg):
            name, value = argument.this.name.lower(), argument.expression
        elif place < len(known):
            name, value = known[place], argument
        else:
            message = f"`{found.name.full_name}` takes {len(known)} arguments, and {len(given)} are given."
            raise FunctionArguments(message)
        if name not in known or name in values:
            message = f"`{found.name.full_name}` has no parameter `{name}`, or it is given twice."
            raise FunctionArguments(message)
        values[name] = value
    for parameter in found.parameters:
        name = parameter.name.lower()
        if name not in values and not parameter.default:
            message = f"`{found.name.full_name}` needs a value for `{parameter.name}`."
            raise FunctionArguments(message)
        value = values[name] if name in values else parsed_body(parameter.default)
        if any(isinstance(each, exp.Anonymous) and str(each.this).lower() in _VOLATILE for each in value.walk()):
            message = "A random value as an argument of a SQL function is not supported."
            raise UnsupportedFeature(message, details={"feature": "random argument of a SQL function"})
        values[name] = exp.Cast(this=value.copy(), to=parse_type(parameter.type_text))
    return values


def _refuse_capture(found: SqlFunction, body: exp.Expr, given: Mapping[str, exp.Expr]) -> None:
    """Refuse what would mean something else inside the body: a column that is also a name there."""
    columns = {column.name.lower() for value in given.values() for column in value.find_all(exp.Column)}
    columns = {name for name in columns if not name.startswith(RESERVED)}
    if columns and body.find(exp.Table):
        message = f"The function `{found.name.full_name}` reads tables; its arguments must be constants."
        raise UnsupportedFeature(message, details={"feature": "function that reads tables over columns"})
    own = {each.name.lower() for one in body.find_all(exp.Lambda) for each in one.expressions}
    if columns & own:
        message = f"A column in a call of `{found.name.full_name}` has the name of a variable of the function: `{min(columns & own)}`."
        raise UnsupportedFeature(message, details={"feature": "column named as a variable of the function"})


def _spell_out(reference: Reference, names: NameSpace) -> None:
    """Give a table in a body its full name, so that no CTE of the caller can take its place; its alias stays the short one."""
    node = reference.node
    full = names.table(reference.parts)
    if not node.alias:
        node.set("alias", exp.TableAlias(this=exp.to_identifier(reference.parts[-1], quoted=True)))
    node.set("this", exp.to_identifier(full.name, quoted=True))
    node.set("db", exp.to_identifier(full.schema, quoted=True))
    node.set("catalog", exp.to_identifier(full.catalog, quoted=True))


def is_query(tree: exp.Expr) -> bool:
    """Whether a body is a query."""
    return isinstance(tree, QUERY_NODES)
