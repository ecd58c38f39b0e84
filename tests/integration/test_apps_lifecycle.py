"""The life of workers whose app is ASGI or WSGI: what holds for twisted.web holds for them."""

import signal
import socket
import threading
import time
import unittest

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.integration.test_lifecycle import ONE, TWO, Life, life, reload
from tests.integration.test_upgrade import upgrade
from tests.support.daemon import Daemon, Reader, _alive, request, wait_for
from tests.support.extent import SLOW, slow

ASGI = ("--asgi", "stickyd_life_kinds:app")
WSGI = ("--wsgi", "stickyd_life_kinds:wsgi")
NEW = "10.10.12.10"
"""A client of slot 1 at seed 1 that nobody has seen before."""


def start(*options: str, workers: int = 1) -> Daemon:
    daemon = Daemon(*options, workers=workers)
    daemon._environment["LIFE"] = daemon.directory.name
    return daemon


def word(daemon: Daemon, pid: int) -> list[str]:
    """What the app of a worker has left word of."""
    file = life(daemon) / str(pid)
    return file.read_text().splitlines() if file.exists() else []


def over(sock: socket.socket, client: str) -> ClientConnection:
    """A WebSocket over a connection that is there already."""
    headers = {"X-Forwarded-For": client}
    return connect("ws://test/ws", sock=sock, additional_headers=headers, proxy=None)


class Reload(Life):
    def test_new_code_is_served_and_no_request_is_lost(self) -> None:
        daemon = start("--asgi", "changing:app", "--affinity-scope", "request", workers=2)
        code = life(daemon) / "changing.py"
        text = "from stickyd_life_kinds import app as inner\nVERSION = {}\n"
        text += "async def app(scope, receive, send):\n"
        text += "  if scope['path'] != '/version': return await inner(scope, receive, send)\n"
        text += "  head = [(b'content-length', b'1')]\n"
        text += "  await send({{'type': 'http.response.start', 'status': 200, 'headers': head}})\n"
        text += "  await send({{'type': 'http.response.body', 'body': b'%d' % VERSION}})\n"
        text = text.replace("scope['path']", "scope.get('path')")
        code.write_text(text.format(1))
        with daemon:
            pids = daemon.pids()
            over = threading.Event()
            wrong: list[object] = []
            answers = [0] * 3

            def ask(number: int) -> None:
                client = self.client(daemon)
                # A pause, since it must leave room for workers that start.
                while not over.wait(0.005):
                    try:
                        slot = client.who((ONE, TWO)[answers[number] % 2])[0]
                    except Exception as error:
                        wrong.append(error)
                        return
                    if slot != 1 + answers[number] % 2:
                        wrong.append(slot)
                    answers[number] += 1

            asking = [threading.Thread(target=ask, args=(n,)) for n in range(len(answers))]
            late, idle = self.client(daemon), self.client(daemon)
            for client in (late, idle):
                client.sock.sendall(request(ONE, "/begun"))
            wait_for(lambda: daemon.report()["workers"]["requests"] == 2)
            for thread in asking:
                thread.start()
            code.write_text(text.format(2) + "# longer than before\n")
            reload(daemon)
            (life(daemon) / "go").touch()
            # Both finish with the old code, then go to the new, asked or not.
            for client in (late, idle):
                self.assertEqual(client.reader.response().body, b"begun done")
            # (The old one may be told a moment later than we are.)
            wait_for(lambda: late.ask(ONE, "/version").body == b"2", what="the new code")
            for pid in pids.values():
                wait_for(lambda pid=pid: not _alive(pid), what="the end of an old worker")
                self.assertEqual(word(daemon, pid), ["started", "ended"])
            self.assertEqual(idle.ask(ONE, "/version").body, b"2")
            over.set()
            for thread in asking:
                thread.join()
            self.assertEqual(wrong, [])
            self.assertGreater(min(answers), 10)
            self.assertEqual(daemon.report()["workers"]["lost"], 0)
            now = daemon.pids()
            self.assertFalse(set(now.values()) & set(pids.values()))
            daemon.stop()
            for pid in now.values():
                self.assertEqual(word(daemon, pid), ["started", "ended"])

    @slow
    def test_an_app_that_does_not_start_is_not_taken(self) -> None:
        with start(*ASGI, workers=2) as daemon:
            client = self.client(daemon)
            pids = daemon.pids()
            (life(daemon) / "fails-2").touch()
            daemon.process.send_signal(signal.SIGHUP)
            daemon.said("reload: the app cannot start: told to fail")
            daemon.said("given up")
            # The one beside it had started, so it ends in order too.
            ends = [f for f in life(daemon).iterdir() if f.name.isdecimal()]
            others = [word(daemon, int(f.name)) for f in ends if int(f.name) not in pids.values()]
            self.assertEqual(others, [["started", "ended"]])
            self.assertEqual(daemon.pids(), pids)
            self.assertEqual(client.who(ONE), (1, pids[1]))

    @slow
    def test_a_drain_then_on_retire_then_the_shutdown(self) -> None:
        options = ("--session-drain", "3", "--affinity-scope", "request")
        with start(*ASGI, *options, "--on-retire", "stickyd_life_kinds:retired") as daemon:
            client = self.client(daemon)
            _, old = client.who(ONE)
            reload(daemon)
            new = daemon.pids()[1]
            self.assertNotEqual(old, new)
            for _ in range(3):
                self.assertEqual(client.who(ONE), (1, old))
                self.assertEqual(client.who(NEW), (1, new))
            wait_for(lambda: not _alive(old), what="the end of the drain")
            self.assertEqual(word(daemon, old), ["started", f"retired reload {ONE}", "ended"])
            self.assertEqual(client.who(ONE), (1, new))
            daemon.stop()
            self.assertEqual(word(daemon, new), ["started", f"retired stop {NEW} {ONE}", "ended"])

    def test_a_socket_stays_until_the_grace_is_over(self) -> None:
        with start(*ASGI, "--graceful-timeout", "3") as daemon:
            pid = daemon.pids()[1]
            with daemon.connect() as sock, over(sock, ONE) as websocket:
                started = time.monotonic()
                reload(daemon)
                websocket.send("still here")
                self.assertEqual(websocket.recv(), "1: still here")
                with self.assertRaises(ConnectionClosed) as closed:
                    websocket.recv(10)
                self.assertEqual(closed.exception.rcvd.code, 1012)
                self.assertGreater(time.monotonic() - started, 2.9)
            wait_for(lambda: not _alive(pid), what="the end of the old worker")
            self.assertEqual(word(daemon, pid), ["started", "disconnect 1012", "ended"])
            with daemon.connect() as sock, over(sock, ONE) as websocket:
                websocket.send("again")
                self.assertEqual(websocket.recv(), "1: again")


class Upgrade(Life):
    @slow
    def test_connections_and_sockets_go_on(self) -> None:
        with start(*ASGI, "--affinity-scope", "request", workers=2) as daemon:
            pids = daemon.pids()
            client, late = self.client(daemon), self.client(daemon)
            with daemon.connect() as sock, over(sock, TWO) as websocket:
                late.sock.sendall(request(ONE, "/late?s=2"))
                self.assertEqual(client.who(ONE), (1, pids[1]))
                upgrade(daemon)
                websocket.send("still here")
                self.assertEqual(websocket.recv(), "2: still here")
                self.assertEqual(daemon.pids(), pids)
                self.assertEqual(client.who(TWO), (2, pids[2]))
                self.assertEqual(late.reader.response().body, b"1 %d late" % pids[1])
            # The new program knows what to start.
            reload(daemon)
            self.assertEqual(client.who(ONE), (1, daemon.pids()[1]))
            wait_for(lambda: not _alive(pids[1]), what="the end of the old worker")
            self.assertEqual(word(daemon, pids[1]), ["started", "ended"])


class Wear(Life):
    def check(self, *app: str) -> None:
        with start(*app, "--max-requests", "5") as daemon:
            client = self.client(daemon)
            first = client.who(ONE)[1]
            asked = 1
            while client.who(ONE)[1] == first:
                asked += 1
                self.assertLess(asked, 100_000)
            self.assertGreaterEqual(asked, 5)
            self.assertEqual(daemon.report()["workers"]["lost"], 0)

    def test_asgi(self) -> None:
        self.check(*ASGI)

    @slow
    def test_wsgi(self) -> None:
        self.check(*WSGI)


@unittest.skipUnless(SLOW, "takes seconds: make check-slow")
class Silence(Life):
    def test_a_blocked_loop_is_found(self) -> None:
        with start(*ASGI, "--timeout", "2") as daemon:
            client = self.client(daemon)
            pid = daemon.pids()[1]
            client.sock.sendall(request(ONE, "/block?s=60"))
            daemon.said("has been silent for 2.0 s and is killed")
            daemon.said("stickyd_life_kinds.py")
            with self.assertRaises((EOFError, ConnectionResetError)):
                client.reader.response()
            self.assertNotEqual(self.client(daemon).who(ONE)[1], pid)

    def test_a_startup_that_does_not_end_is_given_up(self) -> None:
        with start(*ASGI, "--start-timeout", "2") as daemon:
            (life(daemon) / "hangs-1").touch()
            pids = daemon.pids()
            daemon.process.send_signal(signal.SIGHUP)
            daemon.said("has been silent for 2.0 s and is killed")
            daemon.said("given up")
            self.assertEqual(daemon.pids(), pids)


class Bounds(Life):
    def test_places_and_loads(self) -> None:
        options = ("--max-connections", "3", "--hash-balance-factor", "150")
        with start(*ASGI, *options, "--affinity-scope", "request", workers=2) as daemon:

            def loads() -> list[int]:
                return [slot["load"] for slot in daemon.report()["slots"]]

            client, late = self.client(daemon), self.client(daemon)
            client.who(ONE)
            late.sock.sendall(request(ONE, "/late?s=0.5"))
            with daemon.connect() as sock, over(sock, TWO) as websocket:
                websocket.send("a place")
                websocket.recv()
                wait_for(lambda: sum(loads()) == 2, what="a load of each")
                with daemon.connect() as refused:
                    # A client that sends nothing is accepted late (TCP_DEFER_ACCEPT).
                    refused.sendall(request(ONE))
                    self.assertEqual(Reader(refused).response().status, 503)
                self.assertEqual(daemon.report()["connections"]["open"], 3)
            late.reader.response()
            wait_for(lambda: loads() == [0, 0], what="no load")
            wait_for(lambda: daemon.report()["connections"]["open"] == 2)
            self.assertEqual(self.client(daemon).who(ONE)[0], 1)

    @slow
    def test_time(self) -> None:
        options = ("--body-timeout", "1", "--min-rate", "1000", "--half-close-timeout", "0.5")
        with start(*ASGI, *options) as daemon:
            pid = daemon.pids()[1]
            self.assertIn(b"late", daemon.exchange(request(ONE, "/late?s=0.2")))
            with self.assertRaises(ConnectionResetError):
                daemon.exchange(request(ONE, "/silent"))
            wait_for(lambda: word(daemon, pid) == ["started", "disconnect"])
            client = self.client(daemon)
            client.sock.sendall(request(ONE, "/body", "POST", bytes(5000))[:-4990])
            ended = threading.Event()

            def trickle() -> None:
                while not ended.wait(0.1):
                    client.sock.sendall(b"x")

            thread = threading.Thread(target=trickle)
            thread.start()
            self.assertEqual(client.reader.response().status, 408)
            ended.set()
            thread.join()
            wait_for(lambda: word(daemon, pid) == ["started", "disconnect", "disconnect"])


class Stop(Life):
    def check(self, *app: str) -> None:
        with start(*app) as daemon:
            client = self.client(daemon)
            client.sock.sendall(request(ONE, "/begun"))
            wait_for(lambda: b"begun" in client.sock.recv(4096, socket.MSG_PEEK))
            daemon.process.send_signal(signal.SIGTERM)
            daemon.said("shutting down")
            (life(daemon) / "go").touch()
            self.assertEqual(client.reader.response().body, b"begun done")
            self.assertTrue(client.reader.at_end())
            # Not at the end of the grace of 30 s.
            daemon.wait(20)

    def test_an_answer_of_asgi_that_had_begun_is_the_last_on_its_connection(self) -> None:
        self.check(*ASGI)

    def test_one_of_twisted_web_too(self) -> None:
        self.check("--class", "stickyd_life_app:App")
