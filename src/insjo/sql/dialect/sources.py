"""What a FROM clause is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from insjo.sql.dialect.fragments import Fragment, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from insjo.sql.dialect.scopes import Relation, Scope


@dataclass(frozen=True, slots=True)
class Part:
    """One item of a FROM clause: its SQL, what it shows, and columns that stand for those of both sides of a USING join in it."""

    sql: str
    relations: list[Relation]
    merged: Mapping[str, Fragment] = field(default_factory=dict)


@dataclass(slots=True)
class Source:
    """A FROM clause under construction.

    Attributes:
        sql: In the engine's words, without FROM; empty when there is none.
        scope: What the clause shows.
    """

    sql: str
    scope: Scope

    def begin(self, part: Part) -> None:
        """Start with one item."""
        self.sql = part.sql
        self.scope.relations.extend(part.relations)
        self.scope.merged.update(part.merged)

    def as_part(self) -> Part:
        """The clause as one item of another one."""
        return Part(self.sql, self.scope.relations, self.scope.merged)

    def wrap(self, key: str, extra: Mapping[str, str], *, where: str = "") -> dict[str, str]:
        """Put the clause so far into a subquery called `key` that has more columns; gives how each of these is then called."""
        listed: list[str] = []

        def kept(fragment: Fragment) -> Fragment:
            own = f"k{len(listed)}"
            listed.append(f"{fragment.seen().sql} AS {name_of(own)}")
            return Fragment(f"{name_of(key)}.{name_of(own)}", fragment.type, flags=fragment.flags)

        scope = self.scope
        scope.relations = [
            replace(relation, columns=tuple(replace(each, fragment=kept(each.fragment)) for each in relation.columns))
            for relation in scope.relations
        ]
        scope.merged = {name: kept(fragment) for name, fragment in scope.merged.items()}
        listed.extend(f"{sql} AS {name_of(name)}" for name, sql in extra.items())
        origin = f" FROM {self.sql}" if self.sql else ""
        self.sql = f"(SELECT {', '.join(listed) or 'NULL'}{origin}{where}) AS {name_of(key)}"
        return {name: f"{name_of(key)}.{name_of(name)}" for name in extra}
