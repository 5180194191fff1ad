"""The port `ObjectStore` on obstore."""

from __future__ import annotations

import contextlib
import errno
import os
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from insjo.catalog.errors import DiskFull, StorageUnavailable
from insjo.catalog.ports import StoredObject
from insjo.kernel.errors import FailedPrecondition, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

SCHEMES = ("s3", "s3a", "az", "azure", "abfs", "abfss", "gs")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK_BYTES = 1024 * 1024
_PART_BYTES = 16 * 1024 * 1024
"""Size of the parts in which a large object is sent; S3 takes 10,000 of them."""

_SINGLE_BYTES_MAX = 256 * 1024 * 1024
"""A conditional put sends the whole object in one request, which is held in memory; above this size the store is asked beforehand."""

_DELETES = 250
_TIMEOUT_S = 60
"""Longest silence of a store in the middle of an answer."""

_LONGEST = "3600s"
"""Longest time of one request, however large the object."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Objects:
    """One address of an object store; safe for threads.

    Args:
        url: `s3://bucket/folder`, `az://container/folder`, `abfss://container@account.dfs.core.windows.net/folder`.
        options: Settings of obstore: `access_key_id`, `secret_access_key`, `region`, `endpoint`, `account_name`, `account_key`, ...;
            what is missing is taken from the machine's own identity.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self.url = url.rstrip("/")
        self._store = _open(self.url, options)

    def put(self, key: str, source: Path | bytes, *, if_absent: bool = False) -> bool:
        """See the port."""
        import obstore

        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        conditional = if_absent and size <= _SINGLE_BYTES_MAX
        if if_absent and not conditional and self.find(key) is not None:
            return False
        options: dict[str, Any] = {"mode": "create", "use_multipart": False} if conditional else {"chunk_size": _PART_BYTES}
        with _reported():
            try:
                obstore.put(self._store, key, source, **options)
            except obstore.exceptions.AlreadyExistsError:
                return False
        return True

    def fetch(self, key: str, target: Path, mark: str = "") -> bool:
        """See the port."""
        import obstore

        options: Any = {"if_match": mark} if mark else {}
        with _reported():
            try:
                found = obstore.get(self._store, key, options=options)
            except (FileNotFoundError, obstore.exceptions.PreconditionError):
                return False
            _write(target, (bytes(chunk) for chunk in found.stream(min_chunk_size=_CHUNK_BYTES)))
            # Logs without a time of their own take that of the file, so the copy has the time of the object.
            modified_ns = (found.meta["last_modified"] - _EPOCH) // timedelta(microseconds=1) * 1000
            os.utime(target, ns=(modified_ns, modified_ns))
        return True

    def read(self, key: str, offset: int, length: int) -> Iterator[bytes]:
        """See the port."""
        import obstore

        with _reported():
            try:
                # One request, so that what comes is of one content also when the object is replaced meanwhile.
                found = obstore.get(self._store, key, options={"range": (offset, offset + length)})
            except FileNotFoundError:
                return
            for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
                yield bytes(chunk)

    def find(self, key: str) -> StoredObject | None:
        """See the port."""
        import obstore

        with _reported():
            try:
                return _stored(obstore.head(self._store, key))
            except FileNotFoundError:
                return None

    def list(self, prefix: str, *, recursive: bool = True) -> Iterator[StoredObject]:
        """See the port."""
        import obstore

        with _reported():
            if not recursive:
                found = obstore.list_with_delimiter(self._store, prefix.rstrip("/") or None)
                folders = (StoredObject(f"{each}/", 0, _EPOCH, "") for each in found["common_prefixes"])
                yield from sorted((*folders, *map(_stored, found["objects"])), key=lambda each: each.key)
                return
            for batch in obstore.list(self._store, prefix.rstrip("/") or None, chunk_size=1000):
                for each in batch:
                    if str(each["path"]).startswith(prefix):
                        yield _stored(each)

    def delete(self, keys: Iterable[str]) -> None:
        """See the port."""
        import obstore

        left = iter(keys)
        while batch := list(islice(left, _DELETES)):
            with _reported():
                try:
                    obstore.delete(self._store, batch)
                except FileNotFoundError:
                    # One of them was gone already, and the store may have stopped there.
                    for key in batch:
                        with contextlib.suppress(FileNotFoundError):
                            obstore.delete(self._store, key)


def _open(url: str, options: Mapping[str, str]) -> Any:  # noqa: ANN401  # obstore has a class a kind of store.
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES or not url.partition("://")[2]:
        message = f"`{url}` is not the address of an object store."
        raise InvalidArgument(message, hint=f"It begins with one of {', '.join(f'`{each}://`' for each in SCHEMES)}.")
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        message = "Object stores need the package `obstore`, which is not installed."
        raise FailedPrecondition(message, hint="Install `insjo[cloud]`.") from error
    given: Any = dict(options)
    # A plain connection is allowed only to an endpoint that says so, such as a store in the same rack.
    client: Any = {
        "allow_http": given.get("endpoint", "").startswith("http://"),
        "timeout": _LONGEST,
        "read_timeout": f"{_TIMEOUT_S}s",
        "connect_timeout": "10s",
    }
    retry: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=2 * _TIMEOUT_S)}
    try:
        return from_url(url, config=given, client_options=client, retry_config=retry)
    except (BaseError, ValueError, TypeError) as error:
        message = f"The object store `{url}` cannot be opened: {str(error).splitlines()[0]}"
        raise InvalidArgument(message, hint="Look at the file that the setting `storage_credentials` names.") from error


def _stored(meta: Any) -> StoredObject:  # noqa: ANN401  # A dictionary of obstore.
    return StoredObject(str(meta["path"]), int(meta["size"]), meta["last_modified"], str(meta["e_tag"] or meta["last_modified"]))


def _write(target: Path, chunks: Iterable[bytes]) -> None:
    try:
        with target.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        with contextlib.suppress(OSError):
            target.unlink()
        if error.errno in _FULL:
            message = "The disk that holds copies of files from the object store is full."
            raise DiskFull(message, hint="Make room, or lower the setting `storage_cache_mb`.") from error
        raise


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    """Errors of the store in the words of the port; what the store itself says goes to the log with the error, not to the caller."""
    import obstore

    try:
        yield
    except (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError) as error:
        message = "The object store refuses the credentials of Insjö."
        raise StorageUnavailable(message, hint="Whoever runs Insjö looks at the file that `storage_credentials` names.") from error
    except obstore.exceptions.BaseError as error:
        message = "The object store does not answer as it should."
        raise StorageUnavailable(message, hint="Try again; if it stays so, whoever runs Insjö looks at `insjo doctor`.") from error
