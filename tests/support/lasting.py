"""Clients of what lasts: WebSockets and event streams, and how these end."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.support.daemon import Daemon, request

TICK = b"tick"


def client_of(number: int) -> str:
    """The address of one of many clients."""
    return f"10.20.{number // 250}.{number % 250}"


class End(NamedTuple):
    """How a stream has ended.

    :ivar seconds: from `Stream` on.
    :ivar how: ``FIN`` or ``RST``.
    :ivar whole: a last chunk has come.
    """

    seconds: float
    how: str
    whole: bool


class Stream:
    """A client that reads a stream and closes at its end, as a browser's EventSource does."""

    def __init__(self, daemon: Daemon, path: str, client: str, version: str = "1.1") -> None:
        self.sock = daemon.connect()
        self.sock.sendall(request(client, path).replace(b"HTTP/1.1", f"HTTP/{version}".encode()))
        self.data = b""
        while TICK not in self.data:
            self.data += self.sock.recv(65536)

    def end(self) -> End:
        """Read to the end."""
        began = time.monotonic()
        how = "FIN"
        with self.sock:
            try:
                while data := self.sock.recv(65536):
                    self.data += data
            except ConnectionResetError:
                how = "RST"
        return End(time.monotonic() - began, how, self.data.endswith(b"0\r\n\r\n"))


@contextlib.contextmanager
def core(native: str) -> Iterator[None]:
    """Daemons with the Python core if ``native`` is "0"; with "" with the one that is there."""
    before = os.environ.get("STICKYD_NATIVE")
    os.environ["STICKYD_NATIVE"] = native or before or ""
    try:
        yield
    finally:
        os.environ.pop("STICKYD_NATIVE")
        if before is not None:
            os.environ["STICKYD_NATIVE"] = before


@contextlib.contextmanager
def over(daemon: Daemon, client: str, path: str = "/ws") -> Iterator[ClientConnection]:
    """A WebSocket of a client."""
    headers = {"X-Forwarded-For": client}
    with (
        daemon.connect() as sock,
        connect(f"ws://test{path}", sock=sock, additional_headers=headers, proxy=None) as websocket,
    ):
        yield websocket


def code_of(websocket: ClientConnection, seconds: float = 30.0) -> int:
    """The close code that the server sends."""
    try:
        while True:
            websocket.recv(seconds)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 1006


def together(calls: list[Any]) -> list[Any]:
    """The results of calls in a thread each."""
    results: list[Any] = [None] * len(calls)

    def run(at: int) -> None:
        results[at] = calls[at]()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def port_is_free(daemon: Daemon) -> bool:
    """Whether another program could listen there now."""
    with socket.socket() as sock:
        # For connections that have ended (TIME_WAIT); one that listens is in the way nevertheless.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", daemon.port))
        except OSError:
            return False
    return True
