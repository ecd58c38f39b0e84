"""What the exchanges of an ASGI app share: uvicorn's configuration and protocols, the loop."""

import asyncio
import contextvars
import logging
import signal
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Protocol, cast

import uvicorn
from twisted.logger import Logger
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from stickyd.http1.head_parser import Head
from stickyd.ipc.frame import Frame
from stickyd.ipc.handover import Handed
from stickyd.ipc.over_tls import client_of
from stickyd.net.address import Address
from stickyd.routing.client_address import true_client
from stickyd.routing.policy import Policy
from stickyd.settings import WebSocketSettings
from stickyd.worker.apps.asgi_websocket import WebSocketProtocol
from stickyd.worker.connection.addresses import uses_tls

_log = Logger("stickyd")


def _is_not_about_a_stream(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn is another one than that a response is not complete."""
    return record.msg != "ASGI callable returned without completing response."


class BufferedExchange(Protocol):
    """What is called on an exchange by the objects that it shares."""

    def complete(self) -> None:
        """The answer is complete."""

    def flush(self) -> None:
        """Send what is written."""

    def abort(self) -> None:
        """Reset the connection."""


def who_asks(head: Head, frame: Frame, policy: Policy) -> tuple[Address | None, bool]:
    """The client's address, as trusted peers name it, and whether it uses TLS."""
    peer, host = frame.peer, frame.peer_host
    client = true_client(head, host, policy.trusted, policy.forwarded_first) or peer
    return client, uses_tls(head, frame, policy.trusted)


def tls_extension(frame: Frame) -> dict[str, object] | None:
    """The extension ``tls`` of ASGI, for a client with a certificate; None for any other."""
    client = client_of(frame.tls)
    if client is None:
        return None
    return {
        "server_cert": None,
        "client_cert_chain": [],
        "client_cert_name": client.subject,
        "client_cert_error": None,
        "tls_version": client.version,
        "cipher_suite": None,
    }


class WriteFlow:
    """In place of uvicorn's flow control, for what an app writes.

    :ivar write_paused: the app waits for the client.
    :ivar handed: what a WebSocket has brought from another worker.
    """

    write_paused = False
    handed: Handed | None = None
    _room: asyncio.Event

    def pause_writing(self) -> None:
        """The client is slower than the app."""
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        """The client has taken what was written, or has gone."""
        if self.write_paused:
            self.write_paused = False
            self._room.set()

    async def drain(self) -> None:
        """For ``send``: wait for the client."""
        await self._room.wait()


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's, with our head parser in place of its own, and for one request at a time.

    An exchange takes one that no other exchange uses, and sets what `connection_made` would, with
    itself as the transport.
    """

    def on_response_complete(self) -> None:
        """For the cycle: the answer is complete. The exchange decides when the connection ends."""
        cast(BufferedExchange, self.transport).complete()


class AsgiRuntime:
    """Shared by the exchanges of one app.

    :param load: gives the application; called once.
    :param root_path: where the app is mounted.
    :param websocket: what holds for every WebSocket.
    :ivar closing: every answer is the last on its connection.
    """

    def __init__(
        self, load: Callable[[], Any], root_path: str, websocket: WebSocketSettings
    ) -> None:
        self.config = uvicorn.Config(
            load,
            factory=True,
            http=HttpProtocol,
            ws=WebSocketProtocol,
            ws_max_size=websocket.message,
            ws_ping_interval=websocket.ping_interval or None,
            ws_ping_timeout=websocket.ping_timeout or None,
            ws_per_message_deflate=websocket.deflate,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            root_path=root_path,
        )
        self.config.load()
        self.server_state = ServerState()
        self.state: dict[str, Any] = {}
        self.closing = False
        self._free: list[HttpProtocol] = []
        self._unsent: list[BufferedExchange] = []
        self._date_until = 0.0
        self._loop: asyncio.AbstractEventLoop
        self.context: contextvars.Context

    def start(self, state: dict[str, Any]) -> None:
        """Use the running loop.

        :param state: what the app's lifespan stores for its requests.
        """
        self._loop = asyncio.get_running_loop()
        self.state = state
        # What a task of the app leaves in its context must not reach later requests.
        self.context = contextvars.copy_context()

    def time(self) -> float:
        """The loop's clock, in seconds."""
        return self._loop.time()

    # ---- protocol objects

    def protocol(self) -> HttpProtocol:
        """A protocol object without a request, until `release`."""
        self.default_headers()
        if self._free:
            return self._free.pop()
        return HttpProtocol(self.config, self.server_state, self.state, self._loop)

    def release(self, protocol: HttpProtocol) -> None:
        """Another exchange may use the protocol object."""
        self._free.append(protocol)

    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The fields of every answer: its date, which changes once a second."""
        now = time.time()
        if now >= self._date_until:
            self._date_until = int(now) + 1
            date = formatdate(now, usegmt=True).encode()
            self.server_state.default_headers = [(b"date", date)]
        return self.server_state.default_headers

    # ---- the end of a turn of the loop

    def flush_soon(self, exchange: BufferedExchange) -> None:
        """Send what the exchange has written at the end of this turn of the loop."""
        if not self._unsent:
            self._loop.call_soon(self._flush, context=self.context)
        self._unsent.append(exchange)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        for exchange in unsent:
            try:
                exchange.flush()
            except Exception:
                # An error of one connection must not affect the others.
                _log.failure("a connection failed")
                exchange.abort()

    def call_soon(self, call: Callable[..., object], *arguments: object) -> None:
        """Call in the next turn of the loop."""
        self._loop.call_soon(call, *arguments, context=self.context)

    # ---- the end

    def tell_exit(self) -> None:
        """Call what a server of uvicorn's would call at SIGTERM.

        sse-starlette before 3.1 replaces the method in the class, to end its streams.
        """
        # sse-starlette cancels its streams, which is no fault of theirs.
        logging.getLogger("uvicorn.error").addFilter(_is_not_about_a_stream)
        try:
            uvicorn.Server(self.config).handle_exit(signal.SIGTERM, None)
        except Exception:
            _log.failure("a library's handler of the server's exit failed")

    def close(self) -> None:
        """Every answer from now on is the last on its connection."""
        self.closing = True
        for protocol in self.server_state.connections:
            if isinstance(protocol, HttpProtocol):
                protocol.shutdown()
