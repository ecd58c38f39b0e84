"""Asks a daemon for its report, on the socket of ``--control`` or the listener of ``--admin``."""

import errno
import json
import os
import socket
from http.client import HTTPConnection, HTTPException

import attrs

from stickyd.net.bind_address import connectable
from stickyd.net.unix_socket import path_in

SECONDS = 5.0
"""How long the daemon may take for a part of its answer."""

BYTES_MOST = 1 << 26
_READ = 1 << 16


class Unreachable(Exception):
    """There is no report; the text is one line of ASCII that says what to change."""


@attrs.frozen
class Source:
    """Where a report is.

    :ivar option: that names it: ``control`` or ``admin``.
    :ivar text: its value as given.
    :ivar path: of a Unix socket; "" for TCP.
    :ivar address: host and port.
    """

    option: str
    text: str
    path: str = ""
    address: tuple[str, int] = ("", 0)

    def fetch(self) -> object:
        """The report, as JSON has it.

        :raise Unreachable: if there is none.
        """
        try:
            data = self._by_http() if self.option == "admin" else self._by_socket()
            document: object = json.loads(data)
        except OSError as error:
            raise Unreachable(f"{self.text!a}: {self._why(error)}") from None
        except HTTPException:
            raise Unreachable(f"{self.text!a}: what listens there does not speak HTTP") from None
        except (ValueError, RecursionError):
            raise self.not_ours("it sent no JSON") from None
        return document

    def not_ours(self, why: str) -> Unreachable:
        """What listens there is something else, or of another version."""
        return Unreachable(f"{self.text!a}: is that the --{self.option} of a stickyd? {why}")

    def _by_socket(self) -> bytes:
        with self._connect() as sock:
            parts, size = [], 0
            while data := sock.recv(_READ):
                parts.append(data)
                size += len(data)
                if size > BYTES_MOST:
                    raise self.not_ours("it sent more than 64 MiB")
        return b"".join(parts)

    def _by_http(self) -> bytes:
        host, port = self.address if not self.path else ("localhost", 80)
        connection = HTTPConnection(host, port, timeout=SECONDS)
        connection.sock = self._connect()
        try:
            connection.request("GET", "/api/status", headers={"Connection": "close"})
            response = connection.getresponse()
            data = response.read(BYTES_MOST)
            if response.status != 200:
                raise self.not_ours(f"/api/status is answered with {response.status}")
        finally:
            connection.close()
        return data

    def _connect(self) -> socket.socket:
        if not self.path:
            return socket.create_connection(self.address, SECONDS)
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(SECONDS)
            sock.connect(self.path)
        except BaseException:
            sock.close()
            raise
        return sock

    def _why(self, error: OSError) -> str:
        started = f"a daemon is to be started with --{self.option} {self.text}"
        if isinstance(error, TimeoutError) or error.errno == errno.EAGAIN:
            return f"no answer within {SECONDS:g} s; the master is stopped, or very busy"
        if isinstance(error, FileNotFoundError):
            return f"there is no such socket; {started}"
        if isinstance(error, ConnectionRefusedError):
            return f"nothing listens there; {started}"
        if isinstance(error, ConnectionError):
            return "the connection was closed before the answer; try again"
        if isinstance(error, PermissionError):
            return "permission denied; use the daemon's user, or root"
        return os.strerror(error.errno) if error.errno else "no connection"


def source_of(option: str, text: str, value: str) -> Source:
    """The source that a value of ``--control`` or ``--admin`` names.

    :param text: the value as given.
    :param value: a path, or an endpoint description.
    :raise ValueError: if a client cannot connect to it.
    """
    if option == "control":
        return Source(option, text, path=value)
    path = path_in(value)
    if path is not None:
        return Source(option, text, path=path)
    address = connectable(value)
    if address is None:
        raise ValueError(f"{text!a} does not say where to connect to; HOST:PORT or unix:PATH does")
    return Source(option, text, address=address)
