"""Servers for `stickyd verify` that behave in one way each."""

import contextlib
import io
import re
import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator

from stickyd.cli.main import main

VERIFY = [sys.executable, "-W", "error", "-m", "stickyd", "verify"]

FEW = ["--requests", "50", "--clients", "9"]

Serve = Callable[[socket.socket, int], None]


class FakeServer:
    """Calls ``serve(connection, number)`` in a thread of its own for each connection."""

    def __init__(self, serve: Serve, context: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._context = context
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def __enter__(self) -> "FakeServer":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()
        return self

    def _accept(self) -> None:
        for number in range(10**6):
            sock, _ = self._listener.accept()
            if self._stopping.is_set():
                sock.close()
                return
            thread = threading.Thread(target=self._one, args=(sock, number))
            self._threads.append(thread)
            thread.start()

    def _one(self, sock: socket.socket, number: int) -> None:
        # A client may leave at any point; verify's own answer is what is looked at.
        with contextlib.suppress(OSError), sock:
            sock.settimeout(10)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                with self._context.wrap_socket(sock, server_side=True) as secure:
                    self._serve(secure, number)
            else:
                self._serve(sock, number)

    def __exit__(self, *exception: object) -> None:
        self._stopping.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._accepting.join(15)
        self._listener.close()
        for thread in self._threads:
            thread.join(15)


def requests_of(sock: socket.socket) -> Iterator[int]:
    """The last number of each request's client address, until the client ends."""
    held = b""
    while True:
        while b"\r\n\r\n" in held:
            head, _, held = held.partition(b"\r\n\r\n")
            match = re.search(rb"X-Forwarded-For: \d+\.\d+\.(\d+)\.(\d+)", head)
            assert match
            yield int(match[1]) + int(match[2])
        if b"\n\n" in held:
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return
        data = sock.recv(65536)
        if not data:
            return
        held += data


def reply(worker: object, *fields: str) -> bytes:
    body = f"From worker {worker} here"
    return "\r\n".join(
        ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *fields, "", body]
    ).encode()


def sticky(sock: socket.socket, number: int) -> None:
    for client in requests_of(sock):
        sock.sendall(reply(client % 2))


def closing(sock: socket.socket, number: int) -> None:
    for client in requests_of(sock):
        sock.sendall(reply(client % 2, "Connection: close"))
        return


def vanishing(sock: socket.socket, number: int) -> None:
    for client in requests_of(sock):
        sock.sendall(reply(client % 2))
        return


def by_turns(sock: socket.socket, number: int) -> None:
    for _ in requests_of(sock):
        sock.sendall(reply(number % 2))


def to_the_end(sock: socket.socket, number: int) -> None:
    for client in requests_of(sock):
        sock.sendall(b"HTTP/1.0 200 OK\r\nX-Worker: %d\r\n\r\nbody" % (client % 2))
        return


def impatient(sock: socket.socket, number: int) -> None:
    """Takes a half-close for a client that left."""
    # Later connections are those of the mix, which are never half-closed: no need to wait.
    if number >= 16 or not half_closed(sock):
        sticky(sock, number)


def half_closed(sock: socket.socket) -> bool:
    """Whether the client has finished sending within 0.2 s of its first byte."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    sock.recv(1, socket.MSG_PEEK)
    return bool(poll.poll(200))


def offended_by_half_close(answer: bytes | None) -> Serve:
    """Sends ``answer`` to a client that has finished sending, None: nothing, and keeps it.

    The connections of the mix, which come later, are served without a look.
    """

    def serve(sock: socket.socket, number: int) -> None:
        if number >= 16 or not half_closed(sock):
            sticky(sock, number)
        elif answer is not None:
            sock.sendall(answer)
        else:
            # Gone when the client gives up: only then has the socket more to say than RDHUP.
            poll = select.poll()
            poll.register(sock, 0)
            poll.poll(10_000)

    return serve


def second_answer_lost(sock: socket.socket, number: int) -> None:
    """Answers the first request, then takes the half-close for an abort."""
    aborted = number < 16 and half_closed(sock)
    for at, client in enumerate(requests_of(sock)):
        sock.sendall(ABORTED if aborted and at else reply(client % 2))


ABORTED = b"HTTP/1.1 499 Client Closed Request\r\nContent-Length: 0\r\n\r\n"


def ran(*arguments: str) -> tuple[int, str, str]:
    """Status, stdout and stderr of ``stickyd verify``."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["verify", *arguments])
    return status, out.getvalue(), err.getvalue()
