"""Addresses as text: one canonical form for each IP address."""

import re
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

Address = tuple[str, int]
"""Host and port of one end of a connection."""

V4_MAPPED = bytes(10) + b"\xff\xff"
"""The first 12 bytes of an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2)."""

_WITH_PORT = re.compile(r"\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


@lru_cache(maxsize=8192)
def canonical(text: str) -> str | None:
    """The canonical text of an IP address; None if ``text`` is not an IP address.

    IPv4 as dotted quad, IPv6 in lower case and compressed (RFC 5952), an
    IPv4-mapped IPv6 address as IPv4.
    """
    try:
        if ":" not in text:
            return inet_ntop(AF_INET, inet_pton(AF_INET, text))
        packed = inet_pton(AF_INET6, text)
    except (OSError, ValueError):
        return None
    if packed.startswith(V4_MAPPED):
        return inet_ntop(AF_INET, packed[12:])
    return inet_ntop(AF_INET6, packed)


def without_port(text: str) -> str:
    """Remove brackets and port from ``[v6]:port``, ``[v6]`` and ``v4:port``; keep other text."""
    match = _WITH_PORT.fullmatch(text) if ":" in text else None
    return (match[1] or match[2]) if match else text
