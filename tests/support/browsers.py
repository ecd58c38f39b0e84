"""Clients with a cookie jar, all of one address, as browsers behind one NAT are."""

import json
import re
import socket
from types import TracebackType
from typing import Any

from tests.support.daemon import Daemon, Reader, Response, connected


class Answer:
    """One response, with every line of its head.

    :ivar told: what the app has seen (tests/apps/stickyd_ids_app.py).
    """

    def __init__(self, response: Response, cookies: list[str]) -> None:
        self.status = response.status
        self.headers = response.headers
        self.cookies = cookies
        match = re.search(rb"\{.*\}", response.body)
        self.told: dict[str, Any] = json.loads(match[0]) if match else {}

    @property
    def slot(self) -> int:
        return int(self.told["slot"])


class CookieReader(Reader):
    """Keeps the Set-Cookie lines of the last response apart, in order."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.cookies: list[str] = []

    def _line(self) -> bytes:
        line = super()._line()
        if line.startswith(b"HTTP/"):
            self.cookies = []
        if line.lower().startswith(b"set-cookie:"):
            self.cookies.append(line.partition(b":")[2].strip().decode())
        return line


class Connection:
    """A kept-alive connection, of one browser or of a proxy."""

    def __init__(self, port: int) -> None:
        self.sock = connected(port)
        self._reader = CookieReader(self.sock)

    def ask(self, path: str = "/", *lines: str, method: str = "GET") -> Answer:
        """A request and its answer; ``lines`` are header fields."""
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: test", *lines, "", ""])
        self.sock.sendall(head.encode())
        return Answer(self._reader.response(method), self._reader.cookies)

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Browser:
    """A client with a cookie jar.

    :ivar jar: its cookies; Max-Age=0 and paths are not kept in mind.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._port = daemon.port
        self.jar: dict[str, str] = {}

    def ask(self, path: str = "/", *lines: str, over: Connection | None = None) -> Answer:
        """A request, by default on a connection of its own."""
        if self.jar:
            pairs = "; ".join(f"{name}={value}" for name, value in self.jar.items())
            lines = (*lines, f"Cookie: {pairs}")
        if over is not None:
            answer = over.ask(path, *lines)
        else:
            with Connection(self._port) as connection:
                answer = connection.ask(path, *lines)
        for line in answer.cookies:
            name, _, value = line.partition(";")[0].partition("=")
            self.jar[name] = value
        return answer
