"""An authority of the installation's own, and the server's certificate signed by it.

Both lie in the data folder.  Clients trust the authority, whose certificate lives for years; the server's own lives for about a year
and is made anew before it ends, or when other names are wanted, without anybody noticing.  Profile: RFC 5280 and the rules that browsers
set for servers (names in subjectAltName, at most 398 days).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import secrets
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from insjo.kernel.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
SKEW = timedelta(days=1)
"""Certificates begin a day early, since clocks differ."""


HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


@dataclass(frozen=True, slots=True)
class Certificates:
    """What clients and the server need.

    Attributes:
        authority: Certificate of the authority as PEM; no secret.
        authority_path: File that holds it, for clients on this machine.
        server_path: File with the server's key and certificate; secret.
        names: Names and addresses that the server's certificate holds.
        fingerprint: SHA-256 of the authority's certificate, in hexadecimal digits.
        renewed: The server's certificate is new.
    """

    authority: str
    authority_path: Path
    server_path: Path
    names: tuple[str, ...]
    fingerprint: str
    authority_ends: datetime
    server_ends: datetime
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class _Pair:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def ensure_certificates(folder: Path, names: Sequence[str], now: datetime) -> Certificates:
    """The certificates in a folder, made or renewed as needed.  Call it for one folder at a time only.

    Args:
        folder: Made when it is not there; readable by its owner alone.
        names: Under which clients reach the server: names of hosts and addresses.
        now: The present moment.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(stat.S_IRWXU)
    authority_path, server_path = folder / "authority.pem", folder / "server.pem"
    authority = _read(authority_path)
    if authority is None or not _is_good(authority, now):
        authority = _new_authority(now)
        _write(authority_path, authority)
    public = authority.certificate.public_bytes(serialization.Encoding.PEM)
    if not (folder / "ca.pem").is_file() or (folder / "ca.pem").read_bytes() != public:
        _replace(folder / "ca.pem", public)
    server = _read(server_path)
    renewed = server is None or not _is_good(server, now) or not _fits(server, authority, names)
    if server is None or renewed:
        server = _new_server(authority, names, now)
        _write(server_path, server)
    return _told(folder, authority, server, renewed=renewed)


def read_certificates(folder: Path) -> Certificates | None:
    """The certificates in a folder as they are, or None when there are none."""
    authority, server = _read(folder / "authority.pem"), _read(folder / "server.pem")
    return None if authority is None or server is None else _told(folder, authority, server, renewed=False)


def _told(folder: Path, authority: _Pair, server: _Pair, *, renewed: bool) -> Certificates:
    return Certificates(
        authority=authority.certificate.public_bytes(serialization.Encoding.PEM).decode(),
        authority_path=folder / "ca.pem",
        server_path=folder / "server.pem",
        names=_names_of(server.certificate),
        fingerprint=authority.certificate.fingerprint(hashes.SHA256()).hex(),
        authority_ends=authority.certificate.not_valid_after_utc,
        server_ends=server.certificate.not_valid_after_utc,
        renewed=renewed,
    )


def _is_good(pair: _Pair, now: datetime) -> bool:
    """Whether it is valid now and for some time to come."""
    return pair.certificate.not_valid_before_utc <= now and now + RENEW_BEFORE < pair.certificate.not_valid_after_utc


def _fits(server: _Pair, authority: _Pair, names: Sequence[str]) -> bool:
    """Whether the authority signed the server's certificate for these names."""
    try:
        server.certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return set(_names_of(server.certificate)) == {_canonical(name) for name in names}


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Names and addresses in a certificate."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (*found.get_values_for_type(x509.DNSName), *(str(each) for each in found.get_values_for_type(x509.IPAddress)))


def _canonical(name: str) -> str:
    """A name as a certificate tells it.

    Raises:
        InvalidArgument: It is neither an address nor a name.
    """
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name))
    with contextlib.suppress(UnicodeError):
        ascii_name = name.lower().encode("idna").decode()
        if HOST_NAME.fullmatch(ascii_name):
            return ascii_name
    message = f"`{name[:100]}` is neither an address nor the name of a host."
    raise InvalidArgument(message, hint="Correct the setting `tls_names`.")


def _general_name(name: str) -> x509.GeneralName:
    """A name or an address in the form of a certificate."""
    canonical = _canonical(name)
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(canonical))
    return x509.DNSName(canonical)


def _new_authority(now: datetime) -> _Pair:
    """An authority that may sign servers and nothing else; its name tells installations apart."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Insjo"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Insjo CA {secrets.token_hex(4)}"),
        ]
    )
    certificate = (
        _builder(name, name, key.public_key(), now, now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _Pair(key, certificate)


def _new_server(authority: _Pair, names: Sequence[str], now: datetime) -> _Pair:
    """A certificate for these names."""
    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(now + SERVER_LIFE, authority.certificate.not_valid_after_utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Insjo server")])
    alternatives = list(dict.fromkeys(_general_name(name) for name in names))
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(subject, authority.certificate.subject, key.public_key(), now, ends)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _Pair(key, certificate)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins.astimezone(UTC) - SKEW)
        .not_valid_after(ends.astimezone(UTC))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _read(path: Path) -> _Pair | None:
    """A key and its certificate from one file; None when it is not there or damaged, so that a new one is made."""
    try:
        content = path.read_bytes()
        key = serialization.load_pem_private_key(content, password=None)
        certificate = x509.load_pem_x509_certificate(content)
    except (OSError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        return None
    return _Pair(key, certificate)


def _write(path: Path, pair: _Pair) -> None:
    """Key and certificate in one file, so that no crash can part them."""
    key = pair.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _replace(path, key + pair.certificate.public_bytes(serialization.Encoding.PEM))


def _replace(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
