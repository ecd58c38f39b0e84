"""Answers of twisted.web as the compiled engine writes them, beside Python's."""

import re
import unittest
import warnings
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.resource import EncodingResourceWrapper, NoResource, Resource
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory, Request

from stickyd.core.native import CORE
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.http1.response import BadResponse, response_head
from stickyd.worker.apps.lean_request import LeanRequest
from stickyd.worker.apps.loaders.web import WebApp
from tests.support.cores import python_core
from tests.support.extent import examples
from tests.support.one_connection import OneConnection

ENGINES: Any = CORE.engines

ASKED = [
    method + b" / HTTP/1." + minor + b"\r\nHost: x\r\n" + more + b"\r\n"
    for method in (b"GET", b"HEAD", b"POST")
    for minor in (b"0", b"1")
    for more in (b"", b"Connection: keep-alive\r\n", b"Connection: close, keep-alive\r\n")
]
NAMES = (
    *(b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection", b"Upgrade"),
    *(b"Server", b"X-A", b"Set-Cookie", b"", b"a b", b"a:", b"\xe4", b"Content-LengtH "),
)
VALUES = (
    *(b"", b"0", b"12", b"007", b" 12", b"-1", b"1" * 18, b"1" * 19, b"chunked", b"Chunked"),
    *(b"gzip", b"close", b"keep-alive", b"a\r\nb: c", b"\t x \xff", b"\x7f", b"x" * 5000),
)
names = st.one_of(st.sampled_from(NAMES), st.binary(max_size=6))
values = st.one_of(st.sampled_from(VALUES), st.binary(max_size=12))
reasons = st.one_of(st.sampled_from([b"OK", b"", b"a\nb", "text", None]), st.binary(max_size=9))
OFTEN = settings(max_examples=examples(1500), deadline=None, derandomize=True)


@unittest.skipIf(ENGINES is None, "the compiled core is not built")
class ItsHead(unittest.TestCase):
    @OFTEN
    @given(
        st.sampled_from(ASKED),
        st.one_of(st.just(200), st.integers(0, 1200)),
        reasons,
        st.lists(st.tuples(names, st.lists(values, max_size=2)), max_size=5),
        st.booleans(),
        st.sampled_from([b"", b"X-Worker: 1\r\n"]),
    )
    def test_as_python_writes_it(
        self, asked: bytes, code: int, reason: Any, fields: Any, last: bool, extra: bytes
    ) -> None:
        head = read_head(asked, Limits())
        assert isinstance(head, Head)
        ours = ENGINES.answer_head(asked, code, reason, fields, last, extra)
        if ours is None:
            return
        try:
            expected = response_head(head, head.version, b"%d" % code, reason, fields, last, extra)
        except BadResponse as error:
            self.fail(f"{error}: {ours}")
        self.assertEqual(ours, expected)

    @OFTEN
    @given(st.one_of(st.integers(0, 10**18 - 1), st.integers(0, 18).map(lambda n: 10**n - 1)))
    def test_every_length(self, length: int) -> None:
        (head, left, _) = ENGINES.answer_head(
            ASKED[3], 200, b"OK", [(b"Content-Length", [b"%d" % length])], False, b""
        )
        self.assertIn(b"\r\nContent-Length: %d\r\n" % length, head)
        self.assertEqual(left, length)

    def test_usual_heads_without_python(self) -> None:
        fields = [(b"Server", [b"s"]), (b"Set-Cookie", [b"a", b"b"]), (b"Content-Length", [b"5"])]
        for asked in ASKED:
            ours = ENGINES.answer_head(asked, 404, b"Not Found", fields, False, b"")
            self.assertIn(b"Set-Cookie: b\r\n", ours[0])
        chunked = [(b"Transfer-Encoding", [b"chunked"])]
        self.assertIsNotNone(ENGINES.answer_head(ASKED[3], 200, b"OK", chunked, False, b""))


class Own(Request):
    """A request of the app's own class."""


class Pages(Resource):
    """Answers of all kinds, by the path."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []
        gzip = EncodingResourceWrapper(Leaf(self.told), [GzipEncoderFactory()])
        self.putChild(b"gzip", gzip)

    def getChild(self, path: Any, request: Any) -> Any:
        if path == b"none":
            return NoResource()
        if path == b"raises":
            raise ValueError("in getChild")
        return Leaf(self.told)


class Leaf(Resource):
    isLeaf = True

    def __init__(self, told: list[Any]) -> None:
        super().__init__()
        self.told = told

    def render_POST(self, request: Any) -> Any:
        return b"posted " + request.content.read() + repr(request.args).encode()

    def render_GET(self, request: Any) -> Any:
        request.notifyFinish().addBoth(lambda result: self.told.append((request.path, result)))
        return getattr(self, request.path.decode("ascii").strip("/").split("/")[0], self.plain)(
            request
        )

    def plain(self, request: Any) -> Any:
        where = (request.prepath, request.postpath, request.sitepath, request.args)
        return repr((*where, request.uri, request.clientproto)).encode()

    def empty(self, request: Any) -> Any:
        return b""

    def long(self, request: Any) -> Any:
        return b"l" * 20000

    def text(self, request: Any) -> Any:
        return "text"

    def nothing(self, request: Any) -> Any:
        return None

    def raises(self, request: Any) -> Any:
        raise ValueError("in render")

    def code(self, request: Any) -> Any:
        request.setResponseCode(int(request.path[-3:]), b"So")
        return b"x"

    def header(self, request: Any) -> Any:
        request.setHeader(b"x-ample", b"1")
        request.setHeader("content-type", "text/plain")
        request.responseHeaders.addRawHeader(b"X-Ample", b"2")
        return b"x"

    def no_type(self, request: Any) -> Any:
        request.defaultContentType = None
        return b"x"

    def other_type(self, request: Any) -> Any:
        request.defaultContentType = b"text/other"
        return b"x"

    def connection(self, request: Any) -> Any:
        request.setHeader(b"connection", b"close")
        return b"x"

    def two_lengths(self, request: Any) -> Any:
        request.responseHeaders.setRawHeaders(b"content-length", [b"1", b"2"])
        return b"x"

    def upgrade(self, request: Any) -> Any:
        request.setHeader(b"upgrade", b"h2c")
        return b"x"

    def own_headers(self, request: Any) -> Any:
        request.responseHeaders = Headers({b"x-own": [b"1"]})
        return b"x"

    def cookie(self, request: Any) -> Any:
        request.addCookie(b"a", b"b")
        return b"x"

    def sees(self, request: Any) -> Any:
        return repr(list(request.requestHeaders.getAllRawHeaders())).encode()

    def private(self, request: Any) -> Any:
        request.setHeader(b"cache-control", b"no-store")
        request.responseHeaders.setRawHeaders(b"set-cookie", [b"a=x", b"a=id; Max-Age=9"])
        return b"x"

    def etag(self, request: Any) -> Any:
        request.setETag(b'"a"')
        return b"x"

    def modified(self, request: Any) -> Any:
        request.setLastModified(1000)
        return b"x"

    def writes(self, request: Any) -> Any:
        request.write(b"one")
        request.write(b"two")
        request.finish()
        return NOT_DONE_YET

    def writes_and_returns(self, request: Any) -> Any:
        request.write(b"one")
        return b"two"

    def finishes(self, request: Any) -> Any:
        request.finish()
        return NOT_DONE_YET

    def redirects(self, request: Any) -> Any:
        request.redirect(b"/there")
        return b""

    def wraps(self, request: Any) -> Any:
        write = request.write
        request.write = lambda data: write(data.upper())
        return b"wrapped"

    def wraps_finish(self, request: Any) -> Any:
        finish = request.finish

        def finishing() -> None:
            self.told.append("finishes")
            finish()

        request.finish = finishing
        return b"x"

    def replaces_content(self, request: Any) -> Any:
        request.content = mock.Mock()
        self.told.append(request.content)
        return b"x"

    def changes_method(self, request: Any) -> Any:
        request.method = b"HEAD"
        return b"x"


PATHS = [
    *(b"/", b"/plain/a%20b/c", b"//", b"/plain?a=1&a=2", b"/empty", b"/long", b"/text"),
    *(b"/nothing", b"/raises", b"/none", b"/code/404", b"/code/204", b"/code/205", b"/code/304"),
    *(b"/code/101", b"/code/999", b"/header", b"/no_type", b"/other_type", b"/connection"),
    *(b"/two_lengths", b"/upgrade", b"/own_headers", b"/cookie", b"/etag", b"/modified"),
    *(b"/writes", b"/finishes", b"/redirects", b"/wraps", b"/wraps_finish", b"/replaces_content"),
    *(b"/changes_method", b"/gzip", b"/writes_and_returns", b"*"),
]
LINES = [
    b"GET %b HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
    b"GET %b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"BREW %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
]


class Served(OneConnection, SynchronousTestCase):
    """What the client of a new worker is served, and what the app is told."""

    def resource(self) -> Resource:
        self.pages = Pages()
        return self.pages

    def served(self, data: bytes) -> tuple[bytes, str]:
        """What the client receives, and what the app and the log have been told."""
        self.doCleanups()
        with warnings.catch_warnings():
            # Of Twisted's own pages for errors.
            warnings.simplefilter("ignore", DeprecationWarning)
            got = self.received(data)
        mocks = [str(each.mock_calls) for each in self.pages.told if isinstance(each, mock.Mock)]
        told = [str(each) for each in self.pages.told if not isinstance(each, mock.Mock)]
        logged = [str(failure.value) for failure in self.flushLoggedErrors()]
        rest = repr((told, mocks, logged, self.open()))
        return re.sub(rb"Date: [^\r]*|0x[0-9a-f]+", b"", got), rest

    def received(self, data: bytes) -> bytes:
        """What a client of a new worker receives."""
        self.setUp()
        self.begin(data)
        self.client.settimeout(0)
        self.reactor.settle()
        self.worker.app.site.displayTracebacks = False
        got = b""
        while True:
            try:
                more = self.client.recv(65536)
            except BlockingIOError:
                if not self.pending():
                    break
                self.reactor.settle()
                continue
            if not more:
                break
            got += more
            self.reactor.settle()
        return got

    def pending(self) -> bool:
        """Whether the worker has more to send."""
        return any(not each.transport.flushed() for each in self.worker.context.connections)


@unittest.skipIf(ENGINES is None, "the compiled core is not built")
class ItsExchange(Served):
    """One request of each kind, to the engine's exchange and to Python's."""

    def test_as_python_answers(self) -> None:
        for line in LINES:
            for path in PATHS:
                with self.subTest(line=line, path=path):
                    data = line % path
                    ours = self.served(data)
                    with mock.patch.object(WebApp, "compiled", return_value=None):
                        self.assertEqual(ours, self.served(data))
                    with python_core():
                        self.assertEqual(ours, self.served(data))
                    self.assertTrue(ours[0])

    def test_requests_of_the_apps_own_class(self) -> None:
        self.worker.app.site.requestFactory = Own
        self.begin(LINES[0] % b"/plain")
        while b"plain" not in self.got:
            self.take(1000)
        self.assertIn(b" 200 OK", self.got)

    def test_a_class_of_requests_that_is_changed_later(self) -> None:
        seen: list[Any] = []
        finish = LeanRequest.finish

        def finishing(request: Any) -> None:
            seen.append(request.path)
            finish(request)

        with mock.patch.object(LeanRequest, "finish", finishing):
            self.begin(LINES[0] % b"/plain")
            while b"plain" not in self.got:
                self.take(1000)
        self.assertEqual(seen, [b"/plain"])
