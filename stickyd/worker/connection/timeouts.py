"""The deadlines of a connection: how long it has waited for what, and what happens then.

How long is `stickyd.worker.connection.timeout_rules`'s to say; here the clock is read, and set.
"""

from typing import Any

from stickyd.http1.error_response import Refusal
from stickyd.ipc.frame import Frame, Kind
from stickyd.worker.connection.exit import Leaving
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.timeout_rules import MinimumRate, Overdue, overdue, patience


class Timed(Leaving):
    """A connection that waits for something, and not for ever.

    :ivar client_done: the client has finished sending.
    """

    def __init__(self, worker: Any, frame: Frame, descriptor: int) -> None:
        super().__init__(worker, frame, descriptor)
        self.client_done = False
        self._came_with = frame.kind is not Kind.RETURNED
        # The app takes no more of the body for now.
        self._held = False
        # Bytes of bodies.
        self._received = 0
        self._head_until: float | None = None
        self._pace = MinimumRate(worker.settings.timeouts.min_rate)

    def _begun_head(self) -> bool:
        return bool(self._buffer) or self._came_with

    def idle(self) -> bool:
        """Whether it waits for a next request, of which nothing has come."""
        waits = self.state is State.HEAD and self.transport.flushed()
        return waits and not self._begun_head()

    def _arm(self) -> None:
        """Set the deadline that belongs to what the connection is waiting for."""
        flushed = self.transport.flushed()
        if self.state is State.HEAD and flushed and not self._buffer and not self._came_with:
            # Idle: nothing would be lost with us. It has the most frequent line of `patience`.
            if self.transport.entry is not None:
                self.transport.entry.settle()
            self.deadline = self.worker.reactor.seconds() + self.worker.settings.timeouts.keep_alive
            self._pace.stop()
            return
        seconds = patience(
            self.state,
            self.worker.settings.timeouts,
            flushed=flushed,
            begun_head=self._begun_head(),
            client_done=self.client_done,
            held=self._held,
        )
        now = self.worker.reactor.seconds()
        if seconds is None:
            self.deadline = None
        elif not flushed or self.state is State.BODY:
            wait = State.BODY if flushed else State.ANSWER
            moved = self._received if flushed else self.transport.taken()
            self.deadline = self._pace.deadline(wait, now, moved, seconds)
            return
        elif self.state is State.HEAD and self._begun_head():
            # The time for a head is absolute: more bytes do not extend it.
            self._head_until = self._head_until or now + seconds
            self.deadline = self._head_until
        else:
            self.deadline = now + seconds
        self._pace.stop()

    def expired(self) -> None:
        """For the sweeper: the deadline has passed."""
        if not self.transport.flushed():
            # The client may have taken more since we could last write.
            self._arm()
            if (self.deadline or 0) > self.worker.reactor.seconds():
                return
        late = overdue(self.state, flushed=self.transport.flushed(), begun_head=self._begun_head())
        if late is Overdue.CLOSE:
            self.close()
        elif late is Overdue.ABORT:
            self.transport.abortConnection()
        else:
            self.refuse(Refusal(408, late.value))
