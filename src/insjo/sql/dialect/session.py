"""What a statement may know about who runs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Answers of `current_user()`, `current_catalog()`, `is_member()` and their kin.

    Attributes:
        user: Name of the principal.
        catalog: Current catalog.
        schema: Current schema.
        groups: Names of the groups in which the principal is, in lower case.
        version: Version of Insjö.
    """

    user: str = ""
    catalog: str = ""
    schema: str = ""
    groups: frozenset[str] = frozenset()
    version: str = ""
