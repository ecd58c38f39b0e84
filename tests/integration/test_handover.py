"""WebSockets that survive a deploy, with the real daemon."""

import contextlib
import os
import signal
import unittest
from collections.abc import Iterator
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.integration.test_lifecycle import reload
from tests.integration.test_upgrade import upgrade
from tests.slow.websocket_cases.frames import PING, TEXT, FrameReader, fragments, frame
from tests.support.daemon import Daemon, Reader, _alive, request, wait_for
from tests.support.lasting import code_of, over, together

ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of slots 1 and 2 at seed 1."""

ASGI = ("--asgi", "stickyd_handover_apps:app")
WEB = ("--class", "stickyd_handover_apps.root")
OFFER = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Counted:
    """A client that sends numbers, and checks what comes.

    :ivar pid: of the worker that has answered last.
    :ivar moves: handovers that the app knows of.
    """

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.sent = self.ticks = self.moves = self.pid = 0

    def send(self) -> None:
        self.websocket.send(str(self.sent))
        self.sent += 1

    def read(self, number: int) -> None:
        """The answer to a message; ticks may come before it."""
        while True:
            who, *told = str(self.websocket.recv(30)).split()
            if who != "tick":
                break
            assert told == [str(self.ticks)], (told, self.ticks)
            self.ticks += 1
        assert told[0] == str(number), (who, told, number)
        self.pid, self.moves = int(who), int(told[1])

    def ask(self) -> int:
        self.send()
        self.read(self.sent - 1)
        return self.pid


class HandoverCase(unittest.TestCase):
    options: tuple[str, ...] = ASGI

    @contextlib.contextmanager
    def daemon(self, *options: str) -> Iterator[Daemon]:
        with Daemon(*self.options, *options) as daemon:
            yield daemon

    def open(self, daemon: Daemon, path: str = "/ws", client: str = ONE) -> Counted:
        return Counted(self.enterContext(over(daemon, client, path)))

    def moved(self, daemon: Daemon, count: int) -> None:
        """Wait until so many handovers are complete, and their senders have gone."""
        wait_for(lambda: daemon.report()["workers"]["handed"] == count, what="handovers")


class Deploys(HandoverCase):
    """Whatever replaces a worker, and the master itself."""

    def test_every_way(self) -> None:
        with self.daemon() as daemon:
            plain, ticking, late = (self.open(daemon, path) for path in ("/ws", "/ticks", "/late"))
            other = self.open(daemon, client=TWO)
            sockets = (plain, ticking, late)
            first = plain.ask()
            self.assertEqual({each.ask() for each in sockets}, {first})
            self.assertNotEqual(other.ask(), first)
            # Messages are on their way while it happens.
            for event, handed in (
                (lambda: reload(daemon), 4),
                (lambda: os.kill(daemon.pids()[1], signal.SIGTERM), 7),
                (lambda: upgrade(daemon), 7),
                (lambda: reload(daemon), 11),
            ):
                for each in sockets:
                    each.send()
                event()
                for each in sockets:
                    each.send()
                self.moved(daemon, handed)
                for each in sockets:
                    each.read(each.sent - 2)
                    each.read(each.sent - 1)
                self.assertEqual({each.ask() for each in sockets}, {daemon.pids()[1]})
            self.assertEqual([each.moves for each in (*sockets, other)], [3, 3, 3, 0])
            self.assertEqual(other.ask(), daemon.pids()[2])
            # One slot fewer.
            daemon.process.send_signal(signal.SIGTTOU)
            self.moved(daemon, 12)
            self.assertEqual(other.ask(), plain.ask())
            report = daemon.report()["workers"]
            self.assertEqual((report["pinned"], report["requests"], report["lost"]), (4, 4, 0))
            self.assertEqual(report["open"], 4)
            for each in (*sockets, other):
                each.websocket.close()
                self.assertEqual(each.websocket.close_code, 1000)
            wait_for(lambda: daemon.report()["workers"]["open"] == 0, what="the end of all")

    def test_the_cookie_of_its_answer_is_handed_out_once(self) -> None:
        chain = ("--affinity", "insert(S),src", "--affinity-scope", "request")
        with self.daemon(*chain, "--worker-header") as daemon:
            socket = self.open(daemon)
            assert socket.websocket.response is not None
            cookie = socket.websocket.response.headers["Set-Cookie"].partition(";")[0]
            head = request(TWO)[:-2] + f"Cookie: {cookie}\r\n\r\n".encode()
            for handed in (1, 2):
                reload(daemon)
                self.moved(daemon, handed)
                self.assertEqual(socket.ask(), daemon.pids()[self.slot_of(daemon, head)])
            self.assertEqual(daemon.report()["workers"]["inserted"], 1)

    def slot_of(self, daemon: Daemon, head: bytes) -> int:
        """The slot that serves a request."""
        with daemon.connect() as sock:
            sock.sendall(head)
            return int(Reader(sock).response().headers["x-stickyd-worker"])

    def test_byte_by_byte(self) -> None:
        """Fragments with a ping in between; the reload comes in the midst."""
        with self.daemon() as daemon, daemon.connect() as sock:
            sock.sendall(request(ONE, "/ws")[:-2] + OFFER)
            self.assertEqual(Reader(sock).response().status, 101)
            old = daemon.pids()[1]
            message = frame(PING, b"p").join(fragments(TEXT, [b"0 ", b"", b"more"]))
            for byte in message[:-3]:
                sock.send(bytes([byte]))
            reload(daemon)
            self.assertEqual(daemon.report()["workers"]["handed"], 0)
            for byte in message[-3:] + frame(TEXT, b"1"):
                sock.send(bytes([byte]))
            self.moved(daemon, 1)
            reader, came = FrameReader(), []
            while len(came) < 4:
                reader.add(sock.recv(1000))
                came += reader.frames()
            texts = [each.payload.decode() for each in came if each.opcode == TEXT]
            self.assertEqual([each.split()[1] for each in texts], ["0", "1"])
            self.assertEqual(texts[0], f"{old} 0 0")

    def test_where_it_cannot_be(self) -> None:
        """It works until the grace is over, and is closed then."""
        with self.daemon("--graceful-timeout", "2") as daemon:
            paths = ("/no", "/refuses", "/large", "/fails")
            sockets = [self.open(daemon, path) for path in paths]
            reload(daemon)
            if self.options == ASGI:
                self.assertEqual([each.ask() for each in sockets], [sockets[0].pid] * 4)
            codes = together([lambda each=each: code_of(each.websocket) for each in sockets])
            self.assertEqual(codes, [1012] * 4)
            self.assertEqual(daemon.report()["workers"]["handed"], 0)
            wait_for(lambda: any("at most 16384" in line for line in daemon.log), what="the log")
            daemon.log[:] = [line for line in daemon.log if "critical" not in line]


class DeploysOfWeb(Deploys):
    options = WEB


class Asgi(HandoverCase):
    """What twisted.web has not."""

    def test_compression(self) -> None:
        """Without context takeover, since it was offered before the handshake was answered."""
        with self.daemon() as daemon:
            first, late = self.open(daemon), self.open(daemon, "/afterwards", TWO)
            self.assertEqual(late.websocket.recv(), "offered 0")
            response = first.websocket.response
            assert response is not None
            agreed = response.headers["Sec-WebSocket-Extensions"]
            self.assertIn("server_no_context_takeover; client_no_context_takeover", agreed)
            first.ask()
            reload(daemon)
            self.moved(daemon, 1)
            # Long enough to be compressed, again and again.
            for _ in range(3):
                first.websocket.send(f"{first.sent} " + "again " * 1000)
                first.sent += 1
                first.read(first.sent - 1)
            self.assertEqual(first.pid, daemon.pids()[1])

    def test_starlette(self) -> None:
        with self.daemon() as daemon:
            socket = self.open(daemon, "/starlette")
            old = socket.ask()
            reload(daemon)
            self.moved(daemon, 1)
            self.assertNotEqual(socket.ask(), old)
            self.assertEqual(socket.moves, 1)

    def test_a_key_in_use_is_not_split(self) -> None:
        """The WebSocket goes when the request of the same client is answered."""
        with self.daemon() as daemon, daemon.connect() as sock:
            socket = self.open(daemon)
            old = socket.ask()
            sock.sendall(request(ONE, "/slow"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 2, what="the request")
            reload(daemon)
            self.assertEqual(Reader(sock).response().body, str(old).encode())
            self.moved(daemon, 1)
            self.assertNotEqual(socket.ask(), old)

    def test_the_new_worker_is_killed(self) -> None:
        log = "--access-logfile"
        with self.daemon(log, "access") as daemon:
            socket = self.open(daemon)
            old = socket.ask()
            reload(daemon)
            self.moved(daemon, 1)
            wait_for(lambda: not _alive(old), what="the end of the old worker")
            os.kill(socket.ask(), signal.SIGKILL)
            with self.assertRaises(ConnectionClosed) as closed:
                socket.websocket.recv(30)
            self.assertIsNone(closed.exception.rcvd)
            # One line of each worker that has answered; the killed one had no time for its own.
            lines = (Path(daemon.directory.name) / "access").read_text().splitlines()
            self.assertEqual(len(lines), 1, lines)
            self.assertIn(" 101 ", lines[0])
