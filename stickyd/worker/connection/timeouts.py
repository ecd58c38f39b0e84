"""The deadline of a connection: set when what it waits for changes, acted on when it passes.

The rules are in `stickyd.worker.connection.timeout_rules`; here the clock is read.
"""

from stickyd.http1.error_response import Refusal
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.timeout_rules import MinimumRate, Overdue, overdue, timeout


class ConnectionTimer:
    """Sets the deadline of one connection.

    It has no reference to the connection, which would be in a cycle with it.

    :ivar head_until: when the head that has begun must be complete, None until one has.
    """

    __slots__ = ("_pace", "_seconds", "_timeouts", "head_until")

    def __init__(self, context: WorkerContext) -> None:
        self._seconds = context.reactor.seconds
        self._timeouts = context.config.timeouts
        self.head_until: float | None = None
        # Of the body or answer in transfer; few need one.
        self._pace: MinimumRate | None = None

    def restart(self, connection: Connection) -> None:
        """Set the deadline that belongs to what the connection is waiting for."""
        transport, state = connection.transport, connection.state
        flushed = transport.flushed()
        begun_head = bool(connection.buffer) or connection.came_with
        if state is State.HEAD and flushed and not begun_head:
            # Idle, the most frequent case of `timeout`: a crash now would lose nothing.
            if transport.entry is not None:
                transport.entry.settle()
            connection.deadline = self._seconds() + self._timeouts.keep_alive
            self._pace = None
            return
        if state is State.ANSWER and flushed:
            self._settle(connection)
        body = connection.body
        seconds = timeout(
            state,
            self._timeouts,
            flushed=flushed,
            begun_head=begun_head,
            client_done=connection.client_done,
            held=body is not None and body.held,
        )
        now = self._seconds()
        if seconds is None:
            connection.deadline = None
        elif not flushed or state is State.BODY:
            received = body.received if body is not None else 0
            moved = received if flushed else transport.taken()
            wait = State.BODY if flushed else State.ANSWER
            if self._pace is None:
                self._pace = MinimumRate(self._timeouts.min_rate)
            connection.deadline = self._pace.deadline(wait, now, moved, seconds)
            return
        elif state is State.HEAD and begun_head:
            # The timeout of a head is absolute: more bytes do not extend it.
            self.head_until = self.head_until or now + seconds
            connection.deadline = self.head_until
        else:
            connection.deadline = now + seconds
        self._pace = None

    def _settle(self, connection: Connection) -> None:
        """While the app goes on behind its answer, a crash may lose nothing already."""
        entry, exchange = connection.transport.entry, connection.exchange
        if entry is not None and not connection.buffer and exchange is not None and exchange.whole:
            entry.settle()

    def begin_transfer(self) -> None:
        """A transfer begins: the next deadline is a whole timeout away."""
        self._pace = None

    def expired(self, connection: Connection) -> None:
        """The deadline has passed."""
        transport = connection.transport
        if not transport.flushed():
            # The client may have taken more since the last write.
            self.restart(connection)
            if (connection.deadline or 0) > self._seconds():
                return
        begun_head = bool(connection.buffer) or connection.came_with
        late = overdue(connection.state, flushed=transport.flushed(), begun_head=begun_head)
        if late is Overdue.CLOSE:
            connection.close()
        elif late is Overdue.ABORT:
            transport.abortConnection()
        else:
            connection.refuse(Refusal(408, late.value))
