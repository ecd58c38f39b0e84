"""A strict parser of PROXY protocol headers, versions 1 and 2.

Source: HAProxy's proxy-protocol.txt; the numbers in brackets are its sections.
The bytes are checked in order, each as soon as its meaning is certain, so that
the result does not depend on how they were split.
"""

import re
import struct
from socket import AF_INET, AF_INET6, inet_ntop

import attrs

from stickyd.net.address import Address, canonical

VERSIONS = {"v1": frozenset({1}), "v2": frozenset({2}), "auto": frozenset({1, 2})}
"""The versions that each choice of the command line admits."""

V1_MOST = 107
"""Bytes of the longest line of version 1, its CRLF included [2.1]."""

V2_FIXED = 16
"""Bytes of a header of version 2 before its addresses [2.2]."""

V2_REST_MOST = 4096
"""Bytes of addresses and TLVs that a header of version 2 may have; the format has room for 65535.

Senders keep the whole header within one small segment [2]; the widest TLVs in
use, certificate names and identifiers, stay far below this.
"""

HEADER_MOST = V2_FIXED + V2_REST_MOST
"""Bytes of the longest header that is accepted."""

_V1_BEGIN = b"PROXY "
_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_PORT = rb"(0|[1-9][0-9]{0,4})"
_V1_TCP = re.compile(rb"TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) " + _PORT + b" " + _PORT)
_V1_UNKNOWN = re.compile(rb"UNKNOWN(?: [^\r]*)?")

_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC, _INET, _INET6, _UNIX = range(4)
_STREAM, _DGRAM = 1, 2
_V4 = struct.Struct("!4s4sHH")
_V6 = struct.Struct("!16s16sHH")
_UNIX_SIZE = 216
_ADDRESSES_SIZE = {_INET: _V4.size, _INET6: _V6.size, _UNIX: _UNIX_SIZE}
_TLV = struct.Struct("!BH")


@attrs.frozen
class ProxyHeader:
    """A whole, valid header.

    ``size`` is the number of bytes it took. ``peer`` is the client's end and
    ``local`` the end that the client connected to; both are None where the
    real ends of the connection hold: command LOCAL, protocol UNKNOWN or
    UNSPEC, and a client on a Unix socket, which has no address.
    """

    size: int
    peer: Address | None = None
    local: Address | None = None


@attrs.frozen
class ProxyRefused:
    """The bytes begin with no valid header, and why in a few words for the log."""

    why: str


def read_proxy(data: bytes, versions: frozenset[int]) -> ProxyHeader | ProxyRefused | None:
    """Read the header at the start of ``data``; what follows it is not looked at.

    :param versions: those that are accepted, of 1 and 2.
    :return: the header; or why there is none; or None while there may be one
        when more bytes arrive. Never raises.
    """
    if not data:
        return None
    # The first byte tells the version, and tells both from HTTP and TLS [2].
    if data[0] == _SIGNATURE[0]:
        if 2 not in versions:
            return ProxyRefused("begins like version 2, which is not accepted")
        return _read_v2(data)
    if 1 in versions and _V1_BEGIN.startswith(data[: len(_V1_BEGIN)]):
        return _read_v1(data)
    return ProxyRefused("no PROXY header")


def _read_v1(data: bytes) -> ProxyHeader | ProxyRefused | None:
    """A line of version 1 [2.1]; ``data`` begins like one."""
    end = data.find(b"\n", 0, V1_MOST)
    if end < 0:
        return None if len(data) < V1_MOST else ProxyRefused("version 1: line too long")
    if data[end - 1] != 0x0D:
        return ProxyRefused("version 1: line ends in a bare LF")
    line = data[len(_V1_BEGIN) : end - 1]
    if _V1_UNKNOWN.fullmatch(line):
        return ProxyHeader(end + 1)
    match = _V1_TCP.fullmatch(line)
    if match is None:
        return ProxyRefused("version 1: malformed line")
    family, *hosts, peer_port, local_port = (group.decode("ascii") for group in match.groups())
    if any((":" in host) != (family == "6") for host in hosts):
        return ProxyRefused("version 1: address of the other family")
    peer, local = map(canonical, hosts)
    if peer is None or local is None:
        return ProxyRefused("version 1: malformed address")
    ports = int(peer_port), int(local_port)
    if max(ports) > 65535:
        return ProxyRefused("version 1: port out of range")
    return ProxyHeader(end + 1, (peer, ports[0]), (local, ports[1]))


def _read_v2(data: bytes) -> ProxyHeader | ProxyRefused | None:
    """A header of version 2 [2.2]; ``data`` has at least one byte."""
    if not _SIGNATURE.startswith(data[: len(_SIGNATURE)]):
        return ProxyRefused("version 2: malformed signature")
    fixed = data[len(_SIGNATURE) : V2_FIXED]
    if fixed[:1] and fixed[0] not in (_LOCAL, _PROXY):
        return ProxyRefused("version 2: unknown version or command")
    # With LOCAL the family is ignored, and so is everything that follows it.
    relayed = fixed[:1] == bytes([_PROXY])
    family, protocol = divmod(fixed[1], 16) if len(fixed) > 1 else (_UNSPEC, _UNSPEC)
    if relayed:
        if family > _UNIX or protocol > _DGRAM:
            return ProxyRefused("version 2: unknown address family or protocol")
        if protocol == _DGRAM:
            return ProxyRefused("version 2: datagrams are not served")
    if len(fixed) < 4:
        return None
    rest = int.from_bytes(fixed[2:4], "big")
    if rest > V2_REST_MOST:
        return ProxyRefused("version 2: header too long")
    known = relayed and protocol == _STREAM and family != _UNSPEC
    addresses = _ADDRESSES_SIZE[family] if known else 0
    if rest < addresses:
        return ProxyRefused("version 2: header shorter than its addresses")
    size = V2_FIXED + rest
    if len(data) < size:
        return None
    if not known:
        return ProxyHeader(size)
    if not _tlvs_fit(data, V2_FIXED + addresses, size):
        return ProxyRefused("version 2: a TLV is longer than the header")
    return _with_addresses(data, family, size)


def _tlvs_fit(data: bytes, at: int, end: int) -> bool:
    """Whether whole TLVs, and nothing else, stand between ``at`` and ``end`` [2.2].

    Their values are skipped, the checksum of type CRC32C [2.2.3] among them:
    it is not verified, which the protocol leaves to the receiver.
    """
    while at < end:
        if end - at < _TLV.size:
            return False
        at += _TLV.size + _TLV.unpack_from(data, at)[1]
    return at == end


def _with_addresses(data: bytes, family: int, size: int) -> ProxyHeader:
    if family == _UNIX:
        return ProxyHeader(size)
    layout, kind = (_V4, AF_INET) if family == _INET else (_V6, AF_INET6)
    peer, local, peer_port, local_port = layout.unpack_from(data, V2_FIXED)
    return ProxyHeader(size, (_host(kind, peer), peer_port), (_host(kind, local), local_port))


def _host(kind: int, packed: bytes) -> str:
    text = inet_ntop(kind, packed)
    return canonical(text) or text
