"""Tags on objects and columns.  Labels are tags too: `class.level`, `class.category.<word>` and `class.zone`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from insjo.access.errors import InvalidTag, TagNotFound
from insjo.access.store import labels as label_store
from insjo.access.store import tags as store
from insjo.access.types import UNLABELLED, ZONES, Label, Level, Privilege

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import sqlalchemy as sa

    from insjo.access.service.audit import Audit
    from insjo.access.service.authority import Authority
    from insjo.access.service.labels import Labels
    from insjo.access.store.changes import Changes
    from insjo.access.types import SecurableKind
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext

TAGS_MAX: Final = 50
KEY_CHARS_MAX: Final = 255
VALUE_CHARS_MAX: Final = 1000
ROWS_MAX: Final = 50_000
GOVERNED: Final = "class."
"""Beginning of the keys that are labels."""
_LEVEL, _CATEGORY, _ZONE = "class.level", "class.category.", "class.zone"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag as it is placed; `governed` ones are the label of the place."""

    full_name: str
    column: str
    key: str
    value: str
    governed: bool = False
    changed_by: str = ""
    changed_at: datetime | None = None


class Tags:
    """Reads and changes tags; needs APPLY_TAG, MANAGE or ownership of the object."""

    def __init__(self, *, clock: Clock, changes: Changes, audit: Audit, authority: Authority, labels: Labels) -> None:
        """Everything by keyword."""
        self._clock = clock
        self._changes = changes
        self._audit = audit
        self._authority = authority
        self._labels = labels

    def change(
        self,
        ctx: RequestContext,
        securable_id: str,
        changes: Mapping[str, str | None],
        column: str = "",
        *,
        connection: sa.Connection | None = None,
    ) -> None:
        """Set tags, and take away those whose value is None; all of it or nothing.

        Raises:
            InvalidTag: A key or value is not possible.
            DeclassificationNeeded: A label would fall.
        """
        name = column.lower()
        for key, value in changes.items():
            _check(key, value)
        with self._changes.writing(connection) as writing:
            self._may_tag(ctx, securable_id, writing)
            self._changes.bump(writing)
            plain = {key: value for key, value in changes.items() if not key.startswith(GOVERNED)}
            for key, value in plain.items():
                if value is None:
                    store.delete(writing, securable_id, name, key)
                else:
                    store.put(writing, securable_id, name, key, value, ctx.principal.id, self._clock.now())
            if store.count(writing, securable_id, name) > TAGS_MAX:
                message = f"An object or column has at most {TAGS_MAX} tags."
                raise InvalidTag(message)
            if plain:
                self._record(ctx, securable_id, name, plain, writing)
            governed = {key: value for key, value in changes.items() if key.startswith(GOVERNED)}
            if governed:
                self._relabel(ctx, securable_id, name, governed, writing)

    def of(self, ctx: RequestContext, securable_id: str) -> list[Tag]:
        """Tags of an object and of its columns, those that are labels among them; the caller must see the object."""
        self._authority.authorize(ctx, Privilege.BROWSE, securable_id)
        _, full_name = self._authority.place(ctx, securable_id)
        with self._changes.reading() as reading:
            rows = store.fetch(reading, securable_id)
            names = self._authority.names({row.changed_by for row in rows}, connection=reading)
            placed = label_store.fetch_on_the_way(reading, [securable_id])
        found = [
            Tag(row.full_name, row.column, row.key, row.value, changed_by=names.get(row.changed_by, ""), changed_at=row.changed_at)
            for row in rows
        ]
        labels: dict[str, Label] = {}
        for each in placed:
            if each.distance == 0:
                labels[each.column] = each.label.join(labels.get(each.column, each.label))
        found += [
            Tag(full_name, name, key, value, governed=True) for name, label in labels.items() for key, value in words_of(label).items()
        ]
        return sorted(found, key=lambda tag: (tag.column, tag.key))

    def get(self, ctx: RequestContext, securable_id: str, key: str, column: str = "") -> Tag:
        """One tag; raises TagNotFound."""
        for tag in self.of(ctx, securable_id):
            if tag.key == key and tag.column == column.lower():
                return tag
        message = f"There is no tag `{key[:100]}` here."
        raise TagNotFound(message)

    def list(self, ctx: RequestContext, kind: SecurableKind) -> list[Tag]:
        """Tags of all objects of a kind that the caller may see, and of their columns; without labels."""
        visible = self._authority.visible(ctx, kind)
        with self._changes.reading() as reading:
            rows = store.fetch_visible(reading, visible, ROWS_MAX)
        return [Tag(row.full_name, row.column, row.key, row.value) for row in rows]

    def effective(self, securable_id: str) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Tags of a table with those that it inherits, and those of its columns by name; labels are among both.  For policies."""
        with self._changes.reading() as reading:
            placed = store.fetch_on_the_way(reading, securable_id)
            labels = self._labels.effective_sets([securable_id], connection=reading)[securable_id]
        own = {key: value for _, column, key, value in placed if not column} | words_of(labels.label)
        columns: dict[str, dict[str, str]] = {name: words_of(label) for name, label in labels.columns.items()}
        for _, column, key, value in placed:
            if column:
                columns.setdefault(column, {})[key] = value
        return own, columns

    def rename_column(self, securable_id: str, column: str, new: str, *, connection: sa.Connection) -> None:
        """Let the tags of a column follow its new name; the caller has authorised that."""
        store.rename_column(connection, securable_id, column.lower(), new.lower())

    def _relabel(
        self, ctx: RequestContext, securable_id: str, column: str, changes: Mapping[str, str | None], connection: sa.Connection
    ) -> None:
        """Change the label that people set, by its tags."""
        before = label_store.fetch_own(connection, securable_id, column, label_store.SET)
        after: Label | None = before or UNLABELLED
        for key, value in changes.items():
            after = _with_word(after or UNLABELLED, key, value)
        if before is None and after == UNLABELLED and all(value is None for value in changes.values()):
            return
        if after == UNLABELLED and changes.get(_LEVEL, "") is None:
            self._labels.clear(ctx, securable_id, column, reason="tag", connection=connection)
        else:
            self._labels.set(ctx, securable_id, after or UNLABELLED, column, reason="tag", connection=connection)

    def _may_tag(self, ctx: RequestContext, securable_id: str, connection: sa.Connection) -> None:
        """Raise unless the caller may put tags on the object."""
        questions = [(Privilege.MANAGE, securable_id), (Privilege.APPLY_TAG, securable_id)]
        manage, tag = self._authority.decide_many(ctx, questions, connection=connection)
        if not (manage.allowed or tag.allowed):
            self._authority.refuse(ctx, tag, name=securable_id)

    def _record(
        self, ctx: RequestContext, securable_id: str, column: str, changes: Mapping[str, str | None], connection: sa.Connection
    ) -> None:
        """Row of the audit in the same transaction."""
        _, name = self._authority.place(ctx, securable_id, connection=connection)
        what = f"{name}.{column}" if column else name
        reason = ", ".join(f"{key} taken away" if value is None else f"{key} = {value}" for key, value in changes.items())
        self._audit.record(
            ctx, "tag.change", outcome="changed", object=what, securable_id=securable_id, reason=reason[:1000], connection=connection
        )


def words_of(label: Label) -> dict[str, str]:
    """A label as tags."""
    return {
        _LEVEL: label.level.name.lower(),
        **{_CATEGORY + word: "" for word in sorted(label.categories)},
        **({_ZONE: label.zone} if label.zone != "any" else {}),
    }


def _with_word(label: Label, key: str, value: str | None) -> Label:
    """A label with one of its tags set or taken away."""
    if key == _LEVEL:
        return replace(label, level=UNLABELLED.level if value is None else Level.parse(value))
    if key.startswith(_CATEGORY):
        word = frozenset({key[len(_CATEGORY) :]})
        return replace(label, categories=label.categories - word if value is None else label.categories | word)
    if key == _ZONE:
        return replace(label, zones=frozenset(ZONES if value is None else {value}))
    message = f"`{key}` is no tag of a label."
    raise InvalidTag(message, hint="They are class.level, class.category.<word> and class.zone.")


def _check(key: str, value: str | None) -> None:
    """Raise InvalidTag for what cannot be a tag."""
    if not key or key != key.strip() or len(key) > KEY_CHARS_MAX or not key.isprintable():
        message = f"`{key[:100]}` is no key of a tag."
        raise InvalidTag(message, hint=f"A key has 1 to {KEY_CHARS_MAX} characters, and no space at its ends.")
    if value is not None and len(value) > VALUE_CHARS_MAX:
        message = f"The value of a tag has at most {VALUE_CHARS_MAX} characters."
        raise InvalidTag(message)
