"""Between a client and the protocol of an app that has taken its connection over (Upgrade).

The protocol gets what the client sends no faster than the client takes what is sent to it, and
for no more than a share of each turn of the reactor.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.http1.websocket_frames import FrameMeter, MessageTooBig
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.round_robin import TURN

if TYPE_CHECKING:
    from stickyd.worker.connection.channel import Channel

GOING_AWAY = 1012
"""The worker ends and another one takes its place: "service restart" in the WebSocket registry
of close codes (RFC 6455, 11.7)."""

TOO_BIG = 1009
"""A message is too big to be processed (RFC 6455, 7.4.1)."""

WRITE_AHEAD = 65536
"""Bytes that may wait for the client before nothing more of what it sends is read."""

_log = Logger("stickyd")


class Upgraded:
    """What the transport of an upgraded connection delivers to, in the place of the channel.

    :param receive: gets the bytes of the client, in order.
    :param lost: told of the end; None if the exchange is told anyway.
    :param close: ends the connection in the words of its protocol, with a close code of WebSocket
        (RFC 6455, 7.4); without it the connection is reset.
    :param meter: of a WebSocket; bytes of any other protocol are delivered as they come.
    :param waiting: bytes that wait for the client because of what it sent; by default, all.
    """

    def __init__(
        self,
        channel: "Channel",
        receive: Callable[[bytes], None],
        *,
        lost: Callable[[Failure], None] | None = None,
        close: Callable[[int], None] | None = None,
        meter: FrameMeter | None = None,
        waiting: Callable[[], int] | None = None,
    ) -> None:
        self._channel: Channel | None = channel
        self._receive: Callable[[bytes], None] | None = receive
        self._lost = lost
        self._close = close
        self._meter = meter
        self._waiting: Callable[[], int] | None = waiting or channel.transport.waiting
        # What has been read and not delivered; while there is any, nothing more is read.
        self._held = b""
        self._paused = False
        self._feeding = False
        self._scheduled = False

    # ---- for the transport

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._channel is None:
            return
        # First those that came before the connection was taken over.
        self._channel.hand_over()
        self._held = self._held + data if self._held else data
        self._feed()

    def connectionLost(self, reason: Failure) -> None:
        """The connection has ended."""
        lost = self._lost
        self.stop()
        if lost is not None:
            lost(reason)

    # ---- for the channel

    def sent(self) -> None:
        """The client has taken something."""
        if self._held and self._ready():
            self._feed_later()

    def close_gracefully(self) -> None:
        """The time of the worker is over."""
        self._end(GOING_AWAY)

    def stop(self) -> None:
        """Nothing is delivered any more; the connection is none of ours."""
        # Each of them may lead back to us.
        self._channel = self._receive = self._lost = self._close = self._waiting = None
        self._held = b""

    # ---- for the app's protocol

    def pause(self) -> None:
        """The app has enough for now; what comes next is read, and held."""
        self._paused = True

    def resume(self) -> None:
        """The app takes more: later, when it is done with what it has just taken."""
        self._paused = False
        if self._held:
            self._feed_later()

    # ---- delivery

    def _open(self) -> bool:
        """Whether the protocol may be given anything more at all."""
        channel = self._channel
        return (
            channel is not None
            and channel.state is State.PINNED
            and not channel.transport.disconnecting
        )

    def _ready(self) -> bool:
        """Whether it may be given something now."""
        if self._paused or self._waiting is None or not self._open():
            return False
        return self._waiting() <= WRITE_AHEAD

    def _feed(self) -> None:
        """Deliver what is held, as far as the app and the client's share of this turn allow it."""
        channel = self._channel
        if channel is None or self._feeding or self._scheduled:
            return
        transport = channel.transport
        # What the app answers goes out together.
        self._feeding = transport.corked = True
        try:
            self._deliver(channel)
        except Exception:
            # One connection's fault must not cost the others their turn.
            _log.failure("a connection failed")
            transport.abortConnection()
        finally:
            self._feeding = transport.corked = False
        if not self._open():
            return
        if transport.waiting():
            transport.flush()
            if transport.waiting():
                channel.bytesSent(False)
        if self._held:
            transport.stopReading()
            if self._ready():
                self._feed_later()
        else:
            transport.startReading()

    def _deliver(self, channel: "Channel") -> None:
        seconds = channel.worker.reactor.seconds
        until = seconds() + TURN
        meter, data, at = self._meter, self._held, 0
        while at < len(data) and self._ready():
            if at and seconds() >= until:
                break
            try:
                end = len(data) if meter is None else meter.unit(data, at)
            except MessageTooBig:
                self._end(TOO_BIG)
                return
            assert self._receive is not None
            self._receive(data[at:end])
            at = end
        self._held = data[at:] if self._open() else b""

    def _feed_later(self) -> None:
        """Go on in the next turn of the reactor: then it is the others' first."""
        if not self._scheduled and self._channel is not None:
            self._scheduled = True
            self._channel.worker.round_robin.add(self._go_on)

    def _go_on(self) -> None:
        self._scheduled = False
        self._feed()

    def _end(self, code: int) -> None:
        """End the connection, in words if the protocol has any for it."""
        channel, close = self._channel, self._close
        if channel is None:
            return
        self._held = b""
        try:
            if close is not None:
                close(code)
                return
        except Exception:
            # It has closed already, and waits for a client that does not.
            _log.debug("a connection cannot be closed in order")
        channel.transport.abortConnection()
