"""Request heads of up to 128 KiB: more than one read takes, and than a socket holds at first."""

import random
import socket
import unittest

from tests.support.daemon import Daemon, Reader, read_all, request

ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of slots 1 and 2 at seed 1."""

MOST = 131072
OPTIONS = ("--limit-request-head", str(MOST))


def large(client: str, size: int = MOST) -> bytes:
    """A head of ``size`` bytes whose key comes last."""
    first, last = b"GET /hello HTTP/1.1\r\nHost: a\r\n", f"X-Forwarded-For: {client}\r\n\r\n"
    fields, left = [], size - len(first) - len(last)
    while left:
        # The rest is to be enough for another field.
        line = left if left <= 8000 else min(7000, left - 500)
        fields.append(b"X-Filler: %b\r\n" % (b"x" * (line - 12)))
        left -= line
    return first + b"".join(fields) + last.encode()


def send_split(sock: socket.socket, data: bytes, rng: random.Random) -> None:
    at = 0
    while at < len(data):
        size = rng.choice((1, 2, 40, 1500, 9000, 40_000))
        sock.sendall(data[at : at + size])
        at += size


class LargeHeads(unittest.TestCase):
    def check(self, *options: str, moves: bool) -> None:
        rng = random.Random(128)
        with Daemon(*OPTIONS, *options) as daemon:
            with daemon.connect() as sock:
                self.check_connection(sock, rng, moves=moves)
            # The first head of a connection is the master's.
            for client, worker in ((ONE, 1), (TWO, 2)):
                with daemon.connect() as sock:
                    send_split(sock, large(client), rng)
                    self.assertEqual(Reader(sock).response().worker, worker)
            with daemon.connect() as sock:
                sock.sendall(large(TWO, MOST + 1))
                self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 431 "))
            with daemon.connect() as sock:
                sock.sendall(request(ONE, "/hello") + large(ONE, MOST + 1))
                reader = Reader(sock)
                self.assertEqual(reader.response().worker, 1)
                self.assertEqual(reader.response().status, 431)
            report = daemon.report()
            self.assertEqual((report["master"]["refused"], report["workers"]["refused"]),
                             ({"431": 1}, {"431": 1}))  # fmt: skip
            self.assertEqual(bool(report["workers"]["moved"]), moves)

    def check_connection(self, sock: socket.socket, rng: random.Random, *, moves: bool) -> None:
        """Heads one after the other on one connection."""
        other = 2 if moves else 1
        reader = Reader(sock)
        sock.sendall(large(ONE))
        self.assertEqual(reader.response().worker, 1)
        for client, worker in ((TWO, other), (ONE, 1), (TWO, other)):
            send_split(sock, large(client, MOST - rng.randrange(100)), rng)
            self.assertEqual(reader.response().worker, worker)
        # Byte by byte around the end of the head, with the next one behind it.
        data = large(ONE)
        sock.sendall(data[:-300])
        for at in range(len(data) - 300, len(data)):
            sock.send(data[at : at + 1])
        sock.sendall(large(TWO) + request(ONE, "/hello") + large(TWO))
        workers = [reader.response().worker for _ in range(4)]
        self.assertEqual(workers, [1, other, 1, other])

    def test_web_in_request_scope(self) -> None:
        self.check("--affinity-scope", "request", moves=True)

    def test_asgi_in_request_scope(self) -> None:
        app = ("--asgi", "stickyd_asgi_apps:app")
        self.check("--affinity-scope", "request", *app, moves=True)

    def test_wsgi_in_connection_scope(self) -> None:
        self.check("--wsgi", "stickyd_wsgi_apps:app", moves=False)
