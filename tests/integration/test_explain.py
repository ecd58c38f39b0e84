"""``stickyd explain``: what it says of keys and of requests is what a daemon does."""

import io
import os
import subprocess
import sys
import unittest
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from stickyd.cli import main as cli
from stickyd.routing.signed_keys import make, secret_of
from tests.support.daemon import Daemon, Reader

XFF = b"X-Forwarded-For: 10.10.12.11\r\n"


def request(*fields: bytes, target: bytes = b"/") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + b"".join(fields) + b"\r\n"


def run(*arguments: str, sent: bytes = b"") -> tuple[int, str, str]:
    """Status, standard output and standard error of the command."""
    out, err = io.StringIO(), io.StringIO()
    environment = {k: v for k, v in os.environ.items() if k[:7] not in ("STICKYD", "FORWARD")}
    with (
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent))),
        mock.patch.dict(os.environ, environment, clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = cli.main(["explain", *arguments])
    return status, out.getvalue(), err.getvalue()


class Keys(unittest.TestCase):
    def test_a_key_that_carries_its_slot(self) -> None:
        sid = make(2, bytes(12), secret_of(77))
        status, out, _ = run(sid, "--seed", "77", "--workers", "4")
        self.assertEqual(status, 0)
        self.assertIn(f"{sid}: worker 2\n", out)
        self.assertIn("the key carries it", out)
        # Of another seed, or beyond the table, it is text like any other.
        for options in (("--seed", "78", "--workers", "4"), ("--seed", "77", "--workers", "1")):
            self.assertIn("  bucket  ", run(sid, *options)[1])

    def test_keys_and_options_in_any_order(self) -> None:
        expected = run("10.10.12.11", "-x", "--workers", "4")
        self.assertEqual(expected[0], 2)
        expected = run("--workers", "4", "--", "10.10.12.11", "-x")
        self.assertIn("\n-x: worker ", expected[1])
        self.assertEqual(run("--workers=4", "10.10.12.11", "--", "-x"), expected)
        self.assertEqual(run("10.10.12.11", "-w", "4", "--", "-x"), expected)

    def test_wrong_options(self) -> None:
        for arguments, said in (
            ((), "which key"),
            (("--request", "a"), "give no KEY"),
            (("-", "a"), "give no KEY"),
            (("a", "--workers", "0"), "--workers"),
            (("a", "--workers", "x"), "x"),
            (("a", "--seed", "x"), "seed"),
            (("a", "--hash", "x"), "--hash"),
            (("a", "--hash-balance-factor", "99"), "--hash-balance-factor: 99 is neither 0"),
            (("-", "--affinity", "xff,moon"), "--affinity: unknown source 'moon'"),
            (("-", "--peer", "here"), "--peer: 'here'"),
            (("-", "--forwarded-allow-ips", "here"), "--forwarded-allow-ips: 'here'"),
        ):
            status, out, err = run(*arguments)
            self.assertEqual((status, out), (2, ""), arguments)
            self.assertIn(said, err)
            self.assertEqual(err.count("\n"), 1, err)

    def test_a_load_bound(self) -> None:
        out = run("10.10.12.11", "--hash-balance-factor", "150")[1]
        self.assertTrue(out.startswith("10.10.12.11: worker 2\n"))
        self.assertIn("bound   150 % of the average load: this is the first choice.", out)
        self.assertIn("  bound ", run("-", "--hash-balance-factor", "150", sent=request(XFF))[1])
        # A key that carries its slot has no second choice.
        sid = make(2, bytes(12), secret_of(1))
        self.assertNotIn("bound", run(sid, "--hash-balance-factor", "150")[1])
        self.assertNotIn("bound", run("10.10.12.11")[1])


class Requests(unittest.TestCase):
    def test_source_by_source(self) -> None:
        chain = "socketio,cookie(sid),hdr(X-User),xff,src"
        status, out, _ = run("-", "--affinity", chain, sent=request(XFF, target=b"/?sid=x"))
        self.assertEqual(status, 0)
        lines = out.splitlines()
        self.assertEqual(
            lines[:9],
            [
                "request GET /?sid=x",
                "peer    127.0.0.1 (trusted)",
                "client  10.10.12.11, for the app",
                "source  socketio     no key: url parameter sid names no slot",
                "source  cookie(sid)  no key: no cookie sid",
                "source  hdr(X-User)  no key: no header X-User",
                "source  xff          10.10.12.11",
                "10.10.12.11: worker 2",
                "  key     10.10.12.11 (client address)",
            ],
        )
        self.assertIn("  order   ", out)
        self.assertNotIn("src ", out)

    def test_what_a_peer_is_worth(self) -> None:
        sent = request(XFF)
        unix = ("--peer", "unix", "--forwarded-allow-ips")
        for options, said in (
            (("--peer", "192.0.2.1"), "no key: peer 192.0.2.1 is not trusted"),
            (("--peer", "192.0.2.1"), "client  the peer"),
            (("--peer", "192.0.2.1"), "\n192.0.2.1: worker "),
            (("--peer", "[2001:DB8::1]:80"), "\n2001:db8::1: worker "),
            (("--peer", "192.0.2.1", "--forwarded-allow-ips", "192.0.2.0/24"), "10.12.11: worker "),
            (("--peer", "unix"), "\n10.10.12.11: worker "),
            (("--peer", "unix"), "peer    a Unix socket (trusted)"),
            ((*unix, "::1"), "a Unix socket (not trusted)"),
            ((*unix, "::1"), "no key: peer unix is not trusted"),
            ((*unix, "::1,unix"), "\n10.10.12.11: worker "),
        ):
            self.assertIn(said, run("--request", *options, sent=sent)[1], options)

    def test_no_key(self) -> None:
        status, out, _ = run("-", "--affinity", "xff", sent=request())
        self.assertEqual(status, 0)
        self.assertTrue(
            out.endswith("no source gives a key: any worker will do, they take turns\n")
        )

    def test_a_declared_key(self) -> None:
        sid = make(3, bytes(12), secret_of(1))
        sent = request(target=b"/socket.io/?EIO=4&sid=" + sid.encode())
        out = run("-", "--affinity", "socketio", "--workers", "4", sent=sent)[1]
        self.assertIn(f"source  socketio  {sid}\n{sid}: worker 3\n", out)
        self.assertIn("the key carries it", out)

    def test_bare_lf_and_a_body(self) -> None:
        sent = b"POST / HTTP/1.1\nHost: a\nX-Forwarded-For: 10.10.12.11\nContent-Length: 3\n\nabc"
        self.assertIn("10.10.12.11: worker 2", run("-", sent=sent)[1])

    def test_what_a_terminal_should_not_see(self) -> None:
        sent = request(b"X-User: \xff\r\n", target=b"/?sid=%1b%5b2J%0a")
        out = run("-", "--affinity", "url_param(sid)", sent=sent)[1]
        self.assertIn(r"'\x1b[2J\n': worker ", out)
        out = run("-", "--affinity", "hdr(X-User)", sent=sent)[1]
        self.assertIn(r"'\udcff': worker ", out)

    def test_ids_that_answers_hand_out(self) -> None:
        least = "least                       the least loaded worker, equal ones in turn\n"
        for affinity, sent, expected in (
            ("mcp,browser", request(), ("insert(STICKYD)             no key: no cookie", least)),
            ("mcp,browser", request(b"Mcp-Session-Id: a\r\n"), ("learned; only a running", least)),
            ("django", request(b"Cookie: sessionid=a\r\n"), ("learned; only a running",)),
            ("django", request(), ("learn(cookie(sessionid))  no key: no cookie sessionid\n",)),
            ("mcp,browser", request(), ("answer  sets the cookie STICKYD, which names",)),
        ):
            out = run("-", "--affinity", affinity, sent=sent)[1]
            for part in expected:
                self.assertIn(part, out)
        key = make(2, bytes(12), secret_of(1))
        out = run(
            "-", "--affinity", "browser", sent=request(b"Cookie: STICKYD=%b\r\n" % key.encode())
        )[1]
        self.assertIn(f"{key}: worker 2\n", out)
        self.assertNotIn("answer", out)

    def test_refused(self) -> None:
        for sent, said in (
            (b"GET / HTTP/1.1\r\n\r\n", "400 Bad Request: no Host\n"),
            (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported: "),
            (b"\x16\x03\x01\x02", "400 Bad Request: "),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", "408 Request Timeout: the head does not end"),
            (b"", "no response: a connection without data is closed"),
        ):
            status, out, err = run("--request", sent=sent)
            self.assertEqual((status, err), (1, ""), sent)
            self.assertTrue(out.startswith(said), out)
            self.assertEqual(out.count("\n"), 1, out)

    def test_the_command_says_what_a_daemon_does(self) -> None:
        affinity = "forwarded,url_param(sid),cookie(sid),src"
        sents = [request(b"Forwarded: for=192.0.2.%d\r\n" % n) for n in range(8)]
        sents += [request(target=b"/?sid=%%C3%%BC+%d" % n) for n in range(8)]
        sents += [request(b"Cookie: a=b; sid=%d\r\n" % n) for n in range(8)]
        sents += [request()]
        with Daemon("--affinity", affinity, "--seed", "5", workers=4) as daemon:
            for sent in sents:
                with daemon.connect() as sock:
                    sock.sendall(sent)
                    worker = Reader(sock).response().worker
                out = run("-", "--affinity", affinity, "--seed", "5", "-w", "4", sent=sent)[1]
                self.assertRegex(out, rf"(?m): worker {worker}$")
        command = [sys.executable, "-m", "stickyd", "explain", "--request", "-w", "4"]
        said = subprocess.run(command, input=request(XFF), capture_output=True, timeout=30)
        self.assertEqual((said.returncode, said.stderr), (0, b""))
        self.assertIn(b"10.10.12.11: worker 3\n", said.stdout)
