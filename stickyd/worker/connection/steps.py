"""Takes the steps that `stickyd.worker.connection.next_step` decides between two requests."""

from functools import partial
from typing import Protocol

from stickyd.core.head_reader import read_head
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head
from stickyd.http1.request_id import with_request_id
from stickyd.ipc.fd_sender import InboxSender
from stickyd.routing.policy import ANYWHERE, Placement
from stickyd.stats import PLACED
from stickyd.worker.connection import exit, moves, next_step
from stickyd.worker.connection.access_log import LoggedRequest
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.next_step import State, Step
from stickyd.worker.connection.timeouts import ConnectionTimer


class Advancing(Connection, Protocol):
    """What the steps use of a connection besides.

    :ivar ending: the last answer has been given.
    :ivar scanned: bytes of the buffer known not to complete a head.
    :ivar advancing: within `advance`.
    :ivar source: of the key of the request (`stickyd.routing.source_numbers`).
    """

    timer: ConnectionTimer
    ending: bool
    scanned: int
    advancing: bool
    source: int

    def serve(self, head: Head) -> None:
        """Serve the request at the start of the buffer."""


def advance(connection: Advancing) -> None:
    """Serve what has arrived complete; then wait for more, move, or end."""
    if connection.advancing:
        return
    connection.advancing = connection.transport.corked = True
    try:
        while connection.state is State.HEAD and _step(connection):
            pass
    finally:
        connection.advancing = connection.transport.corked = False
    if connection.state is not State.OVER:
        connection.transport.flush()
        connection.timer.restart(connection)


def _step(connection: Advancing) -> bool:
    """Take one step; whether another may follow at once."""
    context = connection.context
    config = context.config
    # Behind the last answer nothing is read as a request, not even to refuse it.
    head = (
        None
        if connection.ending
        else read_head(connection.buffer, config.limits, connection.scanned)
    )
    if isinstance(head, Refusal):
        connection.refuse(head)
        return False
    leaving = context.connections.leaving
    if head is None:
        connection.scanned = len(connection.buffer)
        step = next_step.without_head(
            ending=connection.ending,
            client_done=connection.client_done,
            leaving=leaving,
            flushed=connection.transport.flushed(),
        )
        return _take(connection, step, ANYWHERE)
    routing, access = context.routing, context.access
    version = routing.policy.table.version
    keys = routing.keys
    came_with = connection.came_with
    # The sender of the connection has placed the request that came with it.
    placement = ANYWHERE
    if not came_with or keys.active or access is not None:
        place = routing.policy.place if came_with else routing.place
        placement = place(head, connection.frame.peer_host, connection.frame.subject)
    key = placement.key.text if placement.key is not None else None
    other = None
    if keys.active:
        other = keys.other(key, context.reactor.seconds(), came_with=came_with)
    step = next_step.with_head(
        came_with=came_with,
        leaving=leaving,
        moves=config.moves or connection.frame.table != version,
        own=config.slot,
        named=placement.slot,
        others=other is not None,
        flushed=connection.transport.flushed(),
    )
    if not came_with and step in _PLACED:
        context.accounting.cells[PLACED + routing.source_of(placement)] += 1
    if step is not Step.STAY and step is not Step.MISROUTE:
        return _take(connection, step, placement, other)
    connection.source = connection.frame.source if came_with else routing.source_of(placement)
    if step is Step.MISROUTE:
        context.accounting.misrouted(placement)
    elif connection.frame.table != version and not came_with:
        # Placed among the present slots: in connection scope it stays here again.
        connection.frame = connection.frame._replace(table=version)
    if keys.active:
        keys.serve(key, connection, context.reactor.seconds())
    if config.request_id:
        head = identified(context, head, connection.frame.peer_host)
    if access is not None:
        sent = connection.transport.written()
        connection.logged = LoggedRequest(
            access, connection.frame, head, routing.policy, placement, config.slot, sent, came_with
        )
    connection.serve(head)
    return undecided(connection)


def identified(context: WorkerContext, head: Head, peer: str | None) -> Head:
    """A head with the id of the request: that of a trusted peer, or a new one."""
    keep = peer in context.routing.policy.trusted
    return with_request_id(head, context.config.request_id, keep=keep)


_PLACED = frozenset({Step.STAY, Step.MISROUTE, Step.MOVE})
"""The steps by which this worker decides where a request is served."""


def retire(connection: Advancing) -> None:
    """The worker ends: finish the request, then go to another worker or close.

    A connection that is idle, or that an app has taken over, is closed in its turn
    (`exit.going_away`) if the daemon ends; the latter also if nothing that lasts is waited for.
    A WebSocket whose app agrees is handed over to an heir.
    """
    connections = connection.context.connections
    if exit.closer(connection) is not None:
        if connections.closing or connections.hurried:
            connections.close_in_turn(connection)
        elif connection.handing is not None:
            connection.handing.start()
    elif connections.hurried and _is_event_stream(connection):
        connection.transport.abortConnection()
    elif connection.idle() and not connections.leaving:
        connections.close_in_turn(connection)
    elif connection.state is State.HEAD and (connections.leaving or not connection.buffer):
        connection.ending = not connections.leaving
        advance(connection)


def _is_event_stream(connection: Advancing) -> bool:
    exchange = connection.exchange
    return exchange is not None and exchange.event_stream


def undecided(connection: Advancing) -> bool:
    """Whether there is more to do now than to wait for the next request."""
    return (
        bool(connection.buffer)
        or connection.ending
        or connection.client_done
        or connection.context.connections.leaving
    )


def count_request(connection: Advancing) -> None:
    """A request is given to the app; its times are measured if somebody reads them."""
    accounting = connection.context.accounting
    connection.began = began = accounting.request(connection.source)
    if began:
        connection.transport.on_first_byte = partial(accounting.begins_to_answer, began)


def _take(
    connection: Advancing, step: Step, placement: Placement, other: InboxSender | None = None
) -> bool:
    """Do any step but to serve a request; whether another step may follow at once.

    :param other: the inbox of this slot's other worker, if that serves the request.
    """
    routing = connection.context.routing
    if step is Step.WAIT:
        # Reading may have stopped behind an earlier request, with less read than a head may have.
        connection.transport.startReading()
    elif step is Step.FLUSH:
        connection.transport.flush()
        return connection.transport.flushed()
    elif step is Step.MOVE:
        assert placement.slot is not None
        moves.move(connection, placement.slot, routing.source_of(placement))
    elif step is Step.PASS:
        assert other is not None
        moves.pass_on(connection, other, routing.source_of(placement))
    elif step is Step.RETURN:
        moves.requeue(connection)
    elif step is Step.CLOSE:
        # The last answer has the timeout of any answer.
        connection.transport.flush()
        if connection.transport.flushed():
            exit.close(connection, may_send=not connection.client_done)
    return False
