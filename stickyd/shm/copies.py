"""The master's copy of a connection as one object: there may be very many of them.

A copy is its descriptor (an int of the machine) and, behind it, the frame that puts the
connection into an inbox again. As bytes it takes half of what a tuple of the two takes.
"""

import struct

_DESCRIPTOR = struct.Struct("=i")


def pack_copy(descriptor: int, message: bytes) -> bytes:
    """The copy with this descriptor and frame."""
    return _DESCRIPTOR.pack(descriptor) + message


def descriptor_of(copy: bytes) -> int:
    """The descriptor of a copy."""
    return int(_DESCRIPTOR.unpack_from(copy)[0])


def message_of(copy: bytes) -> bytes:
    """The frame of a copy."""
    return copy[_DESCRIPTOR.size :]
