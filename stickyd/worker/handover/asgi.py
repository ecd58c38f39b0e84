"""The offer of an ASGI app to have its WebSocket handed over: an extension of the scope."""

import asyncio
import re
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.logger import Logger
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.protocol import OPEN

from stickyd.worker.handover.handing import told_by

EXTENSION = "stickyd.handover"
"""The name of the extension in ``scope["extensions"]``."""

Save = Callable[[], bytes | Awaitable[bytes | None] | None]

_NAME = "Sec-WebSocket-Extensions"
_FLAGS = ("server_no_context_takeover", "client_no_context_takeover")
_BITS = re.compile(r"(server|client)_max_window_bits=(\d+)")

_log = Logger("stickyd")


class AsgiOffer:
    """The extension of one WebSocket, and the offer that the app makes with it.

    :param protocol: uvicorn's object of the WebSocket (`stickyd.worker.apps.asgi_websocket`).
    :param handed: the extensions agreed in another worker, which the WebSocket comes from; None
        for a new WebSocket.
    :ivar extensions: the value of the answer's Sec-WebSocket-Extensions.
    :ivar on_offered: called when the app makes an offer.
    """

    def __init__(self, protocol: Any, handed: str | None) -> None:
        # The app's scope has a reference to this object, and the protocol has the scope.
        self._protocol = weakref.ref(protocol)
        self._save: Save | None = None
        self.on_offered: Callable[[], None] = lambda: None
        if handed is None:
            self.extensions = str(protocol.response.headers.get(_NAME, ""))
        else:
            self.extensions = handed
            protocol.conn.extensions = _agreed(protocol.conn.extensions, handed)

    # ---- for the app

    def offer(self, save: Save | None) -> bool:
        """Offer the WebSocket.

        :param save: returns the app's state, or None if the WebSocket cannot be handed over; may
            be a coroutine function. None withdraws an earlier offer.
        :return: whether it can be handed over. It cannot, if it is compressed with context
            takeover (RFC 7692, 7.1.1): so make the offer before ``websocket.accept``.
        """
        protocol = self._protocol()
        self._save = None
        if protocol is None or save is None:
            return False
        if self.extensions and not all(flag in self.extensions for flag in _FLAGS):
            if protocol.handshake_complete:
                return False
            self._forbid_takeover(protocol)
        self._save = save
        self.on_offered()
        return True

    def _forbid_takeover(self, protocol: Any) -> None:
        """Let each message be compressed by itself: a compressor's window cannot be handed over.

        A server may ask for both without an offer of the client's (RFC 7692, 7.1.1).
        """
        missing = [flag for flag in _FLAGS if flag not in self.extensions]
        self.extensions = "; ".join((self.extensions, *missing))
        headers = protocol.response.headers
        del headers[_NAME]
        headers[_NAME] = self.extensions
        protocol.conn.extensions = _agreed(protocol.conn.extensions, self.extensions)

    # ---- for `stickyd.worker.handover.handing.Handing`

    @property
    def offered(self) -> bool:
        """Whether the app has made an offer."""
        return self._save is not None

    def is_open(self) -> bool:
        """Whether neither side has begun to close."""
        protocol = self._protocol()
        return (
            protocol is not None
            and protocol.handshake_complete
            and not (protocol.close_sent or protocol.disconnected)
            and protocol.conn.state is OPEN
            and not protocol.transport.is_closing()
        )

    def when_idle(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the app waits for a message, there is none, and it sends none."""
        protocol = self._protocol()
        if protocol is None:
            return
        idle = protocol.waiting and protocol.queue.empty() and not protocol.sending
        if idle or not self.is_open():
            call()
        else:
            protocol.on_wait = lambda: self.when_idle(call)

    def ask(self, done: Callable[[bytes | None], None]) -> None:
        """Call the app's function, in a task."""
        protocol, save = self._protocol(), self._save
        if protocol is None or save is None:
            done(None)
            return

        async def ask() -> None:
            try:
                while protocol.sending:
                    # It has begun meanwhile: the state is to be that after it.
                    await protocol.writable.wait()
                    await asyncio.sleep(0)
                state = await told_by(save)
            except Exception:
                _log.failure("an app failed to tell the state of a WebSocket")
                state = None
            # In the same step: nothing may be sent that the state does not know of.
            if state is not None:
                protocol.frozen = True
                protocol.stop_keepalive()
            done(state)

        task = asyncio.ensure_future(ask())
        protocol.tasks.add(task)
        task.add_done_callback(protocol.tasks.discard)

    def flush(self) -> None:
        """Write what the app has sent to the transport."""
        protocol = self._protocol()
        if protocol is not None:
            protocol.transport.flush()

    def thaw(self) -> None:
        """Let the app send again."""
        protocol = self._protocol()
        if protocol is not None:
            protocol.frozen = False

    def gone(self) -> None:
        """Tell the app that its WebSocket has ended here."""
        protocol = self._protocol()
        if protocol is not None:
            event = {"type": "websocket.disconnect", "code": 1012, "reason": "handed over"}
            protocol.queue.put_nowait(event)


def _agreed(before: list[Any], extensions: str) -> list[Any]:
    """The extensions of a WebSocket.

    :param before: as they were negotiated, with context takeover.
    :param extensions: the value of the answer's field, which forbids it.
    """
    if not extensions:
        return []
    bits = {side: int(number) for side, number in _BITS.findall(extensions)}
    settings = before[0].compress_settings if before else {}
    return [PerMessageDeflate(True, True, bits.get("client", 15), bits.get("server", 15), settings)]
