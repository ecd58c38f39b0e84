"""The way of one connection through a worker: head, gate, body, answer, and again.

Reads top to bottom in the order in which things happen to a connection. What
an answer looks like is the exchange's business (`stickyd.worker.web`), where
a request belongs is the policy's, what happens next is the gate's; how the
connection goes away again stands in `stickyd.worker.leaving`.
"""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.logger import Logger

from stickyd.handoff.frame import Frame, Kind
from stickyd.routing.policy import ANYWHERE, Placement
from stickyd.wire.body import BodyPart, ChunkedReader, LengthReader, body_reader
from stickyd.wire.head import Head, read_head
from stickyd.wire.refusal import Refusal
from stickyd.worker import gate
from stickyd.worker.exchange import Exchange
from stickyd.worker.gate import State, Step
from stickyd.worker.leaving import Leaving
from stickyd.worker.patience import Overdue, Pace, overdue, patience

READ_AHEAD = 32768
"""Bytes read behind the request that is being answered before reading stops."""

_log = Logger("stickyd")


class Channel(Leaving):
    """One connection, from its adoption until it moves or ends."""

    def __init__(self, worker: Any, frame: Frame, descriptor: int) -> None:
        super().__init__(worker, frame, descriptor)
        self.ending = False
        self.client_done = False
        self._scanned = 0
        self._came_with = frame.kind is not Kind.RETURNED
        self._head_until: float | None = None
        self._reader: LengthReader | ChunkedReader | None = None
        self._advancing = False
        self._received = 0
        self._pace = Pace(worker.settings.min_rate)

    # ---- adoption

    def come_back(self, frame: Frame, descriptor: int) -> None:
        """Take the connection up again that this channel gave away at a seam."""
        self.frame = frame
        self.transport.attach(descriptor)
        self.state = State.HEAD
        self._scanned = 0
        self._came_with = frame.kind is not Kind.RETURNED
        self._head_until = None

    def begin(self) -> None:
        """Take up where the sender left off."""
        frame = self.frame
        if frame.head_left:
            self._head_until = self.worker.reactor.seconds() + frame.head_left / 1000
        if frame.unread:
            self.dataReceived(frame.unread)
        else:
            failed = self.transport.doRead()
            if failed is not None:
                self.transport.end(failed)
        if self.state is State.HEAD and self.deadline is None:
            self._arm()
        self._read_on()

    # ---- bytes

    def dataReceived(self, data: bytes) -> None:
        """For the transport: bytes of the client."""
        if self.state is State.BODY:
            self._body(data)
        else:
            self._buffer += data
            if self.state is State.HEAD and not self.ending:
                self.advance()
            elif len(self._buffer) >= READ_AHEAD:
                self.transport.stopReading()

    def clientDone(self) -> None:
        """For the transport: the client has finished sending; it may still wait for answers."""
        self.client_done = True
        if self.state is State.HEAD:
            self.advance()
        elif self.state is State.BODY:
            self.transport.end(ConnectionDone("the request body is cut off"))
        else:
            self._arm()

    def bytesSent(self, flushed: bool) -> None:
        """For the transport: the client has taken something."""
        if flushed and self.state is State.HEAD:
            self.advance()
        else:
            self._arm()

    def _read_on(self) -> None:
        if (
            not self.client_done
            and self.state not in (State.ROOM, State.OVER)
            and len(self._buffer) < READ_AHEAD
        ):
            self.transport.startReading()

    # ---- the seam between two requests

    def advance(self) -> None:
        """Serve what has arrived whole; then wait for more, move, or end."""
        if self._advancing:
            return
        self._advancing = self.transport.corked = True
        try:
            while self.state is State.HEAD and self._step():
                pass
        finally:
            self._advancing = self.transport.corked = False
        if self.state is not State.OVER:
            self.transport.flush()
            self._arm()

    def _step(self) -> bool:
        """Take one step; whether another may follow at once."""
        worker = self.worker
        # Behind the last answer nothing is read as a request, not even to refuse it.
        head = None if self.ending else read_head(self._buffer, worker.limits, self._scanned)
        if isinstance(head, Refusal):
            self.refuse(head)
            return False
        if head is None:
            self._scanned = len(self._buffer)
            step = gate.without_head(
                ending=self.ending,
                client_done=self.client_done,
                leaving=worker.leaving,
                flushed=self.transport.flushed(),
            )
            return self._leave(step, ANYWHERE)
        version = worker.policy.table.version
        known = worker.known
        # Whoever sent the connection has placed the request that came with it.
        placement = ANYWHERE
        if not self._came_with or known is not None:
            placement = worker.policy.place(head, self.frame.peer[0] if self.frame.peer else None)
            if worker.balance is not None and not self._came_with:
                placement = worker.bounded(placement)
        key = placement.key.text if placement.key is not None else None
        step = gate.with_head(
            came_with=self._came_with,
            leaving=worker.leaving,
            moves=worker.moves or self.frame.table != version,
            own=worker.slot,
            named=placement.slot,
            others=known is not None and known.others(key, came_with=self._came_with),
            flushed=self.transport.flushed(),
        )
        if step is not Step.STAY and step is not Step.MISROUTE:
            return self._leave(step, placement)
        if step is Step.MISROUTE:
            worker.misrouted(placement)
        elif self.frame.table != version and not self._came_with:
            # Placed among the slots of now: it stays put again.
            self.frame = self.frame._replace(table=version)
        if known is not None and key is not None:
            known.note(key)
        self._serve(head)
        return True

    def _leave(self, step: Step, placement: Placement) -> bool:
        """Do what the gate says but serve; whether another step may follow at once."""
        if step is Step.FLUSH:
            self.transport.flush()
            return self.transport.flushed()
        if step is Step.MOVE:
            assert placement.slot is not None
            self.move(placement.slot)
        elif step is Step.PASS:
            self.pass_on()
        elif step is Step.RETURN:
            self.give_back()
        elif step is Step.CLOSE:
            # The last answer has all the time that any answer has.
            self.transport.flush()
            if self.transport.flushed():
                self.close(may_send=not self.client_done)
        return False

    # ---- a request

    def _serve(self, head: Head) -> None:
        self._buffer = self._buffer[head.size :]
        self._scanned = 0
        self._came_with = False
        self._head_until = None
        reader = body_reader(head.length, self.worker.limits)
        if isinstance(reader, Refusal):
            self.refuse(reader)
            return
        self._exchange = exchange = self.worker.begin(self, head)
        if not head.length:
            self._deliver(exchange)
            return
        self.state = State.BODY
        self._pace.stop()
        self._reader = reader
        if head.expects_continue and not self._buffer:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        held, self._buffer = self._buffer, b""
        self._body(held)
        if self.state is State.BODY:
            # So much may have been read ahead that reading had stopped.
            self._read_on()

    def _body(self, data: bytes) -> None:
        assert self._reader is not None
        assert self._exchange is not None
        self._received += len(data)
        part = self._reader.read(data)
        if isinstance(part, Refusal):
            self.refuse(part)
            return
        assert isinstance(part, BodyPart)
        if part.data:
            self._exchange.bodyReceived(part.data)
        if part.rest is None:
            self._arm()
            return
        self._buffer = part.rest
        self._reader = None
        self._deliver(self._exchange)

    def _deliver(self, exchange: Exchange) -> None:
        self.state = State.ANSWER
        self.worker.count_request()
        try:
            exchange.requestReceived()
        except Exception:
            _log.failure("the app failed on a request")
            if self._exchange is exchange:
                self.refuse(Refusal(500, "the request could not be processed"))
            return
        if self.state is State.ANSWER and not self._advancing:
            self._arm()

    # ---- what the exchange says

    def answered(self, exchange: Exchange, last: bool) -> None:
        """The answer is written whole; ``last`` if no further one can follow."""
        if exchange is not self._exchange:
            return
        self._exchange = None
        if self.worker.balance is not None:
            self.worker.balance.row.ended()
        self.ending = self.ending or last
        self.state = State.HEAD
        self._read_on()
        self.advance()

    def pin(self) -> None:
        """The app has taken the connection over, for as long as it lives (RFC 9110, 7.8)."""
        self.state = State.PINNED
        self.deadline = None
        self.worker.counters.pinned += 1
        # What arrived behind the request is for the new protocol, once it is set up.
        self.worker.reactor.callLater(0, self._hand_over)

    def _hand_over(self) -> None:
        held, self._buffer = self._buffer, b""
        if held and self.state is State.PINNED:
            self.transport.protocol.dataReceived(held)

    # ---- the end of the worker

    def retire(self) -> None:
        """The worker ends: answer what came with us, then go to another worker or close."""
        if self.idle() and not self.worker.leaving:
            self.close()
        elif self.state is State.HEAD and (self.worker.leaving or not self._buffer):
            self.ending = not self.worker.leaving
            self.advance()

    # ---- deadlines

    def _begun_head(self) -> bool:
        return bool(self._buffer) or self._came_with

    def idle(self) -> bool:
        """Whether it waits for a next request, of which nothing has come."""
        waits = self.state is State.HEAD and self.transport.flushed()
        return waits and not self._begun_head()

    def _arm(self) -> None:
        """Set the deadline that belongs to what the connection is waiting for."""
        flushed = self.transport.flushed()
        seconds = patience(
            self.state,
            self.worker.settings,
            flushed=flushed,
            begun_head=self._begun_head(),
            client_done=self.client_done,
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
            if self.state is State.HEAD and self.transport.entry is not None:
                # Idle: nothing would be lost with us.
                self.transport.entry.settle()
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
