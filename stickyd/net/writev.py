"""Sending what an app has written in parts, without first making one piece of it (writev(2))."""

import fcntl
import os
import struct
import termios
from typing import Any

Parts = list[Any]
"""Of bytes, and views of them; none is empty."""

SEND_MOST = 2 * 1024 * 1024
"""Bytes sent at once: a client that takes all as it comes must not keep us from the others."""

SMALL = 16384
"""Bytes up to which putting parts together costs less than naming them to the kernel."""

PARTS_MOST = 64
"""Parts of one call; far below the kernel's IOV_MAX."""

_QUEUED = struct.Struct("i")


def queued_in(descriptor: int) -> int:
    """Bytes that the kernel has for a peer which has not acknowledged them (SIOCOUTQ, tcp(7))."""
    queued = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(_QUEUED.size))
    return int(_QUEUED.unpack(queued)[0])


def send_parts(descriptor: int, parts: Parts, size: int) -> int:
    """Send as much of ``parts`` as the kernel takes now; what it takes is taken off them.

    :param size: of all parts together, in bytes; not 0.
    :return: bytes sent.
    :raise OSError: as write(2); BlockingIOError if nothing can be sent.
    """
    if size <= SMALL:
        data = b"".join(parts)
        sent = os.write(descriptor, data)
        if sent == size:
            parts.clear()
        else:
            parts[:] = [data[sent:]]
        return sent
    if len(parts) > PARTS_MOST:
        # The first may be the rest of a big one: it is not copied over and over.
        parts[1:] = [b"".join(parts[1:])]
    sent = os.writev(descriptor, _first(parts, SEND_MOST))
    _take_off(parts, sent)
    return sent


def _first(parts: Parts, room: int) -> Parts:
    """The first ``room`` bytes of ``parts``."""
    first: Parts = []
    for part in parts:
        if len(part) > room:
            part = memoryview(part)[:room]
        first.append(part)
        room -= len(part)
        if not room:
            break
    return first


def _take_off(parts: Parts, sent: int) -> None:
    whole = 0
    for part in parts:
        if sent < len(part):
            break
        sent -= len(part)
        whole += 1
    del parts[:whole]
    if sent:
        parts[0] = memoryview(parts[0])[sent:]
