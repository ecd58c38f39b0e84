"""Messages between the master and a template process, which has no reactor.

An ``AF_UNIX SOCK_SEQPACKET`` pair (unix(7)). Each message is JSON; those of the master may carry
descriptors. The master's first one has ``settings``; the answer is ``{}``, or has ``cannot_load``,
and the template ends. Then each request has the command line ``options`` of a worker, and carries
its end of the control channel and the writing end of its output; the answer has the worker's
``pid``, or why it could not be forked (``error``).
"""

import json
import socket
from array import array
from collections.abc import Sequence
from typing import Any

from stickyd.ipc.fd_queue import CLOSE_ON_EXEC

MESSAGE_MOST = 160 * 1024
"""Bytes of one message; below the default send buffer of unix(7), 212,992."""

DESCRIPTORS = 2
"""That a request carries."""

Message = dict[str, Any]


def make_fork_channel() -> tuple[socket.socket, socket.socket]:
    """The master's end, non-blocking, and the template's, which blocks."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs


def send_message(end: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message; descriptors are duplicated in the receiver.

    :raise OSError: if the other end is closed, or there is no room.
    """
    socket.send_fds(end, [json.dumps(message).encode("ascii")], list(descriptors))


def receive_message(end: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message and its descriptors, close-on-exec; None at the end.

    :raise BlockingIOError: there is none yet.
    """
    descriptors = array("i")
    # `socket.recv_fds` ignores its flags.
    space = socket.CMSG_LEN(DESCRIPTORS * descriptors.itemsize)
    data, ancillary, _, _ = end.recvmsg(MESSAGE_MOST, space, CLOSE_ON_EXEC)
    for level, kind, values in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(values)
    if not data:
        return None
    message: Message = json.loads(data)
    return message, descriptors.tolist()
