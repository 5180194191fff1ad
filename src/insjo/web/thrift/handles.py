"""Handles of sessions and operations: a number, and a proof that this server gave it to this principal."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from typing import TYPE_CHECKING, Literal

from insjo.kernel.errors import NotFound
from insjo.web.thrift.messages import HandleIdentifier

if TYPE_CHECKING:
    from insjo.web.types import Call

GUID_BYTES = 16


class InvalidHandle(NotFound):
    """The session or operation does not exist, has ended, or belongs to somebody else."""

    code = "INVALID_HANDLE"


def make_handle(call: Call, kind: Literal["session", "operation"], identifier: str) -> HandleIdentifier:
    """The handle of a session or operation of the caller."""
    return HandleIdentifier(guid=uuid.UUID(identifier).bytes, secret=_secret(call, kind, identifier))


def read_handle(call: Call, kind: Literal["session", "operation"], handle: HandleIdentifier | None) -> str:
    """The identifier in a handle.

    Raises:
        InvalidHandle: It was not given to this caller by this installation.
    """
    if handle is None or handle.guid is None or len(handle.guid) != GUID_BYTES:
        raise InvalidHandle(f"The call names no {kind}.")
    identifier = str(uuid.UUID(bytes=handle.guid))
    if not hmac.compare_digest(handle.secret or b"", _secret(call, kind, identifier)):
        raise InvalidHandle(f"The {kind} `{identifier}` does not exist.")
    return identifier


def _secret(call: Call, kind: str, identifier: str) -> bytes:
    """What only this installation can make for this principal."""
    said = f"thrift/{kind}/{identifier}/{call.ctx.principal.id}".encode()
    return hashlib.blake2b(said, key=call.services.signing_key, digest_size=GUID_BYTES).digest()
