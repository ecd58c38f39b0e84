"""A daemon that speaks TLS, and its clients."""

import socket
import struct
from pathlib import Path
from typing import Any

from OpenSSL import SSL

from tests.support.authority import Authority, key_pem
from tests.support.daemon import Daemon

_PATIENCE = struct.pack("ll", 30, 0)
"""Seconds and microseconds that a read may take (SO_RCVTIMEO, socket(7))."""

PASSWORD = b"open sesame"
"""Of the keys."""


class TlsDaemon(Daemon):
    """A daemon that speaks TLS on ``port``, with a certificate for ``localhost``."""

    def __init__(self, *options: str, **how: Any) -> None:
        super().__init__(*options, **how)
        self.authority = Authority(self.directory.name)
        directory = Path(self.directory.name)
        self.certificate, self.key = directory / "server.pem", directory / "server.key"
        password = directory / "password"
        password.write_bytes(PASSWORD + b"\n")
        self.renew()
        at = self.command.index("--listen")
        self.command[at : at + 2] = [
            *("--bind", f"tls:127.0.0.1:{self.port}"),
            *("--ssl-certfile", str(self.certificate), "--ssl-keyfile", str(self.key)),
            *("--ssl-keyfile-password", f"@{password}"),
        ]

    def renew(self) -> None:
        """Put a new certificate in the place of the present one."""
        certificate, key = self.authority.certify("localhost")
        self.certificate.write_bytes(certificate)
        self.key.write_bytes(key_pem(key, PASSWORD))

    def tls_pids(self) -> list[int]:
        """The TLS processes."""
        return [pid for pid in self.family()[1:] if b"stickyd.tls" in _arguments(pid)]

    def secure(self, **how: Any) -> "TlsClient":
        """A new client connection over TLS."""
        return TlsClient(self.connect(), self.authority.cafile, **how)

    def exchange(self, data: bytes, pieces: list[bytes] | None = None) -> bytes:
        """As the parent, over TLS; the connection ends with close_notify."""
        with self.secure() as client:
            for piece in pieces or [data]:
                client.sendall(piece)
            client.half_close()
            answer = client.read_all()
            assert client.closed_in_order, "no close_notify"
            return answer


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def client_context(cafile: str, version: int = 0) -> SSL.Context:
    """A client's context.

    :param version: the only one it speaks; 0 for all.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.load_verify_locations(cafile)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: bool(_[-1]))
    if version:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    return context


class TlsClient:
    """A client whose ends of the two directions are its own; `ssl` has no half-close.

    :param own: paths of a certificate and its key, with which the client proves who it is.
    :param context: for many clients; None for one of its own.
    :ivar closed_in_order: the server has sent close_notify.
    """

    def __init__(
        self,
        sock: socket.socket,
        cafile: str,
        *,
        version: int = 0,
        name: bytes = b"localhost",
        alpn: tuple[bytes, ...] = (),
        own: tuple[str, str] | None = None,
        context: SSL.Context | None = None,
    ) -> None:
        self.socket = sock
        context = context or client_context(cafile, version)
        if own is not None:
            context.use_certificate_file(own[0])
            context.use_privatekey_file(own[1])
        # A timeout of Python's makes the socket non-blocking, which pyOpenSSL shows.
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        self.tls = SSL.Connection(context, sock)
        self.tls.set_tlsext_host_name(name)
        if alpn:
            self.tls.set_alpn_protos(list(alpn))
        self.tls.set_connect_state()
        self.closed_in_order = False
        try:
            self.tls.do_handshake()
        except SSL.Error:
            sock.close()
            raise

    def __enter__(self) -> "TlsClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        self.tls.sendall(data)

    def half_close(self) -> None:
        """Send close_notify, and go on reading."""
        self.tls.shutdown()

    def recv(self, most: int) -> bytes:
        """As of a socket: nothing at the end, in order or not."""
        try:
            return self.tls.recv(most)
        except SSL.ZeroReturnError:
            self.closed_in_order = True
            return b""
        except SSL.SysCallError:
            return b""

    def read_all(self) -> bytes:
        """Everything until the server finishes."""
        parts = []
        while data := self.recv(65536):
            parts.append(data)
        return b"".join(parts)

    @property
    def serial(self) -> int:
        """Of the server's certificate."""
        certificate = self.tls.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        return certificate.serial_number
