"""Delivery from a client to the protocol of an app that has taken its connection over (Upgrade).

The protocol receives what the client sends no faster than the client takes what is sent to it, and
for a limited share of each turn of the reactor.
"""

from collections.abc import Callable
from typing import Protocol

from twisted.logger import Logger
from twisted.python.failure import Failure

from stickyd.http1.websocket_frames import FrameMeter, MessageTooBig
from stickyd.worker.connection.next_step import State
from stickyd.worker.connection.round_robin import TURN
from stickyd.worker.connection.transport import ClientTransport
from stickyd.worker.interfaces import ClientChannel

GOING_AWAY = 1012
"""The worker ends and another one replaces it: "service restart" in the WebSocket registry of
close codes (RFC 6455, 11.7)."""

SERVICE_RESTART = b"\x88\x02" + GOING_AWAY.to_bytes(2, "big")
"""A Close frame of a server with this code."""

TOO_BIG = 1009
"""A message is too big to be processed (RFC 6455, 7.4.1)."""

WRITE_AHEAD = 65536
"""Bytes that may wait for the client before nothing more of what it sends is read."""

_log = Logger("stickyd")


class Keepalive(Protocol):
    """Sends pings to the client (`stickyd.worker.apps.websocket.keepalive`)."""

    def heard(self) -> None:
        """The client has sent something."""

    def stop(self) -> None:
        """The connection has ended, or another worker has it."""


class Upgraded:
    """Receives the bytes of an upgraded connection, in place of the channel.

    :param receive: called with the bytes of the client, in order.
    :param lost: called at the end; None if the exchange is notified anyway.
    :param close: closes the connection by the means of its protocol, with a WebSocket close code
        (RFC 6455, 7.4); without it the connection is reset.
    :param meter: finds the frames of a WebSocket; other protocols get the bytes as they arrive.
    :param waiting: bytes that wait for the client because of what it sent; by default, all.
    :ivar on_sent: called when the client has taken something.
    :ivar on_stop: called when the connection has ended, or another worker has it.
    :ivar keepalive: None without pings of ours.
    """

    keepalive: Keepalive | None = None

    def __init__(
        self,
        channel: ClientChannel,
        receive: Callable[[bytes], None],
        *,
        lost: Callable[[Failure], None] | None = None,
        close: Callable[[int], None] | None = None,
        meter: FrameMeter | None = None,
        waiting: Callable[[], int] | None = None,
    ) -> None:
        self._channel: ClientChannel | None = channel
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
        # Called between two messages; then nothing more is delivered.
        self._between: Callable[[], None] | None = None
        self._stopped = False
        self.on_sent: Callable[[], None] | None = None
        self.on_stop: Callable[[], None] | None = None

    # ---- for the transport

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._channel is None:
            return
        if self.keepalive is not None:
            self.keepalive.heard()
        # First those that arrived before the upgrade.
        self._channel.deliver_held()
        self._held = self._held + data if self._held else data
        self._feed()

    def connectionLost(self, reason: Failure) -> None:
        """The connection has ended."""
        lost = self._lost
        self.stop()
        if lost is not None:
            lost(reason)

    # ---- for the channel

    @property
    def closes(self) -> bool:
        """Whether the protocol has a way to close in order."""
        return self._close is not None

    @property
    def reading(self) -> bool:
        """Whether all that has come is delivered; an answer to a ping may be unread otherwise."""
        return not (self._held or self._stopped)

    def sent(self) -> None:
        """The client has taken something."""
        if self.on_sent is not None:
            self.on_sent()
        if self._held and self._ready():
            self._feed_later()

    def close_gracefully(self) -> None:
        """The grace period of the worker is over."""
        self._end(GOING_AWAY)

    def stop(self) -> None:
        """Deliver nothing more."""
        # Each of them may be in a reference cycle with this object.
        self._channel = self._receive = self._lost = self._close = self._waiting = None
        self._held = b""
        self.on_sent = self._between = None
        keepalive, self.keepalive = self.keepalive, None
        if keepalive is not None:
            keepalive.stop()
        on_stop, self.on_stop = self.on_stop, None
        if on_stop is not None:
            on_stop()

    # ---- for a handover to another worker

    @property
    def unread(self) -> bytes:
        """What has been read and not delivered."""
        return self._held

    def stop_between(self, call: Callable[[], None]) -> None:
        """Deliver until a message ends, then nothing more; call ``call`` at that point."""
        if self._meter is not None:
            self._between = call
            self._stop_if_between()

    def _stop_if_between(self) -> bool:
        if self._between is None or self._meter is None or not self._meter.between:
            return False
        call, self._between = self._between, None
        self._stopped = True
        if self._channel is not None:
            self._channel.transport.stopReading()
        call()
        return True

    def go_on(self) -> None:
        """Deliver again."""
        self._between = None
        self._stopped = False
        if self._channel is None:
            return
        if self._held:
            self._feed_later()
        elif self._open():
            self._channel.transport.startReading()

    # ---- for the app's protocol

    def pause(self) -> None:
        """The app takes no more for now; what arrives is held."""
        self._paused = True

    def resume(self) -> None:
        """The app takes more: in a later turn, when it has handled what it has just taken."""
        self._paused = False
        if self._held:
            self._feed_later()

    # ---- delivery

    def _open(self) -> bool:
        """Whether anything more may be delivered at all."""
        channel = self._channel
        return (
            channel is not None
            and channel.state is State.PINNED
            and not channel.transport.disconnecting
        )

    def _ready(self) -> bool:
        """Whether something may be delivered now."""
        if self._paused or self._stopped or self._waiting is None or not self._open():
            return False
        return self._waiting() <= WRITE_AHEAD

    def _feed(self) -> None:
        """Deliver what is held, as far as the app and the share of this turn allow it."""
        channel = self._channel
        if channel is None or self._feeding or self._scheduled:
            return
        transport = channel.transport
        # What the app answers is sent together.
        self._feeding = transport.corked = True
        try:
            self._deliver(channel)
        except Exception:
            # An error of one connection must not affect the others.
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
        if self._held or self._stopped:
            transport.stopReading()
            if self._ready():
                self._feed_later()
        else:
            transport.startReading()

    def _deliver(self, channel: ClientChannel) -> None:
        seconds = channel.context.reactor.seconds
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
            if self._between is not None:
                # It is given away at once, perhaps, with what is not delivered.
                self._held = data[at:]
                if self._stop_if_between():
                    return
        self._held = data[at:] if self._open() else b""

    def _feed_later(self) -> None:
        """Continue in a later turn of the reactor, after other connections."""
        if not self._scheduled and self._channel is not None:
            self._scheduled = True
            self._channel.context.round_robin.add(self._continue)

    def _continue(self) -> None:
        self._scheduled = False
        self._feed()

    def _end(self, code: int) -> None:
        """Close the connection, by the means of its protocol if it has any."""
        channel, close = self._channel, self._close
        if channel is None:
            return
        self._held = b""
        if close is None:
            channel.transport.abortConnection()
        else:
            send_close(channel.transport, close, code)


def send_close(
    transport: ClientTransport, close: Callable[[int], object], code: int = GOING_AWAY
) -> None:
    """Close a connection by the means of its protocol, or reset it if these fail."""
    try:
        close(code)
    except Exception:
        # The handshake is not complete, or it is closing already and waits for the client.
        _log.debug("a connection cannot be closed in order")
        transport.abortConnection()
