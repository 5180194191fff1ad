"""Which columns a place in a statement sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from insjo.kernel.errors import did_you_mean
from insjo.sql.dialect.fragments import OUTER, Fragment, made, text_of
from insjo.sql.dialect.types import Field, Kind, Type
from insjo.sql.errors import AmbiguousColumn, FieldNotFound, UnresolvedColumn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlglot import exp


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A column as a query sees it.

    Attributes:
        name: As the caller names it.
        fragment: How the engine gets it.
        hidden: Found by its name, and not part of `*` (the second column of a USING join).
    """

    name: str
    fragment: Fragment
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, subquery or generator in a FROM clause.

    Attributes:
        names: Its alias, or the parts of its own name, the last one first.
        columns: In order.
    """

    names: tuple[str, ...]
    columns: tuple[ScopeColumn, ...]

    def find(self, name: str) -> list[ScopeColumn]:
        """Columns of that name."""
        folded = name.lower()
        return [column for column in self.columns if column.name.lower() == folded]

    def is_called(self, qualifiers: Sequence[str]) -> bool:
        """Whether these parts (outermost first) name this relation."""
        if not qualifiers or len(qualifiers) > len(self.names):
            return False
        return all(mine.lower() == theirs.lower() for mine, theirs in zip(self.names, reversed(qualifiers), strict=False))


@dataclass(slots=True)
class Scope:
    """What one SELECT sees.

    Attributes:
        relations: Of its FROM clause.
        parent: Scope of the query around it, for correlated subqueries.
        aliases: Names given in the select list so far, for the later parts of it and for the clauses that may use them.
        merged: Columns of USING and NATURAL joins, which stand for those of both sides.
        windows: Definitions of the WINDOW clause.
    """

    relations: list[Relation] = field(default_factory=list)
    parent: Scope | None = None
    aliases: dict[str, Fragment] = field(default_factory=dict)
    merged: dict[str, Fragment] = field(default_factory=dict)
    windows: dict[str, exp.Window] = field(default_factory=dict)
    aliases_first: bool = False

    def resolve(self, parts: Sequence[str]) -> Fragment:
        """Value of a name with dots: a column, an alias, or a field of a struct.

        Raises:
            UnresolvedColumn: There is none; the error suggests the nearest.
            AmbiguousColumn: Several relations have it.
        """
        found = self._resolve_here(parts)
        if found is not None:
            return found
        if self.parent is not None:
            outer = self.parent.resolve_or_none(parts)
            if outer is not None:
                return made(outer.sql, outer.type, outer, exact=outer.exact, flags=(OUTER,))
        shown = ".".join(f"`{part}`" for part in parts)
        raise UnresolvedColumn(f"There is no column {shown} here.", hint=did_you_mean(parts[-1], self.names()))

    def resolve_or_none(self, parts: Sequence[str]) -> Fragment | None:
        """As `resolve`, but None when there is none."""
        found = self._resolve_here(parts)
        if found is None and self.parent is not None:
            return self.parent.resolve_or_none(parts)
        return found

    def names(self) -> list[str]:
        """All names that could be meant, for suggestions."""
        own = [column.name for relation in self.relations for column in relation.columns]
        return own + list(self.aliases) + (self.parent.names() if self.parent else [])

    def visible(self) -> Iterable[tuple[str, Fragment]]:
        """Columns of `*`, those of USING first."""
        yield from self.merged.items()
        for relation in self.relations:
            for column in relation.columns:
                if not column.hidden:
                    yield column.name, column.fragment

    def relation(self, qualifiers: Sequence[str]) -> Relation | None:
        """The relation of that name, here or around."""
        for relation in self.relations:
            if relation.is_called(qualifiers):
                return relation
        return self.parent.relation(qualifiers) if self.parent else None

    def _resolve_here(self, parts: Sequence[str]) -> Fragment | None:
        if self.aliases_first and parts[0].lower() in self.aliases:
            return fields_of(self.aliases[parts[0].lower()], parts[1:])
        for count in range(min(len(parts) - 1, 3), 0, -1):
            found = self._qualified(parts[:count], parts[count])
            if found is not None:
                return fields_of(found, parts[count + 1 :])
        found = self._unqualified(parts[0])
        return None if found is None else fields_of(found, parts[1:])

    def _qualified(self, qualifiers: Sequence[str], name: str) -> Fragment | None:
        matches = [column for relation in self.relations if relation.is_called(qualifiers) for column in relation.find(name)]
        if len(matches) > 1:
            raise AmbiguousColumn(f"`{'.'.join(qualifiers)}`.`{name}` can mean several columns.", hint="Give the tables different aliases.")
        return matches[0].fragment if matches else None

    def _unqualified(self, name: str) -> Fragment | None:
        merged = self.merged.get(name.lower())
        if merged is not None:
            return merged
        matches = [(relation, column) for relation in self.relations for column in relation.find(name)]
        if len(matches) > 1:
            owners = ", ".join(f"`{relation.names[0]}`.`{column.name}`" for relation, column in matches if relation.names)
            raise AmbiguousColumn(f"`{name}` can mean several columns: {owners}.", hint="Put the name of the table before it.")
        if matches:
            return matches[0][1].fragment
        return self.aliases.get(name.lower())


def part_names(node: exp.Expr) -> list[str]:
    """Parts of a qualified name, outermost first."""
    parts: list[exp.Expr] = node.parts  # type: ignore[attr-defined]  # Tables and columns have it; sqlglot's base class does not.
    return [part.name for part in parts]


def fields_of(value: Fragment, names: Sequence[str]) -> Fragment:
    """Field of a struct, of its struct and so on; of an array of structs the array of the fields; of a variant its path."""
    for name in names:
        value = field_of(value, name)
    return value


def field_of(value: Fragment, name: str) -> Fragment:
    """One field; raises FieldNotFound."""
    owner = value.type
    if owner.kind is Kind.STRUCT:
        found = _field(owner, name)
        return made(f"struct_extract({value.sql}, {text_of(found.name)})", found.type, value)
    if owner.kind is Kind.ARRAY and owner.item.kind is Kind.STRUCT:
        found = _field(owner.item, name)
        sql = f"list_transform({value.sql}, lambda s_: struct_extract(s_, {text_of(found.name)}))"
        return made(sql, Type(Kind.ARRAY, element=found.type), value)
    if owner.kind is Kind.MAP and owner.key is not None and owner.key.kind is Kind.STRING and owner.value is not None:
        return made(f"({value.sql})[{text_of(name)}]", owner.value, value)
    raise FieldNotFound(f"A value of type `{owner.text}` has no field `{name}`.")


def _field(owner: Type, name: str) -> Field:
    for each in owner.fields:
        if each.name.lower() == name.lower():
            return each
    names = [each.name for each in owner.fields]
    raise FieldNotFound(
        f"The struct has no field `{name}`.", hint=did_you_mean(name, names) or f"It has {', '.join(f'`{each}`' for each in names)}."
    )
