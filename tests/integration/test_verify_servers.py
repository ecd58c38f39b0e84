"""``stickyd verify`` against servers: fakes, over TLS, the daemon."""

import os
import re
import socket
import subprocess
import threading

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import ROOT
from tests.support.fake_servers import (
    ABORTED,
    FEW,
    VERIFY,
    FakeServer,
    Serve,
    by_turns,
    closing,
    half_closed,
    impatient,
    offended_by_half_close,
    ran,
    second_answer_lost,
    sticky,
    to_the_end,
    vanishing,
)


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
