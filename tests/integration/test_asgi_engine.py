"""ASGI in the compiled engine beside uvicorn's cycle and the Python exchange."""

import re
import sys
import unittest

from stickyd.core.native import CORE
from tests.support.daemon import ROOT, Daemon, Reader, read_all, wait_for

sys.path.insert(0, str(ROOT / "tests" / "apps"))
from stickyd_answers_app import WAYS

SCOPES = [
    b"GET /scope HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 10.1.2.3\r\n%b\r\n" % more
    for more in (
        *(b"", b"X-Forwarded-Proto: https\r\n", b"X-Forwarded-Proto: wss\r\nCookie: a\r\n"),
        *(b"Forwarded: for=10.1.1.1\r\n", b"X-Forwarded-For: unknown\r\n"),
    )
] + [
    b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target
    for target in (*(b"/scope?a=%41&b[]=1", b"/scope?", b"/sc%6fpe", b"/scope#f", b"//scope"),)
]
SAID = re.compile(r"\] (Exception in ASGI application|ASGI callable )")
LINE = b"%b /%b HTTP/1.1\r\nHost: x\r\n%b\r\n"


IDS = ("--affinity", "learn(hdr(content-type)),learn(cookie(a)),insert(S),src")
COOKIE = re.compile(rb"\bS=[\w-]{28};")


def answers(native: bool, *more: str) -> list[tuple[str, bytes]]:
    """What a daemon answers to each way, and what its app has been told.

    :param more: options.
    """
    environment = {"STICKYD_ENGINE": "1"} if native else {"STICKYD_NATIVE": "0"}
    options = ("--asgi", "stickyd_answers_app:app", "--worker-header", "--seed", "1", *more)
    got: list[tuple[str, bytes]] = []
    with Daemon(*options, workers=1, environment=environment) as daemon:

        def ask(name: str, data: bytes) -> None:
            with daemon.connect() as sock:
                sock.sendall(data)
                told = LINE % (b"GET", b"told", b"Connection: close\r\n")
                sock.sendall(told)
                answer = read_all(sock)
            if b"\r\n\r\n" not in answer.rpartition(b"HTTP/1.1 ")[2] or b"/told" not in answer:
                with daemon.connect() as sock:
                    sock.sendall(told)
                    answer += b" and " + Reader(sock).response().body
            answer = re.sub(rb"date: [^\r]*", b"date", answer)
            got.append((name, COOKIE.sub(b"S=id;", answer)))

        for name in WAYS:
            for method in (b"GET", b"HEAD"):
                ask(name, LINE % (method, name.encode(), b""))
            # Pipelined, and behind one whose app sets a variable of its context.
            ask(name, LINE % (b"GET", b"leaks", b"") + LINE % (b"GET", name.encode(), b"") * 2)
        for data in SCOPES:
            ask(repr(data), data)
        # The app fails on purpose; what is logged of that is a part of what is compared.
        wait_for(lambda: any("callable should return" in line for line in daemon.log))
        logged = [line.partition("] ")[2] for line in daemon.log if SAID.search(line)]
        got.append(("log", "\n".join(logged).encode()))
        report = daemon.report()["workers"]
        got.append(("ids", b"%d %d" % (report["inserted"], report["learned"])))
        daemon.log.clear()
    return got


@unittest.skipIf(CORE.engines is None, "the compiled core is not built")
class Engine(unittest.TestCase):
    maxDiff = 4000

    def test_as_uvicorn_answers(self) -> None:
        self.check(answers(True), answers(False))

    def test_with_ids(self) -> None:
        ours = answers(True, *IDS)
        self.check(ours, answers(False, *IDS))
        self.assertIn(b"\r\nSet-Cookie: S=id; Path=/;", ours[0][1])

    def check(self, ours: list[tuple[str, bytes]], expected: list[tuple[str, bytes]]) -> None:
        self.assertEqual(len(ours), len(expected))
        self.assertIn(b"\r\n\r\nhelloHTTP/1.1 200 OK\r\n", ours[0][1])
        for (name, got), (_, wanted) in zip(ours, expected, strict=True):
            with self.subTest(name):
                self.assertEqual(got, wanted)
