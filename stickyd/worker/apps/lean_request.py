"""twisted.web's own `Request`, with what most requests never ask for made when it is asked for.

An app sees a `twisted.web.server.Request` with every name and every habit of its
parent; what is written to the wire is the same too. Only the way there is
shorter: headers, cookies and addresses are read when somebody looks, the date is
written once a second, and the head of an answer is put together in one pass.
"""

import time
from collections.abc import Callable
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http import (
    NO_BODY_CODES,
    NO_CONTENT,
    NOT_MODIFIED,
    datetimeToString,
    toChunk,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import INonQueuedRequestFactory
from twisted.web.resource import EncodingResourceWrapper
from zope.interface import implementedBy

_NO_BODY = frozenset(NO_BODY_CODES)
_COPIED_MOST = 8192
# Twisted gives this interface no public name, but everyone can see who implements it.
(ENCODING,) = (i for i in implementedBy(EncodingResourceWrapper) if "getEncoder" in i)


class _Lazily:
    """An attribute that is made when it is first read; one that is set before is never made."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        made = instance.__dict__[self._name] = self._make(instance)
        return made


class _Date:
    """The value of a Date field, made once a second (RFC 9110, 6.6.1)."""

    def __init__(self) -> None:
        self._second = 0
        self._text = b""

    def now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._text = second, datetimeToString(second)
        return self._text


date = _Date()


def _request_headers(request: Any) -> Headers:
    return request._exchange.read_headers()  # type: ignore[no-any-return]


def _cookies(request: Any) -> dict[bytes, bytes]:
    request.__dict__["received_cookies"] = {}
    request.parseCookies()
    return request.__dict__["received_cookies"]  # type: ignore[no-any-return]


def _parses_forms(request: Any) -> bool:
    return request._exchange.site._parsePOSTFormSubmission  # type: ignore[no-any-return]


class AnswerHeaders(Headers):
    """The headers that an answer has unless the app takes them away."""

    def __init__(self) -> None:
        # As two times `setRawHeaders`, which knows neither of the values.
        self._rawHeaders = {b"Server": [server.version], b"Date": [date.now()]}


class LeanRequest(server.Request):
    """A request whose `stickyd.worker.apps.web.WebExchange` is its channel."""

    queued = False
    client = _Lazily(lambda request: request._exchange.client_address())
    host = _Lazily(lambda request: request._exchange.getHost())
    requestHeaders = _Lazily(_request_headers)
    received_cookies = _Lazily(_cookies)
    responseHeaders = _Lazily(lambda request: AnswerHeaders())
    notifications = _Lazily(lambda request: [])
    cookies = _Lazily(lambda request: [])
    # Once it is answered, a request has no content; see `http.Request`.
    content = _Lazily(lambda request: None if request.finished else BytesIO())
    _adapterCache = _Lazily(lambda request: {})
    _parsePOSTFormSubmission = _Lazily(_parses_forms)

    def __init__(self, channel: Any) -> None:
        # What the parents' constructors set, but for what is made lazily.
        self.channel: Any = channel
        # `channel` goes when the answer is whole; what is made lazily may be asked for later.
        self._exchange = channel
        self.transport = channel.transport

    def gotLength(self, length: int | None) -> None:
        """Make the file for a body of ``length`` bytes; one of none is made when it is read."""
        if length != 0 or hasattr(self.channel.site, "getContentFile"):
            super().gotLength(length)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The request is whole: render it."""
        if b"?" in path or self.channel.length:
            super().requestReceived(command, path, version)
            return
        self.args = {}
        self.method, self.uri, self.path, self.clientproto = command, path, path, version
        self.process()

    def process(self) -> None:
        """Find the resource of the request and render it."""
        if self.path == b"*":
            super().process()
            return
        self.site = site = self.channel.site
        self.prepath = []
        segments = self.path[1:].split(b"/")
        self.postpath = [*map(unquote_to_bytes, segments)] if b"%" in self.path else segments
        try:
            self.render_found(site.getResourceFor(self))
        except BaseException:
            self.processingFailed(Failure())

    def render_found(self, resource: Any) -> None:
        """Render the resource of the request."""
        if ENCODING.providedBy(resource):
            self._encoder = resource.getEncoder(self) or self._encoder
        self.render(resource)

    def write(self, data: bytes) -> None:
        """Write part of the answer's body; its head goes before the first one."""
        if type(data) is not bytes:
            # What is no bytes is found before a head says 200.
            data = b"".join((data,))
        if (
            self.startedWriting
            or self.finished
            or self._disconnected
            or self._inFakeHead
            or self._encoder is not None
            or self.lastModified is not None
            or self.etag is not None
        ):
            super().write(data)
            return
        self.startedWriting = 1
        code = self.code
        headers = self.responseHeaders
        # As its methods, which look every name up in all its spellings.
        raw = headers._rawHeaders
        sized = raw.get(b"Content-Length")
        bodiless = code in _NO_BODY
        if (
            b"Content-Type" not in raw
            and self.defaultContentType is not None
            and code not in _NO_TYPE
            and not (sized and sized[0] == b"0")
        ):
            headers.setRawHeaders(b"Content-Type", (self.defaultContentType,))
        head = self.method == b"HEAD"
        if not sized and not head and not bodiless and self.clientproto == b"HTTP/1.1":
            raw[b"Transfer-Encoding"] = [b"chunked"]
            self.chunked = 1
        if self.cookies:
            headers.setRawHeaders(b"Set-Cookie", self.cookies)
        channel = self.channel
        # With its head, which saves a write; what is long is not copied for that.
        first = b""
        if head or bodiless:
            self.write = _eat  # type: ignore[method-assign]
        else:
            self.sentLength = len(data)
            if not self.chunked:
                first = data
            elif data and len(data) <= _COPIED_MOST:
                first = b"%x\r\n%b\r\n" % (len(data), data)
        channel.writeHeaders(self.clientproto, b"%d" % code, self.code_message, headers, first)
        if self.chunked and data and not first:
            channel.writeSequence(toChunk(data))


_NO_TYPE = frozenset({NOT_MODIFIED, NO_CONTENT})


def _eat(data: bytes) -> None:
    """There is no body to this answer."""


def request_of(factory: Any, exchange: Any) -> Any:
    """A request of the app's own class, with every attribute set.

    :param factory: of its site.
    :param exchange: the `stickyd.worker.apps.web.WebExchange` that is its channel.
    """
    if INonQueuedRequestFactory.providedBy(factory):
        request = factory(exchange)
    else:
        request = factory(exchange, False)
    request.client = exchange.client_address()
    request.requestHeaders = exchange.read_headers()
    request.parseCookies()
    return request
