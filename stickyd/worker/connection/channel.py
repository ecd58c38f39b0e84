"""One connection in a worker: head, decision, body, answer, and again.

The module follows the order in which things happen to a connection. Its parts are the steps between
two requests (`.steps`), the request body (`.body`), the deadline (`.timeouts`), the move to another
worker (`.moves`) and the end (`.exit`). What an answer looks like is decided by the exchange
(`stickyd.worker.apps`).
"""

from twisted.internet.error import ConnectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.http1.body_parser import body_reader
from stickyd.http1.error_response import Refusal
from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame, Kind
from stickyd.worker.connection import exit, moves, steps
from stickyd.worker.connection.access_log import LoggedRequest
from stickyd.worker.connection.body import RequestBody
from stickyd.worker.connection.context import WorkerContext
from stickyd.worker.connection.next_step import IN_USE, State
from stickyd.worker.connection.timeouts import ConnectionTimer
from stickyd.worker.connection.transport import ClientTransport
from stickyd.worker.handover.state import HandoverState
from stickyd.worker.interfaces import App, Exchange, UpgradedReceiver

READ_AHEAD = 32768
"""Bytes read behind the request that is being answered before reading stops."""

_log = Logger("stickyd")
FAILED = Refusal(500, "the request could not be processed")


class Channel(HandoverState):
    """One connection, from its adoption until it moves or ends.

    The attributes are those of `stickyd.worker.connection.steps.Advancing` and its parents.
    """

    def __init__(self, context: WorkerContext, app: App, frame: Frame, descriptor: int) -> None:
        self.context = context
        self.frame = frame
        self.transport = ClientTransport(context.reactor, context.poller, descriptor, frame, self)
        self.state = State.HEAD
        self.deadline: float | None = None
        self.buffer = b""
        self.client_done = False
        self.came_with = frame.kind is not Kind.RETURNED
        self.ending = False
        self.exchange: Exchange | None = None
        self.logged: LoggedRequest | None = None
        self.body: RequestBody | None = None
        self.upgraded: UpgradedReceiver | None = None
        self.keys: tuple[str, ...] = ()
        self._app = app
        self.timer = ConnectionTimer(context)
        self.scanned, self.advancing = 0, False
        self.source, self.began = 0, 0.0

    # ---- adoption

    def reattach(self, frame: Frame, descriptor: int) -> None:
        """The connection has come back, after it moved to another worker."""
        self.frame = frame
        self.transport.attach(descriptor)
        self.state = State.HEAD
        self.scanned = 0
        self.came_with = frame.kind is not Kind.RETURNED
        self.timer.head_until = None

    def begin(self) -> None:
        """Continue where the sender stopped."""
        frame = self.frame
        if frame.head_left:
            now = self.context.reactor.seconds()
            self.timer.head_until = now + frame.head_left / 1000
        if frame.unread:
            self.dataReceived(frame.unread)
        elif (failed := self.transport.doRead()) is not None:
            self.transport.end(failed)
        self.begun()

    def begun(self) -> None:
        """What came with the connection has been looked at: read on."""
        if self.state is State.HEAD and self.deadline is None:
            self.timer.restart(self)
        self._read_on()

    # ---- bytes

    def dataReceived(self, data: bytes) -> None:
        """For the transport: bytes of the client."""
        if self.body is not None:
            self._receive_body(self.body, data)
        else:
            self.buffer += data
            if self.state is State.HEAD and not self.ending:
                steps.advance(self)
            elif len(self.buffer) >= READ_AHEAD:
                self.transport.stopReading()

    def clientDone(self) -> None:
        """For the transport: the client has finished sending; it may still wait for answers."""
        self.client_done = True
        if self.state is State.HEAD:
            steps.advance(self)
        elif self.state is State.BODY:
            self.transport.end(ConnectionDone("the request body is cut off"))
        else:
            self.timer.restart(self)

    def bytesSent(self, flushed: bool) -> None:
        """For the transport: the client has taken something, or has to begin to."""
        if flushed and self.state is State.HEAD:
            steps.advance(self)
        else:
            self.timer.restart(self)
            if self.upgraded is not None:
                self.upgraded.sent()

    def _read_on(self) -> None:
        if (
            not self.client_done
            and (self.body is None or not self.body.held)
            and self.state not in (State.ROOM, State.OVER)
            and len(self.buffer) < READ_AHEAD
        ):
            self.transport.startReading()

    # ---- a request

    def serve(self, head: Head) -> None:
        """Serve the request at the start of the buffer."""
        self.buffer = self.buffer[head.size :]
        self.scanned = 0
        self.came_with = False
        self.timer.head_until = None
        context = self.context
        reader = body_reader(head.length, context.config.limits) if head.length else None
        if isinstance(reader, Refusal):
            self.refuse(reader)
            return
        try:
            self.exchange = exchange = self._app.exchange(self, head)
        except Exception:
            # The file for the body cannot be made, or the app's request factory has failed.
            _log.failure("a request could not be taken up")
            self.refuse(FAILED)
            return
        context.routing.load.began()
        if reader is None:
            self.deliver(exchange)
            return
        if head.expects_continue and not self.buffer and not exchange.invites:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.state = State.BODY
        self.timer.begin_transfer()
        self.body = body = RequestBody(exchange, reader)
        # Part of the body may have arrived already.
        held, self.buffer = self.buffer, b""
        self._receive_body(body, held)
        if self.body is body:
            # Reading may have stopped, with so much read ahead.
            self._read_on()

    def _receive_body(self, body: RequestBody, data: bytes) -> None:
        rest = body.receive(data)
        if isinstance(rest, Refusal):
            self.refuse(rest)
        elif rest is None:
            self.timer.restart(self)
        else:
            self.buffer = rest
            self.body = None
            if body.held:
                self._read_on()
            self.deliver(body.exchange)

    def deliver(self, exchange: Exchange) -> None:
        """The request is complete: give it to the app."""
        self.state = State.ANSWER
        steps.count_request(self)
        try:
            exchange.requestReceived()
        except Exception:
            _log.failure("the app failed on a request")
            if self.exchange is exchange:
                self.refuse(FAILED)
            return
        if self.state is State.ANSWER and not self.advancing:
            self.timer.restart(self)

    # ---- for the exchange

    def hold(self, exchange: Exchange) -> None:
        """The app takes no more of the request body for now: its timeout stops."""
        if self.body is not None and exchange is self.exchange:
            self.body.held = True
            self.transport.stopReading()
            self.timer.restart(self)

    def resume(self, exchange: Exchange) -> None:
        """The app takes more of the request body."""
        if self.body is not None and self.body.held and exchange is self.exchange:
            self.body.held = False
            self._read_on()
            self.timer.restart(self)

    def answered(self, exchange: Exchange, last: bool) -> None:
        """The answer is complete; ``last`` if no further one can follow."""
        if exchange is not self.exchange:
            return
        exit.end_exchange(self)
        if self.state in (State.BODY, State.PINNED):
            # What the client still sends is the rest of a body, or another protocol.
            exit.linger(self, b"")
            return
        self.ending = self.ending or last or self.context.connections.closing
        self.state = State.HEAD
        if not self.ending:
            self._read_on()
        if steps.undecided(self):
            steps.advance(self)
        elif not self.advancing:
            # As `advance`, for the case that there is nothing to decide.
            self.transport.flush()
            self.timer.restart(self)

    def refuse(self, refusal: Refusal) -> None:
        """Answer with an error and close."""
        exit.refuse(self, refusal)

    # ---- an upgrade

    def pin(self, upgraded: UpgradedReceiver) -> None:
        """The app takes the connection over for the rest of its time (RFC 9110, 7.8)."""
        self.state = State.PINNED
        self.deadline = None
        self.upgraded = self.transport.protocol = upgraded
        self.context.accounting.upgraded(again=self.handed is not None)
        # What arrived behind the request is for the new protocol, once it is set up.
        self.context.reactor.callLater(0, self.deliver_held)
        if self.context.connections.closing:
            self.context.reactor.callLater(0, self.going_away)

    def deliver_held(self) -> None:
        """Give what arrived before the new protocol was set up to it."""
        held, self.buffer = self.buffer, b""
        if held and self.state is State.PINNED:
            # It may have been so much that reading has stopped.
            self.transport.startReading()
            self.transport.protocol.dataReceived(held)

    def close_after_upgrade(self) -> None:
        """For the transport: the app has closed the connection that it had taken over."""
        exit.close_after_upgrade(self)

    # ---- the end of the connection, or of the worker

    def idle(self) -> bool:
        """Whether it waits for a next request, of which nothing has arrived."""
        waits = self.state is State.HEAD and not self.buffer and not self.came_with
        return waits and self.transport.flushed()

    def in_use(self) -> bool:
        """Whether a request is under way, or the connection is upgraded."""
        return self.state in IN_USE

    def hold_keys(self) -> None:
        """The worker begins to drain: keep the keys in use here."""
        moves.hold_keys(self)

    def expired(self) -> None:
        """For the sweeper: the deadline has passed."""
        self.timer.expired(self)

    def close(self) -> None:
        """Close in order: everything written is still sent."""
        exit.close(self)

    def lose(self) -> None:
        """For the transport: the app has closed it, and everything it had written is sent."""
        exit.lose(self)

    def connectionLost(self, reason: Failure) -> None:
        """The connection has ended."""
        exit.lost(self, reason)

    def retire(self) -> None:
        """The worker ends: finish the request, then go to another worker or close."""
        steps.retire(self)

    def going_away(self) -> None:
        """Its turn to be closed, when the worker ends."""
        exit.going_away(self)

    def close_gracefully(self) -> None:
        """The grace period is over: close, by the means of an upgraded protocol if it has any."""
        exit.close_gracefully(self)
