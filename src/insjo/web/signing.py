"""Links that carry their own permission: signed, short-lived, bound to one person and one thing."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from insjo.kernel.errors import PermissionDenied


class LinkRefused(PermissionDenied):
    """The link has expired, or somebody changed it."""

    code = "LINK_REFUSED"


@dataclass(frozen=True, slots=True)
class LinkSigner:
    """Signs what a link may fetch.

    Attributes:
        key: Secret of the installation.
    """

    key: bytes

    def sign(self, thing: str, principal_id: str, expires_s: int) -> str:
        """Signature for `thing` on behalf of a principal until `expires_s` (seconds since 1970)."""
        text = f"{thing}\n{principal_id}\n{expires_s}".encode()
        return hmac.new(self.key, text, hashlib.sha256).hexdigest()

    def check(self, thing: str, principal_id: str, expires_s: int, signature: str, *, now_s: float) -> None:
        """Raise LinkRefused unless the signature fits and the time has not come."""
        if not hmac.compare_digest(self.sign(thing, principal_id, expires_s).encode(), signature.encode("utf-8", "replace")):
            raise LinkRefused("This link is not valid.")
        if now_s > expires_s:
            raise LinkRefused("This link has expired.", hint="Fetch the statement's chunk again for a new one.")
