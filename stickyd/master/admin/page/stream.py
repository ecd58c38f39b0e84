"""The live page's stream of events (server-sent events of HTML's standard)."""

import socket
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import interfaces
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import server
from zope.interface import implementer

from stickyd.master.admin.page.view import View

STREAMS_MOST = 16
"""Pages at a time; further ones get 503. Half of the listener's clients: pages lock nobody out."""

PERIOD = 1.0
"""Seconds from one view to the next."""

SHARE_MOST = 0.02
"""Share of the master's time that views may take; where there are hundreds of slots, they are
further apart."""

RETRY = 2.0
"""Seconds after which a page connects anew."""

STALLED_SECONDS = 30.0
"""Seconds after which a page that takes nothing is disconnected."""

_SEND_BUFFER = 65536
# What the kernel keeps for a page that does not read: views that nobody wants any more.

_log = Logger("stickyd")


class Streams:
    """All streams; while there are some, a view is made every `PERIOD` for all of them.

    :param look: makes the view.
    """

    def __init__(self, reactor: Any, look: Callable[[], View]) -> None:
        self._reactor = reactor
        self._look = look
        self._streams: set[_Stream] = set()
        self._ticks = LoopingCall(self._tick)
        self._ticks.clock = reactor
        self._over = False

    def __len__(self) -> int:
        return len(self._streams)

    def has_room(self) -> bool:
        """Whether there may be one more."""
        return len(self._streams) < STREAMS_MOST and not self._over

    def add(self, request: server.Request) -> None:
        """Answer a request with the stream."""
        stream = _Stream(self._reactor, request, self._remove)
        self._streams.add(stream)
        stream.begin(self._look())
        if not self._ticks.running:
            self._ticks.start(PERIOD, now=False).addErrback(self._failed)

    def _remove(self, stream: "_Stream") -> None:
        self._streams.discard(stream)
        if not self._streams and self._ticks.running:
            self._ticks.stop()

    def _tick(self) -> None:
        began = time.thread_time()
        data = _event(self._look())
        self._ticks.interval = max(PERIOD, (time.thread_time() - began) / SHARE_MOST)
        for each in list(self._streams):
            each.send(data)

    def _failed(self, failure: Failure) -> None:
        _log.failure("the live page failed", failure=failure)
        for each in list(self._streams):
            each.end()

    def close(self) -> None:
        """End all streams, and have no others."""
        self._over = True
        for each in list(self._streams):
            each.end()


def _event(view: View) -> bytes:
    return b"data: %s\n\n" % view.as_json().encode("ascii")


@implementer(interfaces.IPushProducer)
class _Stream:
    """One page. Nothing is kept for it while it does not read: views are skipped."""

    def __init__(
        self, reactor: Any, request: server.Request, on_gone: Callable[["_Stream"], None]
    ) -> None:
        self._reactor = reactor
        self._request = request
        # A finished request does not have it any more.
        self._channel: Any = request.channel
        self._on_gone = on_gone
        self._stalled: Any = None
        self._ending = False

    def begin(self, view: View) -> None:
        """Send the head and the first view."""
        request = self._request
        request.setHeader(b"content-type", b"text/event-stream")
        request.notifyFinish().addBoth(self._gone)
        handle = self._channel.transport.getHandle()
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        request.registerProducer(self, True)
        self.send(b"retry: %d\n" % (RETRY * 1000) + _event(view))

    def send(self, data: bytes) -> None:
        """Send, unless the page is behind."""
        if self._stalled is None and not self._ending:
            self._request.write(data)

    def end(self) -> None:
        """End the stream in order."""
        if not self._ending:
            self._ending = True
            self._request.unregisterProducer()
            self._request.finish()
            self._channel.loseConnection()

    def _gone(self, _: object) -> None:
        self._ending = True
        self._go_on()
        self._on_gone(self)

    def _go_on(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    # ---- for the transport

    def pauseProducing(self) -> None:
        """The page does not read as fast as it is written to."""
        if self._stalled is None and not self._ending:
            self._stalled = self._reactor.callLater(STALLED_SECONDS, self._give_up)

    def resumeProducing(self) -> None:
        """The page has read all."""
        self._go_on()

    def stopProducing(self) -> None:
        """The connection has ended."""

    def _give_up(self) -> None:
        self._stalled = None
        self._ending = True
        self._channel.transport.abortConnection()
