"""``stickyd verify`` against servers: fakes, over TLS, the daemon."""

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
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.trial.unittest import SynchronousTestCase

from stickyd.cli.main import main
from tests.support.daemon import ROOT, Daemon, free_port

VERIFY = [sys.executable, "-W", "error", "-m", "stickyd", "verify"]
FEW = ["--requests", "50", "--clients", "9"]


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
    # Later connections are those of the mix, which are never half-closed: no need to wait.
    if number >= 16 or not half_closed(sock):
        sticky(sock, number)


def half_closed(sock: socket.socket) -> bool:
    """Whether the client has finished sending within 0.2 s of its first byte."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    sock.recv(1, socket.MSG_PEEK)
    return bool(poll.poll(200))


def offended_by_half_close(answer: bytes | None) -> Serve:
    """Sends ``answer`` to a client that has finished sending, None: nothing, and keeps it.

    The connections of the mix, which come later, are served without a look.
    """

    def serve(sock: socket.socket, number: int) -> None:
        if number >= 16 or not half_closed(sock):
            sticky(sock, number)
        elif answer is not None:
            sock.sendall(answer)
        else:
            # Gone when the client gives up: only then has the socket more to say than RDHUP.
            poll = select.poll()
            poll.register(sock, 0)
            poll.poll(10_000)

    return serve


def second_answer_lost(sock: socket.socket, number: int) -> None:
    """Answers the first request, then takes the half-close for an abort."""
    aborted = number < 16 and half_closed(sock)
    for at, client in enumerate(requests_of(sock)):
        sock.sendall(ABORTED if aborted and at else reply(client % 2))


ABORTED = b"HTTP/1.1 499 Client Closed Request\r\nContent-Length: 0\r\n\r\n"


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

    def test_half_close_answered_by_what_names_no_worker(self) -> None:
        bare = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsorry!\n"
        for answer in (ABORTED, bare, page, b"aborted\r\n", ABORTED[:20], None):
            status, out, err = self.verify(offended_by_half_close(answer), "--timeout", "1", *FEW)
            self.assertEqual((status, err), (0, ""), (answer, out))
            self.assertRegex(out, r"S1 CRLF +- +0 +home \(without half-close\)\n")
            self.assertRegex(out, r"S3 CRLF +0 1 +0 1 +right \(without half-close\)\n")

    def test_half_close_answered_in_part(self) -> None:
        status, out, err = self.verify(second_answer_lost, *FEW)
        self.assertEqual((status, err), (0, ""), out)
        self.assertRegex(out, r"S1 CRLF +- +0 +home\n")
        self.assertRegex(out, r"S3 CRLF +0 1 +0 1 +right \(without half-close\)\n")

    def test_what_failed_half_closed_is_said_where_it_differs(self) -> None:
        def neither(sock: socket.socket, number: int) -> None:
            if half_closed(sock):
                sock.sendall(ABORTED)

        self.no_answer(neither, r"answer.* \(half-closed: no worker name .*status 499")

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


def _found_here(resolve: Callable[..., object]) -> Callable[..., object]:
    """``getaddrinfo`` that knows ``localhost`` without asking."""
    return lambda host, *rest, **how: resolve(
        "127.0.0.1" if host == "localhost" else host, *rest, **how
    )


class TlsTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="stickyd-test-")
        self.addCleanup(directory.cleanup)
        self.authority = Authority(directory.name)
        # A machine may have no name for itself (a chroot: no /etc/hosts).
        self.patch(socket, "getaddrinfo", _found_here(socket.getaddrinfo))

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
        self.assertRegex(err, r"\Astickyd verify: http://localhost:\d+/: [^\n]*answer[^\n]*\n\Z")


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
