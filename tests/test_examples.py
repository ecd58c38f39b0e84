"""The examples, started by the command that stands in their READMEs."""

import json
import re
import shlex
import sys
import unittest

from websockets.sync.client import ClientConnection, connect

from stickyd.settings import Settings
from tests.daemon import ROOT, Daemon, Reader, Response, request

EXAMPLES = ROOT / "examples"
ONE, TWO = "10.10.10.10", "10.10.12.11"


def blocks(name: str) -> list[str]:
    """The command lines of an example's README."""
    text = (EXAMPLES / name / "README.md").read_text()
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


class Example(unittest.TestCase):
    def start(self, name: str) -> Daemon:
        """The daemon of the first command in the README, as it stands there but for the port."""
        line = next(line for line in blocks(name) if line.startswith("stickyd run "))
        words = shlex.split(line)
        (workers,) = re.findall(r"--workers (\d+)", line)
        daemon = Daemon(workers=int(workers), cwd=str(EXAMPLES / name))
        program = [sys.executable, "-W", "error", "-m", "stickyd.cli"]
        own = daemon.command[daemon.command.index("--listen") :]
        daemon.command = [*program, *words[1:], *own]
        # As for somebody who has installed stickyd, and nothing else of ours.
        daemon._environment["PYTHONPATH"] = str(ROOT)
        daemon._environment.pop("REDIS_URL", None)
        daemon.__enter__()
        self.addCleanup(daemon.__exit__, None, None, None)
        return daemon

    def path(self, name: str) -> str:
        """What the README asks for with curl."""
        line = next(line for line in blocks(name) if line.startswith("curl "))
        return shlex.split(line)[-1].removeprefix("http://localhost:3000")

    def ask(self, daemon: Daemon, client: str, path: str) -> Response:
        with daemon.connect() as sock:
            sock.sendall(request(client, path))
            return Reader(sock).response()

    def websocket(self, daemon: Daemon, client: str, path: str) -> ClientConnection:
        sock = daemon.connect()
        headers = {"X-Forwarded-For": client}
        self.addCleanup(sock.close)
        url = f"ws://localhost{path}"
        return self.enterContext(connect(url, sock=sock, additional_headers=headers, proxy=None))

    def check_visits(self, name: str) -> None:
        """Two clients on one connection, each counted by its own worker."""
        daemon = self.start(name)
        table = Settings(workers=2).policy().table
        with daemon.connect() as sock:
            reader = Reader(sock)
            for visit in (1, 2, 3):
                for client in (ONE, TWO):
                    sock.sendall(request(client, self.path(name)))
                    response = reader.response()
                    slot = table.slot_of(client.encode())
                    due = f"visit {visit} of {client}, worker {slot}\n"
                    self.assertEqual((response.status, response.body.decode()), (200, due))
                    self.assertIn("text/plain", response.headers["content-type"])

    def test_twisted_web(self) -> None:
        self.check_visits("twisted_web")

    def test_klein(self) -> None:
        self.check_visits("klein")

    def test_flask(self) -> None:
        self.check_visits("flask")

    def test_fastapi(self) -> None:
        self.check_visits("fastapi")

    def test_django_channels(self) -> None:
        daemon = self.start("django_channels")
        path = self.path("django_channels")
        empty = self.ask(daemon, ONE, path)
        slot = int(empty.body.decode().split()[-1])
        self.assertEqual(empty.body.decode(), f"0 in 'tea', worker {slot}\n")
        # Clients of both workers by their addresses: the room decides.
        first, second = (self.websocket(daemon, who, "/ws?room=tea") for who in (ONE, TWO))
        other = self.websocket(daemon, ONE, "/ws?room=coffee")
        first.send("hello")
        for websocket in (first, second):
            told = json.loads(websocket.recv(10))
            self.assertEqual(told, {"text": "hello", "by": ONE, "worker": slot})
        other.send("alone")
        self.assertEqual(json.loads(other.recv(10))["text"], "alone")
        self.assertEqual(self.ask(daemon, TWO, path).body.decode(), f"2 in 'tea', worker {slot}\n")

    def test_socketio_chat(self) -> None:
        daemon = self.start("socketio_chat")
        page = self.ask(daemon, ONE, self.path("socketio_chat"))
        self.assertEqual(page.headers["content-type"], "text/html")
        self.assertIn(b"<title>Chat</title>", page.body)
        websocket = self.websocket(daemon, TWO, "/socket.io/?EIO=4&transport=websocket")
        # Engine.IO's opening, then Socket.IO's, then events.
        self.assertTrue(websocket.recv(10).startswith('0{"sid":"'))
        websocket.send("40")
        heard = [websocket.recv(10) for _ in range(2)]
        self.assertIn('42["welcome",{"worker":2}]', heard)
        websocket.send('42["say","Ann","hello"]')
        said = json.loads(websocket.recv(10)[2:])
        self.assertEqual(said, ["said", {"name": "Ann", "text": "hello", "worker": 2}])

    def test_every_example_is_here(self) -> None:
        tracked = {
            path.parent.name for path in EXAMPLES.glob("*/README.md") if path.parent.is_dir()
        }
        self.assertEqual(tracked, {name[5:] for name in dir(Example) if name in _TESTS})
        listed = re.findall(r"^\| \[(\w+)\]", (EXAMPLES / "README.md").read_text(), re.M)
        self.assertEqual(set(listed), tracked)


_TESTS = {f"test_{path.name}" for path in EXAMPLES.iterdir() if path.is_dir()}
