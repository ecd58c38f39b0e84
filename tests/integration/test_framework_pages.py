"""Pages as people write them, of twisted.web, Flask, Django and FastAPI, on a real daemon."""

import hashlib
import json
import re
import unittest
from pathlib import Path
from typing import Any

from stickyd.routing.signed_keys import secret_of, slot_in
from tests.support.daemon import Daemon, Reader, Response, wait_for
from tests.support.extent import slow
from tests.support.framework_pages import KINDS, MEBI, Kind, get, upload


class Pages(unittest.TestCase):
    """One daemon a kind, for all of its pages."""

    def check(self, kind: Kind) -> None:
        with Daemon(*kind.options, workers=1) as daemon, daemon.connect() as sock:
            self.daemon, self.kind = daemon, kind
            self.sock, self.reader = sock, Reader(sock)
            for page in (self.stream, self.events, self.upload, self.background, self.boom):
                with self.subTest(kind=kind.name, page=page.__name__):
                    page()

    def ask(self, path: str) -> Response:
        self.sock.sendall(get(path))
        return self.reader.response()

    def state(self) -> Any:
        return json.loads(self.ask("/state").body)

    def stream(self) -> None:
        response = self.ask(f"{self.kind.streams}/stream?n=200")
        sha = hashlib.sha256()
        for number in range(200):
            sha.update(bytes([number % 251]) * 65536)
        self.assertEqual(hashlib.sha256(response.body).digest(), sha.digest())
        self.assertEqual(response.headers["transfer-encoding"], "chunked")

    def events(self) -> None:
        """They have no end, so what is read has come as it was written; until the client goes."""
        with self.daemon.connect() as sock:
            sock.sendall(get(f"{self.kind.streams}/events"))
            reader = Reader(sock)
            self.assertTrue(reader._line().endswith(b" 200 OK"))
            head = b""
            while line := reader._line():
                head += line.lower()
            self.assertIn(b"text/event-stream", head)
            for number in range(3):
                event = b"data: %d\n\n" % number
                self.assertEqual(int(reader._line(), 16), len(event))
                self.assertEqual(reader._exactly(len(event) + 2), event + b"\r\n")
            self.assertEqual(self.state()["gone"], 0)
        wait_for(lambda: self.state()["gone"] == 1, what="the app hears of the client's end")

    def upload(self) -> None:
        # twisted.web parses forms in memory, several times their size; WSGI and ASGI apps
        # spool them. A bare body is a matter of the disk for it, too.
        in_form = self.kind.options[0] != "--class"
        sizes = ((64 * MEBI, in_form),) if in_form else ((64 * MEBI, False), (4 * MEBI, True))
        for size, in_form in sizes:
            with self.daemon.connect() as sock:
                response, right = upload(sock, size, in_form)
            self.assertEqual((response.status, response.body), (200, right))
        status = Path(f"/proc/{self.daemon.pids()[1]}/status").read_text()
        most = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
        self.assertLess(most, 160, "MiB at most, with the app and its libraries")

    def background(self) -> None:
        self.assertEqual(self.ask("/background").status, 202)
        self.assertEqual(self.state()["done"], [])
        self.ask("/go")
        (key,) = wait_for(lambda: self.state()["done"], what="the work behind the answer")
        self.assertEqual(slot_in(key, secret_of(1)), 1)

    def boom(self) -> None:
        response = self.ask("/boom")
        self.assertEqual(response.status, 500)
        self.assertNotIn(b"fault", response.body)
        log = self.daemon.log
        wait_for(lambda: any("ValueError: a page's fault" in line for line in log))
        # The next request is served: here, or by who comes again.
        with self.daemon.connect() as sock:
            sock.sendall(get("/state"))
            self.assertEqual(Reader(sock).response().status, 200)
        log[:] = [line for line in log if "Traceback" not in line]

    def test_twisted_web(self) -> None:
        self.check(KINDS[0])

    def test_flask(self) -> None:
        self.check(KINDS[1])

    @slow
    def test_django_wsgi(self) -> None:
        self.check(KINDS[2])

    @slow
    def test_django_asgi(self) -> None:
        self.check(KINDS[3])

    def test_fastapi(self) -> None:
        self.check(KINDS[4])
