"""What the head of a response may say: the rules, and each kind of request factory under them."""

import socket
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import Request as PlainRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from stickyd.http1 import response
from stickyd.http1.head_parser import Head, read_head
from stickyd.http1.limits import Limits
from stickyd.http1.response import (
    NO_CONTENT,
    BadResponse,
    check_field,
    response_head,
    rewritten,
)
from stickyd.ipc.fd_queue import make_inbox
from stickyd.ipc.frame import Frame, Kind
from stickyd.settings import Settings
from stickyd.shm.worker_stats import WorkerStats
from stickyd.worker.apps.loaders.web import WebApp
from stickyd.worker.connection.channel import Channel
from stickyd.worker.worker import Resources, Worker
from tests.support.stepping import SteppingReactor

CHUNKED = (b"Transfer-Encoding", [b"chunked"])


def asked(method: str = "GET", version: str = "1.1", more: str = "") -> Head:
    data = f"{method} / HTTP/{version}\r\nHost: x\r\n{more}\r\n".encode()
    head = read_head(data, Limits())
    assert isinstance(head, Head)
    return head


def told(
    *fields: tuple[bytes, list[bytes]],
    code: bytes = b"200",
    reason: bytes = b"OK",
    request: Head | None = None,
    last: bool = False,
    extra: bytes = b"",
) -> tuple[bytes, int | None, bool]:
    request = request or asked()
    return response_head(request, b"HTTP/1.1", code, reason, fields, last, extra)


def length(*values: bytes) -> tuple[bytes, list[bytes]]:
    return b"Content-Length", [*values]


class Rules(unittest.TestCase):
    def test_a_plain_response(self) -> None:
        data, left, last = told((b"X-A", [b"1", b"2"]), length(b"5"), extra=b"X-Worker: 1\r\n")
        lines = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 5\r\nX-Worker: 1\r\n\r\n"
        self.assertEqual((data, left, last), (lines, 5, False))

    def test_what_ends_a_response(self) -> None:
        old = asked(version="1.0", more="Connection: keep-alive\r\n")
        close = (b"Connection", [b"a", b"b , Close"])
        for fields, request, left, last, line in (
            ([CHUNKED], asked(), None, False, b"Transfer-Encoding: chunked"),
            ([CHUNKED], old, None, True, b"Connection: close"),
            ([], asked(), None, True, b"Connection: close"),
            ([], asked("HEAD"), NO_CONTENT, False, b"200 OK"),
            ([CHUNKED], asked("HEAD"), NO_CONTENT, False, b"200 OK"),
            ([length(b"5")], asked("HEAD"), NO_CONTENT, False, b"Content-Length: 5"),
            ([length(b"5")], old, 5, False, b"Connection: keep-alive"),
            ([length(b" 5\t")], asked(), 5, False, b"Content-Length: 5"),
            ([length(b"5"), close], asked(), 5, True, b"Connection: close"),
            ([length(b"5"), (b"Connection", [b"x-close"])], asked(), 5, False, b"200 OK"),
            ([length()], asked(), None, True, b"Connection: close"),
        ):
            data, *rest = told(*fields, request=request)
            self.assertEqual(rest, [left, last], (fields, request))
            self.assertIn(line + b"\r\n", data)
            self.assertEqual(b"Transfer-Encoding" in data, line.startswith(b"Transfer"), data)
            self.assertLessEqual(data.count(b"Connection"), 1)

    def test_statuses_without_content(self) -> None:
        for code in (b"204", b"205", b"304"):
            for field in (length(b"5"), CHUNKED, (b"X-A", [b"1"])):
                data, left, last = told(field, code=code)
                self.assertEqual((left, last), (NO_CONTENT, False))
                self.assertNotIn(b"Transfer", data)
                self.assertEqual(b"Content-Length: 0\r\n" in data, code == b"205")
                self.assertEqual(data.count(b"Content-Length"), int(code == b"205"))

    def test_switching_protocols_to_who_offers(self) -> None:
        offers = asked(more="Connection: upgrade\r\nUpgrade: other\r\n")
        fields = ((b"Upgrade", [b"other"]), (b"Connection", [b"Upgrade"]), length(b"5"))
        data, left, last = told(*fields, code=b"101", request=offers)
        self.assertEqual((left, last), (NO_CONTENT, True))
        self.assertIn(b"Upgrade: other\r\nConnection: Upgrade\r\n", data)
        self.assertNotIn(b"Content-Length", data)
        for some, request in ((fields, asked()), (fields[:1], offers), (fields[1:], offers)):
            with self.assertRaises(BadResponse):
                told(*some, code=b"101", request=request)

    def test_what_breaks_http(self) -> None:
        for code in (
            b"0",
            b"20",
            b"099",
            b"100",
            b"103",
            b"199",
            b"600",
            b"2000",
            b"2x0",
            b"",
            b"-1",
        ):
            with self.assertRaisesRegex(BadResponse, "status"):
                told(length(b"5"), code=code)
        for reason in (b"a\rb", b"a\nb", b"a\0b", b"a\x7fb", b"\x1b[m", "text"):
            with self.assertRaisesRegex(BadResponse, "reason"):
                told(length(b"5"), reason=reason)  # type: ignore[arg-type]
        for name in (
            b"",
            b" X",
            b"X ",
            b"X Y",
            b"X:",
            b"X\r\nY",
            b"X\0",
            b"\xe9",
            b"(X)",
            b"X\x7f",
        ):
            for field in ((name, [b"1"]),):
                with self.assertRaisesRegex(BadResponse, "name of a field"):
                    told(length(b"5"), field)
        for name in (b"X", b"Upgrade", b"Set-Cookie"):
            for value in (b"a\rb", b"a\nb", b"a\r\nX: 1", b"\0", b"\x7f", b"\x01", b"a\r\n b"):
                with self.assertRaisesRegex(BadResponse, "control character"):
                    told(length(b"5"), (name, [value]))
        for value in (
            b"",
            b"abc",
            b"+5",
            b"-5",
            b"5, 5",
            b"5.0",
            b"0x5",
            b"1_0",
            b"\xb2",
            b"9" * 19,
        ):
            with self.assertRaisesRegex(BadResponse, "Content-Length"):
                told(length(value))
        for fields in (
            [length(b"5", b"5")],
            [length(b"5"), (b"content-length", [b"5"])],
            [length(b"5"), CHUNKED],
            [CHUNKED, CHUNKED],
            [(b"Transfer-Encoding", [b"gzip"])],
            [(b"Transfer-Encoding", [b"gzip, chunked"])],
            [(b"Transfer-Encoding", [b""])],
        ):
            for request in (asked(), asked("HEAD"), asked(version="1.0")):
                for code in (b"200", b"204", b"304"):
                    with self.assertRaises(BadResponse):
                        told(*fields, code=code, request=request)

    def test_what_is_legal_if_odd(self) -> None:
        for reason in (b"", b"a\tb", b"\xe9", b" "):
            self.assertIn(b" 200 " + reason + b"\r\n", told(length(b"5"), reason=reason)[0])
        for value in (b"", b"\t", b"\xff", b"a:b", b'"', b" a "):
            self.assertIn(b"X_y: " + value + b"\r\n", told(length(b"5"), (b"X_y", [value]))[0])

    def test_what_is_remembered_is_bounded_and_changes_nothing(self) -> None:
        for n in range(3000):
            field = (b"X-%d" % n, [b"v" * (n % 200)])
            first = told(length(b"1"), field, reason=b"r%d" % n)
            self.assertEqual(first, told(length(b"1"), field, reason=b"r%d" % n))
            self.assertIn(b"X-%d: " % n + field[1][0] + b"\r\n", first[0])
            self.assertEqual(told(length(b"%d" % n))[1], n)
            written = b"HTTP/1.1 200 OK\r\nx: %d\r\ncontent-length: 1\r\n\r\n" % n
            self.assertEqual(rewritten(asked(), written, False), (written, None, False))
        for memory in (
            response._lines,
            response._kinds,
            response._status_lines,
            response._plain_heads,
            response._lengths,
        ):
            self.assertLessEqual(len(memory), 1024)
            self.assertGreater(len(memory), 0)

    def test_a_field_alone(self) -> None:
        check_field(b"X-A", b"a")
        for name, value in ((b"X\r\nY", b"a"), (b"X", b"a\r\nY: b"), (b"", b"a")):
            with self.assertRaises(BadResponse):
                check_field(name, value)


WORDS = st.sampled_from([b"a", b"", b"\xe9", b"a\tb", b"\0", b"x\x7f"])
WRITTEN = st.tuples(
    st.sampled_from(
        [
            b"x-a",
            b"date",
            b"content-length",
            b"transfer-encoding",
            b"Content-Length",
            b"x a",
            b"\xe9",
        ]
    ),
    st.one_of(WORDS, st.sampled_from([b"5", b"chunked", b"Chunked", b"0", b"-1", b"9" * 18])),
)
CODES = st.sampled_from([b"200", b"404", b"204", b"205", b"304", b"100", b"600", b"500"])


class Rewritten(unittest.TestCase):
    @given(CODES, st.lists(WRITTEN, max_size=5), st.sampled_from(["GET", "HEAD"]), st.booleans())
    def test_the_short_way_leads_to_the_same_verdict(
        self, code: bytes, fields: list[tuple[bytes, bytes]], method: str, worker: bool
    ) -> None:
        extra = b"x-worker: 1\r\n" if worker else b""
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        written = b"HTTP/1.1 %b Some\r\n%b\r\n" % (code, lines)
        request = asked(method)
        stripped = [(name, [value.strip(b" \t")]) for name, value in fields]

        def outcome(call: Any) -> Any:
            """Lines in any order and case, what follows, and the end; or that it is refused."""
            try:
                data, _, last = call()
            except BadResponse:
                return None
            return sorted(data.lower().split(b"\r\n")), last

        slow = outcome(
            lambda: response_head(request, b"HTTP/1.1", code, b"Some", stripped, False, extra)
        )
        quick = outcome(lambda: rewritten(request, written, False, extra))
        if method == "HEAD" and slow is not None and quick is not None:
            # Which may tell the coding of a GET, or not.
            coding = b"transfer-encoding: chunked"
            slow, quick = (([li for li in x[0] if li != coding], x[1]) for x in (slow, quick))
        self.assertEqual(slow, quick)

    def test_what_follows_the_head(self) -> None:
        data = b"HTTP/1.1 403 No\r\nDate: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
        head, left, last = rewritten(asked(), data, True)
        self.assertTrue(head.endswith(b"\r\nConnection: close\r\n\r\nno"), head)
        self.assertEqual((left, last), (2, True))
        data = data.replace(b"403 No", b"204 No")
        head, left, last = rewritten(asked(), data, True)
        self.assertTrue(head.endswith(b"\r\n\r\n"), head)
        self.assertEqual(left, NO_CONTENT)


class Says(Resource):
    """Answers as ``answer`` does."""

    isLeaf = True

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def render(self, request: Any) -> Any:
        return self.answer(request)


class OfTheirOwn(Request):
    """A request factory of a site's own."""


class Bare(PlainRequest):
    """One that knows no resources."""

    def process(self) -> None:
        self.setResponseCode(200, b"OK\r\nX-Injected: 1")
        self.write(b"hello")
        self.finish()


class FactoryOfTheirOwn(SynchronousTestCase):
    def exchange(self, site: Site, data: bytes) -> bytes:
        """What a worker with this site sends to a client that sends ``data``."""
        reactor = SteppingReactor()
        sender, receiver = make_inbox()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        app = WebApp(site)
        worker = Worker(
            reactor,
            Settings(workers=1),
            app,
            Resources(1, receiver, {1: sender}, WorkerStats()),
        )
        frame = Frame(Kind.PLACED, 1, ("127.0.0.1", 4), ("127.0.0.1", 3), 0, 0, 0, 0, b"", None)
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        worker.adoption.begin(Channel(worker.context, app, frame, theirs.detach()))
        reactor.settle()
        ours.settimeout(10)
        got = b""
        while part := ours.recv(65536):
            got += part
        ours.close()
        worker.context.poller.close()
        for end in (sender, receiver):
            end.close()
        return got

    def site(self, answer: Any, factory: Any = OfTheirOwn) -> Site:
        site = Site(Says(answer))
        site.requestFactory = factory
        return site

    def test_it_says_no_more_than_ours(self) -> None:
        get = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"

        def injects(request: Any) -> bytes:
            request.setResponseCode(200, b"OK\r\nX-Injected: 1")
            return b"hello"

        def long(request: Any) -> Any:
            request.setHeader("Content-Length", "3")
            request.write(b"hello")
            request.finish()
            return NOT_DONE_YET

        for site in (self.site(injects), self.site(injects, Bare)):
            got = self.exchange(site, get * 2)
            self.assertTrue(got.startswith(b"HTTP/1.1 500 "), got)
            self.assertEqual(got.count(b"HTTP/1.1"), 1, got)
            self.assertNotIn(b"\r\nX-Injected", got)
        got = self.exchange(self.site(long), get * 2)
        self.assertTrue(got.endswith(b"\r\n\r\nhel"), got)

    def test_one_that_fails_is_500(self) -> None:
        def failing(*arguments: Any) -> Any:
            raise ValueError("a factory's fault")

        for body in (b"", b"body"):
            data = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            got = self.exchange(self.site(lambda request: b"", failing), data)
            self.assertTrue(got.startswith(b"HTTP/1.1 500 "), got)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_file_for_the_body_that_cannot_be_made_is_500(self) -> None:
        class NoFile(OfTheirOwn):
            def gotLength(self, length: int | None) -> None:
                raise FileNotFoundError(2, "No usable temporary directory found")

        data = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
        got = self.exchange(self.site(lambda request: b"", NoFile), data)
        self.assertTrue(got.startswith(b"HTTP/1.1 500 "), got)
        self.assertEqual(len(self.flushLoggedErrors(FileNotFoundError)), 1)

    def test_a_refusal_of_head_has_no_content(self) -> None:
        def failing(request: Any) -> Any:
            request.setResponseCode(200, b"\0")
            return b"hello"

        got = self.exchange(self.site(failing), b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertTrue(got.startswith(b"HTTP/1.1 500 "), got)
        self.assertTrue(got.endswith(b"\r\n\r\n"), got)
