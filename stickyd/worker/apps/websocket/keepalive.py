"""Pings of the daemon's own on WebSockets of twisted.web, which sends none (RFC 6455, 5.5.2)."""

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from stickyd.settings import WebSocketSettings

PING_TIMEOUT = 1011
"""The close code of a client that does not answer, with `REASON`, as other servers send it."""

REASON = "keepalive ping timeout"

_PAYLOAD = 4


class Receiver(Protocol):
    """What brings the client's bytes to the app (`stickyd.worker.connection.upgraded.Upgraded`).

    :ivar reading: all that has come is delivered; otherwise an answer may be unread.
    """

    @property
    def reading(self) -> bool:
        """See the class."""


class Keepalive:
    """Sends pings to one client, and closes its WebSocket if nothing comes back.

    Whatever the client sends counts as an answer. While the app, or a handover, keeps the worker
    from reading, nothing can come back, and the client has more time.

    :param clock: has ``callLater``.
    :param websocket: the protocol object of ``twisted.web.websocket``.
    :param fail: closes the WebSocket.
    """

    def __init__(
        self,
        clock: Any,
        settings: WebSocketSettings,
        receiver: Receiver,
        websocket: Any,
        fail: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._receiver = receiver
        self._websocket = websocket
        self._fail = fail
        self._sent: bytes | None = None
        self._waits = False
        self._timer: Any = None
        # The app's protocol, if it has a method of ours.
        self._app: Any = None
        self._hide_pongs()
        self._later(settings.ping_interval, self._ping)

    def heard(self) -> None:
        """The client has sent something."""
        if self._waits:
            self._waits = False
            self._timer.cancel()
            self._later(self._settings.ping_interval, self._ping)

    def stop(self) -> None:
        """The connection has ended, or another worker has it."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        app, self._app = self._app, None
        if app is not None:
            del app.pongReceived
        # It would be in a reference cycle with them.
        self._receiver = self._websocket = self._fail = None  # type: ignore[assignment]
        self._timer = None

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timer = self._clock.callLater(seconds, call)

    def _ping(self) -> None:
        interval, timeout = self._settings.ping_interval, self._settings.ping_timeout
        self._sent = os.urandom(_PAYLOAD)
        try:
            self._websocket.ping(self._sent)
        except Exception:
            # It is closing already, or its handshake is not complete.
            self._later(interval, self._ping)
            return
        if timeout:
            self._waits = True
            self._later(timeout, self._check)
        else:
            self._later(interval, self._ping)

    def _check(self) -> None:
        if self._receiver.reading:
            self._waits = False
            self._fail()
        else:
            self._later(self._settings.ping_timeout, self._check)

    def _hide_pongs(self) -> None:
        """Keep the answers to our pings from the app, which may measure answers to its own."""
        app = getattr(self._websocket, "_wsp", None)
        told = getattr(app, "pongReceived", None)

        def pong_received(payload: bytes) -> None:
            if told is not None and payload != self._sent:
                told(payload)

        # One that has slots gets them, too: pongs may come unasked (RFC 6455, 5.5.3).
        with suppress(AttributeError):
            app.pongReceived = pong_received  # type: ignore[union-attr]
            self._app = app
