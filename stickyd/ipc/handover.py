"""What a WebSocket takes along to another worker: the rest of a frame of `Kind.HANDED`. Pure.

Network byte order::

    u32 size of the head   u32 size of the notes   u32 size of the state
    head                   of the request that opened the WebSocket
    notes                  JSON: the affinity keys in use, the extensions agreed
    state                  of the app
    rest                   what the client has sent and no app has received; begins with a frame
"""

import json
import struct
from typing import NamedTuple

STATE_MOST = 16384
"""Bytes of an app's state."""

_FIXED = struct.Struct("!III")


class HandoverError(ValueError):
    """The bytes are not what `Handed.encode` returns."""


class Handed(NamedTuple):
    """A WebSocket between two messages.

    :ivar head: as it came.
    :ivar keys: the affinity keys in use.
    :ivar extensions: the value of the answer's Sec-WebSocket-Extensions; "" for none.
    :ivar state: at most `STATE_MOST` bytes.
    :ivar unread: of the client.
    """

    head: bytes
    keys: tuple[str, ...]
    extensions: str
    state: bytes
    unread: bytes

    def encode(self) -> bytes:
        """As one string of bytes."""
        notes = json.dumps({"keys": self.keys, "extensions": self.extensions}).encode("ascii")
        fixed = _FIXED.pack(len(self.head), len(notes), len(self.state))
        return b"".join((fixed, self.head, notes, self.state, self.unread))

    @classmethod
    def decode(cls, data: bytes) -> "Handed":
        """Read what `encode` has returned.

        :raise HandoverError: if it has not.
        """
        if len(data) < _FIXED.size:
            raise HandoverError("too short")
        head, notes, state = _FIXED.unpack_from(data)
        ends = [_FIXED.size]
        for size in (head, notes, state):
            ends.append(ends[-1] + size)
        if len(data) < ends[-1] or state > STATE_MOST:
            raise HandoverError("sizes that cannot be")
        parts = [data[begin:end] for begin, end in zip(ends, (*ends[1:], len(data)), strict=True)]
        try:
            told = json.loads(parts[1])
            keys, extensions = tuple(map(str, told["keys"])), str(told["extensions"])
        except (ValueError, KeyError, TypeError) as error:
            raise HandoverError(f"notes that cannot be read: {error}") from None
        return cls(parts[0], keys, extensions, parts[2], parts[3])
