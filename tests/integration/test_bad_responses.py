"""What apps of every kind answer against HTTP's rules, as a strict client reads it (RFC 9112).

Whatever the app says: a client never reads the bytes of one response as another, finds no
field that nobody meant, and is not left to wait.
"""

import base64
import os
import re
import resource
import socket

import h11

from tests.apps.stickyd_bad_apps import BODY, CASES
from tests.support import shared
from tests.support.daemon import Reader, read_all, request, wait_for

CLIENT = "10.10.10.10"
SAYS = re.compile(
    "breaks HTTP|(longer|shorter) than|[A-Z][a-z]+Error|InvalidHeaderName|should return"
)
"""In the log of a response that is not sent as the app has said it."""

SENT = {"good", "streamed", "chunked"}
"""Nothing is wrong with these."""

NO_CONTENT = {name for name in CASES if name[:3] in ("204", "205", "304")}
CUT = {"long", "short"}
"""The head has gone out when the fault shows: the connection ends."""


class Answer:
    """One response, as h11 reads it."""

    def __init__(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


def answers(data: bytes, methods: list[str]) -> tuple[list[Answer], str]:
    """The responses in all that a connection has sent, and how it ends.

    :return: "kept" if another request could follow, "closed" if the last response says that
        nothing will, "cut" if a response is not whole, "broken" if the bytes are no HTTP.
    """
    client = h11.Connection(h11.CLIENT)
    client.receive_data(data)
    client.receive_data(b"")
    found: list[Answer] = []
    for method in methods:
        client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        client.send(h11.EndOfMessage())
        answer = None
        try:
            while not isinstance(event := client.next_event(), h11.EndOfMessage):
                if isinstance(event, h11.Response):
                    answer = Answer(event.status_code, dict(event.headers), b"")
                elif isinstance(event, h11.Data):
                    assert answer is not None
                    answer.body += bytes(event.data)
                elif isinstance(event, h11.ConnectionClosed):
                    return found, "kept"
        except h11.RemoteProtocolError as error:
            return found, "cut" if "closed" in str(error).lower() else f"broken: {error}"
        assert answer is not None
        found.append(answer)
        if client.their_state is not h11.DONE:
            left = client.trailing_data[0]
            return found, f"broken: {left!r} behind the last response" if left else "closed"
        client.start_next_cycle()
    left = client.trailing_data[0]
    return found, f"broken: {left!r} behind the last response" if left else "kept"


class Kind(shared.Shared):
    """The cases, for one kind of app."""

    # Cases that this kind of app can say in words that do no harm.
    harmless: frozenset[str] = frozenset()
    # Cases that it cannot express.
    without: frozenset[str] = frozenset()

    def all_of(self, name: str, method: str = "GET", version: str = "1.1") -> bytes:
        """What a connection sends for the case ``name`` and a good request behind it."""
        with self.daemon.connect() as sock:
            sock.settimeout(10)
            head = request(CLIENT, f"/{name}", method) + request(CLIENT, "/good")
            if version == "1.0":
                old = b"HTTP/1.0\r\nConnection: keep-alive"
                head = head.replace(b"HTTP/1.1", old)
            sock.sendall(head)
            sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    def said(self, before: int) -> None:
        """The log says something of what has come since it had ``before`` lines."""
        log = self.daemon.log
        wait_for(lambda: any(map(SAYS.search, log[before:])), 10, "a log line")

    @classmethod
    def judge(cls) -> None:
        """Apps have raised, and all of their tracebacks are here once the daemon has ended."""
        daemon = cls.daemons.get(cls)
        if daemon is not None:
            family = daemon.family()
            daemon.stop()
            daemon.log[:] = [line for line in daemon.log if "Traceback" not in line]
            left = [pid for pid in family if os.path.exists(f"/proc/{pid}")]
            assert not left, f"processes left behind: {left}"
        super().judge()

    def check(self, name: str, method: str = "GET") -> None:
        before = len(self.daemon.log)
        data = self.all_of(name, method)
        found, ends = answers(data, [method, "GET"])
        told = f"{name} {method}: {data!r}"
        self.assertNotIn("broken", ends, told)
        self.assertNotIn(b"\nx-injected", data.lower(), told)
        for answer in found:
            self.assertNotIn(b"x-injected", answer.headers, told)
        if name in SENT or name in self.harmless:
            self.assertEqual([a.status for a in found], [200, 200], told)
            self.assertEqual(found[0].body, b"" if method == "HEAD" else BODY, told)
        elif name in NO_CONTENT:
            self.assertEqual([a.status for a in found], [int(name[:3]), 200], told)
            self.assertEqual(found[0].body, b"", told)
            length = b"0" if name[:3] == "205" else None
            self.assertEqual(found[0].headers.get(b"content-length"), length, told)
            self.assertNotIn(b"transfer-encoding", found[0].headers, told)
        elif name in CUT and method == "GET":
            self.assertIn(ends, ("cut", "closed", "kept"), told)
            self.assertNotIn(BODY + b"HTTP", data, told)
            self.assertLessEqual(len(found), 1, told)
            if name == "long":
                self.assertNotIn(BODY, data, told)
            self.said(before)
        elif name not in CUT:
            self.assertEqual((found[0].status, ends), (500, self.end_of(found)), told)
            self.assertNotIn(BODY, data.partition(b"HTTP/1.1 200")[0], told)
            self.said(before)

    def end_of(self, found: list[Answer]) -> str:
        """A 500 of ours ends the connection; an app's own need not."""
        return "closed" if found[0].headers.get(b"connection") == b"close" else "kept"

    def test_cases(self) -> None:
        for name in CASES:
            if name not in self.without:
                with self.subTest(name):
                    self.check(name)

    def test_head(self) -> None:
        for name in CASES:
            if name not in self.without:
                with self.subTest(name):
                    self.check(name, "HEAD")

    def test_http_1_0_is_sent_no_chunks(self) -> None:
        for name in ("streamed", "chunked"):
            data = self.all_of(name, version="1.0")
            self.assertNotIn(b"transfer-encoding", data.lower(), data)
            self.assertTrue(data.endswith(b"\r\n\r\n" + BODY), data)
            self.assertEqual(data.lower().count(b"connection: close"), 1, data)
        for name in ("204-length", "304-body", "204-coding"):
            data = self.all_of(name, version="1.0")
            self.assertTrue(data.partition(b"\r\n\r\n")[2].startswith(b"HTTP/1."), data)

    def test_a_client_that_does_not_close_is_not_left_waiting(self) -> None:
        before = len(self.daemon.log)
        for name in ("value-nul", "chunked"):
            with self.daemon.connect() as sock:
                sock.settimeout(10)
                old = b"HTTP/1.0\r\nConnection: keep-alive"
                sock.sendall(request(CLIENT, f"/{name}").replace(b"HTTP/1.1", old))
                read_all(sock)
        self.said(before)


class TwistedWeb(Kind):
    options = ("--class", "stickyd_bad_apps:Page")
    # Twisted's `Headers` puts a blank in the place of a line end, encodes text as UTF-8, and
    # frames what has no Content-Length itself.
    harmless = frozenset(
        {"value-crlf", "value-lf", "value-euro", "coding-gzip", "coding-twice", "coding-list"}
    )

    def check(self, name: str, method: str = "GET") -> None:
        if method == "HEAD" and name.startswith("coding-"):
            # Twisted frames no response to HEAD: what the app says is judged as it is.
            self.harmless = TwistedWeb.harmless - {name}
            self.addCleanup(setattr, self, "harmless", TwistedWeb.harmless)
        super().check(name, method)
        self.harmless = TwistedWeb.harmless

    def test_what_is_not_bytes(self) -> None:
        for name in ("reason-text", "status-text", "body-text"):
            before = len(self.daemon.log)
            found, ends = answers(self.all_of(name), ["GET", "GET"])
            self.assertEqual((found[0].status, ends), (500, self.end_of(found)), name)
            self.said(before)

    def test_text_amid_a_body_leaves_no_broken_chunk(self) -> None:
        before = len(self.daemon.log)
        _, ends = answers(self.all_of("body-text-later"), ["GET", "GET"])
        self.assertNotIn("broken", ends)
        self.said(before)

    def test_a_producer_whose_content_is_not_sent_comes_to_its_end(self) -> None:
        for status, method in ((200, "HEAD"), (204, "GET"), (304, "GET"), (205, "GET")):
            with self.daemon.connect() as sock:
                sock.settimeout(10)
                sock.sendall(request(CLIENT, f"/pulled?status={status}", method))
                sock.sendall(request(CLIENT, "/good"))
                reader = Reader(sock)
                self.assertEqual(reader.response(method).status, status)
                self.assertEqual(reader.response().body, BODY)


class Wsgi(Kind):
    options = ("--wsgi", "stickyd_bad_apps:wsgi")

    def test_what_is_not_bytes(self) -> None:
        for name in ("body-text", "body-text-written", "status-word"):
            before = len(self.daemon.log)
            found, ends = answers(self.all_of(name), ["GET", "GET"])
            self.assertEqual(([a.status for a in found], ends), ([500, 200], "kept"), name)
            self.said(before)

    def upload(self, size: int) -> bytes:
        with self.daemon.connect() as sock:
            sock.settimeout(10)
            try:
                sock.sendall(request(CLIENT, "/digest", "POST", bytes(size)))
            except ConnectionError:
                self.fail("the upload was reset")
            sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    def test_a_body_that_cannot_be_stored_is_500(self) -> None:
        pids = list(self.daemon.pids().values())
        most = 1_000_000
        self.addCleanup(self.limit, pids, resource.RLIM_INFINITY)
        # The worker's files may grow no further, as on a full disk (setrlimit(2)).
        self.limit(pids, most)
        # What is over shows while the body arrives, or with its last bytes only.
        for size in (3 * most, most + 4000):
            before = len(self.daemon.log)
            found, ends = answers(self.upload(size), ["POST", "GET"])
            self.assertEqual(([a.status for a in found], ends), ([500], "closed"), size)
            wait_for(lambda n=before: "File too large" in "\n".join(self.daemon.log[n:]))
        self.limit(pids, resource.RLIM_INFINITY)
        self.assertEqual([a.status for a in answers(self.upload(3 * most), ["POST"])[0]], [200])
        wait_for(lambda: self.daemon.report()["workers"]["open"] == 0, what="nothing open")

    def limit(self, pids: list[int], size: int) -> None:
        for pid in pids:
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


class Asgi(Kind):
    options = ("--asgi", "stickyd_bad_apps:asgi")
    # The reason is the server's. What is in a value are bytes.
    harmless = frozenset({"reason-crlf", "reason-lf", "reason-nul", "value-euro"})

    def test_an_app_that_returns_without_a_response(self) -> None:
        before = len(self.daemon.log)
        found, ends = answers(self.all_of("returns"), ["GET", "GET"])
        self.assertEqual(([a.status for a in found], ends), ([500], "closed"))
        self.said(before)

    def handshake(self, name: str) -> bytes:
        key = base64.b64encode(os.urandom(16)).decode()
        with self.daemon.connect() as sock:
            sock.settimeout(10)
            sock.sendall(
                f"GET /{name} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            data = sock.recv(65536)
            if data.startswith(b"HTTP/1.1 101"):
                return data
            while part := sock.recv(65536):
                data += part
            return data

    def test_websocket_handshakes(self) -> None:
        for name in ("name", "value", "lengths"):
            for where in ("accepted", "denied"):
                before = len(self.daemon.log)
                data = self.handshake(f"{name}-{where}")
                self.assertTrue(data.startswith(b"HTTP/1.1 500 "), data)
                self.assertNotIn(b"injected", data.lower())
                self.said(before)
        for name in ("good-denied", "length-denied"):
            found, ends = answers(self.handshake(name), ["GET"])
            self.assertEqual((found[0].status, found[0].body, ends), (403, b"hello", "closed"))
        for name in ("good-accepted", "length-accepted"):
            data = self.handshake(name).lower()
            self.assertTrue(data.startswith(b"http/1.1 101"), data)
            self.assertNotIn(b"content-length", data)


# Only the concrete classes are tests.
del Kind
