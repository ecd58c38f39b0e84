"""One client connection: requests are sent as raw bytes, responses are parsed."""

import socket
import ssl
import time

import attrs
import h11

from stickyd.cli.verify.errors import Ended, NotHttp, TimedOut, Unreachable
from stickyd.cli.verify.response import Answer
from stickyd.cli.verify.tls import secured

_BODY_LIMIT = 4 * 1024 * 1024
_READ = 65536


@attrs.frozen
class Server:
    """Where to connect; ``tls`` is None for plain HTTP. ``timeout`` is in seconds.

    The time is for connecting, and then for each answer as a whole: a server
    cannot stretch it by sending a little at a time.
    """

    host: str
    port: int
    timeout: float = 5.0
    tls: ssl.SSLContext | None = None

    def connect(self) -> "Connection":
        """A fresh connection.

        :raise Unreachable: if there is none within the time.
        """
        try:
            sock = socket.create_connection((self.host, self.port), self.timeout)
        except TimeoutError:
            raise Unreachable(f"cannot connect within {self.timeout:g} s") from None
        except socket.gaierror as error:
            raise Unreachable(f"cannot find the host: {error.strerror}") from None
        except (OSError, UnicodeError) as error:
            text = (isinstance(error, OSError) and error.strerror) or str(error)
            raise Unreachable(f"cannot connect: {text}") from None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(secured(sock, self.tls, self.host) if self.tls else sock, self.timeout)


class Connection:
    """Requests may be sent one by one or several at once; answers are read in order.

    h11 frames the answers. It never sees the requests' bytes, so these may be
    such as h11 would not write; it is only told that there is one.
    """

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        self._sock = sock
        self._timeout = timeout
        self._http = h11.Connection(h11.CLIENT)
        self._answered = False
        # Set once the server wants no further request here.
        self.closed = False

    def close(self) -> None:
        """Close the socket."""
        self.closed = True
        self._sock.close()

    def send(self, data: bytes, half_close: bool = False) -> None:
        """Send requests; with ``half_close`` say that none will follow (plain TCP only).

        A failure to send shows when the answer is read, which may well be there.
        """
        try:
            self._sock.settimeout(self._timeout)
            self._sock.sendall(data)
            if half_close and not isinstance(self._sock, ssl.SSLSocket):
                self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def answer(self) -> Answer:
        """The answer to the next request that was sent.

        :raise Ended, TimedOut, NotHttp: the connection is of no more use then.
        """
        deadline = time.monotonic() + self._timeout
        try:
            if self._answered:
                self._http.start_next_cycle()
            self._http.send(h11.Request(method="GET", target="/", headers=[("Host", "-")]))
            self._http.send(h11.EndOfMessage())
            answer = self._read(deadline)
        except h11.ProtocolError as error:
            self.closed = True
            raise self._explained(error) from None
        except (Ended, TimedOut, NotHttp):
            self.closed = True
            raise
        self._answered = True
        self.closed = self.closed or answer.closes
        return answer

    def _read(self, deadline: float) -> Answer:
        response: h11.Response | None = None
        body = b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._receive(deadline)
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _BODY_LIMIT:
                    raise NotHttp(f"the answer's body is longer than {_BODY_LIMIT} bytes")
            elif isinstance(event, h11.EndOfMessage) and response is not None:
                return _whole(response, body, self._http.our_state is not h11.DONE)
            elif not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
                raise NotHttp("the answer is not HTTP/1.x any more")

    def _receive(self, deadline: float) -> None:
        held = self._http.trailing_data[0]
        fresh = self._http.their_state is h11.SEND_RESPONSE
        if fresh and held and not b"HTTP/".startswith(held[:5]):
            # Said at once: what is not HTTP may never end its "head".
            raise NotHttp(f"the answer is not HTTP: it begins {bytes(held[:20])!r}")
        left = deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)
            data = self._sock.recv(_READ)
        except TimeoutError:
            part = "whole answer" if held or not fresh else "answer"
            raise TimedOut(f"no {part} within {self._timeout:g} s") from None
        except OSError as error:
            text = getattr(error, "strerror", None) or str(error)
            raise Ended(f"the connection broke before the answer: {text}") from None
        if not data and fresh and not held:
            raise Ended("the server closed the connection without an answer")
        self._http.receive_data(data)

    def _explained(self, error: h11.ProtocolError) -> Ended | NotHttp:
        held, at_end = self._http.trailing_data
        if at_end and (not held or held.startswith(b"HTTP/")):
            return Ended("the server closed the connection in the middle of an answer")
        if held and not held.startswith(b"HTTP/"):
            return NotHttp(f"the answer is not HTTP: it begins {bytes(held[:20])!r}")
        return NotHttp(f"the answer is not HTTP as it should be: {error}")


def _whole(response: h11.Response, body: bytes, closes: bool) -> Answer:
    fields = tuple((bytes(n), bytes(v)) for n, v in response.headers.raw_items())
    version, status, reason = bytes(response.http_version), response.status_code, response.reason
    lines = [b"HTTP/%b %d %b" % (version, status, bytes(reason))]
    lines += [b"%b: %b" % field for field in fields]
    return Answer(status, b"\r\n".join([*lines, b"", b""]), fields, body, closes)
