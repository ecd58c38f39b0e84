"""An upgraded WebSocket that its app lets go: from the worker's retirement to the inbox.

The steps, each of which may take its time::

    asked to leave   go on delivering until a message ends      (`Upgraded.stop_between`)
    between          deliver nothing; wait until the app has received all messages
    idle             ask the app for its state, for `ASK_MOST` seconds at most
    state            send what is written, until everything is in the kernel
    sent             put the connection into an inbox

What the client sends meanwhile is unread, or travels in the frame. If the app refuses, the
WebSocket goes on here; if the inbox has no room in time, it is closed.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.http1.head_parser import Head
from stickyd.ipc import queue_clock
from stickyd.ipc.fd_queue import MESSAGE_MOST
from stickyd.ipc.frame import Kind
from stickyd.ipc.handover import STATE_MOST, Handed
from stickyd.worker.connection.exit import give_away
from stickyd.worker.connection.interfaces import Connection
from stickyd.worker.connection.moves import keys_of
from stickyd.worker.connection.upgraded import Upgraded
from stickyd.worker.handover.interfaces import HandedOver
from stickyd.worker.handover.targets import put

ASK_MOST = 5.0
"""Seconds an app has to tell its state; meanwhile its client is not read."""

_log = Logger("stickyd")


class Offer(Protocol):
    """An app's consent to have its WebSocket handed over.

    :ivar offered: given, and not withdrawn.
    :ivar extensions: as in `Handed.extensions`.
    :ivar on_offered: called when it is given.
    """

    @property
    def offered(self) -> bool:
        """See the class."""

    @property
    def extensions(self) -> str:
        """See the class."""

    on_offered: Callable[[], None]

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call ``call`` once, when the app has received all messages that were delivered."""

    def ask(self, done: Callable[[bytes | None], None]) -> None:
        """Ask the app for its state; None if it refuses. From ``done`` on it can send nothing."""

    def is_open(self) -> bool:
        """Whether neither side has begun to close."""

    def flush(self) -> None:
        """Write to the transport what the app has sent before."""

    def thaw(self) -> None:
        """It stays, and is closed: the library may write again."""

    def gone(self) -> None:
        """It is another worker's now; tell the app."""


async def told_by(app: Callable[[], object]) -> bytes | None:
    """The state that an app tells; None if it refuses.

    :param app: returns it, or something to be awaited.
    :raise Exception: what the app raises; TypeError if the state is not bytes.
    """
    state: Any = app()
    if hasattr(state, "__await__"):
        state = await state
    return None if state is None else bytes(memoryview(state))


class Handing:
    """The handover of one WebSocket to another worker.

    :ivar offered: it can be handed over, as far as is known.
    """

    def __init__(self, connection: Connection, upgraded: Upgraded, offer: Offer) -> None:
        self._connection: Connection | None = connection
        self._upgraded = upgraded
        self._offer = offer
        self._begun = self._refused = False
        self._late: Any = None
        self._state: bytes | None = None
        upgraded.on_stop = self._end
        offer.on_offered = self._offered

    @property
    def offered(self) -> bool:
        """See the class."""
        return self._connection is not None and self._offer.offered and not self._refused

    def start(self) -> None:
        """The worker retires: hand it over, as soon as that is possible."""
        if self._connection is not None and self.offered and not self._begun:
            self._begun = True
            self._connection.context.round_robin.add(self._leave)

    def _offered(self) -> None:
        """The app has given its consent: perhaps the worker retires already."""
        if self._connection is not None:
            context = self._connection.context
            if context.connections.leaving:
                self.start()
            elif context.routing.keys.draining:
                context.routing.keys.released()

    def _end(self) -> None:
        """The connection has ended, or has moved: break the cycles with it and with the offer."""
        self._connection = None
        self._offer.on_offered = _ended
        if self._late is not None and self._late.active():
            self._late.cancel()

    def _leave(self) -> None:
        if self._connection is not None:
            # What came with the handshake is before what was read later.
            self._connection.deliver_held()
            self._upgraded.stop_between(self._between)

    def _between(self) -> None:
        """A message has ended, and nothing is delivered any more."""
        if self._connection is None:
            return
        if self._offer.is_open():
            self._offer.when_idle(self._ask)
        else:
            self._refuse()

    def _ask(self) -> None:
        if self._connection is None or self._refused:
            return
        if not self._offer.is_open():
            self._refuse()
            return
        self._late = self._connection.context.reactor.callLater(ASK_MOST, self._too_late)
        self._offer.ask(self._answered)

    def _too_late(self) -> None:
        _log.warn("an app has not told the state of a WebSocket in {n} s", n=ASK_MOST)
        self._refuse()

    def _answered(self, state: bytes | None) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._late is not None and self._late.active():
            self._late.cancel()
        if self._refused:
            # Too late: it has stayed, but the app has let it go.
            state = None
        elif state is not None and len(state) > STATE_MOST:
            _log.error(
                "the state of a WebSocket has {n} bytes, at most {most} are possible",
                n=len(state),
                most=STATE_MOST,
            )
            state = None
        if state is None:
            self._offer.thaw()
            self._refuse()
            return
        self._state = state
        self._offer.flush()
        connection.transport.flush()
        self._upgraded.on_sent = self._send
        self._send()

    def _refuse(self) -> None:
        """It stays until its worker ends."""
        self._refused = True
        self._upgraded.go_on()
        if self._connection is not None:
            # Others may have waited for it.
            self._connection.context.routing.keys.released()

    def _send(self) -> None:
        """Put it into an inbox, when everything is in the kernel."""
        # It may tell `on_sent`, which is this function.
        self._offer.flush()
        connection, state = self._connection, self._state
        if connection is None or state is None or not connection.transport.flushed():
            return
        exchange = connection.exchange
        self._state = None
        self._upgraded.on_sent = None
        assert exchange is not None
        payload = Handed(
            head_bytes(exchange.asked),
            connection.keys or keys_of(connection),
            self._offer.extensions,
            state,
            self._upgraded.unread,
        ).encode()
        frame = connection.frame
        message = frame._replace(
            kind=Kind.HANDED,
            head_left=0,
            hops=frame.hops + 1,
            unread=payload,
            put_at=queue_clock.now(),
        ).encode()
        if len(message) > MESSAGE_MOST or not put(connection, message, self._put):
            self._put(False)

    def _put(self, sent: bool) -> None:
        connection = self._connection
        if connection is None:
            return
        if sent:
            connection.context.accounting.counters.handed += 1
            self._offer.gone()
            give_away(connection, Failure(HandedOver("it goes on in another worker")))
        else:
            _log.warn("a WebSocket cannot be handed over, and is closed")
            self._offer.thaw()
            self._refused = True
            self._upgraded.close_gracefully()


def _ended() -> None:
    """An offer for a connection that has ended."""


def head_bytes(head: Head) -> bytes:
    """A request head that reads as ``head`` does."""
    lines = [b"%b %b %b" % (head.method, head.target, head.version)]
    lines += [b"%b: %b" % field for field in head.fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"
