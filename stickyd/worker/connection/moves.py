"""How a connection moves to another worker: in a frame, through the inbox of a slot.

What the client has sent and has not been served travels in the frame.
"""

import os
from collections.abc import Callable
from functools import partial

from stickyd.http1.error_response import BUSY
from stickyd.ipc import queue_clock
from stickyd.ipc.fd_sender import InboxSender
from stickyd.ipc.frame import Frame, Kind
from stickyd.shm.connection_table import Entry
from stickyd.stats import MOVED
from stickyd.worker.connection.exit import detach
from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.next_step import State

Put = Callable[[bytes, int, Callable[[bool], None], Entry | None], None]


def hold_keys(connection: Connection) -> None:
    """The worker begins to drain: keys in use stay here (`stickyd.worker.key_owner`)."""
    keys = connection.context.routing.keys
    if connection.exchange is None or not connection.in_use():
        return
    if not keys.tracks:
        connection.keys = keys_of(connection)
    keys.hold(connection)


def keys_of(connection: Connection) -> tuple[str, ...]:
    """The affinity key of the request, and those that its answer has handed out."""
    exchange = connection.exchange
    if exchange is None:
        return ()
    policy = connection.context.routing.policy
    key = policy.place(exchange.asked, connection.frame.peer_host, connection.frame.subject).key
    return (*((key.text,) if key is not None else ()), *exchange.issued)


def move(connection: Connection, slot: int, source: int) -> None:
    """Move the connection to another slot.

    :param source: of the key that names it (`stickyd.routing.source_numbers`).
    """
    context = connection.context

    def moved() -> None:
        context.accounting.cells[MOVED + slot] += 1

    routing = context.routing
    message = _frame(connection, Kind.MOVED, routing.policy.table.version, source)
    _send(connection, partial(routing.senders.put, slot), message, moved)


def pass_on(connection: Connection, other: InboxSender, source: int) -> None:
    """Move the connection to another worker of this slot, into the inbox of ``other``.

    :param source: as for `move`.
    """
    context = connection.context

    def passed() -> None:
        context.accounting.counters.passed += 1

    routing = context.routing
    message = _frame(connection, Kind.MOVED, connection.frame.table, source)
    _send(connection, partial(routing.senders.put_with, other), message, passed)


def requeue(connection: Connection) -> None:
    """Move the connection to an heir of this worker, which retires."""
    context = connection.context

    def returned() -> None:
        context.accounting.counters.returned += 1

    # It keeps the version of its placement: in connection scope it may move elsewhere only if the
    # slots have changed since.
    message = _frame(connection, Kind.RETURNED, connection.frame.table)
    put = partial(context.routing.senders.put_to_heir, connection.frame.connection)
    _send(connection, put, message, returned)


def _frame(connection: Connection, kind: Kind, version: int, source: int = 0) -> bytes:
    frame, buffer = connection.frame, connection.buffer
    left = 0
    if kind is Kind.RETURNED and connection.deadline is not None and buffer:
        now = connection.context.reactor.seconds()
        left = max(1, int((connection.deadline - now) * 1000))
    return Frame(
        kind,
        frame.connection,
        frame.peer,
        frame.local,
        frame.listener,
        left,
        version,
        frame.hops + 1,
        buffer,
        frame.entry,
        source,
        0 if kind is Kind.RETURNED else queue_clock.now(),
        frame.tls,
    ).encode()


def _send(connection: Connection, put: Put, message: bytes, count: Callable[[], None]) -> None:
    connection.state = State.ROOM
    connection.deadline = None
    transport = connection.transport
    transport.stopReading()

    def done(sent: bool) -> None:
        if connection.state is not State.ROOM:
            return
        if sent:
            count()
            context = connection.context
            context.accounting.moved(transport.entry)
            until = context.reactor.seconds() + context.config.timeouts.keep_alive
            context.connections.moved.keep(connection, until)
            transport.entry = None
            os.close(detach(connection))
        elif connection.buffer:
            connection.refuse(BUSY)
        else:
            connection.close()

    put(message, transport.fileno(), done, transport.entry)
