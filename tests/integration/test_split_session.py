"""A reload while a client has both a WebSocket and requests, which share a session in memory."""

import contextlib
import json

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.integration.test_lifecycle import ONE, Client, Life, reload
from tests.integration.test_websocket import over
from tests.support.daemon import Daemon, Response, _alive, request, wait_for


class Split(Life):
    options: tuple[str, ...] = ("--asgi", "stickyd_session_apps:app")

    def setUp(self) -> None:
        super().setUp()
        self.daemon = self.enterContext(Daemon(*self.options))
        kept = self.client(self.daemon)
        self.websocket = self.open()
        self.name = str(self.websocket.recv(30))
        before = self.daemon.pids()
        self.assertEqual(self.add(kept, "one").status, 200)
        self.assertEqual(self.listed(), ["one"])
        reload(self.daemon)
        wait_for(lambda: len(self.daemon.pids()) == len(before), what="all new workers")
        self.assertFalse(set(self.daemon.pids().values()) & set(before.values()))
        self.over_kept = self.add(kept, "two")
        self.over_new = self.add(self.client(self.daemon), "three")
        for answer in (self.over_kept, self.over_new):
            self.assertIn(answer.status, (200, 404))
        # The grace goes on: the session lives, and its client sees nothing wrong with it.
        self.after = self.listed()
        self.assertEqual(self.after[0], "one")

    def open(self) -> ClientConnection:
        sock = self.daemon.connect()
        self.addCleanup(sock.close)
        return self.enterContext(over(sock, ONE))

    def listed(self) -> list[str]:
        """What the session has, told over the WebSocket."""
        self.websocket.send("list")
        return list(json.loads(self.websocket.recv(30)))

    def add(self, client: Client, what: str) -> Response:
        client.sock.sendall(request(ONE, f"/add/{self.name}", "POST", what.encode()))
        return client.reader.response()

    def test_every_request_finds_the_session(self) -> None:
        statuses = [answer.status for answer in (self.over_kept, self.over_new)]
        self.assertEqual((statuses, self.after), ([200, 200], ["one", "two", "three"]))

    def test_another_reload_ends_it_in_order(self) -> None:
        """The socket is closed before its key is another worker's."""
        reload(self.daemon)
        with self.assertRaises(ConnectionClosed) as closed:
            self.websocket.recv(30)
        self.assertEqual(closed.exception.rcvd.code if closed.exception.rcvd else None, 1012)
        self.websocket = self.open()
        self.name = str(self.websocket.recv(30))
        for what in ("one", "two"):
            self.assertEqual(self.add(self.client(self.daemon), what).status, 200)
        self.assertEqual(self.listed(), ["one", "two"])


class SplitInRequestScope(Split):
    """twisted.web, and connections that may move."""

    options = ("--class", "stickyd_session_apps.root", "--affinity-scope", "request")


class SplitWithACookie(Split):
    """The key of the WebSocket is the cookie that its handshake has got."""

    options = (
        *("--asgi", "stickyd_session_apps:app", "--affinity", "insert(S),least"),
        *("--affinity-scope", "request"),
    )

    def open(self) -> ClientConnection:
        websocket = super().open()
        assert websocket.response is not None
        self.cookie = websocket.response.headers["Set-Cookie"].partition(";")[0]
        return websocket

    def add(self, client: Client, what: str) -> Response:
        body = what.encode()
        lines = (f"POST /add/{self.name} HTTP/1.1", "Host: a", f"Cookie: {self.cookie}")
        head = "\r\n".join((*lines, f"Content-Length: {len(body)}", "", ""))
        client.sock.sendall(head.encode() + body)
        return client.reader.response()


class Grace(Life):
    """What happens to a socket that is still open when the grace is over."""

    def test_it_is_closed_and_its_key_is_the_new_workers(self) -> None:
        options = ("--asgi", "stickyd_session_apps:app", "--graceful-timeout", "2")
        with Daemon(*options) as daemon, contextlib.ExitStack() as stack:
            sock = daemon.connect()
            stack.callback(sock.close)
            websocket = stack.enter_context(over(sock, ONE))
            websocket.recv(30)
            old = daemon.pids()[1]
            reload(daemon)
            with self.assertRaises(ConnectionClosed) as closed:
                websocket.recv(30)
            assert closed.exception.rcvd is not None
            self.assertEqual(closed.exception.rcvd.code, 1012)
            wait_for(lambda: not _alive(old), what="the end of the old worker")
            again = daemon.connect()
            stack.callback(again.close)
            name = str(stack.enter_context(over(again, ONE)).recv(30))
            client = self.client(daemon)
            client.sock.sendall(request(ONE, f"/add/{name}", "POST", b"one"))
            self.assertEqual(client.reader.response().status, 200)
