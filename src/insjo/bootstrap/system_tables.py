"""Tables of the catalog `system` whose rows the rooms below SQL hold; who may read them is decided by grants, as for any table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from insjo.access.types import AuditFilter
from insjo.kernel.paging import PAGE_SIZE_MAX, PageRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from insjo.access.service.facade import Access
    from insjo.kernel.context import RequestContext
    from insjo.web.types import Services

AUDIT_COLUMNS: Final = (
    ("sequence", "bigint"),
    ("at", "timestamp"),
    ("action", "string"),
    ("outcome", "string"),
    ("principal", "string"),
    ("on_behalf_of", "string"),
    ("door", "string"),
    ("request_id", "string"),
    ("client", "string"),
    ("object", "string"),
    ("label", "string"),
    ("destination", "string"),
    ("origins", "array<string>"),
    ("reason", "string"),
    ("content_hash", "string"),
    ("policy_version", "bigint"),
)
AUDIT_ROWS_MAX: Final = 200_000
"""Rows that `system.access.audit` shows, the newest."""


def register_system_tables(services: Services) -> None:
    """Make usage and audit readable with SQL."""
    usage = services.gateway.usage
    services.sql.register_table("system.ai.usage", usage.COLUMNS, usage.rows, "Calls of models; everybody sees their own, admins all.")
    services.sql.register_table("system.access.audit", AUDIT_COLUMNS, _audit_rows(services.access), "Every decision with its reason.")


def _audit_rows(access: Access) -> Callable[[RequestContext], Iterator[dict[str, object]]]:
    """Rows of the audit, the newest first."""

    def rows(ctx: RequestContext) -> Iterator[dict[str, object]]:
        token, count = "", 0
        while count < AUDIT_ROWS_MAX:
            page = access.audit.search(ctx, AuditFilter(), PageRequest(PAGE_SIZE_MAX, token))
            for event in page.items:
                yield {name: list(event.origins) if name == "origins" else getattr(event, name) for name, _ in AUDIT_COLUMNS}
            count += len(page.items)
            token = page.next_token
            if not token:
                return

    return rows
