"""The authority and the server's certificate: made once, renewed in time, never readable by others, and good for a real handshake."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from insjo.adapters.tls.certificates import (
    AUTHORITY_LIFE,
    RENEW_BEFORE,
    SERVER_LIFE,
    Certificates,
    ensure_certificates,
    read_certificates,
)
from insjo.adapters.tls.context import reload, server_context
from insjo.kernel.errors import InvalidArgument

NAMES = ("localhost", "127.0.0.1", "::1")
NOW = datetime.now(UTC)


def greeted(context: ssl.SSLContext, authority: str, name: str) -> bytes:
    """The certificate with which a server of this context greets a client that trusts the authority."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as inside:
                    inside.recv(1)
            except (ssl.SSLError, OSError):
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            trusting = ssl.create_default_context(cadata=authority)
            trusting.verify_flags |= ssl.VERIFY_X509_STRICT
            with socket.create_connection(listener.getsockname()[:2]) as plain, trusting.wrap_socket(plain, server_hostname=name) as inside:
                return inside.getpeercert(binary_form=True) or b""
        finally:
            thread.join(10)


def serial(found: Certificates) -> int:
    """Number of the server's certificate."""
    return x509.load_pem_x509_certificate(found.server_path.read_bytes()).serial_number


def test_a_client_that_trusts_the_authority_is_greeted_under_each_name(tmp_path: Path) -> None:
    found = ensure_certificates(tmp_path / "tls", [*NAMES, "lake.example.org"], NOW)
    context = server_context(found.server_path)
    for name in ("localhost", "127.0.0.1", "lake.example.org"):
        assert greeted(context, found.authority, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        greeted(context, found.authority, "elsewhere.example.org")
    other = ensure_certificates(tmp_path / "other", NAMES, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        greeted(context, other.authority, "localhost")


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    assert read_certificates(tmp_path) is None
    first = ensure_certificates(tmp_path, NAMES, NOW)
    again = ensure_certificates(tmp_path, tuple(reversed(NAMES)), NOW + timedelta(days=1))
    assert first.renewed
    assert not again.renewed
    assert (serial(again), again.fingerprint) == (serial(first), first.fingerprint)
    told = read_certificates(tmp_path)
    assert told is not None
    assert told.server_ends == again.server_ends


def test_keys_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    found = ensure_certificates(folder, NAMES, NOW)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert "PRIVATE KEY" not in found.authority
    assert "PRIVATE KEY" not in found.authority_path.read_text()


def test_the_server_is_renewed_before_its_certificate_ends_and_clients_need_nothing_new(tmp_path: Path) -> None:
    first = ensure_certificates(tmp_path, NAMES, NOW)
    context = server_context(first.server_path)
    before = greeted(context, first.authority, "localhost")
    early = ensure_certificates(tmp_path, NAMES, NOW + SERVER_LIFE - RENEW_BEFORE - timedelta(days=1))
    assert not early.renewed
    later = NOW + SERVER_LIFE - RENEW_BEFORE
    renewed = ensure_certificates(tmp_path, NAMES, later)
    assert renewed.renewed
    assert renewed.fingerprint == first.fingerprint
    assert renewed.server_ends > first.server_ends + timedelta(days=300)
    # Made for a moment in the future it begins there: a handshake now needs one of now.
    (tmp_path / "server.pem").unlink()
    reload(context, ensure_certificates(tmp_path, NAMES, NOW).server_path)
    after = greeted(context, first.authority, "localhost")
    assert after != before


def test_other_names_give_another_certificate_and_keep_the_authority(tmp_path: Path) -> None:
    first = ensure_certificates(tmp_path, NAMES, NOW)
    more = ensure_certificates(tmp_path, [*NAMES, "Lake.Example.org", "10.0.0.7", "sjö.example.org"], NOW)
    assert more.renewed
    assert more.fingerprint == first.fingerprint
    assert set(more.names) == {*NAMES, "lake.example.org", "10.0.0.7", "xn--sj-gka.example.org"}
    assert not ensure_certificates(tmp_path, [*NAMES, "lake.example.org", "10.0.0.7", "sjö.example.org"], NOW).renewed
    with pytest.raises(InvalidArgument, match="neither an address nor the name of a host"):
        ensure_certificates(tmp_path, [*NAMES, "no such name"], NOW)


def test_an_authority_that_ends_or_is_damaged_is_made_anew(tmp_path: Path) -> None:
    first = ensure_certificates(tmp_path, NAMES, NOW)
    (tmp_path / "authority.pem").write_bytes((tmp_path / "authority.pem").read_bytes()[:200])
    second = ensure_certificates(tmp_path, NAMES, NOW)
    assert second.fingerprint != first.fingerprint
    assert second.authority_path.read_text() == second.authority
    assert greeted(server_context(second.server_path), second.authority, "localhost")
    third = ensure_certificates(tmp_path, NAMES, NOW + AUTHORITY_LIFE - timedelta(days=1))
    assert third.fingerprint != second.fingerprint


def test_a_server_never_outlives_its_authority(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, NAMES, NOW)
    late = ensure_certificates(tmp_path, NAMES, NOW + AUTHORITY_LIFE - timedelta(days=100))
    assert late.server_ends == late.authority_ends
