"""One connection to the server under test: handshake, what is said, what is heard."""

import base64
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Iterable

import attrs

from tests.slow.websocket_cases.agreed import Agreed
from tests.slow.websocket_cases.frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    RSV1,
    TEXT,
    Breach,
    Frame,
    FrameReader,
)

PATIENCE = 15.0
"""Seconds a case may take."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = base64.b64encode(b"sixteen bytes ..")
_NAMES = {TEXT: "text", BINARY: "binary", PING: "ping", PONG: "pong"}

Event = tuple[str, bytes]
"""``text``, ``binary``, ``ping`` or ``pong``, and what it carries."""


@attrs.frozen
class Until:
    """In what is sent: wait until so many events have been heard, or the end."""

    events: int


Said = Iterable[bytes | Until]


@attrs.define
class Heard:
    """What a server has said.

    :ivar close: code and reason of its Close frame; code None if that was empty.
    :ivar behind: frames behind its Close frame.
    :ivar end: how the connection ended: ``fin``, ``reset``, or ``never``.
    :ivar breach: what it must not have sent.
    """

    events: list[Event] = attrs.field(factory=list)
    close: tuple[int | None, bytes] | None = None
    behind: int = 0
    end: str = "never"
    breach: str = ""


class Connection:
    """A connection after its opening handshake.

    :ivar agreed: about compression.
    :raise Breach: if the handshake goes wrong.
    """

    def __init__(self, port: int, offer: str = "") -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = FrameReader()
        self._until = time.monotonic() + PATIENCE
        self._message: tuple[int, bool, list[bytes]] | None = None
        self._news = threading.Condition()
        self._over = False
        self.heard = Heard()
        try:
            self.agreed = self._open(offer)
        except BaseException:
            self._sock.close()
            raise

    def _open(self, offer: str) -> Agreed:
        asked = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        asked += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n" % _KEY
        if offer:
            asked += b"Sec-WebSocket-Extensions: %b\r\n" % offer.encode()
        self._sock.sendall(asked + b"\r\n")
        got = b""
        while b"\r\n\r\n" not in got:
            data = self._sock.recv(65536)
            if not data:
                raise Breach(f"no handshake, but {got!r}")
            got += data
        head, _, rest = got.partition(b"\r\n\r\n")
        line, *fields = head.split(b"\r\n")
        told = {k.strip().lower(): v.strip() for k, _, v in (f.partition(b":") for f in fields)}
        right = base64.b64encode(hashlib.sha1(_KEY + _GUID).digest())
        if not line.startswith(b"HTTP/1.1 101 ") or told.get(b"sec-websocket-accept") != right:
            raise Breach(f"the handshake is answered with {head!r} (4.2.2)")
        self._reader.add(rest)
        return Agreed.of(offer, told.get(b"sec-websocket-extensions", b"").decode())

    def converse(self, said: Said, chop: int) -> Heard:
        """Say everything, in writes of ``chop`` bytes if that is not 0; hear until the end."""
        speaking = threading.Thread(target=self._speak, args=(said, chop))
        speaking.start()
        try:
            self._listen()
        except Breach as breach:
            self.heard.breach = str(breach)
        finally:
            with self._news:
                self._over = True
                self._news.notify()
            # Ends a `send` that would wait for ever.
            try:
                self._sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            speaking.join()
            self._sock.close()
        return self.heard

    def _speak(self, said: Said, chop: int) -> None:
        try:
            for what in said:
                if isinstance(what, Until):
                    with self._news:
                        self._news.wait_for(
                            lambda least=what.events: self._over or len(self.heard.events) >= least
                        )
                elif chop:
                    for at in range(0, len(what), chop):
                        self._sock.sendall(what[at : at + chop])
                else:
                    self._sock.sendall(what)
        except OSError:
            # The server has ended it; what it said before is heard.
            pass

    def _listen(self) -> None:
        while True:
            for found in self._reader.frames():
                self._take(found)
            left = self._until - time.monotonic()
            if left <= 0:
                return
            self._sock.settimeout(left)
            try:
                data = self._sock.recv(1 << 18)
            except TimeoutError:
                return
            except ConnectionResetError:
                self.heard.end = "reset"
                return
            if not data:
                self.heard.end = "fin"
                return
            self._reader.add(data)

    def _take(self, found: Frame) -> None:
        heard = self.heard
        if heard.close is not None:
            heard.behind += 1
            return
        if found.rsv and not (
            self.agreed.deflate and found.rsv == RSV1 and found.opcode in (TEXT, BINARY)
        ):
            raise Breach(f"reserved bits {found.rsv} (5.2)")
        if found.opcode == CLOSE:
            heard.close = _close_of(found.payload)
        elif found.opcode in (PING, PONG):
            self._hear(found.opcode, found.payload)
        else:
            self._take_data(found)

    def _take_data(self, found: Frame) -> None:
        if (found.opcode == CONT) is (self._message is None):
            raise Breach("fragments out of order (5.4)")
        if self._message is None:
            self._message = found.opcode, bool(found.rsv), []
        opcode, deflated, parts = self._message
        parts.append(found.payload)
        if found.fin:
            self._message = None
            whole = b"".join(parts)
            self._hear(opcode, self.agreed.inflate(whole) if deflated else whole)

    def _hear(self, opcode: int, payload: bytes) -> None:
        with self._news:
            self.heard.events.append((_NAMES[opcode], payload))
            self._news.notify()


def _close_of(payload: bytes) -> tuple[int | None, bytes]:
    if not payload:
        return None, b""
    if len(payload) == 1:
        raise Breach("a Close frame with half a code (5.5.1)")
    (code,) = struct.unpack("!H", payload[:2])
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise Breach("a Close frame whose reason is no UTF-8 (5.5.1)") from None
    if code < 1000 or code > 4999 or code in (1004, 1005, 1006, 1015):
        raise Breach(f"a Close frame with code {code} (7.4)")
    return code, payload[2:]
