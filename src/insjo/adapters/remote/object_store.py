"""Objects in S3, Azure and Google Cloud Storage, by obstore."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from insjo.adapters.remote.addresses import checked_address
from insjo.adapters.remote.web import below
from insjo.ingest.errors import LocationRefused, LocationUnreachable
from insjo.ingest.types import Fetched

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE_BYTES = 1 << 20


class ObjectStores:
    """Implements `ingest.ports.RemoteSource` for `s3`, `az`, `abfss` and `gs`; the secret is a JSON object of obstore's settings."""

    def open(self, url: str, what: str, secret: str, *, private: bool) -> Fetched:
        """See the port."""
        try:
            import obstore
            from obstore.store import from_url
        except ImportError as error:
            message = "Object stores need a package that is not installed here."
            raise LocationUnreachable(message, hint="Install `insjo[cloud]`.") from error
        options = _options(secret)
        below(url, what)
        endpoint = str(options.get("endpoint", ""))
        if endpoint:
            parts = urlsplit(endpoint)
            checked_address(parts.hostname or "", parts.port or 443, private=private)
            if parts.scheme == "http":
                options.setdefault("client_options", {"allow_http": True})
        try:
            store = from_url(url, **options)
            found = obstore.get(store, what)
        except FileNotFoundError as error:
            message = f"The location has no `{what}`."
            raise LocationUnreachable(message) from error
        except (obstore.exceptions.BaseError, ValueError, OSError) as error:
            message = "The object store refuses, or cannot be reached."
            raise LocationUnreachable(message, hint="A steward looks at the address and the secret of the location.") from error
        return Fetched(what.rpartition("/")[2], _pieces(found, what), int(found.meta["size"]))


def _options(secret: str) -> dict[str, Any]:
    """Settings from the secret."""
    if not secret:
        return {"skip_signature": True}
    try:
        found = json.loads(secret)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        message = "The secret of the location is not a JSON object."
        raise LocationRefused(message, hint='For S3: {"access_key_id": "...", "secret_access_key": "...", "region": "..."}')
    return found


def _pieces(found: Any, what: str) -> Iterator[bytes]:  # noqa: ANN401  # obstore's answer.
    """The content."""
    import obstore

    try:
        for piece in found.stream(min_chunk_size=PIECE_BYTES):
            yield bytes(piece)
    except (obstore.exceptions.BaseError, OSError) as error:
        message = f"The connection broke while `{what}` was read."
        raise LocationUnreachable(message) from error
