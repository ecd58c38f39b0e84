import contextlib
import io
import os
import re
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from stickyd.cli import main
from stickyd.verify.answer import Answer, WorkerName, shown
from stickyd.verify.confidence import wilson
from stickyd.verify.judging import Kind, Mix, Row, Status, conclude, judge_rows
from stickyd.verify.plan import ROWS, Question, random_clients, random_mix
from stickyd.verify.table import mix_lines, percent, row_lines, table
from tests.daemon import ROOT, Daemon, free_port

SEED = ROOT / "tests" / "seed"
VERIFY = [sys.executable, "-W", "error", "-m", "stickyd.cli", "verify"]
FEW = ["--requests", "50", "--clients", "9"]


class ConfidenceTests(SynchronousTestCase):
    def test_published_values(self) -> None:
        # Worked by hand from Wilson's formula, z = 1.95996.
        for hits, asked, low, high in (
            (0, 10, 0.0, 0.2775),
            (10, 10, 0.7225, 1.0),
            (5, 10, 0.2366, 0.7634),
            (1, 10, 0.0179, 0.4042),
            (0, 400, 0.0, 0.0095),
            (0, 0, 0.0, 1.0),
        ):
            self.assertEqual(tuple(round(end, 4) for end in wilson(hits, asked)), (low, high))

    def test_no_rate(self) -> None:
        for hits, asked in ((-1, 3), (4, 3), (1, 0)):
            self.assertRaises(ValueError, wilson, hits, asked)

    @given(st.integers(0, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_holds_the_rate_and_is_symmetric(self, rate: tuple[int, int]) -> None:
        hits, asked = rate
        low, high = wilson(hits, asked)
        assert 0 <= low <= (hits / asked if asked else 0.5) <= high <= 1
        other_low, other_high = wilson(asked - hits, asked)
        assert abs(other_low - (1 - high)) < 1e-9
        assert abs(other_high - (1 - low)) < 1e-9


class PlanTests(SynchronousTestCase):
    def test_the_verification_s_own_bytes(self) -> None:
        question = Question()
        for number, client in enumerate(("10.10.10.10", "10.10.12.11"), 1):
            self.assertEqual(question.request(client, b"\n"), (SEED / f"msg{number}").read_bytes())
            self.assertEqual(question.request(client), (SEED / f"msg{number}.crlf").read_bytes())
        self.assertEqual(ROWS["S4"], tuple(reversed(ROWS["S3"])))

    def test_forwarded_has_its_own_syntax(self) -> None:
        request = Question("/a?b", "h:1", "Forwarded").request("198.18.0.9")
        self.assertIn(b"GET /a?b HTTP/1.1\r\nHost: h:1\r\nForwarded: for=198.18.0.9\r\n", request)

    @given(st.integers(1, 300), st.integers(2, 20), st.integers(1, 9), st.integers(0, 2**32))
    def test_mix(self, requests: int, clients: int, connections: int, seed: int) -> None:
        steps = list(random_mix(requests, clients, connections, Random(seed)))
        assert steps == list(random_mix(requests, clients, connections, Random(seed)))
        assert len(steps) == requests
        last: dict[int, int] = {}
        for step in steps:
            assert 0 <= step.connection < connections
            assert 0 <= step.client < clients
            assert last.get(step.connection) != step.client
            last[step.connection] = step.client

    def test_one_client_repeats(self) -> None:
        self.assertEqual({s.client for s in random_mix(9, 1, 2, Random(1))}, {0})

    @given(st.integers(1, 500), st.integers())
    def test_clients_differ(self, count: int, seed: int) -> None:
        clients = random_clients(count, Random(seed))
        assert len(set(clients)) == count
        assert all(re.match(r"198\.1[89]\.", client) for client in clients)


def _answer(head: bytes = b"", body: bytes = b"", **headers: str) -> Answer:
    fields = tuple((n.replace("_", "-").encode(), v.encode()) for n, v in headers.items())
    return Answer(200, head, fields, body)


class WorkerNameTests(SynchronousTestCase):
    def test_where_it_is_found(self) -> None:
        page = b"Hello World! From worker 2 x-forwarded-for=- with pid: 17 \n"
        for name, answer, expected in (
            (WorkerName(), _answer(body=page), "2"),
            (WorkerName(), _answer(body=b"hello"), None),
            (WorkerName(re.compile(rb"pid: (\d+)")), _answer(body=page), "17"),
            (WorkerName(re.compile(rb"Via: (\S+)")), _answer(b"Via: b\r\n\r\n", b"-"), "b"),
            (WorkerName(re.compile(rb"a(b)?")), _answer(body=b"a"), None),
            (WorkerName(header="x-worker"), _answer(X_Worker=" 3 "), "3"),
            (WorkerName(header="X-Worker"), _answer(body=page), None),
            (WorkerName(header="X-Worker"), _answer(X_Worker=""), None),
        ):
            self.assertEqual(name.find(answer), expected)

    @given(st.binary(min_size=1), st.binary(min_size=1))
    def test_printable_and_still_distinct(self, one: bytes, two: bytes) -> None:
        name = WorkerName(re.compile(b"(?s)(.+)"))
        first, second = name.find(_answer(body=one)), name.find(_answer(body=two))
        assert first is not None
        assert first.isascii()
        assert first.isprintable()
        assert (first == second) == (one == two)

    def test_shown(self) -> None:
        self.assertEqual(shown("7"), "7")
        self.assertEqual(len(shown("x" * 500)), 40)
        self.assertIn("worker", str(WorkerName()))
        self.assertEqual(str(WorkerName(header="X-W")), "header X-W")


def _rows(seen: str, ending: str = "CRLF") -> list[Row]:
    parts = seen.split()
    return [Row(name, ending, tuple(part)) for name, part in zip(ROWS, parts, strict=True)]


class JudgingTests(SynchronousTestCase):
    def kinds(self, *judged: Any) -> list[str]:
        return [j.kind.name for j in judged]

    def test_rows(self) -> None:
        for seen, kinds in (
            ("1 2 12 21", "REFERENCE REFERENCE RIGHT RIGHT"),
            ("1 2 11 22", "REFERENCE REFERENCE WRONG WRONG"),
            ("1 2 12 22", "REFERENCE REFERENCE RIGHT WRONG"),
            ("1 1 11 11", "REFERENCE REFERENCE PROVES_NOTHING PROVES_NOTHING"),
            ("1 1 12 11", "REFERENCE REFERENCE WRONG PROVES_NOTHING"),
        ):
            self.assertEqual(self.kinds(*judge_rows(_rows(seen))), kinds.split())

    def test_line_endings_share_homes(self) -> None:
        bare = judge_rows(_rows("1 2 12 21", "LF"), reference=_rows("1 1 11 11"))
        self.assertEqual(self.kinds(*bare), ["RIGHT", "WRONG", "RIGHT", "RIGHT"])
        self.assertIn("than with CRLF", bare[1].verdict)
        self.assertEqual(bare[1].expected, ("1",))

    def test_missing_rows(self) -> None:
        rows = _rows("1 2 12 21")
        rows[1] = Row("S2", "CRLF", (), "no answer")
        judged = judge_rows(rows)
        self.assertEqual(
            self.kinds(*judged), ["REFERENCE", "NOT_SERVED", "PROVES_NOTHING", "PROVES_NOTHING"]
        )
        status, verdict = conclude(judged, Mix(seen=Counter("12")))
        self.assertEqual((status, verdict), (Status.CANNOT_TELL, "cannot tell: no answer"))
        refused = judge_rows([Row(name, "LF", (), "answered 400") for name in ROWS], rows)
        self.assertEqual({j.verdict for j in refused}, {"not served (LF): answered 400"})

    def test_conclusions(self) -> None:
        good = Mix((("1", "1"), ("2", "2")), 100, 0, 40, Counter("12"))
        one = Mix((("1", "1"),), 100, 0, 0, Counter("1"))
        for seen, mix, status, text in (
            ("1 2 12 21", good, Status.STICKY, "sticky: every"),
            ("1 1 11 11", good, Status.STICKY, "sticky: every"),
            ("1 2 11 22", good, Status.MISROUTED, "rows S3 CRLF, S4 CRLF; the mix found none"),
            ("1 2 12 22", good, Status.MISROUTED, "worker: row S4 CRLF"),
            ("1 2 12 21", attrs.evolve(good, misrouted=3), Status.MISROUTED, "3 of 100 requests"),
            ("1 2 12 21", attrs.evolve(good, tested=0), Status.STICKY, "not put to the test"),
            ("1 2 12 21", attrs.evolve(good, problem="gone"), Status.CANNOT_TELL, "gone"),
            ("1 1 11 11", one, Status.CANNOT_TELL, "one worker"),
            (
                "1 2 12 21",
                attrs.evolve(good, homes=(("1", "2"), ("2", "2"))),
                Status.MISROUTED,
                "not sticky at all: 1 of 2 clients",
            ),
        ):
            found, verdict = conclude(judge_rows(_rows(seen)), mix)
            self.assertEqual(found, status, verdict)
            self.assertIn(text, verdict)

    @given(st.lists(st.text("123", min_size=1, max_size=1), min_size=6, max_size=6))
    def test_wrong_only_where_a_home_is_missed(self, w: list[str]) -> None:
        rows = _rows(f"{w[0]} {w[1]} {w[2]}{w[3]} {w[4]}{w[5]}")
        judged = judge_rows(rows)
        wrong = [j.row.name for j in judged if j.kind is Kind.WRONG]
        assert ("S3" in wrong) == (w[2:4] != [w[0], w[1]])
        assert ("S4" in wrong) == (w[4:6] != [w[1], w[0]])


class TableTests(SynchronousTestCase):
    def test_rows(self) -> None:
        judged = judge_rows(_rows("1 2 11 22"))
        self.assertEqual(
            list(row_lines(judged)),
            [
                "row      expected  seen  verdict",
                "S1 CRLF  -         1     home",
                "S2 CRLF  -         2     home",
                "S3 CRLF  1 2       1 1   MISROUTED: 1 of 2",
                "S4 CRLF  2 1       2 2   MISROUTED: 1 of 2",
            ],
        )

    def test_mix(self) -> None:
        seen = Counter({str(n): 1 for n in range(12)})
        lines = list(mix_lines(Mix((), 200, 50, 80, seen, "gone"), 40, 8, 7))
        self.assertIn("random seed 7", lines[0])
        text = "\n".join(lines)
        self.assertIn("50 of 200 = 25.0% (95 % confidence: 19.5% to 31.4%)", text)
        self.assertIn("and 2 more", text)
        self.assertIn("ended early", text)
        self.assertNotIn("misrouted", "\n".join(mix_lines(Mix(), 40, 8, 7)))

    def test_percent(self) -> None:
        for rate, text in ((0, "0.0%"), (0.00019, "0.0190%"), (0.001, "0.1%"), (1, "100.0%")):
            self.assertEqual(percent(rate), text)

    @given(st.lists(st.tuples(*[st.text("ab", max_size=9)] * 3), min_size=1))
    def test_columns_line_up(self, rows: list[tuple[str, str, str]]) -> None:
        width = max(len(row[0]) for row in rows)
        for row, line in zip(rows, table(rows), strict=True):
            assert line == line.rstrip()
            assert line[width + 2 :].startswith(row[1].rstrip())


Serve = Callable[[socket.socket, int], None]


class FakeServer:
    """Calls ``serve(connection, number)`` in a thread of its own for each connection."""

    def __init__(self, serve: Serve, context: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._context = context
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def __enter__(self) -> "FakeServer":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        return self

    def _accept(self) -> None:
        for number in range(10**6):
            sock, _ = self._listener.accept()
            if self._stopping.is_set():
                sock.close()
                return
            thread = threading.Thread(target=self._one, args=(sock, number))
            self._threads.append(thread)
            thread.start()

    def _one(self, sock: socket.socket, number: int) -> None:
        # A client may leave at any point; verify's own answer is what is looked at.
        with contextlib.suppress(OSError), sock:
            sock.settimeout(10)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                with self._context.wrap_socket(sock, server_side=True) as secure:
                    self._serve(secure, number)
            else:
                self._serve(sock, number)

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._accepting.join(15)
        self._listener.close()
        for thread in self._threads:
            thread.join(15)


def requests_of(sock: socket.socket) -> Iterator[int]:
    """The last number of each request's client address, until the client ends."""
    held = b""
    while True:
        while b"\r\n\r\n" in held:
            head, _, held = held.partition(b"\r\n\r\n")
            match = re.search(rb"X-Forwarded-For: \d+\.\d+\.(\d+)\.(\d+)", head)
            assert match
            yield int(match[1]) + int(match[2])
        if b"\n\n" in held:
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return
        data = sock.recv(65536)
        if not data:
            return
        held += data


def reply(worker: object, *fields: str) -> bytes:
    body = f"From worker {worker} here"
    return "\r\n".join(
        ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *fields, "", body]
    ).encode()


def sticky(sock: socket.socket, number: int) -> None:
    for client in requests_of(sock):
        sock.sendall(reply(client % 2))


def closing(sock: socket.socket, number: int) -> None:
    for client in requests_of(sock):
        sock.sendall(reply(client % 2, "Connection: close"))
        return


def vanishing(sock: socket.socket, number: int) -> None:
    for client in requests_of(sock):
        sock.sendall(reply(client % 2))
        return


def by_turns(sock: socket.socket, number: int) -> None:
    for _ in requests_of(sock):
        sock.sendall(reply(number % 2))


def to_the_end(sock: socket.socket, number: int) -> None:
    for client in requests_of(sock):
        sock.sendall(b"HTTP/1.0 200 OK\r\nX-Worker: %d\r\n\r\nbody" % (client % 2))
        return


def impatient(sock: socket.socket, number: int) -> None:
    """Takes a half-close for a client that left."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    sock.recv(1, socket.MSG_PEEK)
    # Later connections are those of the mix, which are never half-closed: no need to wait.
    if number >= 10 or not poll.poll(200):
        sticky(sock, number)


def ran(*arguments: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of ``stickyd verify``."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["verify", *arguments])
    return status, out.getvalue(), err.getvalue()


class FakeServerTests(SynchronousTestCase):
    def verify(self, serve: Serve, *options: str) -> tuple[int, str, str]:
        with FakeServer(serve) as server:
            return ran(f"http://127.0.0.1:{server.port}/", "--timeout", "2", *options)

    def no_answer(self, serve: Serve, text: str, timeout: str = "1") -> None:
        status, out, err = self.verify(serve, "--timeout", timeout)
        self.assertEqual((status, out), (3, ""), err)
        self.assertRegex(err, text)
        self.assertEqual(err.count("\n"), 1, err)

    def test_sticky(self) -> None:
        status, out, err = self.verify(sticky)
        self.assertEqual((status, err), (0, ""), out)
        self.assertIn("S3 CRLF  0 1       0 1   right", out)
        self.assertIn("not served (LF): answered 400", out)
        self.assertIn("misrouted               0 of 400", out)
        self.assertIn("connections closed by server: 0", out)

    def test_the_seed_decides_the_mix(self) -> None:
        outs = [self.verify(sticky, "--random-seed", seed)[1] for seed in ("5", "5", "6")]
        bodies = [out.partition("\n")[2] for out in outs]
        self.assertEqual(bodies[0], bodies[1])
        self.assertNotEqual(bodies[0], bodies[2])

    def test_server_that_closes(self) -> None:
        for serve in (closing, vanishing):
            status, out, _ = self.verify(serve, *FEW)
            self.assertEqual(status, 0, out)
            self.assertIn("the server closes: 2 connections", out)
            closed = re.search(r"connections closed by server: (\d+)", out)
            assert closed
            self.assertGreater(int(closed[1]), 40)
            self.assertIn("not put to the test", out)

    def test_body_that_ends_with_the_connection(self) -> None:
        status, out, _ = self.verify(to_the_end, "--worker-header", "X-Worker", *FEW)
        self.assertEqual(status, 0, out)

    def test_not_sticky_at_all(self) -> None:
        status, out, _ = self.verify(by_turns)
        self.assertEqual(status, 1)
        self.assertIn("not sticky at all: 40 of 40", out)

    def test_half_close_taken_for_the_end(self) -> None:
        status, out, _ = self.verify(impatient, *FEW)
        self.assertEqual(status, 0, out)
        self.assertIn("right (without half-close)", out)

    def test_stops_answering_in_the_mix(self) -> None:
        def limited(sock: socket.socket, number: int) -> None:
            if number < 30:
                sticky(sock, number)

        status, out, _ = self.verify(limited)
        self.assertEqual(status, 3, out)
        # Closed with the request unread, so it may look either way.
        self.assertRegex(out, "verdict: cannot tell: the (connection broke|server closed)")

    def test_garbage(self) -> None:
        def garbage(data: bytes) -> Serve:
            def serve(sock: socket.socket, number: int) -> None:
                sock.recv(65536)
                sock.sendall(data)
                sock.recv(65536)
                sock.recv(1)

            return serve

        self.no_answer(garbage(b"220 mail.example ESMTP\r\n"), r"not HTTP: it begins b'220 mail")
        self.no_answer(garbage(b"\x15\x03\x01\x00\x02\x02\x0a"), r"not HTTP: it begins b'\\x15")
        self.no_answer(garbage(b"HTTP/1.1 abc\r\n\r\n"), r"not HTTP")
        self.no_answer(garbage(b"HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n"), r"not HTTP")
        self.no_answer(
            garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), r"no whole answer"
        )
        self.no_answer(garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), r"no worker name")
        self.no_answer(
            garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            r"not HTTP",
        )

    def test_silent(self) -> None:
        def silent(sock: socket.socket, number: int) -> None:
            while sock.recv(65536):
                pass
            sock.recv(1)

        def slow(sock: socket.socket, number: int) -> None:
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100:
                sock.sendall(bytes([byte]))
                # A server that trickles; only time tells it from one that answers.
                threading.Event().wait(0.02)

        def ends(sock: socket.socket, number: int) -> None:
            sock.recv(65536)

        def half_way(sock: socket.socket, number: int) -> None:
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 200 OK\r\nConte")

        def keeps(sock: socket.socket, number: int) -> None:
            sock.recv(65536)
            threading.Event().wait(0.5)

        self.no_answer(keeps, "no answer within 0.3 s", "0.3")
        self.no_answer(slow, "no whole answer within 0.3 s", "0.3")
        self.no_answer(ends, "without an answer")
        self.no_answer(half_way, "in the middle of an answer")
        self.no_answer(silent, "no answer within 0.3 s", "0.3")

    def test_reader_that_leaves(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with FakeServer(sticky) as server:
            done = subprocess.run(
                [*VERIFY, f"http://127.0.0.1:{server.port}", "--requests", "9"],
                stdout=writing,
                stderr=subprocess.PIPE,
                cwd=ROOT,
                timeout=30,
            )
        os.close(writing)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


class Authority:
    """A private CA, and certificates from it."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed("stickyd test CA", self._key, None)
        self.cafile = str(self._directory / "ca.pem")
        Path(self.cafile).write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _signed(
        self, name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        own = self._key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(own), False)
        )
        if issuer:
            alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
            builder = builder.add_extension(alternative, False)
        else:
            others = "content_commitment data_encipherment key_agreement key_encipherment"
            others += " digital_signature encipher_only decipher_only"
            usage = dict.fromkeys(others.split(), False)
            signing = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage)
            builder = builder.add_extension(signing, True)
        return builder.sign(self._key, hashes.SHA256())

    def context(self, name: str) -> ssl.SSLContext:
        """What a server called ``name`` needs."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key, self.certificate)
        path = self._directory / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


class TlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.authority = Authority(directory.name)

    def verify(self, name: str, *options: str, host: str = "localhost") -> tuple[int, str, str]:
        with FakeServer(sticky, self.authority.context(name)) as server:
            return ran(f"https://{host}:{server.port}/", *options)

    def test_good_name(self) -> None:
        status, out, err = self.verify("localhost", "--cafile", self.authority.cafile, *FEW)
        self.assertEqual((status, err), (0, ""), out)
        self.assertIn("S4 CRLF  1 0       1 0   right", out)

    def test_wrong_name(self) -> None:
        for name, host in (("other.example", "localhost"), ("localhost", "127.0.0.1")):
            status, out, err = self.verify(name, "--cafile", self.authority.cafile, host=host)
            self.assertEqual((status, out), (3, ""))
            self.assertRegex(
                err,
                rf"\Astickyd verify: https://{host}:\d+/: TLS: "
                rf"the server's certificate does not name {host}\n\Z",
            )

    def test_unknown_authority(self) -> None:
        status, out, err = self.verify("localhost")
        self.assertEqual((status, out), (3, ""))
        self.assertRegex(err, r"\A[^\n]*TLS: certificate refused: unable to get [^\n]*\n\Z")

    def test_no_tls_there(self) -> None:
        with FakeServer(sticky) as server:
            status, out, err = ran(f"https://localhost:{server.port}/", "--timeout", "0.5")
        self.assertEqual((status, out), (3, ""))
        self.assertRegex(err, r"\A[^\n]*: TLS: [^\n]*\n\Z")

    def test_plain_http_to_a_tls_port(self) -> None:
        with FakeServer(sticky, self.authority.context("localhost")) as server:
            status, out, err = ran(f"http://localhost:{server.port}/", "--timeout", "0.5")
        self.assertEqual((status, out), (3, ""))
        self.assertEqual(err.count("\n"), 1)


class DaemonTests(SynchronousTestCase):
    def verify(self, *options: str, workers: int = 2) -> tuple[int, str, str]:
        with Daemon("--seed", "1", *options, workers=workers) as daemon:
            done = subprocess.run(
                [*VERIFY, f"http://127.0.0.1:{daemon.port}/"],
                capture_output=True,
                text=True,
                cwd=ROOT,
                timeout=60,
            )
        return done.returncode, done.stdout, done.stderr

    def test_scope_connection(self) -> None:
        status, out, err = self.verify("--affinity-scope", "connection")
        self.assertEqual((status, err), (1, ""), out)
        for ending in ("CRLF", "LF"):
            self.assertRegex(out, rf"S3 {ending} +1 2 +1 1 +MISROUTED: 1 of 2\n")
            self.assertRegex(out, rf"S4 {ending} +2 1 +2 2 +MISROUTED: 1 of 2\n")
        self.assertIn("clients with two homes  0 of 40", out)

    def test_scope_request(self) -> None:
        status, out, err = self.verify("--affinity-scope", "request")
        self.assertEqual((status, err), (0, ""), out)
        for ending in ("CRLF", "LF"):
            self.assertRegex(out, rf"S3 {ending} +1 2 +1 2 +right\n")
            self.assertRegex(out, rf"S4 {ending} +2 1 +2 1 +right\n")
        self.assertIn("verdict: sticky: every request", out)

    def test_one_worker(self) -> None:
        status, out, err = self.verify("--affinity-scope", "request", workers=1)
        self.assertEqual((status, err), (3, ""), out)
        self.assertIn("proves nothing: both clients have the same home", out)
        self.assertIn("verdict: inconclusive: the server has one worker", out)


class CommandLineTests(SynchronousTestCase):
    def test_nobody_listens(self) -> None:
        status, out, err = ran(f"http://127.0.0.1:{free_port()}/")
        self.assertEqual((status, out), (3, ""))
        self.assertRegex(err, r"\A[^\n]*: cannot connect: Connection refused\n\Z")

    def test_no_such_host(self) -> None:
        status, out, err = ran("http://host.invalid/")
        self.assertEqual((status, out), (3, ""))
        self.assertRegex(err, r"\A[^\n]*cannot find the host: [^\n]*\n\Z")

    def test_wrong_usage(self) -> None:
        url = "http://localhost/"
        for arguments, text in (
            ([], "which URL"),
            ([url, url], "which URL"),
            (["localhost:3000"], "not an http"),
            (["ftp://localhost/"], "not an http"),
            (["http:///x"], "has no host"),
            (["http://me:secret@localhost/"], "password"),
            (["http://localhost:99999/"], "[Pp]ort"),
            (["http://[::1/"], "IPv6"),
            (["http://a..b/"], "label"),
            ([url, "--requests", "many"], "--requests: 'many' is not a whole number"),
            ([url, "--requests", "0"], "--requests"),
            ([url, "--clients", "1"], "--clients"),
            ([url, "--connections", "-1"], "--connections"),
            ([url, "--timeout", "nan"], "--timeout"),
            ([url, "--timeout", "x"], "--timeout"),
            ([url, "--random-seed", "x"], "--random-seed"),
            ([url, "--pattern", "("], "--pattern"),
            ([url, "--pattern", "worker"], "no group"),
            ([url, "--pattern", "(.)", "--worker-header", "X"], "not both"),
            ([url, "--worker-header", "a b"], "not a header name"),
            ([url, "--client-header", "Host"], "own meaning"),
            ([url, "--path", "x"], "--path"),
            ([url, "--path", "/a b"], "--path"),
            ([url, "--path", "/\r\nX: y"], "--path"),
            ([url, "--host", "a\nb"], "--host"),
            ([url, "--cafile", "/nowhere"], "--cafile"),
            (["https://localhost/", "--cafile", "/nowhere"], "--cafile: .* No such file"),
            (["https://localhost/", "--cafile", os.devnull], "--cafile"),
            ([url, "--insecure"], "insecure"),
            ([url, "--requests"], "requests"),
        ):
            status, out, err = ran(*arguments)
            self.assertEqual((status, out), (2, ""), (arguments, err))
            self.assertRegex(err, rf"\Astickyd verify: [^\n]*{text}[^\n]*\n\Z")

    def test_help_names_the_command(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            main(["--help"])
        self.assertIn("  verify ", out.getvalue())

    def test_url_options_and_order(self) -> None:
        asked: list[bytes] = []

        def serve(sock: socket.socket, number: int) -> None:
            data = sock.recv(65536)
            asked.append(data)
            sock.sendall(b"HTTP/1.1 404 Not Found\r\nX-W: 1\r\nContent-Length: 0\r\n")
            sock.sendall(b"Connection: close\r\n\r\n")

        with FakeServer(serve) as server:
            url = f"http://127.0.0.1:{server.port}/a?b=c#d"
            counts = ["--requests=3", "--clients", "2", "--worker-header", "X-W"]
            self.assertEqual(ran("--client-header", "X-Real-IP", url, *counts)[0], 3)
            line = f"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-Real-IP: 10."
            self.assertTrue(asked[0].startswith(line.encode()), asked[0])
            asked.clear()
            self.assertEqual(ran(*counts, url, "--path", "/e", "--host", "h.example")[0], 3)
            line = "GET /e HTTP/1.1\r\nHost: h.example\r\nX-Forwarded-For: 10."
            self.assertTrue(asked[0].startswith(line.encode()), asked[0])
