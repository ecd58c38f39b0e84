"""ASGI apps, on uvicorn's protocol objects."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import websockets  # noqa: F401
from twisted.internet import defer

from stickyd.http1.head_parser import Head
from stickyd.settings import WebSocketSettings
from stickyd.worker.apps.asgi_exchange import AsgiExchange
from stickyd.worker.apps.asgi_runtime import AsgiRuntime
from stickyd.worker.apps.asgi_tracebacks import with_tracebacks
from stickyd.worker.apps.compiled.asgi import asgi_site
from stickyd.worker.apps.lifespan import Lifespan
from stickyd.worker.interfaces import ClientChannel

if TYPE_CHECKING:
    from stickyd.core._engine import AsgiSite


class AsgiApp:
    """An ASGI application and its lifespan.

    :param app: of ASGI 2 or 3.
    :param root_path: where the app is mounted.
    :param show_tracebacks: the page of a 500 has the traceback.
    :param websocket: what holds for every WebSocket.
    """

    def __init__(
        self,
        app: Any,
        root_path: str,
        show_tracebacks: bool = False,
        websocket: WebSocketSettings | None = None,
    ) -> None:
        # uvicorn calls what it is given, to find out whether that is a factory: so it gets one.
        self._runtime = AsgiRuntime(lambda: app, root_path, websocket or WebSocketSettings())
        self.config = config = self._runtime.config
        if show_tracebacks:
            # Outermost: an app of any version is an ASGI 3 app by now.
            config.loaded_app = with_tracebacks(config.loaded_app)
        self.lifespan = Lifespan(config.loaded_app)

    def start(self) -> "defer.Deferred[None]":
        """Start the app; fails with `stickyd.errors.CannotLoad`."""
        self._runtime.start(self.lifespan.state)
        return _deferred(self.lifespan.startup())

    def exchange(self, channel: ClientChannel, head: Head) -> AsgiExchange:
        """An exchange for a new request."""
        return AsgiExchange(self._runtime, channel, head)

    def compiled(self, header_line: bytes) -> "AsgiSite | None":
        """What makes exchanges for the compiled engine.

        :param header_line: that every answer gets.
        """
        return asgi_site(self._runtime, header_line)

    def close(self) -> None:
        """Every answer from now on is the last on its connection."""
        self._runtime.close()

    def end_streams(self) -> None:
        """Tell libraries that have patched uvicorn's `Server`."""
        self._runtime.tell_exit()

    def stop(self, seconds: float) -> "defer.Deferred[None]":
        """Wait for tasks that continue after their answers, then end the app."""
        return _deferred(self._stop(seconds))

    async def _stop(self, seconds: float) -> None:
        runtime = self._runtime
        until = runtime.time() + seconds
        tasks = set(runtime.server_state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
        ending = asyncio.ensure_future(self.lifespan.shutdown())
        await asyncio.wait([ending], timeout=max(until - runtime.time(), 0.1))


def _deferred(what: Awaitable[None]) -> "defer.Deferred[None]":
    return defer.Deferred.fromFuture(asyncio.ensure_future(what))
