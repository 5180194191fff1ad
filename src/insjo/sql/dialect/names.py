"""What the parser's side of the room asks about functions by their names."""

from __future__ import annotations

from insjo.sql.dialect.functions.calls import definitions, find


def is_known(name: str) -> bool:
    """Whether a function of that name is computed here."""
    return find(name) is not None


def is_aggregate(name: str) -> bool:
    """Whether it works on groups of rows."""
    found = find(name)
    return found is not None and found.kind == "aggregate"


def is_generator(name: str) -> bool:
    """Whether it makes rows."""
    found = find(name)
    return found is not None and found.kind == "generator"


def all_functions() -> tuple[str, ...]:
    """Names of all functions, sorted."""
    return (*sorted(name for name in definitions() if not name.startswith(("trim_", "__insjo"))), "trim")
