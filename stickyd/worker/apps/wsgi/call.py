"""One request of a WSGI app: the app as Twisted's `WSGIResource` sees it."""

import sys
import traceback
from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol
from weakref import WeakSet

from twisted.internet import defer
from twisted.internet.interfaces import IPullProducer
from twisted.internet.threads import blockingCallFromThread
from twisted.logger import Logger
from twisted.python.threadable import isInIOThread
from zope.interface import implementer

from stickyd.http1.head_parser import Head
from stickyd.http1.response import BadResponse, response_head
from stickyd.worker.apps.wsgi.taken import KEY, LazySocket, Taken, TakenSocket

Environ = dict[str, Any]
Write = Callable[[bytes], object]
StartResponse = Callable[..., Write]

WRITE_AHEAD = 65536
"""Bytes an app may write before it waits for the client to take them."""

_PLAIN_TEXT = [("Content-Type", "text/plain; charset=utf-8")]
_ERROR_PAGE = "Internal Server Error\n"

# One that offers no other protocol: WSGI has none.
_ANY_REQUEST = Head(b"GET", b"/", 1, (), 0, 0, True, frozenset(), False)

_log = Logger("stickyd")


class Running(Protocol):
    """What a call uses of the resource.

    :ivar multiprocess: other processes run the app too.
    :ivar show_tracebacks: the page of a 500 tells the traceback.
    :ivar sockets: those that the app has taken, and not closed.
    """

    sockets: "WeakSet[TakenSocket]"
    reactor: Any
    app: Callable[[Environ, StartResponse], Iterable[bytes]]
    multiprocess: bool
    show_tracebacks: bool


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


class Call:
    """One request: the app as `WSGIResource` sees it. Runs in a thread, but for `_drained`.

    Adds what Twisted's way lacks: an app waits for a client that is slower than
    itself, ``close`` of what it returned is called in every case, a 500 has a
    page, and a client that went while it waited for a thread takes none.
    """

    def __init__(self, resource: Running, request: Any) -> None:
        self._resource = resource
        self._request = request
        # Of the client's certificate.
        self._subject: str | None = request.channel.client_subject
        self._ahead = 0
        self._started = False
        # The answer has begun to go out.
        self._begun = False
        self._taken: Taken | None = None
        # The app may take the connection; to be called when it has left.
        self.on_end: Callable[[], None] | None = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """For `WSGIResource`: run the app."""
        if self.on_end is not None:
            environ[KEY] = LazySocket(self._take)
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
                if self._taken is not None:
                    return
                self._begun = True
                write(data)
                self._pace(data)

            return paced

        return self._run(environ, start, start_response)

    def _take(self) -> TakenSocket:
        """In a thread of the app: its socket, from now on."""
        if isInIOThread():
            raise RuntimeError("the socket is to be taken by the app's thread")
        reactor = self._resource.reactor
        # What was answered before on this connection goes out first.
        blockingCallFromThread(reactor, self._drained)
        return blockingCallFromThread(reactor, self._take_now)

    def _take_now(self) -> TakenSocket:
        if self._taken is None:
            exchange = self._request.channel
            if exchange is None or self._begun:
                raise ConnectionError("the client has gone, or has been answered")
            self._taken = Taken(self._resource.reactor, exchange)
            self._resource.sockets.add(self._taken.socket)
        return self._taken.socket

    def _leave(self) -> None:
        """In the reactor's thread: the app has returned."""
        if self._taken is not None:
            self._taken.finish()
        if self.on_end is not None:
            self.on_end()

    def _run(
        self, environ: Environ, start: StartResponse, start_response: StartResponse
    ) -> Generator[bytes, None, None]:
        try:
            yield from self._answer(environ, start, start_response)
        finally:
            if self.on_end is not None:
                blockingCallFromThread(self._resource.reactor, self._leave)

    def _answer(
        self, environ: Environ, start: StartResponse, start_response: StartResponse
    ) -> Generator[bytes, None, None]:
        if self._request.channel is None:
            # The connection was lost before a thread was free, and the body is closed.
            return
        parts: Iterable[bytes] = ()
        try:
            parts = self._resource.app(environ, start)
            for part in parts:
                if self._taken is not None:
                    # It has answered by itself.
                    continue
                self._check_started()
                _check_part(part)
                self._begun = self._begun or bool(part)
                yield part
                self._pace(part)
            self._check_started()
        except Exception as error:
            if self._taken is not None:
                # Libraries raise these two so that other servers write nothing.
                if not isinstance(error, ConnectionError | StopIteration):
                    _log.failure("the WSGI app failed on a WebSocket")
                return
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
        if not self._started and self._taken is None:
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
