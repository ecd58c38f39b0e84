"""The frame: the message that carries a connection's descriptor. Pure.

A frame is self-contained, so that every reader of an inbox can take every frame: a
replacement after a crash, a second reader during a reload. ``VERSION`` fixes the
layout (network byte order)::

    u8  version        u8  kind           u16 hops
    u64 connection id  u32 table version  u32 head deadline, ms left
    u32 table entry    u32 time put in    u8  source         u8  listener id
    u8  family         u8  length of the addresses
    addresses          peer and local, host and port each: `_V4`, `_V6`, or nothing
                       (family 0), which is a Unix socket's
    record             only if the highest bit of the family is set: u16 length, and that of
                       `stickyd.ipc.over_tls` for a client with a certificate
    rest               unread bytes of the connection
"""

import enum
import struct
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

from stickyd.ipc.over_tls import subject_of
from stickyd.net.address import Address

VERSION = 3
_FIXED = struct.Struct("!BBHQIIIIBBBB")
_ID = struct.Struct("!Q")
_ENTRY = struct.Struct("!I")
_ID_AT, _LEFT_AT, _ENTRY_AT, _PUT_AT, _SOURCE_AT = 4, 16, 20, 24, 28
_V4 = struct.Struct("!4sH4sH")
_V6 = struct.Struct("!16sH16sH")
_NO_ADDRESS = 0
_WITH_RECORD = 0x80
_SIZE = struct.Struct("!H")


class Kind(enum.IntEnum):
    """Why a connection is in an inbox."""

    PLACED = 1
    """New, from the master: its first request belongs to this slot."""
    MOVED = 2
    """From another slot: its next request belongs to this slot."""
    RETURNED = 3
    """Idle, from a worker that retires or has died: no request has arrived."""
    HANDED = 4
    """A WebSocket between two messages, from a worker that its app leaves: its unread bytes are
    those of `stickyd.ipc.handover.Handed`."""


_KINDS = {int(kind): kind for kind in Kind}
_RETURNED = bytes([Kind.RETURNED])
_NOTHING = bytes(4)


class FrameError(ValueError):
    """The message is not a frame of this version."""


class Frame(NamedTuple):
    """The fields of a frame.

    :ivar connection: unique among the connections of one daemon.
    :ivar peer: the client's address as the PROXY header or the kernel names it,
        None on a Unix socket.
    :ivar local: address of the daemon's end, None on a Unix socket.
    :ivar listener: which of the daemon's listeners accepted it, from 0 (modulo 256).
    :ivar head_left: milliseconds until the head must be complete, 0 if the
        deadline begins with the next head.
    :ivar table: version of the slot table that the sender used.
    :ivar hops: number of workers that had the connection before.
    :ivar unread: bytes read from the socket and not yet served.
    :ivar entry: number in the connection table (`stickyd.shm.connection_table`), 0 for none.
    :ivar source: of the key by which the sender placed the request that comes with it
        (`stickyd.routing.source_numbers`).
    :ivar put_at: when it was put into an inbox because of the request, or of the WebSocket, that
        comes with it (`stickyd.ipc.queue_clock`); 0 for a connection that waits for a request.
    :ivar tls: record of a client with a certificate (`stickyd.ipc.over_tls`), or b"".
    """

    kind: Kind
    connection: int
    peer: Address | None
    local: Address | None
    listener: int = 0
    head_left: int = 0
    table: int = 1
    hops: int = 0
    unread: bytes = b""
    entry: int = 0
    source: int = 0
    put_at: int = 0
    tls: bytes = b""

    @property
    def peer_host(self) -> str | None:
        """The client's address without its port, None on a Unix socket."""
        return self.peer[0] if self.peer else None

    @property
    def subject(self) -> str | None:
        """The subject of the client's certificate (RFC 4514), None without one."""
        return subject_of(self.tls)

    def encode(self) -> bytes:
        """The frame as one message."""
        family, addresses = _pack_addresses(self.peer, self.local)
        fixed = _FIXED.pack(
            VERSION,
            self.kind,
            min(self.hops, 0xFFFF),
            self.connection,
            self.table,
            self.head_left,
            self.entry,
            self.put_at,
            self.source,
            self.listener & 0xFF,
            family | (_WITH_RECORD if self.tls else 0),
            len(addresses),
        )
        if self.tls:
            addresses += _SIZE.pack(len(self.tls)) + self.tls
        return fixed + addresses + self.unread


def connection_of(message: bytes) -> int:
    """The connection id of a message, 0 if it is too short to be a frame."""
    return int(_ID.unpack_from(message, _ID_AT)[0]) if len(message) >= _FIXED.size else 0


def entry_of(message: bytes) -> int:
    """The table entry of a message, 0 if it is not a frame of this version or has none."""
    if len(message) < _FIXED.size or message[0] != VERSION:
        return 0
    return int(_ENTRY.unpack_from(message, _ENTRY_AT)[0])


def carries(message: bytes) -> bool:
    """Whether a message that has an entry has unread bytes."""
    try:
        return len(message) > _end_of_head(message)
    except FrameError:
        return False


def _end_of_head(message: bytes) -> int:
    """Where the unread bytes begin.

    :raise FrameError: if the message ends before.
    """
    end = _FIXED.size + message[_FIXED.size - 1]
    if message[_FIXED.size - 2] & _WITH_RECORD:
        if len(message) < end + _SIZE.size:
            raise FrameError("message shorter than its record")
        end += _SIZE.size + int(_SIZE.unpack_from(message, end)[0])
    if len(message) < end:
        raise FrameError("message shorter than its addresses")
    return end


def as_returned(message: bytes) -> bytes:
    """The frame of the same connection when idle: `Kind.RETURNED`, no unread bytes, no times."""
    end = _end_of_head(message)
    head = message[:1] + _RETURNED + message[2:_LEFT_AT] + _NOTHING
    return head + message[_ENTRY_AT:_PUT_AT] + _NOTHING + message[_SOURCE_AT:end]


def decode(message: bytes, known: Frame | None = None) -> Frame:
    """Read a message.

    :param known: an earlier frame of the same connection; its addresses hold.
    :raise FrameError: if it is not a frame of this version.
    """
    try:
        (
            version,
            kind,
            hops,
            connection,
            table,
            head_left,
            entry,
            put_at,
            source,
            listener,
            family,
            length,
        ) = _FIXED.unpack_from(message)
    except struct.error:
        raise FrameError("message shorter than a frame") from None
    if version != VERSION:
        raise FrameError(f"frame version {version}, expected {VERSION}")
    start, record = _FIXED.size, b""
    end = _end_of_head(message)
    if family & _WITH_RECORD:
        family &= ~_WITH_RECORD
        record = message[start + length + _SIZE.size : end]
        if not record:
            raise FrameError("an empty record")
    try:
        if known is not None:
            peer, local = known.peer, known.local
        else:
            peer, local = _unpack_addresses(family, message[start : start + length])
        unread = message[end:]
        return Frame(
            _KINDS[kind],
            connection,
            peer,
            local,
            listener,
            head_left,
            table,
            hops,
            unread,
            entry,
            source,
            put_at,
            record,
        )
    except KeyError:
        raise FrameError(f"malformed frame: no kind {kind}") from None
    except (struct.error, ValueError) as error:
        raise FrameError(f"malformed frame: {error}") from None


def _pack_addresses(peer: Address | None, local: Address | None) -> tuple[int, bytes]:
    if peer is None or local is None:
        return _NO_ADDRESS, b""
    if ":" in peer[0] or ":" in local[0]:
        ends = (_as_v6(peer[0]), peer[1], _as_v6(local[0]), local[1])
        return AF_INET6, _V6.pack(*ends)
    return AF_INET, _V4.pack(
        inet_pton(AF_INET, peer[0]), peer[1], inet_pton(AF_INET, local[0]), local[1]
    )


def _as_v6(host: str) -> bytes:
    if ":" in host:
        return inet_pton(AF_INET6, host)
    return bytes(10) + b"\xff\xff" + inet_pton(AF_INET, host)


def _from_v6(packed: bytes) -> str:
    if packed.startswith(bytes(10) + b"\xff\xff"):
        return inet_ntop(AF_INET, packed[12:])
    return inet_ntop(AF_INET6, packed)


def _unpack_addresses(family: int, packed: bytes) -> tuple[Address | None, Address | None]:
    if family == _NO_ADDRESS:
        if packed:
            raise ValueError("addresses of no family")
        return None, None
    if family == AF_INET:
        peer, peer_port, local, local_port = _V4.unpack(packed)
        return (inet_ntop(AF_INET, peer), peer_port), (inet_ntop(AF_INET, local), local_port)
    if family == AF_INET6:
        peer, peer_port, local, local_port = _V6.unpack(packed)
        return (_from_v6(peer), peer_port), (_from_v6(local), local_port)
    raise ValueError(f"address family {family}")
