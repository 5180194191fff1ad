"""The whole room as one object: what bootstrap builds and the other rooms are given."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from insjo.access.service.approvals import Approvals
from insjo.access.service.audit import AUDIT_TABLE, Audit
from insjo.access.service.authority import Authority
from insjo.access.service.client_secrets import ClientSecrets
from insjo.access.service.credentials import Passwords, Sessions, SignInLinks, Tokens
from insjo.access.service.fingerprints import Fingerprints
from insjo.access.service.flow import Clearances, Flows
from insjo.access.service.founding import found
from insjo.access.service.grants import Grants
from insjo.access.service.labels import Labels
from insjo.access.service.lineage import Lineage
from insjo.access.service.policies import Policies
from insjo.access.service.principals import Principals
from insjo.access.service.protections import Protections
from insjo.access.service.securables import Securables
from insjo.access.service.tags import Tags
from insjo.access.store.changes import Changes
from insjo.access.types import Privilege, SecurableKind

if TYPE_CHECKING:
    import sqlalchemy as sa
    from argon2 import PasswordHasher

    from insjo.access.types import Principal
    from insjo.kernel.clock import Clock
    from insjo.kernel.context import RequestContext
    from insjo.kernel.database import Database
    from insjo.kernel.settings import Settings


class Access:
    """All services of the room over one database.

    Args:
        database: The metadata database.
        clock: Tells the time.
        settings: Lifetimes of credentials and the level of typed text.
        key: Secret of the installation, at least 32 bytes: keys the audit chain, the fingerprints and the declassifications.
        hasher: Cheaper password hashing for tests.
    """

    def __init__(self, *, database: Database, clock: Clock, settings: Settings, key: bytes, hasher: PasswordHasher | None = None) -> None:
        self._database = database
        self._clock = clock
        self._changes = Changes(database)
        self.audit = Audit(database=database, clock=clock, key=_derive(key, "audit"), changes=self._changes)
        self.principals = Principals(database=database, clock=clock, changes=self._changes, audit=self.audit)
        self.authority = Authority(changes=self._changes, audit=self.audit, principals=self.principals)
        self.securables = Securables(clock=clock, changes=self._changes, audit=self.audit, authority=self.authority)
        self.grants = Grants(clock=clock, changes=self._changes, audit=self.audit, authority=self.authority, principals=self.principals)
        self.client_secrets = ClientSecrets(
            database=database, clock=clock, changes=self._changes, audit=self.audit, principals=self.principals, key=_derive(key, "oauth")
        )
        self.tokens = Tokens(
            database=database,
            clock=clock,
            changes=self._changes,
            audit=self.audit,
            principals=self.principals,
            ttl_s=settings.token_ttl_s,
            clients=self.client_secrets,
        )
        self.sessions = Sessions(database=database, clock=clock, ttl_s=settings.session_ttl_s)
        self.signin_links = SignInLinks(database=database, clock=clock, audit=self.audit, ttl_s=settings.signin_link_ttl_s)
        self.passwords = Passwords(
            database=database,
            clock=clock,
            changes=self._changes,
            audit=self.audit,
            principals=self.principals,
            key=_derive(key, "signin"),
            hasher=hasher,
        )
        self.labels = Labels(
            clock=clock,
            changes=self._changes,
            audit=self.audit,
            authority=self.authority,
            principals=self.principals,
            key=_derive(key, "declassification"),
        )
        self.tags = Tags(clock=clock, changes=self._changes, audit=self.audit, authority=self.authority, labels=self.labels)
        self.lineage = Lineage(clock=clock, changes=self._changes, authority=self.authority)
        self.policies = Policies(clock=clock, changes=self._changes, audit=self.audit, authority=self.authority, principals=self.principals)
        self.protections = Protections(
            clock=clock,
            changes=self._changes,
            audit=self.audit,
            authority=self.authority,
            principals=self.principals,
            tags=self.tags,
        )
        self.clearances = Clearances(clock=clock, changes=self._changes, audit=self.audit, principals=self.principals)
        self.approvals = Approvals(
            clock=clock, changes=self._changes, audit=self.audit, authority=self.authority, principals=self.principals
        )
        self.flows = Flows(audit=self.audit, authority=self.authority, clearances=self.clearances, approvals=self.approvals)
        self.fingerprints = Fingerprints(
            clock=clock,
            changes=self._changes,
            labels=self.labels,
            key=_derive(key, "fingerprint"),
            typed_text_level=settings.typed_text_level,
            contact_level=settings.contact_level,
        )

        self.audit.guard(self._may_read_audit)

    def bootstrap(self, admin_name: str = "admin") -> Principal | None:
        """Make what every installation has; does nothing to what is there.

        Makes the metastore, the groups `admins` and `account users`, and, when there is no user yet, a metastore admin of this name.

        Returns:
            The user of this name, or None when the installation has others only.
        """
        return found(database=self._database, clock=self._clock, changes=self._changes, admin_name=admin_name)

    def revision(self) -> int:
        """Count that rises after every change of principals, membership, tokens, grants, owners, labels and clearances.

        Caches keep what they read under the count they saw *before* reading.
        """
        return self._changes.value

    def refresh_revision(self) -> int:
        """As `revision`, after a look into the database for the changes of other processes."""
        return self._changes.refresh()

    def bump(self, connection: sa.Connection) -> None:
        """Tell that this transaction changes something else that decisions depend on, for example an endpoint's address."""
        self._changes.bump(connection)

    def _may_read_audit(self, ctx: RequestContext) -> bool:
        """Metastore admins, and whoever was granted SELECT on the table of the audit."""
        if self.principals.is_admin(ctx.principal.id):
            return True
        return self.authority.decide_by_name(ctx, SecurableKind.TABLE, AUDIT_TABLE, Privilege.SELECT).allowed

    def close(self) -> None:
        """Write what waits."""
        self.audit.close()


def _derive(key: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose, so that none of them tells anything about another."""
    return hashlib.blake2b(purpose.encode(), key=hashlib.sha512(key).digest(), digest_size=32).digest()
