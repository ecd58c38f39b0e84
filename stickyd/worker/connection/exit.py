"""How a connection ends here: in order, by a refusal, by the client, or after an upgrade."""

import os
from collections.abc import Callable
from functools import partial

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from stickyd.http1.error_response import Refusal
from stickyd.ipc.over_tls import over_tls
from stickyd.net.lingering_close import end_connection
from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.lingering import LingeringConnection
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.upgraded import SERVICE_RESTART, send_close
from stickyd.worker.interfaces import Exchange


def close(connection: Connection, *, may_send: bool = False) -> None:
    """Close in order: everything written is still sent.

    :param may_send: the client has just been answered and may still be sending, in which case a
        plain close could destroy the answer (RFC 9112, 9.6).
    """
    transport = connection.transport
    # To a TLS process a plain close is a cut (`stickyd.tls.relay`).
    tls = over_tls(connection.frame.listener)
    if may_send or tls or connection.buffer or not transport.flushed() or transport.queued():
        linger(connection, b"")
    else:
        entry = transport.entry
        end_connection(detach(connection), copied=entry is not None)
        connection.context.accounting.ended(entry)
        transport.release()


def refuse(connection: Connection, refusal: Refusal) -> None:
    """Answer with an error and close; the bytes behind it are never read as a request."""
    connection.context.accounting.counters.refused[refusal.status] += 1
    exchange = connection.exchange
    begun = exchange is not None and exchange.begun
    to_head = exchange is not None and exchange.to_head
    last = b"" if begun else refusal.response(to_head=to_head)
    if connection.handed is not None:
        # Its client has had the answer to its handshake, and speaks WebSocket.
        last = SERVICE_RESTART
    exchange = end_exchange(connection, refusal.status, len(last))
    if exchange is not None:
        exchange.connectionLost(Failure(ConnectionDone(refusal.why)))
    linger(connection, last)


def linger(connection: Connection, last: bytes) -> None:
    """Send what is written and ``last``, then close without losing it (RFC 9112, 9.6)."""
    transport = connection.transport
    parts = transport.unsent()
    if last:
        parts.append(last)
    LingeringConnection(
        connection.context, detach(connection, watched=True), parts, transport.entry
    )
    transport.release()


def lose(connection: Connection) -> None:
    """The app has closed the transport, and everything it had written is sent."""
    reason = Failure(ConnectionDone())
    receiver = connection.transport.protocol
    due = connection.state is not State.PINNED
    exchange = end_exchange(connection)
    linger(connection, b"")
    if exchange is not None:
        connection.context.accounting.counters.lost += due
        exchange.connectionLost(reason)
    if receiver is not connection:
        receiver.connectionLost(reason)


def close_after_upgrade(connection: Connection) -> None:
    """The app has closed a connection that it had taken over, and everything is sent.

    The client may still be sending, which must not destroy what it has not read (RFC 9112, 9.6).
    """
    receiver = connection.transport.protocol
    reason = Failure(ConnectionDone())
    linger(connection, b"")
    exchange = end_exchange(connection)
    if exchange is not None:
        exchange.connectionLost(reason)
    receiver.connectionLost(reason)


def going_away(connection: Connection) -> None:
    """Close it now, unless a request has begun meanwhile, whose answer will be the last."""
    close = closer(connection)
    if close is not None:
        close()
    elif connection.idle():
        connection.close()


def close_gracefully(connection: Connection) -> None:
    """The grace period is over: close, by the means of an upgraded protocol if it has any.

    Otherwise it is reset: a FIN could make half an answer look like a whole one.
    """
    close = closer(connection)
    if close is None:
        connection.transport.abortConnection()
    else:
        close()


def closer(connection: Connection) -> Callable[[], None] | None:
    """What closes a connection that an app has taken over, by the means of its protocol."""
    upgraded = connection.upgraded
    if connection.state is State.PINNED:
        return upgraded.close_gracefully if upgraded is not None and upgraded.closes else None
    # Autobahn's resource takes the transport without a word; this is its protocol's method.
    send = getattr(connection.transport.protocol, "sendCloseFrame", None)
    return partial(send_close, connection.transport, send) if callable(send) else None


def give_away(connection: Connection, reason: Failure) -> None:
    """Another worker has it now, in the midst of what it does: end what belongs to it here."""
    context, transport = connection.context, connection.transport
    upgraded = connection.upgraded
    context.accounting.moved(transport.entry)
    transport.entry = None
    os.close(detach(connection))
    exchange = end_exchange(connection)
    if exchange is not None:
        exchange.connectionLost(reason)
    if upgraded is not None:
        upgraded.connectionLost(reason)
    transport.release()


def lost(connection: Connection, reason: Failure) -> None:
    """The connection has ended: by the client, by an error or by an abort."""
    # No answer is due to a client whose connection an app has taken over.
    due = connection.state is not State.PINNED
    _over(connection)
    context = connection.context
    context.accounting.ended(connection.transport.entry)
    context.connections.discard(connection)
    exchange = end_exchange(connection)
    if exchange is not None:
        context.accounting.counters.lost += due
        exchange.connectionLost(reason)


def detach(connection: Connection, *, watched: bool = False) -> int:
    """Forget the connection; the caller owns the descriptor.

    :param watched: the poller continues to watch it for reading.
    """
    _over(connection)
    descriptor = connection.transport.detach(watched=watched)
    connection.context.connections.discard(connection)
    return descriptor


def _over(connection: Connection) -> None:
    if connection.state is State.PINNED:
        connection.context.accounting.counters.upgraded -= 1
    connection.state = State.OVER
    connection.buffer = b""
    connection.body = None
    connection.deadline = None


def end_exchange(connection: Connection, status: int = 0, size: int = 0) -> Exchange | None:
    """Take the exchange away: its request is answered, or will never be.

    :param status: of the answer sent in its place, in ``size`` bytes, unless it has begun one.
    """
    exchange = connection.exchange
    connection.exchange = None
    logged = connection.logged
    if logged is not None:
        connection.logged = None
        begun = exchange is not None and exchange.status
        logged.answered(begun or status, connection.transport.written() + size)
    if exchange is not None:
        routing = connection.context.routing
        routing.load.ended()
        if routing.keys.draining:
            routing.keys.released()
    if connection.began:
        connection.context.accounting.answered(connection.began)
        connection.began = 0.0
        connection.transport.on_first_byte = None
    return exchange
