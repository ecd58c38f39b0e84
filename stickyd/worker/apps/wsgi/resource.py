"""WSGI apps (PEP 3333): Twisted's own `WSGIResource`, on threads of the worker."""

import threading
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

from twisted.internet.address import IPv4Address
from twisted.internet.task import deferLater
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import IResource
from twisted.web.wsgi import WSGIResource
from zope.interface import implementer

from stickyd.worker.apps.wsgi.call import Call, Environ, StartResponse
from stickyd.worker.apps.wsgi.taken import TakenSocket, offers_websocket

LEAVE_MOST = 0.3
"""Seconds that threads have to leave the app when the worker ends."""

_LOOK_EVERY = 0.02


class _Threads(ThreadPool):
    """Threads for requests, and one more for each connection that an app may take.

    :param requests: threads for requests.
    :param websockets: connections that an app may have taken at a time.
    """

    def __init__(self, requests: int, websockets: int) -> None:
        super().__init__(0, requests, "wsgi")
        self._left = websockets

    def one_more(self) -> bool:
        """One thread more, for a request that offers a WebSocket; False if all are in use."""
        if not self._left:
            return False
        self._left -= 1
        self.adjustPoolsize(maxthreads=self.max + 1)
        return True

    def one_fewer(self) -> None:
        """That request, or the WebSocket, has ended."""
        self._left += 1
        self.adjustPoolsize(maxthreads=self.max - 1)

    @staticmethod
    def threadFactory(**how: Any) -> threading.Thread:  # type: ignore[override]
        """A daemon thread: a call of the app may never return."""
        return threading.Thread(daemon=True, **how)


@implementer(IResource)
class WsgiResource:
    """Runs an app for every request under it.

    :param threads: for requests.
    :param websockets: connections that the app may take; 0: it is offered none.
    :param multiprocess: other processes run the app too.
    :param show_tracebacks: the page of a 500 tells the traceback.
    """

    isLeaf = True

    def __init__(
        self,
        reactor: Any,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        threads: int,
        *,
        websockets: int,
        multiprocess: bool,
        show_tracebacks: bool,
    ) -> None:
        self.reactor = reactor
        self.app = app
        self.multiprocess = multiprocess
        self.show_tracebacks = show_tracebacks
        self.sockets: WeakSet[TakenSocket] = WeakSet()
        self._websockets = websockets
        self._threads = _Threads(threads, websockets)

    def start(self) -> None:
        """Start the threads."""
        self._threads.start()

    async def stop(self, seconds: float) -> None:
        """End the threads, unless one is still in the app: it ends with the process.

        One whose client has gone leaves the app at the next part of its answer, and closes what
        the app has returned; it has `LEAVE_MOST` seconds for this, and at most ``seconds``.
        """
        if not self._threads.started:
            return
        for sock in list(self.sockets):
            sock.end()
        until = self.reactor.seconds() + min(seconds, LEAVE_MOST)
        # A thread of a pool that leaves the app, and stays in the pool, gives no event.
        while self._threads.working and self.reactor.seconds() < until:
            await deferLater(self.reactor, _LOOK_EVERY)
        if not self._threads.working:
            self._threads.stop()

    def render(self, request: Any) -> int | bytes:
        """Run the app."""
        _measure_body(request)
        _name_ends(request)
        call = Call(self, request)
        upgrades = self._websockets and request.requestHeaders.hasHeader(b"upgrade")
        if upgrades and offers_websocket(request.channel.asked):
            if not self._threads.one_more():
                request.setResponseCode(503)
                request.setHeader(b"retry-after", b"1")
                return b"too many WebSockets\n"
            call.on_end = self._threads.one_fewer
        answered: int = WSGIResource(self.reactor, self._threads, call).render(request)
        return answered

    def getChildWithDefault(self, name: bytes, request: Any) -> IResource:
        """The app is a leaf."""
        raise RuntimeError("a WSGI app has no child resources")

    def putChild(self, path: bytes, child: object) -> None:
        """The app is a leaf."""
        raise RuntimeError("a WSGI app has no child resources")


def _measure_body(request: Any) -> None:
    """Set the length of a chunked body, which is complete: apps read no body without one."""
    headers = request.requestHeaders
    if headers.hasHeader(b"transfer-encoding"):
        size = request.content.seek(0, 2)
        request.content.seek(0)
        headers.removeHeader(b"transfer-encoding")
        headers.setRawHeaders(b"content-length", [b"%d" % size])


def _name_ends(request: Any) -> None:
    """The ends of a Unix socket have neither host nor port, but the environment has to."""
    if getattr(request.client, "host", None) is None:
        request.client = IPv4Address("TCP", "", 0)
    if getattr(request.host, "port", None) is None:
        authority = (request.getHeader(b"host") or b"").decode("latin-1")
        port = authority.rpartition(":")[2]
        standard = 443 if request.isSecure() else 80
        request.host = IPv4Address("TCP", "localhost", int(port) if port.isdecimal() else standard)
