"""Base URLs: read once, checked, and turned into the fixed bytes that stand at the head of each request."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from insjo.gateway.errors import EndpointInvalid

_PATH = re.compile(r"[A-Za-z0-9/._~:@!$&'()*+,;=%-]*")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")


@dataclass(frozen=True, slots=True)
class Origin:
    """One server: connections to it are shared by everything that it serves."""

    host: str
    port: int
    tls: bool

    @property
    def host_header(self) -> str:
        """Value of the `host` header; an address of version 6 stands in brackets, the usual port is left out."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.tls else 80) else f"{name}:{self.port}"


def parse_base_url(base_url: str) -> tuple[Origin, str]:
    """Origin and path of a base URL.

    Raises:
        EndpointInvalid: Not an absolute http or https URL, or one that holds credentials, a query, a fragment, or points at the
            link-local addresses where clouds keep their credentials.
    """
    if not base_url.isprintable() or " " in base_url:  # `urlsplit` would drop line breaks without a word.
        raise EndpointInvalid("The base URL holds a space or a character that cannot be seen.")
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError as error:
        raise EndpointInvalid(f"The base URL `{base_url}` is not a URL.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise EndpointInvalid(f"The base URL `{base_url}` is not an http or https URL.", hint="Write it as `https://host/v1`.")
    if parts.username is not None or parts.password is not None:
        raise EndpointInvalid("The base URL holds a user name or password.", hint="Give the key as the provider key.")
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path):
        raise EndpointInvalid(f"The base URL `{base_url}` holds more than host, port and path.")
    host = _checked_host(parts.hostname, base_url)
    tls = parts.scheme == "https"
    return Origin(host, port or (443 if tls else 80), tls), parts.path.rstrip("/")


def _checked_host(host: str, base_url: str) -> str:
    """The host in the form in which it is looked up."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            name = host.encode("idna").decode("ascii")
        except UnicodeError:
            name = ""
        if not _HOST.fullmatch(name):
            raise EndpointInvalid(f"The host of the base URL `{base_url}` is not a host name.") from None
        return name
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        raise EndpointInvalid(f"The base URL `{base_url}` points at an address that no model provider has.")
    return str(address)
