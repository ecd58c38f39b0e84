"""Socket.IO's polling: every session in its worker, on connections that all sessions share.

With proxies, Redis and the clients that people use: tests/slow/socketio.
"""

import json
import random
import unittest

from tests.support.daemon import Daemon, Reader, Response

APP = ("--asgi", "stickyd_socketio_app:app")
SESSIONS = 20
CONNECTIONS = 5
WORDS = 3


class Proxy:
    """Sends every request on one of few connections, by chance."""

    def __init__(self, case: unittest.TestCase, daemon: Daemon, chance: random.Random) -> None:
        self._chance = chance
        self._connections = []
        for _ in range(CONNECTIONS):
            sock = daemon.connect()
            case.addCleanup(sock.close)
            self._connections.append((sock, Reader(sock)))

    def ask(self, method: str, query: str, headers: dict[str, str], body: str = "") -> Response:
        sock, reader = self._chance.choice(self._connections)
        lines = [
            f"{method} /socket.io/?EIO=4&transport=polling{query} HTTP/1.1",
            *("Host: test", f"Content-Length: {len(body)}"),
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        sock.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        return reader.response()


class Session:
    """One client. Its requests follow each other, so that no poll has to wait."""

    def __init__(self, proxy: Proxy, number: int, forwarded: bool) -> None:
        self.name = f"s{number}"
        self.heard: list[str] = []
        self.workers: set[str] = set()
        self.errors: list[str] = []
        self._proxy = proxy
        self._number = number
        self._forwarded = forwarded
        self._query = ""
        self._acknowledged = 0
        self._asked = 0

    def _ask(self, method: str, body: str = "") -> str:
        # Without an address the first request goes anywhere; the others, where their id was made.
        self._asked += 1
        other = {"X-Request-ID": f"{self.name}-{self._asked}"}
        address = {"X-Forwarded-For": f"10.7.0.{self._number}"}
        headers = address if self._forwarded else other
        response = self._proxy.ask(method, self._query, headers, body)
        self.workers.add(response.headers["x-stickyd-worker"])
        if response.status != 200:
            self.errors.append(f"{response.status} {response.body.decode()}")
        return response.body.decode()

    def open(self) -> None:
        opened = self._ask("GET")
        self._query = f"&sid={json.loads(opened[1:])['sid']}"

    def enter(self) -> None:
        self._ask("POST", "40" + json.dumps({"room": self.name}))
        self._poll()

    def talk(self, number: int) -> None:
        self._ask("POST", f"42{number}" + json.dumps(["say", self.name, f"{self.name}.{number}"]))
        while len(self.heard) + self._acknowledged < 2 * (number + 1) and not self.errors:
            self._poll()

    def _poll(self) -> None:
        if self.errors:
            # The server has nothing to say: the answer would not come.
            return
        for packet in self._ask("GET").split("\x1e"):
            if packet.startswith("42"):
                self.heard.append(json.loads(packet[2:])[1])
            self._acknowledged += packet.startswith("43")


class Polling(unittest.TestCase):
    def sessions(self, *options: str, workers: int = 4, forwarded: bool = True) -> list[Session]:
        """What became of 20 sessions whose requests are mixed."""
        chance = random.Random(1)
        with Daemon(*APP, "--worker-header", *options, workers=workers) as daemon:
            proxy = Proxy(self, daemon, chance)
            sessions = [Session(proxy, n, forwarded) for n in range(SESSIONS)]
            for session in sessions:
                session.open()
            for session in sessions:
                session.enter()
            for number in range(WORDS):
                for session in chance.sample(sessions, SESSIONS):
                    if not session.errors:
                        session.talk(number)
        return sessions

    def check(self, sessions: list[Session]) -> None:
        for session in sessions:
            self.assertEqual(session.errors, [])
            self.assertEqual(session.heard, [f"{session.name}.{n}" for n in range(WORDS)])
            self.assertEqual(len(session.workers), 1)
        self.assertGreater(len({worker for one in sessions for worker in one.workers}), 1)

    def test_by_address(self) -> None:
        self.check(self.sessions("--affinity-scope", "request"))

    def test_by_id(self) -> None:
        affinity = "socketio,hdr(x-request-id)"
        options = ("--affinity-scope", "request", "--affinity", affinity)
        self.check(self.sessions(*options, workers=2, forwarded=False))

    def test_in_connection_scope_sessions_break(self) -> None:
        """What the scope is for, and that the test can fail."""
        sessions = self.sessions("--affinity-scope", "connection", workers=2)
        broken = [session for session in sessions if session.errors]
        self.assertGreater(len(broken), SESSIONS / 4)
        for session in broken:
            self.assertIn("Invalid session", session.errors[0])
