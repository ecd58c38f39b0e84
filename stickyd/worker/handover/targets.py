"""To which worker a WebSocket is handed over."""

from collections.abc import Callable

from stickyd.shm.connection_table import Entry
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection.interfaces import Connection


def put(connection: Connection, message: bytes, done: Callable[[bool], None]) -> bool:
    """Put it into the inbox of the worker that takes its keys; False if there is none."""
    exchange = connection.exchange
    named = None
    if exchange is not None:
        policy, frame = connection.context.routing.policy, connection.frame
        named = policy.place(exchange.asked, frame.peer_host, frame.subject).slot
    transport = connection.transport
    number = connection.frame.connection
    arguments = (message, transport.fileno(), done, transport.entry)
    return forward(connection.context, number, named, *arguments)


def forward(
    context: WorkerContext,
    number: int,
    named: int | None,
    message: bytes,
    descriptor: int,
    done: Callable[[bool], None],
    entry: Entry | None,
) -> bool:
    """Put a WebSocket into the inbox of another worker; False if this worker has none.

    :param number: of the connection.
    :param named: the slot of its key, None without one.
    """
    routing, connections = context.routing, context.connections
    senders, successor = routing.senders, routing.keys.successor
    if successor is not None and not connections.leaving:
        senders.put_with(successor, message, descriptor, done, entry)
    elif not connections.leaving or connections.hurried:
        return False
    elif named in senders.heirs and named is not None:
        senders.put(named, message, descriptor, done, entry)
    else:
        senders.put_to_heir(number, message, descriptor, done, entry)
    return True
