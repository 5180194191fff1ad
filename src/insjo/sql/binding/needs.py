"""The rights that a result rests on, so that they can be asked for again when it is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from insjo.access.types import Privilege
    from insjo.kernel.context import PrincipalRef


@dataclass(frozen=True, slots=True)
class Need:
    """One right; `principal` is the owner of a view for what the view reads, and None for whoever runs the statement."""

    privilege: Privilege
    securable_id: str
    principal: PrincipalRef | None = None
