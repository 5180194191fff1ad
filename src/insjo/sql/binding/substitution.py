"""Puts constants where a statement asks for what only its session knows: parameters, variables, and names in texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from insjo.sql.errors import InvalidIdentifier, UnsupportedFeature
from insjo.sql.parsing.constants import SOURCE_KEY, ValueSource, constant_text
from insjo.sql.parsing.cursor import split_name
from insjo.sql.parsing.rows import table_node

if TYPE_CHECKING:
    from insjo.sql.binding.names import NameSpace
    from insjo.sql.parsing.constants import ParameterValues


class Substitution:
    """Replaces in one tree; made for one statement."""

    def __init__(self, names: NameSpace, parameters: ParameterValues) -> None:
        """Keep what the values come from."""
        self._names = names
        self._parameters = parameters
        self.sources: list[ValueSource] = []
        """Where values come from that were put in and that were read from tables before."""

    def apply(self, tree: exp.Expr) -> None:
        """Replace in place; the root itself stays."""
        for node in list(tree.walk()):
            if node is tree or node.parent is None:
                continue
            replacement = self._replacement(node)
            if replacement is not None:
                node.replace(replacement)
        self._replace_variables(tree)

    def _replacement(self, node: exp.Expr) -> exp.Expr | None:
        """What stands for a node, or None when it stays."""
        if isinstance(node, exp.Placeholder) and node.name:
            value = self._parameters.expression(node.name)
            source = self._parameters.source(node.name)
            if source is not None:
                self.sources.append(source)
            return exp.Paren(this=value) if isinstance(value, exp.Neg) else value
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Anonymous) and str(node.this.this).lower() == "identifier":
            return self._named_table(node, node.this)
        if isinstance(node, exp.Anonymous) and str(node.this).lower() == "identifier" and not isinstance(node.parent, exp.Table):
            return self._named_column(node)
        return None

    def _named_column(self, node: exp.Anonymous) -> exp.Column:
        """`IDENTIFIER('a.b')` as a column."""
        if len(node.expressions) != 1:
            message = "`IDENTIFIER` takes one text."
            raise InvalidIdentifier(message)
        parts = split_name(constant_text(node.expressions[0], self._parameters, "IDENTIFIER"))
        if len(parts) > 4:  # noqa: PLR2004  # Catalog, schema, table, column.
            message = f"`{'.'.join(parts)}` is not the name of a column."
            raise InvalidIdentifier(message)
        keys = ("this", "table", "db", "catalog")
        return exp.Column(**{key: exp.to_identifier(part, quoted=True) for key, part in zip(keys, reversed(parts), strict=False)})

    def _named_table(self, node: exp.Table, call: exp.Anonymous) -> exp.Table:
        """`IDENTIFIER('a.b.c')` as a table."""
        if len(call.expressions) != 1 or node.args.get("db"):
            message = "`IDENTIFIER` takes one text."
            raise InvalidIdentifier(message)
        named = table_node(split_name(constant_text(call.expressions[0], self._parameters, "IDENTIFIER")))
        for key, value in node.args.items():
            if key not in {"this", "db", "catalog"} and value:
                named.set(key, value)
        return named

    def _replace_variables(self, tree: exp.Expr) -> None:
        """Session variables: a name that no source and no alias in the statement gives."""
        variables = {name.lower(): value for name, value in self._names.variables.items()}
        if not variables:
            return
        aliases = {each.alias.lower() for each in tree.find_all(exp.Alias) if each.this.name.lower() != each.alias.lower()}
        lambdas = {each.name.lower() for one in tree.find_all(exp.Lambda) for each in one.expressions}
        for column in list(tree.find_all(exp.Column)):
            name = column.name.lower()
            qualified = column.table.lower() == "session" and not isinstance(column.this, exp.Star)
            if name not in variables or name in lambdas:
                continue
            if qualified or (not column.table and name not in aliases and not _has_source(column)):
                column.replace(exp.Paren(this=variables[name].copy()))
                source = variables[name].meta.get(SOURCE_KEY)
                if isinstance(source, ValueSource):
                    self.sources.append(source)
            elif not column.table:
                message = f"The session variable `{name}` may be a column here."
                raise UnsupportedFeature(message, hint=f"Write `session.{name}`.", details={"feature": "session variable beside columns"})


def _has_source(column: exp.Column) -> bool:
    """Whether a SELECT around the column reads from something that may have a column of this name."""
    select = column.parent_select
    while select is not None:
        if select.args.get("from_"):
            return True
        select = select.parent_select
    return False
