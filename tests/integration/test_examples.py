"""The examples: each is started by the command in its README, and does what it says."""

import shlex
import sys
import unittest
from pathlib import Path

from websockets.sync.client import connect

from tests.support.daemon import ROOT, Daemon, Reader, request

EXAMPLES = ROOT / "examples"
ONE, TWO = "10.10.10.10", "10.10.12.11"
"""Clients of worker 1 and worker 2, at seed 1 and two workers."""


def documented(folder: Path) -> list[str]:
    """The arguments of the one command in a folder's README."""
    lines = (folder / "README.md").read_text().splitlines()
    (command,) = (line.strip() for line in lines if line.startswith("    "))
    words = shlex.split(command)
    if words[:2] != ["stickyd", "run"]:
        raise AssertionError(command)
    return [sys.executable, "-m", "stickyd", *words[1:]]


def started(name: str) -> Daemon:
    folder = EXAMPLES / name
    return Daemon(
        command=documented(folder),
        cwd=str(folder),
        environment={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )


class Examples(unittest.TestCase):
    def test_there_is_no_other(self) -> None:
        tested = {"twisted_web", "klein", "flask", "fastapi", "django_channels", "socketio_chat"}
        self.assertEqual({path.name for path in EXAMPLES.iterdir() if path.is_dir()}, tested)

    def check_visits(self, daemon: Daemon) -> None:
        with daemon.connect() as sock:
            reader = Reader(sock)
            for visit in (1, 2):
                sock.sendall(request(ONE))
                said = reader.response().body
                self.assertEqual(said, b"visit %d of 10.10.10.10, worker 1\n" % visit)
        with daemon.connect() as sock:
            sock.sendall(request(TWO))
            said = Reader(sock).response().body
            self.assertEqual(said, b"visit 1 of 10.10.12.11, worker 2\n")

    def test_twisted_web(self) -> None:
        with started("twisted_web") as daemon:
            self.check_visits(daemon)

    def test_klein(self) -> None:
        with started("klein") as daemon:
            self.check_visits(daemon)

    def test_flask(self) -> None:
        with started("flask") as daemon:
            self.check_visits(daemon)

    def test_fastapi(self) -> None:
        with started("fastapi") as daemon:
            self.check_visits(daemon)

    def test_django_channels(self) -> None:
        with started("django_channels") as daemon:
            self.check_visits(daemon)
            headers = {"X-Forwarded-For": TWO}
            url = f"ws://127.0.0.1:{daemon.port}/ws"
            with connect(url, additional_headers=headers) as websocket:
                for visit in (2, 3):
                    websocket.send("again")
                    said = websocket.recv()
                    self.assertEqual(said, f"visit {visit} of {TWO}, worker 2\n")

    def test_socketio_chat(self) -> None:
        with started("socketio_chat") as daemon:
            with daemon.connect() as sock:
                sock.sendall(request(ONE))
                response = Reader(sock).response()
                self.assertIn(b"You are at worker", response.body)
            headers = {"X-Forwarded-For": ONE}
            url = f"ws://127.0.0.1:{daemon.port}/socket.io/?EIO=4&transport=websocket"
            with connect(url, additional_headers=headers) as websocket:
                self.assertIn('"sid"', str(websocket.recv()))
                websocket.send("40")
                first = sorted(str(websocket.recv()) for _ in range(2))
                self.assertTrue(first[0].startswith("40{"), first)
                self.assertEqual(first[1], '42["worker","1"]')
                websocket.send('42["say","hello"]')
                self.assertEqual(websocket.recv(), '42["said",{"worker":"1","text":"hello"}]')
