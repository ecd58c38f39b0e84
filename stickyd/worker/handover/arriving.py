"""A WebSocket that comes from another worker: into the hands of its app, without a handshake."""

import socket
from typing import Protocol

from twisted.logger import Logger

from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.ipc.frame import Frame
from stickyd.ipc.handover import Handed, HandoverError
from stickyd.net.lingering_close import send_and_close
from stickyd.shm.connection_table import Entry
from stickyd.worker.connection.access_log import LoggedRequest
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.upgraded import SERVICE_RESTART
from stickyd.worker.handover.targets import forward
from stickyd.worker.interfaces import App

NOT_RESUMED = Refusal(503, "the app does not take the WebSocket over")
"""In its place the client gets a Close frame with 1012."""

# What was read under other limits is not judged again.
_LIMITS = Limits(request_line=1 << 20, fields=10_000, field_size=1 << 20, head=1 << 20)

_NOTHING = Handed(b"", (), "", b"", b"")

_log = Logger("stickyd")


class Arriving(Connection, Protocol):
    """A connection that begins in the midst."""

    handed: Handed | None


def passed_on(context: WorkerContext, frame: Frame, descriptor: int, entry: Entry | None) -> bool:
    """Whether a WebSocket goes on to another worker at once, since this one retires, too."""
    routing, connections = context.routing, context.connections
    if routing.keys.successor is None and not connections.leaving:
        return False
    found = _read(frame)
    named = None
    if found is not None:
        named = routing.policy.place(found[1], frame.peer_host, frame.subject).slot

    sock = socket.socket(fileno=descriptor)

    def done(sent: bool) -> None:
        if sent:
            context.accounting.moved(entry)
            sock.close()
        else:
            send_and_close(sock, SERVICE_RESTART)
            context.accounting.ended(entry)

    message = frame._replace(hops=frame.hops + 1).encode()
    if forward(context, frame.connection, named, message, descriptor, done, entry):
        return True
    sock.detach()
    return False


def _read(frame: Frame) -> tuple[Handed, Head] | None:
    try:
        handed = Handed.decode(frame.unread)
    except HandoverError as error:
        _log.error("a WebSocket that cannot be taken over: {error}", error=error)
        return None
    head = read_head(handed.head, _LIMITS)
    return (handed, head) if isinstance(head, Head) else None


def resumed(data: bytes) -> tuple[int, bytes]:
    """What is sent in place of the answer to the handshake, whose client has had one.

    :param data: the head of the app's answer.
    :return: the answer's status, and nothing if it is 101, or a Close frame.
    """
    status = int(data[9:12])
    return status, b"" if status == 101 else SERVICE_RESTART


def resume(connection: Arriving, app: App) -> None:
    """Give it to the app, which accepts it as it would a new one; nothing is sent for that."""
    context, frame = connection.context, connection.frame
    found = _read(frame)
    # Its state is the app's from now on.
    connection.frame = frame._replace(unread=b"")
    connection.came_with = False
    connection.handed = _NOTHING
    if found is None:
        connection.refuse(NOT_RESUMED)
        return
    connection.handed, head = found
    connection.buffer = found[0].unread
    routing, access = context.routing, context.access
    if routing.keys.active:
        now = context.reactor.seconds()
        connection.keys = ()
        for key in found[0].keys:
            routing.keys.issued(key, connection, now)
    if access is not None:
        placement = routing.policy.place(head, frame.peer_host, frame.subject)
        sent = connection.transport.written()
        connection.logged = LoggedRequest(
            *(access, connection.frame, head, routing.policy, placement),
            *(context.config.slot, sent, False),
        )
    try:
        connection.exchange = exchange = app.exchange(connection, head)
        routing.load.began()
        connection.state = State.ANSWER
        exchange.requestReceived()
    except Exception:
        _log.failure("an app failed to take a WebSocket over")
        connection.refuse(NOT_RESUMED)
        return
    if connection.state is not State.OVER:
        connection.transport.startReading()
