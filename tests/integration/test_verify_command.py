"""``stickyd verify`` against the daemon, and its command line."""

import contextlib
import io
import os
import socket
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from stickyd.cli.main import main
from tests.support.daemon import ROOT, Daemon, free_port
from tests.support.fake_servers import VERIFY, FakeServer, ran, reply, requests_of
from tests.support.terminal import Terminal


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
            ([url, "--client-header", "Host"], "cannot name the client"),
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

    def test_on_a_terminal_there_is_a_progress_bar(self) -> None:
        def serve(sock: socket.socket, number: int) -> None:
            for client in requests_of(sock):
                sock.sendall(reply(client % 2))

        with FakeServer(serve) as server:
            url = f"http://127.0.0.1:{server.port}/"
            with Terminal("verify", url, size=(80, 24)) as terminal:
                self.assertEqual(terminal.ended(), 0, terminal.raw())
                # The bar is removed at the end, so what is left is the report.
                self.assertRegex(terminal.raw(), rb"random mix .*100%")
                self.assertIn(b"verdict: sticky", terminal.raw())

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
