"""ASGI apps, on uvicorn's protocol objects."""

import asyncio
import contextvars
import time
from collections.abc import Awaitable
from email.utils import formatdate
from typing import Any

import uvicorn
import websockets  # noqa: F401
from twisted.internet import defer
from twisted.logger import Logger
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from stickyd.http1.head_parser import Head
from stickyd.worker.apps.asgi_exchange import AsgiExchange
from stickyd.worker.apps.asgi_tracebacks import with_tracebacks
from stickyd.worker.apps.asgi_websocket import WebSocketProtocol
from stickyd.worker.apps.lifespan import Lifespan
from stickyd.worker.connection.channel import Channel

_log = Logger("stickyd")


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's, with our reader in the place of its parser, and for one request at a time.

    An exchange takes one that no other exchange has, and says `connection_made`
    with itself as the transport.
    """

    def on_response_complete(self) -> None:
        """For the cycle: the answer is whole. When the connection ends is not decided here."""
        exchange = self.transport
        assert isinstance(exchange, AsgiExchange)
        exchange.complete()


class AsgiApp:
    """An ASGI application, its lifespan, and what its exchanges share.

    :param root_path: where the app is mounted.
    :param show_tracebacks: the page of a 500 tells the traceback.
    :param ws_max_size: bytes of a WebSocket message, after it is unpacked.
    """

    def __init__(
        self,
        app: Any,
        root_path: str,
        show_tracebacks: bool = False,
        ws_max_size: int = 16 * 1024 * 1024,
    ) -> None:
        # The application stands in a factory since uvicorn would call it to find out whether
        # it is one.
        self.config = uvicorn.Config(
            lambda: app,
            factory=True,
            http=HttpProtocol,
            ws=WebSocketProtocol,
            ws_max_size=ws_max_size,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            root_path=root_path,
        )
        self.config.load()
        if show_tracebacks:
            # Outermost: whatever style the app is of, it is ASGI 3 by now.
            self.config.loaded_app = with_tracebacks(self.config.loaded_app)
        self.server_state = ServerState()
        self.lifespan = Lifespan(self.config.loaded_app)
        self.closing = False
        self.free: list[HttpProtocol] = []
        self._unsent: list[AsgiExchange] = []
        self._date_until = 0.0
        self._loop: asyncio.AbstractEventLoop

    def start(self) -> "defer.Deferred[None]":
        """Start the app; fails with `stickyd.ipc.control_channel.CannotLoad`."""
        self._loop = asyncio.get_running_loop()
        # What an app's task leaves in its context is not for the requests behind it.
        self.context = contextvars.copy_context()
        return _deferred(self.lifespan.startup())

    # ---- requests

    def exchange(self, channel: Channel, head: Head) -> AsgiExchange:
        """An exchange for a new request."""
        now = time.time()
        if now >= self._date_until:
            self._set_date(now)
        return AsgiExchange(self, channel, head)

    def protocol(self) -> HttpProtocol:
        """A protocol object without a request."""
        if self.free:
            return self.free.pop()
        return HttpProtocol(self.config, self.server_state, self.lifespan.state, self._loop)

    def _set_date(self, now: float) -> None:
        self._date_until = int(now) + 1
        self.server_state.default_headers = [(b"date", formatdate(now, usegmt=True).encode())]

    def flush_soon(self, exchange: AsgiExchange) -> None:
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
                # One connection's fault must not cost the others their answers.
                _log.failure("a connection failed")
                exchange.abort()

    def call_soon(self, call: Any, *arguments: Any) -> None:
        """Call in the next turn of the loop."""
        self._loop.call_soon(call, *arguments, context=self.context)

    # ---- the end

    def close(self) -> None:
        """Every answer is the last on its connection."""
        self.closing = True
        for protocol in self.server_state.connections:
            if isinstance(protocol, HttpProtocol):
                protocol.shutdown()

    def stop(self, seconds: float) -> "defer.Deferred[None]":
        """Wait for tasks that go on behind their answers, then end the app."""
        return _deferred(self._stop(seconds))

    async def _stop(self, seconds: float) -> None:
        until = self._loop.time() + seconds
        tasks = set(self.server_state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
        ending = asyncio.ensure_future(self.lifespan.shutdown())
        await asyncio.wait([ending], timeout=max(until - self._loop.time(), 0.1))


def _deferred(what: Awaitable[None]) -> "defer.Deferred[None]":
    return defer.Deferred.fromFuture(asyncio.ensure_future(what))
