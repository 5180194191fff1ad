"""Storage credentials: what opens places elsewhere, put by stewards under a name, sealed, and never shown again."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from insjo.access.types import Privilege
from insjo.kernel.context import system_context
from insjo.kernel.errors import did_you_mean
from insjo.workspace.errors import CredentialExists, CredentialInvalid, CredentialNotFound, PathTaken, SecretNotFound
from insjo.workspace.service.secrets import OWN_PREFIX
from insjo.workspace.types import StorageCredential

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from insjo.kernel.context import RequestContext
    from insjo.workspace.service.secrets import Secrets
    from insjo.workspace.service.tree import Tree

SCOPE: Final = f"{OWN_PREFIX}storage-credentials"
"""Scope of the secrets: a location names one as `scope/key`."""

ABOUT: Final = ".about"
"""Ending of the key under which what is no secret stands."""

PARTS: Final[Mapping[str, Mapping[str, str]]] = {
    "azure_service_principal": {"directory_id": "tenant_id", "application_id": "client_id", "client_secret": "client_secret"},
    "cloudflare_api_token": {"access_key_id": "access_key_id", "secret_access_key": "secret_access_key", "account_id": ""},
}
"""Parts of each kind, and the setting of the object store that each becomes."""

HIDDEN: Final = frozenset({"client_secret", "secret_access_key"})
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_PART: Final = re.compile(r"[\x21-\x7e]{1,500}")
_ACCOUNT: Final = re.compile(r"[0-9A-Za-z-]{1,63}")


class StorageCredentials:
    """Puts, shows and deletes; all of it is for stewards."""

    def __init__(self, tree: Tree, secrets: Secrets) -> None:
        """They are kept among the secrets."""
        self._tree = tree
        self._secrets = secrets

    def create(self, ctx: RequestContext, name: str, kind: str, parts: Mapping[str, str], comment: str = "") -> StorageCredential:
        """Keep a credential.

        Raises:
            AccessDenied, CredentialInvalid, CredentialExists: As they say.
        """
        self._steward(ctx)
        key = name.lower()
        if not _NAME.fullmatch(key):
            message = f"`{name[:100]}` is not a name for a storage credential."
            raise CredentialInvalid(message, hint="Use letters, digits, `-` and `_`.")
        if key in self._keys():
            message = f"The storage credential `{key}` exists already."
            raise CredentialExists(message)
        with suppress(PathTaken):
            self._secrets.create_scope(system_context(), SCOPE)
        return self._put(ctx, key, kind, parts, comment, ctx.principal.name)

    def update(
        self, ctx: RequestContext, name: str, kind: str = "", parts: Mapping[str, str] | None = None, comment: str | None = None
    ) -> StorageCredential:
        """Put other parts in place of all that there are, or another comment."""
        present = self.get(ctx, name)
        words = present.comment if comment is None else comment
        if kind:
            return self._put(ctx, present.name, kind, parts or {}, words, present.created_by)
        self._describe(ctx, present.name, present.kind, present.public, words, present.created_by)
        return self.get(ctx, name)

    def get(self, ctx: RequestContext, name: str) -> StorageCredential:
        """A credential without its secret parts; for others than stewards there is none."""
        found = next((each for each in self.list(ctx) if each.name == name.lower()), None)
        if found is None:
            message = f"There is no storage credential `{name[:100]}`."
            raise CredentialNotFound(message, hint=did_you_mean(name, (each.name for each in self.list(ctx))))
        return found

    def list(self, ctx: RequestContext) -> tuple[StorageCredential, ...]:
        """All credentials by name, without their secret parts; for others than stewards there are none."""
        metastore = self._tree.access.securables.metastore().id
        if not self._tree.access.authority.decide_many(ctx, [(Privilege.MANAGE, metastore)])[0].allowed:
            return ()
        found = []
        for key, updated_at in sorted(self._keys().items()):
            about = json.loads(self._secrets.get(system_context(), SCOPE, key + ABOUT))
            found.append(StorageCredential(name=key, updated_at=updated_at, **about))
        return tuple(found)

    def delete(self, ctx: RequestContext, name: str) -> None:
        """Forget a credential; places that name it are not reached any more."""
        self._steward(ctx)
        found = self.get(ctx, name)
        for key in (found.name + ABOUT, found.name):
            self._secrets.delete(system_context(), SCOPE, key)
        self._tree.access.audit.record(ctx, "credential.delete", outcome="changed", object=found.name)

    def _put(self, ctx: RequestContext, key: str, kind: str, parts: Mapping[str, str], comment: str, created_by: str) -> StorageCredential:
        """Seal the parts as settings of an object store."""
        wanted = PARTS.get(kind)
        if wanted is None or set(parts) != set(wanted) or not all(_PART.fullmatch(each) for each in parts.values()):
            message = f"The parts of the storage credential `{key}` are not those of one kind."
            hint = "; ".join(f"`{name}`: {', '.join(names)}" for name, names in PARTS.items())
            raise CredentialInvalid(message, hint=hint)
        settings = {wanted[name]: value for name, value in parts.items() if wanted[name]}
        if kind == "cloudflare_api_token":
            if not _ACCOUNT.fullmatch(parts["account_id"]):
                message = "The account of a storage credential has letters, digits and `-`."
                raise CredentialInvalid(message)
            settings |= {"endpoint": f"https://{parts['account_id']}.r2.cloudflarestorage.com", "region": "auto"}
        self._secrets.put(system_context(), SCOPE, key, json.dumps(settings).encode())
        public = {name: value for name, value in parts.items() if name not in HIDDEN}
        self._describe(ctx, key, kind, public, comment, created_by)
        return self.get(ctx, key)

    def _describe(self, ctx: RequestContext, key: str, kind: str, public: Mapping[str, str], comment: str, created_by: str) -> None:
        """Keep what is no secret beside it."""
        about = {"kind": kind, "public": dict(public), "comment": comment[:2000], "created_by": created_by}
        self._secrets.put(system_context(), SCOPE, key + ABOUT, json.dumps(about).encode())
        self._tree.access.audit.record(ctx, "credential.put", outcome="changed", object=key, reason=kind)

    def _keys(self) -> Mapping[str, datetime]:
        """Names of all credentials, and when each was put."""
        try:
            found = {each.key: each.updated_at for each in self._secrets.list(system_context(), SCOPE)}
        except SecretNotFound:
            return {}
        return {key: found[key] for key in found if key + ABOUT in found}

    def _steward(self, ctx: RequestContext) -> None:
        """Refuse those who do not manage the metastore."""
        self._tree.access.authority.authorize(ctx, Privilege.MANAGE, self._tree.access.securables.metastore().id)
