"""The way of one connection through a worker: head, gate, body, answer, and again.

Reads top to bottom in the order in which things happen to a connection. What
an answer looks like is the exchange's business (`stickyd.worker.apps.web`), where
a request belongs is the policy's, what happens next is the gate's; how a body
is received stands in `stickyd.worker.connection.body`, how the connection goes away
again in `stickyd.worker.connection.exit`, and how long it may take over anything in
`stickyd.worker.connection.timeouts`.
"""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.logger import Logger

from stickyd.core.head_reader import read_head
from stickyd.http1.body_parser import body_reader
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame, Kind
from stickyd.routing.policy import ANYWHERE, Placement
from stickyd.worker.connection import next_step as gate
from stickyd.worker.connection.access_log import LoggedRequest
from stickyd.worker.connection.body import READ_AHEAD, Receiving
from stickyd.worker.connection.next_step import State, Step
from stickyd.worker.interfaces import Exchange

_log = Logger("stickyd")
_FAILED = Refusal(500, "the request could not be processed")


class Channel(Receiving):
    """One connection, from its adoption until it moves or ends."""

    def __init__(self, worker: Any, frame: Frame, descriptor: int) -> None:
        super().__init__(worker, frame, descriptor)
        self.ending = False
        self._scanned = 0
        self._advancing = False

    # ---- adoption

    def reattach(self, frame: Frame, descriptor: int) -> None:
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
        """For the transport: the client has taken something, or has to begin to."""
        if flushed and self.state is State.HEAD:
            self.advance()
        else:
            self._arm()
            if self._upgraded is not None:
                self._upgraded.sent()

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
        if not self._came_with or known is not None or worker.access is not None:
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
        if worker.access is not None:
            self._logged = LoggedRequest(worker.access, self, head, placement)
        self._serve(head)
        return self._undecided()

    def _undecided(self) -> bool:
        """Whether there is more to do at this seam than to wait for the next request."""
        worker = self.worker
        return bool(self._buffer) or self.ending or self.client_done or worker.leaving

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
        reader = body_reader(head.length, self.worker.limits) if head.length else None
        if isinstance(reader, Refusal):
            self.refuse(reader)
            return
        try:
            self._exchange = exchange = self.worker.begin(self, head)
        except Exception:
            # A file for the body cannot be made, or a request factory of the app's has failed.
            _log.failure("a request could not be taken up")
            self.refuse(_FAILED)
            return
        if reader is None:
            self._deliver(exchange)
            return
        if head.expects_continue and not self._buffer and not exchange.invites:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._begin_body(reader)

    def _deliver(self, exchange: Exchange) -> None:
        self.state = State.ANSWER
        self.worker.count_request()
        try:
            exchange.requestReceived()
        except Exception:
            _log.failure("the app failed on a request")
            if self._exchange is exchange:
                self.refuse(_FAILED)
            return
        if self.state is State.ANSWER and not self._advancing:
            self._arm()

    # ---- what the exchange says

    def answered(self, exchange: Exchange, last: bool) -> None:
        """The answer is written whole; ``last`` if no further one can follow."""
        if exchange is not self._exchange:
            return
        self._end_exchange()
        if self.state in (State.BODY, State.PINNED):
            # What the client still sends is the rest of a body, or no HTTP at all.
            self._linger(b"")
            return
        self.ending = self.ending or last or self.worker.closing
        self.state = State.HEAD
        if not self.ending:
            self._read_on()
        if self._undecided():
            self.advance()
        elif not self._advancing:
            # As `advance`, for the case that there is nothing to decide.
            self.transport.flush()
            self._arm()

    # ---- the end of the worker

    def retire(self) -> None:
        """The worker ends: answer what came with us, then go to another worker or close."""
        if self.idle() and not self.worker.leaving:
            self.close()
        elif self.state is State.HEAD and (self.worker.leaving or not self._buffer):
            self.ending = not self.worker.leaving
            self.advance()
