"""Which address a host name stands for, and whether anybody may connect there."""

from __future__ import annotations

import ipaddress
import socket

from insjo.ingest.errors import LocationRefused, LocationUnreachable


def checked_address(host: str, port: int, *, private: bool) -> str:
    """The address to connect to; what was checked is what is connected to, so that a name cannot change its meaning in between.

    Args:
        host: Name or address.
        port: Where.
        private: Addresses of this machine and its own networks are allowed too.

    Raises:
        LocationUnreachable: The name stands for nothing.
        LocationRefused: One of its addresses is not allowed: the link-local ones, where clouds keep their credentials, never are.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        message = f"The host `{host}` is not found."
        raise LocationUnreachable(message) from error
    addresses = [str(each[4][0]) for each in found]
    for each in addresses:
        address = ipaddress.ip_address(each.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        forbidden = address.is_link_local or address.is_multicast or address.is_unspecified
        if forbidden or (not private and not address.is_global):
            message = f"The host `{host}` stands for an address to which no connection is made."
            raise LocationRefused(message, hint="A steward can allow private addresses for the location.")
    return addresses[0]
