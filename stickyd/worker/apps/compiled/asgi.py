"""ASGI on the compiled engine: what it makes requests of, and how uvicorn goes on with one.

The engine builds the scope and writes the answer for a request without a body that is answered by
two messages. From any other point a cycle of uvicorn's goes on, with `AsgiExchange`.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from twisted.logger import Logger
from twisted.python.failure import Failure
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from stickyd.core.native import CORE
from stickyd.http1.response import fields_of
from stickyd.worker.apps.asgi_exchange import AsgiExchange
from stickyd.worker.apps.asgi_runtime import AsgiRuntime

if TYPE_CHECKING:
    from stickyd.core._engine import AsgiSite


class _Going(AsgiExchange):
    """How an exchange of the engine goes on; the engine's class is a base of the whole."""

    scope: dict[str, Any]
    client: tuple[str, int] | None
    secure: bool
    cycle: Any
    go_python: Callable[[], None]
    _upgrades = False
    _keep_alive = True

    @property
    def event_stream(self) -> bool:
        """As the parent; before a cycle goes on, no answer has begun."""
        return self.cycle is not None and super().event_stream

    def bodyReceived(self, data: bytes) -> None:
        """For the lane: no body comes."""
        raise AssertionError("the engine serves requests without a body")

    def connectionLost(self, reason: Failure) -> None:
        """The client has gone; the app is notified."""
        self.go_python()
        super().connectionLost(reason)

    def abort(self) -> None:
        """Reset the connection."""
        self.go_python()
        super().abort()

    def connected(self) -> Any:
        """A protocol object with the request, whose cycle is to be made."""
        protocol = self._connect(self.client, self.secure)
        protocol.url = self._head.target
        protocol.scope, protocol.headers = self.scope, self.scope["headers"]
        protocol.expect_100_continue = False
        return protocol


@attrs.frozen
class AsgiParts:
    """What the engine is told of an app, and whom it asks (see `stickyd.core._engine`)."""

    runtime: AsgiRuntime
    exchange_type: type[_Going]
    header_line: bytes

    status_lines = STATUS_LINE
    log = Logger("stickyd")
    current_task = staticmethod(asyncio.current_task)
    fields_of = staticmethod(fields_of)

    def begun(self) -> tuple[asyncio.AbstractEventLoop, contextvars.Context, dict[str, Any]]:
        """The loop, the context of requests, and the state of the app's lifespan."""
        return asyncio.get_running_loop(), self.runtime.context, self.runtime.state

    def told(self) -> tuple[Any, str, str, set[Any], bool]:
        """The app, its root path, its version of ASGI; tasks; whether uvicorn logs no requests."""
        protocol: Any = self.runtime.protocol()
        usable = not protocol.access_log and protocol.limit_concurrency is None
        self.runtime.release(protocol)
        usable = usable and not getattr(protocol.config, "reset_contextvars", False)
        return protocol.app, protocol.root_path, protocol.asgi_version, protocol.tasks, usable

    def default_lines(self) -> bytes:
        """The fields that uvicorn puts in front of every answer's own, as lines."""
        headers = self.runtime.default_headers()
        return b"".join(b"%b: %b\r\n" % field for field in headers)

    @staticmethod
    def go_on(exchange: Any, start: Any, received: bool) -> None:
        """Make the cycle that goes on with a request.

        :param start: the app's first message, if it has been taken.
        :param received: the app has received the request.
        """
        runtime = exchange._runtime
        protocol = exchange.connected()
        event = asyncio.Event()
        protocol.cycle = cycle = RequestResponseCycle(
            scope=exchange.scope,
            transport=exchange,
            flow=exchange,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=protocol.access_log,
            default_headers=runtime.default_headers(),
            message_event=event,
            expect_100_continue=False,
            keep_alive=not runtime.closing,
            on_response=protocol.on_response_complete,
        )
        cycle.more_body = False
        if not received:
            event.set()
        exchange.take_cycle(cycle)
        if start is not None:
            # Nothing is written yet, so that it does not wait.
            sending = cycle.send(start)
            try:
                sending.send(None)
            except StopIteration:
                return
            raise AssertionError("the head of an answer waits")

    @staticmethod
    async def ended(cycle: Any, failed: BaseException | None, result: Any) -> None:
        """The app has ended and not answered, or not returned None."""

        async def again(scope: Any, receive: Any, send: Any) -> Any:
            if failed is not None:
                raise failed
            return result

        try:
            await cycle.run_asgi(again)
        finally:
            # Its traceback refers to us.
            failed = None

    @staticmethod
    def ended_late(failed: BaseException | None, result: Any) -> None:
        """The app has failed behind a whole answer, or returned something: log it as uvicorn."""
        logger = logging.getLogger("uvicorn.error")
        if failed is not None:
            logger.error("Exception in ASGI application\n", exc_info=failed)
        else:
            logger.error("ASGI callable should return None, but returned '%s'.", result)


def asgi_site(runtime: AsgiRuntime, header_line: bytes) -> "AsgiSite | None":
    """What makes the exchanges of an engine; None without the compiled core.

    :param header_line: that every answer gets.
    """
    engines = CORE.engines
    if engines is None:
        return None
    base: Any = engines.AsgiExchange
    exchange_type = type("LaneAsgiExchange", (base, _Going), {"__module__": __name__})
    return engines.AsgiSite(AsgiParts(runtime, exchange_type, header_line))
