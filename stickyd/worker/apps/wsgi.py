"""WSGI apps (PEP 3333): Twisted's own `WSGIResource`, on threads of the worker."""

import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable
from typing import Any

from twisted.internet import defer
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IPullProducer
from twisted.internet.task import deferLater
from twisted.internet.threads import blockingCallFromThread
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import IResource
from twisted.web.wsgi import WSGIResource
from zope.interface import implementer

from stickyd.http1.head_parser import Head
from stickyd.http1.response import BadResponse, response_head

Environ = dict[str, Any]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]

WRITE_AHEAD = 65536
"""Bytes an app may write before it waits for the client to take them."""

LEAVE_MOST = 0.3
"""Seconds that threads have to leave the app when the worker ends."""

_LOOK_EVERY = 0.02

_PLAIN_TEXT = [("Content-Type", "text/plain; charset=utf-8")]
_ERROR_PAGE = "Internal Server Error\n"

# One that offers no other protocol: WSGI has none.
_ANY_REQUEST = Head(b"GET", b"/", 1, (), 0, 0, True, frozenset(), False)

_log = Logger("stickyd")


class _Threads(ThreadPool):
    @staticmethod
    def threadFactory(**how: Any) -> threading.Thread:  # type: ignore[override]
        """A daemon thread: a call of the app may never return."""
        return threading.Thread(daemon=True, **how)


@implementer(IResource)
class WsgiResource:
    """Runs an app for every request under it.

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
        multiprocess: bool,
        show_tracebacks: bool,
    ) -> None:
        self.reactor = reactor
        self.app = app
        self.multiprocess = multiprocess
        self.show_tracebacks = show_tracebacks
        self._threads = _Threads(0, threads, "wsgi")

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
        until = self.reactor.seconds() + min(seconds, LEAVE_MOST)
        # A thread of a pool that leaves the app, and stays in the pool, gives no event.
        while self._threads.working and self.reactor.seconds() < until:
            await deferLater(self.reactor, _LOOK_EVERY)
        if not self._threads.working:
            self._threads.stop()

    def render(self, request: Any) -> int:
        """Run the app."""
        _measure_body(request)
        _name_ends(request)
        call = _Call(self, request)
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


def _with_reason(status: str) -> str:
    """A status line's end; one without a reason gets one, since Twisted relies on it."""
    code, _, reason = status.partition(" ")
    return status if reason.strip() else f"{code} Unknown"


def _check_response(status: str, headers: list[tuple[str, str]]) -> None:
    """See that a response may go out as it is, while the app can still hear of it.

    :raise BadResponse: if it may not.
    """
    code, _, reason = status.partition(" ")
    fields = [(_latin(name), [_latin(value)]) for name, value in headers]
    response_head(_ANY_REQUEST, b"HTTP/1.1", _latin(code), _latin(reason), fields, False)


def _latin(text: str) -> bytes:
    """What text of the app's is on the wire (PEP 3333, "Unicode Issues")."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise BadResponse(f"{text!r} is not latin-1") from error


def _check_part(part: object) -> None:
    if not isinstance(part, bytes):
        raise TypeError(f"the app's response is to be bytes, not {type(part).__name__}")


class _Call:
    """One request: the app as `WSGIResource` sees it. Runs in a thread, but for `_drained`.

    Adds what Twisted's way lacks: an app waits for a client that is slower than
    itself, ``close`` of what it returned is called in every case, a 500 has a
    page, and a client that went while it waited for a thread takes none.
    """

    def __init__(self, resource: WsgiResource, request: Any) -> None:
        self._resource = resource
        self._request = request
        # Of the client's certificate.
        self._subject: str | None = request.channel.client_subject
        self._ahead = 0
        self._started = False
        # The answer has begun to go out.
        self._begun = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.multiprocess"] = self._resource.multiprocess
        # The end of the body is the end of the file, whatever its length was said to be.
        environ["wsgi.input_terminated"] = True
        # Twisted's takes every write for an error.
        environ["wsgi.errors"] = sys.stderr
        if self._subject is not None:
            environ["SSL_CLIENT_S_DN"] = self._subject
            environ["SSL_CLIENT_VERIFY"] = "SUCCESS"

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Write:
            try:
                if exc_info is not None and self._begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # It would be in a reference cycle with this frame (PEP 3333).
                exc_info = None
            status = _with_reason(status)
            # The types are checked there.
            write = start_response(status, headers)
            _check_response(status, headers)
            self._started = True

            def paced(data: bytes) -> None:
                _check_part(data)
                self._begun = True
                write(data)
                self._pace(data)

            return paced

        return self._run(environ, start, start_response)

    def _run(
        self, environ: Environ, start: StartResponse, start_response: StartResponse
    ) -> Generator[bytes, None, None]:
        if self._request.channel is None:
            # The connection was lost before a thread was free, and the body is closed.
            return
        parts: Iterable[bytes] = ()
        try:
            parts = self._resource.app(environ, start)
            for part in parts:
                self._check_started()
                _check_part(part)
                self._begun = self._begun or bool(part)
                yield part
                self._pace(part)
            self._check_started()
        except Exception:
            if self._begun:
                raise
            start_response("500 Internal Server Error", _PLAIN_TEXT)
            _log.failure("the WSGI app failed on a request")
            page = traceback.format_exc() if self._resource.show_tracebacks else _ERROR_PAGE
            yield page.encode("utf-8", "backslashreplace")
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _check_started(self) -> None:
        if not self._started:
            raise RuntimeError("the app has not called start_response")

    def _pace(self, data: bytes) -> None:
        self._ahead += len(data)
        if self._ahead >= WRITE_AHEAD:
            self._ahead = 0
            blockingCallFromThread(self._resource.reactor, self._drained)

    def _drained(self) -> "defer.Deferred[None] | None":
        """In the reactor's thread: wait until the client has taken what was written."""
        channel = self._request.channel
        if channel is None or channel.transport.flushed():
            return None
        return _Drain(channel.transport).over


@implementer(IPullProducer)
class _Drain:
    """Fires when a transport has sent everything, or the connection is lost."""

    def __init__(self, transport: Any) -> None:
        self.over: defer.Deferred[None] = defer.Deferred()
        self._transport = transport
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """For the transport: at the registration, and when there is room."""
        if self._transport.flushed():
            self._transport.unregisterProducer()
            self.over.callback(None)

    def stopProducing(self) -> None:
        """For the transport: the connection is lost."""
        self.over.callback(None)
