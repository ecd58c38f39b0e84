"""Sending data in parts without joining them first (writev(2))."""

import fcntl
import os
import struct
import termios
from typing import Any

Parts = list[Any]
"""bytes and memoryviews; none is empty."""

SEND_MOST = 2 * 1024 * 1024
"""Bytes per call: a fast client must not delay the others."""

SMALL = 16384
"""Bytes up to which joining the parts costs less than writev(2)."""

PARTS_MOST = 64
"""Parts per call; far below the kernel's IOV_MAX."""

_QUEUED = struct.Struct("i")


def queued_in(descriptor: int) -> int:
    """Bytes in the send queue that the peer has not acknowledged (SIOCOUTQ, tcp(7))."""
    queued = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(_QUEUED.size))
    return int(_QUEUED.unpack(queued)[0])


def send_parts(descriptor: int, parts: Parts, size: int) -> int:
    """Send as much of ``parts`` as the kernel accepts now, and remove it from them.

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
        # The first part may be the rest of a large one: do not copy it again.
        parts[1:] = [b"".join(parts[1:])]
    sent = os.writev(descriptor, _first(parts, SEND_MOST))
    _take_off(parts, sent)
    return sent


def rest_of(parts: Parts, sent: int) -> Parts:
    """What is left of ``parts`` when ``sent`` bytes of them are sent."""
    rest = list(parts)
    _take_off(rest, sent)
    return rest


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
